"""Identifiers, the leads they belong to, and the links between them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles.bulk import rows
from assay.profiles.gathering import Gathered
from assay.profiles.matching import ANONYMOUS_ID, Key
from assay.profiles.merging import Groups

_FIND = text("""
    SELECT i.kind, i.value, i.id, i.lead_id, i.first_seen_at, i.last_seen_at
    FROM json_to_recordset(CAST(:rows AS json)) AS n (kind text, value text)
    JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.kind = n.kind AND i.value = n.value
""")
_FIND_LINKS = text("""
    SELECT l.left_id, l.right_id, l.since
    FROM json_to_recordset(CAST(:rows AS json)) AS n (left_id bigint, right_id bigint)
    JOIN profiles.links l
        ON l.tenant_id = :tenant_id AND l.left_id = n.left_id AND l.right_id = n.right_id AND l.import_id = :import_id
""")
_FIND_CLAIMS = text("""
    SELECT n.id AS device_id, i.kind, i.value, i.lead_id, l.since
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint)
    CROSS JOIN LATERAL (
        SELECT right_id AS other_id, since FROM profiles.links WHERE tenant_id = :tenant_id AND left_id = n.id
        UNION ALL
        SELECT left_id AS other_id, since FROM profiles.links WHERE tenant_id = :tenant_id AND right_id = n.id
    ) l
    JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = l.other_id
""")
_KEEP_LINKS = text("""
    INSERT INTO profiles.links (tenant_id, left_id, right_id, import_id, since)
    SELECT :tenant_id, n.left_id, n.right_id, :import_id, n.since
    FROM json_to_recordset(CAST(:rows AS json)) AS n (left_id bigint, right_id bigint, since timestamptz)
    ON CONFLICT (tenant_id, left_id, right_id, import_id) DO UPDATE SET since = LEAST(links.since, excluded.since)
""")

# A device may turn out to be somebody else's, so it comes last.
_FIND_LASTING = text("""
    SELECT i.id, i.kind, i.value
    FROM profiles.identities i
    WHERE i.tenant_id = :tenant_id AND i.lead_id = :lead_id
    ORDER BY i.kind = :device, i.id
    LIMIT 1
""")

Pair = tuple[Key, Key]


@dataclass(frozen=True, slots=True)
class Known:
    id: int
    lead_id: int
    #: None for one that only imports state.
    first_seen_at: datetime | None
    last_seen_at: datetime | None


@dataclass
class Placement:
    """Where the identities of a batch belong from now on."""

    #: Leads that turned out to be one person, and the lead they are now.
    merged: dict[int, int] = field(default_factory=dict)
    #: Lead of each new identity that belongs to a lead we know.
    joined: dict[Key, int] = field(default_factory=dict)
    #: New identities of people we did not know, a list for each person.
    newcomers: list[list[Key]] = field(default_factory=list)
    #: Devices that were claimed before: the earliest claimant, or its lead if we know that.
    claimed: dict[Key, Key | int] = field(default_factory=dict)
    #: Links and claims that are new, or older than we knew.
    news: dict[Pair, datetime] = field(default_factory=dict)

    def lead_of(self, lead_id: int) -> int:
        return self.merged.get(lead_id, lead_id)


def find(session: Session, tenant_id: int, keys: Collection[Key]) -> dict[Key, Known]:
    wanted = rows(kind=[kind for kind, _ in keys], value=[value for _, value in keys])
    found = session.execute(_FIND, {"tenant_id": tenant_id, "rows": wanted})
    return {(row[0], row[1]): Known(*row[2:]) for row in found}


def find_lasting(session: Session, tenant_id: int, lead_id: int) -> tuple[int, Key] | None:
    """The identity that most surely stays this lead's, with its id."""
    row = session.execute(
        _FIND_LASTING, {"tenant_id": tenant_id, "lead_id": lead_id, "device": ANONYMOUS_ID}
    ).one_or_none()
    return (row[0], (row[1], row[2])) if row else None


def place(session: Session, tenant_id: int, found: Gathered, known: dict[Key, Known]) -> Placement:
    """Works out who belongs to whom; writes nothing."""
    placement = Placement(news=_news(session, tenant_id, found, known))
    groups: Groups[Key | int] = Groups()

    def node(key: Key) -> Key | int:
        return known[key].lead_id if key in known else key

    for key in found.sights:
        if key not in known:
            groups.find(key)
    devices: dict[Key, dict[Key, datetime]] = {}
    for (one, other), since in placement.news.items():
        if (one, other) in found.claims:
            devices.setdefault(one, {})[other] = since
        else:
            groups.join(node(one), node(other))
    contested = _claims(session, tenant_id, [known[device].id for device in devices if device in known])
    for device, claims in devices.items():
        earlier = contested.get(known[device].id, {}) if device in known else {}
        winner = _winner(claims, earlier)
        home = node(winner) if winner in found.sights else earlier[winner][1]
        if earlier:
            placement.claimed[device] = home
        else:
            groups.join(home, node(device))
    _settle(placement, groups)
    return placement


def _settle(placement: Placement, groups: Groups[Key | int]) -> None:
    for members in groups.members():
        leads = sorted(member for member in members if isinstance(member, int))
        keys = [member for member in members if not isinstance(member, int)]
        if not leads:
            placement.newcomers.append(keys)
            continue
        placement.merged.update(dict.fromkeys(leads[1:], leads[0]))
        placement.joined.update(dict.fromkeys(keys, leads[0]))


def _winner(claims: dict[Key, datetime], earlier: dict[Key, tuple[datetime, int]]) -> Key:
    candidates = {claimant: since for claimant, (since, _) in earlier.items()}
    for claimant, since in claims.items():
        candidates[claimant] = min(since, candidates.get(claimant, since))
    return min((since, claimant) for claimant, since in candidates.items())[1]


def _news(session: Session, tenant_id: int, found: Gathered, known: dict[Key, Known]) -> dict[Pair, datetime]:
    """The batch's links and claims without those that the same import, or what comes by itself, stated as early."""
    pairs = {**found.links, **found.claims}
    ids = {_ids(known[one].id, known[other].id): (one, other) for one, other in pairs if {one, other} <= known.keys()}
    if ids:
        lefts, rights = zip(*ids, strict=True)
        wanted = rows(left_id=lefts, right_id=rights)
        asked = {"tenant_id": tenant_id, "import_id": found.import_id, "rows": wanted}
        for left, right, since in session.execute(_FIND_LINKS, asked):
            pair = ids[left, right]
            if since <= pairs[pair]:
                del pairs[pair]
    return pairs


def _claims(session: Session, tenant_id: int, device_ids: list[int]) -> dict[int, dict[Key, tuple[datetime, int]]]:
    """Who has claimed each device so far: since when, and the claimant's lead."""
    claims: dict[int, dict[Key, tuple[datetime, int]]] = {}
    if device_ids:
        for row in session.execute(_FIND_CLAIMS, {"tenant_id": tenant_id, "rows": rows(id=device_ids)}):
            known = claims.setdefault(row.device_id, {})
            claim, claimant = (row.since, row.lead_id), (row.kind, row.value)
            known[claimant] = min(known.get(claimant, claim), claim)
    return claims


def keep_links(
    session: Session, tenant_id: int, links: Iterable[tuple[int, int, datetime]], *, import_id: int = 0
) -> None:
    ordered = [(*_ids(one, other), since) for one, other, since in links]
    if ordered:
        lefts, rights, since = zip(*ordered, strict=True)
        news = rows(left_id=lefts, right_id=rights, since=since)
        session.execute(_KEEP_LINKS, {"tenant_id": tenant_id, "import_id": import_id, "rows": news})


def _ids(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)
