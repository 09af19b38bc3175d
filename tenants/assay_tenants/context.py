"""Who is acting, and through which door they came: set by that door, read by the audit log.

Threads serve one request after the other, so a door begins each one with ``arrive``, which forgets who was here before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["person", "key", "app", "operator", "system", "stranger"]


@dataclass(frozen=True)
class Actor:
    """Somebody, or something, that changes a tenant's configuration."""

    kind: ActorKind
    #: Within its kind: a person's, key's or app's id; empty for the system.
    id: str
    name: str
    #: The network address that it came from; empty where there is none.
    address: str = ""


@dataclass(frozen=True)
class Arrival:
    """How somebody came in."""

    #: ``web``, ``api``, ``command``; empty for what the workers do by themselves.
    door: str = ""
    address: str = ""
    #: By which the same request is found in other logs.
    request_id: str = ""


#: Jobs and the timetable.
SYSTEM = Actor("system", "", "Assay")
#: Whoever has not said yet who they are.
STRANGER = Actor("stranger", "", "Somebody not logged in")
#: Nobody came: the workers do it by themselves.
BY_ITSELF = Arrival()

_actor: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)
_arrival: ContextVar[Arrival] = ContextVar("arrival", default=BY_ITSELF)


def actor() -> Actor:
    return _actor.get()


def arrival() -> Arrival:
    return _arrival.get()


def arrive(door: str, *, address: str = "", request_id: str = "") -> None:
    """Somebody is at the door, of whom nothing is known yet."""
    _arrival.set(Arrival(door, address, request_id))
    _actor.set(STRANGER)


def depart() -> None:
    """The request is over: what this thread does next, nobody asked for."""
    _arrival.set(BY_ITSELF)
    _actor.set(SYSTEM)


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


@contextmanager
def acting_by_itself() -> Iterator[None]:
    """Work that no request waits for, whatever this thread did before."""
    arrived, acted = _arrival.set(BY_ITSELF), _actor.set(SYSTEM)
    try:
        yield
    finally:
        _actor.reset(acted)
        _arrival.reset(arrived)
