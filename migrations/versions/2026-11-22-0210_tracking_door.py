"""Write keys that only pages of certain origins may use."""

from alembic import op

revision = "202611220210"
down_revision = "202611212340"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Versions that know nothing of it issue keys that any page may use, as before.
    op.execute("ALTER TABLE tenancy.keys ADD COLUMN origins text[] NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    op.execute("ALTER TABLE tenancy.keys DROP COLUMN origins")
