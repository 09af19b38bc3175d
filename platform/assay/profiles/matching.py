"""Which identifiers of a record say who it is, and which of them join people."""

import re
from dataclasses import dataclass

from assay_sdk import Identifiers

#: An identifier's kind (``user_id``, ``email``, ``vendor:<name>``, ``anonymous_id``) and its value.
Key = tuple[str, str]

USER_ID = "user_id"
EMAIL = "email"
ANONYMOUS_ID = "anonymous_id"
VENDOR = "vendor:"

# Mailboxes that several people read, in the languages of the customers: they would merge strangers into one lead.
# fmt: off
ROLE_ADDRESSES = frozenset({
    "abuse", "accounting", "accounts", "admin", "administrator", "billing", "booking", "bookings", "careers",
    "commercial", "comercial", "compliance", "contact", "contacto", "contacts", "customerservice", "donotreply",
    "do-not-reply", "enquiries", "enquiry", "feedback", "finance", "finanzen", "hello", "help", "helpdesk",
    "hostmaster", "hr", "hrteam", "info", "information", "inquiries", "inquiry", "invoice", "invoices", "jobs",
    "kefu", "kontakt", "legal", "lienhe", "mailer-daemon", "marketing", "media", "news", "newsletter", "no-reply",
    "no_reply", "noc", "noreply", "office", "orders", "orders-noreply", "partner", "partners", "postmaster",
    "press", "privacy", "purchasing", "recruiting", "recruitment", "reception", "reservations", "sales",
    "secretariat", "security", "service", "services", "shop", "staff", "subscribe", "support", "team", "tech",
    "unsubscribe", "vanzari", "verkauf", "ventas", "webmaster", "welcome",
})
# fmt: on

# What software writes when it knows no id. One such value would glue all strangers together.
_PLACEHOLDER = re.compile(
    r"[-_\s]*|0{2,}[0-]*|-1|null|nil|none|nan|undefined|n/?a|unknown|anonymous|guest|visitor|\(not set\)"
    r"|\[object object\]|true|false",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class Persona:
    """What a record's identifiers say about who it is."""

    #: Of one person, in order: user id, e-mail, vendors' ids.
    strong: tuple[Key, ...]
    anonymous: Key | None
    #: Where traits and events are kept; None when the record names nobody.
    primary: Key | None
    #: An address too many people share to tell who it is: known of the lead, but not its identity.
    shared_address: str | None


def persona(ids: Identifiers) -> Persona:
    """An identifier that can't join people stands for the record only when there is no other."""
    strong: list[Key] = []
    weak: list[Key] = []
    shared_address = None
    if ids.user_id:
        (weak if is_placeholder(ids.user_id) else strong).append((USER_ID, ids.user_id))
    if ids.email:
        address = ids.email.strip().lower()
        if is_personal_address(address):
            strong.append((EMAIL, address))
        elif address:
            shared_address = address
            weak.append((EMAIL, address))
    for vendor, value in sorted(ids.vendor.items()):
        if value:
            (weak if is_placeholder(value) else strong).append((VENDOR + vendor, value))
    anonymous: Key | None = None
    if ids.anonymous_id:
        anonymous = (ANONYMOUS_ID, ids.anonymous_id)
        if is_placeholder(ids.anonymous_id):
            weak.append(anonymous)
            anonymous = None
    primary = strong[0] if strong else anonymous or (weak[0] if weak else None)
    if primary == (EMAIL, shared_address):
        shared_address = None
    return Persona(tuple(strong), anonymous, primary, shared_address)


def is_placeholder(value: str) -> bool:
    return _PLACEHOLDER.fullmatch(value) is not None


def is_personal_address(address: str) -> bool:
    """False for role addresses (info@, sales@) and for what is no address at all."""
    if not _ADDRESS.fullmatch(address):
        return False
    mailbox = address.partition("@")[0].partition("+")[0]
    return mailbox not in ROLE_ADDRESSES and not is_placeholder(mailbox)
