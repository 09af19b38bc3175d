"""Activities as events: meetings, calls, e-mails that came, forms, and chats."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from assay_bitrix24.kinds import CONTACT, LEAD
from assay_bitrix24.people import needed_instant, no_id, number, person
from assay_sdk import Event, Record, Value
from assay_sdk.values import instant

_PEOPLE = {LEAD.entity: LEAD.name, CONTACT.entity: CONTACT.name}
_MEETING, _CALL, _EMAIL = 1, 2, 4
_IN, _OUT = 1, 2
_PROVIDERS = {"CRM_WEBFORM": "form.submitted", "IMOPENLINES_SESSION": "chat.started"}


def activity(item: Mapping[str, Any], stages: Mapping[str, Any]) -> Iterator[Record]:
    """One event, two for a meeting that was held; for each person that it is with."""
    id_ = number(item.get("ID"))
    if not id_:
        raise no_id("ID", item.get("ID"))
    told = _properties(item)
    # What is only planned may still be called otherwise, and moved: an event says what holds for good.
    planned = {name: told[name] for name in ("provider",) if name in told}
    for word, at in _happened(item):
        properties = planned if word == "meeting.booked" else told
        for place, whose in enumerate(_people(item)):
            # The first is not named: what was a lead's becomes the contact's that the lead turns into.
            mark = f"activity/{id_}/{word}" + (f"/{whose}" if place else "")
            yield Event(person(*whose.split(":")), word, properties, at, mark)


def _happened(item: Mapping[str, Any]) -> Iterator[tuple[str, datetime]]:
    created = needed_instant(item, "CREATED")
    began = instant(item.get("START_TIME")) or created
    type_, direction = number(item.get("TYPE_ID")), number(item.get("DIRECTION"))
    provider = str(item.get("PROVIDER_ID") or "")
    is_done = item.get("COMPLETED") == "Y" or number(item.get("STATUS")) in (2, 3)
    if word := _PROVIDERS.get(provider):
        yield word, created
    elif type_ == _MEETING or provider == "CRM_MEETING":
        yield "meeting.booked", created
        if is_done:
            yield "meeting.held", began
    elif type_ == _CALL or provider == "VOXIMPLANT_CALL":
        # Theirs happened whether or not somebody ticked it off; ours is a plan until then.
        if direction == _IN:
            yield "call.received", min(began, created)
        elif direction == _OUT and is_done:
            yield "call.made", began
    elif type_ == _EMAIL and direction == _IN:
        yield "email.received", created


def _people(item: Mapping[str, Any]) -> list[str]:
    """Whose it is; where it hangs on a deal or a company, whom it was with."""
    owner = _PEOPLE.get(number(item.get("OWNER_TYPE_ID")))
    if owner and (id_ := number(item.get("OWNER_ID"))):
        return [f"{owner}:{id_}"]
    rows = item.get("COMMUNICATIONS")
    found = {
        f"{kind}:{id_}"
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
        and (kind := _PEOPLE.get(number(row.get("ENTITY_TYPE_ID"))))
        and (id_ := number(row.get("ENTITY_ID")))
    }
    return sorted(found)


def _properties(item: Mapping[str, Any]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if subject := str(item.get("SUBJECT") or "").strip():
        found["subject"] = subject[:500]
    if starts := instant(item.get("START_TIME")):
        found["starts_at"] = starts.isoformat()
    if provider := str(item.get("PROVIDER_ID") or ""):
        found["provider"] = provider
    return found
