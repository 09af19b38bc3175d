"""What can happen, past tense and frozen; told after the commit that made it true."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from assay_tenants.database import after_commit


@dataclass(frozen=True)
class Fact:
    tenant_id: int


class MessagesKept(Fact):
    """Raw messages are on disk and wait to be understood."""


class ImportReceived(Fact):
    """A whole file is on disk and waits to be read."""


class SyncDue(Fact):
    """A connection has something to pull, to fetch or to look after."""


class LeadsChanged(Fact):
    """Leads have new facts and are due for scoring."""


class StudyStarted(Fact):
    """A preview or replay of a draft waits to be worked out."""


class RescoreStarted(Fact):
    """Ranges of leads wait to be scored anew."""


class LetterRoundStarted(Fact):
    """All dead letters of a kind wait to be read again, or to be dismissed."""


class ErasureRequested(Fact):
    """A person waits to be erased."""


Listener = Callable[[Fact], None]

_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    if listener not in _listeners:
        _listeners.append(listener)


def stop_listening(listener: Listener) -> None:
    if listener in _listeners:
        _listeners.remove(listener)


def tell(fact: Fact) -> None:
    """For a fact whose commit has already happened."""
    for listener in _listeners:
        listener(fact)


def tell_after_commit(session: Session, fact: Fact) -> None:
    after_commit(session, lambda: tell(fact))
