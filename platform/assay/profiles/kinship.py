"""How leads came to be who they are, for those who look: merges, the identifiers of a lead, values that join nobody."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from assay.profiles import merges, resettling
from assay.profiles.bulk import rows
from assay.profiles.identity_models import Decision
from assay.profiles.matching import ANONYMOUS_ID, EMAIL, USER_ID, VENDOR, Key
from assay.profiles.merges import Cause
from assay.profiles.resettling import Tangle
from assay.profiles.settling import causes
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound

PAGE = 50
#: Identifiers of a lead that are explained; of more, only the values are told.
EXPLAINED = 5_000
#: Others of a shared value that are counted.
COUNTED = 1_000

_MERGES = """
    SELECT m.id, m.at, m.kept_id, m.gone_id, m.since, m.message_id, m.import_id, m.visitor, m.decision_id,
        cardinality(m.moved) AS identities, k.kind AS kept_kind, k.value AS kept_value, g.kind AS gone_kind,
        g.value AS gone_value, s.name AS source, f.filename, d.by, d.reason, u.id AS undone_by, u.at AS undone_at,
        u.by AS undone_person, u.reason AS undone_reason, u.withdrawn_at
    FROM profiles.merges m
    LEFT JOIN profiles.identities k ON k.tenant_id = :tenant_id AND k.id = m.kept_identity_id
    LEFT JOIN profiles.identities g ON g.tenant_id = :tenant_id AND g.id = m.gone_identity_id
    LEFT JOIN tenancy.sources s ON s.tenant_id = :tenant_id AND s.id = m.source_id
    LEFT JOIN intake.imports f ON f.tenant_id = :tenant_id AND f.id = m.import_id
    LEFT JOIN profiles.decisions d ON d.tenant_id = :tenant_id AND d.id = m.decision_id
    LEFT JOIN profiles.decisions u ON u.tenant_id = :tenant_id AND u.id = m.undone_by
    WHERE m.tenant_id = :tenant_id
"""
_OF_PEOPLE = " AND NOT m.visitor"
_OF_LEAD = " AND (m.kept_id = :lead_id OR m.gone_id = :lead_id)"
_BEFORE = " AND m.id < :before"
_ONE = " AND m.id = :id"
_PAGED = " ORDER BY m.id DESC LIMIT :limit"

_IDENTITIES = text("""
    SELECT i.id, i.kind, i.value,
        LEAST(i.first_seen_at, s.first_seen_at) AS first_seen_at,
        GREATEST(i.last_seen_at, s.last_seen_at) AS last_seen_at,
        c.of_kind, r.blocked, r.id AS rule_id, count(*) OVER () AS total
    FROM profiles.identities i
    LEFT JOIN LATERAL (
        SELECT min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at FROM profiles.import_statements
        WHERE tenant_id = :tenant_id AND identity_id = i.id
    ) s ON true
    LEFT JOIN profiles.crowded c ON c.tenant_id = :tenant_id AND c.identity_id = i.id
    LEFT JOIN profiles.value_rules r ON r.tenant_id = :tenant_id AND r.kind = i.kind AND r.value = i.value
    WHERE i.tenant_id = :tenant_id AND i.lead_id = :lead_id
    ORDER BY c.of_kind IS NOT NULL, i.kind = :anonymous, i.id
    LIMIT :most
""")
_NAMES = text("""
    SELECT 'source' AS what, s.id, s.name, NULL AS why
    FROM json_to_recordset(CAST(:sources AS json)) AS n (id bigint)
    JOIN tenancy.sources s ON s.tenant_id = :tenant_id AND s.id = n.id
    UNION ALL
    SELECT 'import', f.id, f.filename, NULL FROM json_to_recordset(CAST(:imports AS json)) AS n (id bigint)
    JOIN intake.imports f ON f.tenant_id = :tenant_id AND f.id = n.id
    UNION ALL
    SELECT 'decision', d.id, d.by, d.reason FROM json_to_recordset(CAST(:decisions AS json)) AS n (id bigint)
    JOIN profiles.decisions d ON d.tenant_id = :tenant_id AND d.id = n.id
""")
_SHARED = text("""
    SELECT v.kind, v.value, i.lead_id, c.of_kind, c.known_at, r.id AS rule_id, r.blocked, r.at, r.by, r.reason, o.others
    FROM (
        SELECT w.kind, w.value FROM profiles.value_rules w WHERE w.tenant_id = :tenant_id
        UNION
        SELECT j.kind, j.value FROM profiles.crowded d
        JOIN profiles.identities j ON j.tenant_id = :tenant_id AND j.id = d.identity_id
        WHERE d.tenant_id = :tenant_id
    ) v
    LEFT JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.kind = v.kind AND i.value = v.value
    LEFT JOIN profiles.crowded c ON c.tenant_id = :tenant_id AND c.identity_id = i.id
    LEFT JOIN profiles.value_rules r ON r.tenant_id = :tenant_id AND r.kind = v.kind AND r.value = v.value
    LEFT JOIN LATERAL (
        SELECT count(*) AS others FROM (
            SELECT e.id FROM (
                SELECT right_id AS id FROM profiles.links WHERE tenant_id = :tenant_id AND left_id = i.id
                UNION
                SELECT left_id FROM profiles.links WHERE tenant_id = :tenant_id AND right_id = i.id
            ) met
            JOIN profiles.identities e ON e.tenant_id = :tenant_id AND e.id = met.id AND e.kind = c.of_kind
            LIMIT :counted
        ) counted
    ) o ON c.of_kind IS NOT NULL
    WHERE CAST(:after AS text) IS NULL OR (v.kind, v.value) > (:after, :after_value)
    ORDER BY v.kind, v.value
    LIMIT :limit
""")
_BY_VALUE = text("""
    SELECT DISTINCT i.lead_id FROM profiles.identities i
    WHERE i.tenant_id = :tenant_id AND (
        (i.kind = 'email' AND i.value = lower(:value)) OR (i.kind = 'user_id' AND i.value = :value)
        OR (i.kind = 'anonymous_id' AND i.value = :value)
    )
    LIMIT 2
""")
_BY_ID = text("SELECT l.id FROM profiles.leads l WHERE l.tenant_id = :tenant_id AND l.id = CAST(:id AS bigint)")
_CURSOR = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class MergeRow:
    """Two leads that became one."""

    id: int
    at: datetime
    kept_id: int
    gone_id: int
    #: The two identifiers whose link joined them; None for one that nobody states any more.
    kept: Key | None
    gone: Key | None
    #: When they came together.
    since: datetime
    message_id: UUID | None
    import_id: int | None
    source: str | None
    #: Of the person who joined them.
    by: str | None
    #: A device turned out to be somebody's.
    visitor: bool
    #: How many identifiers came over.
    identities: int
    #: How it came about, for a person to read.
    sentence: str
    undone_by: int | None
    undone_at: datetime | None
    undone_person: str | None
    undone_reason: str | None
    #: It was undone, and that was taken back.
    rejoined: bool

    @property
    def state(self) -> Literal["stands", "undone", "joined again"]:
        if self.undone_by is None:
            return "stands"
        return "joined again" if self.rejoined else "undone"


@dataclass(frozen=True)
class Merges:
    """Newest first."""

    items: list[MergeRow]
    next_cursor: str | None


@dataclass(frozen=True)
class Membership:
    """An identifier of a lead, and how it came to be one."""

    kind: str
    value: str
    first_seen_at: datetime
    last_seen_at: datetime
    #: Why it joins nobody; None when it may.
    alone: Literal["crowded", "blocked"] | None
    #: The identifier it came with, and the sentence about it; None for the first one.
    joined: Key | None
    cause: Cause | None
    sentence: str | None


@dataclass(frozen=True)
class Memberships:
    items: list[Membership]
    #: How many there are; fewer are listed of very many.
    total: int


@dataclass(frozen=True)
class Decisions:
    """Newest first."""

    items: list[Decision]
    next_cursor: str | None


@dataclass(frozen=True)
class SharedValue:
    """A value that joins nobody, or that somebody said something of."""

    kind: str
    value: str
    state: Literal["crowded", "blocked", "released"]
    #: None when nobody came with it yet.
    lead_id: int | None
    #: How many of which kind it came together with; at most COUNTED are counted.
    others: int | None
    of_kind: str | None
    since: datetime
    rule_id: int | None
    by: str | None
    reason: str | None


@dataclass(frozen=True)
class SharedValues:
    items: list[SharedValue]
    next_cursor: str | None


def list_merges(
    tenant_id: int,
    *,
    cursor: str | None = None,
    limit: int = PAGE,
    lead_id: int | None = None,
    visitors: bool = True,
) -> Merges:
    """Newest first; raises BadInput for a cursor that is not one of this list."""
    before = _before(cursor)
    query = _MERGES
    query += "" if visitors else _OF_PEOPLE
    query += "" if lead_id is None else _OF_LEAD
    query += "" if cursor is None else _BEFORE
    asked = {"lead_id": lead_id, "before": before, "limit": limit + 1}
    found = _read_merges(tenant_id, query + _PAGED, asked)
    return Merges(found[:limit], str(found[limit - 1].id) if len(found) > limit else None)


def get_merge(tenant_id: int, merge_id: int) -> MergeRow:
    found = _read_merges(tenant_id, _MERGES + _ONE, {"id": merge_id})
    if not found:
        raise NotFound("merge")
    return found[0]


def list_identities(tenant_id: int, lead_id: int) -> Memberships:
    """A lead's identifiers, each after the one that it came with."""
    with tenant_session(tenant_id) as session:
        asked = {"tenant_id": tenant_id, "lead_id": lead_id, "anonymous": ANONYMOUS_ID, "most": EXPLAINED}
        found = session.execute(_IDENTITIES, asked).all()
        if not found:
            raise merges.gone(session, tenant_id, lead_id)
        total = found[0].total
        first = found[0].kind, found[0].value
        how: dict[Key, tuple[Key, Cause]] = {}
        told: Mapping[tuple[str, int], tuple[str, str | None]] = {}
        if total <= EXPLAINED:
            tangle = resettling.load(session, tenant_id, [lead_id])
            how = _ways(tangle, first)
            told = _read_names(session, tenant_id, [cause for _, cause in how.values()])
    by_key = {(row.kind, row.value): row for row in found}
    order = dict.fromkeys([first, *(key for key in how if key in by_key), *by_key])
    return Memberships([_membership(by_key[key], how.get(key), told) for key in order], total)


def list_decisions(tenant_id: int, *, cursor: str | None = None, limit: int = PAGE) -> Decisions:
    """Newest first; raises BadInput for a cursor that is not one of this list."""
    before = _before(cursor)
    query = select(Decision).where(Decision.tenant_id == tenant_id).order_by(Decision.id.desc()).limit(limit + 1)
    with tenant_session(tenant_id) as session:
        found = list(session.scalars(query if cursor is None else query.where(Decision.id < before)))
    return Decisions(found[:limit], str(found[limit - 1].id) if len(found) > limit else None)


def list_shared(tenant_id: int, *, cursor: str | None = None, limit: int = PAGE) -> SharedValues:
    """Values that join nobody, and those that somebody released; by kind and value."""
    after = _after(cursor)
    asked = {"tenant_id": tenant_id, "after": after[0], "after_value": after[1], "limit": limit + 1, "counted": COUNTED}
    with tenant_session(tenant_id) as session:
        found = session.execute(_SHARED, asked).all()
    items = [_shared(row) for row in found[:limit]]
    more = len(found) > limit
    return SharedValues(items, f"{items[-1].kind}={items[-1].value}" if more else None)


def find_lead(tenant_id: int, written: str) -> int:
    """The lead known by that value, or of that address or number; raises BadInput when there is none, or several."""
    written = written.strip()
    number = re.fullmatch(r"(?:.*/leads/)?([0-9]{1,18})(?:[/?#].*)?", written, re.DOTALL)
    asked = {"tenant_id": tenant_id, "value": written.replace("\0", ""), "id": int(number[1]) if number else None}
    with tenant_session(tenant_id) as session:
        found = session.scalars(_BY_VALUE, asked).all() or session.scalars(_BY_ID, asked).all()
    if not found:
        raise BadInput(f"No lead is known as {written!r}.", field="other")
    if len(found) > 1:
        raise BadInput(f"Several leads are known as {written!r}; give the address of the one you mean.", field="other")
    lead_id: int = found[0]
    return lead_id


def named(key: Key | None) -> str:
    """An identifier in words."""
    if key is None:
        return "an identifier that nobody states any more"
    kind, value = key
    if kind == EMAIL:
        return value
    if kind == USER_ID:
        return f"user {value}"
    if kind == ANONYMOUS_ID:
        return f"device {value}"
    return f"{kind.removeprefix(VENDOR)} {value}"


def _read_merges(tenant_id: int, query: str, asked: dict[str, Any]) -> list[MergeRow]:
    with tenant_session(tenant_id) as session:
        return [_merge(row) for row in session.execute(text(query), {"tenant_id": tenant_id, **asked})]


def _merge(row: Any) -> MergeRow:
    kept = None if row.kept_value is None else (row.kept_kind, row.kept_value)
    gone = None if row.gone_value is None else (row.gone_kind, row.gone_value)
    cause = Cause(row.since, None, row.message_id, row.import_id, row.decision_id)
    return MergeRow(
        id=row.id,
        at=row.at,
        kept_id=row.kept_id,
        gone_id=row.gone_id,
        kept=kept,
        gone=gone,
        since=row.since,
        message_id=row.message_id,
        import_id=row.import_id or None,
        source=row.source,
        by=row.by,
        visitor=row.visitor,
        identities=row.identities,
        sentence=_sentence(kept, gone, cause, row.source, row.filename, (row.by, row.reason)),
        undone_by=row.undone_by,
        undone_at=row.undone_at,
        undone_person=row.undone_person,
        undone_reason=row.undone_reason,
        rejoined=row.withdrawn_at is not None,
    )


def _sentence(
    one: Key | None,
    other: Key | None,
    cause: Cause,
    source: str | None,
    filename: str | None,
    decided: tuple[str | None, str | None],
) -> str:
    both = f"{named(one)} and {named(other)}"
    begun = both if one is not None and one[0] == EMAIL else both[:1].upper() + both[1:]
    on = f"{cause.at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"
    if cause.decision_id is not None:
        by, reason = decided
        because = f": {reason}" if reason else "."
        return f"{by or 'Somebody'} said on {on} that {both} are one{because}"
    if cause.import_id:
        return f"{begun} came together in the import {filename or cause.import_id} on {on}."
    return f"{begun} came together in a message of {source or 'a source that is gone'} on {on}."


def _ways(tangle: Tangle, first: Key) -> dict[Key, tuple[Key, Cause]]:
    """For each identifier the one it came with, beginning at the first one; nearer ones first."""
    joining = {pair: since for pair, since in tangle.joining.items() if tangle.members.issuperset(pair)}
    met: dict[Key, list[Key]] = {}
    by_pair = {}
    for pair in causes(joining):
        by_pair[frozenset(pair)] = tangle.cause(pair)
        for one, other in (pair, pair[::-1]):
            met.setdefault(one, []).append(other)
    ways: dict[Key, tuple[Key, Cause]] = {}
    queue = [first]
    for key in queue:
        for other in met.get(key, ()):
            if other != first and other not in ways:
                ways[other] = key, by_pair[frozenset((key, other))]
                queue.append(other)
    return ways


def _read_names(
    session: Session, tenant_id: int, told: Sequence[Cause]
) -> Mapping[tuple[str, int], tuple[str, str | None]]:
    """Of sources, imports and deciding persons: name, and for the latter the reason."""

    def ids(some: Iterable[int | None]) -> str:
        return rows(id=sorted({each for each in some if each}))

    asked = {
        "tenant_id": tenant_id,
        "sources": ids(cause.source_id for cause in told),
        "imports": ids(cause.import_id for cause in told),
        "decisions": ids(cause.decision_id for cause in told),
    }
    return {(row.what, row.id): (row.name, row.why) for row in session.execute(_NAMES, asked)}


def _membership(
    row: Any, way: tuple[Key, Cause] | None, told: Mapping[tuple[str, int], tuple[str, str | None]]
) -> Membership:
    key = row.kind, row.value
    joined, cause, sentence = None, None, None
    if way is not None:
        joined, cause = way
        source = told.get(("source", cause.source_id or 0), (None, None))[0]
        filename = told.get(("import", cause.import_id), (None, None))[0]
        decided = told.get(("decision", cause.decision_id or 0), (None, None))
        sentence = _sentence(joined, key, cause, source, filename, decided)
    alone: Literal["crowded", "blocked"] | None = "blocked" if row.blocked else None
    if row.blocked is None and row.of_kind is not None:
        alone = "crowded"
    return Membership(row.kind, row.value, row.first_seen_at, row.last_seen_at, alone, joined, cause, sentence)


def _shared(row: Any) -> SharedValue:
    state: Literal["crowded", "blocked", "released"] = "crowded"
    if row.blocked is not None:
        state = "blocked" if row.blocked else "released"
    return SharedValue(
        kind=row.kind,
        value=row.value,
        state=state,
        lead_id=row.lead_id,
        others=row.others,
        of_kind=row.of_kind,
        since=row.at or row.known_at,
        rule_id=row.rule_id,
        by=row.by,
        reason=row.reason,
    )


def _before(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not _CURSOR.fullmatch(cursor):
        raise _no_cursor()
    return int(cursor)


def _after(cursor: str | None) -> tuple[str | None, str | None]:
    if cursor is None:
        return None, None
    kind, is_one, value = cursor.partition("=")
    if not is_one or "\0" in cursor:
        raise _no_cursor()
    return kind, value


def _no_cursor() -> BadInput:
    return BadInput(
        "This cursor is not one of this list. Accepted is the next_cursor of the page before; leave it out to start "
        "with the first one.",
        field="cursor",
    )
