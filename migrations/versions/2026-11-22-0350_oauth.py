"""The authorization server: apps, grants, tokens, signing keys."""

revision = "202611220350"
down_revision = "202611220340"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
