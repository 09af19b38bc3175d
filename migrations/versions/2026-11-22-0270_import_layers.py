"""What each import states is kept as a layer of its own, so that it can be taken out again."""

from alembic import op

revision = "202611220270"
down_revision = "202611220260"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"
LAYERS = ("profiles.import_statements", "profiles.import_companies", "profiles.import_events")
READ = ("profiles.identities", "profiles.links", "profiles.companies")

TABLES = """
CREATE TABLE profiles.import_statements (
    tenant_id     bigint NOT NULL,
    import_id     bigint NOT NULL,
    identity_id   bigint NOT NULL,
    traits        jsonb NOT NULL DEFAULT '{}',
    stated        jsonb NOT NULL DEFAULT '{}',
    company_key   text,
    company_at    timestamptz,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, import_id, identity_id)
);
CREATE INDEX import_statements_by_identity ON profiles.import_statements (tenant_id, identity_id);

CREATE TABLE profiles.import_companies (
    tenant_id bigint NOT NULL,
    import_id bigint NOT NULL,
    key       text NOT NULL,
    traits    jsonb NOT NULL DEFAULT '{}',
    stated    jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, import_id, key)
);
CREATE INDEX import_companies_by_key ON profiles.import_companies (tenant_id, key);

CREATE TABLE profiles.import_events (
    tenant_id   bigint NOT NULL,
    import_id   bigint NOT NULL,
    event_id    uuid NOT NULL,
    identity_id bigint NOT NULL,
    received_at timestamptz NOT NULL,
    type        text NOT NULL,
    occurred_at timestamptz NOT NULL,
    -- Byte for byte as they are compared.
    properties  text NOT NULL,
    source_id   bigint NOT NULL,
    sender_id   text NOT NULL,
    message_id  uuid,
    PRIMARY KEY (tenant_id, import_id, event_id)
);
CREATE INDEX import_events_by_event ON profiles.import_events (tenant_id, event_id);
CREATE INDEX import_events_by_identity ON profiles.import_events (tenant_id, identity_id);
"""

COLUMNS = """
ALTER TABLE profiles.events ADD COLUMN import_id bigint NOT NULL DEFAULT 0;
ALTER TABLE profiles.identities ALTER COLUMN first_seen_at DROP NOT NULL, ALTER COLUMN last_seen_at DROP NOT NULL;
ALTER TABLE profiles.links ADD COLUMN import_id bigint NOT NULL DEFAULT 0;
ALTER TABLE profiles.links DROP CONSTRAINT links_pkey;
ALTER TABLE profiles.links ADD PRIMARY KEY (tenant_id, left_id, right_id, import_id);
"""

# The last word on each trait, of whichever layer, becomes the identity's own.
FOLDED = """
WITH layers AS (
    SELECT tenant_id, identity_id, traits, stated FROM profiles.import_statements
    UNION ALL SELECT i.tenant_id, i.id, i.traits, i.stated FROM profiles.identities i
    WHERE EXISTS (SELECT FROM profiles.import_statements s WHERE s.tenant_id = i.tenant_id AND s.identity_id = i.id)
), told AS (
    SELECT DISTINCT ON (l.tenant_id, l.identity_id, s.key)
        l.tenant_id, l.identity_id, s.key, l.traits -> s.key AS value, s.value AS stated
    FROM layers l CROSS JOIN LATERAL jsonb_each(l.stated) s
    ORDER BY l.tenant_id, l.identity_id, s.key, (s.value ->> 0)::numeric DESC,
        (l.traits -> s.key)::text COLLATE "C" DESC, (s.value ->> 1)::bigint DESC
), folded AS (
    SELECT tenant_id, identity_id, jsonb_object_agg(key, value) AS traits, jsonb_object_agg(key, stated) AS stated
    FROM told GROUP BY tenant_id, identity_id
)
UPDATE profiles.identities i SET traits = f.traits, stated = f.stated
FROM folded f WHERE f.tenant_id = i.tenant_id AND f.identity_id = i.id;

UPDATE profiles.identities i
SET first_seen_at = LEAST(i.first_seen_at, s.first_seen_at), last_seen_at = GREATEST(i.last_seen_at, s.last_seen_at)
FROM (
    SELECT tenant_id, identity_id, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at
    FROM profiles.import_statements GROUP BY tenant_id, identity_id
) s
WHERE s.tenant_id = i.tenant_id AND s.identity_id = i.id;

UPDATE profiles.identities i SET company_id = s.company_id, company_at = s.company_at
FROM (
    SELECT DISTINCT ON (s.tenant_id, s.identity_id) s.tenant_id, s.identity_id, c.id AS company_id, s.company_at
    FROM profiles.import_statements s
    JOIN profiles.companies c ON c.tenant_id = s.tenant_id AND c.key = s.company_key
    ORDER BY s.tenant_id, s.identity_id, s.company_at DESC, s.company_key COLLATE "C" DESC
) s
WHERE s.tenant_id = i.tenant_id AND s.identity_id = i.id AND (i.company_at IS NULL OR i.company_at < s.company_at);

-- Only links are left that no other layer knew earlier.
DELETE FROM profiles.links l USING profiles.links o
WHERE o.tenant_id = l.tenant_id AND o.left_id = l.left_id AND o.right_id = l.right_id
    AND (o.since, o.import_id) < (l.since, l.import_id);
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(COLUMNS)
    for table in LAYERS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO assay_app")
        op.execute(f"CREATE POLICY tenant ON {table} TO assay_app USING (tenant_id = {TENANT})")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET STATISTICS 0")


def downgrade() -> None:
    # The owner is held back by forced policies too, and would find no row to fold.
    for table in (*LAYERS, *READ):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(FOLDED)
    for table in READ:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE profiles.links DROP CONSTRAINT links_pkey, DROP COLUMN import_id")
    op.execute("ALTER TABLE profiles.links ADD PRIMARY KEY (tenant_id, left_id, right_id)")
    for column in ("first_seen_at", "last_seen_at"):
        op.execute(f"ALTER TABLE profiles.identities ALTER COLUMN {column} SET NOT NULL")
    op.execute("ALTER TABLE profiles.events DROP COLUMN import_id")
    for table in LAYERS:
        op.execute(f"DROP TABLE {table}")
