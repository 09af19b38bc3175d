"""Keeps child processes running until told to stop, then stops them in order; sleeps while nothing happens."""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Self

from assay.lifeline import die_with_parent
from assay.servers import Server

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
FIRST_DELAY = 0.5
# Work waits as long as its worker does.
LONGEST_DELAY = 8.0
# Whoever ran this long was well; its next failure is a first one again.
WELL_AFTER = 10.0


class StartFailed(Exception):
    """A child ended before everything was up: starting it over and over would help nobody."""


class Signals:
    """Signals as something one can wait for."""

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before = {number: signal.signal(number, _noted) for number in (*STOP_SIGNALS, signal.SIGCHLD)}
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float | None) -> frozenset[int]:
        """The signals that came, or came before it was asked; none when the time is up."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        return frozenset(self._reader.recv(4096)) if ready else frozenset()


def _noted(_: int, __: FrameType | None) -> None:
    """The number has gone through the wakeup descriptor; without a handler it would not."""


@dataclass
class Child:
    """A process to be kept running, or with `once`, one that ends when its work is done."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    patience: float
    once: bool = False
    process: subprocess.Popen[bytes] | None = None
    delay: float = FIRST_DELAY
    started_at: float = 0.0
    due_at: float = field(default=0.0)

    def start(self) -> None:
        parent = os.getpid()
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            # Its own group: Ctrl-C in a terminal reaches the supervisor alone, which stops all in order.
            process_group=0,
            preexec_fn=lambda: die_with_parent(parent),
        )

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def plan_restart(self) -> None:
        if time.monotonic() - self.started_at > WELL_AFTER:
            self.delay = FIRST_DELAY
        self.due_at = time.monotonic() + self.delay
        self.delay = min(self.delay * 2, LONGEST_DELAY)
        self.process = None


class Supervisor:
    def __init__(self, signals: Signals, servers: Sequence[Server], say: Callable[[str], None]) -> None:
        self.signals = signals
        self.servers = servers
        self.say = say
        self.children: list[Child] = []
        self.stopping = False

    def add(self, child: Child) -> None:
        """Starts it; those added last are stopped first."""
        self.children.append(child)
        child.start()

    def run_once(self, child: Child) -> bool:
        """Runs it to its end; False when asked to stop meanwhile."""
        self.add(child)
        while not child.has_ended():
            if self.signals.wait(None) & STOP_SIGNALS:
                self.stopping = True
                return False
        self.children.remove(child)
        if child.process and child.process.returncode:
            raise StartFailed(f"{child.name} failed; see above.")
        return True

    def wait_until(self, is_so: Callable[[], bool]) -> bool:
        """Waits while everything comes up; False when asked to stop meanwhile."""
        while not is_so():
            if self.signals.wait(0.05) & STOP_SIGNALS:
                self.stopping = True
                return False
            for child in self.children:
                if child.has_ended() and not child.once:
                    raise StartFailed(f"{child.name} ended while starting; see above.")
        return True

    def keep(self) -> None:
        """Restarts what ends, until asked to stop."""
        while not self.stopping:
            self._restart_ended()
            planned = [child.due_at for child in self.children if child.process is None]
            seconds = max(0.0, min(planned) - time.monotonic()) if planned else None
            if self.signals.wait(seconds) & STOP_SIGNALS:
                self.stopping = True

    def _restart_ended(self) -> None:
        for server in self.servers:
            if server.process is not None and server.process.poll() is not None:
                self.say(f"{server.name} ended ({_how(server.process.returncode)}); starting it again.")
                server.start()
        for child in list(self.children):
            if child.process is None:
                if time.monotonic() >= child.due_at:
                    child.start()
            elif child.has_ended():
                if child.once:
                    self.children.remove(child)
                    continue
                how = _how(child.process.returncode)
                self.say(f"{child.name} ended ({how}); starting it again in {child.delay:g} s.")
                child.plan_restart()

    def stop(self) -> None:
        """Stops the children, the last added first, each with its patience; a second Ctrl-C ends the patience."""
        for child in reversed(self.children):
            if child.process is None:
                continue
            if not child.has_ended():
                child.process.terminate()
            deadline = time.monotonic() + child.patience
            while not child.has_ended():
                left = deadline - time.monotonic()
                if left <= 0 or self.signals.wait(left) & STOP_SIGNALS:
                    self.say(f"{child.name} did not stop in time; killing it. Nothing accepted is lost.")
                    child.process.kill()
                    child.process.wait()
        self.children.clear()


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
