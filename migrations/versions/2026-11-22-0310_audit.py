"""The audit log, which the application adds to and never changes."""

from alembic import op

revision = "202611220310"
down_revision = "202611220290"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"

# `json`, not `jsonb`: the hash is over the text as it was written.
UPGRADE = """
CREATE TABLE tenancy.audit_log (
    tenant_id  bigint NOT NULL,
    id         bigint NOT NULL CHECK (id > 0),
    at         timestamptz NOT NULL,
    actor_kind text NOT NULL CHECK (actor_kind IN ('person', 'key', 'app', 'operator', 'system', 'stranger')),
    actor_id   text NOT NULL,
    actor_name text NOT NULL,
    address    text NOT NULL,
    door       text NOT NULL,
    request_id text NOT NULL,
    action     text NOT NULL,
    subject    text NOT NULL,
    before     json,
    after      json,
    hash       bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_log_newest ON tenancy.audit_log (tenant_id, at DESC, id DESC);
CREATE INDEX audit_log_of_actor ON tenancy.audit_log (tenant_id, actor_kind, actor_id, id DESC);
CREATE INDEX audit_log_of_subject ON tenancy.audit_log (tenant_id, subject, id DESC);
"""


def upgrade() -> None:
    op.execute(UPGRADE)
    op.execute("ALTER TABLE tenancy.audit_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT ON tenancy.audit_log TO assay_app")
    op.execute(f"CREATE POLICY tenant ON tenancy.audit_log TO assay_app USING (tenant_id = {TENANT})")
    op.execute("ALTER TABLE tenancy.audit_log ALTER COLUMN tenant_id SET STATISTICS 0")


def downgrade() -> None:
    op.execute("DROP TABLE tenancy.audit_log")
