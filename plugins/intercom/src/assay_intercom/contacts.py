"""Intercom's contacts and companies as records."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from assay_intercom.own import OWN_FIELDS
from assay_intercom.values import instant, rows, scalar, sender_id, slug, text
from assay_sdk import Alias, Company, Event, Fetch, Identifiers, Identify, Misunderstood, Record, Value
from assay_sdk.values import mail_address, part

VENDOR = "intercom"
#: Names of Intercom's that say the same as one of ours.
_PLAIN = {
    "email": "email",
    "name": "name",
    "phone": "phone",
    "owner_id": "owner",
    "unsubscribed_from_emails": "unsubscribed",
}
#: Those that say something of Intercom's own.
_THEIRS = ("role", "has_hard_bounced", "marked_email_as_spam")
_INSTANTS = {
    "created_at": "created_at",
    "signed_up_at": "intercom.signed_up_at",
    "last_seen_at": "intercom.last_seen_at",
    "last_replied_at": "intercom.last_replied_at",
    "last_contacted_at": "intercom.last_contacted_at",
}
#: Fields that tell the last time of an event which notifications tell each time of.
ENGAGEMENT = {"last_email_opened_at": "email.opened", "last_email_clicked_at": "email.clicked"}
FIELD_OF = {type_: field for field, type_ in ENGAGEMENT.items()}


def identifiers(contact: Mapping[str, Any]) -> Identifiers:
    """Whom a contact, or a reference to one, is about."""
    id_ = text(contact.get("id"))
    if id_ is None:
        raise Misunderstood("The contact has no id.", field="id")
    # Notifications of sign-ups may show a user as old versions of the API did.
    user_id = text(contact.get("external_id")) or text(contact.get("user_id"))
    return Identifiers(user_id=user_id, email=mail_address(contact.get("email")), vendor={VENDOR: id_})


def is_reference(contact: Mapping[str, Any]) -> bool:
    """Whether it only says which contact, and nothing of it."""
    return not {"role", "email", "name", "custom_attributes"} & contact.keys()


def contact_records(contact: Mapping[str, Any], stated_at: datetime) -> Iterator[Record]:
    """What is known of a contact, its companies, and whom it was merged from.

    Args:
        stated_at: when it was so, where the contact does not say when it was changed.
    """
    ids = identifiers(contact)
    at = instant(contact.get("updated_at"), "updated_at") or stated_at
    yield Identify(ids, traits(contact), at)
    companies = part(contact, "companies")
    for company in rows(companies, "data"):
        if id_ := text(company.get("id")):
            yield Company(ids, id_, {}, at, vendor=VENDOR)
    for merged in rows(contact, "merge_history"):
        if old := text(merged.get("source_contact_id")):
            yield alias(ids, old, instant(merged.get("merged_at"), "merged_at") or at)


def alias(ids: Identifiers, merged_id: str, at: datetime) -> Alias:
    return Alias(ids, Identifiers(vendor={VENDOR: merged_id}), at)


def more_companies(contact: Mapping[str, Any]) -> Iterator[Fetch]:
    """Only the first ten are embedded."""
    if part(contact, "companies").get("has_more"):
        ids = identifiers(contact)
        yield Fetch("contact", ids.vendor[VENDOR], ids)


def traits(contact: Mapping[str, Any]) -> dict[str, Value | None]:
    """What is stated; null clears. Our own fields are left out: what we wrote is nothing that we learned."""
    found: dict[str, Value | None] = {
        ours: scalar(contact[theirs]) for theirs, ours in _PLAIN.items() if theirs in contact
    }
    found |= {f"intercom.{name}": scalar(contact[name]) for name in _THEIRS if name in contact}
    for theirs, ours in _INSTANTS.items():
        if theirs in contact:
            when = instant(contact[theirs], theirs)
            found[ours] = when.isoformat() if when else None
    if "location" in contact:
        location = part(contact, "location")
        found |= {name: scalar(location.get(name)) for name in ("country", "region", "city")}
    if "language_override" in contact or "browser_language" in contact:
        found["language"] = text(contact.get("language_override")) or text(contact.get("browser_language"))
    return found | attributes(contact)


def attributes(record: Mapping[str, Any]) -> dict[str, Value | None]:
    """Custom attributes that are not ours."""
    own = part(record, "custom_attributes")
    return {
        f"intercom.{slug(name)}": scalar(own[name])
        for name in sorted(own)
        if name not in OWN_FIELDS and slug(name) and (own[name] is None or scalar(own[name]) is not None)
    }


def created(contact: Mapping[str, Any]) -> Iterator[Record]:
    """The event of its making, which has one id wherever it is read."""
    at = instant(contact.get("created_at"), "created_at")
    if at is not None:
        ids = identifiers(contact)
        yield Event(ids, "contact.created", {}, at, sender_id("created", ids.vendor[VENDOR]))


def signed_up(contact: Mapping[str, Any], stated_at: datetime | None = None) -> Iterator[Record]:
    """Once for each user: at the instant that it states, or else at that of the notification.

    A lead has not signed up: it turns into a user who has, or is merged into one, which has an id of its own.
    """
    if contact.get("role") == "lead":
        return
    at = instant(contact.get("signed_up_at"), "signed_up_at") or stated_at
    if at is not None:
        ids = identifiers(contact)
        yield Event(ids, "signup.completed", {}, at, sender_id("signed_up", ids.vendor[VENDOR]))


def history(contact: Mapping[str, Any]) -> Iterator[Record]:
    """Events that a contact's own fields tell: they make up for notifications that were lost."""
    yield from created(contact)
    yield from signed_up(contact)
    ids = identifiers(contact)
    merges = (instant(one.get("merged_at"), "merged_at") for one in rows(contact, "merge_history"))
    merged = max(filter(None, merges), default=None)
    for field, type_ in ENGAGEMENT.items():
        at = instant(contact.get(field), field)
        # What lies before a merge may be another's, of whom it was told under their own id.
        if at is not None and (merged is None or at > merged):
            yield mail_event(ids, type_, at, {})


def mail_event(ids: Identifiers, type_: str, at: datetime, properties: Mapping[str, Value]) -> Event:
    """One for each contact, kind and minute, as the contact's field states it: no other instant names the event."""
    minute = at.replace(second=0)
    return Event(
        ids, type_, properties, minute, sender_id(type_, ids.vendor[VENDOR], str(int(minute.timestamp()) // 60))
    )


def company_records(company: Mapping[str, Any], stated_at: datetime) -> Iterator[Record]:
    """A company by itself: who belongs to it, contacts say."""
    id_ = text(company.get("id"))
    if id_ is None:
        raise Misunderstood("The company has no id.", field="id")
    at = instant(company.get("updated_at"), "updated_at") or stated_at
    found: dict[str, Value | None] = {
        name: scalar(company[name]) for name in ("name", "website", "industry", "size") if name in company
    }
    if "monthly_spend" in company:
        found["intercom.monthly_spend"] = scalar(company["monthly_spend"])
    if plan := text(part(company, "plan").get("name")):
        found["intercom.plan"] = plan
    if own := text(company.get("company_id")):
        found["intercom.company_id"] = own
    found |= attributes(company)
    yield Company(Identifiers(), id_, found, at, vendor=VENDOR, domain=text(company.get("website")))
