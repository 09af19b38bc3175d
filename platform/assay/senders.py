"""Whoever sends slowly takes no turn from others: a request whose body is waited for has none.

The web server waits for a body in the thread that asks for it, as long as the sender likes. So there are many more
threads than turns, and of one address only so many bodies are waited for. Senders that vanished in the middle are found
out by the kernel.
"""

import os
import socket
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Lock, Semaphore
from time import monotonic
from typing import TYPE_CHECKING, Any

from assay.intake.admission import network
from assay_tenants.errors import AssayError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Bodies of one address that may be waited for at a time, and those of them that take long: whoever sends very much, or
#: many behind one proxy, have some on their way at any moment.
OF_ONE_ADDRESS, SLOW_OF_ONE_ADDRESS = 128, 32
LONG = timedelta(seconds=2)
RETRY_AFTER = timedelta(seconds=10)
#: A sender of whom nothing was heard for so long is asked whether it is still there, so often, with such pauses.
SILENCE, ASKED, PAUSE = timedelta(seconds=60), 4, timedelta(seconds=15)


class TooManyWaiting(AssayError):
    status = 429
    code = "sent_too_slowly"
    after = RETRY_AFTER

    def __init__(self) -> None:
        super().__init__("Too many requests are waiting for their bodies. Send each one whole, and send it again.")


class Senders:
    """Gives requests their turns in front of an application."""

    def __init__(
        self,
        rest: "WSGIApplication",
        *,
        turns: int,
        waiting: int,
        of_one: int = OF_ONE_ADDRESS,
        slow: int = SLOW_OF_ONE_ADDRESS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``waiting`` is how many bodies may be waited for at a time: so many threads the server has besides."""
        self.rest = rest
        self._turns = Semaphore(turns)
        self._most, self._of_one, self._slow = waiting, of_one, slow
        self._clock = clock
        self._total = 0
        #: By address, since when each of its bodies is waited for; the oldest first.
        self._waiting: dict[str, list[float]] = {}
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ["wsgi.input"] = _Body(environ["wsgi.input"], lambda read: self._wait(environ, read))
        self._turns.acquire()
        try:
            answer = self.rest(environ, start_response)
        except BaseException:
            self._turns.release()
            raise
        if isinstance(answer, list):
            # The server sends a list at once.
            self._turns.release()
            return answer
        return _Answer(answer, self._turns.release)

    def _wait(self, environ: "WSGIEnvironment", read: Callable[[], Any]) -> Any:
        # Looked up now: what stands before the application may have put in place whose proxy this is.
        whose = network(environ.get("REMOTE_ADDR", ""))
        since = self._begin(whose)
        self._turns.release()
        try:
            return read()
        finally:
            self._end(whose, since)
            self._turns.acquire()

    def _begin(self, whose: str) -> float:
        with self._lock:
            now = self._clock()
            theirs = self._waiting.get(whose, [])
            slow = bisect_right(theirs, now - LONG.total_seconds())
            if len(theirs) >= self._of_one or slow >= self._slow or self._total >= self._most:
                raise TooManyWaiting
            self._waiting[whose] = theirs
            theirs.append(now)
            self._total += 1
        return now

    def _end(self, whose: str, since: float) -> None:
        with self._lock:
            theirs = self._waiting[whose]
            theirs.remove(since)
            self._total -= 1
            if not theirs:
                del self._waiting[whose]


class _Body:
    def __init__(self, stream: Any, wait: Callable[[Callable[[], Any]], Any]) -> None:
        self._stream = stream
        self._wait = wait

    def read(self, *size: int) -> Any:
        return self._wait(lambda: self._stream.read(*size))

    def readline(self, *size: int) -> Any:
        return self._wait(lambda: self._stream.readline(*size))

    def readlines(self, *hint: int) -> Any:
        return self._wait(lambda: self._stream.readlines(*hint))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")


class _Answer:
    """Its request is worked at until the last of it was taken, or whoever asked has gone."""

    def __init__(self, parts: Iterable[bytes], end: Callable[[], None]) -> None:
        self._parts = parts
        self._next = iter(parts)
        self._end: Callable[[], None] | None = end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._next)

    def close(self) -> None:
        end, self._end = self._end, None
        try:
            if hasattr(self._parts, "close"):
                self._parts.close()
        finally:
            if end is not None:
                end()


def notice_vanished() -> None:
    """Has the kernel end connections whose other side is gone: accepted ones take after those that listen."""
    for descriptor in Path("/dev/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as each:
            if not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) or each.family == socket.AF_UNIX:
                continue
            each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in (("KEEPIDLE", SILENCE), ("KEEPINTVL", PAUSE)):
                if hasattr(socket, f"TCP_{option}"):
                    each.setsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{option}"), int(value.total_seconds()))
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, ASKED)
