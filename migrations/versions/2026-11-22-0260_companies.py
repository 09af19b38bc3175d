"""Companies by their domains; what was known before waits to be folded anew by the workers."""

from alembic import op

revision = "202611220260"
down_revision = "202611220250"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"
READ = ("profiles.companies", "profiles.leads", "profiles.identities")

TABLES = """
ALTER TABLE profiles.companies
    ADD COLUMN live jsonb, ADD COLUMN domain text, ADD COLUMN home_id bigint,
    ADD COLUMN search_key text NOT NULL DEFAULT '';
CREATE INDEX companies_by_domain ON profiles.companies (tenant_id, domain, id) WHERE domain IS NOT NULL;
CREATE INDEX companies_by_home ON profiles.companies (tenant_id, home_id) WHERE home_id IS NOT NULL;
CREATE INDEX companies_by_name ON profiles.companies (tenant_id, search_key, id) WHERE home_id IS NULL;

CREATE TABLE profiles.unfolded (
    tenant_id bigint NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('company', 'lead')),
    id        bigint NOT NULL,
    PRIMARY KEY (tenant_id, kind, id)
);
"""

# Each trait with its instant, source and value; what nobody dated gives way to anything that is stated.
LIVE = """
UPDATE profiles.companies c SET live = COALESCE((
    SELECT jsonb_object_agg(t.key, COALESCE(c.stated -> t.key, '[0, 0]') || jsonb_build_array(t.value))
    FROM jsonb_each(c.traits) t
), '{}');
"""

# A company's domain, and a lead's by its address, are told by the workers: SQL knows no public suffixes.
WAITING = """
INSERT INTO profiles.unfolded (tenant_id, kind, id)
SELECT tenant_id, 'company', id FROM profiles.companies;
INSERT INTO profiles.unfolded (tenant_id, kind, id)
SELECT tenant_id, 'lead', id FROM profiles.leads WHERE company_id IS NULL AND email LIKE '%@%'
UNION
SELECT l.tenant_id, 'lead', l.id
FROM profiles.leads l
JOIN profiles.identities i ON i.tenant_id = l.tenant_id AND i.lead_id = l.id
WHERE l.company_id IS NULL AND i.kind = 'email';
"""

# Before: whoever works where an address says so worked nowhere, and a company that shared a domain stood alone.
ALONE = """
UPDATE profiles.leads l SET company_id = (
    SELECT i.company_id FROM profiles.identities i
    JOIN profiles.companies c ON c.tenant_id = l.tenant_id AND c.id = i.company_id
    WHERE i.tenant_id = l.tenant_id AND i.lead_id = l.id
    ORDER BY i.company_at DESC, c.key COLLATE "C" DESC LIMIT 1
)
FROM profiles.companies h
WHERE h.tenant_id = l.tenant_id AND h.id = l.company_id AND h.key = 'domain:' || h.domain;
DELETE FROM profiles.companies WHERE key = 'domain:' || domain;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE profiles.unfolded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT, DELETE ON profiles.unfolded TO assay_app")
    op.execute(f"CREATE POLICY tenant ON profiles.unfolded TO assay_app USING (tenant_id = {TENANT})")
    op.execute("GRANT SELECT (tenant_id) ON profiles.unfolded TO assay_timetable")
    op.execute("CREATE POLICY timetable ON profiles.unfolded FOR SELECT TO assay_timetable USING (true)")
    op.execute("ALTER TABLE profiles.unfolded ALTER COLUMN tenant_id SET STATISTICS 0")
    # The owner is held back by forced policies too, and would find no row.
    for table in (*READ, "profiles.unfolded"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(LIVE)
    op.execute(WAITING)
    for table in (*READ, "profiles.unfolded"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for table in READ:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(ALONE)
    for table in READ:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute("DROP TABLE profiles.unfolded")
    for column in ("live", "domain", "home_id", "search_key"):
        op.execute(f"ALTER TABLE profiles.companies DROP COLUMN {column}")
