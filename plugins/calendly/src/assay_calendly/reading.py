"""Calendly's records as Assay's.

Meetings come as invitees, alike from webhooks and from lists: an invitee with its ``scheduled_event`` inside. All that
an event's record says stays the same for as long as the invitee lives, so that whichever came first says the same.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from assay_calendly.api import below, uuid_of
from assay_sdk import Deletion, Event, Fetch, Identifiers, Identify, Misunderstood, Record, Value, values
from assay_sdk.values import mail_address, part

_LONGEST_NAME = 60
# Ids of events have room for 200 characters, with words of ours before and after.
_LONGEST_URI = 140
_TRACKED = {
    "utm_source": "campaign.source",
    "utm_medium": "campaign.medium",
    "utm_campaign": "campaign.name",
    "utm_content": "campaign.content",
    "utm_term": "campaign.term",
    "salesforce_uuid": "calendly.salesforce_uuid",
}
#: Kinds of what is to be fetched.
SUBMISSION, RECAP = "submission", "recap"

Json = Mapping[str, Any]


def of_hook(event: str, payload: Json, created_at: datetime) -> Iterator[Record]:
    """What one webhook tells; nothing for one that another webhook tells better, or that nobody asked for."""
    match event:
        case "invitee.created":
            yield from _identify(payload)
            yield _booked(payload)
        case "invitee.canceled":
            yield from _identify(payload)
            yield from _canceled(payload)
        case "invitee_no_show.created":
            yield from _identify(payload)
            yield _no_show(payload, created_at)
        case "invitee_no_show.deleted":
            yield from _identify(payload)
            yield _no_show_undone(payload, created_at)
        case "routing_form_submission.created":
            yield from of_submission(payload)
        case "contact.created" | "contact.updated":
            yield from _contact(payload, event)
        case "contact.deleted":
            yield Deletion(_contact_ids(payload), "calendly", created_at)
        case "meeting_recap.created":
            yield from _recap(payload)


def of_invitee(invitee: Json) -> Iterator[Record]:
    """All that an invitee's present state tells of the past: that they booked, and what became of it."""
    yield from _identify(invitee)
    yield _booked(invitee)
    if invitee.get("status") == "canceled":
        yield from _canceled(invitee)
    if isinstance(invitee.get("no_show"), dict):
        yield _no_show(invitee, _instant(invitee, "updated_at"))


def of_held(invitee: Json) -> Iterator[Record]:
    """An invitee of a meeting of which there is a recap: somebody was there to be recorded."""
    if invitee.get("status") == "canceled" or isinstance(invitee.get("no_show"), dict):
        return
    yield from _identify(invitee)
    meeting = part(invitee, "scheduled_event")
    yield Event(_ids(invitee), "meeting.held", _meeting(invitee), _instant(meeting, "end_time"), _id("held", invitee))


def of_submission(submission: Json) -> Iterator[Record]:
    """A routing form. Whose it is stands among its answers, or with the invitee that it led to; else it is nobody's."""
    email = _submitter(submission)
    uri = _uri(submission)
    if email is None:
        if submission.get("submitter") and "submitter_email" not in submission:
            yield Fetch(SUBMISSION, uuid_of(uri))
        return
    at = _instant(submission, "created_at")
    result = part(submission, "result")
    properties: dict[str, Value] = {"form": uuid_of(str(submission.get("routing_form") or ""))}
    if result.get("type"):
        properties["result"] = str(result["type"])
    properties |= _answers(submission) | _tracking(submission)
    ids = Identifiers(email=email)
    yield Identify(ids, {"email": email}, at)
    yield Event(ids, "form.submitted", properties, at, f"form/{uuid_of(uri)}")


def _booked(invitee: Json) -> Event:
    """A booking, or the new half of one that was moved: never a second booking."""
    is_moved = bool(invitee.get("old_invitee"))
    kind, word = ("meeting.rescheduled", "rescheduled") if is_moved else ("meeting.booked", "booked")
    properties = _meeting(invitee) | _answers(invitee) | _tracking(invitee)
    if invitee.get("scheduling_method"):
        properties["scheduling_method"] = str(invitee["scheduling_method"])
    return Event(_ids(invitee), kind, properties, _instant(invitee, "created_at"), _id(word, invitee))


def _canceled(invitee: Json) -> Iterator[Event]:
    if invitee.get("rescheduled"):
        return
    cancellation = part(invitee, "cancellation")
    properties = _meeting(invitee)
    for name in ("canceler_type", "reason"):
        if cancellation.get(name):
            properties[name] = str(cancellation[name])
    at = _instant(cancellation, "created_at") if cancellation.get("created_at") else _instant(invitee, "updated_at")
    yield Event(_ids(invitee), "meeting.canceled", properties, at, _id("canceled", invitee))


def _no_show(invitee: Json, otherwise: datetime) -> Event:
    """Somebody may be marked, unmarked and marked again: each mark has a URI of its own."""
    mark = part(invitee, "no_show")
    at = _instant(mark, "created_at") if mark.get("created_at") else otherwise
    # What a webhook states besides, a list does not: it is no name.
    which = uuid_of(str(mark.get("uri") or "")) or (at.isoformat() if mark.get("created_at") else "marked")
    return Event(_ids(invitee), "meeting.no_show", _meeting(invitee), at, f"{_id('no_show', invitee)}/{which}")


def _no_show_undone(invitee: Json, at: datetime) -> Event:
    """The mark is gone by then, so that the instant tells one taking back from another."""
    which = f"{_id('no_show_undone', invitee)}@{at.isoformat()}"
    return Event(_ids(invitee), "meeting.no_show_undone", _meeting(invitee), at, which)


def _recap(payload: Json) -> Iterator[Fetch]:
    """A recap names a meeting, not who was there."""
    meeting = payload.get("scheduled_event") or payload.get("event")
    uri = meeting.get("uri") if isinstance(meeting, dict) else meeting
    if isinstance(uri, str) and uuid_of(uri):
        yield Fetch(RECAP, uuid_of(uri))


def _contact(contact: Json, event: str) -> Iterator[Record]:
    ids, name = _contact_ids(contact), uuid_of(_uri(contact))
    is_new = event == "contact.created"
    at = _instant(contact, "created_at" if is_new or not contact.get("updated_at") else "updated_at")
    yield Identify(ids, _traits(contact), at)
    if is_new:
        yield Event(ids, "contact.created", {}, at, f"created/{name}")


def _contact_ids(contact: Json) -> Identifiers:
    return Identifiers(vendor={"calendly": uuid_of(_uri(contact))}, email=mail_address(contact.get("email")))


def _identify(invitee: Json) -> Iterator[Identify]:
    """What somebody said of themselves when they booked; nothing of it changes later."""
    yield Identify(_ids(invitee), _traits(invitee), _instant(invitee, "created_at"))


def _traits(person: Json) -> dict[str, Value | None]:
    traits: dict[str, Value | None] = {}
    first, last = _text(person, "first_name"), _text(person, "last_name")
    # A form that asks for one name alone has only ``name``; one that asks for two may leave ``name`` empty.
    both = " ".join(filter(None, (first, last)))
    stated = {
        "email": mail_address(person.get("email")),
        "name": _text(person, "name") or both,
        "first_name": first,
        "last_name": last,
        "phone": _text(person, "text_reminder_number") or _text(person, "phone_number"),
        "company": _text(person, "company"),
        "title": _text(person, "job_title"),
        "country": _text(person, "country"),
        "city": _text(person, "city"),
        "calendly.timezone": _text(person, "timezone"),
    }
    traits |= {name: value for name, value in stated.items() if value}
    return traits


def _meeting(invitee: Json) -> dict[str, Value]:
    meeting = part(invitee, "scheduled_event")
    event = str(invitee.get("event") or meeting.get("uri") or "")
    stated = {
        "meeting": uuid_of(event),
        "name": _text(meeting, "name"),
        "event_type": uuid_of(str(meeting.get("event_type") or "")),
        "start_time": _text(meeting, "start_time"),
    }
    return {name: value for name, value in stated.items() if value}


def _answers(record: Json) -> dict[str, Value]:
    """Questions as properties: ``Company size?`` becomes ``answer.company_size``."""
    found: dict[str, Value] = {}
    for one in _questions(record):
        name = re.sub(r"\W+", "_", str(one.get("question") or "").lower()).strip("_")[:_LONGEST_NAME]
        answer = one.get("answer")
        if name and isinstance(answer, str | int | float | bool) and answer != "":
            found.setdefault(f"answer.{name}", answer)
    return found


def _tracking(record: Json) -> dict[str, Value]:
    tracking = part(record, "tracking")
    return {ours: str(tracking[theirs]) for theirs, ours in _TRACKED.items() if tracking.get(theirs)}


def _submitter(submission: Json) -> str | None:
    """The answer to a question that speaks of mail goes before any other that looks like an address."""
    found = [(one, mail_address(one.get("answer"))) for one in _questions(submission)]
    addresses = [(one, email) for one, email in found if email]
    addresses.sort(key=lambda pair: "mail" not in str(pair[0].get("question") or "").lower())
    if addresses:
        return addresses[0][1]
    return mail_address(submission.get("submitter_email"))


def _questions(record: Json) -> list[Json]:
    asked = record.get("questions_and_answers")
    return [one for one in asked if isinstance(one, dict)] if isinstance(asked, list) else []


def _ids(invitee: Json) -> Identifiers:
    email = mail_address(invitee.get("email"))
    if email is None:
        raise Misunderstood("The invitee has no e-mail address, so that nobody knows who it is.", field="email")
    return Identifiers(email=email)


def _id(word: str, invitee: Json) -> str:
    """The same by webhook and by list: an invitee is one person in one meeting."""
    return f"{word}/{below(_uri(invitee), 'scheduled_events')}"


def _uri(record: Json) -> str:
    uri = record.get("uri")
    if not isinstance(uri, str) or not uuid_of(uri):
        raise Misunderstood("The record has no uri, which is its name.", field="uri")
    if len(uri) > _LONGEST_URI:
        raise Misunderstood(f"The record's uri is longer than {_LONGEST_URI} characters.", field="uri")
    return uri


def _text(record: Json, name: str) -> str:
    value = record.get(name)
    return value.strip() if isinstance(value, str) else ""


def _instant(record: Json, name: str) -> datetime:
    return instant(record.get(name), name)


def instant(value: object, name: str) -> datetime:
    """Calendly's instants have microseconds and Z. Raises Misunderstood for what is none."""
    found = values.instant(value)
    if found is None:
        said = (
            f"{name} is {str(value)[:40]!r}, which is no instant; accepted is ISO 8601, such as 2026-09-21T12:00:00Z."
        )
        raise Misunderstood(said, field=name)
    return found
