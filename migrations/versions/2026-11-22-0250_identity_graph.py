"""Identity graph."""

revision = "202611220250"
down_revision = "202611220240"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
