"""Facts about leads as the engine's frames: read through Arrow, twice as fast as rows through Python."""

# ruff: noqa: S608 # names are quoted literals, ids are integers, instants are written by us

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import adbc_driver_postgresql.dbapi as adbc  # type: ignore[import-untyped] # published without types
import polars as pl

from assay.profiles import knowing, machines, marks
from assay.profiles.packing import Packing, Properties
from assay.profiles.quoting import literal, literals
from assay_tenants.database import LARGEST_ID, engine, tenant_session

INSTANT = pl.Datetime("us", "UTC")
_COMPANY = "company."

#: Some leads; a range stands for all whose ids lie in it.
Leads = Collection[int] | range

#: By process and database, connections that nobody uses at the moment, and how many are kept at most: one takes
#: milliseconds to make, of PostgreSQL's time too. Those from before a fork are the parent's.
_idle: dict[tuple[int, str], list[adbc.Connection]] = {}
MOST_IDLE = 8


def read_facts(
    tenant_id: int,
    lead_ids: Leads,
    *,
    traits: Collection[str],
    properties: Properties,
    types: Collection[str] | None = None,
    known_at: datetime | None = None,
    event_ids: bool = True,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Leads and their events for the engine, with text forms of these traits and properties.

    ``types`` are the types of events wanted; None for all. With ``known_at`` what the system knew at that instant, and
    nothing it learned later. Leads that are gone, or were not known then, are left out. Where opens or clicks of mails
    are among the events, a column `discounted` says why those of machines count nothing.
    """
    wanted = _Wanted(tenant_id, lead_ids, traits, properties, types, known_at, event_ids)
    with transaction(tenant_id) as cursor:
        return wanted.read(cursor)


@dataclass(frozen=True)
class Snapshot:
    """All that is known ``at`` an instant; what is learned later is dated later."""

    tenant_id: int
    at: datetime
    cursor: adbc.Cursor = field(repr=False)
    #: From here on others may learn; what is read goes on to be what was known at the instant.
    release: Callable[[], object] = field(repr=False)

    def read(
        self,
        lead_ids: Leads,
        *,
        traits: Collection[str],
        properties: Properties,
        types: Collection[str] | None = None,
        event_ids: bool = True,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """As ``read_facts``."""
        return _Wanted(self.tenant_id, lead_ids, traits, properties, types, None, event_ids).read(self.cursor)


@contextmanager
def snapshot(tenant_id: int) -> Iterator[Snapshot]:
    """Until it is released nothing is learned of this tenant's leads; nothing else may be read in it."""
    with ExitStack() as held:
        # In a transaction of its own, which ends before what may take long is read.
        knowing.hold(held.enter_context(tenant_session(tenant_id)), tenant_id)
        with transaction(tenant_id, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ") as cursor:
            cursor.execute("SELECT clock_timestamp() AS at")
            at: datetime = pl.DataFrame(cursor.fetch_arrow())["at"].dt.convert_time_zone("UTC").item()
            yield Snapshot(tenant_id, at, cursor, held.close)


def last_news(tenant_id: int, lead_ids: Collection[int]) -> dict[int, datetime]:
    """When something about each of these leads was learned for the last time, as far as it could tell in a score."""
    tenant, ids = int(tenant_id), _among(lead_ids)
    query = f"""
        SELECT id, max(known_at) FROM (
            SELECT l.id, GREATEST(l.known_at, c.known_at) AS known_at FROM profiles.leads l
            LEFT JOIN profiles.companies c ON c.tenant_id = {tenant} AND c.id = l.company_id
            WHERE l.tenant_id = {tenant} AND l.id {ids}
            UNION ALL
            SELECT e.lead_id, e.known_at FROM profiles.events e WHERE e.tenant_id = {tenant} AND e.lead_id {ids}
            UNION ALL
            SELECT i.lead_id, GREATEST(i.known_at, e.until) FROM profiles.identities i
            LEFT JOIN profiles.past_events e ON e.tenant_id = {tenant} AND e.identity_id = i.id
            WHERE i.tenant_id = {tenant} AND i.lead_id {ids}
            UNION ALL
            SELECT m.lead_id, m.until FROM profiles.past_memberships m WHERE m.tenant_id = {tenant} AND m.lead_id {ids}
        ) news GROUP BY id
    """
    with transaction(tenant_id) as cursor:
        return dict(select(cursor, query, {"id": pl.Int64(), "known_at": INSTANT}).iter_rows())


@dataclass(frozen=True)
class _Wanted:
    """A question about facts, in SQL."""

    tenant_id: int
    lead_ids: Leads
    traits: Collection[str]
    properties: Properties
    types: Collection[str] | None
    known_at: datetime | None
    event_ids: bool

    def read(self, cursor: adbc.Cursor) -> tuple[pl.DataFrame, pl.DataFrame]:
        traits = list(dict.fromkeys(self.traits))
        texts = {f"trait:{name}": pl.String() for name in traits}
        leads = {"lead_id": pl.Int64(), "first_seen_at": INSTANT, **texts}
        known = select(cursor, self._leads(traits), leads)
        if not machines.is_asked(self.types):
            return known, self._read_events(cursor, Packing(self.properties))
        if self.types is not None:
            return known, self._read_judged(cursor)
        # Whoever asks for all events mostly asks for none of mails, and should not pay for telling who opened them.
        events = self._read_events(cursor, Packing(self.properties))
        is_mail = pl.col("type").is_in(list(machines.LOOKED_AT))
        if not events.select((pl.col("type").is_in(list(machines.JUDGED))).any()).item():
            return known, events.with_columns(pl.lit(None, pl.String).alias(machines.DISCOUNTED))
        mails = replace(self, types=machines.LOOKED_AT)._read_judged(cursor)
        return known, pl.concat([events.filter(~is_mail), mails], how="diagonal")

    def _read_judged(self, cursor: adbc.Cursor) -> pl.DataFrame:
        """Events with why those of machines count nothing; mails' are among those that are asked for."""
        kept_out, off = _standing(cursor, self.tenant_id)
        told_by = machines.told_sql(kept_out.hidden(machines.TOLD_BY))
        events = self._read_events(cursor, Packing(self.properties, {"told": (told_by, machines.LOOKED_AT)}))
        events = events.with_columns(machines.discounted(events, events["told"], off)).drop("told")
        if self.types is not None and not frozenset(self.types) >= machines.BESIDE:
            events = events.filter(pl.col("type").is_in(list(self.types)))
        return events

    def _read_events(self, cursor: adbc.Cursor, packing: Packing) -> pl.DataFrame:
        ids = {"event_id": pl.String()} if self.event_ids else {}
        columns = {"lead_id": pl.Int64(), **ids, "type": pl.String(), "occurred_at": INSTANT, **packing.schema}
        return packing.unpacked(select(cursor, self._events(packing), columns))

    def _leads(self, traits: Sequence[str]) -> str:
        columns = "".join(f", {_trait(name)} AS t{place}" for place, name in enumerate(traits))
        query = f"SELECT l.id, l.first_seen_at{columns} FROM {self._lead_rows()}"
        # Only who asks for it pays for the look at companies.
        if any(name.startswith(_COMPANY) for name in traits):
            query += f" LEFT JOIN {self._company_rows()}"
        return query

    def _lead_rows(self) -> str:
        tenant, ids = int(self.tenant_id), _among(self.lead_ids)
        if self.known_at is None:
            return (
                "(SELECT id, first_seen_at, traits, company_id FROM profiles.leads"
                f" WHERE tenant_id = {tenant} AND id {ids}) l"
            )
        return (
            "(SELECT id, first_seen_at, traits, company_id FROM profiles.leads"
            f" WHERE tenant_id = {tenant} AND id {ids} AND {self._since}"
            " UNION ALL SELECT lead_id, first_seen_at, traits, company_id FROM profiles.past_leads"
            f" WHERE tenant_id = {tenant} AND lead_id {ids} AND {self._while}) l"
        )

    def _company_rows(self) -> str:
        tenant = int(self.tenant_id)
        if self.known_at is None:
            return f"profiles.companies c ON c.tenant_id = {tenant} AND c.id = l.company_id"
        return (
            "LATERAL (SELECT traits FROM profiles.companies"
            f" WHERE tenant_id = {tenant} AND id = l.company_id AND {self._since}"
            " UNION ALL SELECT traits FROM profiles.past_companies"
            f" WHERE tenant_id = {tenant} AND company_id = l.company_id AND {self._while}) c ON true"
        )

    def _events(self, packing: Packing) -> str:
        tenant, ids = int(self.tenant_id), _among(self.lead_ids)
        columns = ", e.type, e.occurred_at"
        columns += "".join(f", {value} AS p{place}" for place, value in enumerate(packing.expressions()))
        kinds, types = "", machines.asked(self.types)
        if types is not None:
            kinds = f" AND e.type = ANY ({literals(sorted(types))})"
        id_ = ", e.id::text" if self.event_ids else ""
        if self.known_at is None:
            return (
                f"SELECT e.lead_id{id_}{columns} FROM profiles.events e"
                f" WHERE e.tenant_id = {tenant} AND e.lead_id {ids}{kinds}"
            )
        past_id = ", e.event_id::text" if self.event_ids else ""
        return (
            "WITH members AS ("
            "SELECT id, lead_id FROM profiles.identities"
            f" WHERE tenant_id = {tenant} AND lead_id {ids} AND {self._since}"
            " UNION ALL SELECT identity_id, lead_id FROM profiles.past_memberships"
            f" WHERE tenant_id = {tenant} AND lead_id {ids} AND {self._while})"
            f" SELECT m.lead_id{id_}{columns} FROM members m"
            f" JOIN profiles.events e ON e.tenant_id = {tenant} AND e.identity_id = m.id"
            f" WHERE e.tenant_id = {tenant} AND {self._since}{kinds}"
            f" UNION ALL SELECT m.lead_id{past_id}{columns} FROM members m"
            f" JOIN profiles.past_events e ON e.tenant_id = {tenant} AND e.identity_id = m.id"
            f" WHERE e.tenant_id = {tenant} AND {self._while}{kinds}"
        )

    @property
    def _since(self) -> str:
        return f"known_at <= {_instant(self.known_at)}"

    @property
    def _while(self) -> str:
        return f"{self._since} AND until > {_instant(self.known_at)}"


def _standing(cursor: adbc.Cursor, tenant_id: int) -> tuple[marks.Marks, frozenset[str]]:
    """What is kept out of scoring, and the signs of machines that are not looked for."""
    rows = select(cursor, marks.READ.format(tenant=int(tenant_id)), {"kind": pl.String(), "text": pl.String()})
    return marks.as_read(rows.rows())


def _among(lead_ids: Leads) -> str:
    if isinstance(lead_ids, range):
        return f"BETWEEN {lead_ids.start} AND {lead_ids.stop - 1}"
    return f"= ANY (ARRAY[{','.join(str(min(int(lead_id), LARGEST_ID)) for lead_id in lead_ids)}]::bigint[])"


def _instant(at: datetime | None) -> str:
    assert at is not None  # noqa: S101 # asked for only where an instant is given
    return f"'{at.astimezone(UTC).isoformat()}'::timestamptz"


def _trait(name: str) -> str:
    own = f"l.traits ->> {literal(name)}"
    if name.startswith(_COMPANY):
        return f"COALESCE(c.traits ->> {literal(name.removeprefix(_COMPANY))}, {own})"
    return own


def select(cursor: adbc.Cursor, query: str, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    """What a statement finds, under these names and as these types."""
    cursor.execute(query)
    frame = pl.DataFrame(cursor.fetch_arrow())
    # Named by position in SQL: two names that differ only beyond the 63rd byte would be one to PostgreSQL.
    frame.columns = list(columns)
    return frame.cast(pl.Schema(columns))


@contextmanager
def transaction(tenant_id: int, *statements: str) -> Iterator[adbc.Cursor]:
    """One transaction that sees one tenant, on an Arrow connection of its own; it begins with these statements."""
    url = engine().url.set(drivername="postgresql").render_as_string(hide_password=False)
    idle = _idle.setdefault((os.getpid(), url), [])
    connection = _entered(url, idle, tenant_id)
    try:
        for statement in statements:
            _execute(connection, statement)
        with connection.cursor() as cursor:
            yield cursor
        connection.rollback()
    except BaseException:
        _close(connection)
        raise
    idle.append(connection)
    while len(idle) > MOST_IDLE and (oldest := _taken(idle, 0)) is not None:
        _close(oldest)


def _entered(url: str, idle: list[adbc.Connection], tenant_id: int) -> adbc.Connection:
    entry = f"SET LOCAL app.tenant_id = '{int(tenant_id)}'"
    while (latest := _taken(idle, -1)) is not None:
        try:
            return _execute(latest, entry)
        except adbc.Error:
            # The server was restarted meanwhile.
            _close(latest)
    return _execute(adbc.connect(url), entry)


def _taken(idle: list[adbc.Connection], place: int) -> adbc.Connection | None:
    """One of those that other threads may be taking, too."""
    try:
        return idle.pop(place)
    except IndexError:
        return None


def _execute(connection: adbc.Connection, statement: str) -> adbc.Connection:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    return connection


def _close(connection: adbc.Connection) -> None:
    with suppress(adbc.Error):
        connection.close()
