from datetime import UTC, datetime
from typing import Any

import pytest

from assay.intake.imports.columns import Columns, heading_of
from assay.intake.imports.errors import FileRefused, RowRefused
from assay.intake.imports.models import Kind
from assay.intake.imports.options import Options
from assay.intake.imports.rows import Reader
from assay_sdk import Company, Event, Identifiers, Identify, Record
from assay_tenants.errors import BadInput

START = datetime(2026, 3, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 31, tzinfo=UTC)


def read(kind: Kind, heading: str, row: str, number: int = 2, **options: str) -> list[Record]:
    given = Options.read({"name": "leads.csv", **options})
    names = heading_of(heading.split(","))
    columns = Columns.of(names, kind, given)
    return Reader(kind, given, START).read_cells(names, columns, row.split(","), number=number)


def read_line(kind: Kind, line: str, **options: str) -> list[Record]:
    return Reader(kind, Options.read({"name": "leads.jsonl", **options}), START).read_line(line, number=3)


class TestHeading:
    @pytest.mark.parametrize(
        ("names", "sentence"),
        [
            pytest.param(["Leads of May", "", ""], "2 of 3 columns have no name", id="a title"),
            pytest.param(["ada@acme.test", "CFO"], "looks like a lead", id="an address"),
            pytest.param(["1", "2.5"], "looks like a lead", id="numbers"),
            pytest.param(["x" * 201], "more than 200 characters", id="long"),
            pytest.param([str(number) + "c" for number in range(2001)], "2,001 columns", id="many"),
        ],
    )
    def test_must_name_the_columns(self, names: list[str], sentence: str) -> None:
        with pytest.raises(FileRefused, match=sentence):
            heading_of(names)

    @pytest.mark.parametrize(
        ("names", "told"),
        [
            pytest.param(["a", ""], ["a", "Column 2"], id="empty"),
            pytest.param(["a", " a ", "a"], ["a", "a (2)", "a (3)"], id="thrice"),
            pytest.param(["a", "a", "a (2)"], ["a", "a (3)", "a (2)"], id="a number that is taken"),
            pytest.param(["Column 2", ""], ["Column 2", "Column 2 (2)"], id="a place that is taken"),
        ],
    )
    def test_tells_columns_apart(self, names: list[str], told: list[str]) -> None:
        assert heading_of(names) == told


class TestLeads:
    @pytest.mark.parametrize(
        ("heading", "row", "ids", "traits"),
        [
            pytest.param("lead_id,title", "7,CFO", Identifiers("7"), {"title": "CFO"}, id="lead id"),
            pytest.param("User ID,id", "u,9", Identifiers("u"), {"id": 9}, id="the first of the usual ones"),
            pytest.param(
                "Email,age",
                "a@b.test,40",
                Identifiers(email="a@b.test"),
                {"email": "a@b.test", "age": 40},
                id="address",
            ),
            pytest.param("id,x,y", "007, ,1.10", Identifiers("007"), {"y": "1.10"}, id="empty cells say nothing"),
            pytest.param(
                "job,emp.var.rate",
                "a,1.1",
                Identifiers(vendor={"import": "leads.csv row 2"}),
                {"job": "a", "emp.var.rate": 1.1},
                id="no id at all",
            ),
            pytest.param(
                "id,company.employees", "1,40", Identifiers("1"), {"company.employees": 40}, id="no company key"
            ),
        ],
    )
    def test_a_row_is_a_lead(self, heading: str, row: str, ids: Identifiers, traits: dict[str, Any]) -> None:
        assert read("leads", heading, row) == [Identify(ids, traits, START)]

    def test_a_company_with_a_key_has_traits_of_its_own(self) -> None:
        records = read("leads", "id,company.domain,company.employees,title", "1,acme.test,40,CFO")
        ids = Identifiers("1")
        assert records == [
            Identify(ids, {"title": "CFO"}, START),
            Company(ids, "acme.test", {"domain": "acme.test", "employees": 40}, START),
        ]

    def test_columns_can_be_chosen(self) -> None:
        records = read(
            "leads",
            "id,nr,mail,when",
            "1,2,a@b.test,2026-05-31",
            id_column="nr",
            email_column="mail",
            time_column="when",
        )
        assert records == [Identify(Identifiers("2", "a@b.test"), {"id": 1, "email": "a@b.test"}, MAY)]

    def test_a_column_says_when_it_was_stated(self) -> None:
        (record,) = read("leads", "id,updated_at,a", "1,2026-05-31,b")
        assert record == Identify(Identifiers("1"), {"a": "b"}, MAY)

    @pytest.mark.parametrize(
        ("heading", "row", "column", "sentence"),
        [
            pytest.param("id,a", "1", None, "has 1 cells; the heading has 2", id="short"),
            pytest.param("id,a", "1,2,3", None, "has 3 cells; the heading has 2", id="long"),
            pytest.param("id,email,a", ",,3", None, "id and email are empty", id="nobody"),
            pytest.param("id,updated_at", "1,31.5.26", "updated_at", "ISO 8601", id="date"),
        ],
    )
    def test_says_why_a_row_is_refused(self, heading: str, row: str, column: str | None, sentence: str) -> None:
        with pytest.raises(RowRefused, match=sentence) as refused:
            read("leads", heading, row)
        assert refused.value.column == column

    def test_a_chosen_column_must_be_there(self) -> None:
        with pytest.raises(FileRefused, match=r"no column 'nr'\. The columns are id, a"):
            read("leads", "id,a", "1,2", id_column="nr")


class TestLeadLines:
    @pytest.mark.parametrize(
        ("line", "ids", "traits"),
        [
            pytest.param(
                '{"lead_id": 7, "a": null, "b": [1, "x"]}', Identifiers("7"), {"b": [1, "x"]}, id="numbers as ids"
            ),
            pytest.param(
                '{"id": "7", "company": {"size": {"max": 9}}}', Identifiers("7"), {"company.size.max": 9}, id="nested"
            ),
            pytest.param(
                '{"id": "7", "traits": {"title": "CFO"}}', Identifiers("7"), {"title": "CFO"}, id="traits inside"
            ),
            pytest.param(
                '{"title": "CFO"}', Identifiers(vendor={"import": "leads.jsonl row 3"}), {"title": "CFO"}, id="no id"
            ),
        ],
    )
    def test_a_line_is_a_lead(self, line: str, ids: Identifiers, traits: dict[str, Any]) -> None:
        assert read_line("leads", line) == [Identify(ids, traits, START)]

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            pytest.param("{", "no JSON", id="no json"),
            pytest.param("[1]", "one JSON object", id="a list"),
            pytest.param('{"id": true}', "id must be a text", id="truth as id"),
            pytest.param('{"id": "1", "traits": 5}', "traits must be an object", id="traits"),
            pytest.param("[" * 100_000, "no JSON", id="nested without end"),
        ],
    )
    def test_says_why_a_line_is_refused(self, line: str, sentence: str) -> None:
        with pytest.raises(RowRefused, match=sentence):
            read_line("leads", line)


class TestEvents:
    def test_a_row_is_an_event(self) -> None:
        (event,) = read(
            "events",
            "lead_id,email,type,occurred_at,message_id,properties.path,n",
            "7,a@b.test,page.viewed,2026-05-31,m1,/pricing,5",
        )
        properties = {"path": "/pricing", "n": 5}
        assert event == Event(Identifiers("7", "a@b.test"), "page.viewed", properties, MAY, "m1")

    def test_a_line_is_an_event(self) -> None:
        line = '{"lead_id": "7", "message_id": "m1", "type": "page.viewed", "occurred_at": "2026-05-31", "properties": {"p": {"q": 1}}}'  # noqa: E501 # one line of a file
        assert read_line("events", line) == [Event(Identifiers("7"), "page.viewed", {"p.q": 1}, MAY, "m1")]

    def test_without_an_id_its_content_is_its_id(self) -> None:
        one, again, other = (
            read("events", "user_id,type,at,n", f"7,page.viewed,2026-05-31,{number}")[0] for number in (1, 1, 2)
        )
        assert isinstance(one, Event)
        assert isinstance(other, Event)
        assert one == again
        assert one.sender_id != other.sender_id

    @pytest.mark.parametrize(
        ("row", "column", "sentence"),
        [
            pytest.param(",page.viewed,2026-05-31", None, "names nobody: user_id is empty", id="nobody"),
            pytest.param("7,,2026-05-31", "type", "no type", id="no type"),
            pytest.param("7,Page Viewed,2026-05-31", "type", "dotted lower-case", id="type"),
            pytest.param("7,page.viewed,", "at", "when it happened", id="no time"),
            pytest.param("7,page.viewed,soon", "at", "ISO 8601", id="time"),
        ],
    )
    def test_says_why_a_row_is_refused(self, row: str, column: str | None, sentence: str) -> None:
        with pytest.raises(RowRefused, match=sentence) as refused:
            read("events", "user_id,type,at", row)
        assert refused.value.column == column

    def test_needs_its_columns(self) -> None:
        with pytest.raises(FileRefused, match="missing: type; lead_id"):
            read("events", "name,at", "a,b")

    def test_a_line_needs_them_too(self) -> None:
        with pytest.raises(RowRefused, match="missing: occurred_at"):
            read_line("events", '{"user_id": "7", "type": "a.b"}')


class TestOptions:
    def test_empty_ones_are_not_given(self) -> None:
        assert Options.read({"id_column": "", "delimiter": None}) == Options()

    @pytest.mark.parametrize("given", ["tab", "\\t", "\t"])
    def test_a_tab_has_a_name(self, given: str) -> None:
        assert Options.read({"delimiter": given}).delimiter == "\t"

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            pytest.param({"delimiter": "x"}, "delimiter", id="delimiter"),
            pytest.param({"id_colum": "x"}, "id_colum", id="unknown"),
            pytest.param({"name": 5}, "name", id="no text"),
        ],
    )
    def test_wrong_ones_are_named(self, options: dict[str, Any], field: str) -> None:
        with pytest.raises(BadInput) as refused:
            Options.read(options)
        assert refused.value.field == field
