from collections.abc import Callable

import pytest

from assay.intake.imports import lines as module
from assay.intake.imports.errors import FileRefused, RowRefused, Unclosed
from assay.intake.imports.lines import Lines, delimiter_of, table_rows


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "CHUNK", 8)
    return 8


def opened(body: bytes, position: int = 0, *, newline: str = "\n", encoding: str = "utf-8") -> Lines:
    size = module.CHUNK
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    chunk: Callable[[int], bytes | None] = lambda number: chunks[number] if number < len(chunks) else None  # noqa: E731 # reads better beside its data
    return Lines(chunk, position=position, newline=newline, encoding=encoding)


class TestLines:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"one line", id="no line end"),
            pytest.param("Đặng\nHuế dài hơn một mảnh\n\nȘ\n".encode(), id="letters across pieces"),
            pytest.param(b"12345678" * 3, id="line of several pieces"),
            pytest.param(b"1234567\n" * 3, id="ends where pieces end"),
            pytest.param(b"a\r\nb\r\n", id="windows"),
        ],
    )
    def test_go_on_from_every_position(self, body: bytes, small_chunks: int) -> None:
        expected = body.decode().splitlines(keepends=True)
        position = 0
        for number, line in enumerate(expected):
            rest = opened(body, position)
            assert list(rest) == expected[number:]
            position += len(line.encode())
        assert list(opened(body, len(body))) == []

    def test_tell_where_the_next_one_begins(self, small_chunks: int) -> None:
        lines = opened("Đặng\nb\n".encode())
        assert (next(lines), lines.position) == ("Đặng\n", 8)

    def test_of_old_spreadsheets_end_with_a_return(self, small_chunks: int) -> None:
        assert list(opened(b"a\rbcdefghijk\r", newline="\r")) == ["a\r", "bcdefghijk\r"]

    def test_of_other_encodings_are_read(self) -> None:
        assert list(opened(b"M\xfcller \x81\n", encoding="windows-1252")) == ["Müller \ufffd\n"]

    def test_a_line_without_end_is_no_table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "LONGEST_LINE", 100)
        monkeypatch.setattr(module, "CHUNK", 64)
        with pytest.raises(FileRefused, match="no table"):
            list(opened(b"x" * 1000))


class TestTableRows:
    def test_a_cell_may_hold_line_ends_and_quotation_marks(self, small_chunks: int) -> None:
        row = b'a;"b\nc;""d"""\n'
        lines = opened(row + b"\ne;f\n")
        rows = table_rows(lines, ";")
        assert next(rows) == ["a", 'b\nc;"d"']
        assert lines.position == len(row)
        assert list(rows) == [[], ["e", "f"]]

    def test_a_broken_row_does_not_break_the_next(self) -> None:
        first, second = table_rows(opened(b'"5" pipe",x\ny,z\n'), ",")
        assert isinstance(first, RowRefused)
        assert second == ["y", "z"]

    @pytest.mark.parametrize("mark", [b"", b'"'], ids=["bare", "quoted"])
    def test_an_endless_cell_does_not_break_the_next_row(self, mark: bytes) -> None:
        first, second = table_rows(opened(b"a," + mark + b"x" * 200_000 + mark + b"\ny,z\n"), ",")
        assert isinstance(first, RowRefused)
        assert first.reason == "A cell has more than 131,072 characters."
        assert second == ["y", "z"]

    @pytest.mark.parametrize("rest", [b"", b"x" * 200_000])
    def test_an_open_quotation_mark_ends_it(self, rest: bytes) -> None:
        rows = table_rows(opened(b'a,b\n"c,d\n' + rest), ",")
        assert next(rows) == ["a", "b"]
        with pytest.raises(Unclosed):
            next(rows)


@pytest.mark.parametrize(
    ("heading", "delimiter"),
    [
        pytest.param("a,b,c", ",", id="comma"),
        pytest.param('"a,b,c";"d"', ";", id="comma within marks"),
        pytest.param("a\tb", "\t", id="tab"),
        pytest.param("a|b", "|", id="bar"),
        pytest.param("email", ",", id="one column"),
    ],
)
def test_delimiter_is_found_out(heading: str, delimiter: str) -> None:
    assert delimiter_of(heading) == delimiter
