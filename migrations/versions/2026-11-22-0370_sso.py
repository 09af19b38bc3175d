"""Single sign-on by the tenant's own provider, and SCIM."""

revision = "202611220370"
down_revision = "202611220360"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
