"""What could not be understood, newest first; by kinds; and the rounds through all of a kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, text, tuple_

from assay.normalise.models import DeadLetter, LetterRound
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput, NotFound
from assay_tenants.models import Source

#: Counted up to here; whether a fault is behind a thousand letters or a million, it wants mending.
MOST_COUNTED = 1_000
#: Most kinds that are listed.
MOST_KINDS = 100

# Of a tenant's share of a table nothing is known (its column has no statistics), so that a small one is expected, and
# read and sorted as a whole. Where only the first of very many are wanted, the index has to be followed.
FOLLOW_INDEX = text(
    "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off;"
    " SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
)

# From kind to kind by the index, and within each no further than somebody reads.
_KINDS = text("""
    WITH RECURSIVE kinds AS (
        (SELECT d.kind, 1 AS number FROM intake.dead_letters d
         WHERE d.tenant_id = :tenant_id ORDER BY d.kind LIMIT 1)
        UNION ALL
        SELECT (SELECT n.kind FROM intake.dead_letters n
                WHERE n.tenant_id = :tenant_id AND n.kind > kinds.kind ORDER BY n.kind LIMIT 1), number + 1
        FROM kinds WHERE kinds.kind IS NOT NULL AND number <= :most_kinds
    )
    SELECT kinds.kind, newest.source_id, newest.received_at, newest.reason,
           (SELECT count(*) FROM (SELECT FROM intake.dead_letters c
            WHERE c.tenant_id = :tenant_id AND c.kind = kinds.kind LIMIT :most + 1) AS few) AS counted
    FROM kinds
    CROSS JOIN LATERAL (
        SELECT l.source_id, l.received_at, l.reason FROM intake.dead_letters l
        WHERE l.tenant_id = :tenant_id AND l.kind = kinds.kind
        ORDER BY l.received_at DESC, l.message_id DESC, l.position DESC LIMIT 1) AS newest
    ORDER BY counted DESC, kinds.kind LIMIT :most_kinds
""")


@dataclass(frozen=True)
class DeadLetters:
    """One page; ``next_cursor`` is None on the last."""

    letters: list[DeadLetter]
    next_cursor: str | None


@dataclass(frozen=True)
class LetterKind:
    """What one mend would set right."""

    kind: str
    #: At most MOST_COUNTED; ``has_more`` tells that there are more than that.
    count: int
    has_more: bool
    #: Of the newest letter.
    source_id: int
    reason: str
    newest_at: datetime


@dataclass(frozen=True)
class Wanted:
    """Which letters: those that fit all of these."""

    kind: str | None = None
    source_id: int | None = None
    #: Received at or after, and before.
    since: datetime | None = None
    until: datetime | None = None


def list_dead_letters(
    tenant_id: int, limit: int, cursor: str | None = None, wanted: Wanted | None = None
) -> DeadLetters:
    """Raises BadInput for a cursor that is not one of ours."""
    order = (DeadLetter.received_at, DeadLetter.message_id, DeadLetter.position)
    query = select(DeadLetter).where(*fitting(tenant_id, wanted or Wanted()))
    if cursor is not None:
        query = query.where(tuple_(*order) < tuple_(*_place(cursor)))
    with tenant_session(tenant_id) as session:
        session.execute(FOLLOW_INDEX)
        found = list(session.scalars(query.order_by(*(column.desc() for column in order)).limit(limit + 1)))
    page = found[:limit]
    return DeadLetters(page, _cursor(page[-1]) if len(found) > limit else None)


def fitting(tenant_id: int, wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions = [DeadLetter.tenant_id == tenant_id]
    if wanted.kind is not None:
        # PostgreSQL can't hold it: no letter is of such a kind.
        conditions.append(DeadLetter.kind == wanted.kind.replace("\0", "\N{SYMBOL FOR NULL}"))
    if wanted.source_id is not None:
        conditions.append(DeadLetter.source_id == min(wanted.source_id, LARGEST_ID))
    if wanted.since is not None:
        conditions.append(DeadLetter.received_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(DeadLetter.received_at < wanted.until)
    return conditions


def dead_letters_of(tenant_id: int, message_id: UUID) -> list[DeadLetter]:
    """What could not be understood of one message, in its order."""
    query = select(DeadLetter).where(DeadLetter.tenant_id == tenant_id, DeadLetter.message_id == message_id)
    with tenant_session(tenant_id) as session:
        return list(session.scalars(query.order_by(DeadLetter.position)))


def list_kinds(tenant_id: int) -> list[LetterKind]:
    """The most frequent first."""
    question = {"tenant_id": tenant_id, "most": MOST_COUNTED, "most_kinds": MOST_KINDS}
    with tenant_session(tenant_id) as session:
        session.execute(FOLLOW_INDEX)
        return [
            LetterKind(
                kind=row.kind,
                count=min(row.counted, MOST_COUNTED),
                has_more=row.counted > MOST_COUNTED,
                source_id=row.source_id,
                reason=row.reason,
                newest_at=row.received_at,
            )
            for row in session.execute(_KINDS, question)
        ]


def count_dead_letters(tenant_id: int, *, most: int) -> int:
    """How many there are, counted up to ``most``."""
    some = select(DeadLetter.position).where(DeadLetter.tenant_id == tenant_id).limit(most).subquery()
    with tenant_session(tenant_id) as session:
        session.execute(FOLLOW_INDEX)
        return session.execute(select(func.count()).select_from(some)).scalar_one()


def source_names(tenant_id: int) -> dict[int, str]:
    with tenant_session(tenant_id) as session:
        rows = session.execute(select(Source.id, Source.name).where(Source.tenant_id == tenant_id).order_by(Source.id))
        return {row.id: row.name for row in rows}


def list_rounds(tenant_id: int, limit: int = 20) -> Sequence[LetterRound]:
    """Newest first."""
    with tenant_session(tenant_id) as session:
        return session.scalars(_rounds(tenant_id).order_by(LetterRound.id.desc()).limit(limit)).all()


def get_round(tenant_id: int, round_id: int) -> LetterRound:
    with tenant_session(tenant_id) as session:
        found = session.scalars(_rounds(tenant_id).where(LetterRound.id == min(round_id, LARGEST_ID))).one_or_none()
    if found is None:
        raise NotFound("round")
    return found


def _rounds(tenant_id: int) -> Select[LetterRound]:
    return select(LetterRound).where(LetterRound.tenant_id == tenant_id)


def _cursor(letter: DeadLetter) -> str:
    # A plus sign would be a space in an address.
    received_at = letter.received_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"{received_at}_{letter.message_id}_{letter.position}"


def _place(cursor: str) -> tuple[datetime, UUID, int]:
    try:
        received_at, message_id, position = cursor.split("_")
        place = datetime.fromisoformat(received_at), UUID(message_id), int(position)
        if place[0].tzinfo is None or not 0 <= place[2] < 2**31:
            raise ValueError(cursor)
    except ValueError:
        raise BadInput("The cursor is not one that this list gave out.", field="cursor") from None
    return place
