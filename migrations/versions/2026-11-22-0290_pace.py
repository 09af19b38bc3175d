"""How many events a second a tenant may send, where it is not what everybody may."""

from alembic import op

revision = "202611220290"
down_revision = "202611220280"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE tenancy.tenants"
        " ADD COLUMN events_per_second integer CHECK (events_per_second BETWEEN 0 AND 10000000)"
    )
    op.execute("GRANT SELECT (events_per_second) ON tenancy.tenants TO assay_timetable")


def downgrade() -> None:
    op.execute("REVOKE SELECT (events_per_second) ON tenancy.tenants FROM assay_timetable")
    op.execute("ALTER TABLE tenancy.tenants DROP COLUMN events_per_second")
