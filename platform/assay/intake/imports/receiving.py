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

_GZIP = b"\x1f\x8b"
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


def pieces(stream: IO[bytes], findings: Findings) -> Iterator[bytes]:
    """Pieces of CHUNK bytes, the last one shorter; raises FileRefused for what is no text."""
    buffer = bytearray()
    checker = codecs.getincrementaldecoder("utf-8")()
    for part in _text(_inflated(_read(stream)), findings):
        if b"\0" in part:
            raise FileRefused("This is no text file: it holds zero bytes. Save it as CSV in UTF-8 and send it again.")
        findings.size += len(part)
        if findings.size > MAX_BYTES:
            raise FileRefused(f"The file has more than {MAX_BYTES // 1024**3} GB. Send it in several files.")
        if findings.encoding == "utf-8" and not _is_utf8(checker, part):
            findings.encoding, findings.sent_as = "windows-1252", "Windows-1252"
        buffer += part
        while len(buffer) >= CHUNK:
            yield bytes(buffer[:CHUNK])
            del buffer[:CHUNK]
    if findings.encoding == "utf-8" and not _is_utf8(checker, b"", final=True):
        findings.encoding, findings.sent_as = "windows-1252", "Windows-1252"
    if buffer:
        yield bytes(buffer)


def format_of(filename: str, start: bytes) -> Format:
    if start.lstrip()[:1] == b"{":
        return "jsonl"
    return "jsonl" if filename.lower().removesuffix(".gz").endswith(_LINES) else "csv"


def newline_of(start: bytes) -> Literal["\n", "\r"]:
    """Old spreadsheet programs end lines with a carriage return alone."""
    return "\r" if b"\r" in start and b"\n" not in start else "\n"


def _read(stream: IO[bytes]) -> Iterator[bytes]:
    while part := stream.read(64 * 1024):
        yield part


def _inflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    first = _start(parts, 4)
    if first.startswith(_ZIP):
        raise FileRefused("This is a zip file or an Excel workbook. Save the sheet as CSV and send that.")
    if first.startswith(_OLD_EXCEL):
        raise FileRefused("This is an Excel workbook. Save the sheet as CSV and send that.")
    if not first.startswith(_GZIP):
        yield first
        yield from parts
        return
    inflater = zlib.decompressobj(wbits=31)
    try:
        for part in _chained(first, parts):
            # Tapes padded files with zeros, and some programs still do.
            rest = part.lstrip(b"\0") if inflater.eof else part
            while rest:
                if inflater.eof:
                    inflater = zlib.decompressobj(wbits=31)
                # Bounded at each step: a small file may inflate to a very large one.
                yield inflater.decompress(rest, CHUNK)
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
    elif first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
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


def _is_utf8(checker: codecs.IncrementalDecoder, part: bytes, *, final: bool = False) -> bool:
    try:
        checker.decode(part, final)
    except UnicodeDecodeError:
        return False
    return True
