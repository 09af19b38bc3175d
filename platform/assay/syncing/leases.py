"""Who does what is due: work is leased for a while, and what is leased by somebody who died is due again.

A lease is the row's ``leased_until``; its ``due_at`` is put there too, so that nobody looks at the row meanwhile. What
was worked out is written by whoever still has the lease, and by nobody else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from assay.syncing import circuits, fetching
from assay_sdk import TryLater
from assay_tenants.database import tenant_session

#: Of what asks nothing of its vendor for so long, the worker is believed to be dead.
LEASE = timedelta(minutes=2)
#: Before a call to the vendor, a lease that ends sooner is made longer.
ENOUGH = LEASE * 0.75
#: Of one page, however many calls it takes.
LONGEST = timedelta(minutes=15)
#: A connection that needs a person is looked at this often, should somebody mend it without telling us.
RESTING = timedelta(hours=1)
#: Rows looked at in one go.
LOOK = 50

Kind = Literal["pull", "fetch", "care"]


@dataclass
class Errand:
    """A piece of work for one connection, leased."""

    tenant_id: int
    connection_id: int
    plugin: str
    kind: Kind
    #: The stream, or the kind of records; empty for looking after the subscription.
    name: str
    #: Grows as the work goes on.
    leased_until: datetime
    #: Of a fetch: the records, each with how often it was asked for.
    wanted: Mapping[str, int] = field(default_factory=dict)
    #: Of an open circuit: it tries for all, until then.
    probe: datetime | None = None
    #: Of the page that it is at.
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def mine(self) -> dict[str, Any]:
        """What tells the row, and that it is still leased to this one."""
        return {
            "tenant_id": self.tenant_id,
            "connection_id": self.connection_id,
            "name": self.name,
            "ids": list(self.wanted),
            "mine": self.leased_until,
        }


class LeaseLost(Exception):
    """It took too long, or somebody changed the row meanwhile: what was worked out is not written."""


class Slots(Protocol):
    """How much may be done at once."""

    def full(self, tenant_id: int) -> list[str]:
        """Plugins that have no slot left; a tenant that may have to wait for one is told of it."""

    def take(self, tenant_id: int, plugin: str) -> bool:
        """Whether there is one; then it is taken."""

    def give_back(self, tenant_id: int, plugin: str) -> None: ...


_LINK = """
    JOIN intake.links l ON l.tenant_id = :tenant_id AND l.connection_id = d.connection_id
    JOIN tenancy.connections c ON c.tenant_id = :tenant_id AND c.id = d.connection_id
"""
_OF_LINK = "l.plugin, l.paused_at, l.open_until, c.state"
_DUE: dict[Kind, Any] = {
    "care": text(f"""
        SELECT d.connection_id, '' AS name, d.due_at, {_OF_LINK} FROM intake.links d {_LINK}
         WHERE d.tenant_id = :tenant_id AND d.due_at <= :now AND l.plugin <> ALL(:full)
         ORDER BY d.due_at LIMIT :look FOR NO KEY UPDATE OF d SKIP LOCKED
    """),  # noqa: S608 # of constants
    "fetch": text(f"""
        SELECT d.connection_id, d.kind AS name, min(d.due_at) AS due_at, {_OF_LINK} FROM intake.wanted d {_LINK}
         WHERE d.tenant_id = :tenant_id AND d.due_at <= :now AND l.plugin <> ALL(:full)
         GROUP BY d.connection_id, d.kind, {_OF_LINK} ORDER BY min(d.due_at) LIMIT :look
    """),  # noqa: S608 # of constants
    "pull": text(f"""
        SELECT d.connection_id, d.name, d.due_at, {_OF_LINK} FROM intake.streams d {_LINK}
         WHERE d.tenant_id = :tenant_id AND d.due_at <= :now AND l.plugin <> ALL(:full)
         ORDER BY d.due_at LIMIT :look FOR NO KEY UPDATE OF d SKIP LOCKED
    """),  # noqa: S608 # of constants
}
#: By kind: the table, and the condition that tells the row.
_ROWS: dict[Kind, tuple[str, str]] = {
    "care": ("intake.links", "TRUE"),
    "fetch": ("intake.wanted", "kind = :name"),
    "pull": ("intake.streams", "name = :name"),
}
_TAKE: dict[Kind, Any] = {
    kind: text(f"""
        UPDATE {_ROWS[kind][0]} SET leased_until = :until, due_at = :until
         WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND {_ROWS[kind][1]} AND due_at <= :now
    """)  # noqa: S608 # of constants
    for kind in _ROWS
}
_PUT_OFF: dict[Kind, Any] = {
    kind: text(f"""
        UPDATE {table} SET due_at = :until
         WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND {row} AND due_at <= :now
    """)  # noqa: S608 # of constants
    for kind, (table, row) in _ROWS.items()
}


def claim(tenant_id: int, slots: Slots) -> list[Errand]:
    """What is due for a tenant and finds a slot, leased.

    What can't be done now, because its vendor is left alone or a person has to act, is put off.
    """
    now = datetime.now(UTC)
    errands: list[Errand] = []
    try:
        with tenant_session(tenant_id) as session:
            asked = {"tenant_id": tenant_id, "now": now, "look": LOOK, "full": slots.full(tenant_id)}
            due = [(kind, row) for kind, query in _DUE.items() for row in session.execute(query, asked)]
            # What has waited longest comes first, whatever it is: a flood of notices keeps no stream from its turn.
            due.sort(key=lambda each: each[1].due_at)
            # One by one: those that were claimed before an error give back their slots.
            errands.extend(_claimed(session, tenant_id, due, now, slots))
    except BaseException:
        for errand in errands:
            slots.give_back(tenant_id, errand.plugin)
        raise
    return errands


def _claimed(
    session: Session, tenant_id: int, due: Sequence[tuple[Kind, Row[Any]]], now: datetime, slots: Slots
) -> Iterator[Errand]:
    for kind, row in due:
        whose = {"tenant_id": tenant_id, "connection_id": row.connection_id, "name": row.name, "now": now}
        wait = _wait(row, now)
        if wait is not None and wait > now:
            session.execute(_PUT_OFF[kind], {**whose, "until": wait})
            continue
        if not slots.take(tenant_id, row.plugin):
            continue
        probe = circuits.probe(session, tenant_id, row.connection_id) if wait is not None else None
        if wait is not None and probe is None:
            slots.give_back(tenant_id, row.plugin)
            session.execute(_PUT_OFF[kind], {**whose, "until": now + circuits.PROBE})
            continue
        until = now + LEASE
        wanted: Mapping[str, int] = {}
        if kind == "fetch":
            wanted = fetching.take(session, tenant_id, row.connection_id, row.plugin, row.name, now=now, until=until)
            if not wanted:
                slots.give_back(tenant_id, row.plugin)
                continue
        else:
            session.execute(_TAKE[kind], {**whose, "until": until})
        yield Errand(tenant_id, row.connection_id, row.plugin, kind, row.name, until, wanted, probe)


def _wait(row: Row[Any], now: datetime) -> datetime | None:
    """Until when the connection is left alone; None: it is not."""
    if row.paused_at is not None or row.state != "connected":
        return now + RESTING
    until: datetime | None = row.open_until
    return until


_FAILED: dict[Kind, Any] = {
    "pull": text("""
        UPDATE intake.streams
           SET error = :error, failures = failures + :counted, last_run_at = :now, due_at = :due_at, leased_until = NULL
         WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND name = :name AND leased_until = :mine
    """),
    "fetch": text("""
        UPDATE intake.wanted
           SET error = :error, attempts = attempts + :counted, leased_until = NULL,
               due_at = CASE WHEN attempts + :counted >= :most THEN NULL ELSE :due_at END
         WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND kind = :name AND record_id = ANY(:ids)
           AND leased_until = :mine
    """),
    "care": text("""
        UPDATE intake.links SET subscribe_error = :error, due_at = :due_at, leased_until = NULL
         WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND leased_until = :mine
    """),
}
_LATER: dict[Kind, Any] = {
    kind: text(f"""
        UPDATE {_ROWS[kind][0]} SET due_at = :due_at, leased_until = NULL
         WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND {_ROWS[kind][1]}
           AND leased_until = :mine
    """)  # noqa: S608 # of constants
    for kind in _ROWS
}


_MINE: dict[Kind, str] = {
    kind: f"tenant_id = :tenant_id AND connection_id = :connection_id AND {row} AND leased_until = :mine"
    + (" AND record_id = ANY(:ids)" if kind == "fetch" else "")
    for kind, (_, row) in _ROWS.items()
}
_HELD: dict[Kind, Any] = {
    kind: text(f"SELECT EXISTS (SELECT FROM {_ROWS[kind][0]} WHERE {mine})")  # noqa: S608 # of constants
    for kind, mine in _MINE.items()
}
_RENEW: dict[Kind, Any] = {
    kind: text(f"UPDATE {_ROWS[kind][0]} SET leased_until = :until, due_at = :until WHERE {mine}")  # noqa: S608 # of constants
    for kind, mine in _MINE.items()
}


def renew(errand: Errand) -> None:
    """Before each call to the vendor, and before anything is kept of it: whoever goes on keeps the lease, and whoever
    lost it asks no more.

    Raises LeaseLost; TryLater of a page that does not come to an end.
    """
    now = datetime.now(UTC)
    if errand.leased_until - now >= ENOUGH:
        with tenant_session(errand.tenant_id) as session:
            if not session.scalar(_HELD[errand.kind], errand.mine):
                raise LeaseLost
        return
    if now - errand.began >= LONGEST:
        raise TryLater(f"One page of it took longer than {LONGEST.total_seconds() / 60:.0f} minutes.")
    until = now + LEASE
    with tenant_session(errand.tenant_id) as session:
        renewed = session.execute(_RENEW[errand.kind], {**errand.mine, "until": until})
    if not renewed.rowcount:  # type: ignore[attr-defined] # an UPDATE has a cursor
        raise LeaseLost
    errand.leased_until = until


def give_back(session: Session, errand: Errand, due_at: datetime) -> None:
    """It was not done, for no fault of its own."""
    session.execute(_LATER[errand.kind], {**errand.mine, "due_at": due_at})


def note_failure(
    session: Session, errand: Errand, error: str, due_at: datetime, *, most: int, is_counted: bool = True
) -> None:
    """It failed; of records that were tried ``most`` times, none is tried again by itself."""
    session.execute(
        _FAILED[errand.kind],
        {
            **errand.mine,
            "error": error[: circuits.ERROR_LENGTH],
            "now": datetime.now(UTC),
            "due_at": due_at,
            "counted": int(is_counted),
            "most": most,
        },
    )
