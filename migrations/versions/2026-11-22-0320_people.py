"""Verified addresses, invitations, mail, password resets, sessions that can be told apart."""

revision = "202611220320"
down_revision = "202611220310"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
