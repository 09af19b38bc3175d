"""Merges on record: which two leads became one, by which link, and who came over."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles.bulk import rows
from assay.profiles.matching import Key
from assay.profiles.settling import Pair, is_device
from assay_tenants.database import LARGEST_ID
from assay_tenants.errors import NotFound

_MOVED = text("""
    SELECT p.lead_id, array_agg(p.identity_id ORDER BY p.identity_id) AS identity_ids
    FROM profiles.past_memberships p
    WHERE p.tenant_id = :tenant_id AND p.lead_id = ANY(CAST(:ids AS bigint[])) AND p.until = :known_at
    GROUP BY p.lead_id
""")
_RECORD = text("""
    INSERT INTO profiles.merges (tenant_id, at, kept_id, gone_id, kept_identity_id, gone_identity_id, since, source_id,
        message_id, import_id, decision_id, visitor, moved)
    SELECT :tenant_id, :known_at, n.kept_id, n.gone_id, n.kept_identity_id, n.gone_identity_id, n.since, n.source_id,
        n.message_id, n.import_id, n.decision_id, n.visitor,
        ARRAY(SELECT CAST(m AS bigint) FROM json_array_elements_text(n.moved) AS m)
    FROM json_to_recordset(CAST(:rows AS json)) AS n (kept_id bigint, gone_id bigint, kept_identity_id bigint,
        gone_identity_id bigint, since timestamptz, source_id bigint, message_id uuid, import_id bigint,
        decision_id bigint, visitor boolean, moved json)
""")
_SUCCESSOR = text("""
    WITH RECURSIVE chain AS (
        SELECT CAST(:lead_id AS bigint) AS id, CAST(0 AS bigint) AS merge_id, 0 AS step
        UNION ALL
        SELECT m.kept_id, m.id, chain.step + 1
        FROM chain
        CROSS JOIN LATERAL (
            SELECT id, kept_id FROM profiles.merges
            WHERE tenant_id = :tenant_id AND gone_id = chain.id ORDER BY id DESC LIMIT 1
        ) m
        WHERE chain.step < :most
            AND NOT EXISTS (SELECT FROM profiles.leads l WHERE l.tenant_id = :tenant_id AND l.id = chain.id)
    )
    SELECT chain.id FROM chain
    JOIN profiles.leads l ON l.tenant_id = :tenant_id AND l.id = chain.id
    ORDER BY chain.step DESC LIMIT 1
""")
# Lead ids that were merged one into the other, again and again; nobody has so many.
_LONGEST_CHAIN = 1_000


class Cause(NamedTuple):
    """What joined two identities, and when that was so."""

    at: datetime
    source_id: int | None
    message_id: UUID | None
    #: 0: it came by itself.
    import_id: int
    #: None: a record told it.
    decision_id: int | None = None


class LeadGone(NotFound):
    """There is no such lead; tells into which one it was merged, if it was."""

    def __init__(self, merged_into: int | None) -> None:
        super().__init__("lead")
        self.merged_into = merged_into
        if merged_into is not None:
            self.message = f"There is no such lead any more: it was merged into lead {merged_into}."


@dataclass(frozen=True, slots=True)
class Union:
    """Two leads turned out to be one, by a link; the first of the pair was of the lead that is kept."""

    kept: int
    gone: int
    pair: Pair
    cause: Cause


def record(
    session: Session, tenant_id: int, unions: Sequence[Union], ids: Mapping[Key, int], known_at: datetime
) -> None:
    """Once the identities have moved; in the order in which leads became one."""
    if not unions:
        return
    moved = _moved(session, tenant_id, {union.gone for union in unions}, known_at)
    came = []
    for union in unions:
        came.append(moved.get(union.gone, []))
        moved[union.kept] = moved.get(union.kept, []) + came[-1]
    news = rows(
        kept_id=[union.kept for union in unions],
        gone_id=[union.gone for union in unions],
        kept_identity_id=[ids[union.pair[0]] for union in unions],
        gone_identity_id=[ids[union.pair[1]] for union in unions],
        since=[union.cause.at for union in unions],
        source_id=[union.cause.source_id for union in unions],
        message_id=[union.cause.message_id for union in unions],
        import_id=[union.cause.import_id for union in unions],
        decision_id=[union.cause.decision_id for union in unions],
        visitor=[union.cause.decision_id is None and any(map(is_device, union.pair)) for union in unions],
        moved=came,
    )
    session.execute(_RECORD, {"tenant_id": tenant_id, "known_at": known_at, "rows": news})


def find_successor(session: Session, tenant_id: int, lead_id: int) -> int | None:
    """The lead that one which is gone was merged into in the end; None when it never was there, or is no more."""
    asked = {"tenant_id": tenant_id, "lead_id": min(lead_id, LARGEST_ID), "most": _LONGEST_CHAIN}
    found: int | None = session.scalar(_SUCCESSOR, asked)
    return None if found == lead_id else found


def gone(session: Session, tenant_id: int, lead_id: int) -> LeadGone:
    """What to raise about a lead that is not there."""
    return LeadGone(find_successor(session, tenant_id, lead_id))


def _moved(session: Session, tenant_id: int, gone: Collection[int], known_at: datetime) -> dict[int, list[int]]:
    found = session.execute(_MOVED, {"tenant_id": tenant_id, "ids": list(gone), "known_at": known_at})
    return {row.lead_id: row.identity_ids for row in found}
