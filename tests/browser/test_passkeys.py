"""Second factors in a real browser: a passkey beside the password and alone, and an authenticator app."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pyotp
import pytest
from playwright.sync_api import CDPSession, Page, expect, sync_playwright
from sqlalchemy import select

from assay_tenants.access.service import SignedUp
from assay_tenants.database import directory_session
from assay_tenants.models import Person

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PASSWORD = "a long enough password"
PATIENCE_MS = 20_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def here(serve: Callable[..., AbstractContextManager[int]]) -> Iterator[str]:
    with serve() as port:
        yield f"http://localhost:{port}"


@pytest.fixture
def visit(here: str, complaints: list[str]) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(base_url=here)
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
        yield page
        browser.close()


@pytest.fixture
def device(visit: Page) -> CDPSession:
    """The browser's own virtual authenticator, whose owner always agrees."""
    session = visit.context.new_cdp_session(visit)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


@pytest.fixture
def email(tenant: SignedUp) -> str:
    with directory_session() as session:
        return session.scalars(select(Person.email).where(Person.id == tenant.person_id)).one()


def test_passkeys_and_an_app(visit: Page, device: Any, email: str, complaints: list[str]) -> None:
    give_password(visit, email)
    expect(visit.get_by_role("heading", name="Leads", exact=True)).to_be_visible()

    add_a_passkey(visit)
    log_out(visit)
    give_password(visit, email)
    expect(visit.get_by_role("heading", name="Second step")).to_be_visible()
    visit.get_by_role("button", name="Use a passkey").click()
    expect(visit.get_by_role("heading", name="Leads", exact=True)).to_be_visible()

    log_out(visit)
    visit.get_by_role("button", name="Log in with a passkey").click()
    expect(visit.get_by_role("heading", name="Leads", exact=True)).to_be_visible()

    app = add_an_app(visit)
    log_out(visit)
    give_password(visit, email)
    # The code that confirmed it is used up; the next one is taken half a minute early.
    visit.get_by_label("Code of your authenticator app").fill(app.at(time.time(), counter_offset=1))
    visit.get_by_role("button", name="Log in", exact=True).click()
    expect(visit.get_by_role("heading", name="Leads", exact=True)).to_be_visible()

    remove_the_passkey(visit)
    log_out(visit)
    visit.get_by_role("button", name="Log in with a passkey").click()
    expect(visit.get_by_text("This passkey is not registered here")).to_be_visible()
    assert complaints == []


def give_password(page: Page, email: str) -> None:
    page.goto("/log-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def log_out(page: Page) -> None:
    page.locator("header summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def add_a_passkey(page: Page) -> None:
    page.goto("/account/second-factors")
    page.get_by_label("Name of a new passkey").fill("This browser")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="The passkey is added.")).to_be_visible()
    assert len(page.locator("#recovery-codes").inner_text().split()) == 10
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("region", name="Passkeys").get_by_role("row")).to_have_count(2)
    # The device knows that it has one already.
    page.get_by_label("Name of a new passkey").fill("Again")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("This device has a passkey of yours already.")).to_be_visible()


def add_an_app(page: Page) -> pyotp.TOTP:
    page.goto("/account/second-factors")
    page.get_by_role("button", name="Add an authenticator app").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    app = pyotp.TOTP(page.locator("#app-secret").inner_text().replace(" ", ""))
    page.get_by_label("Code that the app shows").fill(app.now())
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("The authenticator app is added.")).to_be_visible()
    return app


def remove_the_passkey(page: Page) -> None:
    page.goto("/account/second-factors")
    page.get_by_role("button", name="Remove This browser").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The passkey is removed.")).to_be_visible()
