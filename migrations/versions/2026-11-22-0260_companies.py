"""Companies."""

revision = "202611220260"
down_revision = "202611220250"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
