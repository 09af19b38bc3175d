"""No page asks the browser for what its own policy forbids."""

import re
import shutil
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]

LISTEN = """
window.broken = [];
document.addEventListener('securitypolicyviolation', e => window.broken.push(e.violatedDirective + ' ' + e.blockedURI));
"""
FIRST = (
    "/leads",
    "/models",
    "/companies",
    "/imports",
    "/settings",
    "/account",
    "/new-model",
    "/api/v1/docs",
    "/nowhere",
)
MOST_PAGES = 45


def test_no_page_breaks_its_own_policy(page: Page, address: str, watch: Any) -> None:
    page.add_init_script(LISTEN)
    page.goto(f"{address}/sign-up")
    page.get_by_label("Company").fill("Quarry & Daughters")
    page.get_by_label("Your name").fill("Petra")
    page.get_by_label("E-mail").fill("policy@quarry.example.test")
    page.get_by_label("Password").fill("a long enough password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name=re.compile("Welcome"))).to_be_visible()
    seen: set[str] = set()
    waiting = list(FIRST)
    while waiting and len(seen) < MOST_PAGES:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = page.goto(address + path, wait_until="load")
        assert answer is not None
        assert answer.status < 500, path
        assert page.evaluate("window.broken") == [], path
        links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
        inside = [link for link in links if link.startswith(address) and "download" not in link]
        waiting += sorted({urlsplit(link).path for link in inside if not re.search(r"export|\.(csv|json|yaml)$", link)})
    assert len(seen) >= len(FIRST)
    assert [said for said in watch.complaints if "policy" in said.lower()] == []
    assert watch.strangers == []
