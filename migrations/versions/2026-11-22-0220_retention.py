"""How long messages and events are kept: partitions hold one class of keeping each, so that what is past is dropped."""

# ruff: noqa: S608 # names of this module and of the catalog alone

import re

from alembic import op
from sqlalchemy import text

revision = "202611220220"
down_revision = "202611220210"
branch_labels = None
depends_on = None

TENANT = "current_setting('app.tenant_id')::bigint"

# The class is in each key: partitions are cut by it. 0 is for ever, and what a version that names no class writes.
KEYS = {"intake.messages": "tenant_id, id, received_at", "profiles.events": "tenant_id, id, received_at"}
INDEXES = {
    "intake.messages": "",
    "profiles.events": """
CREATE INDEX events_by_lead ON profiles.events (tenant_id, lead_id, occurred_at);
CREATE INDEX events_by_identity ON profiles.events (tenant_id, identity_id);
""",
}

TABLES = """
-- Nobody who was here before chose an end, so nothing of theirs has one. Whoever comes now begins with a year.
ALTER TABLE tenancy.tenants
    ADD COLUMN keep_messages smallint NOT NULL DEFAULT 0 CHECK (keep_messages IN (0, 7, 30, 90, 365)),
    ADD COLUMN keep_events smallint NOT NULL DEFAULT 0 CHECK (keep_events IN (0, 365, 730, 1095));
ALTER TABLE tenancy.tenants ALTER COLUMN keep_messages SET DEFAULT 365;
GRANT SELECT (id, keep_messages, keep_events) ON tenancy.tenants TO assay_timetable;
CREATE POLICY timetable ON tenancy.tenants FOR SELECT TO assay_timetable USING (true);

CREATE TABLE intake.retention_moves (
    tenant_id   bigint NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('messages', 'events')),
    into_days   smallint NOT NULL,
    started_at  timestamptz NOT NULL,
    due_at      timestamptz,
    moved       bigint NOT NULL DEFAULT 0,
    deleted     bigint NOT NULL DEFAULT 0,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, kind)
);

CREATE TABLE profiles.forgetting (
    tenant_id bigint NOT NULL,
    partition text NOT NULL,
    lead_id   bigint NOT NULL,
    PRIMARY KEY (tenant_id, partition, lead_id)
);
"""
GUARDED = {
    "intake.retention_moves": "tenant_id, kind, into_days, due_at",
    "profiles.forgetting": "tenant_id, partition",
}

FUNCTIONS = """
-- How wide a partition of this class is; NULL for a class that does not exist.
CREATE FUNCTION public.assay_partition_width(parent text, retention smallint) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE parent
        WHEN 'intake.messages' THEN
            CASE retention WHEN 7 THEN 'day' WHEN 30 THEN 'week' WHEN 90 THEN 'week' WHEN 365 THEN 'month'
                           WHEN 0 THEN 'month' END
        WHEN 'profiles.events' THEN CASE WHEN retention IN (0, 365, 730, 1095) THEN 'month' END
        WHEN 'scoring.score_history' THEN CASE WHEN retention IS NULL THEN 'month' END
    END
$$;

-- Every partition with its bounds; a default one has none.
CREATE FUNCTION public.assay_partitions() RETURNS TABLE (
    parent text, child text, retention smallint, first timestamptz, last timestamptz
)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
    SELECT p.oid::regclass::text, c.oid::regclass::text,
           bound[2]::smallint, bound[3]::timestamptz, bound[5]::timestamptz
    FROM pg_inherits i
    JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p'
    JOIN pg_class c ON c.oid = i.inhrelid
    LEFT JOIN LATERAL regexp_match(
        pg_get_expr(c.relpartbound, c.oid),
        'FROM \\(((?:''?)(\\d+)(?:''?), )?''([^'']+)''\\) TO \\(((?:''?)\\d+(?:''?), )?''([^'']+)''\\)'
    ) bound ON true
    WHERE p.oid::regclass::text IN ('intake.messages', 'profiles.events', 'scoring.score_history')
$$;

-- Makes the partition for an instant, and moves what came to the default one meanwhile: at most 50,000 rows a call.
-- Nobody waits for it longer than for a lock that is not had at once: then it says «busy», and is asked again.
CREATE FUNCTION public.assay_make_partition(parent text, retention smallint, instant timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC' SET datestyle = 'ISO' SET lock_timeout = '60ms' AS $$
DECLARE
    most    CONSTANT integer := 50000;
    width   text := public.assay_partition_width(parent, retention);
    dated   text := CASE parent WHEN 'scoring.score_history' THEN 'replaced_at' ELSE 'received_at' END;
    class   text := CASE WHEN retention IS NULL THEN '' ELSE format('retention = %s AND ', retention) END;
    key     text := CASE WHEN retention IS NULL THEN '' ELSE retention || ', ' END;
    first   timestamptz;
    last    timestamptz;
    cut     timestamptz;
    rest    record;
    strays  integer;
    child   text;
    columns text;
    within  text;
BEGIN
    IF width IS NULL THEN
        RAISE EXCEPTION 'there is no class % of %', retention, parent;
    END IF;
    IF instant IS NULL OR instant NOT BETWEEN '1970-01-01' AND clock_timestamp() + interval '3 years' THEN
        RAISE EXCEPTION 'a partition for % is not made', instant;
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('assay.partitions', 0)) THEN
        RETURN 'busy';
    END IF;
    first := date_trunc(width, instant);
    last := first + ('1 ' || width)::interval;
    SELECT max(p.last) FILTER (WHERE p.last <= instant) AS before,
           min(p.first) FILTER (WHERE p.first > instant) AS after,
           coalesce(bool_or(p.first <= instant AND instant < p.last), false) AS taken
      INTO rest
      FROM public.assay_partitions() p
     WHERE p.parent = assay_make_partition.parent AND p.first IS NOT NULL
       AND p.retention IS NOT DISTINCT FROM assay_make_partition.retention;
    IF rest.taken THEN
        RETURN 'there';
    END IF;
    first := greatest(first, rest.before);
    last := least(last, rest.after);
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %s_default WHERE %s %I >= $1 AND %I < $2 LIMIT $3) s',
        parent, class, dated, dated) INTO strays USING first, last, most + 1;
    IF strays > 0 AND last > clock_timestamp() THEN
        -- From the next moment on nothing comes to the default partition any more; what is there is moved after that.
        first := clock_timestamp() + interval '3 seconds';
        strays := 0;
        IF first >= last THEN
            RETURN 'later';
        END IF;
    ELSIF strays > most THEN
        EXECUTE format('SELECT %I FROM %s_default WHERE %s %I >= $1 AND %I < $2 ORDER BY 1 OFFSET $3 LIMIT 1',
            dated, parent, class, dated, dated) INTO cut USING first, last, most;
        IF cut > first THEN
            last := cut;
        END IF;
    END IF;
    child := parent || CASE WHEN retention IS NULL THEN '' ELSE '_' || retention END || to_char(first, '_YYYYMMDD')
        || CASE WHEN first = date_trunc('day', first) THEN '' ELSE to_char(first, '_HH24MISSUS') END;
    within := format('%s%I >= %L AND %I < %L', class, dated, first, dated, last);
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES'
        ' INCLUDING STORAGE, CONSTRAINT within CHECK (%s))', child, parent, within);
    EXECUTE format('ALTER TABLE %s ALTER COLUMN tenant_id SET STATISTICS 0', child);
    IF strays > 0 THEN
        EXECUTE format('LOCK TABLE %s_default IN ACCESS EXCLUSIVE MODE', parent);
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
          FROM pg_attribute WHERE attrelid = parent::regclass AND attnum > 0 AND NOT attisdropped;
        EXECUTE format('WITH moved AS (DELETE FROM %s_default WHERE %s RETURNING %s)'
            ' INSERT INTO %s (%s) SELECT * FROM moved', parent, within, columns, child, columns);
    END IF;
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s%L) TO (%s%L)',
        parent, child, key, first, key, last);
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT within', child);
    RETURN 'made';
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy';
END $$;

-- For versions that know no classes, and for the first start: what everybody needs.
CREATE OR REPLACE FUNCTION public.assay_make_partitions(today date, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    needed record;
    made   integer := 0;
BEGIN
    IF months_ahead NOT BETWEEN 0 AND 24 THEN
        RAISE EXCEPTION 'months_ahead must be 0 to 24, not %', months_ahead;
    END IF;
    FOR needed IN
        SELECT * FROM (VALUES ('intake.messages', 365::smallint), ('intake.messages', 0), ('profiles.events', 0),
            ('scoring.score_history', NULL)) classes (parent, retention), generate_series(0, months_ahead) step
    LOOP
        made := made + (public.assay_make_partition(needed.parent, needed.retention::smallint,
            date_trunc('month', today) + make_interval(months => needed.step)) = 'made')::integer;
    END LOOP;
    RETURN made;
END $$;

-- True once it is gone; false while somebody holds on to it. Refuses what is not past its class.
CREATE FUNCTION public.assay_drop_partition(child text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '60ms' AS $$
DECLARE
    found_one record;
BEGIN
    SELECT * INTO found_one FROM public.assay_partitions() p WHERE p.child = assay_drop_partition.child;
    IF found_one.retention IS NULL OR found_one.retention = 0 THEN
        RAISE EXCEPTION '% is no partition that has an end', child;
    END IF;
    IF found_one.last + make_interval(days => found_one.retention) > clock_timestamp() THEN
        RAISE EXCEPTION '% is kept until %', child, found_one.last + make_interval(days => found_one.retention);
    END IF;
    EXECUTE 'DROP TABLE ' || found_one.child::regclass;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

-- Whose rows are in a partition that has an end.
CREATE FUNCTION public.assay_tenants_in(child text) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place    text := (SELECT p.child FROM public.assay_partitions() p
                      WHERE p.child = assay_tenants_in.child AND p.retention > 0);
    previous bigint := 0;
BEGIN
    IF place IS NULL THEN
        RAISE EXCEPTION '% is no partition that has an end', child;
    END IF;
    LOOP
        EXECUTE format('SELECT tenant_id FROM %s WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1', place::regclass)
            INTO previous USING previous;
        EXIT WHEN previous IS NULL;
        RETURN NEXT previous;
    END LOOP;
END $$;

-- One row that found no partition of its own, if there is any: its class and instant.
CREATE FUNCTION public.assay_stray(parent text) RETURNS TABLE (retention smallint, instant timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE parent
        WHEN 'intake.messages' THEN
            RETURN QUERY SELECT m.retention, m.received_at FROM intake.messages_default m LIMIT 1;
        WHEN 'profiles.events' THEN
            RETURN QUERY SELECT e.retention, e.received_at FROM profiles.events_default e LIMIT 1;
        WHEN 'scoring.score_history' THEN
            RETURN QUERY SELECT NULL::smallint, h.replaced_at FROM scoring.score_history_default h LIMIT 1;
    END CASE;
END $$;

REVOKE ALL ON FUNCTION public.assay_make_partition(text, smallint, timestamptz), public.assay_drop_partition(text),
    public.assay_tenants_in(text), public.assay_stray(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.assay_make_partition(text, smallint, timestamptz), public.assay_drop_partition(text),
    public.assay_stray(text) TO assay_app;
GRANT EXECUTE ON FUNCTION public.assay_tenants_in(text) TO assay_timetable;
"""

FUNCTION_BEFORE = """
DROP FUNCTION public.assay_stray(text);
DROP FUNCTION public.assay_tenants_in(text);
DROP FUNCTION public.assay_drop_partition(text);
DROP FUNCTION public.assay_make_partition(text, smallint, timestamptz);
DROP FUNCTION public.assay_partitions();
DROP FUNCTION public.assay_partition_width(text, smallint);

CREATE OR REPLACE FUNCTION public.assay_make_partitions(today date, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent text;
    first  date;
    child  text;
    made   integer := 0;
BEGIN
    IF months_ahead NOT BETWEEN 0 AND 24 THEN
        RAISE EXCEPTION 'months_ahead must be 0 to 24, not %', months_ahead;
    END IF;
    FOREACH parent IN ARRAY ARRAY['intake.messages', 'profiles.events', 'scoring.score_history'] LOOP
        FOR step IN 0..months_ahead LOOP
            first := (date_trunc('month', today) + make_interval(months => step))::date;
            child := parent || '_' || to_char(first, 'YYYYMM');
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', child, parent,
                    first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
                EXECUTE format('ALTER TABLE %s ALTER COLUMN tenant_id SET STATISTICS 0', child);
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
"""

# Without the class, two partitions of one time can't stand side by side.
BOUNDS = re.compile(r"FROM \((?:'?(\d+)'?, )?'([^']+)'\) TO \((?:'?\d+'?, )?'([^']+)'\)")


def upgrade() -> None:
    op.execute(TABLES)
    for table, seen_by_timetable in GUARDED.items():
        _guard(table)
        op.execute(f"GRANT SELECT ({seen_by_timetable}) ON {table} TO assay_timetable")
        op.execute(f"CREATE POLICY timetable ON {table} FOR SELECT TO assay_timetable USING (true)")
    for parent in KEYS:
        bounds = _taken_apart(parent)
        for child in bounds:
            op.execute(f"ALTER TABLE {child} ADD COLUMN retention smallint NOT NULL DEFAULT 0")
        _put_together(
            parent, f"{KEYS[parent]}, retention", "RANGE (retention, received_at)", by_class=True, bounds=bounds
        )
    op.execute(FUNCTIONS)
    op.execute("SELECT public.assay_make_partitions(current_date, 2)")


def downgrade() -> None:
    op.execute(FUNCTION_BEFORE)
    for parent in KEYS:
        bounds = _taken_apart(parent)
        # Of a class that had no partition, yet of a time that has one without classes.
        op.execute(f"CREATE TABLE {parent}_astray (LIKE {parent}_default INCLUDING DEFAULTS)")
        op.execute(
            f"WITH astray AS (DELETE FROM {parent}_default WHERE retention <> 0 RETURNING *)"
            f" INSERT INTO {parent}_astray SELECT * FROM astray"
        )
        bounds[f"{parent}_astray"] = ("astray", "", "")
        for child in bounds:
            op.execute(f"ALTER TABLE {child} DROP COLUMN retention")
        one_class = {child: bound for child, bound in bounds.items() if bound is None or bound[0] == "0"}
        _put_together(parent, KEYS[parent], "RANGE (received_at)", by_class=False, bounds=one_class)
        for child in bounds.keys() - one_class.keys():
            columns = op.get_bind().scalar(text(
                "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute"
                f" WHERE attrelid = '{parent}'::regclass AND attnum > 0 AND NOT attisdropped"
            ))  # fmt: skip
            # The owner is held back by forced policies too, and may write nothing.
            op.execute(f"ALTER TABLE {parent} NO FORCE ROW LEVEL SECURITY")
            op.execute(f"INSERT INTO {parent} ({columns}) SELECT {columns} FROM {child}")
            op.execute(f"ALTER TABLE {parent} FORCE ROW LEVEL SECURITY")
            op.execute(f"DROP TABLE {child}")
    op.execute("DROP TABLE profiles.forgetting")
    op.execute("DROP TABLE intake.retention_moves")
    op.execute("DROP POLICY timetable ON tenancy.tenants")
    op.execute("REVOKE SELECT (id, keep_messages, keep_events) ON tenancy.tenants FROM assay_timetable")
    op.execute("ALTER TABLE tenancy.tenants DROP COLUMN keep_messages, DROP COLUMN keep_events")


def _taken_apart(parent: str) -> dict[str, tuple[str, str, str] | None]:
    """The partitions on their own, with their bounds: class, first and last; the parent goes."""
    rows = op.get_bind().execute(
        text(
            "SELECT c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i"
            f" JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '{parent}'::regclass"
        )
    )
    bounds: dict[str, tuple[str, str, str] | None] = {}
    for child, bound in rows.all():
        found = BOUNDS.search(bound)
        bounds[child] = (found[1] or "0", found[2], found[3]) if found else None
    for child in bounds:
        op.execute(f"ALTER TABLE {parent} DETACH PARTITION {child}")
        op.execute(f"ALTER TABLE {child} DROP CONSTRAINT {child.partition('.')[2]}_pkey")
    op.execute(f"DROP TABLE {parent}")
    return bounds


def _put_together(
    parent: str, key: str, cut: str, *, by_class: bool, bounds: dict[str, tuple[str, str, str] | None]
) -> None:
    # The time it takes is that of the new keys' indexes.
    op.execute(
        f"CREATE TABLE {parent} (LIKE {parent}_default INCLUDING DEFAULTS INCLUDING STORAGE, PRIMARY KEY ({key}))"
        f" PARTITION BY {cut}"
    )
    op.execute(INDEXES[parent])
    for child, bound in bounds.items():
        place = "DEFAULT"
        if bound:
            class_ = f"{bound[0]}, " if by_class else ""
            place = f"FOR VALUES FROM ({class_}'{bound[1]}') TO ({class_}'{bound[2]}')"
        op.execute(f"ALTER TABLE {parent} ATTACH PARTITION {child} {place}")
    _guard(parent)


def _guard(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO assay_app")
    op.execute(f"CREATE POLICY tenant ON {table} TO assay_app USING (tenant_id = {TENANT})")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET STATISTICS 0")
