"""What the portal's answers mean."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest

from assay_bitrix24.calls import batch, call, judge
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_sdk import Link, NeedsReconnect, Refused, TokenExpired, TryLater
from assay_sdk.testing import SetClock

RESET = {"time": {"finish": 1790000000.0, "operating": 480.2, "operating_reset_at": 1790000420}}


class TestJudge:
    @pytest.mark.parametrize(
        ("status", "body", "kind", "said"),
        [
            pytest.param(401, {"error": "expired_token"}, TokenExpired, "too old", id="expired_token"),
            pytest.param(401, {"error": "NO_AUTH_FOUND"}, NeedsReconnect, "connect the portal", id="NO_AUTH_FOUND"),
            pytest.param(403, {"error": "insufficient_scope"}, Refused, "right crm", id="insufficient_scope"),
            pytest.param(403, {"error": "ACCESS_DENIED"}, Refused, "administrator", id="ACCESS_DENIED"),
            pytest.param(403, {"error": "INVALID_CREDENTIALS"}, Refused, "administrator", id="INVALID_CREDENTIALS"),
            pytest.param(403, {"error": "user_access_error"}, Refused, "let in", id="user_access_error"),
            pytest.param(400, {"error": "NOT_FOUND", "error_description": "No<br>item"}, Refused, "No item", id="400"),
            pytest.param(503, {"error": "QUERY_LIMIT_EXCEEDED"}, TryLater, "wait", id="QUERY_LIMIT_EXCEEDED"),
            pytest.param(503, {"error": "OVERLOAD_LIMIT"}, TryLater, "support", id="OVERLOAD_LIMIT"),
            pytest.param(429, {"error": "OPERATION_TIME_LIMIT", **RESET}, TryLater, "time", id="OPERATION_TIME_LIMIT"),
            pytest.param(500, {"error": "INTERNAL_SERVER_ERROR"}, TryLater, "500", id="500"),
            pytest.param(200, {"error": "ERROR_CORE", "error_description": "Bad"}, Refused, "Bad", id="200 with error"),
            pytest.param(200, {"error": "QUERY_LIMIT_EXCEEDED"}, TryLater, "wait", id="200 with the limit"),
            pytest.param(200, [], TryLater, "without JSON", id="200 with a list"),
        ],
    )
    def test_errors(self, status: int, body: Any, kind: type[Exception], said: str) -> None:
        found = judge(httpx.Response(status, json=body))
        assert type(found) is kind
        assert said in str(found)

    def test_good(self) -> None:
        assert judge(httpx.Response(200, json={"result": []})) is None

    def test_the_time_budget_waits_until_operating_reset_at(self) -> None:
        found = judge(httpx.Response(429, json={"error": "OPERATION_TIME_LIMIT", **RESET}))
        assert isinstance(found, TryLater)
        assert (found.after, found.overloaded) == (timedelta(seconds=420), True)

    @pytest.mark.parametrize("time", [{}, {"operating_reset_at": "soon"}, {"operating_reset_at": 1e300, "finish": 1}])
    def test_the_time_budget_without_an_end(self, time: dict[str, Any]) -> None:
        found = judge(httpx.Response(429, json={"error": "OPERATION_TIME_LIMIT", "time": time}))
        assert isinstance(found, TryLater)
        assert found.after == timedelta(minutes=5)


class TestLimits:
    def test_burst_of_50_then_2_a_second_per_portal(
        self, link: Link, simulator: Bitrix24Simulator, clock: SetClock
    ) -> None:
        began = clock.now()
        for _ in range(90):
            call(link, "app.info")
        seconds = (clock.now() - began).total_seconds()
        assert 19 <= seconds <= 22
        assert len(simulator.calls) < 100

    def test_query_limit_exceeded_pauses_everybody(self, link: Link, simulator: Bitrix24Simulator) -> None:
        simulator.portal.level, simulator.portal.leaked_at = 53.0, simulator.clock.now()
        with pytest.raises(TryLater) as caught:
            call(link, "app.info")
        assert caught.value.overloaded
        with suppress(TryLater):
            call(link, "app.info")
        assert simulator.clock.slept

    def test_operation_time_limit_of_the_stand_in(
        self, link: Link, simulator: Bitrix24Simulator, clock: SetClock
    ) -> None:
        simulator.portal.spent["app.info"] = clock.now() + timedelta(minutes=4)
        with pytest.raises(TryLater) as caught:
            call(link, "app.info")
        assert caught.value.after is not None
        assert caught.value.after >= timedelta(minutes=4)


class TestBatch:
    def test_200_even_if_all_parts_failed(self, link: Link) -> None:
        found = batch(link, [("crm.item.get", {"entityTypeId": 1, "id": id_}) for id_ in (1, 2)])
        assert [one.code for one in found] == ["not_found", "not_found"]

    def test_results_stand_beside_errors(self, link: Link, simulator: Bitrix24Simulator, clock: SetClock) -> None:
        simulator.portal.add(1, clock.now(), title="A & B = [C]")
        good, bad = batch(link, [("crm.item.get", {"entityTypeId": 1, "id": 1}), ("crm.nothing", {})])
        assert good["item"]["title"] == "A & B = [C]"
        assert isinstance(bad, Refused)

    def test_a_limit_in_a_part_concerns_all(self, link: Link, simulator: Bitrix24Simulator, clock: SetClock) -> None:
        simulator.portal.spent["crm.item.get"] = clock.now() + timedelta(minutes=4)
        with pytest.raises(TryLater):
            batch(link, [("app.info", {}), ("crm.item.get", {"entityTypeId": 1, "id": 1})])

    def test_a_token_that_ends_within_a_batch_needs_no_person(
        self, link: Link, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        part = {"result": {"result": [], "result_error": {"p0": {"error": "expired_token"}}}}
        monkeypatch.setattr("assay_bitrix24.calls.call", lambda *_: part)
        with pytest.raises(TryLater):
            batch(link, [("app.info", {})])

    def test_texts_are_no_references_to_other_parts(self, link: Link, simulator: Bitrix24Simulator) -> None:
        batch(link, [("app.info", {"x": "$result[p1][SECRET]"})])
        assert simulator.requests[-1] == ("app.info", {"x": "$ result[p1][SECRET]"})
