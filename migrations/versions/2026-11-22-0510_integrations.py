"""Connections at work: what is pulled, posted and fetched through them, and the scores that go back."""

from alembic import op

revision = "202611220510"
down_revision = "202611220410"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"

TABLES = """
CREATE SCHEMA delivery;
GRANT USAGE ON SCHEMA delivery TO assay_app, assay_directory, assay_timetable;

-- One connection of an account: connecting it again is the same one.
CREATE UNIQUE INDEX connections_of_account ON tenancy.connections (tenant_id, plugin, account) WHERE account <> '';

-- Of a connection's own source: it has the same one for as long as it is known.
ALTER TABLE tenancy.sources ADD COLUMN connection_id bigint;
CREATE UNIQUE INDEX sources_of_connection ON tenancy.sources (tenant_id, connection_id) WHERE connection_id IS NOT NULL;

-- Somebody was sent to a vendor's consent page, and may come back.
CREATE TABLE tenancy.connect_attempts (
    tenant_id     bigint NOT NULL,
    state_hash    bytea NOT NULL,
    plugin        text NOT NULL,
    person_id     bigint NOT NULL,
    connection_id bigint,
    name          text NOT NULL,
    settings      jsonb NOT NULL,
    sealed        bytea NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, state_hash)
);

-- By which account or secret address a posted request finds its connection.
CREATE TABLE tenancy.hook_routes (
    tenant_id     bigint NOT NULL,
    connection_id bigint NOT NULL,
    plugin        text NOT NULL,
    account       text NOT NULL,
    token_hash    bytea NOT NULL,
    source_id     bigint NOT NULL,
    PRIMARY KEY (tenant_id, connection_id)
);
CREATE INDEX hook_routes_by_account ON tenancy.hook_routes (plugin, account);
CREATE INDEX hook_routes_by_token ON tenancy.hook_routes (token_hash);

CREATE TABLE intake.links (
    tenant_id     bigint NOT NULL,
    connection_id bigint NOT NULL,
    plugin        text NOT NULL,
    account       text NOT NULL,
    source_id     bigint NOT NULL,
    notes         jsonb NOT NULL,
    paused_at     timestamptz,
    -- Of the circuit: how often in a row the vendor failed, and until when it is left alone.
    failures      integer NOT NULL DEFAULT 0,
    open_until    timestamptz,
    failing_since timestamptz,
    told_at       timestamptz,
    error         text NOT NULL DEFAULT '',
    error_at      timestamptz,
    -- Of what it posts to us.
    subscribed_at timestamptz,
    subscribe_error text NOT NULL DEFAULT '',
    last_hook_at  timestamptz,
    learned       bytea,
    -- When the subscription is looked after next, or what was learned is confirmed.
    due_at        timestamptz,
    leased_until  timestamptz,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, connection_id)
);
CREATE INDEX links_due ON intake.links (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE intake.streams (
    tenant_id       bigint NOT NULL,
    connection_id   bigint NOT NULL,
    name            text NOT NULL,
    cursor          jsonb,
    -- The first load is under way, or was done.
    loaded_at       timestamptz,
    records         bigint NOT NULL DEFAULT 0,
    total           bigint,
    newest_at       timestamptz,
    last_run_at     timestamptz,
    last_success_at timestamptz,
    error           text NOT NULL DEFAULT '',
    failures        integer NOT NULL DEFAULT 0,
    due_at          timestamptz,
    leased_until    timestamptz,
    PRIMARY KEY (tenant_id, connection_id, name),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES intake.links (tenant_id, connection_id) ON DELETE CASCADE
);
CREATE INDEX streams_due ON intake.streams (due_at) WHERE due_at IS NOT NULL;

-- Records that notices named, and that have yet to be fetched.
CREATE TABLE intake.wanted (
    tenant_id     bigint NOT NULL,
    connection_id bigint NOT NULL,
    kind          text NOT NULL,
    record_id     text NOT NULL,
    -- Grows when it is named again: what was fetched before then is not all there is.
    asked         integer NOT NULL DEFAULT 1,
    attempts      integer NOT NULL DEFAULT 0,
    error         text NOT NULL DEFAULT '',
    due_at        timestamptz,
    leased_until  timestamptz,
    PRIMARY KEY (tenant_id, connection_id, kind, record_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES intake.links (tenant_id, connection_id) ON DELETE CASCADE
);
CREATE INDEX wanted_due ON intake.wanted (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE delivery.targets (
    tenant_id     bigint NOT NULL,
    connection_id bigint NOT NULL,
    plugin        text NOT NULL,
    enabled       boolean NOT NULL,
    known_by      text[] NOT NULL,
    -- NULL: of the models that apply to a lead the one that leads.
    model_id      bigint,
    prepared_at   timestamptz,
    sent          bigint NOT NULL DEFAULT 0,
    sent_at       timestamptz,
    error         text NOT NULL DEFAULT '',
    error_at      timestamptz,
    due_at        timestamptz,
    leased_until  timestamptz,
    PRIMARY KEY (tenant_id, connection_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES intake.links (tenant_id, connection_id) ON DELETE CASCADE
);
CREATE INDEX targets_due ON delivery.targets (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE delivery.pushes (
    tenant_id     bigint NOT NULL,
    connection_id bigint NOT NULL,
    lead_id       bigint NOT NULL,
    state         text NOT NULL CHECK (state IN ('waiting', 'sent', 'gone', 'dead')),
    -- Grows when the score changed again: what was read before then is not what it is.
    asked         integer NOT NULL DEFAULT 1,
    attempts      integer NOT NULL DEFAULT 0,
    version       text NOT NULL DEFAULT '',
    vendor_id     text NOT NULL DEFAULT '',
    -- By the contact: what it was sent last, where it moved to, whether it is gone.
    contacts      jsonb NOT NULL DEFAULT '{}',
    sent_at       timestamptz,
    error         text NOT NULL DEFAULT '',
    error_at      timestamptz,
    due_at        timestamptz,
    PRIMARY KEY (tenant_id, connection_id, lead_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES delivery.targets (tenant_id, connection_id) ON DELETE CASCADE
);
CREATE INDEX pushes_due ON delivery.pushes (tenant_id, connection_id, due_at) WHERE state = 'waiting';
CREATE INDEX pushes_dead ON delivery.pushes (tenant_id, connection_id, error_at) WHERE state = 'dead';
CREATE INDEX pushes_of_lead ON delivery.pushes (tenant_id, lead_id);
"""
NEW = (
    "tenancy.connect_attempts",
    "tenancy.hook_routes",
    "intake.links",
    "intake.streams",
    "intake.wanted",
    "delivery.targets",
    "delivery.pushes",
)
#: What the timetable sees: whose work is due.
OF_THE_TIMETABLE = ("intake.links", "intake.streams", "intake.wanted", "delivery.targets")


def upgrade() -> None:
    op.execute(TABLES)
    for table in NEW:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO assay_app")
        op.execute(f"CREATE POLICY tenant ON {table} TO assay_app USING (tenant_id = {TENANT})")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET STATISTICS 0")
    for table in OF_THE_TIMETABLE:
        op.execute(f"GRANT SELECT (tenant_id, due_at) ON {table} TO assay_timetable")
        op.execute(f"CREATE POLICY timetable ON {table} FOR SELECT TO assay_timetable USING (true)")
    op.execute(
        "GRANT SELECT (tenant_id, connection_id, plugin, account, token_hash, source_id)"
        " ON tenancy.hook_routes TO assay_directory"
    )
    op.execute("CREATE POLICY directory ON tenancy.hook_routes FOR SELECT TO assay_directory USING (true)")
    op.execute("GRANT SELECT (tenant_id, expires_at) ON tenancy.connect_attempts TO assay_timetable")
    op.execute("CREATE POLICY timetable ON tenancy.connect_attempts FOR SELECT TO assay_timetable USING (true)")


def downgrade() -> None:
    for table in reversed(NEW):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP INDEX tenancy.connections_of_account")
    op.execute("ALTER TABLE tenancy.sources DROP COLUMN connection_id")
    op.execute("DROP SCHEMA delivery")
