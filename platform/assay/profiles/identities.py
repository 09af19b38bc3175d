"""Identifiers, the leads they belong to, and the links between them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles import standing
from assay.profiles.bulk import rows
from assay.profiles.gathering import Gathered, Origin
from assay.profiles.matching import ANONYMOUS_ID, Key
from assay.profiles.merges import Cause, Union
from assay.profiles.merging import Groups
from assay.profiles.settling import Pair, is_device
from assay.profiles.standing import Claim, Standing, ordered

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
_KEEP_LINKS = text("""
    INSERT INTO profiles.links (tenant_id, left_id, right_id, import_id, since, source_id, message_id)
    SELECT :tenant_id, n.left_id, n.right_id, :import_id, n.since, n.source_id, n.message_id
    FROM json_to_recordset(CAST(:rows AS json)) AS n
        (left_id bigint, right_id bigint, since timestamptz, source_id bigint, message_id uuid)
    ON CONFLICT (tenant_id, left_id, right_id, import_id) DO UPDATE
    SET since = excluded.since, source_id = excluded.source_id, message_id = excluded.message_id
    WHERE excluded.since < links.since
""")

# A device may turn out to be somebody else's, so it comes last.
_FIND_LASTING = text("""
    SELECT i.id, i.kind, i.value
    FROM profiles.identities i
    WHERE i.tenant_id = :tenant_id AND i.lead_id = :lead_id
    ORDER BY i.kind = :device, i.id
    LIMIT 1
""")


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
    #: How that came about, step by step.
    unions: list[Union] = field(default_factory=list)
    #: Lead of each new identity that belongs to a lead we know.
    joined: dict[Key, int] = field(default_factory=dict)
    #: New identities of people we did not know, a list for each person.
    newcomers: list[list[Key]] = field(default_factory=list)
    #: Devices that were claimed before: the one whose they are now, or its lead if we know that.
    claimed: dict[Key, Key | int] = field(default_factory=dict)
    #: Links and claims that are new, or older than we knew.
    news: dict[Pair, Origin] = field(default_factory=dict)
    #: Identities that came together with too many others now, and others of which kind those are.
    crowded: dict[Key, str] = field(default_factory=dict)
    #: Those of them that have joined leads so far, which fall apart again.
    torn: set[Key] = field(default_factory=set)

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
    news = _news(session, tenant_id, found, known)
    told = standing.find(session, tenant_id, news, {key: identity.id for key, identity in known.items()})
    placement = Placement(news=news, crowded=told.crowded, torn=told.torn)
    placing = _Placing(placement, {key: identity.lead_id for key, identity in known.items()}, found.import_id)
    for key in found.sights:
        if key not in known:
            placing.groups.find(key)
    holding = {pair: origin for pair, origin in news.items() if pair not in told.apart and told.alone.isdisjoint(pair)}
    devices: dict[Key, dict[Claim, Origin]] = {}
    for pair in sorted(holding, key=lambda pair: (holding[pair].at, pair)):
        if is_device(pair[0]):
            devices.setdefault(pair[0], {})[Claim(True, holding[pair].at, pair[1])] = holding[pair]
        else:
            placing.join(pair, holding[pair])
    for device, claims in devices.items():
        _claim(placing, device, claims, told)
    placing.settle()
    return placement


class _Placing:
    """Grows the groups of a batch: of leads that we know, and of identities that we don't."""

    def __init__(self, placement: Placement, leads: dict[Key, int], import_id: int) -> None:
        self.placement, self.leads, self.import_id = placement, leads, import_id
        self.groups: Groups[Key | int] = Groups()
        #: The lead that each group is so far, by its root.
        self._heads: dict[Key | int, int] = {}

    def node(self, key: Key) -> Key | int:
        return self.leads.get(key, key)

    def join(self, pair: Pair, origin: Origin, *, home: Key | int | None = None) -> None:
        """Of a device and its claimant, ``home`` is where the latter is."""
        one, other = self.node(pair[0]), self.node(pair[1]) if home is None else home
        heads = self._head(one), self._head(other)
        if self.groups.find(one) == self.groups.find(other):
            return
        self.groups.join(one, other)
        there = [head for head in heads if head is not None]
        if there:
            self._heads[self.groups.find(one)] = min(there)
        if len(there) == 2:
            kept_first = pair if heads[0] == min(there) else (pair[1], pair[0])
            cause = Cause(*origin, import_id=self.import_id)
            self.placement.unions.append(Union(min(there), max(there), kept_first, cause))

    def _head(self, node: Key | int) -> int | None:
        return self._heads.get(self.groups.find(node), node if isinstance(node, int) else None)

    def settle(self) -> None:
        for members in self.groups.members():
            leads = sorted(member for member in members if isinstance(member, int))
            keys = [member for member in members if not isinstance(member, int)]
            if not leads:
                self.placement.newcomers.append(keys)
                continue
            self.placement.merged.update(dict.fromkeys(leads[1:], leads[0]))
            self.placement.joined.update(dict.fromkeys(keys, leads[0]))


def _claim(placing: _Placing, device: Key, claims: dict[Claim, Origin], told: Standing) -> None:
    """The lowest claim has the device; those of people who join nobody do not count."""
    before = told.claims.get(device, {})
    winner = min(claim for claim in (*claims, *before) if claim.claimant not in told.alone)
    home = placing.leads.get(winner.claimant, before.get(winner, winner.claimant))
    if before:
        placing.placement.claimed[device] = home
    else:
        placing.join((device, winner.claimant), claims[winner], home=home)


def _news(session: Session, tenant_id: int, found: Gathered, known: dict[Key, Known]) -> dict[Pair, Origin]:
    """The batch's links and claims without those that the same import, or what comes by itself, stated as early."""
    pairs = {**found.links, **found.claims}
    ids = {
        ordered(known[one].id, known[other].id): (one, other) for one, other in pairs if {one, other} <= known.keys()
    }
    if ids:
        lefts, rights = zip(*ids, strict=True)
        wanted = rows(left_id=lefts, right_id=rights)
        asked = {"tenant_id": tenant_id, "import_id": found.import_id, "rows": wanted}
        for left, right, since in session.execute(_FIND_LINKS, asked):
            pair = ids[left, right]
            if since <= pairs[pair].at:
                del pairs[pair]
    return pairs


def keep_links(
    session: Session, tenant_id: int, links: Iterable[tuple[int, int, Origin]], *, import_id: int = 0
) -> None:
    told = [(*ordered(one, other), *origin) for one, other, origin in links]
    if told:
        lefts, rights, since, sources, messages = zip(*told, strict=True)
        news = rows(left_id=lefts, right_id=rights, since=since, source_id=sources, message_id=messages)
        session.execute(_KEEP_LINKS, {"tenant_id": tenant_id, "import_id": import_id, "rows": news})
