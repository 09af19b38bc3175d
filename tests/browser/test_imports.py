"""A messy file, from the moment it is chosen until it is taken back, in a real browser."""

import csv
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE_MS = 20_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]

MESSY = (
    "Mã khách hàng;Họ tên;Thư;Ngày cập nhật;Doanh thu;Ghi chú\r\n"
    'k1;Nguyễn Văn A;a@quarry.example.test;05/06/2026;1.234,50;"dòng một\ndòng hai"\r\n'
    "\r\n"
    "k2;Trần <b>Thị</b> B;b@quarry.example.test;06/06/2026;7,5;=1+1\r\n"
    "k3;Lê C;c@quarry.example.test;32/05/2026;8;thừa\r\n"
)


def test_a_messy_file_until_it_is_taken_back(page: Page, address: str, watch: Any, tmp_path: Path) -> None:
    sign_up(page, address)
    upload(page, tmp_path)
    fix_the_mapping(page)
    check_it(page)
    import_it(page)
    download_what_was_refused(page)
    undo_it(page)
    assert watch.complaints == []
    assert watch.strangers == []


def test_an_upload_goes_on_by_itself_after_the_connection_broke(
    page: Page, address: str, watch: Any, tmp_path: Path
) -> None:
    sign_up(page, address)
    file = tmp_path / "large.csv"
    file.write_text("email,note\n" + "".join(f"p{n}@quarry.example.test,{'x' * 90}\n" for n in range(90_000)))
    broken: list[str] = []

    def break_once(route: Route) -> None:
        if route.request.method == "PATCH" and len(broken) < 2 and route.request.headers["upload-offset"] != "0":
            broken.append(route.request.headers["upload-offset"])
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/imports/*/content", break_once)
    page.get_by_role("link", name="Imports").click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="large.csv")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("p0@quarry.example.test").first).to_be_visible()
    assert len(broken) == 2
    assert broken[0] == broken[1]
    page.get_by_role("button", name="Cancel and remove the file").click()
    expect(page.get_by_text("Nothing was imported.")).to_be_visible()
    assert [each for each in watch.complaints if "ERR_CONNECTION_RESET" not in each] == []


def sign_up(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-up")
    page.get_by_label("Company").fill("Quarry & Sons")
    page.get_by_label("Your name").fill("Petra")
    page.get_by_label("E-mail").fill(f"petra{id(page)}@quarry.example.test")
    page.get_by_label("Password").fill("a long enough password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Welcome, Quarry & Sons")).to_be_visible()


def upload(page: Page, folder: Path) -> None:
    file = folder / "khách.csv"
    file.write_bytes(MESSY.encode("utf-8-sig"))
    page.get_by_role("link", name="Imports").click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="What the columns say")).to_be_visible()


def fix_the_mapping(page: Page) -> None:
    start = page.get_by_role("button", name="Import now")
    expect(page.get_by_role("alert")).to_contain_text("day/month or as month/day")
    expect(start).to_be_disabled()
    preview = page.get_by_role("region", name="How the first rows are understood")
    page.get_by_label("Dates are written").select_option("dmy")
    expect(start).to_be_enabled()
    expect(preview.locator(".import-refused")).to_have_count(1)
    expect(preview.locator(".import-refused")).to_contain_text("32/05/2026")
    expect(page.get_by_text("look like numbers with a decimal comma")).to_be_visible()
    page.get_by_label("Numbers are written").select_option("comma")
    expect(page.get_by_text("look like numbers with a decimal comma")).to_be_hidden()
    name = page.get_by_label("Name for Doanh thu")
    name.fill("revenue")
    name.press("Tab")
    expect(preview).to_contain_text("revenue")
    expect(preview).to_contain_text("1234.5")
    page.get_by_label("What Mã khách hàng is").select_option("vendor_id")
    expect(page.get_by_role("alert")).to_contain_text("Say whose id")
    page.get_by_label("Whose id Mã khách hàng is").fill("bitrix24")
    page.get_by_label("Whose id Mã khách hàng is").press("Tab")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("What Ghi chú is").select_option("ignore")
    expect(preview).not_to_contain_text("dòng một")
    expect(preview).to_contain_text("Trần <b>Thị</b> B")


def check_it(page: Page) -> None:
    page.get_by_role("button", name="Check the whole file first").click()
    expect(page.get_by_role("heading", name="What the check found")).to_be_visible(timeout=PATIENCE_MS)
    found = page.get_by_role("region", name="Progress")
    expect(found).to_contain_text(re.compile(r"New leads\s*2"))
    expect(found).to_contain_text(re.compile(r"Would be refused\s*1"))


def import_it(page: Page) -> None:
    page.get_by_role("button", name="Import now").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    refused = page.get_by_role("region", name="Refused rows")
    expect(refused.locator("tbody tr")).to_have_count(1)


def download_what_was_refused(page: Page) -> None:
    with page.expect_download() as started:
        page.get_by_role("link", name="Download them").click()
    assert started.value.suggested_filename == "khách-refused.csv"
    text = Path(started.value.path()).read_text("utf-8-sig")
    heading, row = csv.reader(io.StringIO(text), delimiter=";")
    assert heading[:3] == ["assay:row", "assay:column", "assay:reason"]
    assert (row[0], row[1], row[3]) == ("5", "Ngày cập nhật", "k3")


def undo_it(page: Page) -> None:
    address = page.url
    page.get_by_role("link", name="See the leads").click()
    expect(page.get_by_role("link", name="Nguyễn Văn A")).to_be_visible()
    page.goto(address)
    page.get_by_role("button", name="Undo this import").click()
    page.get_by_role("dialog").get_by_role("button", name="Undo this import").click()
    expect(page.get_by_text("as if it had never been imported")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("link", name="Leads").first.click()
    expect(page.get_by_role("link", name="Nguyễn Văn A")).to_have_count(0)
