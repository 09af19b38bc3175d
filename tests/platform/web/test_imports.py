import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from assay.intake import imports
from assay.intake.imports.models import Import
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

LEADS = b"email;name\nada@quarry.example.test;Ada Quarry\nbo@quarry.example.test;Bo;too much\n"
EVENTS = b"email;type;occurred_at\nada@quarry.example.test;page.viewed;<b>yesterday</b>\n"


def upload(person: Any, body: bytes = LEADS, *, filename: str = "leads.csv", **fields: str) -> Any:
    sent = {"kind": "leads", **fields, "file": (io.BytesIO(body), filename)}
    return person.sends("/imports", on="/imports", **sent)


def token(person: Any, on: str = "/imports") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', person.opens(on).text)
    assert found
    return found[1]


def swaps(person: Any, address: str, sent: dict[str, str]) -> str:
    """The part of the page that a change of the columns brings."""
    headers = {"HX-Request": "true"}
    data = {"csrf_token": token(person), **sent}
    text: str = person.client.post(f"{address}/mapping", data=data, headers=headers).text
    return text


@pytest.fixture
def read(person: Any, work_off: Callable[[int], int]) -> Callable[..., str]:
    """Sends a file and has it read to its end; gives its address."""

    def read(body: bytes = LEADS, **fields: str) -> str:
        address: str = upload(person, body, **fields).location
        answer = person.sends(f"{address}/start", on=address)
        assert answer.status_code == 303, answer.text
        work_off(person.tenant_id)
        return address

    return read


@pytest.fixture
def finished(read: Callable[..., str]) -> str:
    """The address of an import that has been read."""
    return read()


class TestStart:
    def test_goes_to_the_columns_of_the_new_import(self, person: Any) -> None:
        answer = upload(person, filename="<i>leads</i>.csv")
        assert answer.status_code == 303
        page = person.opens(answer.location).text
        assert "&lt;i&gt;leads" in page or "i&gt;.csv" in page
        assert "<i>" not in page
        assert "What the columns say" in page
        assert "every 1s" not in page

    @pytest.mark.parametrize(
        ("fields", "field", "sentence"),
        [
            pytest.param({"filename": ""}, "file", "Choose a file", id="no file"),
            pytest.param({"kind": ""}, "kind", "leads or events", id="no kind"),
            pytest.param({"kind": "cats"}, "kind", "not of &#39;cats&#39;", id="another kind"),
            pytest.param({"name": "x" * 300}, "name", "at most 200", id="a long name"),
        ],
    )
    def test_says_what_is_wrong(self, person: Any, fields: dict[str, str], field: str, sentence: str) -> None:
        answer = upload(person, **fields)
        assert answer.status_code == 422
        assert f'id="{field}-wrong"' in answer.text
        assert sentence in answer.text
        assert imports.list_imports(person.tenant_id) == []

    def test_the_name_reaches_the_import(self, person: Any) -> None:
        upload(person, name="Fair 2026")
        with tenant_session(person.tenant_id) as session:
            options = session.scalars(select(Import.options).where(Import.tenant_id == person.tenant_id)).one()
        assert options["name"] == "Fair 2026"

    def test_an_option_that_was_wrong_is_not_hidden(self, person: Any) -> None:
        answer = upload(person, name="x" * 300)
        assert answer.status_code == 422
        assert '<details class="help" open>' in answer.text

    def test_a_file_that_is_no_text_stops_with_a_reason(self, person: Any) -> None:
        page = person.opens(upload(person, b"PK\x03\x04...").location).text
        assert "Stopped" in page
        assert "Save the sheet as CSV" in page


class TestUpload:
    def announce(self, person: Any, **fields: str) -> Any:
        return person.sends(
            "/imports/uploads", on="/imports", kind="leads", filename="a.csv", size=str(len(LEADS)), **fields
        )

    def test_a_file_comes_in_parts(self, person: Any) -> None:
        told = self.announce(person).json
        browser = person.client
        headers = {"Content-Type": "application/offset+octet-stream", "X-CSRFToken": token(person)}
        for offset in (0, 20):
            part = LEADS[offset:] if offset else LEADS[:20]
            answer = browser.patch(told["upload"], data=part, headers={**headers, "Upload-Offset": str(offset)})
            assert answer.status_code == 200, answer.text
        assert answer.json == {"offset": len(LEADS), "size": len(LEADS), "is_over": True}
        again = browser.patch(told["upload"], data=b"x", headers={**headers, "Upload-Offset": "3"})
        assert (again.status_code, again.headers["Upload-Offset"]) == (409, str(len(LEADS)))
        asked = browser.head(told["upload"])
        assert (asked.headers["Upload-Offset"], asked.headers["Upload-Length"]) == (str(len(LEADS)),) * 2
        assert "What the columns say" in person.opens(told["page"]).text

    def test_shows_how_far_an_upload_came(self, person: Any) -> None:
        page = person.opens(self.announce(person).json["page"]).text
        assert "Receiving" in page
        assert "choose the same file again" in page

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            pytest.param({"size": "0"}, "size", id="empty"),
            pytest.param({"size": "x"}, "file", id="no number"),
            pytest.param({"kind": ""}, "kind", id="no kind"),
        ],
    )
    def test_says_what_is_wrong(self, person: Any, fields: dict[str, str], field: str) -> None:
        sent = {"kind": "leads", "filename": "a.csv", "size": "5", **fields}
        answer = person.sends("/imports/uploads", on="/imports", **sent)
        assert (answer.status_code, answer.json["field"]) == (422, field)
        assert answer.json["message"]

    @pytest.mark.parametrize("offset", [None, "", "-1", "x", "9" * 30])
    def test_a_part_says_where_it_begins(self, person: Any, offset: str | None) -> None:
        told = self.announce(person).json
        headers = {"X-CSRFToken": token(person), **({"Upload-Offset": offset} if offset is not None else {})}
        assert person.client.patch(told["upload"], data=b"x", headers=headers).status_code == 422

    def test_a_part_from_another_site_is_refused(self, person: Any) -> None:
        told = self.announce(person).json
        answer = person.client.patch(told["upload"], data=LEADS, headers={"Upload-Offset": "0"})
        assert answer.status_code == 400


def fields_of(page: str) -> dict[str, str]:
    """What the form of columns would send."""
    form = page[page.index('<form id="mapping"') :]
    form = form[: form.index("</form>")]
    sent = dict(re.findall(r'<input [^>]*name="([^"]+)"[^>]*value="([^"]*)"', form))
    for name, inside in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected>', inside)
        sent[name] = chosen[1] if chosen else ""
    return {name: value.replace("&#39;", "'") for name, value in sent.items() if name != "csrf_token"}


class TestMapping:
    def test_shows_the_first_rows_as_they_are_understood(self, person: Any) -> None:
        page = person.opens(upload(person).location).text
        preview = page[page.index("How the first rows") :]
        assert "ada@quarry.example.test" in preview
        assert re.search(r"<dt>name</dt><dd>Ada Quarry</dd>", preview)
        assert "the heading has 2" in preview

    def test_a_change_is_kept_and_shown_at_once(self, person: Any) -> None:
        address = upload(person).location
        sent = {**fields_of(person.opens(address).text), "as-1": "trait", "name-1": "full_name"}
        part = swaps(person, address, sent)
        assert "<html" not in part
        assert "<dt>full_name</dt><dd>Ada Quarry</dd>" in part
        assert "<dt>full_name</dt>" in person.opens(address).text

    def test_what_can_not_be_is_said_beside_its_field(self, person: Any) -> None:
        address = upload(person, b"email;updated_at\na@b.test;2026-01-01\n").location
        sent = {**fields_of(person.opens(address).text), "time_zone": "Mars"}
        part = swaps(person, address, sent)
        assert 'id="time_zone-wrong"' in part
        assert 'value="Mars"' in part

    def test_problems_keep_it_from_being_imported(self, person: Any) -> None:
        address = upload(person).location
        sent = {**fields_of(person.opens(address).text), "as-1": "email"}
        part = swaps(person, address, sent)
        assert "only one can be" in part
        assert re.search(r"<button[^>]*disabled>Import now", part)
        answer = person.sends(f"{address}/start", on=address, **sent)
        assert answer.status_code == 422
        assert "only one can be" in answer.text

    def test_a_vendors_id_asks_whose_it_is(self, person: Any) -> None:
        address = upload(person).location
        sent = {**fields_of(person.opens(address).text), "as-1": "vendor_id"}
        part = swaps(person, address, sent)
        assert "Say whose id" in part
        part = swaps(person, address, {**fields_of(part), "name-1": "HubSpot"})
        assert 'value="hubspot"' in part
        assert "Say whose id" not in part

    def test_other_cells_have_columns_guessed_anew(self, person: Any) -> None:
        address = upload(person, b"email|a\nada@quarry.example.test|1\n").location
        sent = {**fields_of(person.opens(address).text), "delimiter": ";"}
        part = swaps(person, address, sent)
        assert "email|a" in part

    def test_another_time_column_has_its_dates_found_out(self, person: Any) -> None:
        address = upload(person, b"email;x;y\na@b.test;31/05/2026;5\n").location
        sent = {**fields_of(person.opens(address).text), "as-1": "time", "dates": "iso"}
        part = swaps(person, address, sent)
        assert '<option value="dmy" selected>' in part

    def test_a_check_counts_without_keeping(self, person: Any, work_off: Callable[[int], int]) -> None:
        address = upload(person).location
        answer = person.sends(f"{address}/check", on=address, **fields_of(person.opens(address).text))
        assert answer.status_code == 303
        assert "every 1s" in person.opens(address).text
        work_off(person.tenant_id)
        page = person.opens(address).text
        assert "What the check found" in page
        assert re.search(r"<dt>New leads</dt><dd>1</dd>", page)
        assert "These would be refused" in page
        assert "Import now" in page

    def test_without_script_the_page_comes_back(self, person: Any) -> None:
        address = upload(person).location
        answer = person.sends(f"{address}/mapping", on=address, **fields_of(person.opens(address).text))
        assert (answer.status_code, answer.location) == (303, address)


class TestAct:
    def test_pause_go_on_cancel_and_undo(self, person: Any, work_off: Callable[[int], int]) -> None:
        address = upload(person).location
        seen = []
        for verb in ("start", "pause", "resume", "pause", "cancel"):
            assert person.sends(f"{address}/{verb}", on=address).status_code == 303
            seen.append(re.search(r'<span class="stage [^"]+">([^<]+)', person.opens(address).text)[1])  # type: ignore[index] # it is there
        assert seen == ["Reading", "Paused", "Reading", "Paused", "Cancelled"]

    def test_undo_takes_back_what_it_brought(self, person: Any, finished: str, work_off: Callable[[int], int]) -> None:
        assert "data-confirm" in person.opens(finished).text
        assert "Ada Quarry" in person.opens("/leads").text
        person.sends(f"{finished}/undo", on=finished)
        assert "Undoing" in person.opens(finished).text
        work_off(person.tenant_id)
        page = person.opens(finished).text
        assert "as if it had never been imported" in page
        assert "Ada Quarry" not in person.opens("/leads").text

    def test_a_broken_file_says_what_became_of_its_rows(self, person: Any, work_off: Callable[[int], int]) -> None:
        address = upload(person, b'email,a\na@quarry.example.test,1\n,2\nb@quarry.example.test,"3\n').location
        person.sends(f"{address}/start", on=address)
        work_off(person.tenant_id)
        page = person.opens(address).text
        assert "The rows before it were taken in" in page
        assert "The other rows that were read were taken in" in page
        person.sends(f"{address}/undo", on=address)
        work_off(person.tenant_id)
        page = person.opens(address).text
        assert "The other rows were taken back" in page
        assert "were taken in" not in page

    def test_what_is_too_late_is_said(self, person: Any, finished: str) -> None:
        answer = person.sends(f"{finished}/pause", on=finished)
        assert answer.status_code == 422
        assert "The import is done" in answer.text


class TestShow:
    def test_reports_the_rows_that_were_refused(self, person: Any, finished: str) -> None:
        page = person.opens(finished).text
        assert "Done" in page
        assert "every 1s" not in page
        assert 'id="row-3"' in page
        assert "the heading has 2" in page

    def test_says_which_cell_was_wrong(self, person: Any, read: Callable[..., str]) -> None:
        address = read(EVENTS, kind="events")
        page = person.opens(address).text
        assert re.search(r'id="row-2".*?<code>occurred_at</code>', page, re.DOTALL)
        assert "<b>yesterday" not in page

    def test_the_progress_comes_without_the_page_around_it(self, person: Any, finished: str) -> None:
        part = person.opens(finished, HX_Request="true", HX_Target="div#import").text
        assert "<html" not in part
        assert "Taken in" in part

    def test_refused_rows_can_be_downloaded(self, person: Any, read: Callable[..., str]) -> None:
        address = read(LEADS, filename="l\u1eb7ng.csv")
        assert f'href="{address}/refused-rows"' in person.opens(address).text
        answer = person.opens(f"{address}/refused-rows")
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert "bo@quarry.example.test;Bo;too much" in answer.get_data(as_text=True)

    def test_refused_rows_come_in_pages(
        self, person: Any, read: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("assay.web.imports.REFUSED_PAGE", 2)
        address = read(b"email\n" + b"ada@quarry.example.test,x\n" * 3)
        page = person.opens(address).text
        more = re.search(r'hx-get="(/imports/\d+\?cursor=[^"]+)"', page)
        assert more
        rest = person.opens(more[1].replace("&amp;", "&"), HX_Request="true", HX_Target="tr#more").text
        assert len(re.findall('<tr id="row-', page)) == 2
        assert len(re.findall('<tr id="row-', rest)) == 1

    def test_stands_in_the_list(self, person: Any, finished: str) -> None:
        page = person.opens("/imports").text
        assert f'href="{finished}"' in page
        assert "leads.csv" in page

    def test_the_neighbours_imports_are_not_there(
        self, finished: str, neighbour: SignedUp, person_of: Callable[[SignedUp], Any]
    ) -> None:
        other = person_of(neighbour)
        assert other.opens(finished).status_code == 404
        assert "leads.csv" not in other.opens("/imports").text
