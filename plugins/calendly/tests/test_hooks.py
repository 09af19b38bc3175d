import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assay_calendly.service import Calendly
from assay_calendly.simulator import CalendlySimulator
from assay_calendly.source import CalendlySource
from assay_calendly.subscriptions import GROUPS
from assay_sdk import Event, Link, Message, Refused, Request, Stale
from assay_sdk.testing import Posted, SetClock, connect

URL = "https://assay.example.test/hooks/calendly/9f1c2e"
KEY = "cal-made-up-signing-key-0001"
BODY = (
    b'{"event":"invitee.created","created_at":"2026-09-21T12:00:00.000000Z",'
    b'"created_by":"https://api.calendly.com/users/AAAAAAAAAAAAAAAA","payload":{"email":"ada@example.test",'
    b'"name":"Ada L","status":"active","rescheduled":false,'
    b'"uri":"https://api.calendly.com/scheduled_events/GBGBDCAADAEDCRZ2/invitees/AAAAAAAAAAAAAAAA"}}'
)
HEX = "795734bcc268c7a4a78ddc08ebbe3d6ad6681424e8e70b8eafb8256ab21183c7"
SIGNED = f"t=1790000000,v1={HEX}"
SIGNED_AT = datetime.fromtimestamp(1790000000, UTC)
VECTORS = Path(__file__).parents[3] / ".." / "shared" / "vendors" / "fixtures" / "signature_vectors.json"


def check(
    header: str | None = SIGNED,
    *,
    body: bytes = BODY,
    later: float = 10,
    app: dict[str, str] | None = None,
    secrets: dict[str, Any] | None = None,
) -> None:
    headers = {} if header is None else {"calendly-webhook-signature": header}
    request = Request("POST", URL, headers, body, SIGNED_AT + timedelta(seconds=later))
    CalendlySource().verify(request, app or {}, {"signing_key": KEY} if secrets is None else secrets)


class TestVerify:
    @pytest.mark.parametrize(
        "header",
        [
            pytest.param(SIGNED, id="as documented"),
            pytest.param(f"v1={HEX}, t=1790000000", id="in another order"),
            pytest.param(f"t=1790000000,v1={HEX},v2=other", id="with a scheme to come"),
        ],
    )
    def test_accepted(self, header: str) -> None:
        check(header)

    @pytest.mark.parametrize(
        "header",
        [
            pytest.param(None, id="none"),
            pytest.param("", id="empty"),
            pytest.param("nonsense", id="nonsense"),
            pytest.param(f"v1={HEX}", id="no instant"),
            pytest.param("t=1790000000", id="no signature"),
            pytest.param(f"t=1790000001,v1={HEX}", id="another instant"),
            pytest.param(f"t=-1,v1={HEX}", id="before 1970"),
            pytest.param(f"t=٣,v1={HEX}", id="digits of another script"),
            pytest.param(f"t={'9' * 40},v1={HEX}", id="beyond the calendar"),
            pytest.param(f"t=1790000000,v1={HEX}é", id="letters that no signature has"),
        ],
    )
    def test_refused(self, header: str | None) -> None:
        with pytest.raises(Refused) as caught:
            check(header)
        assert not isinstance(caught.value, Stale)

    def test_body_is_signed_byte_for_byte(self) -> None:
        """Their sample signs JSON.stringify(body): the same document with a space is another body."""
        with pytest.raises(Refused):
            check(body=BODY.replace(b'":', b'": '))

    @pytest.mark.parametrize(("later", "app"), [(181, {}), (-61, {}), (31, {"tolerance": "30"})])
    def test_right_but_too_old_is_told_apart(self, later: float, app: dict[str, str]) -> None:
        with pytest.raises(Stale):
            check(later=later, app=app)

    def test_tolerance_is_a_setting(self) -> None:
        check(later=80_000, app={"tolerance": "90000"})
        check(later=179, app={"tolerance": "nonsense"})

    def test_while_a_key_is_replaced_both_are_good(self) -> None:
        check(secrets={"signing_key": "new", "signing_key_before": KEY})
        with pytest.raises(Refused):
            check(secrets={"signing_key": "new", "signing_key_before": None})
        with pytest.raises(Refused):
            check(secrets={})

    @pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not beside this repository")
    def test_vectors(self) -> None:
        mine = [one for one in json.loads(VECTORS.read_text()) if one["vendor"] == "calendly"]
        assert len(mine) == 2
        for vector in mine:
            header, later = vector["headers"]["Calendly-Webhook-Signature"], vector["verify_at_s"] - 1790000000
            secrets = {"signing_key": vector["secret"]}
            if vector["expect"] == "accept":
                check(header, body=vector["body"].encode(), later=later, secrets=secrets)
            else:
                with pytest.raises(Stale):
                    check(header, body=vector["body"].encode(), later=later, secrets=secrets)


class Door:
    """Takes what the stand-in posts, as the platform does, without a server."""

    def __init__(self, service: Calendly, simulator: CalendlySimulator, link: Link, clock: SetClock) -> None:
        self.source, self.link, self.clock = service.source, link, clock
        self.records: list[Any] = []
        self.bodies: list[bytes] = []
        self.urls: list[str] = []
        self.status = 200
        simulator.post = self.take

    def take(self, url: str, body: bytes, headers: dict[str, str]) -> Any:
        if self.status == 200:
            lower = {name.lower(): value for name, value in headers.items()}
            request = Request("POST", url, lower, body, self.clock.now())
            self.source.verify(request, self.link.app, self.link.secrets)
            self.urls.append(url)
            for delivery in self.source.split(request):
                self.bodies.append(delivery.body)
                self.records += self.source.normalise(Message(delivery.call, delivery.body, self.clock.now()))
        return Posted(url, body, headers, self.status, 0)

    @property
    def events(self) -> list[Event]:
        return [one for one in self.records if isinstance(one, Event)]

    def types(self) -> list[str]:
        return [one.type for one in self.events]


@pytest.fixture
def door(service: Calendly, simulator: CalendlySimulator, link: Link, clock: SetClock) -> Door:
    service.source.subscribe(link, URL)
    return Door(service, simulator, link, clock)


class TestSubscribe:
    def test_scopes_have_separate_subscriptions_each_with_its_address(
        self, simulator: CalendlySimulator, link: Link, door: Door
    ) -> None:
        held = list(simulator.quartz.subscriptions.values())
        assert sorted(one["events"] for one in held) == sorted(list(group.events) for group in GROUPS)
        assert len({one["callback_url"] for one in held}) == len(GROUPS)
        assert {one["scope"] for one in held} == {"organization", "user"}
        assert link.notes["webhooks"] == "on"

    def test_key_is_ours_and_sealed(self, simulator: CalendlySimulator, link: Link, door: Door) -> None:
        assert set(simulator.quartz.keys.values()) == {link.secrets["signing_key"]}
        assert len(link.secrets["signing_key"]) >= 32
        assert link.secrets["signing_key"] not in json.dumps(dict(link.notes))

    def test_changes_nothing_where_all_is_well(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, door: Door
    ) -> None:
        before = dict(simulator.quartz.subscriptions)
        simulator.calls.clear()
        service.source.subscribe(link, URL)
        assert simulator.quartz.subscriptions == before
        assert {call.split()[0] for call in simulator.calls} == {"GET"}

    def test_already_exists_is_deleted_and_made_anew(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, door: Door
    ) -> None:
        """The answer to an earlier one was lost."""
        before = set(simulator.quartz.subscriptions)
        link.note(subscriptions=None)
        service.source.subscribe(link, URL)
        assert len(simulator.quartz.subscriptions) == len(GROUPS)
        assert not before & set(simulator.quartz.subscriptions)

    def test_conflict_that_the_list_did_not_show_yet(
        self, service: Calendly, simulator: CalendlySimulator, link: Link
    ) -> None:
        simulator.faults.next(409, path="^/webhook_subscriptions$", times=1)
        with pytest.raises(Refused):
            service.source.subscribe(link, URL)
        service.source.subscribe(link, URL)
        assert len(simulator.quartz.subscriptions) == len(GROUPS)

    def test_disabled_after_a_day_is_made_anew(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, door: Door, clock: SetClock
    ) -> None:
        door.status = 500
        simulator.book("ada@example.test")
        clock.turn(timedelta(hours=25))
        simulator.retry()
        states = [one["state"] for one in simulator.quartz.subscriptions.values()]
        assert states.count("disabled") == 1
        service.source.subscribe(link, URL)
        assert {one["state"] for one in simulator.quartz.subscriptions.values()} == {"active"}
        door.status = 200
        simulator.book("ben@example.test")
        assert door.types() == ["meeting.booked"]

    def test_redirect_counts_as_failure(self, simulator: CalendlySimulator, door: Door) -> None:
        door.status = 301
        simulator.book("ada@example.test")
        assert any(one["retry_started_at"] for one in simulator.quartz.subscriptions.values())
        door.status = 200
        simulator.retry()
        assert door.types() == ["meeting.booked"]

    def test_old_key_is_replaced_and_forgotten_later(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, door: Door, clock: SetClock
    ) -> None:
        first = link.secrets["signing_key"]
        clock.turn(timedelta(days=91))
        service.source.subscribe(link, URL)
        assert link.secrets["signing_key"] != first == link.secrets["signing_key_before"]
        assert {simulator.quartz.keys[uuid] for uuid in simulator.quartz.subscriptions} == {link.secrets["signing_key"]}
        clock.turn(timedelta(hours=26))
        service.source.subscribe(link, URL)
        assert "signing_key_before" not in link.secrets

    def test_member_subscribes_to_what_members_may(
        self, service: Calendly, simulator: CalendlySimulator, clock: SetClock
    ) -> None:
        member = next(user for user in simulator.users.values() if user.role == "user")
        simulator.users = {member.uuid: member}
        link = connect(service, simulator, clock=clock)
        service.source.subscribe(link, URL)
        held = simulator.quartz.subscriptions.values()
        assert {one["scope"] for one in held} == {"user"}
        assert not any("routing_form_submission.created" in one["events"] for one in held)

    def test_new_address_takes_the_place_of_the_old_one(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, door: Door
    ) -> None:
        service.source.subscribe(link, f"{URL}-moved")
        assert len(simulator.quartz.subscriptions) == len(GROUPS)
        assert all("-moved?" in one["callback_url"] for one in simulator.quartz.subscriptions.values())

    def test_unsubscribe_leaves_nothing(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, door: Door
    ) -> None:
        simulator.quartz.subscriptions.pop(next(iter(simulator.quartz.subscriptions)))
        service.source.unsubscribe(link)
        assert not simulator.quartz.subscriptions
        service.source.unsubscribe(link)


class TestDeliveries:
    def test_hook_and_list_give_the_same_ids(
        self, simulator: CalendlySimulator, door: Door, reader: Any, clock: SetClock
    ) -> None:
        invitee = simulator.book("ada@example.test")
        clock.turn(timedelta(minutes=1))
        simulator.mark_no_show(simulator.reschedule(invitee))
        simulator.cancel(simulator.book("ben@example.test"), by="host")
        simulator.submit("cyd@example.test")
        reader.run()
        reader.run("routing-forms")
        by_hook = {one.sender_id: one for one in door.events}
        assert by_hook == reader.events
        assert reader.types() == [
            "form.submitted",
            "meeting.booked",
            "meeting.booked",
            "meeting.canceled",
            "meeting.no_show",
            "meeting.rescheduled",
        ]

    def test_nothing_that_opens_a_meeting_is_kept(self, simulator: CalendlySimulator, door: Door) -> None:
        simulator.book("ada@example.test")
        for live in (b"cancellations/", b"reschedulings/", b"meeting-password", b"join_url", b"signing"):
            assert not any(live in body for body in door.bodies)

    def test_recap_tells_who_was_there(self, service: Calendly, simulator: CalendlySimulator, door: Door) -> None:
        meeting = simulator.meet(limit=3)
        simulator.book("ada@example.test", meeting=meeting)
        simulator.mark_no_show(simulator.book("ben@example.test", meeting=meeting))
        simulator.recap(meeting)
        fetch = door.records[-1]
        page = service.source.fetch(door.link, fetch.kind, [fetch.id])
        held = [
            one
            for body in page.bodies
            for one in service.source.normalise(Message("fetch/recap", body, door.clock.now()))
            if isinstance(one, Event)
        ]
        assert [(one.type, one.ids.email) for one in held] == [("meeting.held", "ada@example.test")]

    def test_a_working_day(self, simulator: CalendlySimulator, door: Door) -> None:
        for _ in range(60):
            simulator.live()
        assert {"meeting.booked", "form.submitted", "meeting.canceled", "meeting.rescheduled"} <= set(door.types())
