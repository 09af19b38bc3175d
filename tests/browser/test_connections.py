"""A service is connected, followed, asked to leave: in a real browser, against the whole product and a stand-in."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from assay_sdk.testing import running
from tests.platform.connecting import acme as plugin
from tests.platform.connecting.acme import AcmeSimulator

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PORT = 8610
STARTING_SECONDS = 90
PATIENCE_MS = 30_000
DESKTOP, PHONE = (1280, 900), (375, 812)
PEOPLE = 130

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    """Workers, two servers and a browser share a small machine."""
    expect.set_options(timeout=PATIENCE_MS)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def acme() -> Iterator[AcmeSimulator]:
    stand_in = AcmeSimulator(people=PEOPLE)
    with running(stand_in):
        yield stand_in


@pytest.fixture(scope="module")
def address(short_folder: Callable[[], Path], acme: AcmeSimulator) -> Iterator[str]:
    """The whole product, with the small plugin of the tests installed and led to its stand-in."""
    folder = short_folder()
    install_plugin(folder / "plugins")
    settings = {f"ASSAY_PLUGIN_ACME_{name.upper()}": value for name, value in acme.app_settings().items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    environ |= {"PYTHONPATH": str(folder / "plugins"), "ASSAY_EGRESS_ALLOW": "127.0.0.1", **settings}
    command = [sys.executable, "-m", "assay.cli", "run", "--no-demo", "--data-dir", str(folder / "data")]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen([*command, "--port", str(PORT)], stdout=output, stderr=output, env=environ)
    try:
        until = monotonic() + STARTING_SECONDS
        while not (found := re.search(r"Serving at (\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert monotonic() < until, log.read_text()
            sleep(0.2)
        yield found[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def install_plugin(folder: Path) -> None:
    """As an installer would leave it: a module, and the metadata by which it is found."""
    metadata = folder / "assay_acme-0.1.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(str(plugin.__file__), folder / "acme_of_the_tests.py")
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: assay-acme\nVersion: 0.1\nRequires-Dist: assay-sdk>=0.1,<0.2\n"
    )
    (metadata / "entry_points.txt").write_text("[assay]\nacme = acme_of_the_tests\n")


def test_from_the_catalogue_to_the_farewell(
    page: Page, address: str, watch: Any, acme: AcmeSimulator, shots: Callable[[Page, str], None]
) -> None:
    sign_up(page, address)
    publish_a_model(page)
    connect(page, shots)
    follow_the_first_load(page, acme, shots)
    see_scores_go_back(page, acme)
    pause_by_keyboard(page)
    switch_scores_off(page)
    look_at_the_address(page)
    send_all_again(page, acme, shots)
    disconnect(page, shots)
    # A form that was refused, and the stand-in's lack of an icon, are complaints too.
    assert [each for each in watch.complaints if not each.startswith("Failed to load resource")] == []
    assert [each for each in watch.strangers if not each.startswith(acme.address)] == []
    assert acme.grants[0].revoked


@pytest.fixture
def shots() -> Callable[[Page, str], None]:
    """Pictures of what a person sees, for those who want to look: in the folder that ASSAY_TEST_SHOTS names.

    Wherever they are kept or not, no page is wider than a phone.
    """
    folder = os.environ.get("ASSAY_TEST_SHOTS")

    def take(page: Page, name: str) -> None:
        for (width, height), label in ((PHONE, "phone"), (DESKTOP, "desktop")):
            page.set_viewport_size({"width": width, "height": height})
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} on a {label} is {overflow} pixels too wide"
            if folder:
                page.screenshot(path=str(Path(folder) / f"{name}-{label}.png"), full_page=True)

    return take


def sign_up(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-up")
    page.get_by_label("Company").fill("Quarry & Cousins")
    page.get_by_label("Your name").fill("Petra")
    page.get_by_label("E-mail").fill("petra.connects@quarry.example.test")
    page.get_by_label("Password").fill("a long enough password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Welcome, Quarry & Cousins")).to_be_visible()


def publish_a_model(page: Page) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Models").click()
    page.get_by_role("link", name="Choose a template").click()
    page.get_by_role("button", name="Use this one").first.click()
    expect(page.locator(".cm-editor")).to_be_visible()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is live. Scores follow within seconds.")).to_be_visible()


def connect(page: Page, shots: Callable[[Page, str], None]) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Connections").click()
    shots(page, "1-catalogue")
    page.get_by_role("link", name="Connect Acme").click()
    expect(page.get_by_role("heading", name="What Acme will ask you to allow")).to_be_visible()
    page.get_by_role("button", name="Go on to Acme").click()
    expect(page.get_by_text("Fill this in.")).to_be_visible()
    shots(page, "2-connect")
    page.get_by_label("Folder").fill("Sales")
    page.get_by_role("button", name="Go on to Acme").click()
    page.get_by_role("button", name=re.compile("Allow for Acme")).click()
    expect(page.get_by_text("is connected. The first load has begun")).to_be_visible(timeout=PATIENCE_MS)


def follow_the_first_load(page: Page, acme: AcmeSimulator, shots: Callable[[Page, str], None]) -> None:
    shots(page, "3-first-load")
    expect(page.get_by_text("Everything is read, and what changes comes in by itself.")).to_be_visible()
    expect(page.locator("#flow-contacts")).to_contain_text(f"{PEOPLE}")
    expect(page.locator("#flow-orders")).to_contain_text("Left out")


def see_scores_go_back(page: Page, acme: AcmeSimulator) -> None:
    sent = page.get_by_role("region", name="Scores that went back")
    expect(sent.locator("dd").first).to_have_text(f"{PEOPLE}")
    assert len(acme.scores) == PEOPLE


def pause_by_keyboard(page: Page) -> None:
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is read, and no score goes back, until you go on")).to_be_visible()
    page.get_by_role("button", name="Go on").press("Enter")
    expect(page.get_by_role("button", name="Sync now")).to_be_visible()


def switch_scores_off(page: Page) -> None:
    page.get_by_label(re.compile("Write scores to Acme")).uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("No score goes back from now on.")).to_be_visible()
    page.get_by_label(re.compile("Write scores to Acme")).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Scores go back from now on.")).to_be_visible()


def look_at_the_address(page: Page) -> None:
    page.get_by_role("button", name="Show the address").click()
    expect(page.locator("#hook-address")).to_contain_text("/hooks/acme/")
    page.get_by_role("link", name="Done").click()


def send_all_again(page: Page, acme: AcmeSimulator, shots: Callable[[Page, str], None]) -> None:
    acme.scores.clear()
    page.get_by_role("button", name="Send all again").click()
    page.get_by_role("dialog").get_by_role("button", name="Send all again").click()
    expect(page.get_by_text("Every lead's score is on its way.")).to_be_visible()
    until = monotonic() + PATIENCE_MS / 1000
    while len(acme.scores) < PEOPLE:
        assert monotonic() < until, len(acme.scores)
        sleep(0.2)
    shots(page, "4-at-work")


def disconnect(page: Page, shots: Callable[[Page, str], None]) -> None:
    page.get_by_role("link", name="Disconnect").click()
    shots(page, "5-disconnect")
    page.get_by_role("button", name=re.compile("Disconnect Acme")).click()
    expect(page.get_by_text("is disconnected, and our access to it is wiped")).to_be_visible()
    page.get_by_text("Disconnected: 1").click()
    shots(page, "6-after")
