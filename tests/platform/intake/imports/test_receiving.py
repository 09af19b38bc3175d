import gzip
import io
import zlib

import pytest

from assay.intake.imports import receiving
from assay.intake.imports.errors import FileRefused
from assay.intake.imports.receiving import CHUNK, Findings, format_of, newline_of, pieces

TEXT = "name;city\nĐặng;Huế\nȘerban;Iași\n"


class Slow(io.BytesIO):
    """Gives what it has in the smallest portions."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


def received(body: bytes) -> tuple[bytes, Findings]:
    findings = Findings()
    whole = b"".join(pieces(io.BytesIO(body), findings))
    assert findings.size == len(whole)
    again = Findings()
    assert b"".join(pieces(Slow(body), again)) == whole
    assert again == findings
    return whole, findings


class TestPieces:
    @pytest.mark.parametrize(
        ("body", "sent_as"),
        [
            pytest.param(TEXT.encode(), "UTF-8", id="utf-8"),
            pytest.param(TEXT.encode("utf-8-sig"), "UTF-8", id="byte order mark"),
            pytest.param(TEXT.encode("utf-16"), "UTF-16", id="utf-16 little"),
            pytest.param(b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16", id="utf-16 big"),
            pytest.param(gzip.compress(TEXT.encode()), "UTF-8", id="gzip"),
            pytest.param(gzip.compress(TEXT.encode("utf-16")), "UTF-16", id="gzip of utf-16"),
            pytest.param(gzip.compress(TEXT[:9].encode()) + gzip.compress(TEXT[9:].encode()), "UTF-8", id="two gzips"),
            pytest.param(gzip.compress(TEXT.encode()) + b"\0" * 512, "UTF-8", id="padded gzip"),
        ],
    )
    def test_are_utf_8(self, body: bytes, sent_as: str) -> None:
        whole, findings = received(body)
        assert whole.decode() == TEXT
        assert (findings.encoding, findings.sent_as) == ("utf-8", sent_as)

    @pytest.mark.parametrize(
        "body", [pytest.param(b"name\nM\xfcller\n", id="within"), pytest.param(b"name\nCaf\xe9", id="at the end")]
    )
    def test_other_bytes_are_taken_for_windows_1252(self, body: bytes) -> None:
        whole, findings = received(body)
        assert whole == body
        assert findings.encoding == "windows-1252"

    @pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
    def test_are_of_one_size(self, size: int) -> None:
        found = list(pieces(io.BytesIO(b"x" * size), Findings()))
        assert [len(piece) for piece in found[:-1]] == [CHUNK] * (len(found) - 1)
        assert sum(map(len, found)) == size

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            pytest.param(b"PK\x03\x04...", "Save the sheet as CSV", id="xlsx"),
            pytest.param(b"\xd0\xcf\x11\xe0...", "Save the sheet as CSV", id="xls"),
            pytest.param(b"name\n\0\n", "zero bytes", id="binary"),
            pytest.param("name\n".encode("utf-16-le"), "zero bytes", id="utf-16 without mark"),
            pytest.param(b"\xff\xfe\x00\xd8\x00", "UTF-16", id="half of utf-16"),
            pytest.param(gzip.compress(TEXT.encode())[:-9], "ends too early", id="half a gzip"),
            pytest.param(b"\x1f\x8b\x08nonsense", "damaged", id="no gzip at all"),
        ],
    )
    def test_what_is_no_text_is_refused(self, body: bytes, sentence: str) -> None:
        with pytest.raises(FileRefused, match=sentence):
            received(body)

    def test_a_bomb_is_stopped_while_it_goes_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(receiving, "MAX_BYTES", 4 * CHUNK)
        bomb = zlib.compressobj(wbits=31)
        body = bomb.compress(b"x" * 64 * CHUNK) + bomb.flush()
        findings = Findings()
        with pytest.raises(FileRefused, match="several files"):
            list(pieces(io.BytesIO(body), findings))
        assert findings.size <= 5 * CHUNK


@pytest.mark.parametrize(
    ("filename", "start", "format_"),
    [
        pytest.param("a.csv", b"a,b\n", "csv", id="csv"),
        pytest.param("a.txt", b'\n{"a": 1}\n', "jsonl", id="by content"),
        pytest.param("a.ndjson", b"oops", "jsonl", id="by name"),
        pytest.param("a.jsonl.gz", b"", "jsonl", id="by name, packed"),
        pytest.param("a", b"", "csv", id="neither"),
    ],
)
def test_format_is_found_out(filename: str, start: bytes, format_: str) -> None:
    assert format_of(filename, start) == format_


def test_old_line_ends_are_found_out() -> None:
    assert newline_of(b"a\rb\r") == "\r"
    assert newline_of(b"a\r\nb\r\n") == "\n"
