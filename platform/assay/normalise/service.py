"""Works off waiting messages, in the caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay import facts, plugins
from assay.intake.models import Message, Waiting
from assay.intake.retention import between
from assay.normalise.models import DeadLetter
from assay.normalise.own import Own
from assay.normalise.understanding import Kept, Letter, Normalised, Understood, letter, understand
from assay.syncing import fetching
from assay_sdk import Fetch
from assay_sdk import Source as PluginSource
from assay_tenants.connections.models import Connection
from assay_tenants.database import tenant_session
from assay_tenants.models import Source

# A message may hold 500 KB and 2,500 events: memory is bounded by bytes, whatever the number of messages.
BYTES = 1024 * 1024
# Bounds the transaction when nothing but dead letters comes.
MAX_TURNS = 20
FIRST_LOOK = 64

# A message may have changed its class since it came.
_FETCH = text(f"""
    SELECT id, received_at, source_id, call, body, places
      FROM (SELECT w.id, w.received_at, m.source_id, m.call, m.body, m.places,
                   sum(octet_length(m.body)) OVER (ORDER BY w.received_at, w.id) - octet_length(m.body) AS bytes_before
              FROM unnest(CAST(:ids AS uuid[]), CAST(:instants AS timestamptz[])) AS w (id, received_at)
              LEFT JOIN ({between("messages", "id, received_at, source_id, call, body, places")}) AS m
                ON m.id = w.id AND m.received_at = w.received_at) AS sized
     WHERE bytes_before < :max_bytes OR body IS NULL
     ORDER BY received_at, id
""")  # noqa: S608 # of classes that are constants
_DONE = text("""
    DELETE FROM intake.waiting w
     USING unnest(CAST(:ids AS uuid[]), CAST(:instants AS timestamptz[])) AS done (id, received_at)
     WHERE w.tenant_id = :tenant_id AND w.message_id = done.id AND w.received_at = done.received_at
""")

OWN = Own()

log = structlog.get_logger()


@dataclass(frozen=True)
class Named:
    """What a message names without saying what is in it."""

    message_id: UUID
    received_at: datetime
    source_id: int
    fetch: Fetch


def take(
    session: Session,
    tenant_id: int,
    limit: int,
    *,
    max_bytes: int = BYTES,
    refused: set[UUID] | None = None,
    named: list[Named] | None = None,
) -> list[Normalised]:
    """The records of the oldest waiting messages, of at most ``limit`` of them and about ``max_bytes``.

    They wait no longer once the caller's transaction commits. What can't be understood becomes a dead letter in the
    same transaction, and the ids of its messages are added to ``refused``. What has yet to be fetched is added to
    ``named``, for the caller to ``want``; without it that is wanted at once. Others who take at the same time get other
    messages. Empty when nothing waits.
    """
    records: list[Normalised] = []
    found: list[Named] = [] if named is None else named
    messages = size = 0
    wanted = FIRST_LOOK
    for _ in range(MAX_TURNS):
        wanted = min(wanted, limit - messages)
        waiting = _lock(session, tenant_id, wanted)
        if not waiting:
            break
        bodies = _fetch(session, tenant_id, waiting, max_bytes=max_bytes - size)
        records += _understand_all(session, tenant_id, bodies, set() if refused is None else refused, found)
        messages += len(bodies)
        size += sum(len(row.body or b"") for row in bodies)
        if len(waiting) < wanted or (records and (messages >= limit or size >= max_bytes)):
            break
        if not records:
            messages = size = 0
        # No more is locked than will be taken: a lock is a write.
        wanted = max(1, int((max_bytes - size) * messages / size)) if size else FIRST_LOOK
    if named is None:
        want(session, tenant_id, found)
    return records


def want(session: Session, tenant_id: int, named: Sequence[Named]) -> None:
    """Has these fetched soon."""
    fetching.want(session, tenant_id, [(each.source_id, each.fetch) for each in named])


def refuse(session: Session, tenant_id: int, refused: Sequence[tuple[Normalised, str]]) -> None:
    """Dead letters for records that were understood, yet could not be kept."""
    taken = _last_positions(session, tenant_id, {record.message_id for record, _ in refused if record.message_id})
    letters = []
    for record, reason in refused:
        if record.message_id is None:
            continue
        position = taken[record.message_id] = taken.get(record.message_id, -1) + 1
        letters.append(
            {
                "tenant_id": tenant_id,
                "message_id": record.message_id,
                "received_at": record.received_at,
                "source_id": record.source_id,
                **asdict(letter(reason, position=position, excerpt=repr(record.record))),
            }
        )
    if letters:
        session.execute(insert(DeadLetter), letters)


def _last_positions(session: Session, tenant_id: int, message_ids: Collection[UUID]) -> dict[UUID, int]:
    query = (
        select(DeadLetter.message_id, func.max(DeadLetter.position))
        .where(DeadLetter.tenant_id == tenant_id, DeadLetter.message_id.in_(message_ids))
        .group_by(DeadLetter.message_id)
    )
    return {row[0]: row[1] for row in session.execute(query)} if message_ids else {}


def replay(tenant_id: int, message_ids: Sequence[UUID]) -> int:
    """Has messages understood again, say by a plugin that was mended; tells how many there are.

    Events that were understood before are recognised by their ids and change nothing.
    """
    with tenant_session(tenant_id) as session:
        query = select(Message.tenant_id, Message.received_at, Message.id).where(
            Message.tenant_id == tenant_id, Message.id.in_(message_ids)
        )
        found = session.execute(query).all()
        if found:
            rows = [{"tenant_id": tenant_id, "received_at": row.received_at, "message_id": row.id} for row in found]
            session.execute(insert(Waiting).on_conflict_do_nothing(), rows)
            facts.tell_after_commit(session, facts.MessagesKept(tenant_id))
    return len(found)


def _lock(session: Session, tenant_id: int, limit: int) -> Sequence[Row[UUID, datetime]]:
    return session.execute(
        select(Waiting.message_id, Waiting.received_at)
        .where(Waiting.tenant_id == tenant_id)
        .order_by(Waiting.received_at, Waiting.message_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def _fetch(
    session: Session, tenant_id: int, waiting: Sequence[Row[UUID, datetime]], *, max_bytes: int
) -> Sequence[Row[Any]]:
    asked = {
        "tenant_id": tenant_id,
        "ids": [row.message_id for row in waiting],
        "instants": [row.received_at for row in waiting],
        "first": waiting[0].received_at,
        "last": waiting[-1].received_at,
        "max_bytes": max_bytes,
    }
    found = session.execute(_FETCH, asked).all()
    if any(row.body is None for row in found):
        # Planned while a missing partition was made and its rows moved into it: another look knows where they are.
        found = session.execute(_FETCH, asked).all()
    return found


def _understand_all(
    session: Session, tenant_id: int, rows: Sequence[Row[Any]], with_letters: set[UUID], named: list[Named]
) -> list[Normalised]:
    names, settings = plugin_names(session, tenant_id), _settings(session, tenant_id)
    records: list[Normalised] = []
    letters: list[tuple[Kept, Letter]] = []
    for row in rows:
        if row.body is None:
            log.error("normalise.message_lost", tenant_id=tenant_id, message_id=str(row.id))
            continue
        filled_in = settings.get(row.source_id, {})
        message = Kept(row.id, row.source_id, row.received_at, row.call, row.body, row.places, filled_in)
        understood = _understand(message, names.get(row.source_id))
        records += understood.records
        letters += [(message, one) for one in understood.letters]
        named += [Named(row.id, row.received_at, row.source_id, fetch) for fetch in understood.fetches]
    with_letters |= {message.id for message, _ in letters}
    _write_letters(session, tenant_id, [row.id for row in rows], letters)
    session.execute(
        _DONE,
        {
            "tenant_id": tenant_id,
            "ids": [row.id for row in rows],
            "instants": [row.received_at for row in rows],
        },
    )
    return records


def plugin_names(session: Session, tenant_id: int) -> dict[int, str]:
    """By source."""
    sources = session.execute(select(Source.id, Source.plugin).where(Source.tenant_id == tenant_id))
    return {source.id: source.plugin for source in sources}


def _settings(session: Session, tenant_id: int) -> dict[int, dict[str, Any]]:
    """Of connections that have any, by source: what was filled in, without secrets."""
    rows = session.execute(
        select(Source.id, Connection.settings)
        .join(Connection, (Connection.tenant_id == Source.tenant_id) & (Connection.id == Source.connection_id))
        .where(Source.tenant_id == tenant_id, Connection.tenant_id == tenant_id)
    )
    return {row.id: row.settings for row in rows if row.settings}


def reader(plugin: str | None) -> PluginSource:
    """What reads the messages of this plugin; raises NoSuchSourceError where it is not installed."""
    return OWN if plugin == OWN.name else plugins.installed().source(plugin or "")


def _understand(message: Kept, plugin: str | None) -> Understood:
    try:
        source = reader(plugin)
    except plugins.NoSuchSourceError as error:
        excerpt = message.body[:300].decode(errors="replace")
        reason = f"{error} Install it, and replay the message."
        return Understood([], [letter(reason, position=0, excerpt=excerpt, kind="plugin_missing")], [])
    return understand(message, source)


def _write_letters(
    session: Session, tenant_id: int, message_ids: list[UUID], letters: list[tuple[Kept, Letter]]
) -> None:
    # A message that is read again, by a plugin that learned more, leaves no letters of its first reading.
    session.execute(delete(DeadLetter).where(DeadLetter.tenant_id == tenant_id, DeadLetter.message_id.in_(message_ids)))
    if letters:
        session.execute(
            insert(DeadLetter),
            [
                {
                    "tenant_id": tenant_id,
                    "message_id": message.id,
                    "received_at": message.received_at,
                    "source_id": message.source_id,
                    **asdict(one),
                }
                for message, one in letters
            ],
        )
