"""Leads as they are stored: made, folded, merged, emptied."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles import companies
from assay.profiles.bulk import raw, rows
from assay.profiles.companies import NamedCompany
from assay.profiles.folding import Face, Facet, domain_of, fold
from assay.profiles.merging import state
from assay.profiles.naming import company_name

_NAMES = "name, email, search_key, traits, company_id, first_seen_at, last_seen_at"
_ROWS = """json_to_recordset(CAST(:rows AS json)) AS n (id bigint, name text, email text, search_key text, traits jsonb,
        company_id bigint, first_seen_at timestamptz, last_seen_at timestamptz)"""

# Sorted before the ids are drawn, so that the smallest id belongs to the first row.
_INSERT = text(f"""
    INSERT INTO profiles.leads (tenant_id, {_NAMES}, known_at)
    SELECT :tenant_id, {_NAMES}, :known_at FROM {_ROWS} ORDER BY n.id
    RETURNING id
""")
_REVIVE = text("""
    INSERT INTO profiles.leads (tenant_id, id, first_seen_at, last_seen_at, known_at)
    SELECT :tenant_id, n.id, :known_at, :known_at, :known_at
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint)
""")
_WAS = "o.known_at, o.traits, o.company_id, o.first_seen_at"
# What a rule could have told from what is there now stays behind, with its end.
_REMEMBER = """
    INSERT INTO profiles.past_leads (tenant_id, lead_id, until, known_at, traits, company_id, first_seen_at)
    SELECT :tenant_id, id, :known_at, known_at, traits, company_id, first_seen_at
    FROM news WHERE differs AND known_at < :known_at
"""
_DIFFERS = "(o.traits, o.company_id, o.first_seen_at) IS DISTINCT FROM (n.traits, n.company_id, n.first_seen_at)"
_UPDATE = text(f"""
    WITH news AS (
        UPDATE profiles.leads l
        SET ({_NAMES}) = (n.name, n.email, n.search_key, n.traits, n.company_id, n.first_seen_at, n.last_seen_at),
            known_at = CASE WHEN {_DIFFERS} THEN :known_at ELSE o.known_at END
        FROM {_ROWS} JOIN profiles.leads o ON o.tenant_id = :tenant_id AND o.id = n.id
        WHERE l.tenant_id = :tenant_id AND l.id = n.id
          AND (o.name, o.email, o.search_key, o.traits, o.company_id, o.first_seen_at, o.last_seen_at) IS DISTINCT FROM
              (n.name, n.email, n.search_key, n.traits, n.company_id, n.first_seen_at, n.last_seen_at)
        RETURNING l.id, {_DIFFERS} AS differs, {_WAS}
    ), past AS ({_REMEMBER})
    SELECT id, differs FROM news
""")
_SEE = text(f"""
    WITH news AS (
        UPDATE profiles.leads l
        SET first_seen_at = LEAST(o.first_seen_at, n.first_seen_at),
            last_seen_at = GREATEST(o.last_seen_at, n.last_seen_at),
            known_at = CASE WHEN n.first_seen_at < o.first_seen_at THEN :known_at ELSE o.known_at END
        FROM json_to_recordset(CAST(:rows AS json)) AS n
            (id bigint, first_seen_at timestamptz, last_seen_at timestamptz)
        JOIN profiles.leads o ON o.tenant_id = :tenant_id AND o.id = n.id
        WHERE l.tenant_id = :tenant_id AND l.id = n.id
          AND (n.first_seen_at < o.first_seen_at OR n.last_seen_at > o.last_seen_at)
        RETURNING l.id, n.first_seen_at < o.first_seen_at AS differs, {_WAS}
    ), past AS ({_REMEMBER})
    SELECT id, differs FROM news
""")
_FACETS = text("""
    SELECT i.lead_id, i.kind, i.value, i.traits, i.stated, i.company_at, i.first_seen_at, i.last_seen_at,
        c.id AS company_id, c.key AS company_key, c.home_id, COALESCE(h.traits, c.traits) AS company_traits
    FROM profiles.identities i
    LEFT JOIN profiles.companies c ON c.tenant_id = :tenant_id AND c.id = i.company_id
    LEFT JOIN profiles.companies h ON h.tenant_id = :tenant_id AND h.id = c.home_id
    WHERE i.tenant_id = :tenant_id AND i.lead_id = ANY(CAST(:ids AS bigint[])) AND i.first_seen_at IS NOT NULL
    UNION ALL
    SELECT i.lead_id, i.kind, i.value, s.traits, s.stated, s.company_at, s.first_seen_at, s.last_seen_at,
        c.id AS company_id, c.key AS company_key, c.home_id, COALESCE(h.traits, c.traits) AS company_traits
    FROM profiles.identities i
    JOIN profiles.import_statements s ON s.tenant_id = :tenant_id AND s.identity_id = i.id
    LEFT JOIN profiles.companies c ON c.tenant_id = :tenant_id AND c.key = s.company_key
    LEFT JOIN profiles.companies h ON h.tenant_id = :tenant_id AND h.id = c.home_id
    WHERE i.tenant_id = :tenant_id AND i.lead_id = ANY(CAST(:ids AS bigint[]))
""")
_BY_COMPANY = text("""
    SELECT id FROM profiles.leads WHERE tenant_id = :tenant_id AND company_id = ANY(CAST(:ids AS bigint[]))
""")
_MERGED = "json_to_recordset(CAST(:rows AS json)) AS n (id bigint, into_id bigint)"
_MOVES = """
    WITH moved AS (
        UPDATE profiles.identities i SET lead_id = n.into_id, known_at = :known_at
        FROM {} JOIN profiles.identities o ON o.tenant_id = :tenant_id AND o.{} = n.id
        WHERE i.tenant_id = :tenant_id AND i.id = o.id
        RETURNING o.id, o.known_at, o.lead_id
    )
    INSERT INTO profiles.past_memberships (tenant_id, identity_id, until, known_at, lead_id)
    SELECT :tenant_id, id, :known_at, known_at, lead_id FROM moved WHERE known_at < :known_at
"""
_MERGE_IDENTITIES = text(_MOVES.format(_MERGED, "lead_id"))
_MERGE_EVENTS = text(f"""
    UPDATE profiles.events e SET lead_id = n.into_id FROM {_MERGED}
    WHERE e.tenant_id = :tenant_id AND e.lead_id = n.id
""")
_DELETE = text(f"""
    WITH news AS (
        DELETE FROM profiles.leads o WHERE o.tenant_id = :tenant_id AND o.id = ANY(CAST(:ids AS bigint[]))
        RETURNING o.id, true AS differs, {_WAS}
    ) {_REMEMBER}
""")
_EMPTY = text("""
    SELECT l.id FROM profiles.leads l
    WHERE l.tenant_id = :tenant_id AND l.id = ANY(CAST(:ids AS bigint[]))
        AND NOT EXISTS (SELECT FROM profiles.identities i WHERE i.tenant_id = :tenant_id AND i.lead_id = l.id)
""")
_MOVE_IDENTITIES = text(_MOVES.format(_MERGED, "id"))
_MOVE_EVENTS = text(f"""
    UPDATE profiles.events e SET lead_id = n.into_id FROM {_MERGED}
    WHERE e.tenant_id = :tenant_id AND e.identity_id = n.id
""")


def faces(session: Session, tenant_id: int, people: Iterable[Collection[Facet]], known_at: datetime) -> list[Face]:
    """Each person folded, with the company that is stated or, without one, that of the address's domain."""
    told = [(facets, domain_of(facets)) for facets in people]
    wanted = {domain for _, domain in told if domain}
    at_domains = companies.of_domains(session, tenant_id, wanted, known_at) if wanted else {}
    return [fold(facets, at_domain=at_domains[domain] if domain else None) for facets, domain in told]


def make(session: Session, tenant_id: int, faces: list[Face], known_at: datetime) -> list[int]:
    """Ids of the new leads, in the order of ``faces``."""
    if not faces:
        return []
    new = rows(id=range(len(faces)), **_columns(faces))
    return sorted(session.scalars(_INSERT, {"tenant_id": tenant_id, "known_at": known_at, "rows": new}))


def unknown(known_at: datetime) -> Face:
    """Of a lead that is folded from its identities as soon as it has them."""
    return Face(None, None, "", "{}", None, known_at, known_at)


def revive(session: Session, tenant_id: int, lead_ids: Collection[int], known_at: datetime) -> None:
    """Leads that went begin again under their ids; they are folded as soon as they have identities."""
    if lead_ids:
        session.execute(_REVIVE, {"tenant_id": tenant_id, "known_at": known_at, "rows": rows(id=list(lead_ids))})


def refold(session: Session, tenant_id: int, lead_ids: Collection[int], known_at: datetime) -> set[int]:
    """Folds leads anew from their identities, by themselves and as each import states them.

    Gives those that a rule could tell from what they were.
    """
    facets: dict[int, list[Facet]] = {}
    for row in session.execute(_FACETS, {"tenant_id": tenant_id, "ids": list(lead_ids)}) if lead_ids else ():
        facets.setdefault(row.lead_id, []).append(_facet(row))
    if not facets:
        return set()
    news = rows(id=list(facets), **_columns(faces(session, tenant_id, facets.values(), known_at)))
    updated = session.execute(_UPDATE, {"tenant_id": tenant_id, "known_at": known_at, "rows": news})
    return {row.id for row in updated if row.differs}


def see(
    session: Session, tenant_id: int, sights: Mapping[int, tuple[datetime, datetime]], known_at: datetime
) -> set[int]:
    """Widens first and last sight; gives the leads that were first seen earlier than we knew."""
    if not sights:
        return set()
    firsts, lasts = zip(*sights.values(), strict=True)
    news = rows(id=list(sights), first_seen_at=firsts, last_seen_at=lasts)
    updated = session.execute(_SEE, {"tenant_id": tenant_id, "known_at": known_at, "rows": news})
    return {row.id for row in updated if row.differs}


def merge(session: Session, tenant_id: int, merged: Mapping[int, int], known_at: datetime) -> None:
    """Each lead's identities and events go over to another lead, and the lead goes."""
    if merged:
        ids = {"tenant_id": tenant_id, "rows": rows(id=list(merged), into_id=list(merged.values()))}
        session.execute(_MERGE_IDENTITIES, {**ids, "known_at": known_at})
        session.execute(_MERGE_EVENTS, ids)
        remove(session, tenant_id, merged, known_at)


def move(session: Session, tenant_id: int, moved: Mapping[int, int], known_at: datetime) -> None:
    """Each identity goes over to another lead with its events."""
    if moved:
        ids = {"tenant_id": tenant_id, "rows": rows(id=list(moved), into_id=list(moved.values()))}
        session.execute(_MOVE_IDENTITIES, {**ids, "known_at": known_at})
        session.execute(_MOVE_EVENTS, ids)


def remove(session: Session, tenant_id: int, lead_ids: Collection[int], known_at: datetime) -> None:
    """Leads that nobody is any more."""
    if lead_ids:
        session.execute(_DELETE, {"tenant_id": tenant_id, "known_at": known_at, "ids": list(lead_ids)})


def remove_empty(session: Session, tenant_id: int, lead_ids: Collection[int], known_at: datetime) -> set[int]:
    """Leads of whom no identity is left go; gives them."""
    if not lead_ids:
        return set()
    empty = set(session.scalars(_EMPTY, {"tenant_id": tenant_id, "ids": list(lead_ids)}))
    remove(session, tenant_id, empty, known_at)
    return empty


def of_companies(session: Session, tenant_id: int, company_ids: Collection[int]) -> set[int]:
    if not company_ids:
        return set()
    return set(session.scalars(_BY_COMPANY, {"tenant_id": tenant_id, "ids": list(company_ids)}))


def _facet(row: Any) -> Facet:
    company = None
    if row.company_id is not None:
        company = NamedCompany(row.company_id, row.company_key, company_name(row.company_traits), row.home_id)
    return Facet(
        key=(row.kind, row.value),
        state=state(row.traits, row.stated),
        company=company,
        company_at=row.company_at,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
    )


def _columns(faces: list[Face]) -> dict[str, list[Any]]:
    return {
        "name": [face.name for face in faces],
        "email": [face.email for face in faces],
        "search_key": [face.search_key for face in faces],
        "traits": [raw(face.traits) for face in faces],
        "company_id": [face.company_id for face in faces],
        "first_seen_at": [face.first_seen_at for face in faces],
        "last_seen_at": [face.last_seen_at for face in faces],
    }
