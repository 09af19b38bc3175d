"""The operators' door: asked for, limited in time, visible to the tenant."""

revision = "202611220380"
down_revision = "202611220370"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
