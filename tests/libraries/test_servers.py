"""Segment's libraries for servers against the real server: every call arrives once, and no more tries than are due."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx

from assay_tenants import keys
from assay_tenants.access.service import SignedUp

CALLS = ["identify", "track", "page", "screen", "group", "alias"]


def check_story(found: Any) -> None:
    """What the database must hold after all six calls, each taken once."""
    assert found.types == ["demo.requested", "page.viewed", "screen.viewed"]
    demo, page, screen = sorted(found.events, key=lambda event: str(event.type))
    assert (demo.properties["value"], demo.properties["note"]) == (12.5, "ặ")
    assert (page.properties["name"], page.properties["category"]) == ("Pricing", "Docs")
    assert (screen.properties["name"], screen.properties["tab"]) == ("Home", 2)
    (lead,) = found.leads
    assert lead.email == "ada@quarry.example.test"
    assert lead.traits["title"] == "CFO"
    assert {("user_id", "u-1"), ("email", "ada@quarry.example.test")} <= found.names
    assert ("anonymous_id", "device-1") in found.names
    assert [company.traits["name"] for company in found.companies] == ["Quarry & Sons"]


class TestStory:
    def test_every_call_arrives_once(
        self, library: Any, relay: Any, tenant: SignedUp, look_up: Callable[[SignedUp], Any]
    ) -> None:
        assert library.send(relay.address, tenant.write_key, story="all") == []
        assert set(relay.statuses()) == {200}
        assert {call.headers.get("content-encoding") for call in relay.calls} == {"gzip" if library.gzip else None}
        sent = [item["type"] for call in relay.calls for item in call.items]
        assert sent == CALLS
        check_story(look_up(tenant))

    def test_an_answer_that_got_lost_makes_no_second_event(
        self, library: Any, relay: Any, tenant: SignedUp, look_up: Callable[[SignedUp], Any]
    ) -> None:
        relay.answers_to_lose = 1
        assert library.send(relay.address, tenant.write_key, story="one") == []
        assert relay.statuses() == [200, 200]
        first, second = relay.calls
        assert first.message_ids == second.message_ids
        assert look_up(tenant).types == ["demo.requested"]


class TestRefused:
    def test_a_revoked_key_is_told_once_and_not_tried_again(
        self, library: Any, relay: Any, tenant: SignedUp, look_up: Callable[[SignedUp], Any]
    ) -> None:
        (key,) = keys.list_keys(tenant.tenant_id, kind="write")
        keys.revoke_key(tenant.tenant_id, key.id)
        failed = library.send(relay.address, tenant.write_key, story="one")
        assert relay.statuses() == [401]
        (told,) = failed
        if library.name != "node":
            assert "The write key is unknown or was revoked." in told
        assert look_up(tenant).events == []


class TestOutage:
    def test_sent_again_when_the_database_is_back(
        self,
        library: Any,
        relay: Any,
        tenant: SignedUp,
        outage: Callable[[], Callable[[], None]],
        in_background: Callable[..., Any],
        look_up: Callable[[SignedUp], Any],
    ) -> None:
        end = outage()
        sending = in_background(lambda: library.send(relay.address, tenant.write_key, story="one"))
        relay.wait_for(lambda relay: relay.calls)
        end()
        assert sending.result() == []
        *refused, accepted = relay.statuses()
        assert refused
        assert set(refused) == {503}
        assert accepted == 200
        assert relay.calls[0].answer_headers["retry-after"] == "5"
        if library.name == "node":
            # The others don't count a try for which they were told when.
            tries = [call.headers.get("x-retry-count", "0") for call in relay.calls]
            assert tries == [str(number) for number in range(len(tries))]
        assert look_up(tenant).types == ["demo.requested"]


class TestTooFast:
    def test_sent_again_when_there_is_leave(
        self,
        library: Any,
        serve: Callable[..., AbstractContextManager[int]],
        make_relay: Callable[[int], Any],
        tenant: SignedUp,
        look_up: Callable[[SignedUp], Any],
    ) -> None:
        with serve(ASSAY_TENANT_EVENTS_PER_SECOND="1", ASSAY_TENANT_BURST_SECONDS="2") as port:
            relay = make_relay(port)
            # All that may come at once; six more need six seconds.
            spent = {"batch": [{"type": "identify", "userId": "u-1"}] * 2500}
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/batch", json=spent, auth=(tenant.write_key, ""))
            assert answer.status_code == 200
            assert library.send(relay.address, tenant.write_key, story="all") == []
        *refused, accepted = relay.statuses()
        assert refused
        assert (set(refused), accepted) == ({429}, 200)
        for call in relay.calls[:-1]:
            assert 1 <= int(call.answer_headers["retry-after"]) <= 6
            assert call.message_ids == relay.calls[-1].message_ids
        check_story(look_up(tenant))
