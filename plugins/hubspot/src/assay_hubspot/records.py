"""What was pulled or fetched, as records: from a body alone, so that reading it again gives the same."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from assay_hubspot.properties import COMPANY, CONTACT, MERGED, instant, traits_of
from assay_sdk import Alias, Company, Deletion, Event, Identifiers, Identify, Misunderstood, Outcome, Record, Value
from assay_sdk.paging import beside, digest, read_packed, to_milliseconds
from assay_sdk.values import mail_address

VENDOR = "hubspot"

Item = Mapping[str, Any]
Reader = Callable[[Item, Item], Iterator[Record]]

#: E-mail events that say something of the person; HubSpot's word, the status that it must state, and ours.
_STATUS_CHANGE = "STATUSCHANGE"
EMAIL_TYPES: Mapping[str, str] = {
    "OPEN": "email.opened",
    "CLICK": "email.clicked",
    "BOUNCE": "email.bounced",
    "REPLY": "email.replied",
    "SPAMREPORT": "email.complained",
    "UNSUBSCRIBED": "unsubscribed",
}
_MEETINGS: Mapping[str, str] = {
    "CANCELED": "meeting.canceled",
    "CANCELLED": "meeting.canceled",
    "NO_SHOW": "meeting.no_show",
    "COMPLETED": "meeting.held",
    "RESCHEDULED": "meeting.rescheduled",
}


def contact(id: object) -> Identifiers:
    return Identifiers(vendor={VENDOR: str(id)})


def records_of(body: bytes) -> Iterator[Record | Misunderstood]:
    """All records in the body of a page; a Misunderstood for each item that can't be read."""
    page = beside(body)
    read = _READERS.get(str(page.get("kind")))
    if read is None:
        raise Misunderstood("This is no page that this plugin made.", field="kind")
    yield from read_packed(body, lambda item: _read(read, item, page))


def _read(read: Reader, item: Item, page: Item) -> Iterator[Record]:
    try:
        yield from read(item, page)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise Misunderstood(f"HubSpot's record can't be read ({type(error).__name__}: {error}).") from None


def _instants(item: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """When it was created, and last changed."""
    properties = item["properties"]
    modified = properties.get("lastmodifieddate") or properties.get("hs_lastmodifieddate") or item.get("updatedAt")
    created, at = instant(item.get("createdAt") or properties.get("createdate")), instant(modified)
    if created is None or at is None:
        raise ValueError("it states no instant of its creation or last change")
    return created, at


def _contact(item: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Record]:
    ids = contact(item["id"])
    if item.get("gone_at"):
        at = instant(item["gone_at"])
        if at is None:
            raise ValueError("it states no instant of its deletion")
        yield Deletion(ids, VENDOR, at)
        return
    properties = item["properties"]
    created, at = _instants(item)
    at = instant(item.get("stated_at")) or at
    whose = Identifiers(email=mail_address(properties.get("email")), vendor=ids.vendor)
    yield Identify(whose, _contact_traits(properties, body.get("types") or {}), at)
    merged = _listed(properties.get(MERGED))
    # Merging makes a record, and nobody: the creation is that of the oldest of them, of which it was told before.
    oldest = min([str(item["id"]), *merged], key=lambda id_: (len(id_), id_))
    yield Event(ids, "contact.created", {}, created, f"created/{oldest}")
    if company := properties.get("associatedcompanyid") or item.get("company"):
        yield Company(ids, str(company), {}, at, vendor=VENDOR)
    for email in filter(None, map(mail_address, _listed(properties.get("hs_additional_emails")))):
        yield Alias(ids, Identifiers(email=email), created)
    for former in {*merged, *map(str, item.get("asked_as") or ())}:
        if former != str(item["id"]):
            yield Alias(ids, contact(former), created)


def _contact_traits(properties: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Value | None]:
    traits = traits_of(properties, CONTACT, types)
    if "firstname" in properties or "lastname" in properties:
        named = " ".join(str(properties.get(name) or "").strip() for name in ("firstname", "lastname")).strip()
        traits["name"] = named or None
    return traits


def _listed(value: object) -> list[str]:
    return [part.strip() for part in str(value or "").split(";") if part.strip()]


def _company(item: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Record]:
    _, at = _instants(item)
    traits = traits_of(item["properties"], COMPANY, {})
    domain = str(item["properties"].get("domain") or "").strip().lower() or None
    yield Company(Identifiers(), str(item["id"]), traits, at, vendor=VENDOR, domain=domain)


def _deal(item: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Record]:
    stages: Mapping[str, Mapping[str, Any]] = body.get("stages") or {}
    properties, deal = item["properties"], str(item["id"])
    created, changed = _instants(item)
    history = _history(item.get("history") or ())
    result = _result(properties, stages)
    for person in item.get("contacts") or ():
        ids = contact(person)
        yield Event(ids, "deal.created", {"deal": deal}, created, f"deal/{deal}/created/{person}")
        # The first stage is that of the creation; only what followed is a move.
        for entered, stage in history[1:]:
            told = {"deal": deal, "stage": stage, "stage_name": str(stages.get(stage, {}).get("label") or stage)}
            mark = f"deal/{deal}/stage/{to_milliseconds(entered)}/{person}"
            yield Event(ids, "deal.stage_changed", dict(told), entered, mark)
        if result is not None:
            at = _closed_at(result, history, stages) or instant(properties.get("closedate")) or changed
            yield Outcome(
                ids,
                result,
                deal,
                at,
                amount=_amount(properties.get("amount")),
                currency=str(properties.get("deal_currency_code") or "").upper() or None,
                properties=_told(properties, stages),
            )


def _history(entries: Any) -> list[tuple[datetime, str]]:
    """Stages with the instants at which they were entered, the oldest first; a stage entered again and again is one."""
    found: set[tuple[datetime, str]] = set()
    for entry in entries:
        at = instant(entry.get("timestamp"))
        if at is not None and entry.get("value"):
            found.add((at, str(entry["value"])))
    moves: list[tuple[datetime, str]] = []
    for at, stage in sorted(found):
        if not moves or moves[-1][1] != stage:
            moves.append((at, stage))
    return moves


def _result(properties: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]) -> Literal["won", "lost"] | None:
    if properties.get("hs_is_closed_won") == "true":
        return "won"
    if properties.get("hs_is_closed") == "true":
        return "lost"
    # Not every portal has the two properties; every stage says what it means.
    return _meaning(stages.get(str(properties.get("dealstage")), {}))


def _meaning(stage: Mapping[str, Any]) -> Literal["won", "lost"] | None:
    if str(stage.get("isClosed")).lower() != "true":
        return None
    return "won" if float(stage.get("probability") or 0) >= 1 else "lost"


def _closed_at(
    result: str, history: list[tuple[datetime, str]], stages: Mapping[str, Mapping[str, Any]]
) -> datetime | None:
    """When it first came to a stage of that result: a deal that is opened and won again states the same instant."""
    return next((at for at, stage in history if _meaning(stages.get(stage, {})) == result), None)


def _amount(value: object) -> Decimal | None:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _told(properties: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
    stage = stages.get(str(properties.get("dealstage")), {})
    told = {
        "deal_name": properties.get("dealname"),
        "pipeline": stage.get("pipeline") or properties.get("pipeline"),
        "stage": stage.get("label") or properties.get("dealstage"),
    }
    return {name: str(value) for name, value in told.items() if value}


def _meeting(item: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Record]:
    """Only what no edit changes: an event that is read again says what it said."""
    created, _ = _instants(item)
    meeting, history = str(item["id"]), _history(item.get("history") or ())
    for person in item.get("contacts") or ():
        ids = contact(person)
        yield Event(ids, "meeting.booked", {"meeting": meeting}, created, f"meeting/{meeting}/booked/{person}")
        for at, outcome in history:
            if word := _MEETINGS.get(str(outcome).upper()):
                mark = f"meeting/{meeting}/{outcome.lower()}/{to_milliseconds(at)}/{person}"
                yield Event(ids, word, {"meeting": meeting}, at, mark)


def _conversation(item: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Record]:
    thread = item["thread"]
    started = instant(thread.get("createdAt"))
    if not (person := thread.get("associatedContactId")) or started is None:
        return
    ids, mark = contact(person), str(thread["id"])
    yield Event(ids, "chat.started", {"conversation": mark}, started, f"chat/{mark}/started")
    message = item.get("message") or {}
    sent = instant(message.get("createdAt"))
    # A comment is a note among colleagues, and what goes out is nothing the person did.
    if message.get("type") == "MESSAGE" and message.get("direction") == "INCOMING" and sent is not None:
        yield Event(ids, "chat.replied", {"conversation": mark}, sent, f"chat/{mark}/message/{message['id']}")


def _submission(item: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Record]:
    form: Mapping[str, Any] = body.get("form") or {}
    at = instant(item.get("submittedAt"))
    if at is None:
        raise ValueError("it states no instant")
    answers: dict[str, list[str]] = {}
    for field in item.get("values") or ():
        answers.setdefault(str(field["name"]), []).append(str(field.get("value") or ""))
    email = next(filter(None, map(mail_address, answers.pop("email", ()))), None)
    if email is None:
        return
    told: dict[str, Value] = {"form": str(form.get("id") or ""), "form_name": str(form.get("name") or "")}
    if item.get("pageUrl"):
        told["url"] = str(item["pageUrl"])
    for name, given in answers.items():
        told[f"answer.{name}"] = given[0] if len(given) == 1 else list(given)
    mark = item.get("conversionId") or digest([form.get("id"), item])
    yield Event(Identifiers(email=email), "form.submitted", told, at, f"form/{mark}")


def email_event_type(item: Mapping[str, Any]) -> str | None:
    """Our word for an e-mail event; None for one that says nothing of the person."""
    if item.get("type") == _STATUS_CHANGE:
        is_over = str(item.get("portalSubscriptionStatus") or item.get("subscriptionStatus")).upper() == "UNSUBSCRIBED"
        return "unsubscribed" if is_over else None
    return EMAIL_TYPES.get(str(item.get("type")))


def _email_event(item: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Record]:
    word, email, at = email_event_type(item), mail_address(item.get("recipient")), instant(item["created"])
    if word is None or email is None:
        return
    if at is None:
        raise ValueError("it states no instant")
    told: dict[str, Value] = {}
    for name, ours in (("emailCampaignId", "campaign"), ("url", "url"), ("subject", "subject")):
        if item.get(name) not in (None, ""):
            told[ours] = str(item[name])
    yield Event(Identifiers(email=email), word, told, at, _email_mark(item, word))


def _email_mark(item: Item, word: str) -> str:
    """The key of HubSpot's event; a change of status that an event of the same meaning caused has the key of that."""
    cause = item.get("causedBy")
    if word != "unsubscribed":
        return f"email/{item['id']}/{item['created']}"
    of = cause if isinstance(cause, dict) and cause.get("id") and cause.get("created") else item
    return f"unsubscribed/{of['id']}/{of['created']}"


_READERS: Mapping[str, Reader] = {
    "contacts": _contact,
    "companies": _company,
    "deals": _deal,
    "meetings": _meeting,
    "conversations": _conversation,
    "forms": _submission,
    "email-events": _email_event,
}
