"""Leads, contacts and companies as records. A lead and a contact are both people: ``lead:5``, ``contact:7``."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from assay_bitrix24.destination import OWN_FIELDS
from assay_bitrix24.kinds import COMPANY, CONTACT, LEAD
from assay_bitrix24.stages import keys
from assay_sdk import Alias, Company, Event, Identifiers, Identify, Misunderstood, Record, Value
from assay_sdk.values import instant, mail_address

NAME = "bitrix24"
Item = Mapping[str, Any]

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_COMMON = {"name": "first_name", "lastName": "last_name", "post": "title"}
#: Of a lead or a contact, besides its own fields (UF_…): names are Bitrix24's, in snake case.
_KEPT = (
    *("opportunity", "currencyId", "typeId", "sourceDescription", "birthdate", "secondName", "assignedById"),
    *("utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm", "isReturnCustomer"),
)
_OF_COMPANY = {"title": "name", "employees": "employees", "revenue": "revenue", "currencyId": "currency"}


def person(kind: str, id_: object) -> Identifiers:
    """A lead or a contact by its vendor id."""
    return Identifiers(vendor={NAME: f"{kind}:{id_}"})


def number(value: object) -> int:
    """An id; 0 stands for none, as it does in Bitrix24."""
    text = str(value if value is not None else "")
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def no_id(field: str, value: object) -> Misunderstood:
    return Misunderstood(f"{field} is {repr(value)[:60]}; it is needed, as a number.", field=field, kind="id")


def needed_instant(item: Item, name: str) -> datetime:
    found = instant(item.get(name))
    if found is None:
        stated = repr(item.get(name))[:60]
        raise Misunderstood(f"{name} is {stated}; accepted is ISO 8601.", field=name, kind=f"instant/{name}")
    return found


def lead(item: Item, stages: Mapping[str, Any]) -> Iterator[Record]:
    """A lead that belongs to a contact speaks of its own fields only: the contact is who the person is by then."""
    id_, contact = _id(item), number(item.get("contactId"))
    ids, created, updated = _identified(LEAD.name, item), needed_instant(item, "createdTime"), _updated(item)
    traits: dict[str, Value | None] = {} if contact else _person_traits(item, stages, LEAD.name, created)
    traits |= _own_traits(item, LEAD.name)
    traits["bitrix24.lead.title"] = _text(item.get("title"))
    stage = names_of(item, stages, LEAD.name).get("stage", {})
    traits["bitrix24.lead.stage"] = _text(stage.get("name")) or _text(item.get("stageId"))
    yield Identify(ids, traits, updated)
    # By its id alone: its address may change, and an event that is read again says what it said.
    yield Event(person(LEAD.name, id_), "contact.created", {"kind": LEAD.name}, created, f"created/lead:{id_}")
    if contact:
        yield Alias(person(CONTACT.name, contact), person(LEAD.name, id_), created)
    outcome = semantics(item, stage)
    if outcome in ("S", "F"):
        word = "lead.converted" if outcome == "S" else "lead.disqualified"
        # A lead that is opened and converted again is so at another instant, and stays in its stage meanwhile.
        at = instant(item.get("movedTime")) or instant(item.get("dateClosed")) or created
        properties: dict[str, Value] = {"stage": _text(stage.get("name")) or _text(item.get("stageId")) or ""}
        yield Event(person(LEAD.name, id_), word, properties, at, f"{word}/{id_}/{int(at.timestamp())}")


def contact(item: Item, stages: Mapping[str, Any]) -> Iterator[Record]:
    id_, origin = _id(item), number(item.get("leadId"))
    ids, created = _identified(CONTACT.name, item), needed_instant(item, "createdTime")
    traits = _person_traits(item, stages, CONTACT.name, created) | _own_traits(item, CONTACT.name)
    yield Identify(ids, traits, _updated(item))
    if origin:
        # Made out of a lead, whose creation was the person's.
        yield Alias(ids, person(LEAD.name, origin), created)
    else:
        yield Event(
            person(CONTACT.name, id_), "contact.created", {"kind": CONTACT.name}, created, f"created/contact:{id_}"
        )
    if company := number(item.get("companyId")):
        yield Company(ids, str(company), {}, _updated(item), vendor=NAME)


def company(item: Item, stages: Mapping[str, Any]) -> Iterator[Record]:
    traits: dict[str, Value | None] = {ours: scalar(item.get(theirs)) for theirs, ours in _OF_COMPANY.items()}
    industry = names_of(item, stages, COMPANY.name).get("industry", {})
    traits["industry"] = _text(industry.get("name")) or _text(item.get("industry"))
    traits |= {"website": _first(item, "WEB"), "phone": _first(item, "PHONE")}
    traits |= _fields_of_their_own(item, COMPANY.name)
    yield Company(
        Identifiers(), str(_id(item)), traits, _updated(item), vendor=NAME, domain=_first(item, "WEB") or None
    )


def semantics(item: Item, stage: Mapping[str, str]) -> str:
    """S: success, F: failure, P: neither yet."""
    return str(item.get("stageSemanticId") or stage.get("semantics") or "P")


def names_of(item: Item, stages: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, str]]:
    """What the item's stage and source are called, as far as it was known when it was read."""
    return {what: stages[key] for key, what in keys(kind, item).items() if isinstance(stages.get(key), dict)}


def _id(item: Item) -> int:
    found = number(item.get("id"))
    if not found:
        raise no_id("id", item.get("id"))
    return found


def _updated(item: Item) -> datetime:
    return instant(item.get("updatedTime")) or needed_instant(item, "createdTime")


def _identified(kind: str, item: Item) -> Identifiers:
    return Identifiers(email=mail_address(_first(item, "EMAIL")), vendor={NAME: f"{kind}:{_id(item)}"})


def _first(item: Item, type_: str) -> str | None:
    """The first phone, address or web site: those that are work's go before those that are not."""
    rows = item.get("fm")
    found = [
        (row.get("valueType") != "WORK", number(row.get("id")), text)
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and row.get("typeId") == type_ and (text := _text(row.get("value")))
    ]
    return min(found)[2] if found else None


def _person_traits(item: Item, stages: Mapping[str, Any], kind: str, created: datetime) -> dict[str, Value | None]:
    traits: dict[str, Value | None] = {ours: _text(item.get(theirs)) for theirs, ours in _COMMON.items()}
    traits["name"] = " ".join(filter(None, (_text(item.get("name")), _text(item.get("lastName"))))) or None
    traits |= {"email": (_first(item, "EMAIL") or "").lower() or None, "phone": _first(item, "PHONE")}
    if kind == LEAD.name:
        traits["company"] = _text(item.get("companyTitle"))
    source = names_of(item, stages, kind).get("source", {})
    traits["source"] = _text(source.get("name")) or _text(item.get("sourceId"))
    traits["created_at"] = created.isoformat()
    return traits


def _own_traits(item: Item, kind: str) -> dict[str, Value | None]:
    """Bitrix24's fields, the portal's own among them, under the name of what they stand on: a lead's may differ."""
    kept: dict[str, Value | None] = {
        f"bitrix24.{kind}.{_HUMP.sub('_', name).lower()}": scalar(item[name]) for name in _KEPT if name in item
    }
    return kept | _fields_of_their_own(item, kind)


def _fields_of_their_own(item: Item, kind: str) -> dict[str, Value | None]:
    return {
        f"bitrix24.{kind}.{name.lower()}": scalar(value)
        for name, value in item.items()
        if name.startswith("UF_") and name not in OWN_FIELDS
    }


def _text(value: object) -> str | None:
    return (str(value).strip() or None) if isinstance(value, str | int) else None


def scalar(value: object) -> Value | None:
    """A value as a trait or a property; None for what can be none."""
    if isinstance(value, list):
        return [one for one in value if isinstance(one, str | int | float) and scalar(one) is not None] or None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if isinstance(value, int) else None
