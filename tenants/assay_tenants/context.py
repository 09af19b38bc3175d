"""Who is acting: set by the door through which somebody came, read by the audit log."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["person", "key", "app", "operator", "system"]


@dataclass(frozen=True)
class Actor:
    """Somebody, or something, that changes a tenant's configuration."""

    kind: ActorKind
    #: Within its kind: a person's, key's or app's id; empty for the system.
    id: str
    name: str
    #: The network address that it came from; empty where there is none.
    address: str = ""


#: Jobs and the timetable.
SYSTEM = Actor("system", "", "Assay")

_actor: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)


def actor() -> Actor:
    return _actor.get()


def act_as(actor: Actor) -> None:
    """From here on, in this thread or task. A door that serves one request after the other calls it for each."""
    _actor.set(actor)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)
