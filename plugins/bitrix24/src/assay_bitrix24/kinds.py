"""What is read of a portal: kinds of records, with the names that Bitrix24 has for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One list of the portal's."""

    #: Our word, also for ``Fetch``.
    name: str
    stream: str
    title: str
    #: ``crm.item.*`` tells kinds apart by this; 0: it has methods of its own.
    entity: int
    method: str = "crm.item.list"
    id: str = "id"
    updated: str = "updatedTime"
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"select": ["*"], "useOriginalUfNames": "Y"})

    @property
    def asked(self) -> dict[str, Any]:
        """What every call of the list states."""
        return {**({"entityTypeId": self.entity} if self.entity else {}), **self.parameters}


LEAD = Kind("lead", "leads", "Leads", 1)
CONTACT = Kind("contact", "contacts", "Contacts", 3)
COMPANY = Kind("company", "companies", "Companies", 4)
DEAL = Kind("deal", "deals", "Deals", 2)
ACTIVITY = Kind(
    "activity",
    "activities",
    "Calls, meetings, e-mails, forms and chats",
    0,
    method="crm.activity.list",
    id="ID",
    updated="LAST_UPDATED",
    parameters={"select": ["*", "COMMUNICATIONS"]},
)
KINDS = (COMPANY, CONTACT, LEAD, DEAL, ACTIVITY)
OF_STREAM = {kind.stream: kind for kind in KINDS}
OF_NAME = {kind.name: kind for kind in KINDS}
#: People, by what their vendor ids begin with.
PEOPLE = {"lead": LEAD, "contact": CONTACT}

#: Events that are bound, and what each is a notice of.
EVENTS = {
    f"ONCRM{kind.name.upper()}{verb}": kind for kind in KINDS for verb in ("ADD", "UPDATE", "DELETE")
} | {"ONCRMDEALMOVETOCATEGORY": DEAL}  # fmt: skip
#: Bound besides: tells that the app was removed.
UNINSTALLED = "ONAPPUNINSTALL"
#: Deletions of people: what no list tells, and so what the offline queue is for.
OFFLINE_EVENTS = ("ONCRMLEADDELETE", "ONCRMCONTACTDELETE")
