"""The identities of a batch and the new leads among them, written."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles import leads, statements
from assay.profiles.bulk import raw, rows
from assay.profiles.companies import NamedCompany
from assay.profiles.folding import Facet
from assay.profiles.gathering import Gathered
from assay.profiles.identities import Known, Placement
from assay.profiles.matching import EMAIL, Key
from assay.profiles.merging import learn, state, stated_of, traits_of
from assay.profiles.settling import is_device

_STATED = text("""
    SELECT i.id, i.traits, i.stated, i.company_at, c.id AS company_id, c.key AS company_key
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint)
    JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = n.id
    LEFT JOIN profiles.companies c ON c.tenant_id = :tenant_id AND c.id = i.company_id
""")
_FACTS = """traits jsonb, stated jsonb, company_id bigint, company_at timestamptz, first_seen_at timestamptz,
        last_seen_at timestamptz"""
_NAMES = "traits, stated, company_id, company_at, first_seen_at, last_seen_at"
_INSERT = text(f"""
    INSERT INTO profiles.identities (tenant_id, kind, value, lead_id, {_NAMES}, known_at)
    SELECT :tenant_id, kind, value, lead_id, {_NAMES}, :known_at
    FROM json_to_recordset(CAST(:rows AS json)) AS n (kind text, value text, lead_id bigint, {_FACTS})
    RETURNING kind, value, id, lead_id
""")
_UPDATE = text(f"""
    UPDATE profiles.identities i
    SET ({_NAMES}) = (n.traits, n.stated, n.company_id, n.company_at, n.first_seen_at, n.last_seen_at)
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint, {_FACTS})
    WHERE i.tenant_id = :tenant_id AND i.id = n.id
""")
_SEE = text("""
    UPDATE profiles.identities i SET first_seen_at = n.first_seen_at, last_seen_at = n.last_seen_at
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint, first_seen_at timestamptz, last_seen_at timestamptz)
    WHERE i.tenant_id = :tenant_id AND i.id = n.id
""")

Sight = tuple[datetime, datetime]


@dataclass
class Kept:
    #: Each identity's id and its lead's.
    places: dict[Key, tuple[int, int]] = field(default_factory=dict)
    #: Leads to be folded anew.
    stale: set[int] = field(default_factory=set)
    #: Leads with news already known.
    changed: set[int] = field(default_factory=set)
    #: First and last sight of leads we knew before.
    sights: dict[int, Sight] = field(default_factory=dict)


def keep(
    session: Session,
    tenant_id: int,
    found: Gathered,
    *,
    known: Mapping[Key, Known],
    placement: Placement,
    companies: Mapping[str, NamedCompany],
    known_at: datetime,
) -> Kept:
    leads.merge(session, tenant_id, placement.merged, known_at)
    survivors = set(placement.merged.values())
    kept = Kept(stale=set(survivors), changed={*placement.merged, *survivors})
    for key, identity in known.items():
        kept.places[key] = identity.id, placement.lead_of(identity.lead_id)
    _welcome(session, tenant_id, found, kept, placement, companies, known_at)
    if found.import_id:
        news = statements.keep(session, tenant_id, found, {key: place[0] for key, place in kept.places.items()})
    else:
        news = _learn(session, tenant_id, found, known, companies)
    kept.stale |= {kept.places[key][1] for key in news & known.keys()}
    _move(session, tenant_id, kept, placement, known_at)
    for key, sight in found.sights.items():
        lead_id = kept.places[key][1]
        kept.sights[lead_id] = _wider(kept.sights.get(lead_id, sight), sight)
    return kept


def _learn(
    session: Session,
    tenant_id: int,
    found: Gathered,
    known: Mapping[Key, Known],
    companies: Mapping[str, NamedCompany],
) -> set[Key]:
    """Updates the identities that we knew; gives those that tell something new of their leads."""
    keys = {identity.id: key for key, identity in known.items() if key in found.traits or key in found.employers}
    news: dict[int, Facet] = {}
    if keys:
        for row in session.execute(_STATED, {"tenant_id": tenant_id, "rows": rows(id=list(keys))}):
            key = keys[row.id]
            facet = _facet(row, key, found.sights[key])
            learned = learn(facet.state, found.traits.get(key, {}))
            facet, moved = _employed(facet, found, companies)
            if learned or moved:
                news[row.id] = _seen(facet, _sight(known[key]))
    if news:
        changes = rows(id=list(news), **_columns(news.values()))
        session.execute(_UPDATE, {"tenant_id": tenant_id, "rows": changes})
    _see(session, tenant_id, found, {key: each for key, each in known.items() if each.id not in news})
    # A lead goes by the address that was seen first.
    earlier = {key for key, each in known.items() if key[0] == EMAIL and _is_earlier(found.sights[key], each)}
    return earlier | {keys[identity_id] for identity_id in news}


def _see(session: Session, tenant_id: int, found: Gathered, known: Mapping[Key, Known]) -> None:
    ids, firsts, lasts = [], [], []
    for key, identity in known.items():
        sight = _sight(identity)
        wider = _wider(found.sights[key], sight)
        if wider != sight:
            ids.append(identity.id)
            firsts.append(wider[0])
            lasts.append(wider[1])
    if ids:
        sights = rows(id=ids, first_seen_at=firsts, last_seen_at=lasts)
        session.execute(_SEE, {"tenant_id": tenant_id, "rows": sights})


def _welcome(
    session: Session,
    tenant_id: int,
    found: Gathered,
    kept: Kept,
    placement: Placement,
    companies: Mapping[str, NamedCompany],
    known_at: datetime,
) -> None:
    """Inserts the new identities, and a lead for each new person."""
    homes: dict[Key, int] = {key: placement.lead_of(lead_id) for key, lead_id in placement.joined.items()}
    # A device of which nothing is stated widens the sights of its lead and no more; a lead may have very many.
    kept.stale |= {home for key, home in homes.items() if not is_device(key) or _is_stated(key, found)}
    kept.changed |= set(homes.values())
    facets = {key: _newcomer(key, found, companies) for key in homes}
    newcomers = [{key: _newcomer(key, found, companies) for key in keys} for keys in placement.newcomers]
    for group in newcomers:
        facets.update(group)
    faces = leads.faces(session, tenant_id, [group.values() for group in newcomers], known_at)
    made = leads.make(session, tenant_id, faces, known_at)
    for keys, lead_id in zip(placement.newcomers, made, strict=True):
        homes.update(dict.fromkeys(keys, lead_id))
    kept.changed |= set(made)
    if facets:
        new = rows(
            kind=[kind for kind, _ in facets],
            value=[value for _, value in facets],
            lead_id=[homes[key] for key in facets],
            **(_nothing(len(facets)) if found.import_id else _columns(facets.values())),
        )
        inserted = session.execute(_INSERT, {"tenant_id": tenant_id, "known_at": known_at, "rows": new})
        for kind, value, identity_id, lead_id in inserted:
            kept.places[kind, value] = identity_id, lead_id


def _move(session: Session, tenant_id: int, kept: Kept, placement: Placement, known_at: datetime) -> None:
    """Devices go over to an earlier claimant."""
    moved: dict[int, int] = {}
    for device, home in placement.claimed.items():
        identity_id, lead_id = kept.places[device]
        target = placement.lead_of(home) if isinstance(home, int) else kept.places[home][1]
        if target != lead_id:
            moved[identity_id] = target
            kept.places[device] = identity_id, target
            kept.stale |= {lead_id, target}
            kept.changed |= {lead_id, target}
    leads.move(session, tenant_id, moved, known_at)


def _is_stated(key: Key, found: Gathered) -> bool:
    return key in found.traits or key in found.employers


def _newcomer(key: Key, found: Gathered, companies: Mapping[str, NamedCompany]) -> Facet:
    first, last = found.sights[key]
    facet = Facet(key, found.traits.get(key, {}), None, None, first, last)
    return _employed(facet, found, companies)[0]


def _facet(row: Any, key: Key, sight: Sight) -> Facet:
    company = None if row.company_id is None else NamedCompany(row.company_id, row.company_key, None)
    known = state(row.traits, row.stated)
    return Facet(key, known, company, row.company_at, *sight)


def _employed(facet: Facet, found: Gathered, companies: Mapping[str, NamedCompany]) -> tuple[Facet, bool]:
    """With the company stated last; tells whether that is news."""
    stated = found.employers.get(facet.key)
    if stated is None:
        return facet, False
    if facet.company and facet.company_at and stated <= (facet.company_at, facet.company.key):
        return facet, False
    return replace(facet, company=companies[stated[1]], company_at=stated[0]), True


def _seen(facet: Facet, sight: Sight | None) -> Facet:
    first, last = _wider((facet.first_seen_at, facet.last_seen_at), sight)
    return replace(facet, first_seen_at=first, last_seen_at=last)


def _sight(identity: Known) -> Sight | None:
    if identity.first_seen_at is None or identity.last_seen_at is None:
        return None
    return identity.first_seen_at, identity.last_seen_at


def _is_earlier(sight: Sight, identity: Known) -> bool:
    return identity.first_seen_at is None or sight[0] < identity.first_seen_at


def _wider(one: Sight, other: Sight | None) -> Sight:
    return (min(one[0], other[0]), max(one[1], other[1])) if other else one


def _nothing(number: int) -> dict[str, list[Any]]:
    """Identities that only imports state have nothing of their own."""
    absent = dict.fromkeys(("company_id", "company_at", "first_seen_at", "last_seen_at"), [None] * number)
    return {"traits": [raw("{}")] * number, "stated": [raw("{}")] * number, **absent}


def _columns(facets: Collection[Facet]) -> dict[str, list[Any]]:
    return {
        "traits": [raw(traits_of(facet.state)) for facet in facets],
        "stated": [raw(stated_of(facet.state)) for facet in facets],
        "company_id": [facet.company.id if facet.company else None for facet in facets],
        "company_at": [facet.company_at for facet in facets],
        "first_seen_at": [facet.first_seen_at for facet in facets],
        "last_seen_at": [facet.last_seen_at for facet in facets],
    }
