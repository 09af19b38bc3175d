"""A real browser against the whole product, started as a user starts it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
STARTING = timedelta(seconds=90)
PATIENCE_MS = 20_000


@dataclass
class Watch:
    """Whatever a browser complains about, and whatever it asks of another host."""

    host: str
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        # What a policy forbids is reported here too.
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).netloc != self.host and not request.url.startswith("data:"):
            self.strangers.append(request.url)


@pytest.fixture(scope="session")
def address(short_folder: Callable[[], Path]) -> Iterator[str]:
    """The whole product, started as a user starts it."""
    folder = short_folder()
    log = folder / "log"
    command = [
        sys.executable,
        "-m",
        "assay.cli",
        "run",
        "--no-demo",
        "--data-dir",
        str(folder / "data"),
        "--port",
        "8600",
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)
    try:
        yield _announced(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _announced(process: subprocess.Popen[bytes], log: Path) -> str:
    until = monotonic() + STARTING.total_seconds()
    while monotonic() < until and process.poll() is None:
        if found := re.search(r"Serving at (\S+)", log.read_text()):
            return found[1]
        sleep(0.2)
    raise AssertionError(f"The product did not start:\n{log.read_text()}")


@pytest.fixture
def watch(address: str) -> Watch:
    return Watch(urlsplit(address).netloc)


@pytest.fixture
def page(watch: Watch) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        watch.over(page)
        yield page
        browser.close()
