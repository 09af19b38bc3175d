"""Pace."""

revision = "202611220290"
down_revision = "202611220280"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
