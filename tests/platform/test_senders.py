"""Who sends slowly, or never to the end, keeps nobody else from being answered."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from queue import Queue
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from assay.senders import Senders, TooManyWaiting, notice_vanished

PATIENCE = 5.0


class Slow:
    """A body that comes when it is let."""

    def __init__(self) -> None:
        self.asked, self.may_come = Event(), Event()

    def read(self, *size: int) -> bytes:
        self.asked.set()
        assert self.may_come.wait(PATIENCE)
        return b"all of it"


def reading(environ: Any, start_response: Any) -> list[bytes]:
    return [environ["wsgi.input"].read()]


def starting(*_: Any) -> Any:
    """Takes no heed of status and headers."""


def ask(senders: Senders, body: Any = None, *, address: str = "192.0.2.1") -> Any:
    return senders({"wsgi.input": body or BytesIO(b"at once"), "REMOTE_ADDR": address}, starting)


@pytest.fixture
def begin() -> Iterator[Callable[..., "Queue[Any]"]]:
    """Asks in a thread of its own; gives where the answer will be."""
    threads: list[Thread] = []

    def begun(senders: Senders, body: Any = None, **how: Any) -> "Queue[Any]":
        answers: Queue[Any] = Queue()
        threads.append(Thread(target=lambda: answers.put(ask(senders, body, **how))))
        threads[-1].start()
        return answers

    yield begun
    for thread in threads:
        thread.join(PATIENCE)


def test_whoever_is_waited_for_takes_no_turn(begin: Callable[..., "Queue[Any]"]) -> None:
    senders, slow = Senders(reading, turns=1, waiting=8), [Slow() for _ in range(4)]
    answers = [begin(senders, each) for each in slow]
    assert all(each.asked.wait(PATIENCE) for each in slow)
    assert ask(senders) == [b"at once"]
    for each in slow:
        each.may_come.set()
    assert [each.get(timeout=PATIENCE) for each in answers] == [[b"all of it"]] * 4


def test_only_so_many_are_worked_at(begin: Callable[..., "Queue[Any]"]) -> None:
    slow = Slow()
    senders = Senders(lambda *_: [slow.read()], turns=1, waiting=8)
    first = begin(senders)
    assert slow.asked.wait(PATIENCE)
    second = begin(senders)
    assert (first.empty(), second.empty()) == (True, True)
    slow.may_come.set()
    assert [each.get(timeout=PATIENCE) for each in (first, second)] == [[b"all of it"]] * 2


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [
        pytest.param("192.0.2.1", True, id="the same"),
        pytest.param("::ffff:192.0.2.1", True, id="the same in other words"),
        pytest.param("192.0.2.2", False, id="another"),
        pytest.param("2001:db8::1", False, id="of another kind"),
    ],
)
def test_of_one_address_few_are_waited_for(
    begin: Callable[..., "Queue[Any]"], address: str, *, is_refused: bool
) -> None:
    senders, slow = Senders(reading, turns=1, waiting=8, of_one=2), [Slow(), Slow()]
    answers = [begin(senders, each) for each in slow]
    assert all(each.asked.wait(PATIENCE) for each in slow)
    if is_refused:
        with pytest.raises(TooManyWaiting):
            ask(senders, address=address)
    else:
        assert ask(senders, address=address) == [b"at once"]
    for each in slow:
        each.may_come.set()
    for answer in answers:
        answer.get(timeout=PATIENCE)
    assert ask(senders, address=address) == [b"at once"]


def test_of_all_together_only_as_many_as_there_are_threads_for(begin: Callable[..., "Queue[Any]"]) -> None:
    senders, slow = Senders(reading, turns=1, waiting=1), Slow()
    answer = begin(senders, slow)
    assert slow.asked.wait(PATIENCE)
    with pytest.raises(TooManyWaiting):
        ask(senders, address="192.0.2.2")
    slow.may_come.set()
    answer.get(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("seconds", "is_refused"), [pytest.param(1.9, False, id="not yet"), pytest.param(2.0, True, id="for long")]
)
def test_of_those_that_take_long_there_are_fewer(
    begin: Callable[..., "Queue[Any]"], seconds: float, *, is_refused: bool
) -> None:
    now = 100.0
    senders, slow = Senders(reading, turns=1, waiting=8, of_one=4, slow=1, clock=lambda: now), Slow()
    answer = begin(senders, slow)
    assert slow.asked.wait(PATIENCE)
    now += seconds
    if is_refused:
        with pytest.raises(TooManyWaiting):
            ask(senders)
    else:
        assert ask(senders) == [b"at once"]
    slow.may_come.set()
    answer.get(timeout=PATIENCE)
    assert ask(senders) == [b"at once"]


def test_a_proxy_tells_whose_it_is() -> None:
    def behind(environ: Any, start_response: Any) -> list[bytes]:
        environ["REMOTE_ADDR"] = environ["HTTP_X_FORWARDED_FOR"]
        return reading(environ, start_response)

    class Looking(BytesIO):
        def read(self, *size: Any) -> bytes:
            return repr(list(senders._waiting)).encode()

    senders = Senders(behind, turns=1, waiting=8)
    environ = {"wsgi.input": Looking(), "REMOTE_ADDR": "192.0.2.9", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}
    assert senders(environ, starting) == [b"['192.0.2.1']"]


def test_every_way_to_read_a_body() -> None:
    lines = b"one\ntwo\n"
    found: list[Any] = []

    def read(environ: Any, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"]
        found.extend([body.read(2), body.readline(), list(body)])
        return []

    senders = Senders(read, turns=1, waiting=8)
    ask(senders, BytesIO(lines))
    assert found == [b"on", b"e\n", [b"two\n"]]
    ask(Senders(lambda environ, _: environ["wsgi.input"].readlines(), turns=1, waiting=8), BytesIO(lines))


class TestTurns:
    """Each comes back, whatever came of it."""

    def test_after_an_error(self) -> None:
        senders = Senders(lambda *_: 1 / 0, turns=1, waiting=8)  # type: ignore[arg-type] # on purpose
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                ask(senders)

    @pytest.mark.parametrize("taken", [True, False], ids=["taken", "left"])
    def test_of_an_answer_in_parts_when_it_is_over(self, begin: Callable[..., "Queue[Any]"], *, taken: bool) -> None:
        closed: list[bool] = []

        class Parts:
            def __iter__(self) -> Iterator[bytes]:
                return iter((b"one", b"two"))

            def close(self) -> None:
                closed.append(True)

        senders = Senders(lambda *_: Parts(), turns=1, waiting=8)
        answer = ask(senders)
        other = begin(senders)
        if taken:
            assert list(answer) == [b"one", b"two"]
        assert other.empty()
        answer.close()
        answer.close()
        other.get(timeout=PATIENCE).close()
        assert closed[0]


def test_connections_to_whoever_vanished_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        notice_vanished()
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_server_answers_others_while_bodies_do_not_come(serve: Callable[..., Any]) -> None:
    head = b"POST /hooks/nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with serve(ASSAY_WEB_THREADS="2") as port:
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(140)]
        for each in slow:
            each.sendall(head)
        other = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        other.request("GET", "/healthz")
        assert other.getresponse().status == 200
        other.close()
        # Beyond what may wait of one address, it is said so at once.
        slow[-1].settimeout(PATIENCE)
        until, told = time.monotonic() + PATIENCE, b""
        while time.monotonic() < until and not told:
            for each in slow:
                each.setblocking(False)
                try:
                    told = told or each.recv(4096)
                except BlockingIOError:
                    continue
            time.sleep(0.01)
        assert told.startswith(b"HTTP/1.1 429 ")
        assert b"sent_too_slowly" in told
        for each in slow:
            each.close()


@pytest.mark.parametrize("path", ["/v1/track", "/hooks/hubspot", "/hooks/billing", "/log-in", "/oauth/token"])
def test_every_door_says_so(app: Flask, path: str) -> None:
    class Refused:
        def read(self, *size: int) -> bytes:
            raise TooManyWaiting

    environ = EnvironBuilder(path, method="POST", content_type="application/x-www-form-urlencoded").get_environ()
    environ |= {"wsgi.input": Refused(), "CONTENT_LENGTH": "9", "wsgi.input_terminated": True}
    _, status, _ = run_wsgi_app(app.wsgi_app, environ, buffered=True)
    assert status.startswith("429 ")
