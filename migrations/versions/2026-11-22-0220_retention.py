"""Retention."""

revision = "202611220220"
down_revision = "202611220210"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
