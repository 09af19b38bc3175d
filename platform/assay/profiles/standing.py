"""Which identities join nobody, and what people decided of pairs: asked for where new links are, and nowhere else."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles import limits
from assay.profiles.bulk import rows
from assay.profiles.matching import ANONYMOUS_ID, Key
from assay.profiles.settling import Pair, is_device, too_many

_RULES = text("""
    SELECT n.kind, n.value, c.identity_id IS NOT NULL AS crowded, r.blocked
    FROM json_to_recordset(CAST(:rows AS json)) AS n (kind text, value text, id bigint)
    LEFT JOIN profiles.crowded c ON c.tenant_id = :tenant_id AND c.identity_id = n.id
    LEFT JOIN profiles.value_rules r ON r.tenant_id = :tenant_id AND r.kind = n.kind AND r.value = n.value
    WHERE c.identity_id IS NOT NULL OR r.blocked IS NOT NULL
""")
# Of a person's identifier its devices are left out: there may be any number of them, and none counts.
_NEIGHBOURS = text("""
    SELECT n.id, i.kind, i.value, i.lead_id, l.since, l.decided_at, c.identity_id IS NOT NULL AS crowded, r.blocked,
        (
            SELECT max(e.at) FROM profiles.decided_pairs d
            JOIN profiles.decisions e ON e.tenant_id = :tenant_id AND e.id = d.decision_id
            WHERE d.tenant_id = :tenant_id AND d.left_id = LEAST(n.id, i.id) AND d.right_id = GREATEST(n.id, i.id)
                AND d.apart
        ) AS apart_at
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint, device boolean)
    CROSS JOIN LATERAL (
        SELECT other_id, min(since) AS since, max(decided_at) AS decided_at FROM (
            SELECT right_id AS other_id, since, CAST(NULL AS timestamptz) AS decided_at FROM profiles.links
            WHERE tenant_id = :tenant_id AND left_id = n.id
            UNION ALL
            SELECT left_id, since, NULL FROM profiles.links WHERE tenant_id = :tenant_id AND right_id = n.id
            UNION ALL
            SELECT CASE p.left_id WHEN n.id THEN p.right_id ELSE p.left_id END, NULL, e.at
            FROM profiles.decided_pairs p
            JOIN profiles.decisions e ON e.tenant_id = :tenant_id AND e.id = p.decision_id
            WHERE p.tenant_id = :tenant_id AND (p.left_id = n.id OR p.right_id = n.id) AND NOT p.apart
        ) met GROUP BY other_id
    ) l
    JOIN profiles.identities i
        ON i.tenant_id = :tenant_id AND i.id = l.other_id AND (n.device OR i.kind <> :anonymous)
    LEFT JOIN profiles.crowded c ON c.tenant_id = :tenant_id AND c.identity_id = i.id
    LEFT JOIN profiles.value_rules r ON r.tenant_id = :tenant_id AND r.kind = i.kind AND r.value = i.value
""")
_APART = text("""
    SELECT DISTINCT d.left_id, d.right_id
    FROM json_to_recordset(CAST(:rows AS json)) AS n (left_id bigint, right_id bigint)
    JOIN profiles.decided_pairs d
        ON d.tenant_id = :tenant_id AND d.left_id = n.left_id AND d.right_id = n.right_id AND d.apart
""")
_KEEP_CROWDED = text("""
    INSERT INTO profiles.crowded (tenant_id, identity_id, known_at, of_kind)
    SELECT :tenant_id, n.id, :known_at, n.of_kind
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint, of_kind text)
    ON CONFLICT (tenant_id, identity_id) DO NOTHING
""")


class Claim(NamedTuple):
    """Of a device; the lowest one wins. What a person decided comes before what records tell."""

    recorded: bool
    since: datetime
    claimant: Key


@dataclass
class Standing:
    """What has to be known of the identities that new links touch before they join anybody."""

    #: Those that join nobody.
    alone: set[Key] = field(default_factory=set)
    #: Those that came together with too many others by the new links, and others of which kind those are.
    crowded: dict[Key, str] = field(default_factory=dict)
    #: Those of them that have joined others so far.
    torn: set[Key] = field(default_factory=set)
    #: Pairs that a person told apart.
    apart: set[Pair] = field(default_factory=set)
    #: Claims on devices that held so far, each with its claimant's lead.
    claims: dict[Key, dict[Claim, int]] = field(default_factory=dict)


def find(session: Session, tenant_id: int, pairs: Collection[Pair], ids: Mapping[Key, int]) -> Standing:
    """Of the identities in these pairs, of which ``ids`` names the ones we know."""
    standing = Standing()
    if not pairs:
        return standing
    touched = {key for pair in pairs for key in pair}
    released = _read_rules(session, tenant_id, touched, ids, standing)
    others = {key: set[Key]() for key in touched}
    for one, other in pairs:
        others[one].add(other)
        others[other].add(one)
    _read_neighbours(session, tenant_id, others, ids, standing)
    for key in touched - standing.alone:
        if kind := too_many(key, others[key], limits.current()):
            standing.crowded[key] = kind
            if key not in released:
                standing.alone.add(key)
                if key in ids:
                    standing.torn.add(key)
    standing.apart = _read_apart(session, tenant_id, pairs, ids)
    return standing


def keep(session: Session, tenant_id: int, crowded: Mapping[int, str], known_at: datetime) -> None:
    """By identity, the kind of others there are too many of."""
    if crowded:
        news = rows(id=list(crowded), of_kind=list(crowded.values()))
        session.execute(_KEEP_CROWDED, {"tenant_id": tenant_id, "known_at": known_at, "rows": news})


def joins_nobody(crowded: bool, blocked: bool | None) -> bool:
    """``blocked`` is what a person said of the value: never, or always whatever the limit; None when nobody did."""
    return crowded if blocked is None else blocked


def _read_rules(
    session: Session, tenant_id: int, touched: Iterable[Key], ids: Mapping[Key, int], standing: Standing
) -> set[Key]:
    """Tells who stands alone already; gives those that a person released."""
    keys = list(touched)
    asked = rows(kind=[key[0] for key in keys], value=[key[1] for key in keys], id=[ids.get(key, 0) for key in keys])
    released = set()
    for kind, value, is_crowded, blocked in session.execute(_RULES, {"tenant_id": tenant_id, "rows": asked}):
        if blocked is False:
            released.add((kind, value))
        if joins_nobody(is_crowded, blocked):
            standing.alone.add((kind, value))
    return released


def _read_neighbours(
    session: Session, tenant_id: int, others: dict[Key, set[Key]], ids: Mapping[Key, int], standing: Standing
) -> None:
    """Adds all whom these came together with before, but for those who stand alone: they may have met a million."""
    known = {
        ids[key]: key
        for key, met in others.items()
        if key in ids and key not in standing.alone and (is_device(key) or any(not is_device(other) for other in met))
    }
    if not known:
        return
    asked = rows(id=list(known), device=[is_device(key) for key in known.values()])
    parameters = {"tenant_id": tenant_id, "anonymous": ANONYMOUS_ID, "rows": asked}
    for row in session.execute(_NEIGHBOURS, parameters):
        key, other = known[row.id], (row.kind, row.value)
        if row.since is not None:
            others[key].add(other)
        if not is_device(key) or joins_nobody(row.crowded, row.blocked):
            continue
        claims = standing.claims.setdefault(key, {})
        if row.decided_at is not None and (row.apart_at is None or row.apart_at < row.decided_at):
            claims[Claim(False, row.decided_at, other)] = row.lead_id
        if row.since is not None and row.apart_at is None:
            claims[Claim(True, row.since, other)] = row.lead_id


def _read_apart(session: Session, tenant_id: int, pairs: Iterable[Pair], ids: Mapping[Key, int]) -> set[Pair]:
    known = {ordered(ids[one], ids[other]): (one, other) for one, other in pairs if one in ids and other in ids}
    if not known:
        return set()
    lefts, rights = zip(*known, strict=True)
    found = session.execute(_APART, {"tenant_id": tenant_id, "rows": rows(left_id=lefts, right_id=rights)})
    return {known[left, right] for left, right in found}


def ordered(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)
