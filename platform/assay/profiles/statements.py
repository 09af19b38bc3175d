"""What an import states of identities, in a layer of its own: an import is undone by taking its layer out."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles.bulk import raw, rows
from assay.profiles.gathering import Gathered
from assay.profiles.matching import EMAIL, Key
from assay.profiles.merging import State, learn, state, stated_of, traits_of

_KNOWN = text("""
    SELECT s.identity_id, s.traits, s.stated, s.company_key, s.company_at
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id bigint)
    JOIN profiles.import_statements s
        ON s.tenant_id = :tenant_id AND s.import_id = :import_id AND s.identity_id = n.id
""")
_SIGHTS = "json_to_recordset(CAST(:rows AS json)) AS n (id bigint, first_seen_at timestamptz, last_seen_at timestamptz)"
# What is asked for in the end is answered from before the insertion.
_SEE = text(f"""
    WITH seen AS (
        INSERT INTO profiles.import_statements (tenant_id, import_id, identity_id, first_seen_at, last_seen_at)
        SELECT :tenant_id, :import_id, n.id, n.first_seen_at, n.last_seen_at FROM {_SIGHTS} ORDER BY n.id
        ON CONFLICT (tenant_id, import_id, identity_id) DO UPDATE
        SET first_seen_at = LEAST(import_statements.first_seen_at, excluded.first_seen_at),
            last_seen_at = GREATEST(import_statements.last_seen_at, excluded.last_seen_at)
        WHERE excluded.first_seen_at < import_statements.first_seen_at
            OR excluded.last_seen_at > import_statements.last_seen_at
    )
    SELECT n.id
    FROM {_SIGHTS}
    LEFT JOIN profiles.import_statements s
        ON s.tenant_id = :tenant_id AND s.import_id = :import_id AND s.identity_id = n.id
    WHERE s.identity_id IS NULL OR n.first_seen_at < s.first_seen_at
""")
_TELL = text("""
    UPDATE profiles.import_statements s
    SET (traits, stated, company_key, company_at) = (n.traits, n.stated, n.company_key, n.company_at)
    FROM json_to_recordset(CAST(:rows AS json)) AS n
        (id bigint, traits jsonb, stated jsonb, company_key text, company_at timestamptz)
    WHERE s.tenant_id = :tenant_id AND s.import_id = :import_id AND s.identity_id = n.id
""")

Employer = tuple[datetime, str]


def keep(session: Session, tenant_id: int, found: Gathered, ids: Mapping[Key, int]) -> set[Key]:
    """Adds a batch of an import to its layer; gives the identities that tell something new of their leads.

    Sights apart: those are news only for the address that was seen first.
    """
    earlier = see(session, tenant_id, found.import_id, {ids[key]: sight for key, sight in found.sights.items()})
    news = {key for key in found.sights if key[0] == EMAIL and ids[key] in earlier}
    keys = {ids[key]: key for key in (*found.traits, *found.employers)}
    if not keys:
        return news
    asked = {"tenant_id": tenant_id, "import_id": found.import_id}
    told: dict[int, tuple[State, Employer | None]] = {}
    for row in session.execute(_KNOWN, {**asked, "rows": rows(id=list(keys))}):
        key = keys[row.identity_id]
        known = state(row.traits, row.stated)
        employer = None if row.company_at is None else (row.company_at, row.company_key)
        latest = max(filter(None, (employer, found.employers.get(key))), default=None)
        if learn(known, found.traits.get(key, {})) or latest != employer:
            told[row.identity_id] = known, latest
    if told:
        session.execute(_TELL, {**asked, "rows": rows(id=list(told), **_columns(told))})
    return news | {keys[identity_id] for identity_id in told}


def see(session: Session, tenant_id: int, import_id: int, sights: Mapping[int, tuple[datetime, datetime]]) -> set[int]:
    """First and last sights of identities, in any order; gives those that this import had not seen as early."""
    if not sights:
        return set()
    firsts, lasts = zip(*sights.values(), strict=True)
    news = rows(id=list(sights), first_seen_at=firsts, last_seen_at=lasts)
    return set(session.scalars(_SEE, {"tenant_id": tenant_id, "import_id": import_id, "rows": news}))


def _columns(told: Mapping[int, tuple[State, Employer | None]]) -> dict[str, list[Any]]:
    return {
        "traits": [raw(traits_of(known)) for known, _ in told.values()],
        "stated": [raw(stated_of(known)) for known, _ in told.values()],
        "company_key": [employer and employer[1] for _, employer in told.values()],
        "company_at": [employer and employer[0] for _, employer in told.values()],
    }
