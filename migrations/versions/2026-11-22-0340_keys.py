"""API keys with scopes, an expiry and their last use."""

revision = "202611220340"
down_revision = "202611220330"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
