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


@pytest.fixture
def finished(person: Any, work_off: Callable[[int], int]) -> str:
    """The address of an import that has been read."""
    address: str = upload(person).location
    work_off(person.tenant_id)
    return address


class TestStart:
    def test_goes_to_the_progress_of_the_new_import(self, person: Any) -> None:
        answer = upload(person, filename="<i>leads</i>.csv")
        assert answer.status_code == 303
        page = person.opens(answer.location).text
        assert "&lt;i&gt;leads" in page or "i&gt;.csv" in page
        assert "<i>" not in page
        assert 'hx-trigger="every 1s"' in page

    @pytest.mark.parametrize(
        ("fields", "field", "sentence"),
        [
            pytest.param({"filename": ""}, "file", "Choose a file", id="no file"),
            pytest.param({"kind": ""}, "kind", "leads or events", id="no kind"),
            pytest.param({"kind": "cats"}, "kind", "not of &#39;cats&#39;", id="another kind"),
            pytest.param({"delimiter": "x"}, "delimiter", "a comma, a semicolon", id="another delimiter"),
        ],
    )
    def test_says_what_is_wrong(self, person: Any, fields: dict[str, str], field: str, sentence: str) -> None:
        answer = upload(person, **fields)
        assert answer.status_code == 422
        assert f'id="{field}-wrong"' in answer.text
        assert sentence in answer.text
        assert imports.list_imports(person.tenant_id) == []

    @pytest.mark.parametrize(
        ("field", "value"),
        [("id_column", "no"), ("email_column", "mail"), ("time_column", "since"), ("name", "Fair 2026")],
    )
    def test_options_reach_the_import(self, person: Any, field: str, value: str) -> None:
        assert f'name="{field}"' in person.opens("/imports").text
        upload(person, b"no;mail;since\n1;a@quarry.example.test;2026-01-01\n", **{field: value})
        with tenant_session(person.tenant_id) as session:
            options = session.scalars(select(Import.options).where(Import.tenant_id == person.tenant_id)).one()
        assert options[field] == value

    def test_an_option_that_was_wrong_is_not_hidden(self, person: Any) -> None:
        answer = upload(person, name="x" * 300)
        assert answer.status_code == 422
        assert '<details class="help" open>' in answer.text
        assert 'id="name-wrong"' in answer.text

    def test_a_file_that_is_no_text_stops_with_a_reason(self, person: Any) -> None:
        page = person.opens(upload(person, b"PK\x03\x04...").location).text
        assert "Stopped" in page
        assert "Save the sheet as CSV" in page


class TestShow:
    def test_reports_the_rows_that_were_refused(self, person: Any, finished: str) -> None:
        page = person.opens(finished).text
        assert "Done" in page
        assert "every 1s" not in page
        assert 'id="row-3"' in page
        assert "the heading has 2" in page

    def test_says_which_cell_was_wrong(self, person: Any, work_off: Callable[[int], int]) -> None:
        address = upload(person, EVENTS, kind="events").location
        work_off(person.tenant_id)
        page = person.opens(address).text
        assert re.search(r'id="row-2".*?<code>occurred_at</code>', page, re.DOTALL)
        assert "<b>yesterday" not in page

    def test_the_progress_comes_without_the_page_around_it(self, person: Any, finished: str) -> None:
        part = person.opens(finished, HX_Request="true", HX_Target="div#import").text
        assert "<html" not in part
        assert "Taken in" in part

    def test_refused_rows_come_in_pages(
        self, person: Any, work_off: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("assay.web.imports.REFUSED_PAGE", 2)
        address = upload(person, b"email\n" + b"ada@quarry.example.test,x\n" * 3).location
        work_off(person.tenant_id)
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
