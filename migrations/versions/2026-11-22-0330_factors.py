"""Second factors: one-time codes, passkeys, recovery codes."""

revision = "202611220330"
down_revision = "202611220320"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
