"""Login, regions, limits, and what answers mean."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from assay_intercom.service import Intercom
from assay_intercom.simulator import IntercomSimulator
from assay_sdk import Call, Link, LocalLimiter, NeedsReconnect, OAuth, Refused, Stale, TryLater
from assay_sdk.testing import SetClock, connect

APP = {"client_id": "ours", "client_secret": "s3cret-of-the-app"} | {
    setting.name: setting.default for setting in Intercom.app if setting.default is not None
}


class TestLogin:
    @pytest.mark.parametrize(
        ("region", "host"),
        [
            pytest.param("US", "app.intercom.com", id="US"),
            pytest.param("EU", "app.eu.intercom.com", id="EU"),
            pytest.param("AU", "app.au.intercom.com", id="AU"),
        ],
    )
    def test_asks_the_region_without_scopes(self, region: str, host: str) -> None:
        auth = Intercom.auth
        assert isinstance(auth, OAuth)
        url = urlsplit(
            auth.authorize_url(
                APP, redirect_uri="https://a.example.test/b", state="st", verifier="v" * 43, settings={"region": region}
            )
        )
        asked = parse_qs(url.query)
        assert url.hostname == host
        assert asked["client_id"] == ["ours"]
        assert asked["state"] == ["st"]
        assert not {"scope", "code_challenge"} & asked.keys()

    def test_token_is_asked_without_grant_type(self) -> None:
        sent: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return httpx.Response(200, json={"token_type": "Bearer", "token": "t", "access_token": "t"})

        auth = Intercom.auth
        assert isinstance(auth, OAuth)
        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            tokens = auth.exchange(
                client,
                APP,
                SetClock(),
                answer={"code": "c0de"},
                redirect_uri="https://a.example.test/b",
                verifier="v",
                settings={"region": "EU"},
            )
        assert str(sent[0].url) == "https://api.eu.intercom.io/auth/eagle/token"
        form = parse_qs(sent[0].content.decode())
        assert form == {"code": ["c0de"], "client_id": ["ours"], "client_secret": ["s3cret-of-the-app"]}
        assert (tokens.refresh_token, tokens.expires_at) == (None, None)

    def test_account_is_the_workspace_with_region_and_time_zone(self, link: Link) -> None:
        assert link.account == "a1b2c3d4"
        assert link.notes == {"region": "US", "timezone": "America/Los_Angeles"}

    def test_time_zone_is_looked_up_again(self, service: Intercom, link: Link, door: IntercomSimulator) -> None:
        door.workspaces["a1b2c3d4"].timezone = "Europe/Bucharest"
        assert service.source is not None
        service.source.subscribe(link, "https://assay.example.test/hooks/intercom")
        assert link.notes["timezone"] == "Europe/Bucharest"

    def test_region_of_the_workspace_is_asked(self, service: Intercom, link: Link) -> None:
        link.app = {**APP}
        link.note(region="EU")
        assert service.base_url(link) == "https://api.eu.intercom.io"

    def test_wrong_region_finds_the_right_one(self, service: Intercom, link: Link, door: IntercomSimulator) -> None:
        link.app = {**link.app, "api": f"{door.address}/nowhere"}
        assert service.account(link).id == "a1b2c3d4"

    def test_calls_state_the_version(self, service: Intercom) -> None:
        call = Call("GET", "https://api.intercom.io/me")
        service.authorise(call, {"access_token": "t0ken"})
        assert call.headers["Intercom-Version"] == "2.16"
        assert call.headers["Authorization"] == "Bearer t0ken"


class TestAnswers:
    def test_401_needs_a_person_because_nothing_can_be_renewed(self, link: Link, door: IntercomSimulator) -> None:
        door.grants[0].revoked = True
        with pytest.raises(NeedsReconnect):
            link.http.get("/me")
        assert [call for call in door.calls if "token" in call] == ["POST /auth/eagle/token"]

    def test_429_waits_until_the_slice_is_over(
        self, service: Intercom, door: IntercomSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Another app took what was left.
        monkeypatch.setattr(service, "spare", lambda answer: None)
        clock = SetClock(datetime(2026, 9, 21, 12, 0, 3, tzinfo=UTC))
        door.clock = clock
        link = connect(service, door, clock=clock, limiter=LocalLimiter(clock.seconds))
        door.most = 3  # one of them was for connecting
        for _ in range(2):
            link.http.get("/me")
        with pytest.raises(TryLater) as caught:
            link.http.get("/me")
        # The slice ends at :10; one second more, because instants are whole seconds.
        assert caught.value.overloaded
        assert caught.value.after == timedelta(seconds=8)
        with pytest.raises(TryLater):
            link.http.get("/me")
        assert door.calls[-1] == "GET /me"
        asked = len(door.calls)
        clock.turn(timedelta(seconds=12))
        link.http.get("/me")
        assert len(door.calls) == asked + 1

    @pytest.mark.parametrize(
        ("headers", "wait"),
        [
            pytest.param({"X-RateLimit-Reset": "1790000005", "Date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 6, id="instant"),
            pytest.param({"X-RateLimit-Reset": "1789999990", "Date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 1, id="past"),
            pytest.param({"X-RateLimit-Reset": "1790000005"}, 10, id="no clock to compare with"),
            pytest.param({"X-RateLimit-Reset": "soon", "Date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 10, id="no instant"),
            pytest.param({"Retry-After": "7"}, 7, id="the common header"),
            pytest.param({}, 10, id="nothing stated"),
        ],
    )
    def test_pause(self, service: Intercom, headers: dict[str, str], wait: int) -> None:
        verdict = service.judge(httpx.Response(429, headers=headers))
        assert isinstance(verdict, TryLater)
        assert verdict.overloaded
        assert verdict.after == timedelta(seconds=wait)

    def test_refusals_repeat_what_intercom_said(self, service: Intercom) -> None:
        errors = [{"code": "parameter_invalid", "message": "You already have 'x' in your contact data."}]
        verdict = service.judge(httpx.Response(400, json={"type": "error.list", "errors": errors}))
        assert isinstance(verdict, Refused)
        assert (verdict.status, verdict.code) == (400, "parameter_invalid")
        assert "You already have" in verdict.reason

    def test_an_answer_that_is_no_json_is_a_failure(self, service: Intercom) -> None:
        for body in ('{"data": [', "[]", "[" * 100_000):
            assert isinstance(service.judge(httpx.Response(200, text=body)), TryLater)

    def test_410_is_never_ours_to_give(self) -> None:
        """It would end the subscription of the whole app."""
        assert {kind.http_status for kind in (Refused, Stale, *Refused.__subclasses__())} <= {400, 401}


def test_rests_when_nothing_is_left_before_intercom_has_to_refuse(
    link: Link, door: IntercomSimulator, clock: SetClock
) -> None:
    door.most = 3
    clock.turn(timedelta(seconds=60))
    door.calls.clear()
    statuses: list[int] = []
    for _ in range(12):
        try:
            statuses.append(link.http.get("/me").status_code)
        except TryLater as error:
            clock.turn(error.after or timedelta(seconds=1))
    assert set(statuses) == {200}
    assert len(door.calls) == len(statuses) >= 6
