"""Companies and what is known of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles.bulk import raw, rows
from assay.profiles.gathering import Gathered
from assay.profiles.merging import State, learn, state, stated_of, traits_of, values_of
from assay.profiles.naming import company_name

_FIND = text("""
    SELECT c.key, c.id, c.traits, c.stated
    FROM json_to_recordset(CAST(:rows AS json)) AS n (key text)
    JOIN profiles.companies c ON c.tenant_id = :tenant_id AND c.key = n.key
""")
_INSERT = text("""
    INSERT INTO profiles.companies (tenant_id, key, traits, stated, known_at)
    SELECT :tenant_id, n.key, n.traits, n.stated, :known_at
    FROM json_to_recordset(CAST(:rows AS json)) AS n (key text, traits jsonb, stated jsonb)
    RETURNING key, id
""")
_UPDATE = text("""
    WITH news AS (
        UPDATE profiles.companies c
        SET traits = n.traits, stated = n.stated,
            known_at = CASE WHEN o.traits = n.traits THEN o.known_at ELSE :known_at END
        FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint, traits jsonb, stated jsonb)
        JOIN profiles.companies o ON o.tenant_id = :tenant_id AND o.id = n.id
        WHERE c.tenant_id = :tenant_id AND c.id = n.id
        RETURNING c.id, o.known_at, o.traits, o.traits <> n.traits AS differs
    )
    INSERT INTO profiles.past_companies (tenant_id, company_id, until, known_at, traits)
    SELECT :tenant_id, id, :known_at, known_at, traits FROM news WHERE differs AND known_at < :known_at
""")


@dataclass(frozen=True)
class NamedCompany:
    id: int
    key: str
    name: str | None


@dataclass(frozen=True)
class KeptCompanies:
    by_key: dict[str, NamedCompany]
    #: Those with another value of some trait.
    changed: list[int]
    #: Those people now search by another name.
    renamed: list[int]


def keep(session: Session, tenant_id: int, found: Gathered, known_at: datetime) -> KeptCompanies:
    """Creates and updates the companies of a batch."""
    stated = dict(found.companies)
    for _, key in found.employers.values():
        stated.setdefault(key, {})
    if not stated:
        return KeptCompanies({}, [], [])
    kept = KeptCompanies({}, [], [])
    news: dict[int, State] = {}
    for row in session.execute(_FIND, {"tenant_id": tenant_id, "rows": rows(key=list(stated))}):
        statements = stated.pop(row.key)
        known = state(row.traits, row.stated)
        if learn(known, statements):
            news[row.id] = known
        traits = values_of(known)
        name = company_name(traits)
        if traits != row.traits:
            kept.changed.append(row.id)
        if name != company_name(row.traits):
            kept.renamed.append(row.id)
        kept.by_key[row.key] = NamedCompany(row.id, row.key, name)
    if news:
        changes = rows(id=list(news), **_columns(news.values()))
        session.execute(_UPDATE, {"tenant_id": tenant_id, "known_at": known_at, "rows": changes})
    if stated:
        new = rows(key=list(stated), **_columns(stated.values()))
        inserted = session.execute(_INSERT, {"tenant_id": tenant_id, "known_at": known_at, "rows": new})
        for key, company_id in inserted:
            kept.by_key[key] = NamedCompany(company_id, key, company_name(values_of(stated[key])))
    return kept


def _columns(states: Collection[State]) -> dict[str, list[msgspec.Raw]]:
    return {"traits": [raw(traits_of(each)) for each in states], "stated": [raw(stated_of(each)) for each in states]}
