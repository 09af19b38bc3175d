"""A newcomer's first quarter of an hour, in a real browser against the whole product."""

import re
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE_MS = 20_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]

LEADS = """\
email;name;title;company.employees;country
ada@quarry.example.test;Ada Quarry;CFO;24;CH
nobody@quarry.example.test;Nobody;Clerk
grace@lotus.example.test;Grace <b>Lotus</b>;Owner;12;VN
"""


def test_from_sign_up_to_a_score_that_adds_up(page: Page, address: str, watch: Any, tmp_path: Path) -> None:
    write_key = sign_up(page, address)
    send_events(address, write_key)
    import_leads(page, tmp_path)
    publish_a_template(page)
    find_the_lead(page)
    read_the_receipt(page)
    watch_a_score_move(page, address, write_key)
    link = find_the_mail(page, address)
    log_out(page)
    verify_from_elsewhere(page, link)
    assert watch.complaints == []
    assert watch.strangers == []


def sign_up(page: Page, address: str) -> str:
    page.goto(address)
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("Company").fill("Quarry & Sons")
    page.get_by_label("Your name").fill("Petra")
    page.get_by_label("E-mail").fill("petra@quarry.example.test")
    page.get_by_label("Password").fill("a long enough password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Welcome, Quarry & Sons")).to_be_visible()
    key = page.locator("#write-key").inner_text()
    assert key in page.locator("#first-event").inner_text()
    return key


def send_events(address: str, write_key: str) -> None:
    ada = {"userId": "u-1"}
    batch = [
        {**ada, "type": "identify", "messageId": "newcomer-1", "traits": {"email": "ada@quarry.example.test"}},
        {**ada, "type": "track", "messageId": "newcomer-2", "event": "Demo Requested"},
    ]
    answer = httpx.post(f"{address}/v1/batch", json={"batch": batch}, auth=(write_key, ""))
    assert answer.status_code == 200, answer.text


def import_leads(page: Page, folder: Path) -> None:
    file = folder / "leads.csv"
    file.write_text(LEADS)
    page.get_by_role("link", name="Imports").click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("button", name="Import now").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    refused = page.get_by_role("region", name="Refused rows")
    expect(refused.locator("tbody tr")).to_have_count(1)
    expect(refused).to_contain_text("the heading has 5")


def publish_a_template(page: Page) -> None:
    page.get_by_role("link", name="Models").click()
    page.get_by_role("link", name="Choose a template").click()
    page.get_by_role("button", name="Use this one").first.click()
    expect(page.locator(".cm-editor")).to_be_visible()
    type_over_everything(page)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", name="Ready to publish")).to_be_visible()
    see_what_it_would_change(page)
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is live. Scores follow within seconds.")).to_be_visible()


def type_over_everything(page: Page) -> None:
    """Over coloured text, which browsers like to give the old colour; then back again."""
    editor = page.locator(".cm-content")
    source = page.locator("textarea[data-yaml]")
    before = source.input_value()
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("x")
    expect(source).to_have_value("x")
    page.keyboard.press("Control+Z")
    expect(source).to_have_value(before)


def see_what_it_would_change(page: Page) -> None:
    """By keyboard alone, and back to the editor."""
    page.get_by_role("button", name="Preview", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="What this draft would change")).to_be_visible()
    # The page follows the work by itself until it is done.
    expect(page.get_by_role("region", name="Stages")).to_be_visible()
    expect(page.get_by_role("link", name="Download all")).to_be_visible()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Models").press("Enter")
    page.get_by_role("main").get_by_role("heading", level=2).get_by_role("link").first.press("Enter")
    expect(page.locator(".cm-editor")).to_be_visible()


def find_the_lead(page: Page) -> None:
    page.get_by_role("link", name="See its leads").click()
    # The page stays as it is: the list refreshes itself when the scores come.
    expect(page.get_by_role("link", name="Grace <b>Lotus</b>")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("searchbox").press_sequentially("quarry")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("text=quarry"))
    page.get_by_role("link", name="Ada Quarry").click()


def read_the_receipt(page: Page) -> None:
    expect(page.get_by_role("heading", name="Ada Quarry")).to_be_visible()
    parts = [
        decimal(text) for text in page.locator(".falls tbody tr:not(.uncounted) td:nth-child(3)").all_inner_texts()
    ]
    assert parts
    assert sum(parts) == decimal(page.locator(".falls .sum td").last.inner_text())
    assert decimal(page.locator(".falls .shown td").last.inner_text()) == decimal(
        page.locator(".verdict-number").inner_text().split()[0]
    )
    expect(page.locator(".timeline")).to_contain_text("demo.requested")
    expect(page.locator(".chart canvas")).to_be_visible()


def watch_a_score_move(page: Page, address: str, write_key: str) -> None:
    page.get_by_role("link", name="Leads").first.click()
    expect(page.locator("tr[data-moved]")).to_have_count(0)
    viewed = {"type": "track", "messageId": "newcomer-3", "userId": "u-1", "event": "page.viewed"}
    batch = [{**viewed, "properties": {"path": "/pricing"}}]
    answer = httpx.post(f"{address}/v1/batch", json={"batch": batch}, auth=(write_key, ""))
    assert answer.status_code == 200, answer.text
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Ada Quarry"))
    expect(row).to_have_attribute("data-moved", "up", timeout=PATIENCE_MS)


def log_out(page: Page) -> None:
    page.locator("header summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def find_the_mail(page: Page, address: str) -> str:
    page.goto(f"{address}/outbox")
    link = page.locator("a[href*='/verify?key=']").first.get_attribute("href")
    assert link
    page.go_back()
    return address + "/verify" + link.partition("/verify")[2]


def verify_from_elsewhere(page: Page, link: str) -> None:
    """Where nobody is logged in the link asks for that first, and is come back to."""
    page.goto(link)
    expect(page.get_by_text("you come back to verify petra@quarry.example.test")).to_be_visible()
    page.get_by_label("E-mail").fill("petra@quarry.example.test")
    page.get_by_label("Password", exact=True).fill("a long enough password")
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("button", name="Yes, it is mine").click()
    expect(page.get_by_text("petra@quarry.example.test is verified. Thank you.")).to_be_visible()


def decimal(shown: str) -> Decimal:
    return Decimal(shown.strip().replace("−", "-"))
