"""Raw messages and dead letters, without what is about a person."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.normalise import plugin_names
from assay.privacy.needles import Needles
from assay.privacy.steps import Erasing
from assay.profiles.erasing.scrubbing import scrub
from assay.profiles.erasing.sifting import Place, kept_of, messages_at, source_of, store

#: Looked through in one transaction.
ROWS = 1_000
BYTES = 16 * 1024 * 1024
LETTERS = 5_000

_NEXT = text("""
    SELECT m.id, m.received_at, octet_length(m.body) AS size FROM intake.messages m
    WHERE m.tenant_id = :tenant_id AND m.id > :after ORDER BY m.id LIMIT :rows
""")
_BODIES = text("""
    SELECT m.id, m.received_at, m.body FROM intake.messages m
    WHERE m.tenant_id = :tenant_id AND m.id > :after AND m.id <= :last ORDER BY m.id
""")
_THIS = "w.tenant_id = :tenant_id AND w.message_id = :id AND w.received_at = :received_at"
# Not waited for: who reads a message holds this row, and then wants the message that is held here.
_FREE = text(f"SELECT w.message_id FROM intake.waiting w WHERE {_THIS} FOR UPDATE SKIP LOCKED")  # noqa: S608 # constant
_WAITS = text(f"SELECT EXISTS (SELECT FROM intake.waiting w WHERE {_THIS})")  # noqa: S608 # of the constant above
_NOT_WAITING = text(f"DELETE FROM intake.waiting w WHERE {_THIS}")  # noqa: S608 # of the constant above
_LETTERS = text("""
    SELECT d.message_id, d.position, d.excerpt, d.reason, d.field FROM intake.dead_letters d
    WHERE d.tenant_id = :tenant_id AND (d.message_id, d.position) > (:message_id, :position)
    ORDER BY d.message_id, d.position LIMIT :rows
""")
_FORGET = """
    DELETE FROM intake.dead_letters d
    USING unnest(CAST(:messages AS uuid[]), CAST(:positions AS integer[])) AS gone (message_id, position)
    WHERE d.tenant_id = :tenant_id AND d.message_id = gone.message_id AND d.position = gone.position
"""


def messages(erasing: Erasing) -> None:
    """The next ones, by their ids, which sort by time. Those that come meanwhile are looked at when they are read."""
    session, tenant_id = erasing.session, erasing.tenant_id
    after = UUID(erasing.place) if erasing.place else UUID(int=0)
    named, last = _named(session, tenant_id, erasing.needles, after)
    if named:
        _scrub(erasing, named)
    erasing.place = str(last) if last else None


def letters(erasing: Erasing) -> None:
    """Also of messages that are no longer kept."""
    after = erasing.place or [str(UUID(int=0)), -1]
    asked = {
        "tenant_id": erasing.tenant_id,
        "message_id": UUID(after[0]),
        "position": after[1],
        "rows": LETTERS,
    }
    found = erasing.session.execute(_LETTERS, asked).all()
    texts = [f"{row.excerpt}\n{row.reason}\n{row.field or ''}" for row in found]
    gone = [
        row
        for row, maybe in zip(found, erasing.needles.rough(texts), strict=True)
        if maybe and any(erasing.needles.names(told) for told in (row.excerpt, row.reason, row.field))
    ]
    if gone:
        places = {"messages": [row.message_id for row in gone], "positions": [row.position for row in gone]}
        erasing.run("intake.dead_letters", _FORGET, **places)
    erasing.place = [str(found[-1].message_id), found[-1].position] if len(found) == LETTERS else None


def items_of(
    session: Session, tenant_id: int, needles: Needles, after: UUID
) -> tuple[list[tuple[UUID, bytes]], UUID | None]:
    """The person's own items in the next messages, each with its message's id; None at the end of all."""
    named, last = _named(session, tenant_id, needles, after)
    names = plugin_names(session, tenant_id)
    items: list[tuple[UUID, bytes]] = []
    for row in messages_at(session, tenant_id, named, lock=False):
        found = scrub(kept_of(row), source_of(names, row.source_id), needles.keys)
        if found is not None:
            items += ((row.id, item) for item in found.gone)
    return items, last


def _named(session: Session, tenant_id: int, needles: Needles, after: UUID) -> tuple[list[Place], UUID | None]:
    """Of the next messages those that may name the person, and the last one looked at; None when there are no more."""
    sizes = session.execute(_NEXT, {"tenant_id": tenant_id, "after": after, "rows": ROWS}).all()
    if not sizes:
        return [], None
    size, last = 0, sizes[0].id
    for row in sizes:
        size += row.size
        if size > BYTES and row is not sizes[0]:
            break
        last = row.id
    bodies = session.execute(_BODIES, {"tenant_id": tenant_id, "after": after, "last": last}).all()
    texts = [bytes(row.body).decode(errors="replace") for row in bodies]
    hits = needles.rough(texts)
    places = [Place(row.id, row.received_at) for row, hit in zip(bodies, hits, strict=True) if hit]
    return places, None if last == sizes[-1].id and len(sizes) < ROWS else last


def _scrub(erasing: Erasing, places: list[Place]) -> None:
    session, tenant_id = erasing.session, erasing.tenant_id
    names = plugin_names(session, tenant_id)
    for row in messages_at(session, tenant_id, places):
        found = scrub(kept_of(row), source_of(names, row.source_id), erasing.keys)
        if found is None:
            continue
        if found.body is None and _waits(erasing, row.id, row.received_at):
            # Whoever reads it just now turns it away, and then it is gone.
            continue
        store(session, tenant_id, row, found)
        erasing.count("intake.messages", 1)


def _waits(erasing: Erasing, message_id: UUID, received_at: datetime) -> bool:
    """Whether a message is being read; one that waits for it waits no longer."""
    asked = {"tenant_id": erasing.tenant_id, "id": message_id, "received_at": received_at}
    if erasing.session.execute(_FREE, asked).one_or_none():
        erasing.session.execute(_NOT_WAITING, asked)
        return False
    return bool(erasing.session.execute(_WAITS, asked).scalar_one())
