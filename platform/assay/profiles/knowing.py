"""Since when something is known: one instant for all that a transaction learns, and no fact between two of them.

Whoever learns holds a lock until its commit, and dates what it learns to an instant after it got the lock. Whoever
holds the lock shared therefore sees everything that was learned before the instant it reads then, and nothing later.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

_KEY = "hashtextextended('assay.profiles', :tenant_id)"
# The lock comes first: only then is the clock read.
_LOCKED = "WITH locked AS MATERIALIZED (SELECT {}) SELECT clock_timestamp() AS at FROM locked"
_LEARN = text(_LOCKED.format(f"pg_advisory_xact_lock({_KEY})"))
_HOLD = text(_LOCKED.format(f"pg_advisory_xact_lock_shared({_KEY})"))


def learn(session: Session, tenant_id: int) -> datetime:
    """From here to the commit nobody else learns anything of this tenant's leads; since when all of it is known."""
    known_at: datetime = session.execute(_LEARN, {"tenant_id": tenant_id}).scalar_one()
    return known_at


def hold(session: Session, tenant_id: int) -> None:
    """Waits for whoever is learning; from here to the end of the transaction nobody begins."""
    session.execute(_HOLD, {"tenant_id": tenant_id})
