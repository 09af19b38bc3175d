"""A score stands since an instant and is written down a little later: paging asks for the latter."""

from alembic import op

revision = "202611212200"
down_revision = "202611212030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE scoring.scores ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT now()")
    op.execute("ALTER TABLE scoring.scores ALTER COLUMN recorded_at DROP DEFAULT")
    op.execute("DROP INDEX scoring.scores_changed")
    op.execute("CREATE INDEX scores_changed ON scoring.scores (tenant_id, model_id, recorded_at)")


def downgrade() -> None:
    op.execute("DROP INDEX scoring.scores_changed")
    op.execute("CREATE INDEX scores_changed ON scoring.scores (tenant_id, model_id, scored_at)")
    op.execute("ALTER TABLE scoring.scores DROP COLUMN recorded_at")
