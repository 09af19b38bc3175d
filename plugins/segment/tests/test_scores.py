import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay_sdk import Link, Message, Refused, ScoreUpdate, TryLater, egress
from assay_sdk.testing import SetClock, connect, running
from assay_segment.destination import LARGEST_EVENT, message_id
from assay_segment.plugin import register_services, register_sources
from assay_segment.service import SegmentService, SegmentSettings
from assay_segment.simulator import SegmentSimulator
from assay_segment.source import Segment

AT = datetime(2026, 9, 21, 11, 0, tzinfo=UTC)


def an_update(number: int = 1, **fields: Any) -> ScoreUpdate:
    stated: dict[str, Any] = {
        "key": f"k{number}",
        "vendor_id": "",
        "user_id": f"u{number}",
        "anonymous_id": None,
        "email": f"p{number}@example.test",
        "model": "Main",
        "score": 87,
        "grade": "A1",
        "stage": "MQL",
        "reasons": ["Asked for a demo: +40", "Opened 3 e-mails: +3"],
        "scored_at": AT,
        "url": "https://assay.example.test/leads/1",
        "version": f"v{number}",
    }
    return ScoreUpdate(**{**stated, **fields})


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def simulator(clock: SetClock) -> Iterator[SegmentSimulator]:
    egress.configure(["127.0.0.1"])
    stand_in = SegmentSimulator(clock=clock)
    with running(stand_in):
        yield stand_in
    egress.configure([])


@pytest.fixture
def link(simulator: SegmentSimulator, clock: SetClock) -> Link:
    return connect(SegmentService(), simulator, clock=clock)


def push(link: Link, *updates: ScoreUpdate) -> list[Any]:
    return list(SegmentService.destination.push(link, updates))


class TestPush:
    def test_score_arrives_as_traits(self, simulator: SegmentSimulator, link: Link) -> None:
        [receipt] = push(link, an_update())
        assert not receipt.error
        assert simulator.traits["u1"] == {
            "assay_score": 87,
            "assay_grade": "A1",
            "assay_stage": "MQL",
            "assay_reasons": ["Asked for a demo: +40", "Opened 3 e-mails: +3"],
            "assay_scored_at": "2026-09-21T11:00:00.000Z",
        }

    def test_again_changes_nothing(self, simulator: SegmentSimulator, link: Link) -> None:
        push(link, an_update())
        push(link, an_update())
        assert len(simulator.arrived) == 1
        assert message_id(an_update()) == message_id(an_update(key="other", score=1))
        assert message_id(an_update()) != message_id(an_update(version="v2"))
        assert len(message_id(an_update())) < 100

    def test_email_is_never_a_user_id(self, simulator: SegmentSimulator, link: Link) -> None:
        device, nobody = push(link, an_update(user_id=None, anonymous_id="d1"), an_update(user_id=None))[::-1]
        assert (device.error, "neither" in nobody.error) == ("", True)
        [event] = simulator.arrived.values()
        assert event["anonymousId"] == "d1"
        assert "@" not in json.dumps(event)

    def test_wrong_write_key_still_gets_200(self, simulator: SegmentSimulator, clock: SetClock) -> None:
        wrong = {**simulator.form(), "write_key": "wrong"}
        link = connect(SegmentService(), simulator, clock=clock, form=wrong)
        [receipt] = push(link, an_update())
        assert not receipt.error
        assert (len(simulator.lost), len(simulator.arrived)) == (1, 0)
        SegmentService.destination.prepare(link)
        assert "same for a wrong write key" in link.notes["delivery"]

    def test_batches_keep_to_segments_limits(self, simulator: SegmentSimulator, link: Link) -> None:
        updates = [an_update(number, reasons=["é" * 500]) for number in range(1000)]
        receipts = push(link, *updates)
        assert [one.error for one in receipts] == [""] * 1000
        assert len(simulator.arrived) == 1000
        assert 2 < sum("/v1/batch" in call for call in simulator.calls) < 10

    def test_event_over_32_kb_is_not_sent(self, simulator: SegmentSimulator, link: Link) -> None:
        large, good = sorted(
            push(link, an_update(reasons=["x" * LARGEST_EVENT]), an_update(2)), key=lambda one: one.key
        )
        assert "32 KB" in large.error
        assert not good.error
        assert list(simulator.traits) == ["u2"]

    def test_without_a_write_key_nothing_is_sent(self, simulator: SegmentSimulator, clock: SetClock) -> None:
        link = connect(SegmentService(), simulator, clock=clock, form={"shared_secret": "s"})
        with pytest.raises(Refused, match="no write key"):
            push(link, an_update())

    def test_storm_is_waited_out_as_long_as_segment_says(self, simulator: SegmentSimulator, link: Link) -> None:
        simulator.faults.next(429, headers={"X-RateLimit-Reset": "40"})
        with pytest.raises(TryLater) as caught:
            push(link, an_update())
        assert caught.value.after == timedelta(seconds=40)

    def test_lost_answer_is_asked_for_again(self, simulator: SegmentSimulator, link: Link) -> None:
        simulator.faults.next(503)
        [receipt] = push(link, an_update())
        assert not receipt.error

    def test_region_has_its_own_address(self, simulator: SegmentSimulator, clock: SetClock) -> None:
        link = connect(SegmentService(), simulator, clock=clock, form={**simulator.form(), "region": "eu"})
        link.app = {"api_us": "https://us.example.test", "api_eu": "https://eu.example.test"}
        assert SegmentService().base_url(link) == "https://eu.example.test"
        link.settings = {}
        assert SegmentService().base_url(link) == "https://us.example.test"

    def test_what_was_pushed_scores_nothing_when_it_comes_back(self, simulator: SegmentSimulator, link: Link) -> None:
        push(link, an_update())
        body = json.dumps(list(simulator.arrived.values())).encode()
        assert list(Segment().normalise(Message("hook", body, AT))) == []


class TestAccount:
    def test_same_write_key_is_the_same_account(self, simulator: SegmentSimulator, clock: SetClock) -> None:
        one, two = (connect(SegmentService(), simulator, clock=clock) for _ in range(2))
        assert one.account == two.account
        assert simulator.write_key not in one.account

    def test_without_one_it_is_a_name_by_chance_that_stays(self, simulator: SegmentSimulator, clock: SetClock) -> None:
        one, two = (connect(SegmentService(), simulator, clock=clock, form={"shared_secret": "s"}) for _ in range(2))
        assert one.account != two.account
        assert SegmentService().account(one).id == one.account

    def test_whether_webhooks_are_signed_is_said_once(self, simulator: SegmentSimulator, clock: SetClock) -> None:
        signed = connect(SegmentService(), simulator, clock=clock)
        unsigned = connect(SegmentService(), simulator, clock=clock, form={})
        assert (signed.secrets.get("unsigned"), unsigned.secrets.get("unsigned")) == (None, True)

    def test_form_needs_nothing(self) -> None:
        assert SegmentSettings().load({}) == {"shared_secret": "", "write_key": "", "region": "us", "mapping": ""}
        assert SegmentSettings().validate({"region": "mars"})


class TestHooks:
    """Segment's webhook destination, from the stand-in to records."""

    def deliver(self, simulator: SegmentSimulator, link: Link, status: int = 200) -> list[Any]:
        records: list[Any] = []
        source = SegmentService.source
        for request in simulator.hooks("1", url="https://assay.example.test/hooks/segment/1", signed_at=AT):
            source.verify(request, link.app, link.secrets)
            for delivery in source.split(request):
                records += source.normalise(Message(delivery.call, delivery.body, AT))
        return records

    def test_events_come_in(self, simulator: SegmentSimulator, link: Link) -> None:
        assert [one.type for one in self.deliver(simulator, link)] == ["email.clicked", "email.opened", "page.viewed"]

    def test_rotated_secret(self, simulator: SegmentSimulator, link: Link) -> None:
        before = dict(link.secrets)
        link.keep(**simulator.rotate_secret())
        assert len(self.deliver(simulator, link)) == 3
        link.keep(**before)
        with pytest.raises(Refused):
            self.deliver(simulator, link)

    def test_stand_in_tries_again_after_5xx_and_429_only(self, simulator: SegmentSimulator, clock: SetClock) -> None:
        with running(SegmentSimulator(clock=clock)) as address:
            simulator.webhook = f"{address}/v1/batch"
            simulator.deliver(simulator.event("track", userId="u1", event="x"))
        assert [one.status for one in simulator.posted] == [400]
        assert not simulator.waiting
        simulator.fill(150)
        assert [one.status for one in simulator.posted][1:] == [0, 0]
        assert len(simulator.waiting) == 2
        clock.turn(timedelta(hours=5))
        simulator.live()
        assert len(simulator.waiting) <= 2


def test_tracking_source_and_the_services_source_are_one() -> None:
    sources: list[Any] = []
    services: list[Any] = []
    register_sources(sources.append)
    register_services(services.append)
    assert services[0].source is sources[0]
    assert sources[0].tracking_calls
    assert services[0].name == sources[0].name == "segment"
