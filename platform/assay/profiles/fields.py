"""Which traits and properties there are: told from some leads, however many there are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from assay.profiles.marks import Marks, read_marks
from assay_tenants.database import tenant_session

#: Leads that are looked at where there are more, in stretches all over; and of how many of them which events.
MOST_LEADS, STRETCHES = 2_000, 40
MOST_DOERS, NEWEST = 300, 30
#: Names that are told; the most frequent ones.
MOST_NAMES = 1_000

Kind = Literal["trait", "property"]

# What laws and customers mind most. Words of names, in the languages of our customers.
# fmt: off
_SUGGESTING = re.compile(
    r"(?<![a-z])("
    r"health|medical|diagnos[a-z]*|disab[a-z]*|illness|allerg[a-z]*|pregnan[a-z]*|blood|sanatate|boala|suc_?khoe|benh|"
    r"religi[a-z]*|faith|church|ton_?giao|ethnic[a-z]*|race|racial|nationality|etnie|dan_?toc|"
    r"sexual[a-z]*|orientation|gender_identity|politic[a-z]*|party_membership|union_member[a-z]*|"
    r"ssn|social_?security[a-z]*|national_?id[a-z]*|passport[a-z]*|personal_?(id|code|number)|tax_?id|cnp|cccd|cmnd|"
    r"id_?card[a-z]*|driver_?licen[a-z]*|"
    r"salar[a-z]*|wage|income|luong|thu_?nhap|credit_?score|credit_?card[a-z]*|card_?number|iban|bank_?account[a-z]*|"
    r"birth[a-z_]*|dob|date_?of_?birth|ngay_?sinh|data_?nasterii|nascut[a-z]*|"
    r"password|passwd|secret|pin_?code|biometric[a-z]*|fingerprint[a-z]*|criminal[a-z]*|conviction[a-z]*"
    r")(?![a-z])"
)
# fmt: on
_SIGNS = ("健康", "疾病", "宗教", "民族", "身份证", "护照", "工资", "薪", "收入", "生日", "出生")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Field:
    name: str
    kind: Kind
    #: Of its values: text, number, boolean, list.
    types: tuple[str, ...]
    #: Different values among those that were looked at.
    values: int
    #: Leads that have it, or did something with it; an estimate where not all were looked at.
    leads: int
    sensitive: bool
    #: Names of this sort are often kept out.
    suggested: bool


@dataclass(frozen=True)
class Fields:
    #: Traits first, each kind by how many leads have it.
    items: list[Field]
    marks: Marks
    #: All leads, and those that were looked at for traits.
    leads: int
    looked_at: int

    @property
    def estimated(self) -> bool:
        return self.looked_at < self.leads


_COUNT = text("SELECT count(*), min(id), max(id) FROM profiles.leads WHERE tenant_id = :tenant_id")
_SOME = text("""
    SELECT DISTINCT near.id
    FROM unnest(CAST(:starts AS bigint[])) AS s (start)
    CROSS JOIN LATERAL (
        SELECT l.id FROM profiles.leads l WHERE l.tenant_id = :tenant_id AND l.id >= s.start ORDER BY l.id LIMIT :each
    ) near
""")
_TRAITS = text("""
    WITH told AS (
        SELECT l.id, t.key, t.value
        FROM profiles.leads l CROSS JOIN LATERAL jsonb_each(l.traits) t
        WHERE l.tenant_id = :tenant_id AND l.id = ANY (CAST(:ids AS bigint[]))
        UNION ALL
        SELECT l.id, 'company.' || t.key, t.value
        FROM profiles.leads l
        JOIN profiles.companies c ON c.tenant_id = :tenant_id AND c.id = l.company_id
        CROSS JOIN LATERAL jsonb_each(c.traits) t
        WHERE l.tenant_id = :tenant_id AND l.id = ANY (CAST(:ids AS bigint[]))
    )
    SELECT key, array_agg(DISTINCT jsonb_typeof(value)) AS types, count(DISTINCT md5(value::text)) AS values,
        count(DISTINCT id) AS leads
    FROM told WHERE value <> 'null' GROUP BY key ORDER BY leads DESC, key LIMIT :most
""")
_PROPERTIES = text("""
    SELECT t.key, array_agg(DISTINCT jsonb_typeof(t.value)) AS types, count(DISTINCT md5(t.value::text)) AS values,
        count(DISTINCT done.lead_id) AS leads
    FROM unnest(CAST(:ids AS bigint[])) AS d (id)
    CROSS JOIN LATERAL (
        SELECT e.lead_id, e.properties FROM profiles.events e
        WHERE e.tenant_id = :tenant_id AND e.lead_id = d.id AND NOT starts_with(e.type, 'assay.')
        ORDER BY e.occurred_at DESC LIMIT :newest
    ) done
    CROSS JOIN LATERAL jsonb_each(done.properties) t
    WHERE t.value <> 'null'
    GROUP BY t.key ORDER BY leads DESC, t.key LIMIT :most
""")


def list_fields(tenant_id: int) -> Fields:
    with tenant_session(tenant_id) as session:
        marks = read_marks(session, tenant_id)
        count, first, last = session.execute(_COUNT, {"tenant_id": tenant_id}).one()
        ids = _some(session, tenant_id, first, last, count) if count else []
        doers = ids[:: max(1, len(ids) // MOST_DOERS)][:MOST_DOERS]
        asked = {"tenant_id": tenant_id, "most": MOST_NAMES}
        traits = session.execute(_TRAITS, {**asked, "ids": ids}).all()
        properties = session.execute(_PROPERTIES, {**asked, "ids": doers, "newest": NEWEST}).all()
    items = [
        *_fields(traits, "trait", marks, count / max(len(ids), 1)),
        *_fields(properties, "property", marks, count / max(len(doers), 1)),
    ]
    return Fields(items, marks, count, len(ids))


def is_suggested(name: str) -> bool:
    """Whether a name looks like one of what laws protect most: health, faith, origin, numbers of people, pay, birth."""
    words = re.sub(r"[^a-z0-9]+", "_", _HUMP.sub("_", name).lower())
    spaced = words.replace("_", " ")
    return bool(_SUGGESTING.search(words) or _SUGGESTING.search(spaced)) or any(sign in name for sign in _SIGNS)


def _some(session: Session, tenant_id: int, first: int, last: int, count: int) -> list[int]:
    """All, or as many in stretches that lie all over the ids."""
    stretches = 1 if count <= MOST_LEADS else STRETCHES
    starts = [first + (last - first) * place // stretches for place in range(stretches)]
    asked = {"tenant_id": tenant_id, "starts": starts, "each": MOST_LEADS // stretches}
    return sorted(session.scalars(_SOME, asked))


def _fields(rows: Iterable[Row[Any]], kind: Kind, marks: Marks, scale: float) -> list[Field]:
    return [
        Field(
            name=row.key,
            kind=kind,
            types=tuple(_TYPES.get(type_, type_) for type_ in sorted(row.types)),
            values=row.values,
            leads=round(row.leads * scale),
            sensitive=marks.hides(row.key),
            suggested=not marks.hides(row.key) and is_suggested(row.key),
        )
        for row in rows
    ]


_TYPES = {"string": "text", "array": "list", "object": "list"}
