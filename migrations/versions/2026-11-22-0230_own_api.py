"""Own api."""

revision = "202611220230"
down_revision = "202611220220"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
