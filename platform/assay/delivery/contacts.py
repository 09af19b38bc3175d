"""Which contacts at the vendor are one lead, and which of them can be written to.

What is remembered of each is in ``pushes.contacts``, by the contact: ``sent`` is a digest of what it was told last,
``moved_to`` the id it goes by since it was merged at the vendor, ``gone`` that it is no more. A contact that was gone
is written to again once its vendor has told something of it that is newer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.normalise.translating import gone_from
from assay_sdk.destination import KnownBy

#: Of one lead; whoever is known by more was joined of strangers.
MOST = 50
_LONGEST_WAY = 5

Memory = Mapping[str, Mapping[str, Any]]

_IDENTITIES = text("""
    SELECT i.lead_id, i.kind, i.value, i.last_seen_at, i.traits -> :gone AS gone,
        jsonb_exists(i.stated, :gone) AS told, l.traits -> :gone AS lead_gone
    FROM profiles.identities i
    JOIN profiles.leads l ON l.tenant_id = :tenant_id AND l.id = i.lead_id
    WHERE i.tenant_id = :tenant_id AND i.lead_id = ANY(CAST(:lead_ids AS bigint[]))
        AND i.kind IN ('user_id', 'email', 'anonymous_id', :vendor)
    ORDER BY i.lead_id, i.first_seen_at NULLS LAST, i.id
""")
_OWNERS = text("""
    SELECT i.value, i.lead_id FROM profiles.identities i
    WHERE i.tenant_id = :tenant_id AND i.kind = :vendor AND i.value = ANY(CAST(:ids AS text[]))
""")


@dataclass(frozen=True)
class Contact:
    #: As it is remembered.
    key: str
    vendor_id: str = ""
    user_id: str | None = None
    email: str | None = None
    anonymous_id: str | None = None
    #: Until when its vendor has told something of it.
    told_until: str = ""
    #: It was deleted, as the vendor told.
    deleted: bool = False

    def is_gone(self, memory: Memory) -> bool:
        if self.deleted:
            return True
        gone = memory.get(self.key, {}).get("gone")
        return gone is not None and gone is not True and gone >= self.told_until

    def goes_by(self, memory: Memory) -> str:
        """The id it has at the vendor by now."""
        id_ = self.vendor_id
        for _ in range(_LONGEST_WAY):
            further = memory.get(id_, {}).get("moved_to")
            if not further or not self.vendor_id:
                break
            id_ = further
        return id_


@dataclass
class _Person:
    vendor: list[Any] = field(default_factory=list)
    user_id: list[Any] = field(default_factory=list)
    email: list[Any] = field(default_factory=list)
    anonymous_id: list[Any] = field(default_factory=list)


def kinds(plugin: str, known_by: Sequence[KnownBy]) -> list[str]:
    """The kinds of identities by which a destination knows people, the best first."""
    return [f"vendor:{plugin}" if each == "vendor_id" else each for each in known_by]


def read(
    session: Session, tenant_id: int, plugin: str, lead_ids: Collection[int], kinds: Sequence[str]
) -> dict[int, list[Contact]]:
    """The contacts of these leads, oldest first; a lead that is nobody there is left out."""
    vendor = f"vendor:{plugin}"
    asked = {"tenant_id": tenant_id, "lead_ids": list(lead_ids), "vendor": vendor, "gone": gone_from(plugin)}
    people: dict[int, _Person] = {}
    for row in session.execute(_IDENTITIES, asked):
        person = people.setdefault(row.lead_id, _Person())
        (person.vendor if row.kind == vendor else getattr(person, row.kind)).append(row)
    found = {
        lead_id: (_known_there(person) if vendor in kinds else _known_here(person, kinds))[:MOST]
        for lead_id, person in people.items()
    }
    return {lead_id: each for lead_id, each in found.items() if each}


def owners(session: Session, tenant_id: int, plugin: str, ids: Collection[str]) -> dict[str, int]:
    """Whose contacts these are."""
    if not ids:
        return {}
    rows = session.execute(_OWNERS, {"tenant_id": tenant_id, "vendor": f"vendor:{plugin}", "ids": list(ids)})
    return {row.value: row.lead_id for row in rows}


def _known_there(person: _Person) -> list[Contact]:
    """By the vendor's own ids; whatever else is known of the lead is told along."""
    alone = len(person.vendor) == 1
    return [
        Contact(
            key=row.value,
            vendor_id=row.value,
            user_id=_first(person.user_id),
            email=_first(person.email),
            anonymous_id=_first(person.anonymous_id),
            told_until=row.last_seen_at.isoformat() if row.last_seen_at else "",
            # Where its deletion came with other identifiers, only the lead knows of it.
            deleted=row.gone is True or (alone and not row.told and row.lead_gone is True),
        )
        for row in person.vendor
    ]


def _known_here(person: _Person, kinds: Sequence[str]) -> list[Contact]:
    """By each of the tenant's own ids; without any by one of the next best kind."""
    email, device = _first(person.email), _first(person.anonymous_id)
    by_kind = {"user_id": person.user_id, "email": person.email[:1], "anonymous_id": person.anonymous_id[:1]}
    rows = next((by_kind[kind] for kind in kinds if by_kind[kind]), [])
    deleted = any(row.lead_gone is True for row in rows)
    return [
        Contact(
            key=f"{row.kind}:{row.value}",
            user_id=row.value if row.kind == "user_id" else None,
            email=email,
            anonymous_id=device,
            told_until=row.last_seen_at.isoformat() if row.last_seen_at else "",
            deleted=deleted,
        )
        for row in rows
    ]


def _first(rows: list[Any]) -> str | None:
    return rows[0].value if rows else None
