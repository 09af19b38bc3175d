"""The login, its ends, and what HubSpot's answers mean."""

from datetime import timedelta
from importlib import import_module
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from marshmallow import ValidationError

from assay_hubspot import paths
from assay_hubspot.auth import OPTIONAL_SCOPES, SCOPES
from assay_hubspot.service import HubSpot, HubSpotSettings
from assay_hubspot.simulator import HubSpotSimulator
from assay_sdk import NeedsReconnect, Refused, TokenExpired, TryLater, egress
from assay_sdk.testing import local_link
from assay_sdk.testing.local import dance

SERVICE = HubSpot()


def test_paths_are_of_2026_03():
    dated = {name: path for name, path in vars(paths).items() if name.isupper() and path.startswith("/")}
    undated = {"FORMS", "SUBMISSIONS", "EMAIL_EVENTS", "THREADS"}
    assert {name for name, path in dated.items() if "2026-03" not in path} == undated
    assert not [path for path in dated.values() if path.startswith(("/crm/v3", "/oauth/v1", "/crm/v4"))]


def test_the_stand_in_is_found_by_its_name():
    module, _, name = SERVICE.simulator.partition(":")
    assert getattr(import_module(module), name) is HubSpotSimulator


class TestConnecting:
    def test_the_portal_is_the_account(self, link, service):
        account = service.account(link)
        assert account.id == link.account == "62515"
        assert "62515" in account.title

    def test_scopes_are_asked_for_and_others_if_they_can_be_had(self, service):
        app = {"client_id": "a", "authorize": paths.AUTHORIZE, "api": paths.API}
        url = service.auth.authorize_url(
            app, redirect_uri="https://a.test/b", state="s", verifier="v" * 43, settings={}
        )
        asked = parse_qs(urlsplit(url).query)
        assert url.startswith("https://app.hubspot.com/oauth/authorize?")
        assert asked["scope"] == [" ".join(SCOPES)]
        assert asked["optional_scope"] == [" ".join(OPTIONAL_SCOPES)]

    def test_a_portal_without_marketing_connects_all_the_same(self, service, simulator, clock):
        simulator.accounts = lambda: {"62516": "Small"}
        tokens = dance(service.auth, simulator.app_settings(), clock, settings={})
        assert tokens.extra["hub_id"] == "62516"
        assert set(tokens.scopes) == {*SCOPES, "conversations.read"}

    def test_credentials_are_never_in_an_address(self, link, simulator, pulled):
        pulled(link, "contacts")
        assert not [call for call in simulator.calls if "secret" in call or "/token?" in call]

    def test_tokens_are_renewed_before_their_end(self, link, simulator, clock, service):
        clock.turn(timedelta(minutes=28, seconds=1))
        service.source.pull(link, "contacts", None)
        assert len([call for call in simulator.calls if call == f"POST {paths.OAUTH}/token"]) == 2

    def test_a_token_that_ended_early_is_renewed_once(self, link, simulator, service):
        simulator.grants[0].access_token = "another"
        service.source.pull(link, "contacts", None)
        assert len([call for call in simulator.calls if call == f"POST {paths.OAUTH}/token"]) == 2

    def test_an_uninstalled_app_needs_a_person(self, link, simulator, service):
        simulator.grants[0].revoked = True
        with pytest.raises(NeedsReconnect):
            service.source.pull(link, "contacts", None)

    @pytest.mark.parametrize("error", ["invalid_grant", "BAD_REFRESH_TOKEN"])
    def test_bad_refresh_token_means_the_app_is_gone(self, service, error):
        body = {"error": error, "status": "BAD_REFRESH_TOKEN", "message": "…"}
        client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(400, json=body)))
        with pytest.raises(NeedsReconnect):
            service.auth.ask(client, {"client_id": "a", "client_secret": "b"}, "https://a.test", {})

    @pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=2)], ids=["with a good token", "with an old token"])
    def test_disconnecting_uninstalls_the_app(self, link, simulator, service, clock, age):
        clock.turn(age)
        with egress.client() as http:
            service.auth.revoke(http, link.app, link.secrets)
        assert simulator.grants[0].revoked
        assert f"POST {paths.OAUTH}/token/revoke" in simulator.calls

    def test_tokens_that_went_with_the_app_are_no_failure(self, service):
        def answer(request):
            gone = httpx.Response(400, json={"error": "invalid_grant", "status": "BAD_REFRESH_TOKEN"})
            return httpx.Response(204) if request.method == "DELETE" else gone

        app = {"api": "https://a.test", "client_id": "a", "client_secret": "b"}
        with httpx.Client(transport=httpx.MockTransport(answer)) as http:
            service.auth.revoke(http, app, {"access_token": "a", "refresh_token": "r"})

    def test_without_a_portal_in_the_answer_nobody_is_connected(self, service):
        with pytest.raises(Refused, match="portal"):
            service.account(local_link(service, {}))


class TestJudge:
    @pytest.mark.parametrize(
        ("answer", "expected", "after"),
        [
            pytest.param(httpx.Response(200), None, None, id="good"),
            pytest.param(httpx.Response(207), None, None, id="partly good"),
            pytest.param(httpx.Response(401), TokenExpired, None, id="old token"),
            pytest.param(httpx.Response(403, json={"category": "MISSING_SCOPES"}), NeedsReconnect, None, id="no scope"),
            pytest.param(httpx.Response(403, json={"category": "BANNED"}), Refused, None, id="another 403"),
            pytest.param(
                httpx.Response(429, json={"policyName": "TEN_SECONDLY_ROLLING"}), TryLater, 10, id="ten secondly"
            ),
            pytest.param(httpx.Response(429, json={"policyName": "SECONDLY"}), TryLater, 1, id="secondly"),
            pytest.param(httpx.Response(429, json={"policyName": "DAILY"}), TryLater, 3600, id="daily"),
            pytest.param(httpx.Response(429, text="slow down"), TryLater, 10, id="429 without a body"),
            pytest.param(httpx.Response(429, headers={"Retry-After": "7"}), TryLater, 7, id="429 with a wait"),
            pytest.param(httpx.Response(423), TryLater, 2, id="locked"),
            pytest.param(httpx.Response(477, headers={"Retry-After": "30"}), TryLater, 30, id="moving"),
            pytest.param(httpx.Response(477), TryLater, 10, id="moving, nobody knows how long"),
            *(
                pytest.param(httpx.Response(code), TryLater, None, id=str(code))
                for code in (502, 503, 504, 521, 523, 524)
            ),
            pytest.param(httpx.Response(400, json=["odd"]), Refused, None, id="a body of another shape"),
            pytest.param(httpx.Response(404, json={"category": "OBJECT_NOT_FOUND"}), Refused, None, id="not there"),
        ],
    )
    def test_what_an_answer_means(self, answer, expected, after):
        verdict = SERVICE.judge(answer)
        assert verdict is None if expected is None else type(verdict) is expected
        if after is not None:
            assert verdict.after == timedelta(seconds=after)

    def test_the_vendors_word_is_kept(self):
        assert SERVICE.judge(httpx.Response(404, json={"category": "OBJECT_NOT_FOUND"})).code == "OBJECT_NOT_FOUND"


class TestSettings:
    def test_nothing_has_to_be_filled_in(self):
        assert HubSpotSettings().load({}) == {"properties": ""}

    def test_a_search_has_room_for_so_many_properties(self):
        with pytest.raises(ValidationError):
            HubSpotSettings().load({"properties": ",".join(f"p{number}" for number in range(41))})

    @pytest.mark.parametrize(("names", "fits"), [(20, True), (35, False)])
    def test_names_that_no_search_has_room_for_are_refused(self, names, fits, connected, simulator, service):
        stated = ",".join(f"p{number:099}" for number in range(names))
        if not fits:
            with pytest.raises(ValidationError, match="too long"):
                HubSpotSettings().load({"properties": stated})
            return
        link = connected(properties=HubSpotSettings().load({"properties": stated})["properties"])
        cursor = {"phase": "follow", "since": 1790000000000, "newest": 1790000000000, "seen": [], "swept": 2**53}
        assert service.source.pull(link, "contacts", {**cursor, "id": "12345678901234"}).bodies == []


class TestSubscribe:
    def test_an_answer_that_is_no_json_is_asked_for_again(self, link, service):
        link.app = {**link.app, "app_id": "1160452", "developer_key": "k"}
        link.http.client._transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
        with pytest.raises(TryLater):
            service.source.subscribe(link, "https://assay.example.test/hooks/hubspot")

    def test_webhooks_belong_to_the_app(self, link, simulator, service):
        calls = len(simulator.calls)
        service.source.subscribe(link, "https://assay.example.test/hooks/hubspot")
        assert len(simulator.calls) == calls

    def test_with_the_developers_key_they_are_kept_in_order(self, link, simulator, service):
        link.app = {**link.app, "app_id": "1160452", "developer_key": simulator.developer_key}
        simulator.subscriptions.clear()
        url = "https://assay.example.test/hooks/hubspot"
        service.source.subscribe(link, url)
        wanted = {(found["eventType"], found.get("propertyName")) for found in simulator.subscriptions.values()}
        assert simulator.hook_url == url
        assert ("contact.propertyChange", "lifecyclestage") in wanted
        assert not [name for _, name in wanted if name and name.startswith(("assay_", "hs_lastmodified"))]
        calls = len(simulator.calls)
        service.source.subscribe(link, url)
        assert [call.partition(" ")[0] for call in list(simulator.calls)[calls:]] == ["GET", "GET"]
        simulator.subscriptions[1]["active"] = False
        service.source.subscribe(link, url)
        assert simulator.subscriptions[1]["active"]

    def test_a_wrong_key_is_said_so(self, link, simulator, service):
        link.app = {**link.app, "app_id": "1160452", "developer_key": "wrong"}
        with pytest.raises(Refused, match="developer_key"):
            service.source.subscribe(link, "https://assay.example.test/hooks/hubspot")
