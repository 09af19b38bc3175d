"""Leads are worked out anew from all links of theirs, where one could fall apart: a link went, or joins no more."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles import leads, limits, merges, standing
from assay.profiles.bulk import rows
from assay.profiles.identities import Placement
from assay.profiles.matching import ANONYMOUS_ID, Key
from assay.profiles.merges import Cause, Union
from assay.profiles.merging import Groups
from assay.profiles.settling import Graph, Pair, in_order, is_device, joins, pair_of
from assay.profiles.standing import joins_nobody
from assay_tenants.errors import Conflict

log = structlog.get_logger()

#: Identities that are looked at together: some seconds and about 150 MB.
MOST = 100_000

_WHO = """
    SELECT i.id, i.kind, i.value, i.lead_id, c.identity_id IS NOT NULL AS crowded, r.blocked
    FROM {}
    LEFT JOIN profiles.crowded c ON c.tenant_id = :tenant_id AND c.identity_id = i.id
    LEFT JOIN profiles.value_rules r ON r.tenant_id = :tenant_id AND r.kind = i.kind AND r.value = i.value
"""
_MEMBERS = text(
    _WHO.format("profiles.identities i")
    + "WHERE i.tenant_id = :tenant_id AND i.lead_id = ANY(CAST(:ids AS bigint[])) LIMIT :most"
)
_ROWS = "json_to_recordset(CAST(:rows AS json)) AS n (id bigint)"
_OTHERS = text(_WHO.format(f"{_ROWS} JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = n.id"))
_LINKS = text(f"""
    SELECT DISTINCT ON (l.left_id, l.right_id)
        l.left_id, l.right_id, l.since, l.source_id, l.message_id, l.import_id
    FROM (
        SELECT l.* FROM {_ROWS} JOIN profiles.links l ON l.tenant_id = :tenant_id AND l.left_id = n.id
        UNION ALL
        SELECT l.* FROM {_ROWS} JOIN profiles.links l ON l.tenant_id = :tenant_id AND l.right_id = n.id
    ) l
    ORDER BY l.left_id, l.right_id, l.since, l.import_id
""")  # noqa: S608 # of constants alone
_DECIDED = text(f"""
    SELECT p.left_id, p.right_id, p.apart, d.at, d.id
    FROM (
        SELECT p.* FROM {_ROWS} JOIN profiles.decided_pairs p ON p.tenant_id = :tenant_id AND p.left_id = n.id
        UNION
        SELECT p.* FROM {_ROWS} JOIN profiles.decided_pairs p ON p.tenant_id = :tenant_id AND p.right_id = n.id
    ) p
    JOIN profiles.decisions d ON d.tenant_id = :tenant_id AND d.id = p.decision_id
""")  # noqa: S608 # of constants alone
_FORMER = text(f"""
    SELECT p.identity_id, min(p.lead_id) AS lead_id
    FROM {_ROWS}
    JOIN profiles.past_memberships p ON p.tenant_id = :tenant_id AND p.identity_id = n.id
    WHERE NOT EXISTS (SELECT FROM profiles.leads l WHERE l.tenant_id = :tenant_id AND l.id = p.lead_id)
    GROUP BY p.identity_id
""")  # noqa: S608 # of constants alone
_NUMBERS = text("""
    SELECT i.id, i.kind, i.value, i.lead_id, o.kind AS of_kind, count(o.id) AS others
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint)
    JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = n.id
    LEFT JOIN LATERAL (
        SELECT DISTINCT e.id, e.kind FROM (
            SELECT right_id AS id FROM profiles.links WHERE tenant_id = :tenant_id AND left_id = n.id
            UNION
            SELECT left_id FROM profiles.links WHERE tenant_id = :tenant_id AND right_id = n.id
        ) met
        JOIN profiles.identities e ON e.tenant_id = :tenant_id AND e.id = met.id AND e.kind <> :anonymous
    ) o ON true
    GROUP BY i.id, i.kind, i.value, i.lead_id, o.kind
""")
_UNCROWD = text("""
    DELETE FROM profiles.crowded WHERE tenant_id = :tenant_id AND identity_id = ANY(CAST(:ids AS bigint[]))
""")


class TooEntangled(Conflict):
    """So many identifiers hang together that they can't be looked at in one go."""

    code = "too_entangled"

    def __init__(self) -> None:
        super().__init__(
            f"More than {MOST:,} identifiers hang together here, too many to be sorted out in one go. Block the value "
            "that joins most of them first."
        )


@dataclass
class Settled:
    #: Leads to be folded anew.
    stale: set[int] = field(default_factory=set)
    #: Leads with news; some of them are gone.
    changed: set[int] = field(default_factory=set)


@dataclass
class Tangle:
    """Some leads with all that joins their identities, to one another and to others."""

    leads: set[int]
    ids: dict[Key, int] = field(default_factory=dict)
    #: Of these identities, and of those outside that they have a link with.
    lead_of: dict[Key, int] = field(default_factory=dict)
    members: set[Key] = field(default_factory=set)
    alone: set[Key] = field(default_factory=set)
    #: All that is on record, earliest first told.
    links: dict[Pair, Cause] = field(default_factory=dict)
    apart: set[Pair] = field(default_factory=set)
    #: Of several decisions on a pair the last one counts; a link that was cut stays cut.
    together: dict[Pair, Cause] = field(default_factory=dict)
    #: Those whom a person sends to another lead: the others keep theirs.
    going: Collection[Key] = ()

    @cached_property
    def joining(self) -> dict[Pair, datetime]:
        """The links that join."""
        links = {pair: cause.at for pair, cause in self.links.items()}
        together = {pair: cause.at for pair, cause in self.together.items()}
        return joins(Graph(links, self.apart, together, self.alone))

    def cause(self, pair: Pair) -> Cause:
        return self.together.get(pair) or self.links[pair]

    def rank(self, key: Key) -> tuple[bool, bool, bool, int]:
        """The first one keeps the lead: what tells a person before a device, and both before what joins nobody."""
        return key in self.going, key in self.alone, is_device(key), self.ids[key]


def settle(
    session: Session, tenant_id: int, lead_ids: Collection[int], known_at: datetime, *, going: Collection[Key] = ()
) -> Settled:
    """Works out anew who is whom among all who are of these leads; raises TooEntangled."""
    if not lead_ids:
        return Settled()
    tangle = load(session, tenant_id, lead_ids)
    tangle.going = going
    return _Regrouping(tangle).write(session, tenant_id, known_at)


def follow(
    session: Session, tenant_id: int, placement: Placement, places: Mapping[Key, tuple[int, int]], known_at: datetime
) -> Settled:
    """What a batch's links lead to once its identities are in their places, each with its id and its lead's."""
    ids = {key: place[0] for key, place in places.items()}
    merges.record(session, tenant_id, placement.unions, ids, known_at)
    standing.keep(session, tenant_id, {ids[key]: kind for key, kind in placement.crowded.items()}, known_at)
    torn = {places[key][1] for key in placement.torn}
    try:
        return settle(session, tenant_id, torn, known_at)
    except TooEntangled:
        # It joins nobody from now on; whom it has joined stay together.
        log.warning("profiles.too_entangled", tenant_id=tenant_id, lead_ids=sorted(torn))
        return Settled()


def resettle(session: Session, tenant_id: int, identity_ids: Collection[int], known_at: datetime) -> Settled:
    """After links of these identities went, or what people say of their values changed; raises TooEntangled."""
    if not identity_ids:
        return Settled()
    numbers: dict[int, dict[str, int]] = {}
    keys: dict[int, Key] = {}
    lead_ids = set()
    parameters = {"tenant_id": tenant_id, "anonymous": ANONYMOUS_ID, "rows": rows(id=list(identity_ids))}
    for row in session.execute(_NUMBERS, parameters):
        keys[row.id] = row.kind, row.value
        numbers.setdefault(row.id, {})[row.of_kind or ""] = row.others
        lead_ids.add(row.lead_id)
    crowded = {}
    for id_, key in keys.items():
        over = [kind for kind, number in numbers[id_].items() if number > limits.current().of(key)]
        if over:
            crowded[id_] = min(over)
    session.execute(_UNCROWD, {"tenant_id": tenant_id, "ids": [id_ for id_ in keys if id_ not in crowded]})
    standing.keep(session, tenant_id, crowded, known_at)
    return settle(session, tenant_id, lead_ids, known_at)


def load(session: Session, tenant_id: int, lead_ids: Collection[int]) -> Tangle:
    """With every lead that joins one of these already, as it will with none but those whose links changed just now."""
    wanted = set(lead_ids)
    while True:
        tangle = _load(session, tenant_id, wanted)
        further = {
            tangle.lead_of[key]
            for pair in tangle.joining
            if not is_device(pair[0]) and not tangle.members.isdisjoint(pair)
            for key in pair
        }
        if further <= wanted:
            return tangle
        wanted |= further


def _load(session: Session, tenant_id: int, lead_ids: set[int]) -> Tangle:
    tangle = Tangle(set(lead_ids))
    names: dict[int, Key] = {}

    def meet(found: Iterable[Any]) -> list[Key]:
        met = []
        for id_, kind, value, lead_id, crowded, blocked in found:
            key = kind, value
            names[id_], tangle.ids[key], tangle.lead_of[key] = key, id_, lead_id
            if joins_nobody(crowded, blocked):
                tangle.alone.add(key)
            met.append(key)
        return met

    def look(keys: Collection[Key]) -> None:
        """Reads all links of these; whoever stands alone has none that matter."""
        ids = rows(id=[tangle.ids[key] for key in keys if key not in tangle.alone])
        links = session.execute(_LINKS, {"tenant_id": tenant_id, "rows": ids}).all()
        decided = session.execute(_DECIDED, {"tenant_id": tenant_id, "rows": ids}).all()
        strangers = {id_ for row in (*links, *decided) for id_ in (row.left_id, row.right_id)} - names.keys()
        if strangers:
            meet(session.execute(_OTHERS, {"tenant_id": tenant_id, "rows": rows(id=list(strangers))}))
        for row in links:
            if row.left_id in names and row.right_id in names:
                cause = Cause(row.since, row.source_id, row.message_id, row.import_id)
                tangle.links[pair_of(names[row.left_id], names[row.right_id])] = cause
        for row in sorted(decided, key=lambda row: row.at):
            if row.left_id not in names or row.right_id not in names:
                continue
            pair = pair_of(names[row.left_id], names[row.right_id])
            if row.apart:
                tangle.apart.add(pair)
                tangle.together.pop(pair, None)
            else:
                tangle.together[pair] = Cause(row.at, None, None, 0, row.id)

    parameters = {"tenant_id": tenant_id, "ids": list(lead_ids), "most": MOST + 1}
    tangle.members.update(meet(session.execute(_MEMBERS, parameters)))
    if len(tangle.members) > MOST:
        raise TooEntangled
    look(tangle.members)
    visiting = [key for key in tangle.ids if is_device(key) and key not in tangle.members]
    if visiting:
        look(visiting)
    return tangle


class _Regrouping:
    """Which lead each identity is of from now on."""

    def __init__(self, tangle: Tangle) -> None:
        self.tangle = tangle
        self.joining = tangle.joining
        self.groups: Groups[Key] = Groups()
        #: Devices of whom somebody else has the earlier claim, and that one's lead.
        self.leaving: dict[Key, int] = {}
        #: Devices of other leads that one of ours has the earlier claim on.
        self.coming: set[Key] = set()
        for key in tangle.members:
            self.groups.find(key)
        self.inner = [pair for pair in in_order(self.joining) if self._is_inner(pair)]
        for pair in self.inner:
            self.groups.join(*pair)

    def _is_inner(self, pair: Pair) -> bool:
        device, claimant = pair
        if not is_device(device):
            return pair[0] in self.tangle.members
        if claimant not in self.tangle.members:
            if device in self.tangle.members:
                self.leaving[device] = self.tangle.lead_of[claimant]
            return False
        if device not in self.tangle.members:
            self.coming.add(device)
        return True

    def write(self, session: Session, tenant_id: int, known_at: datetime) -> Settled:
        homes, unions = self._homes(session, tenant_id, known_at)
        lead_of, ids = self.tangle.lead_of, self.tangle.ids
        moves = {ids[key]: home for key, home in homes.items() if home != lead_of[key]}
        if not moves:
            return Settled()
        leads.move(session, tenant_id, moves, known_at)
        left = {lead_of[key] for key, home in homes.items() if home != lead_of[key]}
        gone = leads.remove_empty(session, tenant_id, left, known_at)
        unions += self._absorbed(homes, gone - {union.gone for union in unions})
        merges.record(session, tenant_id, unions, ids, known_at)
        stale = (left | set(moves.values())) - gone
        return Settled(stale, stale | gone)

    def _homes(self, session: Session, tenant_id: int, known_at: datetime) -> tuple[dict[Key, int], list[Union]]:
        """The lead of each identity, and the leads that became one."""
        heirs: dict[int, Key] = {}
        for key in self.tangle.members:
            lead_id = self.tangle.lead_of[key]
            if lead_id not in heirs or self.tangle.rank(key) < self.tangle.rank(heirs[lead_id]):
                heirs[lead_id] = key
        heads = {self.groups.find(key): lead_id for lead_id, key in sorted(heirs.items(), reverse=True)}
        groups = {self.groups.find(members[0]): members for members in self.groups.members()}
        for device in self.leaving:
            heads.pop(self.groups.find(device), None)
            groups.pop(self.groups.find(device), None)
        homeless = sorted(
            (root for root in groups if root not in heads), key=lambda root: min(map(self.tangle.rank, groups[root]))
        )
        heads.update(self._found(session, tenant_id, {root: groups[root] for root in homeless}, known_at))
        homes = {key: heads[root] for root, members in groups.items() for key in members} | self.leaving
        return homes, self._unions({key: lead_id for lead_id, key in heirs.items() if key not in self.leaving})

    def _found(
        self, session: Session, tenant_id: int, groups: Mapping[Key, list[Key]], known_at: datetime
    ) -> dict[Key, int]:
        """A lead for each of these groups: the one that its identities were before they were joined, or a new one."""
        if not groups:
            return {}
        ids = rows(id=[self.tangle.ids[key] for members in groups.values() for key in members])
        former = {
            row.identity_id: row.lead_id for row in session.execute(_FORMER, {"tenant_id": tenant_id, "rows": ids})
        }
        again: dict[Key, int] = {}
        for root, members in groups.items():
            were = {former[self.tangle.ids[key]] for key in members if self.tangle.ids[key] in former}
            free = were - set(again.values())
            if free:
                again[root] = min(free)
        leads.revive(session, tenant_id, again.values(), known_at)
        new = [root for root in groups if root not in again]
        made = leads.make(session, tenant_id, [leads.unknown(known_at)] * len(new), known_at)
        return again | dict(zip(new, made, strict=True))

    def _unions(self, heirs: Mapping[Key, int]) -> list[Union]:
        """Each lead grows from the identity that keeps it; where two meet, one ends."""
        growing: Groups[Key] = Groups()
        heads = {growing.find(key): lead_id for key, lead_id in heirs.items()}
        unions = []
        for pair in self.inner:
            roots = growing.find(pair[0]), growing.find(pair[1])
            if roots[0] == roots[1]:
                continue
            growing.join(*pair)
            there = [heads[root] for root in roots if root in heads]
            if there:
                heads[growing.find(pair[0])] = min(there)
            if len(there) == 2:
                kept_first = pair if there[0] < there[1] else (pair[1], pair[0])
                unions.append(Union(min(there), max(there), kept_first, self.tangle.cause(pair)))
        return unions

    def _absorbed(self, homes: Mapping[Key, int], gone: Collection[int]) -> list[Union]:
        """Leads that were a device alone, which went to its claimant."""
        absorbed = []
        for pair in self.joining:
            lead_id = self.tangle.lead_of[pair[0]]
            if is_device(pair[0]) and lead_id in gone and pair[0] in homes:
                absorbed.append(Union(homes[pair[0]], lead_id, (pair[1], pair[0]), self.tangle.cause(pair)))
        return absorbed
