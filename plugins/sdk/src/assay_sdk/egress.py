"""Requests to addresses that somebody else wrote down: they reach the public internet, and nothing behind our own door.

``client()`` gives an httpx client. A name is resolved once, every address that it stands for is checked, and the
connection goes to the very address that was checked; so does each redirect's. A call has a deadline and its answer a
largest size.
"""

import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import Any, Final
from zlib import decompressobj
from zlib import error as zlib_error

import httpcore
import httpx

from assay_sdk.addresses import NO_ADDRESS, AddressRefused, check_parsed, check_url, configure, is_public, not_public
from assay_sdk.logs import redacted

__all__ = ["AddressRefused", "AnswerTooLarge", "DeadlinePassed", "check_url", "client", "configure", "is_public"]

#: Takes a host and a port, gives the addresses as text; raises OSError when there are none.
Resolver = Callable[[str, int], Sequence[str]]

DEADLINE = timedelta(seconds=10)
CONNECT = timedelta(seconds=5)
LARGEST_ANSWER = 5_000_000

_OURS = ("transport", "mounts", "proxy", "proxies", "trust_env", "verify", "follow_redirects", "max_redirects", "app")
_LOOKUPS_AT_ONCE = 64
_PIECE = 65_536

_lookups = BoundedSemaphore(_LOOKUPS_AT_ONCE)
_until: ContextVar[float | None] = ContextVar("until", default=None)


class _Discreet(logging.Filter):
    """httpx writes down each address that it asks, and some vendors want secrets in theirs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


logging.getLogger("httpx").addFilter(_Discreet())


class AnswerTooLarge(httpx.RequestError):
    """The other side sent more than was asked to be accepted; the rest was not read."""


class DeadlinePassed(httpx.TimeoutException):
    """The whole call took longer than its deadline, however busily the other side was sending."""


def client(
    *,
    deadline: timedelta = DEADLINE,
    largest: int = LARGEST_ANSWER,
    redirects: int = 0,
    resolver: Resolver | None = None,
    **options: Any,
) -> httpx.Client:
    """An httpx client for addresses that are not ours.

    Args:
        deadline: of a whole call, from looking up the name to the last byte of the answer, redirects included.
        largest: bytes of an answer, unpacked, beyond which it is given up.
        redirects: how many a call follows; each is checked like the first address, and none leads from https to http.
        resolver: instead of the machine's own.
        options: of ``httpx.Client``, without those that would go round the guard.

    Calls raise AddressRefused, AnswerTooLarge, DeadlinePassed or another ``httpx.HTTPError``.
    """
    if taken := [name for name in _OURS if name in options]:
        raise TypeError(f"egress.client() sees to {', '.join(taken)} by itself.")
    options["headers"] = httpx.Headers({"Accept-Encoding": "gzip", **dict(httpx.Headers(options.get("headers")))})
    options.setdefault("timeout", httpx.Timeout(deadline.total_seconds(), connect=CONNECT.total_seconds()))
    return _Client(
        deadline,
        transport=_Transport(deadline, largest, resolver or _look_up),
        trust_env=False,
        follow_redirects=redirects > 0,
        max_redirects=redirects,
        **options,
    )


@dataclass
class _Call:
    """What holds for one call through all its redirects."""

    until: float
    secure: bool = False


class _Client(httpx.Client):
    def __init__(self, deadline: timedelta, **options: Any) -> None:
        self._deadline = deadline
        super().__init__(**options)

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        try:
            return super().build_request(method, url, **options)
        except (httpx.InvalidURL, UnicodeError):
            raise AddressRefused(NO_ADDRESS) from None

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        # Each redirect's request is given the same extensions.
        call = _Call(monotonic() + self._deadline.total_seconds())
        request.extensions = {**request.extensions, "assay_call": call}
        try:
            return super().send(request, **options)
        except UnicodeError:
            # The name of a host, or of one that an answer leads to, is in letters that are none.
            raise AddressRefused(NO_ADDRESS, request=request) from None


class _Transport(httpx.BaseTransport):
    def __init__(self, deadline: timedelta, largest: int, resolver: Resolver) -> None:
        self._deadline = deadline
        self._largest = largest
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(), keepalive_expiry=5.0, network_backend=_Backend(resolver), http1=True, http2=False
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        check_parsed(request.url)
        call = request.extensions.get("assay_call") or _Call(monotonic() + self._deadline.total_seconds())
        if call.secure and request.url.scheme != "https":
            raise AddressRefused("The address leads on from https to http, where anybody can listen.")
        call.secure = request.url.scheme == "https"
        with _within(call.until, request):
            answer = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions={name: value for name, value in request.extensions.items() if name != "assay_call"},
                )
            )
        headers = httpx.Headers(answer.headers)
        coding = headers.get("Content-Encoding", "identity").strip().lower()
        assert isinstance(answer.stream, Iterable)  # noqa: S101 # a synchronous pool gives no other
        stream = _Answer(answer.stream, call.until, self._largest, request, packed=coding == "gzip")
        if coding not in ("identity", "gzip", ""):
            stream.close()
            raise httpx.DecodingError(f"The answer is packed as {coding[:20]!r}, which was not asked for.")
        if coding == "gzip":
            # Unpacked here, where its size is bounded.
            del headers["Content-Encoding"]
            headers.pop("Content-Length", None)
        elif (length := headers.get("Content-Length", "")).isdecimal() and len(length) < 20:
            stream.expect(int(length) if request.method != "HEAD" else 0)
        return httpx.Response(answer.status, headers=headers, stream=stream, extensions=answer.extensions)

    def close(self) -> None:
        self._pool.close()


class _Answer(httpx.SyncByteStream):
    """The body: unpacked, bounded, and read before the deadline or not at all."""

    def __init__(
        self, parts: Iterable[bytes], until: float, largest: int, request: httpx.Request, *, packed: bool
    ) -> None:
        self._parts = parts
        self._until = until
        self._left = largest
        self._request = request
        self._unpacker = decompressobj(31) if packed else None

    def expect(self, length: int) -> None:
        if length > self._left:
            self.close()
            raise self._too_large()

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._parts)
        while True:
            with _within(self._until, self._request):
                part = next(parts, None)
            if part is None:
                return
            for piece in self._unpacked(part) if self._unpacker else (part,):
                self._left -= len(piece)
                if self._left < 0:
                    raise self._too_large()
                yield piece

    def _unpacked(self, part: bytes) -> Iterator[bytes]:
        assert self._unpacker is not None  # noqa: S101 # called for a packed body alone
        while part:
            try:
                piece = self._unpacker.decompress(part, _PIECE)
            except zlib_error:
                raise httpx.DecodingError("The answer says that it is packed, and is not.") from None
            yield piece
            if self._unpacker.eof:
                return
            part = self._unpacker.unconsumed_tail

    def _too_large(self) -> AnswerTooLarge:
        return AnswerTooLarge("The answer is larger than what is read of one.", request=self._request)

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()


@contextmanager
def _within(until: float, request: httpx.Request) -> Iterator[None]:
    """Reading and writing in here stop at ``until``; errors come out as httpx's own."""
    token = _until.set(until)
    try:
        yield
    except httpx.RequestError as error:
        error.request = request
        raise
    except tuple(_HTTPX) as error:
        if isinstance(error, httpcore.TimeoutException) and monotonic() >= until:
            raise DeadlinePassed("The call took too long.", request=request) from None
        raise _HTTPX[type(error)](str(error), request=request) from error
    finally:
        _until.reset(token)


_HTTPX: Final[dict[type[Exception], type[httpx.RequestError]]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
}


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    until = _until.get()
    if until is None:
        return timeout
    left = until - monotonic()
    if left <= 0:
        raise late("The call took too long.")
    return left if timeout is None else min(timeout, left)


class _Backend(httpcore.NetworkBackend):
    """Opens connections to checked addresses alone, and none to a unix socket."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses(host, port, _left(timeout, httpcore.ConnectTimeout))
        if not all(is_public(address, port) for address in addresses):
            # One among public ones is no accident: which is tried first is not for the name's owner to choose.
            raise not_public()
        failed: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, _left(timeout, httpcore.ConnectTimeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
                continue
            return _Stream(stream)
        raise failed or httpcore.ConnectError("The host has no address.")

    def _addresses(self, host: str, port: int, patience: float | None) -> list[str]:
        try:
            found = self._resolver(host, port) if self._resolver is not _look_up else _soon(host, port, patience)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("The host's name could not be found.") from None
        return list(dict.fromkeys(found))

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        raise not_public()


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline of the call that takes it."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


def _soon(host: str, port: int, patience: float | None) -> list[str]:
    """The machine's own look-up, which knows no deadline: given up, it ends by itself in a thread of its own."""
    if not _lookups.acquire(timeout=patience):
        raise httpcore.ConnectTimeout("Too many names are being looked up.")
    found: list[list[str] | Exception] = []

    def look() -> None:
        try:
            found.append(_look_up(host, port))
        except Exception as error:  # noqa: BLE001 # raised again by whoever asked
            found.append(error)
        finally:
            _lookups.release()

    thread = Thread(target=look, name="look-up", daemon=True)
    thread.start()
    thread.join(patience)
    if not found:
        raise httpcore.ConnectTimeout("The host's name could not be found in time.")
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Certificates are always verified; SSL_CERT_FILE names the authorities of a network of one's own."""
    context = httpx.create_ssl_context(trust_env=True)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
