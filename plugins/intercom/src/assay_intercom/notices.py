"""What Intercom posts, as records: one notification at a time."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from assay_intercom.contacts import (
    FIELD_OF,
    VENDOR,
    alias,
    company_records,
    contact_records,
    created,
    identifiers,
    is_reference,
    mail_event,
    more_companies,
    signed_up,
)
from assay_intercom.conversations import conversation_records, replies
from assay_intercom.values import instant, scalar, sender_id, slug, text
from assay_intercom.vocabulary import PRODUCT
from assay_sdk import Deletion, Event, Fetch, Identifiers, Misunderstood, Record, Restoration, Value
from assay_sdk.flatten import flatten
from assay_sdk.paging import digest
from assay_sdk.values import mail_address, part

Item = Mapping[str, Any]
Reader = Callable[[Item, datetime], Iterator[Record]]

_OF_MAIL = {
    "open": "email.opened",
    "click": "email.clicked",
    "reply": "email.replied",
    "hard_bounce": "email.bounced",
    "soft_bounce": "email.bounced",
    "spam_complaint": "email.complained",
}
#: Of messages in the app; a reply to one is told by the conversation that it starts.
_OF_OTHERS = {"open": "message.opened", "click": "message.clicked"}
#: So far the instants of a notification and of a contact's field may lie apart, of one and the same mail.
_SAME = timedelta(minutes=1)


def notice_records(notice: Mapping[str, Any], received_at: datetime) -> Iterator[Record]:
    """The records of one notification; none for a topic that says nothing of what a contact did or is."""
    topic, item = str(notice.get("topic") or ""), part(part(notice, "data"), "item")
    at = instant(notice.get("created_at"), "created_at") or received_at
    reader = _statistic if topic.startswith("content_stat.") else _READERS.get(topic)
    if reader is None:
        return
    if not item:
        raise Misunderstood(f"The notification of {topic} holds no item.", field="data.item")
    yield from reader(item, at)


def _contact(contact: Item, at: datetime) -> Iterator[Record]:
    """Traits alone: what a colleague edits, or we write, is nothing that the contact did."""
    ids = identifiers(contact)
    if is_reference(contact):
        yield Fetch("contact", ids.vendor[VENDOR], ids)
        return
    yield from contact_records(contact, at)
    yield from more_companies(contact)


def _created(contact: Item, at: datetime) -> Iterator[Record]:
    yield from _contact(contact, at)
    yield from created(contact)


def _signed_up(contact: Item, at: datetime) -> Iterator[Record]:
    yield from _contact(contact, at)
    yield from signed_up(contact, at)
    if contact.get("role") == "lead":
        # Looked up, it leads to the user that it has become.
        ids = identifiers(contact)
        yield Fetch("contact", ids.vendor[VENDOR], ids)


def _merged(contact: Item, at: datetime) -> Iterator[Record]:
    yield from _contact(contact, at)
    if old := text(part(contact, "merged_from").get("id")):
        yield alias(identifiers(contact), old, at)


def _gone(contact: Item, at: datetime) -> Iterator[Record]:
    yield Deletion(identifiers(contact), VENDOR, at)


def _back(contact: Item, at: datetime) -> Iterator[Record]:
    yield Restoration(identifiers(contact), VENDOR, at)
    yield from _contact(contact, at)


def _subscription(item: Item, at: datetime) -> Iterator[Record]:
    yield from _contact(part(item, "contact"), at)


def _unsubscribed(item: Item, at: datetime) -> Iterator[Record]:
    """One a day. A mail's statistic tells the same at an instant of its own, so it is left out."""
    contact = part(item, "contact")
    yield from _contact(contact, at)
    ids, at = identifiers(contact), instant(item.get("created_at"), "data.item.created_at") or at
    yield Event(ids, "unsubscribed", {}, at, sender_id("unsubscribed", ids.vendor[VENDOR], at.date().isoformat()))


def _statistic(item: Item, at: datetime) -> Iterator[Record]:
    stat, contact = part(item, "content_stat"), part(item, "contact")
    kind, is_mail = str(stat.get("stat_type") or ""), str(item.get("type") or "").endswith(".email")
    at = instant(item.get("created_at"), "data.item.created_at") or at
    ids = identifiers(contact)
    if not is_reference(contact):
        yield from contact_records(contact, at)
    type_ = (_OF_MAIL if is_mail else _OF_OTHERS).get(kind)
    if type_ is None:
        return
    properties: dict[str, Value] = {}
    for ours, theirs in (("title", "content_title"), ("content_id", "content_id"), ("bounce", "stat_type")):
        if (ours != "bounce" or type_ == "email.bounced") and (value := text(stat.get(theirs))):
            properties[ours] = value
    if type_ in FIELD_OF:
        # The list tells the same later, and knows nothing but the field.
        stated = instant(contact.get(FIELD_OF[type_]), FIELD_OF[type_])
        if stated is not None and abs(stated - at) <= _SAME:
            yield mail_event(ids, type_, stated, properties)
        else:
            yield Fetch("contact", ids.vendor[VENDOR], ids)
        return
    which = text(stat.get("id")) or str(int(at.timestamp()))
    yield Event(ids, type_, properties, at, sender_id(type_, ids.vendor[VENDOR], which))


def _conversation(item: Item, at: datetime) -> Iterator[Record]:
    yield from conversation_records(item)


def _conversation_started(item: Item, at: datetime) -> Iterator[Record]:
    yield from conversation_records(item, started=True)


def _conversation_replied(item: Item, at: datetime) -> Iterator[Record]:
    yield from conversation_records(item)
    # Whose reply has the same id by every way only if its part is known.
    if not replies(item) and (id_ := text(item.get("id"))):
        yield Fetch("conversation", id_)


def _product_event(item: Item, at: datetime) -> Iterator[Record]:
    contact_id, user_id = text(item.get("intercom_user_id")), text(item.get("user_id"))
    ids = Identifiers(
        user_id=user_id, email=mail_address(item.get("email")), vendor={VENDOR: contact_id} if contact_id else {}
    )
    if not ids:
        raise Misunderstood("The event names nobody.", field="data.item.intercom_user_id")
    name = text(item.get("event_name")) or ""
    if not slug(name):
        raise Misunderstood(f"The event's name {name[:60]!r} has no letter and no digit.", field="data.item.event_name")
    at = instant(item.get("created_at"), "data.item.created_at") or at
    found = {key: scalar(value) for key, value in flatten(part(item, "metadata")).items()}
    properties = {key: value for key, value in found.items() if value is not None} | {"event_name": name}
    which = text(item.get("id")) or digest([contact_id, user_id, name, at.isoformat(), properties])
    yield Event(ids, f"{PRODUCT}.{slug(name)}", properties, at, sender_id("event", which))


_READERS: Mapping[str, Reader] = {
    "contact.user.created": _created,
    "contact.lead.created": _created,
    "contact.user.updated": _contact,
    "contact.lead.updated": _contact,
    "contact.lead.added_email": _contact,
    "contact.email.updated": _contact,
    "contact.lead.signed_up": _signed_up,
    "visitor.signed_up": _signed_up,
    "contact.merged": _merged,
    "contact.archived": _gone,
    "contact.deleted": _gone,
    "contact.unarchive": _back,
    "contact.subscribed": _subscription,
    "contact.unsubscribed": _unsubscribed,
    "conversation.user.created": _conversation_started,
    "conversation.user.replied": _conversation_replied,
    "conversation.admin.replied": _conversation,
    "conversation.admin.closed": _conversation,
    "conversation.rating.added": _conversation,
    "event.created": _product_event,
    "company.created": company_records,
    "company.updated": company_records,
}
#: What is ticked in the Developer Hub.
TOPICS = (*_READERS, "content_stat.email", "content_stat.chat", "content_stat.post")
