"""Quality."""

revision = "202611220280"
down_revision = "202611220270"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
