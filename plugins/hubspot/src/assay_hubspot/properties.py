"""Which of HubSpot's properties are read, and what they are called and look like in Assay."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from assay_sdk import Value, values
from assay_sdk.paging import from_milliseconds

#: All that we write at HubSpot begins so: it is never read back, whoever changed it.
OWN = "assay_"
#: Stands where a score was ever written to.
SCORED = "assay_scored_at"
#: Of further properties: a search may have 3,000 characters in all.
LONGEST_LIST, LONGEST_NAMES = 40, 2100
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


def text(value: str) -> Value:
    return value


def number(value: str) -> Value:
    """Text where it is none, so that nothing gets lost."""
    try:
        found = float(value)
    except ValueError:
        return value
    if found != found or found in (float("inf"), float("-inf")):
        return value
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


def truth(value: str) -> Value:
    return value.strip().lower() == "true"


def day(value: str) -> Value:
    """ISO 8601: webhooks state milliseconds where records have an instant."""
    if value.isdecimal():
        try:
            return iso(from_milliseconds(value))
        except ValueError:
            return value
    return value


def choices(value: str) -> Value:
    return [part for part in value.split(";") if part]


Reader = Callable[[str], Value]

#: HubSpot's name: the trait's name and how its text is read.
CONTACT: Mapping[str, tuple[str, Reader]] = {
    "email": ("email", str.lower),
    "firstname": ("first_name", text),
    "lastname": ("last_name", text),
    "phone": ("phone", text),
    "jobtitle": ("title", text),
    "company": ("company", text),
    "country": ("country", text),
    "city": ("city", text),
    "hs_language": ("language", text),
    "lifecyclestage": ("lifecycle_stage", text),
    "hubspot_owner_id": ("owner", text),
    "hs_analytics_source": ("source", text),
    "hs_email_optout": ("unsubscribed", truth),
    "createdate": ("created_at", day),
    "hs_lead_status": ("hubspot.lead_status", text),
    "industry": ("hubspot.industry", text),
    "mobilephone": ("hubspot.mobile_phone", text),
    "hs_analytics_num_page_views": ("hubspot.page_views", number),
    "hs_analytics_num_visits": ("hubspot.visits", number),
    "num_conversion_events": ("hubspot.conversions", number),
}
COMPANY: Mapping[str, tuple[str, Reader]] = {
    "name": ("name", text),
    "domain": ("domain", text),
    "industry": ("industry", text),
    "numberofemployees": ("employees", number),
    "annualrevenue": ("annual_revenue", number),
    "country": ("country", text),
    "city": ("city", text),
    "lifecyclestage": ("lifecycle_stage", text),
    "type": ("hubspot.type", text),
    "hubspot_owner_id": ("owner", text),
}
#: What joins contacts to others, and is no trait.
MERGED = "hs_merged_object_ids"
CONTACT_LINKS = ("associatedcompanyid", "hs_additional_emails", MERGED)
DEAL = (
    "dealname",
    "dealstage",
    "pipeline",
    "amount",
    "deal_currency_code",
    "closedate",
    "hs_is_closed",
    "hs_is_closed_won",
)
MEETING = ("hs_meeting_outcome",)
#: Whose change is told by webhook; other contact properties come with the next record.
WATCHED = tuple(
    name for name in CONTACT if name not in ("createdate",) and not name.startswith(("hs_analytics", "num"))
)

#: How a further property is read, by its type at HubSpot; all others are text.
_READERS: Mapping[str, Reader] = {"number": number, "bool": truth, "date": day, "datetime": day}


def extra_properties(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that whoever connected wants besides, in their order; what can't be a name is left out."""
    stated = re.split(r"[\s,;]+", str(settings.get("properties") or "").lower())
    names = (name for name in stated if _NAME.fullmatch(name) and not name.startswith(OWN))
    return tuple(dict.fromkeys(name for name in names if name not in CONTACT and name not in CONTACT_LINKS))


def traits_of(
    properties: Mapping[str, Any], known: Mapping[str, tuple[str, Reader]], types: Mapping[str, str]
) -> dict[str, Value | None]:
    """Those properties that are known, or whose type is, as traits; an empty one clears its trait."""
    traits: dict[str, Value | None] = {}
    for name, value in properties.items():
        if name.startswith(OWN):
            continue
        if name in known:
            trait, read = known[name]
        elif name in types:
            kind = types[name]
            trait, read = f"hubspot.{name}", choices if kind == "checkbox" else _READERS.get(kind, text)
        else:
            continue
        traits[trait] = read(str(value).strip()) if value not in (None, "") else None
    return traits


def instant(value: object) -> datetime | None:
    """An instant as HubSpot writes it: ISO 8601, or milliseconds since 1970."""
    stated = str(value or "").strip()
    if stated.isdecimal():
        try:
            return from_milliseconds(stated)
        except ValueError:
            return None
    return values.instant(stated)


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
