"""A request's body: read, inflated, and bounded while that happens."""

import zlib
from collections.abc import Mapping
from typing import Any

from assay.intake.errors import BadCall

MAX_BODY = 500 * 1024
MAX_EVENT = 32 * 1024
# A sender that is refused before it has sent everything may take the closed connection for an outage and try again.
_DRAINED = 4 * 1024 * 1024
_CHUNK = 64 * 1024


def read_body(environ: Mapping[str, Any]) -> bytes:
    """The inflated body of a WSGI request, of at most MAX_BODY bytes."""
    sent = _read(environ)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        return _inflate(sent)
    if encoding not in ("", "identity"):
        raise BadCall(f"Content-Encoding {encoding[:40]!r} is not accepted; send gzip, or the body as it is.")
    return sent


def drop_body(environ: Mapping[str, Any]) -> None:
    """Takes in, and forgets, the body of a request that is refused before anybody has read it."""
    stated = environ.get("CONTENT_LENGTH") or ""
    if stated.isascii() and stated.isdigit():
        _drain(environ["wsgi.input"], min(int(stated), _DRAINED))
    elif environ.get("wsgi.input_terminated"):
        _drain(environ["wsgi.input"], _DRAINED)


def _read(environ: Mapping[str, Any]) -> bytes:
    stream = environ["wsgi.input"]
    length = _length(environ)
    if length is None:
        # Chunked. Without the server's word that the stream ends by itself, reading it might never end.
        if not environ.get("wsgi.input_terminated"):
            return b""
        body = _read_up_to(stream, MAX_BODY + 1)
        if len(body) > MAX_BODY:
            _drain(stream, _DRAINED)
            raise _too_large()
        return body
    if length > MAX_BODY:
        _drain(stream, min(length, _DRAINED))
        raise _too_large(length)
    body = _read_up_to(stream, length)
    if len(body) < length:
        raise BadCall(f"The body ended after {len(body)} of {length} bytes.", code="incomplete_body")
    return body


def _length(environ: Mapping[str, Any]) -> int | None:
    stated = environ.get("CONTENT_LENGTH") or ""
    if not stated:
        return None
    if not (stated.isascii() and stated.isdigit()):
        raise BadCall("The Content-Length header is not a number.")
    return int(stated)


def _read_up_to(stream: Any, size: int) -> bytes:
    first: bytes = stream.read(size)
    if len(first) == size or not first:
        return first
    parts, left = [first], size - len(first)
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _drain(stream: Any, size: int) -> None:
    while size > 0 and (part := stream.read(min(size, _CHUNK))):
        size -= len(part)


def _inflate(sent: bytes) -> bytes:
    inflated = b""
    try:
        # A gzip stream may have several members, one after the other.
        while sent:
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            inflated += member.decompress(sent, MAX_BODY + 1 - len(inflated))
            if len(inflated) > MAX_BODY:
                raise _too_large(inflated=True)
            if not member.eof:
                raise BadCall("The body ends in the middle of its gzip stream.", code="bad_gzip")
            sent = member.unused_data
    except zlib.error as error:
        raise BadCall(f"The body is not gzip, though Content-Encoding says so: {error}.", code="bad_gzip") from None
    return inflated


def _too_large(length: int | None = None, *, inflated: bool = False) -> BadCall:
    size = f" of {length:,} bytes" if length else ""
    when = " once inflated" if inflated else ""
    return BadCall(
        f"The body{size} is over the limit{when}: {MAX_BODY:,} bytes (500 KB). Send smaller batches.",
        code="body_too_large",
    )
