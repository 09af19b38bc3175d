"""Which scores changed since a list was begun: paging needs it to meet each lead once."""

from alembic import op

revision = "202611212030"
down_revision = "202611212000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX scores_changed ON scoring.scores (tenant_id, model_id, scored_at)")


def downgrade() -> None:
    op.execute("DROP INDEX scoring.scores_changed")
