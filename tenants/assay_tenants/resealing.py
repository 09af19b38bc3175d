"""The ring of keys turns: all that is sealed under an old key is sealed anew under the first, in the background.

Every registered column is walked tenant by tenant, a few rows to a transaction, each row replaced only if it is still
what was read. Where the walk has come to is kept, so it goes on after a restart. Of processes with different rings the
one whose first key came last does the work; the others leave it, so that no two undo each other's.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import BigInteger, LargeBinary, Text, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Mapped, Session, mapped_column

from assay_tenants import sealing
from assay_tenants.database import Base, directory_session, tenant_session
from assay_tenants.models import Instant
from assay_tenants.sealing import SealedColumn, SealingError

log = structlog.get_logger()

#: Modules that register sealed columns; those of later storeys are added by `look_in`.
HOMES = [
    "assay_tenants.connections.models",
    "assay_tenants.factors.models",
    "assay_tenants.oauth.signing",
    "assay_tenants.sso.models",
]
TURN = timedelta(seconds=20)
#: What a process with an old ring has sealed meanwhile is found after this.
AGAIN_AFTER = timedelta(days=1)
#: The same when rows were locked, or could not be opened.
AGAIN_SOON = timedelta(minutes=10)
_ROWS = 100
_TENANTS = 500


class SealingKey(Base):
    """A key of some process's ring: its id, and what tells it from another key of that id."""

    __tablename__ = "sealing_keys"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}  # noqa: RUF012 # SQLAlchemy reads it once

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    check_value: Mapped[bytes] = mapped_column(LargeBinary)
    #: Since when it was the first of a ring; None for one that only ever opened.
    newest_at: Mapped[datetime | None] = mapped_column(Instant)


class Resealing(Base):
    """How far a column has been walked."""

    __tablename__ = "resealings"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}  # noqa: RUF012 # as above

    column_name: Mapped[str] = mapped_column(Text, primary_key=True)
    #: Under which all of it is being sealed.
    key_id: Mapped[str] = mapped_column(Text)
    #: Tenants up to this one are done.
    after_tenant: Mapped[int] = mapped_column(BigInteger)
    #: Rows that were locked or did not open.
    left_over: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)


class OtherKey(SealingError):
    """This process would seal what no other can open."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"The key {key_id!r} in ASSAY_SEALING_KEYS of this process is another than the one that processes of this "
            "installation have under that id. Give all the same list; a new key needs a new id."
        )


@dataclass(frozen=True)
class Standing:
    """How many values are sealed under each key, by the key's id; under None what is no sealed value."""

    values: Counter[str | None]

    @property
    def missing(self) -> list[str]:
        """Keys that values need and this process has not got."""
        return sorted(key for key in self.values if key is not None and key not in sealing.ring().keys)

    @property
    def free(self) -> list[str]:
        """Old keys of this process's ring that nothing is sealed under."""
        keys = sealing.ring()
        return [key for key in keys.keys if key != keys.newest and not self.values[key]]


def announce() -> None:
    """Tells the installation which keys this process has; raises OtherKey when one of them is another than others'."""
    keys, now = sealing.ring(), datetime.now(UTC)
    try:
        with directory_session() as session:
            known = {key.id: key for key in session.scalars(select(SealingKey))}
            for key_id in keys.keys:
                if key_id in known and known[key_id].check_value != keys.check_of(key_id):  # no secret, and not typed
                    raise OtherKey(key_id)
            values = [
                {
                    "id": key_id,
                    "check_value": keys.check_of(key_id),
                    "newest_at": now if key_id == keys.newest else None,
                }
                for key_id in keys.keys
                if key_id not in known or (key_id == keys.newest and known[key_id].newest_at is None)
            ]
            if values:
                statement = insert(SealingKey).values(values)
                session.execute(
                    statement.on_conflict_do_update(
                        index_elements=["id"],
                        set_={"newest_at": statement.excluded.newest_at},
                        where=SealingKey.newest_at.is_(None) & statement.excluded.newest_at.is_not(None),
                    )
                )
    except ProgrammingError as error:
        # Before the first `assay migrate`, of which others complain in better words.
        log.warning("sealing.not_announced", error=str(error.orig).partition("\n")[0])


def reseal(*, turn: timedelta = TURN) -> int:
    """Goes on with what there is to seal anew, for about ``turn``; tells how many values it was."""
    load()
    if not _ours_is_newest():
        log.info("resealing.left_to_others", key=sealing.ring().newest)
        return 0
    until, done = monotonic() + turn.total_seconds(), 0
    for column in sealing.columns():
        try:
            resealed = _walk(column, until)
        except ProgrammingError as error:
            # A column that can't be reached must not keep the others under an old key.
            reason = str(error.orig).partition("\n")[0]
            log.error("resealing.failed", column=column.name, error=reason)  # noqa: TRY400 # the trace tells nothing more
            continue
        if resealed:
            log.info("resealing.done", column=column.name, values=resealed)
        done += resealed
    return done


def stand() -> Standing:
    """Counts all sealed values of the installation by their keys: a statement for each tenant."""
    load()
    values: Counter[str | None] = Counter()
    columns = list(sealing.columns())
    for door in (column for column in columns if column.door == "directory"):
        with directory_session() as session:
            values += _counted(session, door, None)
    of_tenants = [column for column in columns if column.door == "tenant"]
    after = -1
    while of_tenants and (tenants := _tenants(after)):
        for tenant_id in tenants:
            with tenant_session(tenant_id) as session:
                for column in of_tenants:
                    values += _counted(session, column, tenant_id)
        after = tenants[-1]
    return Standing(values)


def load() -> None:
    for module in HOMES:
        import_module(module)


def look_in(*modules: str) -> None:
    """These modules register sealed columns too."""
    HOMES.extend(module for module in modules if module not in HOMES)


def _walk(column: SealedColumn, until: float) -> int:
    done, progress = 0, _resume(column)
    while progress is not None and monotonic() < until:
        resealed, progress = _step(column, progress, until)
        done += resealed
    return done


def _ours_is_newest() -> bool:
    newest = sealing.ring().newest
    with directory_session() as session:
        last = session.scalars(
            select(SealingKey.id)
            .where(SealingKey.newest_at.is_not(None))
            .order_by(SealingKey.newest_at.desc())
            .limit(1)
        ).one_or_none()
    return last is None or last == newest


def _resume(column: SealedColumn) -> Resealing | None:
    """Where to go on; None when all is done for now."""
    newest, now = sealing.ring().newest, datetime.now(UTC)
    with directory_session() as session:
        progress = session.get(Resealing, column.name)
        if progress is not None and progress.key_id == newest:
            if progress.ended_at is None:
                return progress
            if now - progress.ended_at < (AGAIN_SOON if progress.left_over else AGAIN_AFTER):
                return None
        if progress is None:
            progress = Resealing(column_name=column.name)
            session.add(progress)
        progress.key_id, progress.after_tenant, progress.left_over, progress.ended_at = newest, -1, 0, None
    return progress


def _step(column: SealedColumn, progress: Resealing, until: float) -> tuple[int, Resealing | None]:
    """Some tenants' rows, or all of the directory's; with where to go on."""
    done = left = 0
    tenants: Sequence[int | None] = [None] if column.door == "directory" else _tenants(progress.after_tenant)
    after = progress.after_tenant
    for tenant_id in tenants:
        resealed, remaining = _reseal_rows(column, tenant_id)
        done, left = done + resealed, left + remaining
        after = after if tenant_id is None else tenant_id
        if monotonic() >= until:
            break
    with directory_session() as session:
        row = session.get_one(Resealing, column.name)
        row.after_tenant = after
        row.left_over += left
        has_ended = column.door == "directory" or not tenants
        row.ended_at = datetime.now(UTC) if has_ended else None
    if has_ended and row.left_over:
        log.warning("resealing.left_over", column=column.name, values=row.left_over)
    return done, None if has_ended else row


def _reseal_rows(column: SealedColumn, tenant_id: int | None) -> tuple[int, int]:
    """How many rows were sealed anew, and how many still are as they were."""
    newest = sealing.prefix_of(sealing.ring().newest)
    done, last = 0, None
    while True:
        with _door(column, tenant_id) as session:
            rows = session.execute(
                text(_select(column, after=last is not None)),
                {"t": tenant_id, "n": len(newest), "p": newest, "limit": _ROWS, **_named("after", last or ())},
            ).all()
            for row in rows:
                last = tuple(row[: len(column.key)])
                done += _reseal_row(session, column, tenant_id, row)
            if not rows:
                count = text(f"SELECT count(*) FROM {column.table} WHERE {_old(column)}")  # noqa: S608 # our own names
                return done, session.execute(count, {"t": tenant_id, "n": len(newest), "p": newest}).scalar_one()


def _reseal_row(session: Session, column: SealedColumn, tenant_id: int | None, row: Any) -> int:
    width = len(column.key)
    sealed = bytes(row[width])
    bound = ":".join(str(value) for value in row[width + 1 :])
    owner = tenant_id or sealing.INSTALLATION
    try:
        plain = sealing.unseal(owner, column.purpose, sealed, row=bound)
    except SealingError as error:
        log.warning("resealing.not_opened", column=column.name, tenant_id=tenant_id, reason=str(error))
        return 0
    keys = " AND ".join(f"{name} = :key{number}" for number, name in enumerate(column.key))
    changed = session.execute(
        text(
            f"UPDATE {column.table} SET {column.column} = :new"  # noqa: S608 # names that our own modules registered
            f" WHERE {_whose(column)} AND {keys} AND {column.column} = :old"
        ),
        {
            "t": tenant_id,
            "new": sealing.seal(owner, column.purpose, plain, row=bound),
            "old": sealed,
            **_named("key", row[:width]),
        },
    )
    return int(getattr(changed, "rowcount", 0))


def _counted(session: Session, column: SealedColumn, tenant_id: int | None) -> Counter[str | None]:
    # A value's beginning names its key, and is nothing secret.
    of = column.column
    name = f"CASE WHEN length({of}) > 2 THEN substring({of} FOR 2 + get_byte({of}, 1)) END"
    rows = session.execute(
        text(
            f"SELECT {name}, count(*) FROM {column.table}"  # noqa: S608 # as above
            f" WHERE {_whose(column)} AND {of} IS NOT NULL GROUP BY 1"
        ),
        {"t": tenant_id},
    )
    counted: Counter[str | None] = Counter()
    for start, number in rows:
        counted[sealing.key_of(bytes(start or b"").ljust(128, b"\0"))] += number
    return counted


def _select(column: SealedColumn, *, after: bool) -> str:
    keys = ", ".join(column.key)
    beyond = f" AND ({keys}) > ({', '.join(f':after{n}' for n in range(len(column.key)))})" if after else ""
    return (
        f"SELECT {', '.join((*column.key, column.column, *column.row))} FROM {column.table}"  # noqa: S608 # as above
        f" WHERE {_old(column)}{beyond} ORDER BY {keys} LIMIT :limit FOR UPDATE SKIP LOCKED"
    )


def _old(column: SealedColumn) -> str:
    return f"{_whose(column)} AND {column.column} IS NOT NULL AND substring({column.column} FOR :n) <> :p"


def _whose(column: SealedColumn) -> str:
    return "tenant_id = :t" if column.door == "tenant" else "CAST(:t AS bigint) IS NULL"


def _named(word: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{word}{number}": value for number, value in enumerate(values)}


@contextmanager
def _door(column: SealedColumn, tenant_id: int | None) -> Iterator[Session]:
    entered: AbstractContextManager[Session] = directory_session() if tenant_id is None else tenant_session(tenant_id)
    with entered as session:
        yield session


def _tenants(after: int) -> list[int]:
    """The next tenants, the installation's own rows (0) before all."""
    with directory_session() as session:
        found = session.scalars(
            text("SELECT id FROM tenancy.tenants WHERE id > :after ORDER BY id LIMIT :limit"),
            {"after": after, "limit": _TENANTS},
        ).all()
    return [0, *found] if after < 0 else list(found)
