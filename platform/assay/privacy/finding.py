"""A person, found by what is known of them, and what is kept of them."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from assay.profiles import merges
from assay.profiles.erasing import tombstones
from assay.profiles.erasing.beginning import leads_of
from assay.profiles.matching import ANONYMOUS_ID, EMAIL, USER_ID, VENDOR, Key
from assay.profiles.models import KnownAs, Lead
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput

MOST_COUNTED = 100_000
LONGEST = 512
_VENDOR_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")

#: By what it is called on a page: the rows of one lead, counted no further than somebody reads.
_COUNTED = {
    "identifiers": "profiles.identities c WHERE c.tenant_id = :tenant_id AND c.lead_id = :lead_id",
    "events": "profiles.events c WHERE c.tenant_id = :tenant_id AND c.lead_id = :lead_id",
    "scores": "scoring.scores c WHERE c.tenant_id = :tenant_id AND c.lead_id = :lead_id",
    "past scores": "scoring.score_history c WHERE c.tenant_id = :tenant_id AND c.lead_id = :lead_id",
    "merges": "profiles.merges c WHERE c.tenant_id = :tenant_id AND (c.kept_id = :lead_id OR c.gone_id = :lead_id)",
    "decisions of people": (
        "profiles.decisions c WHERE c.tenant_id = :tenant_id AND (c.lead_id = :lead_id OR c.other_id = :lead_id)"
    ),
    "statements of imports": (
        "profiles.import_statements c JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = c.identity_id"
        " WHERE c.tenant_id = :tenant_id AND i.lead_id = :lead_id"
    ),
}


@dataclass(frozen=True)
class Person:
    """A lead as somebody who looks for a person has to see it."""

    lead_id: int
    name: str | None
    email: str | None
    identities: list[Key]
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True)
class Found:
    people: list[Person]
    #: The erasure of somebody who had one of these identifiers.
    erasure_id: int | None


def keys_from(
    *,
    email: str | None = None,
    user_id: str | None = None,
    anonymous_id: str | None = None,
    vendor_ids: Mapping[str, str] | None = None,
) -> frozenset[Key]:
    """As identifiers are kept; raises BadInput."""
    keys: set[Key] = set()
    told = {USER_ID: user_id, EMAIL: email.strip().lower() if email else email, ANONYMOUS_ID: anonymous_id}
    for kind, value in told.items():
        if value is not None:
            keys.add((kind, _checked(kind, value)))
    for name, value in (vendor_ids or {}).items():
        if not _VENDOR_NAME.fullmatch(name):
            raise BadInput("A vendor's name has letters, digits, dots and dashes, such as hubspot.", field="vendor_ids")
        keys.add((VENDOR + name, _checked("vendor_ids", value)))
    return frozenset(keys)


def find(tenant_id: int, *, keys: Collection[Key] = (), lead_id: int | None = None) -> Found:
    """All who have one of these identifiers, and the lead of that id; a person may turn out to be several leads."""
    with tenant_session(tenant_id) as session:
        ids = leads_of(session, tenant_id, keys)
        if lead_id is not None:
            ids.add(min(lead_id, LARGEST_ID))
        people = [person for each in sorted(ids) if (person := _read(session, tenant_id, each)) is not None]
        erased = tombstones.find(session, tenant_id, keys) if keys else {}
    return Found(people, max(erased.values(), default=None))


def get(tenant_id: int, lead_id: int) -> Person:
    """Raises LeadGone."""
    with tenant_session(tenant_id) as session:
        person = _read(session, tenant_id, min(lead_id, LARGEST_ID))
        if person is None:
            raise merges.gone(session, tenant_id, lead_id)
        return person


def kept_of(tenant_id: int, lead_id: int) -> dict[str, int]:
    """How much there is of a lead, each counted up to MOST_COUNTED."""
    asked = {"tenant_id": tenant_id, "lead_id": min(lead_id, LARGEST_ID), "most": MOST_COUNTED}
    with tenant_session(tenant_id) as session:
        return {
            name: session.execute(
                text(f"SELECT count(*) FROM (SELECT FROM {rows} LIMIT :most) few"), asked
            ).scalar_one()
            for name, rows in _COUNTED.items()
        }


def _read(session: Session, tenant_id: int, lead_id: int) -> Person | None:
    lead = session.scalars(select(Lead).where(Lead.tenant_id == tenant_id, Lead.id == lead_id)).one_or_none()
    if lead is None:
        return None
    keys = session.execute(
        select(KnownAs.kind, KnownAs.value)
        .where(KnownAs.tenant_id == tenant_id, KnownAs.lead_id == lead_id)
        .order_by(KnownAs.kind, KnownAs.id)
        .limit(50)
    )
    return Person(lead.id, lead.name, lead.email, [(*row,) for row in keys], lead.first_seen_at, lead.last_seen_at)


def _checked(field: str, value: str) -> str:
    value = value.strip()
    if not value or len(value) > LONGEST:
        raise BadInput(f"Give a value of 1 to {LONGEST} letters.", field=field)
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadInput("It holds characters that can't be stored.", field=field)
    return value
