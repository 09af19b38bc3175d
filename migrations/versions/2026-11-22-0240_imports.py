"""Imports are looked at before they are read, checked, paused, taken back; refused rows keep what they said."""

from alembic import op

revision = "202611220240"
down_revision = "202611220230"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"
STATES = (
    "'receiving', 'looking', 'ready', 'checking', 'waiting', 'paused', 'cancelled', 'done', 'failed', "
    "'undoing', 'undone'"
)

UP = f"""
ALTER TABLE intake.imports DROP CONSTRAINT imports_state_check;
ALTER TABLE intake.imports ADD CONSTRAINT imports_state_check CHECK (state IN ({STATES}));
ALTER TABLE intake.imports DROP CONSTRAINT imports_format_check;
ALTER TABLE intake.imports ADD CONSTRAINT imports_format_check CHECK (format IN ('csv', 'jsonl', 'parquet'));
ALTER TABLE intake.imports
    ADD COLUMN mapping jsonb,
    ADD COLUMN bytes_expected bigint,
    ADD COLUMN bytes_received bigint NOT NULL DEFAULT 0,
    ADD COLUMN rows_total bigint,
    ADD COLUMN report jsonb,
    ADD COLUMN touched_at timestamptz;
DROP INDEX intake.imports_waiting;
CREATE INDEX imports_at_work ON intake.imports (tenant_id, created_at)
    WHERE state IN ('waiting', 'looking', 'checking', 'undoing');

ALTER TABLE intake.refused_rows ADD COLUMN original text;

CREATE TABLE intake.import_checks (
    tenant_id bigint NOT NULL,
    import_id bigint NOT NULL,
    key       bigint NOT NULL,
    PRIMARY KEY (tenant_id, import_id, key),
    FOREIGN KEY (tenant_id, import_id) REFERENCES intake.imports (tenant_id, id)
);
ALTER TABLE intake.import_checks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON intake.import_checks TO assay_app;
CREATE POLICY tenant ON intake.import_checks TO assay_app USING (tenant_id = {TENANT});
ALTER TABLE intake.import_checks ALTER COLUMN tenant_id SET STATISTICS 0;
"""

# The owner is held back by forced policies too, and would find no import.
DOWN = """
DROP TABLE intake.import_checks;
ALTER TABLE intake.refused_rows DROP COLUMN original;
DROP INDEX intake.imports_at_work;
CREATE INDEX imports_waiting ON intake.imports (tenant_id, created_at) WHERE state = 'waiting';
ALTER TABLE intake.imports NO FORCE ROW LEVEL SECURITY;
UPDATE intake.imports
SET state = 'failed', error = 'This version of Assay can''t go on with this import. Send the file again.'
WHERE state NOT IN ('receiving', 'waiting', 'done', 'failed') OR (format = 'parquet' AND state <> 'done');
UPDATE intake.imports SET format = 'jsonl' WHERE format = 'parquet';
ALTER TABLE intake.imports FORCE ROW LEVEL SECURITY;
ALTER TABLE intake.imports
    DROP COLUMN mapping,
    DROP COLUMN bytes_expected,
    DROP COLUMN bytes_received,
    DROP COLUMN rows_total,
    DROP COLUMN report,
    DROP COLUMN touched_at;
ALTER TABLE intake.imports DROP CONSTRAINT imports_format_check;
ALTER TABLE intake.imports ADD CONSTRAINT imports_format_check CHECK (format IN ('csv', 'jsonl'));
ALTER TABLE intake.imports DROP CONSTRAINT imports_state_check;
ALTER TABLE intake.imports ADD CONSTRAINT imports_state_check
    CHECK (state IN ('receiving', 'waiting', 'done', 'failed'));
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
