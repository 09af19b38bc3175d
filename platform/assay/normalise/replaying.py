"""Dead letters are read again after a mend, or dismissed: those of one message at once, all of a kind in rounds.

A round goes through its letters in bounded batches, each in a transaction of its own, from where it is: so it may be
stopped anywhere and goes on. Messages are only handed over, to be read by the stage that reads all messages; reading
one replaces its letters by those of the new reading, and events that were taken in before are recognised by their ids.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy import Row, delete, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay import facts
from assay.intake.models import Message, Waiting
from assay.intake.queries import find_message
from assay.normalise.models import Action, DeadLetter, LetterRound
from assay.normalise.queries import FOLLOW_INDEX, Wanted, fitting
from assay_tenants import audit
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError, Conflict, NotFound

#: Messages handed over in one transaction, and how many may wait meanwhile: live ones wait behind them.
MESSAGES = 500
MOST_WAITING = 2_000
#: Letters dismissed in one transaction.
LETTERS = 5_000
_OPEN = ("running", "reading")
_RECORDED: dict[Action, str] = {"replay": "dead_letters.replayed", "dismiss": "dead_letters.dismissed"}

_FORGET = text("""
    DELETE FROM intake.dead_letters d
    USING unnest(CAST(:ids AS uuid[]), CAST(:positions AS integer[])) AS gone (message_id, position)
    WHERE d.tenant_id = :tenant_id AND d.message_id = gone.message_id AND d.position = gone.position
""")

log = structlog.get_logger()


class MessageGone(AssayError):
    status = 410
    code = "message_gone"

    def __init__(self) -> None:
        super().__init__(
            "The message is no longer kept: its time of retention is over. It can't be read again or downloaded; its "
            "refusal can be dismissed, and its sender can send it again."
        )


def start(tenant_id: int, action: Action, *, by: str, kind: str, source_id: int | None = None) -> int:
    """Has all letters of a kind that there are by now read again or dismissed; gives the round's id.

    One of the same letters that is under way already goes on alone. Raises NotFound where there is no such letter.
    """
    if "\0" in kind:
        # PostgreSQL can't hold it: no letter is of such a kind.
        raise NotFound("kind of refused message")
    now = datetime.now(UTC)
    wanted = Wanted(kind, source_id, until=now)
    with tenant_session(tenant_id) as session:
        known = session.scalars(
            select(LetterRound.id).where(
                LetterRound.tenant_id == tenant_id,
                LetterRound.state.in_(_OPEN),
                LetterRound.action == action,
                LetterRound.kind == kind,
                LetterRound.source_id.is_not_distinct_from(source_id),
            )
        ).first()
        if known is not None:
            return known
        total = session.execute(select(func.count()).where(*fitting(tenant_id, wanted))).scalar_one()
        if not total:
            raise NotFound("kind of refused message")
        row = _record(session, tenant_id, action, by=by, at=now, kind=kind, source_id=source_id, total=total)
        facts.tell_after_commit(session, facts.LetterRoundStarted(tenant_id))
        return row.id


def replay_message(tenant_id: int, message_id: UUID, *, by: str) -> LetterRound:
    """Has one message read again. Raises NotFound where it has no letters, MessageGone where it is no longer kept."""
    message = find_message(tenant_id, message_id)
    with tenant_session(tenant_id) as session:
        letters = session.execute(
            select(func.count()).where(DeadLetter.tenant_id == tenant_id, DeadLetter.message_id == message_id)
        ).scalar_one()
        if not letters:
            raise NotFound("refused message")
        if message is None:
            raise MessageGone
        _hand_over(session, tenant_id, [(message.received_at, message_id)])
        row = _record(session, tenant_id, "replay", by=by, message_id=message_id, total=letters)
        row.state, row.letters, row.messages = "reading", letters, 1
        facts.tell_after_commit(session, facts.LetterRoundStarted(tenant_id))
    return row


def dismiss_message(tenant_id: int, message_id: UUID, *, by: str, position: int | None = None) -> LetterRound:
    """Forgets the refusals of a message, or the one at ``position``; the message itself stays. Raises NotFound."""
    query = delete(DeadLetter).where(DeadLetter.tenant_id == tenant_id, DeadLetter.message_id == message_id)
    if position is not None:
        query = query.where(DeadLetter.position == min(position, 2**31 - 1))
    with tenant_session(tenant_id) as session:
        gone = len(session.scalars(query.returning(DeadLetter.position)).all())
        if not gone:
            raise NotFound("refused message")
        row = _record(session, tenant_id, "dismiss", by=by, message_id=message_id, total=gone)
        row.state, row.letters, row.finished_at = "done", gone, row.created_at
    return row


def cancel(tenant_id: int, round_id: int) -> LetterRound:
    """Stops a round where it is. Raises NotFound, and Conflict once it is over."""
    with tenant_session(tenant_id) as session:
        row = session.scalars(
            select(LetterRound)
            .where(LetterRound.tenant_id == tenant_id, LetterRound.id == min(round_id, 2**63 - 1))
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFound("round")
        if row.state not in _OPEN:
            raise Conflict("It is over; there is nothing left to stop.")
        row.state, row.finished_at = "cancelled", datetime.now(UTC)
        audit.record(session, tenant_id, "dead_letters.stopped", row.id, after={"letters": row.letters})
    return row


def drain_rounds(tenant_id: int, *, alone: bool = False) -> int:
    """Takes one round a batch further; tells how many messages or letters that were."""
    with tenant_session(tenant_id) as session:
        session.execute(FOLLOW_INDEX)
        rounds = session.scalars(
            select(LetterRound)
            .where(LetterRound.tenant_id == tenant_id, LetterRound.state.in_(_OPEN))
            .order_by(LetterRound.id)
            .with_for_update(skip_locked=True)
        ).all()
        for each in rounds:
            if each.state == "reading":
                _finish_when_read(session, each)
        running = next((each for each in rounds if each.state == "running"), None)
        if running is None:
            return 0
        return _dismiss(session, running) if running.action == "dismiss" else _replay(session, running)


def _record(
    session: Session,
    tenant_id: int,
    action: Action,
    *,
    by: str,
    total: int,
    at: datetime | None = None,
    kind: str | None = None,
    source_id: int | None = None,
    message_id: UUID | None = None,
) -> LetterRound:
    row = LetterRound(
        tenant_id=tenant_id,
        action=action,
        kind=kind,
        source_id=source_id,
        message_id=message_id,
        state="running",
        total=total,
        letters=0,
        messages=0,
        gone=0,
        started_by=by,
        created_at=at or datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    told = {"letters": total, "source": source_id, "message": str(message_id) if message_id else None}
    audit.record(session, tenant_id, _RECORDED[action], row.id, after=told)
    log.info(
        "dead_letters.round",
        tenant_id=tenant_id,
        action=action,
        kind=kind,
        message_id=str(message_id) if message_id else None,
        letters=total,
        by=by,
    )
    return row


def _dismiss(session: Session, row: LetterRound) -> int:
    order = (DeadLetter.received_at, DeadLetter.message_id, DeadLetter.position)
    query = select(*order).where(*fitting(row.tenant_id, Wanted(row.kind, row.source_id, until=row.created_at)))
    if row.at_instant is not None:
        # What was deleted before it would be passed over one by one.
        query = query.where(tuple_(*order[:2]) >= tuple_(row.at_instant, row.at_message))
    some = session.execute(query.order_by(*order).limit(LETTERS).with_for_update(skip_locked=True)).all()
    if some:
        row.at_instant, row.at_message = some[-1].received_at, some[-1].message_id
        places = {"ids": [each.message_id for each in some], "positions": [each.position for each in some]}
        session.execute(_FORGET, {"tenant_id": row.tenant_id, **places})
    else:
        row.state, row.finished_at = "done", datetime.now(UTC)
    row.letters += len(some)
    return len(some)


def _replay(session: Session, row: LetterRound) -> int:
    waiting = select(Waiting.message_id).where(Waiting.tenant_id == row.tenant_id).limit(MOST_WAITING).subquery()
    if session.execute(select(func.count()).select_from(waiting)).scalar_one() >= MOST_WAITING:
        return 0
    found = _next_messages(session, row)
    if not found:
        row.state = "reading"
        _finish_when_read(session, row)
        return 0
    kept = set(
        session.scalars(
            select(Message.id).where(
                Message.tenant_id == row.tenant_id,
                Message.id.in_([each.message_id for each in found]),
                Message.received_at.between(found[0].received_at, found[-1].received_at),
            )
        )
    )
    _hand_over(
        session, row.tenant_id, [(each.received_at, each.message_id) for each in found if each.message_id in kept]
    )
    row.letters += sum(each.letters for each in found)
    row.messages += len(kept)
    row.gone += len(found) - len(kept)
    row.at_instant, row.at_message = found[-1].received_at, found[-1].message_id
    return len(found)


def _next_messages(session: Session, row: LetterRound) -> Sequence[Row[datetime, UUID, int]]:
    place = (DeadLetter.received_at, DeadLetter.message_id)
    query = (
        select(*place, func.count().label("letters"))
        .where(*fitting(row.tenant_id, Wanted(row.kind, row.source_id, until=row.created_at)))
        .group_by(*place)
        .order_by(*place)
        .limit(MESSAGES)
    )
    if row.at_instant is not None:
        query = query.where(tuple_(*place) > tuple_(row.at_instant, row.at_message))
    return session.execute(query).all()


def _hand_over(session: Session, tenant_id: int, messages: list[tuple[datetime, UUID]]) -> None:
    if messages:
        rows = [{"tenant_id": tenant_id, "received_at": at, "message_id": id_} for at, id_ in messages]
        session.execute(insert(Waiting).on_conflict_do_nothing(), rows)
        facts.tell_after_commit(session, facts.MessagesKept(tenant_id))


def _finish_when_read(session: Session, row: LetterRound) -> None:
    """It is done once none of what it handed over waits."""
    waits = select(Waiting.message_id).where(Waiting.tenant_id == row.tenant_id, Waiting.received_at < row.created_at)
    if row.message_id is not None:
        waits = waits.where(Waiting.message_id == row.message_id)
    if session.scalars(waits.limit(1)).first() is None:
        row.state, row.finished_at = "done", datetime.now(UTC)
