"""Leads and events by the million, put into the tables by COPY, and models that read them, also as SQL."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import psycopg
import yaml

from assay import roles
from assay.scoring import service
from assay_tenants import database

DAY = timedelta(days=1)
PAST_DAYS = 90
TYPES = ("page.viewed", "email.opened", "email.clicked", "offer.downloaded", "form.submitted", "meeting.booked")
PATHS = ("/", "/pricing", "/pricing/eu", "/docs", "/blog")
TITLES = ("CFO", "Owner", "Engineer", "Student", None)
COUNTRIES = ("CH", "VN", "US", "RO")
STAGES = [{"name": "Lead", "from": 40}, {"name": "MQL", "from": 80}, {"name": "SQL", "from": 120}]
_ROWS_AT_ONCE = 500_000


def owner_url() -> str:
    """Of the database that this process is connected to."""
    url = database.engine().url.set(drivername="postgresql", username=roles.OWNER)
    return url.render_as_string(hide_password=False)


def documents(models: int, rules: int) -> list[dict[str, Any]]:
    """Models as people write them: a few traits, many actions, silences."""
    return [
        {"model": f"m{place}", "rules": [rule(place, number) for number in range(rules)], "stages": STAGES}
        for place in range(models)
    ]


def rule(place: int, number: int) -> dict[str, Any]:
    base: dict[str, Any] = {"id": f"r{number}", "points": 1 + (number + place) % 7}
    match number % 10:
        case 0:
            return base | {"when": {"trait": "title", "in": ["CFO", "Owner"]}}
        case 1:
            return base | {"when": {"trait": "company.employees", "gte": 50 + place}}
        case 2:
            return base | {"when": {"trait": "country", "not_in": ["US"]}}
        case 3:
            return base | {"idle": {"for": f"{10 + number + place}d", "of": "any"}, "points": -3}
        case 4 | 5:
            path = {"starts_with": "/pricing"} if number % 10 == 4 else {"is": "/docs"}
            fades = {"after": f"{20 + number + place}d"}
            return base | {"on": "page.viewed", "where": {"property": "path", **path}, "fades": fades}
        case 6:
            return base | {"on": "offer.downloaded", "count": {"once_per": "offer_id"}}
        case 7:
            return base | {"on": TYPES[number % 6], "count": {"first": 3 + place}}
        case 8:
            return base | {"on": TYPES[(number + place) % 6], "count": "once"}
        case _:
            return base | {"on": ["email.opened", "email.clicked"], "max": 10}


def as_sql(one: dict[str, Any], at: str) -> str:
    """The same rule by hand: whole points, over the events `e` of the lead `l`, grouped by lead."""
    points = one["points"]
    if "when" in one:
        when = one["when"]
        value = f"l.traits ->> '{when['trait']}'"
        if "in" in when:
            return f"CASE WHEN {value} IN ({_listed(when['in'])}) THEN {points} ELSE 0 END"
        if "gte" in when:
            return f"CASE WHEN ({value})::numeric >= {when['gte']} THEN {points} ELSE 0 END"
        return f"CASE WHEN {value} NOT IN ({_listed(when['not_in'])}) THEN {points} ELSE 0 END"
    if "idle" in one:
        silent = f"COALESCE(max(e.occurred_at), l.first_seen_at) <= {at} - {_days(one['idle']['for'])}"
        return f"CASE WHEN {silent} THEN {points} ELSE 0 END"
    types = one["on"] if isinstance(one["on"], list) else [one["on"]]
    which = f"e.type IN ({_listed(types)})"
    where = one.get("where", {})
    if "starts_with" in where:
        which += f" AND e.properties ->> 'path' LIKE '{where['starts_with']}%'"
    elif "is" in where:
        which += f" AND e.properties ->> 'path' = '{where['is']}'"
    if "fades" in one:
        which += f" AND e.occurred_at > {at} - {_days(one['fades']['after'])}"
    count = one.get("count", "each")
    if count == "once":
        return f"LEAST(count(*) FILTER (WHERE {which}), 1) * {points}"
    if "once_per" in count:
        return f"count(DISTINCT e.properties ->> '{count['once_per']}') FILTER (WHERE {which}) * {points}"
    if "first" in count:
        return f"LEAST(count(*) FILTER (WHERE {which}), {count['first']}) * {points}"
    gives = f"count(*) FILTER (WHERE {which}) * {points}"
    return f"LEAST({gives}, {one['max']})" if "max" in one else gives


def _listed(words: list[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _days(written: str) -> str:
    return f"interval '{written[:-1]} days'"


def publish_all(tenant_id: int, written: list[dict[str, Any]]) -> None:
    for document in written:
        service.create_model(tenant_id, yaml.safe_dump(document, sort_keys=False))
        service.publish(tenant_id, document["model"], by="bench")


def load(tenant_id: int, leads: int, events: int) -> datetime:
    """As the owner of the tables; gives the instant up to which everything has happened."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    with psycopg.connect(owner_url()) as connection, connection.cursor() as cursor:
        first = _first_id(cursor)
        for table, columns, frames in (
            ("leads", _LEAD, _leads(tenant_id, first, leads, at)),
            ("identities", _IDENTITY, _identities(tenant_id, first, leads, at)),
            ("events", _EVENT, _events(tenant_id, first, leads, events, at)),
        ):
            # COPY refuses to go through a policy, and the owner too is held to them.
            cursor.execute(f"ALTER TABLE profiles.{table} NO FORCE ROW LEVEL SECURITY")
            with cursor.copy(f"COPY profiles.{table} ({', '.join(columns)}) FROM STDIN (FORMAT csv)") as copy:
                for frame in frames:
                    copy.write(frame.select(columns).write_csv(include_header=False).encode())
            cursor.execute(f"ALTER TABLE profiles.{table} FORCE ROW LEVEL SECURITY")
        for table in ("leads", "identities"):
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('profiles.{table}', 'id'), {first + leads})")
    with psycopg.connect(owner_url(), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE profiles.leads, profiles.identities, profiles.events")
    return at


def _first_id(cursor: psycopg.Cursor[Any]) -> int:
    found = cursor.execute("SELECT nextval(pg_get_serial_sequence('profiles.leads', 'id'))").fetchone()
    assert found is not None
    return int(found[0])


_LEAD = ["tenant_id", "id", "name", "search_key", "traits", "first_seen_at", "last_seen_at", "known_at"]
_IDENTITY = ["tenant_id", "id", "kind", "value", "lead_id", "first_seen_at", "last_seen_at", "known_at"]
_EVENT = [
    *("tenant_id", "id", "received_at", "lead_id", "identity_id", "type", "occurred_at", "properties"),
    *("source_id", "sender_id", "known_at"),
]


def _pick(row: pl.Expr, seed: int, count: int) -> pl.Expr:
    return row.hash(seed) % count


def _one_of(row: pl.Expr, seed: int, values: tuple[str | None, ...]) -> pl.Expr:
    return _pick(row, seed, len(values)).replace_strict(range(len(values)), values, return_dtype=pl.String)


def _numbered(tenant_id: int, first: int, rows: int) -> Iterator[pl.DataFrame]:
    for begin in range(0, rows, _ROWS_AT_ONCE):
        end = min(begin + _ROWS_AT_ONCE, rows)
        yield pl.select(pl.int_range(begin, end).alias("row")).with_columns(
            pl.lit(tenant_id).alias("tenant_id"), (pl.col("row") + first).alias("id")
        )


def _seen(at: datetime) -> pl.Expr:
    return _instant(pl.lit(at - PAST_DAYS * DAY) - pl.duration(days=_pick(pl.col("row"), 1, PAST_DAYS)))


def _instant(moment: pl.Expr) -> pl.Expr:
    return moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")


def _leads(tenant_id: int, first: int, leads: int, at: datetime) -> Iterator[pl.DataFrame]:
    row = pl.col("row")
    title = pl.concat_str(pl.lit('"title": "'), _one_of(row, 2, TITLES), pl.lit('", ')).fill_null("")
    country = pl.concat_str(pl.lit('"country": "'), _one_of(row, 3, COUNTRIES), pl.lit('", '))
    employees = pl.concat_str(pl.lit('"company.employees": '), _pick(row, 4, 200).cast(pl.String))
    traits = pl.concat_str(pl.lit("{"), title, country, employees, pl.lit("}"))
    for numbered in _numbered(tenant_id, first, leads):
        name = pl.format("Lead {}", "row")
        yield numbered.with_columns(
            name.alias("name"), name.str.to_lowercase().alias("search_key"), traits.alias("traits"),
            *(_seen(at).alias(column) for column in ("first_seen_at", "last_seen_at", "known_at")),
        )  # fmt: skip


def _identities(tenant_id: int, first: int, leads: int, at: datetime) -> Iterator[pl.DataFrame]:
    for numbered in _numbered(tenant_id, first, leads):
        yield numbered.with_columns(
            pl.lit("user_id").alias("kind"),
            pl.format("user-{}", "row").alias("value"),
            pl.col("id").alias("lead_id"),
            *(_seen(at).alias(column) for column in ("first_seen_at", "last_seen_at", "known_at")),
        )


def _events(tenant_id: int, first: int, leads: int, events: int, at: datetime) -> Iterator[pl.DataFrame]:
    """In the order in which they happened, as a table is filled in life."""
    row = pl.col("row")
    ago = (PAST_DAYS * DAY.total_seconds() * 1e6 / events * (events - row)).cast(pl.Int64)
    when = _instant(pl.lit(at) - pl.duration(microseconds=ago))
    path, offer = _one_of(row, 8, PATHS), _pick(row, 9, 30).cast(pl.String)
    properties = pl.concat_str(pl.lit('{"path": "'), path, pl.lit('", "offer_id": "'), offer, pl.lit('"}'))
    for numbered in _numbered(tenant_id, 0, events):
        lead = (first + _pick(row, 5, leads)).cast(pl.Int64)
        yield numbered.with_columns(
            pl.format("00000000-0000-7000-8000-{}", row.cast(pl.String).str.zfill(12)).alias("id"),
            *(when.alias(column) for column in ("received_at", "occurred_at", "known_at")),
            lead.alias("lead_id"),
            lead.alias("identity_id"),
            _one_of(row, 6, TYPES).alias("type"),
            properties.alias("properties"),
            pl.lit(1).alias("source_id"),
            pl.format("e{}", row).alias("sender_id"),
        )
