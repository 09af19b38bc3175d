"""Partner apps that one tenant registers and others install."""

revision = "202611220360"
down_revision = "202611220350"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
