"""A stand-in of HubSpot: two portals, their CRM, forms and e-mails, a login, limits, and signed webhooks."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID

from assay_hubspot.simulator.crm import Crm
from assay_hubspot.simulator.login import Login
from assay_hubspot.simulator.marketing import Marketing
from assay_hubspot.simulator.people import (
    COMPANY_OF,
    DEAL_EVERY,
    FORMS,
    STAGE_IDS,
    email_of,
    person,
)
from assay_hubspot.simulator.portal import Portal, Row
from assay_sdk import Identifiers, Request
from assay_sdk.paging import to_milliseconds
from assay_sdk.testing.examination.examinable import Examinable

_DAY = int(timedelta(days=1) / timedelta(milliseconds=1))
#: The people who came at the beginning are so many days old; the others came since, evenly.
_PAST = 300
_EMAIL_TYPES = ("SENT", "DELIVERED", "OPEN", "OPEN", "CLICK", "BOUNCE", "SPAMREPORT")


class HubSpotSimulator(Examinable, Crm, Login, Marketing):
    """HubSpot on this machine."""

    tolerance: ClassVar[timedelta | None] = timedelta(minutes=5)

    # The story.

    def fill(self, people: int) -> None:
        """So many contacts, and in proportion companies, deals, form submissions and e-mail events."""
        portal, now = self.first, self.now()
        begin = now - _PAST * _DAY
        with self.lock:
            companies = [
                portal.add("companies", _company(number), begin).id for number in range((people - 1) // COMPANY_OF + 1)
            ]
            step = (now - begin - _DAY) / max(people, 1)
            for number in range(people):
                created = begin + int(number * step)
                belongs = {"associatedcompanyid": str(companies[number // COMPANY_OF])}
                row = Row(portal.new_id(), created, created + _DAY // 2, person, number, dict(belongs))
                portal.contacts.add(row)
                if number % DEAL_EVERY == 0:
                    self._deal(portal, row, created)
                if number % 10 == 0:
                    self._submission(portal, email_of(number), created, number)
                if number % 5 == 0:
                    self._email_event(portal, email_of(number), created + number % 7, number)
            for submitted in portal.submissions.values():
                submitted.sort(key=lambda item: int(item["submittedAt"]))
            portal.email_events.sort(key=lambda event: int(event["created"]))

    def _deal(self, portal: Portal, contact: Row, created: int) -> None:
        number = contact.number // DEAL_EVERY
        row = portal.add("deals", {"dealname": f"Deal {number}", "pipeline": "default", "amount": "1200.50"}, created)
        last = number % len(STAGE_IDS)
        for place, stage in enumerate(STAGE_IDS[: last + 1] if last < 3 else (STAGE_IDS[0], STAGE_IDS[3])):
            portal.deals.change(row, {"dealstage": stage}, created + place * 3_600_000)
        is_won, is_closed = last == 2, last >= 2
        closed = {"hs_is_closed": str(is_closed).lower(), "hs_is_closed_won": str(is_won).lower()}
        portal.deals.change(row, {**closed, "deal_currency_code": "EUR"}, row.modified)
        portal.contacts_of[("deals", row.id)] = [contact.id]

    def _submission(self, portal: Portal, email: str, at: int, number: int) -> None:
        guid = tuple(FORMS)[number // 10 % len(FORMS)]
        portal.submissions[guid].append(
            {
                "conversionId": str(UUID(int=self.dice.getrandbits(128))),
                "submittedAt": at,
                "values": [{"name": "email", "value": email}, {"name": "message", "value": "Please call me."}],
                "pageUrl": "https://www.example.test/contact",
            }
        )

    def _email_event(self, portal: Portal, email: str, at: int, number: int) -> None:
        portal.email_events.append(
            {
                "id": str(UUID(int=self.dice.getrandbits(128))),
                "created": at,
                "type": _EMAIL_TYPES[number // 5 % len(_EMAIL_TYPES)],
                "recipient": email,
                "portalId": portal.id,
                "emailCampaignId": 1 + number % 3,
            }
        )

    def live(self) -> None:
        """One thing more happens, of the kinds that happen in a working day."""
        portal = self.first
        if not portal.contacts.by_change():
            self.fill(1)
        row = self.dice.choice(portal.contacts.by_change())
        email = str(row.properties().get("email"))
        happening = self.dice.randrange(7)
        if happening == 0:
            self.create(portal, "contacts", person(10**7 + portal.new_id()))
        elif happening == 1:
            self.change(portal, row, {"lifecyclestage": self.dice.choice(("lead", "opportunity", "customer"))})
        elif happening == 2:
            self._submission(portal, email, self.now(), self.dice.randrange(30))
        elif happening == 3:
            self._email_event(portal, email, self.now(), self.dice.randrange(5, 35))
        elif happening == 4:
            self.say(portal, row)
        elif happening == 5:
            meeting = self.create(portal, "meetings", {"hs_meeting_title": "Demo", "hs_meeting_outcome": "SCHEDULED"})
            self.associate(portal, "meetings", meeting, row.id)
        elif deals := portal.deals.by_change():
            self.win(portal, self.dice.choice(deals))
        self.deliver()

    def win(self, portal: Portal, deal: Row) -> None:
        closed = {"hs_is_closed": "true", "hs_is_closed_won": "true"}
        self.change(portal, deal, {"dealstage": "closedwon", **closed})

    def say(self, portal: Portal, row: Row, *, direction: str = "INCOMING", kind: str = "MESSAGE") -> int:
        """A chat begins with a message; gives the thread's id."""
        thread, message, at = portal.new_id(), f"m{portal.new_id()}", self.clock.now().isoformat()
        told = {"id": message, "type": kind, "direction": direction, "createdAt": at, "text": "Hello"}
        portal.threads[thread] = {
            "id": str(thread),
            "createdAt": at,
            "associatedContactId": str(row.id),
            "messages": {message: told},
        }
        self.tell(portal, "conversation.creation", thread)
        self.tell(portal, "conversation.newMessage", thread, messageId=message, messageType=kind)
        return thread

    # What the examination asks for.

    def hooks(self, account: str, *, url: str, signed_at: datetime) -> Sequence[Request]:
        portal = self.portals[account]
        id_ = next(iter(portal.contacts.rows), portal.new_id())
        events = (
            self.event(portal, "contact.creation", id_, changeFlag="NEW"),
            self.event(portal, "contact.propertyChange", id_, propertyName="jobtitle", propertyValue="CFO"),
            self.event(portal, "contact.deletion", portal.new_id()),
            self.event(portal, "contact.restore", id_),
            self.event(portal, "contact.merge", id_, primaryObjectId=id_, mergedObjectIds=[portal.new_id()]),
            self.event(portal, "deal.creation", portal.new_id()),
            self.event(portal, "conversation.creation", portal.new_id()),
            self.event(portal, "object.creation", portal.new_id(), objectTypeId="0-47"),
        )
        return [self._request([event], url, signed_at) for event in events]

    def mixed(self, accounts: Sequence[str], *, url: str, signed_at: datetime) -> Sequence[Request]:
        parts = [self.event(self.portals[id_], "contact.creation", self.portals[id_].new_id()) for id_ in accounts]
        return [self._request(parts, url, signed_at)]

    def redelivered(self, request: Request) -> Request:
        events = [{**event, "attemptNumber": event["attemptNumber"] + 1} for event in json.loads(request.body)]
        return self._request(events, request.url, request.received_at)

    def _request(self, events: Sequence[Mapping[str, Any]], url: str, at: datetime) -> Request:
        body = json.dumps(events, separators=(",", ":")).encode()
        return Request("POST", url, self.signed(url, body, to_milliseconds(at)), body, at)

    def rotate_secret(self) -> Mapping[str, str]:
        self.client_secret = f"hubspot-{self.dice.getrandbits(128):x}"
        return {}

    def point_hooks_at(self, url: str) -> None:
        self.hook_url = url

    def settle(self) -> None:
        while self.pending and self.hook_url:
            self.deliver()

    def people(self) -> Sequence[Identifiers]:
        return [_known(row) for row in self.first.contacts.after(0, archived=False)]

    def add_someone(self) -> Identifiers:
        row = self.create(self.first, "contacts", person(10**8 + self.first.new_id()))
        self.deliver()
        return _known(row)

    def change_someone(self) -> tuple[Identifiers, str]:
        row, text = self._next_one(), f"Title {self.first.new_id()}"
        self.change(self.first, row, {"jobtitle": text})
        self.deliver()
        return _known(row), text

    def remove_someone(self) -> Identifiers:
        listed = islice(self.first.contacts.after(0, archived=False), 90)
        row = [row for row in listed if "jobtitle" not in row.changes][-1]
        self.archive(self.first, row)
        self.deliver()
        return _known(row)

    def _next_one(self) -> Row:
        """The first of the list whom nobody changed yet; the last who was, when all were."""
        living = list(self.first.contacts.after(0, archived=False))
        return next((row for row in living if "jobtitle" not in row.changes), living[-1])

    def pushed(self, ids: Identifiers) -> Mapping[str, Any]:
        row = self.first.contacts.rows[self.first.current(int(ids.vendor["hubspot"]))]
        return {name: value for name, value in row.properties().items() if name.startswith("assay_")}


def _company(number: int) -> dict[str, str | None]:
    name = f"Company {number}"
    return {"name": name, "domain": f"company{number}.example.test", "numberofemployees": str(10 + number % 400)}


def _known(row: Row) -> Identifiers:
    return Identifiers(email=row.properties().get("email"), vendor={"hubspot": str(row.id)})
