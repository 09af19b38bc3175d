"""Persons who were erased, and exports of a person's data."""

revision = "202611220410"
down_revision = "202611220400"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
