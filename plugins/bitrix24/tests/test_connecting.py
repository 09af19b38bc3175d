"""Connecting a portal, and keeping the connection."""

import logging
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from marshmallow import ValidationError

from assay_bitrix24 import portal
from assay_bitrix24.calls import call
from assay_bitrix24.portal import PortalSettings
from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_sdk import Link, NeedsReconnect, Refused, egress
from assay_sdk.testing import SetClock
from assay_sdk.testing.local import REDIRECT_URI, dance

PUBLIC = {"client_id": "app", "client_secret": "s3cret-s3cret", "login": "https://oauth.bitrix.info"}
STAND_IN = {**PUBLIC, "portal_scheme": "http"}


class TestPortalAddress:
    @pytest.mark.parametrize(
        ("typed", "host"),
        [
            pytest.param("demo.bitrix24.com", "demo.bitrix24.com", id="a name"),
            pytest.param(" Demo.Bitrix24.DE ", "demo.bitrix24.de", id="capitals and spaces"),
            pytest.param("https://demo.bitrix24.com/", "demo.bitrix24.com", id="pasted from the browser"),
            pytest.param("bücher.example", "xn--bcher-kva.example", id="letters of its own"),
        ],
    )
    def test_accepted(self, typed: str, host: str) -> None:
        assert PortalSettings().load({"portal": typed})
        assert portal.host(typed, PUBLIC) == host

    @pytest.mark.parametrize(
        "typed",
        [
            pytest.param("", id="nothing"),
            pytest.param("localhost", id="this machine"),
            pytest.param("crm.internal", id="the cloud's own names"),
            pytest.param("10.0.0.7", id="a private number"),
            pytest.param("8.8.8.8", id="a public number"),
            pytest.param("[::1]", id="an IPv6 number"),
            pytest.param("2130706433", id="a number in disguise"),
            pytest.param("demo.bitrix24.com/rest", id="a path"),
            pytest.param("demo.bitrix24.com?x=1", id="a query"),
            pytest.param("ada@demo.bitrix24.com", id="userinfo"),
            pytest.param("http://demo.bitrix24.com", id="plain http"),
            pytest.param("demo.bitrix24.com\r\nX: y", id="a header"),
        ],
    )
    def test_refused(self, typed: str) -> None:
        with pytest.raises(ValidationError):
            PortalSettings().load({"portal": typed})
        with pytest.raises(Refused):
            portal.host(typed, PUBLIC)

    def test_a_port_is_taken_only_where_the_installation_allows_stand_ins(self) -> None:
        assert PortalSettings().load({"portal": "127.0.0.1:8080"})
        assert portal.host("127.0.0.1:8080", STAND_IN) == "127.0.0.1:8080"
        with pytest.raises(Refused):
            portal.host("127.0.0.1:8080", PUBLIC)

    @pytest.mark.parametrize("address", ["http://demo.bitrix24.com/rest/", "https://10.0.0.7/rest/", None, "https://["])
    def test_an_endpoint_that_may_not_be_called(self, address: object) -> None:
        with pytest.raises(Refused):
            portal.endpoint(address, PUBLIC)


class TestAuthorising:
    def test_sends_neither_redirect_uri_nor_scope(self, service: Bitrix24) -> None:
        url = service.auth.authorize_url(
            PUBLIC, redirect_uri=REDIRECT_URI, state="s", verifier="v", settings={"portal": "demo.bitrix24.com"}
        )
        assert url.startswith("https://demo.bitrix24.com/oauth/authorize/?")
        assert parse_qs(urlsplit(url).query) == {"client_id": ["app"], "state": ["s"]}

    def test_domain_in_the_token_answer_is_the_login_and_not_the_portal(self, link: Link) -> None:
        assert "bitrix.info" not in str(link.secrets)
        assert link.secrets["client_endpoint"].endswith("/portal-1/rest/")
        assert link.account == link.secrets["member_id"] == "a223c6b3710f85df22e9377d6c4f7553"

    def test_a_code_is_good_for_30_seconds(
        self, service: Bitrix24, simulator: Bitrix24Simulator, clock: SetClock
    ) -> None:
        original = simulator.issue_code

        def slow(*given, **named):
            found = original(*given, **named)
            clock.turn(timedelta(seconds=31))
            return found

        simulator.issue_code = slow
        with pytest.raises(NeedsReconnect):
            dance(service.auth, simulator.app_settings(), clock, settings=simulator.form())

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            pytest.param({"client_secret": "wrong"}, "installed there first", id="invalid_client"),
            pytest.param({"paid": False}, "subscription", id="PAYMENT_REQUIRED"),
        ],
    )
    def test_refusals_in_words(
        self, service: Bitrix24, simulator: Bitrix24Simulator, clock: SetClock, change: dict, said: str
    ) -> None:
        simulator.paid = change.pop("paid", True)
        app = {**simulator.app_settings(), **change}
        with pytest.raises(Refused, match=said):
            dance(service.auth, app, clock, settings=simulator.form())

    def test_tokens_of_another_portal_are_refused(self, service: Bitrix24, clock: SetClock) -> None:
        body = {"access_token": "t", "client_endpoint": "https://demo.bitrix24.com/rest/", "member_id": "b"}
        http = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=body)))
        with pytest.raises(Refused, match="another portal"):
            service.auth.exchange(
                http,
                PUBLIC,
                clock,
                answer={"code": "c", "member_id": "a"},
                redirect_uri="",
                verifier="",
                settings={},
            )

    def test_secrets_in_the_query_are_never_logged(
        self, service: Bitrix24, simulator: Bitrix24Simulator, clock: SetClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="httpx")
        tokens = dance(service.auth, simulator.app_settings(), clock, settings=simulator.form())
        assert "oauth/token" in caplog.text
        assert simulator.client_secret not in caplog.text
        assert tokens.refresh_token
        with egress.client() as http:
            service.auth.renew(http, simulator.app_settings(), clock, {"refresh_token": tokens.refresh_token})
        assert tokens.refresh_token not in caplog.text

    def test_the_secret_goes_to_the_login_alone(self, link: Link, simulator: Bitrix24Simulator) -> None:
        call(link, "app.info")
        told = [line for line in simulator.calls if simulator.client_secret in line]
        assert told
        assert all(line.startswith("GET /oauth/token/") for line in told)


class TestRenewing:
    def test_only_on_expired_token_and_never_on_a_timer(
        self, link: Link, simulator: Bitrix24Simulator, clock: SetClock
    ) -> None:
        def renewals() -> int:
            return sum("grant_type=refresh_token" in line for line in simulator.calls)

        clock.turn(timedelta(minutes=59, seconds=50))
        call(link, "app.info")
        assert renewals() == 0
        clock.turn(timedelta(minutes=1))
        call(link, "app.info")
        assert renewals() == 1

    def test_parallel_refreshes_invalidate_each_other_so_one_is_made(
        self, link: Link, simulator: Bitrix24Simulator, clock: SetClock
    ) -> None:
        held = link.vault.read()
        simulator.expire_access()
        call(link, "app.info")
        # Another worker that also saw the old token asks: it is given what the first one got.
        link.http._renewed(held)
        call(link, "app.info")
        assert sum("grant_type=refresh_token" in line for line in simulator.calls) == 1

    def test_idle_connections_are_kept_alive_by_the_hourly_subscription(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, clock: SetClock
    ) -> None:
        before = link.secrets["refresh_token"]
        service.source.subscribe(link, "https://assay.example.test/hooks/bitrix24/c1")
        clock.turn(timedelta(hours=1, seconds=1))
        service.source.subscribe(link, "https://assay.example.test/hooks/bitrix24/c1")
        assert link.secrets["refresh_token"] != before

    def test_a_spent_refresh_token_asks_for_a_person(self, link: Link, simulator: Bitrix24Simulator) -> None:
        for grant in simulator.grants:
            grant.refresh_token = "another"
        simulator.expire_access()
        with pytest.raises(NeedsReconnect):
            call(link, "app.info")


class TestMovedDomain:
    def test_302_is_not_followed_but_repeated_as_post_at_the_new_host(
        self, link: Link, simulator: Bitrix24Simulator
    ) -> None:
        port = urlsplit(simulator.address).port
        simulator.portal.host = f"localhost:{port}"
        assert call(link, "crm.item.list", {"entityTypeId": 1})["result"] == {"items": []}
        assert link.secrets["client_endpoint"] == f"http://localhost:{port}/portal-1/rest/"
        before = len(simulator.calls)
        call(link, "app.info")
        assert len(simulator.calls) == before + 1

    @pytest.mark.parametrize(
        "location",
        [
            pytest.param("https://www.bitrix24.com/portal-not-found/", id="a page"),
            pytest.param("http://new.bitrix24.com/rest/app.info", id="plain http"),
            pytest.param("https://10.0.0.7/rest/app.info", id="within"),
            pytest.param("https://new.bitrix24.com:8443/rest/app.info", id="a port"),
            pytest.param("", id="nowhere"),
        ],
    )
    def test_any_other_redirect_is_refused(self, location: str) -> None:
        with pytest.raises(Refused):
            portal.moved("https://demo.bitrix24.com/rest/", "app.info", location, PUBLIC)
