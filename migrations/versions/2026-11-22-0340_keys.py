"""API keys with scopes, an expiry and their last use; what was cut before its time."""

from alembic import op

revision = "202611220340"
down_revision = "202611220330"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"

# What the API offered when these keys were made: they are good for that and for nothing that came later.
FORMER = (
    "leads:read, leads:write, leads:reveal, events:write, imports:read, imports:write, "
    "models:read, models:write, models:publish, settings:read, settings:write"
)

CUTS = """
CREATE TABLE tenancy.cuts (
    tenant_id bigint NOT NULL,
    handle    text NOT NULL CHECK (length(handle) BETWEEN 1 AND 200),
    until     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, handle)
);
"""

KEYS = """
ALTER TABLE tenancy.keys
    ADD COLUMN scopes       text[] NOT NULL DEFAULT '{}',
    ADD COLUMN made_by      text NOT NULL DEFAULT '',
    ADD COLUMN made_by_id   bigint,
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN revoked_at   timestamptz,
    ADD COLUMN replaced_by_id bigint;
"""


def upgrade() -> None:
    op.execute(CUTS)
    op.execute("ALTER TABLE tenancy.cuts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON tenancy.cuts TO assay_app")
    op.execute(f"CREATE POLICY tenant ON tenancy.cuts TO assay_app USING (tenant_id = {TENANT})")
    # A person who changes their password is cut wherever they are a member.
    op.execute("GRANT SELECT, INSERT, UPDATE ON tenancy.cuts TO assay_directory")
    op.execute("CREATE POLICY directory ON tenancy.cuts TO assay_directory USING (true) WITH CHECK (true)")
    op.execute("ALTER TABLE tenancy.cuts ALTER COLUMN tenant_id SET STATISTICS 0")
    op.execute(KEYS)
    # The owner of the tables is held back by their policies, too.
    op.execute("ALTER TABLE tenancy.keys NO FORCE ROW LEVEL SECURITY")
    op.execute(f"UPDATE tenancy.keys SET scopes = '{{{FORMER}}}' WHERE kind = 'api'")  # noqa: S608 # words from this file
    op.execute("ALTER TABLE tenancy.keys FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute("DROP TABLE tenancy.cuts")
    op.execute(
        "ALTER TABLE tenancy.keys DROP COLUMN scopes, DROP COLUMN made_by, DROP COLUMN made_by_id,"
        " DROP COLUMN last_used_at, DROP COLUMN revoked_at, DROP COLUMN replaced_by_id"
    )
