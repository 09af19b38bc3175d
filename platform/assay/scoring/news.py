"""That scores change: what follows is part of the same transaction; and no change is dated before one told earlier."""

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Runs in the transaction that gave leads another score, or took one; some of the leads may be gone.
ScoresChangedAction = Callable[[Session, int, Collection[int]], None]

_actions: list[ScoresChangedAction] = []

# Held shared by who writes scores until the commit, and alone by who begins a list: no score that is dated before the
# list can then appear after it.
_LOCK = (
    "WITH locked AS MATERIALIZED (SELECT {}(hashtextextended('assay.scores', :t))) SELECT clock_timestamp() FROM locked"
)
_WRITING = text(_LOCK.format("pg_advisory_xact_lock_shared"))
_LISTING = text(_LOCK.format("pg_advisory_xact_lock"))


def on_scores_changed(action: ScoresChangedAction) -> ScoresChangedAction:
    """``action(session, tenant_id, lead_ids)`` becomes part of every transaction that changes scores; a decorator."""
    if action not in _actions:
        _actions.append(action)
    return action


def tell(session: Session, tenant_id: int, lead_ids: Collection[int]) -> None:
    """Of leads whose scores changed in this transaction, to ``on_scores_changed``."""
    if lead_ids:
        for action in _actions:
            action(session, tenant_id, lead_ids)


def writing(session: Session, tenant_id: int) -> datetime:
    """The instant that what is written from here to the commit is dated to."""
    now: datetime = session.execute(_WRITING, {"t": tenant_id}).scalar_one()
    return now


def listing(session: Session, tenant_id: int) -> datetime:
    """An instant: all that is dated before it can be read, all that comes later is dated after it."""
    now: datetime = session.execute(_LISTING, {"t": tenant_id}).scalar_one()
    return now
