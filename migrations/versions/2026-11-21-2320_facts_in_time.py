"""Since when each fact is known, and what was known before it: what the system knew at any instant can be read."""

from alembic import op

revision = "202611212320"
down_revision = "202611212310"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"
DATED = ("profiles.leads", "profiles.companies", "profiles.identities", "profiles.events")
PAST = ("profiles.past_leads", "profiles.past_companies", "profiles.past_memberships", "profiles.past_events")

# What is there was known since it was first seen, as far as anybody can tell.
KNOWN = """
UPDATE profiles.leads SET known_at = LEAST(first_seen_at, now());
UPDATE profiles.identities SET known_at = LEAST(first_seen_at, now());
UPDATE profiles.events SET known_at = received_at;
UPDATE profiles.companies c SET known_at = LEAST(now(), (
    SELECT min(l.first_seen_at) FROM profiles.leads l WHERE l.tenant_id = c.tenant_id AND l.company_id = c.id
));
"""

TABLES = """
CREATE TABLE profiles.past_leads (
    tenant_id     bigint NOT NULL,
    lead_id       bigint NOT NULL,
    until         timestamptz NOT NULL,
    known_at      timestamptz NOT NULL,
    traits        jsonb NOT NULL,
    company_id    bigint,
    first_seen_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, lead_id, until)
);

CREATE TABLE profiles.past_companies (
    tenant_id  bigint NOT NULL,
    company_id bigint NOT NULL,
    until      timestamptz NOT NULL,
    known_at   timestamptz NOT NULL,
    traits     jsonb NOT NULL,
    PRIMARY KEY (tenant_id, company_id, until)
);

CREATE TABLE profiles.past_memberships (
    tenant_id   bigint NOT NULL,
    identity_id bigint NOT NULL,
    until       timestamptz NOT NULL,
    known_at    timestamptz NOT NULL,
    lead_id     bigint NOT NULL,
    PRIMARY KEY (tenant_id, identity_id, until)
);
CREATE INDEX past_memberships_by_lead ON profiles.past_memberships (tenant_id, lead_id);

CREATE TABLE profiles.past_events (
    tenant_id   bigint NOT NULL,
    event_id    uuid NOT NULL,
    until       timestamptz NOT NULL,
    known_at    timestamptz NOT NULL,
    identity_id bigint NOT NULL,
    type        text NOT NULL,
    occurred_at timestamptz NOT NULL,
    properties  jsonb NOT NULL,
    PRIMARY KEY (tenant_id, event_id, until)
);
CREATE INDEX past_events_by_identity ON profiles.past_events (tenant_id, identity_id);
"""


def upgrade() -> None:
    for table in DATED:
        op.execute(f"ALTER TABLE {table} ADD COLUMN known_at timestamptz")
        # The owner is held back by forced policies too, and would find no row to date.
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(KNOWN)
    for table in DATED:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        # The version that runs during the migration does not name this column.
        op.execute(f"ALTER TABLE {table} ALTER COLUMN known_at SET DEFAULT clock_timestamp()")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN known_at SET NOT NULL")
    op.execute(TABLES)
    for table in PAST:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        op.execute(f"GRANT SELECT, INSERT, DELETE ON {table} TO assay_app")
        op.execute(f"CREATE POLICY tenant ON {table} TO assay_app USING (tenant_id = {TENANT})")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET STATISTICS 0")


def downgrade() -> None:
    for table in PAST:
        op.execute(f"DROP TABLE {table}")
    for table in DATED:
        op.execute(f"ALTER TABLE {table} DROP COLUMN known_at")
