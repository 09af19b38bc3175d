"""Whole lines of a stored file, megabytes at a time, for what reads many rows at once."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from assay.intake.imports.errors import FileRefused, RowRefused, Unclosed
from assay.intake.imports.lines import LONGEST_LINE, table_rows
from assay.intake.imports.receiving import CHUNK

#: In these, a place in the text tells a place in the file.
MEASURABLE = frozenset(("utf-8", "windows-1252", "windows-1250"))


@dataclass(frozen=True)
class Slab:
    """Lines with their ends, from a position of the file on."""

    body: bytes
    newline: bytes
    encoding: str
    #: The file ends with it.
    is_last: bool

    @property
    def lines(self) -> list[bytes]:
        """Without their ends."""
        lines = self.body.split(self.newline)
        return lines if lines[-1] else lines[:-1]


#: Gives the stored pieces with these numbers, the second one not included.
Chunks = Callable[[int, int], list[bytes]]


def slab_at(chunks: Chunks, *, position: int, size: int, newline: str, encoding: str) -> Slab | None:
    """About ``size`` bytes; None when they hold no whole line. Raises FileRefused when a line has no end."""
    first, skip = divmod(position, CHUNK)
    last = (position + size) // CHUNK + 1
    pieces = chunks(first, last)
    body = b"".join(pieces)[skip:]
    is_last = len(pieces) < last - first or len(pieces[-1]) < CHUNK
    mark = newline.encode()
    if not is_last:
        body = body[: body.rfind(mark) + 1]
        if not body:
            return None
    if max(map(len, body.split(mark))) > LONGEST_LINE:
        raise FileRefused(f"A line has more than {LONGEST_LINE // 1024**2} MB: this is no table of leads.")
    return Slab(body, mark, encoding, is_last)


class TableRows:
    """The rows of a slab, as ``table_rows`` gives them, up to the last whole one."""

    def __init__(self, slab: Slab, delimiter: str) -> None:
        self._slab = slab
        self._delimiter = delimiter
        self._text = slab.body.decode(slab.encoding, "replace")
        self._end = 0

    def __iter__(self) -> Iterator[list[str] | RowRefused]:
        """Raises Unclosed only where reading on would not help."""
        buffer = io.StringIO(self._text, newline=self._slab.newline.decode())
        try:
            for row in table_rows(buffer, self._delimiter):
                self._end = buffer.tell()
                yield row
            self._end = len(self._text)
        except Unclosed as unclosed:
            if self._slab.is_last or not unclosed.at_end:
                raise

    @property
    def size(self) -> int:
        """Bytes of the rows taken so far."""
        if self._end == len(self._text):
            return len(self._slab.body)
        return len(self._text[: self._end].encode()) if self._slab.encoding == "utf-8" else self._end

    @property
    def is_over(self) -> bool:
        """The file ends with the rows taken so far."""
        return self._slab.is_last and self._end == len(self._text)
