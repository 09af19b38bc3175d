"""Plans, and what was used of them."""

revision = "202611220400"
down_revision = "202611220390"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
