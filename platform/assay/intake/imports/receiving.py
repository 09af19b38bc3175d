"""An upload becomes text in pieces of one size: inflated, in UTF-8, in constant memory."""

import codecs
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Literal

from assay.intake.imports.errors import FileRefused
from assay.intake.imports.models import Format

CHUNK = 256 * 1024
MAX_BYTES = 2 * 1024**3

Encoding = Literal["utf-8", "windows-1252"]

GZIP = b"\x1f\x8b"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
PARQUET = b"PAR1"
_ENCRYPTED_PARQUET = b"PARE"
# No table packs better than this, while a file made to fill a disk does.
_MOST_TIMES = 300
_SURELY_FINE = 64 * 1024**2
# Its magic letters at both ends, and the length of what stands before the last ones.
_SMALLEST_PARQUET = 12
_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_LINES = (".jsonl", ".ndjson", ".json")


@dataclass
class Findings:
    """What the bytes tell; complete once all pieces were taken."""

    size: int = 0
    #: What it was when it came, for its sender to read.
    sent_as: str = "UTF-8"
    encoding: Encoding = "utf-8"
    is_parquet: bool = False
    #: Bytes as they came.
    received: int = 0


def pieces(stream: IO[bytes], findings: Findings) -> Iterator[bytes]:
    """Pieces of CHUNK bytes, the last one shorter; raises FileRefused for what is no text."""
    buffer = bytearray()
    parts = _read(stream, findings)
    first = _start(parts, 4)
    findings.is_parquet = first.startswith(PARQUET)
    checker = TextChecker(findings)
    checked = _whole_parquet(first, parts) if findings.is_parquet else _checked(first, parts, findings, checker)
    for part in checked:
        findings.size += len(part)
        if findings.size > MAX_BYTES:
            raise FileRefused(too_large())
        buffer += part
        while len(buffer) >= CHUNK:
            yield bytes(buffer[:CHUNK])
            del buffer[:CHUNK]
    if not findings.is_parquet:
        checker.finish()
    if buffer:
        yield bytes(buffer)


class TextChecker:
    """Finds out in pieces whether bytes are text, and in which letters."""

    def __init__(self, findings: Findings, pending: bytes = b"") -> None:
        self._findings = findings
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._decoder.setstate((pending, 0))

    @property
    def pending(self) -> bytes:
        """The beginning of a letter whose end has not come yet."""
        return self._decoder.getstate()[0]

    def check(self, part: bytes) -> None:
        """Raises FileRefused."""
        if b"\0" in part:
            raise FileRefused("This is no text file: it holds zero bytes. Save it as CSV in UTF-8 and send it again.")
        self._decode(part)

    def finish(self) -> None:
        self._decode(b"", final=True)

    def _decode(self, part: bytes, *, final: bool = False) -> None:
        if self._findings.encoding != "utf-8":
            return
        try:
            self._decoder.decode(part, final)
        except UnicodeDecodeError:
            self._decoder.reset()
            self._findings.encoding, self._findings.sent_as = "windows-1252", "Windows-1252"


def too_large() -> str:
    return f"The file has more than {MAX_BYTES // 1024**3} GB. Send it in several files."


def refuse_workbook(start: bytes) -> None:
    """Raises FileRefused for files that begin like one, or like what we can't read either."""
    if start.startswith(_ZIP):
        raise FileRefused("This is a zip file or an Excel workbook. Save the sheet as CSV and send that.")
    if start.startswith(_OLD_EXCEL):
        raise FileRefused("This is an Excel workbook. Save the sheet as CSV and send that.")
    if start.startswith(_ENCRYPTED_PARQUET):
        raise FileRefused("This Parquet file is encrypted. Save it without encryption and send it again.")


def refuse_damaged_parquet(size: int, end: bytes) -> None:
    """Raises FileRefused where the last bytes are not those of a whole Parquet file."""
    if size < _SMALLEST_PARQUET or not end.endswith(PARQUET):
        raise FileRefused("The Parquet file is damaged or was cut off: its end is missing. Send it again.")


def _whole_parquet(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    size, end = 0, b""
    for part in _chained(first, parts):
        size, end = size + len(part), (end + part)[-4:]
        yield part
    refuse_damaged_parquet(size, end)


def _checked(first: bytes, parts: Iterator[bytes], findings: Findings, checker: TextChecker) -> Iterator[bytes]:
    for part in _text(_inflated(first, parts, findings), findings):
        checker.check(part)
        yield part


def format_of(filename: str, start: bytes) -> Format:
    if start.startswith(PARQUET):
        return "parquet"
    if start.lstrip()[:1] == b"{":
        return "jsonl"
    return "jsonl" if filename.lower().removesuffix(".gz").endswith(_LINES) else "csv"


def newline_of(start: bytes) -> Literal["\n", "\r"]:
    """Old spreadsheet programs end lines with a carriage return alone."""
    return "\r" if b"\r" in start and b"\n" not in start else "\n"


def _read(stream: IO[bytes], findings: Findings) -> Iterator[bytes]:
    while part := stream.read(64 * 1024):
        findings.received += len(part)
        yield part


def _inflated(first: bytes, parts: Iterator[bytes], findings: Findings) -> Iterator[bytes]:
    refuse_workbook(first)
    if not first.startswith(GZIP):
        yield first
        yield from parts
        return
    unpacked = _unpacked(first, parts, findings)
    start = _start(unpacked, 4)
    refuse_workbook(start)
    if start.startswith(PARQUET):
        raise FileRefused("A Parquet file is packed by itself. Send it as it is, without gzip around it.")
    yield start
    yield from unpacked


def _unpacked(first: bytes, parts: Iterator[bytes], findings: Findings) -> Iterator[bytes]:
    size = 0
    inflater = zlib.decompressobj(wbits=31)
    try:
        for part in _chained(first, parts):
            # Tapes padded files with zeros, and some programs still do.
            rest = part.lstrip(b"\0") if inflater.eof else part
            while rest:
                if inflater.eof:
                    inflater = zlib.decompressobj(wbits=31)
                # Bounded at each step: a small file may inflate to a very large one.
                inflated = inflater.decompress(rest, CHUNK)
                size += len(inflated)
                if size > max(_SURELY_FINE, _MOST_TIMES * findings.received):
                    raise FileRefused(
                        f"The gzip file unpacks to more than {_MOST_TIMES} times its size: this is no table of leads."
                    )
                yield inflated
                rest = inflater.unused_data.lstrip(b"\0") if inflater.eof else inflater.unconsumed_tail
        if not inflater.eof:
            yield inflater.flush()
    except zlib.error as error:
        raise FileRefused("The gzip file is damaged. Pack it again and send it again.") from error
    if not inflater.eof:
        raise FileRefused("The gzip file ends too early. Pack it again and send it again.")


def _text(parts: Iterator[bytes], findings: Findings) -> Iterator[bytes]:
    """Without byte order mark; UTF-16 becomes UTF-8, which has line ends of one byte."""
    first = _start(parts, 3)
    if first.startswith(codecs.BOM_UTF8):
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from parts
    elif first.startswith(UTF_16):
        findings.sent_as = "UTF-16"
        decoder = codecs.getincrementaldecoder("utf-16")()
        try:
            for part in _chained(first, parts):
                yield decoder.decode(part).encode()
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError as error:
            raise FileRefused("The file says that it is UTF-16, but it is not. Save it as CSV in UTF-8.") from error
    else:
        yield first
        yield from parts


def _start(parts: Iterator[bytes], size: int) -> bytes:
    """As many parts as hold the first ``size`` bytes."""
    start = b""
    for part in parts:
        start += part
        if len(start) >= size:
            break
    return start


def _chained(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
