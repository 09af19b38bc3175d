"""Import layers."""

revision = "202611220270"
down_revision = "202611220260"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
