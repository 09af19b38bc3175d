"""The lines of a stored file from any position on, and the rows of a table that they make."""

import csv
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from assay.intake.imports.errors import FileRefused, RowRefused, Unclosed
from assay.intake.imports.receiving import CHUNK

LONGEST_LINE = 1024 * 1024
LONGEST_CELL = csv.field_size_limit()
_TOO_LONG = "field larger than"
# A quotation mark that is never closed makes one cell of all that follows.
_UNCLOSED = (_TOO_LONG, "unexpected end of data")
_WORDS = {
    "new-line character seen in unquoted field - do you need to open the file in universal-newline mode?": (
        "A line break stands inside a cell without quotation marks."
    )
}


class Lines:
    """Lines as text, each with its line end; ``position`` is where the next one begins."""

    def __init__(self, chunk: Callable[[int], bytes | None], *, position: int, newline: str, encoding: str) -> None:
        self.position = position
        self._chunk = chunk
        self._newline = newline.encode()
        self._encoding = encoding
        self._next, skip = divmod(position, CHUNK)
        self._buffer = b""
        self._offset = 0
        if skip:
            self._load()
            self._offset = skip

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        searched = self._offset
        while (end := self._buffer.find(self._newline, searched)) < 0:
            if len(self._buffer) - self._offset > LONGEST_LINE:
                raise FileRefused(f"A line has more than {LONGEST_LINE // 1024**2} MB: this is no table of leads.")
            searched = len(self._buffer) - self._offset
            if not self._load():
                end = len(self._buffer) - 1
                break
        line = self._buffer[self._offset : end + 1]
        if not line:
            raise StopIteration
        self._offset = end + 1
        self.position += len(line)
        return decoded(line, self._encoding)

    def _load(self) -> bool:
        body = self._chunk(self._next)
        if body is None:
            return False
        self._next += 1
        self._buffer = self._buffer[self._offset :] + body
        self._offset = 0
        return True


def decoded(body: bytes, encoding: str) -> str:
    text = body.decode(encoding, "replace")
    # Its marks of tone are letters of their own, and nothing else writes Vietnamese that way.
    return unicodedata.normalize("NFC", text) if encoding == "windows-1258" else text


def table_rows(lines: Iterable[str], delimiter: str) -> Iterator[list[str] | RowRefused]:
    """Rows of a CSV file; not a line more is taken than a row needs. Blank lines have no cells."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines_before = reader.line_num
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if str(error).startswith(_TOO_LONG) and reader.line_num == lines_before + 1:
                yield RowRefused(f"A cell has more than {LONGEST_CELL:,} characters.")
                continue
            if str(error).startswith(_UNCLOSED):
                raise Unclosed(at_end=not str(error).startswith(_TOO_LONG)) from error
            yield RowRefused(_WORDS.get(str(error), f"The row can't be read: {error}."))


def delimiter_of(heading: str) -> str:
    """The one that the heading has most of, outside of quotation marks."""
    outside = "".join(heading.split('"')[::2])
    return max(",;\t|", key=outside.count)
