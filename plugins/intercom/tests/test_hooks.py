"""Notifications: whose they are, whether they are Intercom's, and that losing or doubling them changes nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay_intercom.service import Intercom
from assay_intercom.simulator.notifying import iso_contact
from assay_sdk import Alias, Deletion, Identify, Refused, Request, Restoration
from assay_sdk.signatures import sign
from assay_sdk.testing import SetClock

SHARED = Path(__file__).parents[3] / ".." / "shared" / "vendors"
SECRET = "ic-made-up-client-secret-0001"
BODY = (
    '{"type":"notification_event","app_id":"a1b2c3d4","data":{"type":"notification_event_data","item":{"type":"contact",'
    '"id":"6762f0d51bb69f9f2193bb7f","workspace_id":"a1b2c3d4","role":"lead","email":"ada@example.test"}},"links":{},'
    '"id":"notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3","topic":"contact.lead.created","delivery_status":"pending",'
    '"delivery_attempts":1,"delivered_at":0,"first_sent_at":1790000000,"created_at":1790000000,"self":null}'
)
SIGNATURE = "sha1=0cc009f35f57530ece77907e17965aa4893063aa"
SOURCE = Intercom.source
assert SOURCE is not None
APP = {"client_secret": SECRET, "previous_client_secret": ""}


def request(body: str, signature: str) -> Request:
    return Request(
        "POST",
        "https://assay.example.test/hooks/intercom",
        {"x-hub-signature": signature} if signature else {},
        body.encode(),
        SetClock().now(),
    )


class TestSignature:
    def test_good(self) -> None:
        SOURCE.verify(request(BODY, SIGNATURE), APP, {})

    @pytest.mark.parametrize(
        ("body", "signature", "app"),
        [
            pytest.param(BODY + " ", SIGNATURE, APP, id="another body"),
            pytest.param(BODY, SIGNATURE[:-1] + "b", APP, id="another signature"),
            pytest.param(BODY, "", APP, id="none"),
            pytest.param(BODY, "sha1=", APP, id="empty"),
            pytest.param(BODY, "sha256=" + sign(SECRET, BODY.encode()), APP, id="another digest"),
            pytest.param(BODY, "sha1=" + sign("", BODY.encode(), digest="sha1"), APP, id="the empty secret"),
            pytest.param(BODY, SIGNATURE + "é", APP, id="letters that no signature has"),
            pytest.param(BODY, SIGNATURE, {"client_secret": "another"}, id="another secret"),
        ],
    )
    def test_bad(self, body: str, signature: str, app: dict[str, str]) -> None:
        with pytest.raises(Refused) as caught:
            SOURCE.verify(request(body, signature), app, {})
        assert caught.value.http_status == 401

    def test_secret_before_the_last_change_is_good_too(self) -> None:
        SOURCE.verify(request(BODY, SIGNATURE), {"client_secret": "new", "previous_client_secret": SECRET}, {})

    def test_shared_vectors(self) -> None:
        file = SHARED / "fixtures" / "signature_vectors.json"
        if not file.exists():
            pytest.skip("The vendors' vectors are not here.")
        vectors = [one for one in json.loads(file.read_text()) if one["vendor"] == "intercom"]
        assert vectors
        for one in vectors:
            given = request(one["body"], one["headers"]["X-Hub-Signature"])
            if one["expect"] == "accept":
                SOURCE.verify(given, {"client_secret": one["secret"]}, {})
            else:
                with pytest.raises(Refused):
                    SOURCE.verify(given, {"client_secret": one["secret"]}, {})


class TestSplitting:
    def test_by_workspace(self) -> None:
        [delivery] = SOURCE.split(request(BODY, SIGNATURE))
        assert (delivery.account, delivery.call, delivery.body) == ("a1b2c3d4", "hook", BODY.encode())

    def test_ping_with_a_null_id_is_nothing(self) -> None:
        ping = '{"type":"notification_event","app_id":null,"topic":"ping","id":null,"data":{"item":{"type":"ping"}}}'
        assert list(SOURCE.split(request(ping, ""))) == []

    @pytest.mark.parametrize("body", ["", "[]", "{", '{"topic":"contact.merged"}', "[" * 100_000])
    def test_what_is_nobodys_is_refused_and_never_with_410(self, body: str) -> None:
        with pytest.raises(Refused) as caught:
            list(SOURCE.split(request(body, "")))
        assert caught.value.http_status != 410


class TestSubscription:
    def test_410_would_end_it_for_everybody(self, listening: Any) -> None:
        listening.answers = 410
        listening.at().arrive()
        listening.answers = 200
        listening.came.clear()
        listening.at("e5f6a7b8").arrive()
        assert listening.came == []

    def test_head_and_ping(self, listening: Any, platform: Any) -> None:
        assert [call for call in listening.calls if "hooks" in call] == [
            "HEAD /hooks/intercom",
            "POST /hooks/intercom",
        ]
        platform.open_the_door()
        assert platform.messages == []

    def test_two_workspaces_share_the_address(self, listening: Any, platform: Any) -> None:
        listening.at("e5f6a7b8").arrive(email="elsewhere@example.test")
        listening.at().arrive(email="here@example.test")
        platform.open_the_door()
        assert [event.ids.email for event in platform.events.values()] == ["here@example.test"]


class TestLosses:
    """One retry after a minute, then nothing: what is lost is made up for by the next look, and counts once."""

    def test_retried_notification_counts_once(self, listening: Any, platform: Any, later: Callable[..., None]) -> None:
        listening.answers = 503
        listening.at().arrive(email="ada@example.test")
        listening.answers = 200
        platform.open_the_door()
        later(seconds=61)
        listening.notifier.retry()
        platform.open_the_door()
        attempts = [json.loads(message.body)["delivery_attempts"] for message in platform.messages]
        assert attempts == [1, 2]
        assert platform.counted("contact.created") == 1

    def test_fails_twice_and_is_dropped(self, listening: Any, platform: Any, later: Callable[..., None]) -> None:
        listening.answers = 503
        listening.at().arrive(email="ada@example.test")
        for _ in range(3):
            later(seconds=61)
            listening.notifier.retry()
        assert len(listening.notifier.dropped) == 1
        assert [json.loads(request.body)["delivery_attempts"] for request in listening.came[1:]] == [1, 2]
        listening.came.clear()
        platform.follow("contacts")
        assert platform.counted("contact.created") == 1

    def test_delivered_twice_counts_once(self, listening: Any, platform: Any) -> None:
        here = listening.at()
        here.track(here.arrive(email="ada@example.test"), "Invited friend")
        listening.notifier.again()
        platform.open_the_door()
        assert len(platform.messages) == 3
        assert platform.counted("product.invited_friend") == 1

    def test_lost_ones_are_made_up_for(self, listening: Any, platform: Any, later: Callable[..., None]) -> None:
        here = listening.at()
        for stream in ("contacts", "conversations", "companies"):
            platform.follow(stream)
        later(minutes=5)
        listening.notifier.losing = 4
        someone = here.arrive(email="ada@example.test")
        talk = here.chat(someone)
        here.reply(talk, someone)
        here.mail(someone, "open")
        assert len(listening.notifier.dropped) == 4
        later(minutes=5)
        for stream in ("contacts", "conversations"):
            platform.follow(stream)
        platform.open_the_door()
        lost = ("contact.created", "chat.started", "chat.replied", "email.opened")
        assert {type_: platform.counted(type_) for type_ in lost} == dict.fromkeys(lost, 1)

    def test_by_both_ways_each_counts_once(self, listening: Any, platform: Any, later: Callable[..., None]) -> None:
        here = listening.at()
        someone = here.arrive(email="ada@example.test")
        here.sign_up(someone, "u-1")
        talk = here.chat(someone)
        for _ in range(2):
            later(minutes=1)
            here.reply(talk, someone)
            here.reply(talk, someone, by_admin=True)
        here.rate(talk, someone, 4)
        here.mail(someone, "open")
        later(minutes=2)
        here.mail(someone, "click")
        platform.open_the_door()
        posted = platform.events
        for stream in ("contacts", "conversations"):
            platform.follow(stream)
        assert platform.events.keys() == posted.keys()
        assert {id_: event.at for id_, event in platform.events.items()} == {
            id_: event.at for id_, event in posted.items()
        }
        assert platform.counted("chat.replied") == 2

    @pytest.mark.parametrize("did", ["open", "click"])
    @pytest.mark.parametrize("behind", [2, -2, 600], ids=["seconds before", "seconds after", "long before"])
    def test_a_minute_that_ends_between_notification_and_field(
        self, behind: int, did: str, listening: Any, platform: Any, later: Callable[..., None]
    ) -> None:
        here = listening.at()
        someone = here.arrive(email="ada@example.test")
        # At the first second of a minute, and at the last of another.
        for seconds in (3661 - here.now % 60, 118):
            later(seconds=seconds)
            here.mail(someone, did, behind=behind)
            listening.notifier.again()
            platform.open_the_door()
            platform.look_up()
            platform.follow("contacts")
        assert platform.counted("email.opened" if did == "open" else "email.clicked") == 2

    def test_unsubscribing_is_told_twice_and_counts_once(
        self, listening: Any, platform: Any, later: Callable[..., None]
    ) -> None:
        here = listening.at()
        someone = here.arrive(email="ada@example.test")
        # One of the two before midnight, the other after it.
        later(seconds=86_399 - here.now % 86_400)
        here.mail(someone, "unsubscribe", then=lambda: later(seconds=2))
        platform.open_the_door()
        assert len(platform.messages) == 3
        assert platform.counted("unsubscribed") == 1

    def test_a_lead_that_signs_up_as_another_user_has_signed_up_once(
        self, listening: Any, platform: Any, later: Callable[..., None]
    ) -> None:
        here = listening.at()
        lead = here.arrive(email="ada@example.test")
        platform.follow("contacts")
        later(minutes=5)
        user = here.arrive(role="user", external_id="u-1", email="ada@example.test", signed_up_at=here.now)
        here.tell("contact.lead.signed_up", {**iso_contact(here.workspace.contact(lead)), "signed_up_at": here.now})
        here.merge(lead, user)
        platform.open_the_door()
        platform.look_up()
        later(minutes=10)
        platform.follow("contacts")
        assert platform.counted("signup.completed") == 1


class TestStories:
    def test_merge(self, listening: Any, platform: Any) -> None:
        here = listening.at()
        lead, user = here.arrive(email="ada@example.test"), here.arrive(role="user", external_id="u-1")
        here.merge(lead, user)
        platform.open_the_door()
        [alias] = [record for record in platform.records if isinstance(record, Alias)]
        assert (alias.ids.vendor["intercom"], alias.previous.vendor["intercom"]) == (user, lead)

    def test_lost_merge_is_told_by_the_survivor(
        self, listening: Any, platform: Any, later: Callable[..., None]
    ) -> None:
        here = listening.at()
        lead, user = here.arrive(email="ada@example.test"), here.arrive(role="user", external_id="u-1")
        platform.follow("contacts")
        later(minutes=1)
        listening.notifier.losing = 1
        here.merge(lead, user)
        platform.follow("contacts")
        assert {record.previous.vendor["intercom"] for record in platform.records if isinstance(record, Alias)} == {
            lead
        }

    def test_gone_and_back(self, listening: Any, platform: Any, later: Callable[..., None]) -> None:
        here = listening.at()
        someone = here.arrive(email="ada@example.test")
        later(minutes=1)
        here.archive(someone)
        later(minutes=1)
        here.unarchive(someone)
        later(minutes=1)
        here.delete(someone)
        platform.open_the_door()
        told = [record for record in platform.records if isinstance(record, Deletion | Restoration)]
        assert [type(record) for record in told] == [Deletion, Restoration, Deletion]
        assert {record.ids.vendor["intercom"] for record in told} == {someone}

    def test_what_we_write_comes_back_as_nothing_new(
        self, service: Intercom, listening: Any, platform: Any, later: Callable[..., None]
    ) -> None:
        here = listening.at()
        someone = here.arrive(email="ada@example.test", custom_attributes={"plan": "trial"})
        platform.open_the_door()
        [before] = [record.traits for record in platform.records if isinstance(record, Identify)]
        platform.messages.clear()
        later(minutes=1)
        assert service.destination is not None
        service.destination.prepare(platform.link)
        platform.link.http.put(f"/contacts/{someone}", json={"custom_attributes": {"assay_score": 87}})
        platform.open_the_door()
        [after] = platform.records
        assert json.loads(platform.messages[0].body)["topic"] == "contact.lead.updated"
        assert isinstance(after, Identify)
        assert after.traits == before
