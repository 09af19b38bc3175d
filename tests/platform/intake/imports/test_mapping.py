from typing import Any

import pytest

from assay.intake.imports.mapping import ColumnMapping
from assay.intake.imports.models import Kind
from assay_tenants.errors import BadInput


def column(name: str, as_: str, called: str | None = None) -> dict[str, Any]:
    return {"column": name, "as": as_, "name": called}


class TestRead:
    def test_reads_what_it_wrote(self) -> None:
        given = {
            "columns": [column("a", "user_id"), column("b", "vendor_id", "hubspot"), column("c", "property", "x")],
            "others": "ignore",
            "type": "page.viewed",
            "dates": None,
            "time_zone": "Asia/Ho_Chi_Minh",
            "numbers": "comma",
            "delimiter": ";",
            "encoding": "windows-1258",
        }
        assert ColumnMapping.read(given, "events").document() == given

    @pytest.mark.parametrize(
        ("given", "field", "sentence"),
        [
            pytest.param({"colour": 1}, "colour", "no field 'colour'", id="unknown field"),
            pytest.param({"columns": "a"}, "columns", "a list", id="no list"),
            pytest.param({"columns": ["a"]}, "columns[0]", "an object", id="no object"),
            pytest.param({"columns": [{"as": "email"}]}, "columns[0].column", "is needed", id="no column"),
            pytest.param({"columns": [column("a", "type")]}, "columns[0].as", "'a' can't be 'type'", id="of events"),
            pytest.param({"columns": [column("a", "x")]}, "columns[0].as", "Accepted: user_id", id="unknown role"),
            pytest.param(
                {"columns": [column("a", "email", "x")]}, "columns[0].name", "has no name", id="needless name"
            ),
            pytest.param(
                {"columns": [column("a", "vendor_id", "Hub Spot")]}, "columns[0].name", "small letters", id="vendor"
            ),
            pytest.param({"columns": [column("a", "vendor_id", "import")]}, "columns[0].name", "Say whose", id="ours"),
            pytest.param({"columns": [{**column("a", "email"), "x": 1}]}, "columns[0].x", "no field", id="stranger"),
            pytest.param({"dates": "us"}, "dates", "Accepted: iso", id="dates"),
            pytest.param({"time_zone": "Mars/Olympus"}, "time_zone", "no time zone", id="time zone"),
            pytest.param({"time_zone": "../../etc/passwd"}, "time_zone", "no time zone", id="path as time zone"),
            pytest.param({"numbers": "roman"}, "numbers", "point, comma", id="numbers"),
            pytest.param({"delimiter": "x"}, "delimiter", "a comma", id="delimiter"),
            pytest.param({"encoding": "utf-7"}, "encoding", "Accepted: utf-8", id="encoding"),
            pytest.param({"type": "Page Viewed"}, "type", "dotted lower-case", id="type"),
            pytest.param({"type": 5}, "type", "a text", id="type no text"),
        ],
    )
    def test_names_what_is_wrong(self, given: dict[str, Any], field: str, sentence: str) -> None:
        with pytest.raises(BadInput, match=sentence.replace("(", r"\(")) as refused:
            ColumnMapping.read(given, "leads")
        assert refused.value.field == field


class TestProblems:
    @pytest.mark.parametrize(
        ("kind", "given", "names", "column_named", "sentence"),
        [
            pytest.param("leads", {"columns": [column("b", "email")]}, ["a"], "b", "no column 'b'", id="not there"),
            pytest.param(
                "leads", {"columns": [column("a", "email"), column("b", "email")]}, ["a", "b"], "b",
                "Both 'a' and 'b' are the e-mail address", id="two addresses",
            ),
            pytest.param(
                "leads", {"columns": [column("a", "trait", "x"), column("b", "trait", "x")]}, ["a", "b"], "b",
                "a trait 'x'; only one", id="two of one name",
            ),
            pytest.param(
                "leads", {"columns": [column("a", "ignore"), column("a", "trait")]}, ["a"], "a", "listed twice",
                id="listed twice",
            ),
            pytest.param(
                "leads", {"columns": [column("a", "vendor_id")]}, ["a"], "a", "whose id the column 'a' is",
                id="whose id?",
            ),
            pytest.param(
                "leads", {"columns": [column("a", "time")], "dates": None}, ["a"], "a", "Choose how", id="dates"
            ),
            pytest.param("events", {"type": "a", "columns": [column("a", "time")]}, ["a"], None, "who did", id="who"),
        ],
    )  # fmt: skip
    def test_says_what_is_in_the_way(
        self, kind: Kind, given: dict[str, Any], names: list[str], column_named: str | None, sentence: str
    ) -> None:
        (problem,) = ColumnMapping.read(given, kind).problems(kind, names)
        assert sentence in problem.message
        assert problem.column == column_named

    def test_lines_of_json_may_lack_columns(self) -> None:
        assert ColumnMapping.read({"columns": [column("b", "email")]}, "leads").problems("leads", None) == []
