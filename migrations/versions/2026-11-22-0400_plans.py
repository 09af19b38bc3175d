"""Plans, and what was used of them."""

from alembic import op

revision = "202611220400"
down_revision = "202611220390"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"

UPGRADE = """
ALTER TABLE tenancy.tenants
    ADD COLUMN plan text NOT NULL DEFAULT 'unlimited',
    ADD COLUMN plan_since timestamptz,
    ADD COLUMN trial_ends_at timestamptz;

CREATE TABLE tenancy.usage (
    tenant_id  bigint NOT NULL,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),
    events     bigint NOT NULL DEFAULT 0 CHECK (events >= 0),
    leads      bigint NOT NULL DEFAULT 0 CHECK (leads >= 0),
    counted_at timestamptz,
    reported_at timestamptz,
    PRIMARY KEY (tenant_id, month)
);

CREATE TABLE tenancy.usage_notices (
    tenant_id bigint NOT NULL,
    notice    text NOT NULL,
    sent_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, notice)
);
"""
# By table: what the timetable may see of it.
TABLES = {"tenancy.usage": "tenant_id, month, events, leads, reported_at", "tenancy.usage_notices": None}


def upgrade() -> None:
    op.execute(UPGRADE)
    for table, seen_by_timetable in TABLES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO assay_app")
        op.execute(f"CREATE POLICY tenant ON {table} TO assay_app USING (tenant_id = {TENANT})")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET STATISTICS 0")
        if seen_by_timetable:
            op.execute(f"GRANT SELECT ({seen_by_timetable}) ON {table} TO assay_timetable")
            op.execute(f"CREATE POLICY timetable ON {table} FOR SELECT TO assay_timetable USING (true)")
    op.execute("GRANT SELECT (plan, plan_since, trial_ends_at) ON tenancy.tenants TO assay_timetable")


def downgrade() -> None:
    op.execute("DROP TABLE tenancy.usage_notices, tenancy.usage")
    op.execute("REVOKE SELECT (plan, plan_since, trial_ends_at) ON tenancy.tenants FROM assay_timetable")
    op.execute("ALTER TABLE tenancy.tenants DROP COLUMN plan, DROP COLUMN plan_since, DROP COLUMN trial_ends_at")
