"""Connections with sealed credentials."""

revision = "202611220390"
down_revision = "202611220380"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
