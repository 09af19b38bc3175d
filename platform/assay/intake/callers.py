"""Whom a write key speaks for, remembered for a few seconds."""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic

from assay.intake.remembering import LIFETIME, SIZE, Memory
from assay_tenants.keys import Caller, find_caller

LONGEST_KEY = 128


class Callers:
    """A bounded memory of keys, wrong ones too: a sender that is set up wrongly may be a busy one."""

    def __init__(
        self, *, lifetime: timedelta = LIFETIME, size: int = SIZE, clock: Callable[[], float] = monotonic
    ) -> None:
        self._known: Memory[Caller | None] = Memory(lifetime=lifetime, size=size, clock=clock)

    def find(self, secret: str) -> Caller | None:
        if len(secret) > LONGEST_KEY:
            return None
        return self._known.get(secret, lambda: find_caller(secret, kind="write"))

    def forget(self) -> None:
        self._known.forget()
