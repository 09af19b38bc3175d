"""Tracking door."""

revision = "202611220210"
down_revision = "202611212340"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
