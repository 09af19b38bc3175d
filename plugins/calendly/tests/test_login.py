from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from assay_calendly.service import Calendly
from assay_calendly.simulator import CalendlySimulator
from assay_sdk import Link, LocalLimiter, NeedsReconnect, Refused, TryLater, egress
from assay_sdk.testing import SetClock, connect


class TestConnect:
    def test_identity_is_the_organizations_uri(self, simulator: CalendlySimulator, link: Link) -> None:
        assert link.account == simulator.quartz.uuid
        assert link.secrets["organization"] == simulator.quartz.uri
        assert link.secrets["owner"] == simulator.admin.uri
        assert link.notes["reach"] == "organization"

    def test_every_scope_has_its_reason(self, service: Calendly) -> None:
        assert all({**service.auth.scopes, **service.auth.optional_scopes}.values())

    @pytest.mark.parametrize(
        ("optional", "asked"),
        [
            (None, {"contacts:read", "routing_forms:read", "meeting_recaps:read"}),
            ("routing_forms:read", {"routing_forms:read"}),
        ],
    )
    def test_asks_for_what_the_app_has(self, service: Calendly, optional: str | None, asked: set[str]) -> None:
        app = {"client_id": "c", "authorize_url": "https://auth.example.test/authorize"}
        app |= {} if optional is None else {"optional_scopes": optional}
        url = service.auth.authorize_url(app, redirect_uri="https://a.test", state="s", verifier="v" * 50, settings={})
        query = parse_qs(urlsplit(url).query)
        assert set(query["scope"][0].split()) == asked | set(service.auth.scopes)
        assert query["code_challenge_method"] == ["S256"]

    @pytest.mark.parametrize("scope", ["", "default"])
    def test_older_apps_without_scopes_have_all_of_them(self, service: Calendly, clock: SetClock, scope: str) -> None:
        tokens = service.auth.read({"access_token": "t", "scope": scope}, clock.now())
        assert "routing_forms:read" in tokens.scopes

    def test_missing_scope_wants_a_new_consent(
        self, service: Calendly, simulator: CalendlySimulator, link: Link
    ) -> None:
        simulator.grants[0].scopes = ("users:read",)
        with pytest.raises(NeedsReconnect, match="scheduled_events:read"):
            service.source.pull(link, "scheduled-events", None)

    def test_refusal_keeps_calendlys_words(self, simulator: CalendlySimulator, link: Link) -> None:
        with pytest.raises(Refused, match="Invalid Argument") as caught:
            link.http.get("/scheduled_events", params={"organization": simulator.quartz.uuid})
        assert caught.value.status == 400


class TestSingleUseRefreshTokens:
    def test_each_refresh_brings_the_next_one(self, simulator: CalendlySimulator, link: Link, clock: SetClock) -> None:
        seen = {link.secrets["refresh_token"]}
        for _ in range(3):
            clock.turn(timedelta(hours=2))
            link.http.get("/users/me")
            seen.add(link.secrets["refresh_token"])
        assert len(seen) == 4

    def test_second_use_means_reconnecting(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, clock: SetClock
    ) -> None:
        """Losing the answer to a refresh leaves the tenant disconnected."""
        held: dict[str, Any] = dict(link.secrets)
        clock.turn(timedelta(hours=2))
        link.http.get("/users/me")
        with egress.client() as http, pytest.raises(NeedsReconnect):
            service.auth.renew(http, link.app, clock, held)

    def test_two_workers_refresh_once(self, simulator: CalendlySimulator, link: Link, clock: SetClock) -> None:
        since = link.vault.read().renewal
        asked = []

        def ask(held: Any) -> Any:
            asked.append(held)
            return link.http._service.auth.renew(link.http.client, link.app, clock, held)

        assert link.vault.renew(since, ask) == link.vault.renew(since, ask)
        assert len(asked) == 1

    def test_expired_in_the_middle_of_a_sync(self, simulator: CalendlySimulator, reader: Any) -> None:
        simulator.fill(30)
        page = reader.source.pull(reader.link, "scheduled-events", None)
        simulator.expire_access()
        reader.cursors["scheduled-events"] = dict(page.cursor)
        assert page.count + sum(one.count for one in reader.run()) == 30

    def test_revoked_on_leaving(self, service: Calendly, simulator: CalendlySimulator, link: Link) -> None:
        with egress.client() as http:
            service.auth.revoke(http, link.app, link.secrets)
        assert simulator.grants[0].revoked


class TestLimits:
    def test_storm_is_waited_out_by_x_ratelimit_reset(self, simulator: CalendlySimulator, link: Link) -> None:
        simulator.faults.next(429, headers={"X-RateLimit-Reset": "37"})
        with pytest.raises(TryLater) as caught:
            link.http.get("/users/me")
        assert caught.value.after == timedelta(seconds=37)

    def test_never_more_than_five_hundred_in_a_minute(self, service: Calendly, clock: SetClock) -> None:
        [limit], limiter, taken = service.limits, LocalLimiter(clock.seconds), []
        for _ in range(1200):
            while (wait := limiter.take("k", limit)) > timedelta(0):
                clock.sleep(wait.total_seconds())
            taken.append(clock.now())
        most = max(sum(at <= one < at + timedelta(minutes=1) for one in taken) for at in taken[::50])
        assert 450 <= most <= 501

    def test_every_answer_tells_the_limit(self, link: Link) -> None:
        answer = link.http.get("/users/me")
        assert answer.headers["X-RateLimit-Limit"] == "500"
        assert int(answer.headers["X-RateLimit-Remaining"]) < 500

    @pytest.mark.parametrize("count", ["0", "101", "x"])
    def test_pages_hold_from_one_to_a_hundred(self, simulator: CalendlySimulator, link: Link, count: str) -> None:
        with pytest.raises(Refused, match="Invalid Argument"):
            link.http.get("/scheduled_events", params={"organization": simulator.quartz.uri, "count": count})


def test_account_of_another_person_is_another(service: Calendly, simulator: CalendlySimulator, clock: SetClock) -> None:
    free = next(key for key, user in simulator.users.items() if user.organization.plan == "free")
    simulator.users = {free: simulator.users[free]}
    assert connect(service, simulator, clock=clock).account == simulator.free.uuid
