"""What happens at a stand-in of Calendly: people book, move, cancel and miss meetings, and Calendly posts it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from assay_calendly.api import stated, uuid_of
from assay_calendly.world import HOST, Json, Organization, User, a_form, a_meeting, a_submission, an_invitee, name_of
from assay_sdk import Identifiers, Request
from assay_sdk.signatures import sign
from assay_sdk.testing import Examinable, Simulator

GIVE_UP = timedelta(hours=24)


@dataclass
class Waiting:
    """A webhook that nobody took yet."""

    organization: Organization
    subscription: str
    body: bytes


class Happenings(Examinable, Simulator):
    """The part of the stand-in that changes its world. Everything it does is told by webhook."""

    name = "calendly"
    tolerance = timedelta(seconds=180)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._number = self._changed = 0
        quartz, free = Organization("Q" * 16), Organization("F" * 16, plan="free")
        #: By the account that they stand for: an admin's is the organization.
        self.users = {
            (user.uuid if user.role == "user" else user.organization.uuid): user
            for user in (
                User("ADMIN" + "A" * 11, "Ines Pop", "ines@quartz.example.test", "owner", quartz),
                User("MEMBER" + "A" * 10, "Radu Ene", "radu@quartz.example.test", "user", quartz),
                User("FREE" + "A" * 12, "Mai Tran", "mai@free.example.test", "owner", free),
            )
        }
        self.quartz, self.free = quartz, free
        self.admin = next(iter(self.users.values()))
        self.waiting: list[Waiting] = []
        #: Webhooks that are handed out instead of sent.
        self._samples: list[Waiting] | None = None
        for organization in (quartz, free):
            form = a_form(self.new_name(), organization, self.clock.now() - timedelta(days=400))
            organization.forms[uuid_of(form["uri"])] = form

    def new_name(self) -> str:
        with self.lock:
            self._number += 1
            return name_of(self._number)

    # What people do.

    def meet(
        self,
        host: User | None = None,
        *,
        start: datetime | None = None,
        name: str = "Demo 30",
        limit: int = 1,
        at: datetime | None = None,
    ) -> Json:
        """A meeting without invitees, as a group's is in the beginning."""
        host, at = host or self.admin, at or self.clock.now()
        meeting = a_meeting(self.new_name(), host, at, start=start or at + timedelta(days=2), name=name, limit=limit)
        with self.lock:
            host.organization.meetings[uuid_of(meeting["uri"])] = meeting
            host.organization.invitees[uuid_of(meeting["uri"])] = []
        return meeting

    def book(
        self,
        email: str,
        *,
        name: str = "Ada Lovelace",
        meeting: Json | None = None,
        host: User | None = None,
        start: datetime | None = None,
        at: datetime | None = None,
        old: Json | None = None,
        utm_source: str | None = "google",
    ) -> Json:
        host, at = host or self.admin, at or self.clock.now()
        meeting = meeting or self.meet(host, start=start, at=at)
        invitee = an_invitee(self.new_name(), meeting, at, name=name, email=email, utm_source=utm_source)
        invitee["old_invitee"] = old["uri"] if old else None
        with self.lock:
            host.organization.invitees[uuid_of(meeting["uri"])].append(invitee)
            meeting["invitees_counter"]["total"] += 1
            meeting["invitees_counter"]["active"] += 1
            meeting["updated_at"] = stated(at)
        self.tell(host.organization, "invitee.created", invitee, at)
        return invitee

    def cancel(
        self, invitee: Json, *, by: str = "invitee", new: Json | None = None, at: datetime | None = None
    ) -> None:
        organization, meeting, at = *self.whose(invitee), at or self.clock.now()
        with self.lock:
            invitee |= {"status": "canceled", "updated_at": stated(at), "rescheduled": new is not None}
            invitee["new_invitee"] = new["uri"] if new else None
            invitee["cancellation"] = {
                "canceled_by": invitee["name"] if by == "invitee" else self.admin.name,
                "reason": "Another time",
                "canceler_type": by,
                "created_at": stated(at),
            }
            meeting["updated_at"] = stated(at)
            meeting["invitees_counter"]["active"] -= 1
            if not meeting["invitees_counter"]["active"]:
                meeting["status"] = "canceled"
                meeting["cancellation"] = dict(invitee["cancellation"])
        self.tell(organization, "invitee.canceled", invitee, at)

    def reschedule(self, invitee: Json, *, at: datetime | None = None) -> Json:
        """Two webhooks: the old invitee is canceled, and a new one is created."""
        at = at or self.clock.now()
        start = datetime.fromisoformat(self.whose(invitee)[1]["start_time"]) + timedelta(days=1)
        new = self.book(invitee["email"], name=invitee["name"], start=start, at=at, old=invitee)
        self.cancel(invitee, new=new, at=at)
        return new

    def mark_no_show(self, invitee: Json, *, at: datetime | None = None) -> None:
        organization, meeting, at = *self.whose(invitee), at or self.clock.now()
        with self.lock:
            invitee["no_show"] = {"uri": f"{HOST}/invitee_no_shows/{self.new_name()}", "created_at": stated(at)}
            invitee["updated_at"] = meeting["updated_at"] = stated(at)
        self.tell(organization, "invitee_no_show.created", invitee, at)

    def unmark_no_show(self, invitee: Json, *, at: datetime | None = None) -> None:
        organization, meeting, at = *self.whose(invitee), at or self.clock.now()
        with self.lock:
            invitee["no_show"] = None
            invitee["updated_at"] = meeting["updated_at"] = stated(at)
        self.tell(organization, "invitee_no_show.deleted", invitee, at)

    def submit(self, email: str | None, *, invitee: Json | None = None, at: datetime | None = None) -> Json:
        """A routing form that somebody filled in."""
        at = at or self.clock.now()
        form = next(iter(self.quartz.forms.values()))
        uri = invitee["uri"] if invitee else None
        submission = a_submission(self.new_name(), form, at, email=email, invitee=uri)
        with self.lock:
            self.quartz.submissions[uuid_of(submission["uri"])] = submission
        self.tell(self.quartz, "routing_form_submission.created", submission, at)
        return submission

    def recap(self, meeting: Json) -> None:
        payload = {"uri": f"{HOST}/meeting_recaps/{self.new_name()}", "scheduled_event": meeting["uri"]}
        self.tell(self.quartz, "meeting_recap.created", payload, self.clock.now())

    def whose(self, invitee: Json) -> tuple[Organization, Json]:
        uuid = uuid_of(invitee["event"])
        organization = next(one for one in (self.quartz, self.free) if uuid in one.meetings)
        return organization, organization.meetings[uuid]

    def fill(self, people: int) -> None:
        """A past year and two coming months, of which nobody was told by webhook."""
        now, told = self.clock.now(), self.quartz.subscriptions
        self.quartz.subscriptions = {}
        try:
            for number in range(people):
                booked = now - timedelta(days=self.dice.randrange(1, 300), minutes=number % 600)
                start = booked + timedelta(days=self.dice.randrange(1, 50))
                name, email = f"Person {number}", f"person{number}@prospect{number % 50}.example.test"
                invitee = self.book(email, name=name, start=start, at=booked, utm_source=("google", None)[number % 2])
                if number % 10 == 3:
                    self.cancel(invitee, by=("invitee", "host")[number % 20 == 3], at=booked + timedelta(hours=3))
                elif number % 10 == 5 and start < now:
                    self.mark_no_show(invitee, at=start + timedelta(hours=1))
                elif number % 10 == 7:
                    self.submit(email, at=booked - timedelta(minutes=5))
        finally:
            self.quartz.subscriptions = told

    def live(self) -> None:
        """A moment of a working day."""
        self.retry()
        number = self.dice.randrange(10**6)
        email = f"visitor{number}@prospect{number % 50}.example.test"
        chance = self.dice.random()
        if chance < 0.3:
            self.submit(email)
            return
        invitee = self.book(email, name=f"Visitor {number}")
        if chance > 0.85:
            self.cancel(invitee, by="host" if chance > 0.95 else "invitee")
        elif chance > 0.75:
            self.reschedule(invitee)

    # How it is told.

    def tell(self, organization: Organization, event: str, record: Json, at: datetime) -> None:
        payload = dict(record)
        if "event" in record:
            payload["scheduled_event"] = dict(organization.meetings[uuid_of(record["event"])])
        body = {"event": event, "created_at": stated(at), "created_by": self.admin.uri, "payload": payload}
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        for uuid, one in list(organization.subscriptions.items()):
            if event in one["events"] and one["state"] == "active" and _concerns(one, payload):
                due = Waiting(organization, uuid, raw)
                if self._samples is not None:
                    self._samples.append(due)
                else:
                    self._deliver(due, self.signature(organization.keys[uuid], raw))

    def retry(self) -> None:
        """Sends again what nobody took; after 24 hours the subscription is switched off for good.

        Each time it is signed anew. Whether Calendly does so is documented nowhere.
        """
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            subscription = one.organization.subscriptions.get(one.subscription)
            if subscription is None:
                continue
            since = subscription["retry_started_at"] or stated(self.clock.now())
            if self.clock.now() - datetime.fromisoformat(since) > GIVE_UP:
                subscription["state"] = "disabled"
                continue
            self._deliver(one, self.signature(one.organization.keys[one.subscription], one.body))

    def signature(self, key: str, body: bytes, at: datetime | None = None) -> str:
        seconds = str(int((at or self.clock.now()).timestamp()))
        return f"t={seconds},v1={sign(key, seconds.encode() + b'.' + body)}"

    def _deliver(self, one: Waiting, signature: str) -> None:
        subscription = one.organization.subscriptions[one.subscription]
        headers = {"Content-Type": "application/json", "Calendly-Webhook-Signature": signature}
        posted = self.post(subscription["callback_url"], one.body, headers)
        # A redirect is a failure, too.
        if 200 <= posted.status < 300:
            subscription["retry_started_at"] = None
        else:
            subscription["retry_started_at"] = subscription["retry_started_at"] or stated(self.clock.now())
            self.waiting.append(one)

    # For the examination.

    def hooks(self, account: str, *, url: str, signed_at: datetime) -> Sequence[Request]:
        self._samples = []
        try:
            host = self.users[account]
            first = self.book(self._address(), host=host)
            self.mark_no_show(self.reschedule(first))
            missed = self.book(self._address(), host=host)
            self.mark_no_show(missed)
            self.unmark_no_show(missed)
            self.cancel(missed, by="host")
            self.submit(self._address())
            return [self._request(one, signed_at) for one in self._samples]
        finally:
            self._samples = None

    def _request(self, one: Waiting, at: datetime) -> Request:
        key = one.organization.keys[one.subscription]
        headers = {"calendly-webhook-signature": self.signature(key, one.body, at)}
        return Request("POST", one.organization.subscriptions[one.subscription]["callback_url"], headers, one.body, at)

    def rotate_secret(self) -> Mapping[str, str]:
        key = f"another-{self.new_name()}"
        for uuid in self.quartz.keys:
            self.quartz.keys[uuid] = key
        return {"signing_key": key}

    def people(self) -> Sequence[Identifiers]:
        invitees = (one for people in self.quartz.invitees.values() for one in people)
        return [Identifiers(email=email) for email in dict.fromkeys(one["email"] for one in invitees)]

    def add_someone(self) -> Identifiers:
        return Identifiers(email=self.book(self._address())["email"])

    def change_someone(self) -> tuple[Identifiers, str]:
        """Nobody can change what they said; but they book again, by another name."""
        with self.lock:
            self._changed += 1
        invitees = [one for people in self.quartz.invitees.values() for one in people]
        email, name = invitees[self._changed % len(invitees)]["email"], f"Called Otherwise {self.new_name()}"
        self.book(email, name=name)
        return Identifiers(email=email), name

    def _address(self) -> str:
        return f"{self.new_name().lower()}@prospect.example.test"


def _concerns(subscription: Json, payload: Json) -> bool:
    """A user's own subscription is told of that user's meetings alone."""
    if subscription["scope"] != "user":
        return True
    meeting = payload.get("scheduled_event")
    if not isinstance(meeting, dict):
        return True
    return any(one["user"] == subscription["user"] for one in meeting["event_memberships"])
