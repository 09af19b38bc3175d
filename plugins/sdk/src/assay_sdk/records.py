"""What a plugin's ``normalise`` yields: records in Assay's vocabulary, immutable.

The platform works out leads, companies and scores from the *set* of all records: their order, and how often one comes,
must not matter. So each record states when it happened at its origin (``at``) and whom it concerns (``ids``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

Scalar = str | int | float | bool
#: A trait or a property: text, number, truth value, or a list of these.
Value = Scalar | list[Scalar]

_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


@dataclass(frozen=True)
class Identifiers:
    """Whom a record concerns; at least one is given.

    ``user_id``, ``email`` and ``vendor`` identifiers are strong: two that come in one record belong to one person.
    ``anonymous_id`` is a browser or device: it follows the person who first identified on it, and never joins people.
    """

    #: The sender's own stable id of the person.
    user_id: str | None = None
    email: str | None = None
    anonymous_id: str | None = None
    #: A vendor's id of the contact, by the vendor's name: ``{"hubspot": "51"}``.
    vendor: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.user_id or self.email or self.anonymous_id or self.vendor)


@dataclass(frozen=True)
class Identify:
    """Somebody's traits, as their source stated them at an instant; the last one stated wins, field by field.

    None clears a trait: from its instant on there is none, until a later statement. What is left out stays as it is.
    """

    ids: Identifiers
    traits: Mapping[str, Value | None]
    at: datetime


@dataclass(frozen=True)
class Event:
    """Something a person did. Counted once per source and ``sender_id``, however often it is sent."""

    ids: Identifiers
    #: Dotted, lower case, past tense: ``page.viewed``.
    type: str
    properties: Mapping[str, Value]
    at: datetime
    #: The sender's id of this event, unique within its source; at most 200 characters. Left empty when it gave none:
    #: the platform then makes one from the message and the event's place in it.
    sender_id: str

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.type):
            raise ValueError(f"An event's type is dotted lower-case words, such as page.viewed; not {self.type!r}.")


@dataclass(frozen=True)
class Company:
    """A person's company and what is known of it; ``ids`` may be empty when only the traits are stated."""

    ids: Identifiers
    #: The sender's id of the company.
    company_id: str
    #: As a person's: None clears one.
    traits: Mapping[str, Value | None]
    at: datetime
    #: The vendor whose id it is, such as ``"hubspot"``; without it, the id is one that all senders share.
    vendor: str | None = None
    #: Its domain or web site: what says the same domain is the same company. Goes before a trait ``domain``.
    domain: str | None = None


@dataclass(frozen=True)
class Alias:
    """Two sets of identifiers are one person."""

    ids: Identifiers
    previous: Identifiers
    at: datetime


@dataclass(frozen=True)
class Outcome:
    """A deal with somebody was won or lost: what scores are measured against.

    Kept as an event of the type ``deal.won`` or ``deal.lost``, once for each deal, person and result.
    """

    ids: Identifiers
    result: Literal["won", "lost"]
    #: The sender's id of the deal.
    deal_id: str
    at: datetime
    amount: Decimal | None = None
    #: ISO 4217, such as ``"EUR"``.
    currency: str | None = None
    #: Whatever else is known of the deal, such as its pipeline.
    properties: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Deletion:
    """A contact is gone at its vendor. What is known of the person stays, and their scores with it.

    Kept as the trait ``deleted_in.<vendor>``; a later ``Restoration`` takes it back, and no more scores are sent to a
    contact that is gone. ``erased`` is a person's own wish: then all that Assay keeps of them is erased too.
    """

    ids: Identifiers
    vendor: str
    at: datetime
    erased: bool = False


@dataclass(frozen=True)
class Restoration:
    """A contact that was deleted is back at its vendor."""

    ids: Identifiers
    vendor: str
    at: datetime


@dataclass(frozen=True)
class Fetch:
    """A notice named a record without saying what is in it: it is to be fetched.

    The platform collects these for a moment, asks ``Source.fetch`` for many at once, and keeps what comes as a message.
    """

    #: What kind of record, in the plugin's own word; what ``Source.fetch`` is given.
    kind: str
    id: str
    #: Whose record it is, where that is known: so that an erased person's notices are erased too.
    ids: Identifiers = field(default_factory=Identifiers)


#: What leads and scores are worked out from; the others are kept as one of these.
CoreRecord = Identify | Event | Company | Alias
Record = CoreRecord | Outcome | Deletion | Restoration | Fetch
