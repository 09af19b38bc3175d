"""Events read as columns are the same as those read row by row."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.intake.imports.columns import Columns
from assay.intake.imports.errors import RowRefused
from assay.intake.imports.event_columns import Origin, Split, from_cells
from assay.intake.imports.event_lines import LineReader, objects_of
from assay.intake.imports.mapping import ColumnMapping
from assay.intake.imports.options import Options
from assay.intake.imports.rows import Reader
from assay.normalise import event_id, find_fault
from assay.profiles.merging import canonical, micros
from assay_sdk import Event
from tests.amount import examples

RECEIVED = datetime(2026, 11, 1, tzinfo=UTC)
SOURCE = 7
NAMES = ["user_id", "email", "hs", "type", "occurred_at", "message_id", "path", "properties.b", "Giá"]
MAPPED: dict[str, Any] = {
    "columns": [
        {"column": "user_id", "as": "user_id"},
        {"column": "email", "as": "email"},
        {"column": "hs", "as": "vendor_id", "name": "hubspot"},
        {"column": "type", "as": "type"},
        {"column": "occurred_at", "as": "time"},
        {"column": "message_id", "as": "message_id"},
        {"column": "properties.b", "as": "property", "name": "b"},
    ]
}

POISON = [
    "", " ", "\u00a0", "\x1c", "\x85x", "a\x00b", "a\x1fb", "a\tb", "line\nbreak", "\r", 'quo"te', "back\\slash",
    "\\u0000", "\u2028", "\ufeff", "Đặng", "𝕏", "x" * 513, "x" * 201, "007", "-0", "-0.0", "0.0", "1.0",
    "1.10", "1.5",
    "0.0001", "0.00001", "-0.5", "1234567.1234567", "12345678901234.5", "123456789012345678", "1234567890123456789",
    "1e5", "nan", "٣", "00.5", "1,5", "1.234,50", "1.234", "12,3,4", "null", "true", "[object Object]",
]  # fmt: skip
TIMES = [
    "2026-05-31T14:00:00Z", "2026-05-31", "2026-05-31 14:00:00.123456+07:00", "20260531T140000", "1969-12-31T23:59:59Z",
    "1970-01-01", "2026-11-02T00:00:00Z", "2026-11-02T00:00:00.000001Z", "0001-01-01T00:00+14:00", "9999-12-31", "soon",
    "31/05/2026", "05/31/2026 2:30 PM", "1780236000", "1780236000000", "2026-03-29T02:30:00", "2026-10-25T02:30:00", "",
]  # fmt: skip
TYPES = ["page.viewed", "a", "Page Viewed", "a..b", "assay.judged", "a." * 100 + "b", "", "x\n"]

words = st.one_of(st.sampled_from(POISON), st.text(max_size=12))
mostly_good_types = st.one_of(st.just("page.viewed"), st.just("page.viewed"), st.sampled_from(TYPES))
mostly_good_times = st.one_of(st.sampled_from(TIMES[:4]), st.sampled_from(TIMES[:4]), st.sampled_from(TIMES))
mostly_good_ids = st.one_of(st.just("7"), st.just(""), words)
rows = st.tuples(
    mostly_good_ids,
    mostly_good_ids,
    mostly_good_ids,
    mostly_good_types,
    mostly_good_times,
    mostly_good_ids,
    words,
    words,
    words,
).map(list)
hows = st.fixed_dictionaries(
    {
        "dates": st.sampled_from(["iso", "iso", "iso", "dmy", "mdy", "epoch_s", "epoch_ms"]),
        "time_zone": st.sampled_from(["UTC", "Asia/Ho_Chi_Minh", "Europe/Berlin"]),
        "numbers": st.sampled_from(["point", "point", "comma"]),
        "others": st.sampled_from(["keep", "ignore"]),
    }
)


def one_by_one(reader: Reader, columns: Columns, cells: list[str], number: int) -> Event | None:
    """None where the row is refused."""
    try:
        (event,) = reader.read_cells(NAMES, columns, cells, number=number)
    except RowRefused:
        return None
    assert isinstance(event, Event)
    return None if find_fault(event, received_at=RECEIVED) else event


def compare(split: Split, expected: Sequence[tuple[int, Event | None]]) -> None:
    frame, left = split
    rows = {row["row_number"]: row for row in frame.rows.iter_rows(named=True)} if frame else {}
    events = dict(frame.events()) if frame else {}
    assert rows.keys() == events.keys() == {number for number, _ in expected} - left
    for number, event in expected:
        if number in events:
            assert event is not None
            # JSON does not tell 1e300 from the whole number that it is; the text of both is the same.
            assert canonical(dict(events[number].properties)) == canonical(dict(event.properties))
            assert replace(events[number], properties={}) == replace(event, properties={})
            assert rows[number]["occurred_at"] == micros(event.at)
            assert rows[number]["properties"] == canonical(dict(event.properties))
            assert rows[number]["event_id"] == event_id(SOURCE, event.sender_id).hex


class TestFromCells:
    @settings(max_examples=examples(150), deadline=None)
    @given(st.lists(rows, min_size=1, max_size=8), hows)
    def test_is_what_single_rows_are(self, table: list[list[str]], how: dict[str, str]) -> None:
        mapping = ColumnMapping.read({**MAPPED, **how}, "events")
        reader = Reader("events", Options(name="a"), RECEIVED, mapping)
        columns = reader.columns_of(NAMES)
        numbers = list(range(2, len(table) + 2))
        split = from_cells(table, numbers, NAMES, columns, Origin(SOURCE, RECEIVED, mapping))
        each = [one_by_one(reader, columns, cells, number) for number, cells in zip(numbers, table, strict=True)]
        compare(split, list(zip(numbers, each, strict=True)))

    @pytest.mark.parametrize(
        "row",
        [
            pytest.param(["7", "a@b.test", "", "page.viewed", TIMES[0], "m1", "/x", "1.5", "Đà Nẵng"], id="with all"),
            pytest.param(["", "", "51", "page.viewed", TIMES[1], "", 'say "hi"\n\\', "", "-0.0"], id="with marks"),
            pytest.param([" 7 ", "", "", "a", TIMES[2], "", "0.00001", "1234567890123456789", "1e5"], id="odd numbers"),
        ],
    )
    def test_leaves_no_good_row(self, row: list[str]) -> None:
        mapping = ColumnMapping.read(MAPPED, "events")
        columns = Columns.mapped(NAMES, "events", mapping)
        frame, left = from_cells([row] * 3, [2, 3, 4], NAMES, columns, Origin(SOURCE, RECEIVED, mapping))
        assert frame is not None
        assert (len(frame), left) == (3, set())

    @pytest.mark.parametrize("place", [pytest.param(place, id=name) for place, name in enumerate(NAMES[:3])])
    def test_a_column_that_is_always_empty_is_no_obstacle(self, place: int) -> None:
        row = ["7", "a@b.test", "51", "page.viewed", TIMES[0], "m1", "", "", ""]
        row[place] = ""
        mapping = ColumnMapping.read(MAPPED, "events")
        columns = Columns.mapped(NAMES, "events", mapping)
        frame, _ = from_cells([row], [2], NAMES, columns, Origin(SOURCE, RECEIVED, mapping))
        assert frame is not None
        assert frame.rows["properties"].to_list() == ["{}"]

    @pytest.mark.parametrize("numbers", ["point", "comma"])
    def test_each_odd_value_says_what_it_says_alone(self, numbers: str) -> None:
        mapping = ColumnMapping.read({**MAPPED, "numbers": numbers}, "events")
        reader = Reader("events", Options(name="a"), RECEIVED, mapping)
        columns = reader.columns_of(NAMES)
        table = [["7", "", "", "a", TIMES[0], "", value, "", ""] for value in POISON]
        split = from_cells(table, range(len(table)), NAMES, columns, Origin(SOURCE, RECEIVED, mapping))
        compare(split, [(n, one_by_one(reader, columns, cells, n)) for n, cells in enumerate(table)])

    def test_what_is_too_large_is_left(self) -> None:
        mapping = ColumnMapping.read(MAPPED, "events")
        columns = Columns.mapped(NAMES, "events", mapping)
        table = [["7", "", "", "a", TIMES[0], "", "x" * size, "", ""] for size in (60_000, 66_000)]
        frame, left = from_cells(table, [2, 3], NAMES, columns, Origin(SOURCE, RECEIVED, mapping))
        assert frame is not None
        assert (frame.rows["row_number"].to_list(), left) == ([2], {3})

    def test_more_than_a_day_ahead_is_left_and_exactly_a_day_is_not(self) -> None:
        mapping = ColumnMapping.read(MAPPED, "events")
        columns = Columns.mapped(NAMES, "events", mapping)
        table = [
            ["7", "", "", "a", (RECEIVED + timedelta(days=1, microseconds=late)).isoformat(), "", "", "", ""]
            for late in (0, 1)
        ]
        frame, left = from_cells(table, [2, 3], NAMES, columns, Origin(SOURCE, RECEIVED, mapping))
        assert frame is not None
        assert (frame.rows["row_number"].to_list(), left) == ([2], {3})


scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e-4, 9e-5, 1e15, 1e16, 1e22, 5e-324, 0.1, -2.5, 1.7976931348623157e308]),
    words,
)
values: st.SearchStrategy[Any] = st.one_of(
    scalars, st.lists(scalars, max_size=2), st.fixed_dictionaries({"q": scalars})
)
documents: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "user_id": st.one_of(st.just("7"), st.just(7), scalars),
        "type": st.one_of(mostly_good_types, mostly_good_types, scalars),
        "occurred_at": st.one_of(mostly_good_times, mostly_good_times, scalars),
    },
    optional={
        "lead_id": scalars,
        "email": st.one_of(words, st.none()),
        "hs": words,
        "message_id": st.one_of(st.just("m"), scalars),
        "path": values,
        "b": values,
        "properties.b": values,
        "properties": st.one_of(
            scalars, st.dictionaries(st.sampled_from(["b", "path", "type", "properties.b", "Ω"]), values, max_size=3)
        ),
    },
)
RENAMED = {**MAPPED, "columns": [*MAPPED["columns"][:-1], {"column": "properties.b", "as": "property", "name": "path"}]}
IGNORED = {**MAPPED, "columns": [*MAPPED["columns"][:-1], {"column": "properties.b", "as": "ignore"}]}


class TestLineReader:
    @settings(max_examples=examples(150), deadline=None)
    @given(st.lists(documents, min_size=1, max_size=5), hows, st.sampled_from([None, MAPPED, RENAMED, IGNORED]))
    def test_is_what_single_lines_are(
        self, found: list[dict[str, Any]], how: dict[str, str], mapped: dict[str, Any] | None
    ) -> None:
        chosen = ColumnMapping.read({**mapped, **how}, "events") if mapped else None
        reader = Reader("events", Options(name="a"), RECEIVED, chosen)
        mapping = chosen or ColumnMapping()
        lines = [json.dumps(each).encode() for each in found]
        together = LineReader(reader, ("hubspot",) if chosen else ())
        numbers = range(1, len(lines) + 1)
        body = b"\n".join(lines) + b"\n"
        taken = {
            number
            for number, said in zip(numbers, objects_of(body, lines), strict=True)
            if said is not None and together.take(number, said)
        }
        split = together.finish(Origin(SOURCE, RECEIVED, mapping))
        expected = [(number, self.alone(reader, line, number)) for number, line in zip(numbers, lines, strict=True)]
        compare(split, [each for each in expected if each[0] in taken])

    def test_each_odd_number_says_what_it_says_alone(self) -> None:
        reader = Reader("events", Options(name="a"), RECEIVED)
        together = LineReader(reader, ())
        odd = [0.0, -0.0, 1e-4, 9.9e-5, 1e-7, 1e15, 1e16, 1e17, 1e22, 5e-324, -2.5, 2**63, 2**64, -(2**63) - 1, True]
        base = {"user_id": "7", "type": "a", "occurred_at": "2026-05-31"}
        lines = [json.dumps({**base, "n": number}).encode() for number in odd]
        said = objects_of(b"\n".join(lines) + b"\n", lines)
        taken = [number for number, each in enumerate(said) if together.take(number, each)]
        expected = [(number, self.alone(reader, lines[number], number)) for number in taken]
        compare(together.finish(Origin(SOURCE, RECEIVED, ColumnMapping())), expected)

    def alone(self, reader: Reader, line: bytes, number: int) -> Event | None:
        try:
            (event,) = reader.read_line(line.decode(), number=number)
        except RowRefused:
            return None
        assert isinstance(event, Event)
        return None if find_fault(event, received_at=RECEIVED) else event

    @pytest.mark.parametrize(
        ("line", "count"),
        [
            pytest.param('{"user_id": 7, "type": "a", "occurred_at": "2026-05-31", "n": 1.5}', 1, id="flat"),
            pytest.param(
                '{"user_id": "7", "x": null, "type": "a", "occurred_at": "2026-05-31", "properties": {"a": null}}',
                1,
                id="nulls",
            ),
            pytest.param('{"user_id": "7", "type": "a"}', 0, id="no time"),
            pytest.param('{"user_id": true, "type": "a", "occurred_at": "2026-05-31"}', 0, id="truth as id"),
            pytest.param("[1]", 0, id="no object"),
            pytest.param("{", 0, id="no json"),
        ],
    )
    def test_takes_what_is_plain(self, line: str, count: int) -> None:
        reader = Reader("events", Options(name="a"), RECEIVED)
        together = LineReader(reader, ())
        lines = [line.encode()]
        for said in objects_of(lines[0] + b"\n", lines):
            if said is not None:
                together.take(1, said)
        frame, _ = together.finish(Origin(SOURCE, RECEIVED, ColumnMapping()))
        assert (len(frame) if frame else 0) == count

    def test_the_same_row_is_the_same_event_in_a_table_and_in_json(self) -> None:
        names = ["user_id", "type", "occurred_at", "path", "n"]
        mapping = ColumnMapping()
        columns = Columns.of(names, "events", Options(name="a"))
        origin = Origin(SOURCE, RECEIVED, mapping)
        table, _ = from_cells([["7", "a", "2026-05-31", "/x", "1.5"]], [2], names, columns, origin)
        line = (
            b'{"user_id": 7, "type": "a", "occurred_at": "2026-05-31T00:00Z", "properties": {"n": 1.5, "path": "/x"}}'
        )
        together = LineReader(Reader("events", Options(name="b"), RECEIVED), ())
        together.take(1, *objects_of(line + b"\n", [line]))
        lines, _ = together.finish(origin)
        assert table is not None
        assert lines is not None
        assert table.rows["event_id"].to_list() == lines.rows["event_id"].to_list()
