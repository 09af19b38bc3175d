"""Imports."""

revision = "202611220240"
down_revision = "202611220230"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
