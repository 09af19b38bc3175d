"""What a workspace of the stand-in holds, and what happens in it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]

#: What Intercom embeds of a contact's companies, tags and notes.
EMBEDDED = 10
_NULLS = [
    *("external_id", "phone", "name", "avatar", "owner_id", "language_override"),
    *("browser", "browser_version", "browser_language", "os"),
    *("signed_up_at", "last_seen_at", "last_replied_at", "last_contacted_at"),
    *("last_email_opened_at", "last_email_clicked_at"),
]
BLANK: Mapping[str, Any] = {
    "type": "contact",
    **dict.fromkeys(_NULLS),
    "has_hard_bounced": False,
    "marked_email_as_spam": False,
    "unsubscribed_from_emails": False,
    "location": {"type": "location", "country": None, "region": None, "city": None},
    "social_profiles": {"type": "list", "data": []},
}
_FIRST = [
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Radia",
    "Niklaus",
    "Frances",
    "Ken",
    "Margaret",
    "Tony",
]
_LAST = ["Quartz", "Feldspar", "Basalt", "Onyx", "Opal", "Jasper", "Beryl", "Garnet", "Topaz", "Zircon"]
_PLANS = ("trial", "starter", "growth")
_DAY = 86_400


@dataclass
class Workspace:
    """One customer of Intercom's who has installed the app."""

    id: str
    name: str
    region: str = "US"
    timezone: str = "America/Los_Angeles"
    contacts: dict[str, Row] = field(default_factory=dict)
    #: Old ids of those that were merged, with whom they became and when.
    merged: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    archived: dict[str, Row] = field(default_factory=dict)
    conversations: dict[str, Row] = field(default_factory=dict)
    companies: dict[str, Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    #: Custom attributes of contacts.
    attributes: dict[str, Row] = field(default_factory=dict)
    #: The one scroll that is open: its parameter, the next place, and until when.
    scroll: tuple[str, int, datetime] | None = None
    last_id: int = 0

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def next_id(self, prefix: str = "") -> str:
        self.last_id += 1
        return f"{prefix}{self.last_id:022x}" if prefix else str(self.last_id)

    def contact(self, contact_id: str, *, merge_history: bool = False) -> Row:
        """As the API shows it."""
        kept = self.contacts[contact_id]
        shown = {**BLANK, **{name: value for name, value in kept.items() if name not in ("companies", "tags")}}
        shown["workspace_id"] = self.id
        for kind, name in (("company", "companies"), ("tag", "tags")):
            ids = kept.get(name, ())
            shown[name] = {
                "type": "list",
                "data": [{"type": kind, "id": one, "url": f"/{name}/{one}"} for one in ids[:EMBEDDED]],
                "url": f"/contacts/{contact_id}/{name}",
                "total_count": len(ids),
                "has_more": len(ids) > EMBEDDED,
            }
        if merge_history and kept["role"] == "user":
            shown["merge_history"] = [
                {"type": "merge_history", "source_contact_id": old, "source_contact_role": role, "merged_at": at}
                for old, (new, at, role) in list(self.merged.items())
                if new == contact_id
            ]
        return shown

    def canonical(self, contact_id: str) -> str:
        while contact_id in self.merged:
            contact_id = self.merged[contact_id][0]
        return contact_id

    def add_contact(self, at: int, *, role: str = "lead", **fields: Any) -> Row:
        id_ = self.next_id("67")
        made: Row = {
            "id": id_,
            "role": role,
            "email": None,
            "created_at": at,
            "updated_at": at,
            "custom_attributes": {},
        }
        self.contacts[id_] = {**made, **fields}
        return self.contacts[id_]

    def add_company(self, at: int, name: str, **fields: Any) -> Row:
        id_ = self.next_id("c0")
        made: Row = {
            "type": "company",
            "id": id_,
            "company_id": f"ours-{self.last_id}",
            "app_id": self.id,
            "name": name,
        }
        made |= {"created_at": at, "updated_at": at, "plan": {}, "custom_attributes": {}}
        self.companies[id_] = {**made, **fields}
        return self.companies[id_]

    def add_conversation(self, at: int, contact_id: str, *, by_admin: bool = False, said: str = "Hello") -> Row:
        whose = self.contacts[contact_id]
        author = {"type": "admin", "id": "991"} if by_admin else {"type": whose["role"], "id": contact_id}
        id_ = self.next_id()
        self.conversations[id_] = {
            "type": "conversation",
            "id": id_,
            "created_at": at,
            "updated_at": at,
            "source": {
                "type": "conversation",
                "id": self.next_id(),
                "delivered_as": "admin_initiated" if by_admin else "customer_initiated",
                "subject": "",
                "body": f"<p>{said}</p>",
                "author": author,
                "url": None if by_admin else "https://quartz.example.test/pricing",
            },
            "contacts": {
                "type": "contact.list",
                "contacts": [{"type": "contact", "id": contact_id, "external_id": whose.get("external_id")}],
            },
            "statistics": {"type": "conversation_statistics", "last_contact_reply_at": None},
            "conversation_rating": None,
            "conversation_parts": {"type": "conversation_part.list", "conversation_parts": [], "total_count": 0},
        }
        return self.conversations[id_]

    def add_reply(self, at: int, conversation_id: str, contact_id: str, *, by_admin: bool = False) -> Row:
        talk, whose = self.conversations[conversation_id], self.contacts[contact_id]
        author = {"type": "admin", "id": "991"} if by_admin else {"type": whose["role"], "id": contact_id}
        made: Row = {"type": "conversation_part", "id": self.next_id(), "part_type": "comment", "body": "<p>Yes</p>"}
        made |= {"created_at": at, "updated_at": at, "author": author}
        parts = talk["conversation_parts"]
        talk["conversation_parts"] = {**parts, "conversation_parts": [*parts["conversation_parts"], made]}
        talk["updated_at"] = at
        if not by_admin:
            talk["statistics"] = {**talk["statistics"], "last_contact_reply_at": at}
        return made

    def fill(self, people: int, dice: random.Random, now: int) -> None:
        """So many people and their past half year."""
        start = len(self.contacts)
        firms = [
            self.add_company(
                now - 200 * _DAY,
                f"{_LAST[number % 10]} {number}",
                website=f"https://firm{number}.example.test",
                size=40,
            )
            for number in range(max(1, people // 2))
        ]
        for number in range(start, start + people):
            first, last = _FIRST[number % len(_FIRST)], _LAST[number // len(_FIRST) % len(_LAST)]
            born = now - dice.randrange(_DAY, 180 * _DAY)
            changed = dice.randrange(born, now)
            is_user = number % 3 == 0
            made = self.add_contact(
                born,
                role="user" if is_user else "lead",
                external_id=f"u-{number}" if is_user else None,
                name=f"{first} {last}",
                email=f"{first}.{last}.{number}@{last}.example.test".lower(),
                custom_attributes={"plan": _PLANS[number % 3]} if is_user else {},
                companies=[firms[number % len(firms)]["id"]],
            )
            made |= {"updated_at": changed, "last_seen_at": changed, "signed_up_at": born if is_user else None}
            if number % 4 == 0:
                made["last_email_opened_at"] = changed
            if number % 3 == 0:
                talk = self.add_conversation(changed, made["id"])
                self.add_reply(min(changed + 600, now), talk["id"], made["id"])
