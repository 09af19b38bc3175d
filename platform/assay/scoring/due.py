"""Which leads have to be scored, and when: all of scoring that a process needs in which leads change.

Nothing here loads the engine, whose libraries take as much memory as all the rest of such a process.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import BigInteger, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from assay.scoring.models import Due


def mark_due(session: Session, tenant_id: int, lead_ids: Collection[int], at: datetime | None = None) -> None:
    """These leads have to be scored at the latest ``at``; part of the transaction that changed them.

    Left away, it is the transaction's beginning: before anything that it learned. So a lead that is due later than its
    last news is due by itself.
    """
    # Ordered, as whoever locks rows of this table does it: two in different orders would wait for each other.
    ids = literal(sorted(lead_ids), ARRAY(BigInteger))
    rows = select(literal(tenant_id), func.unnest(ids), func.now() if at is None else literal(at))
    statement = insert(Due).from_select(["tenant_id", "lead_id", "due_at"], rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "lead_id"],
            set_={"due_at": func.least(Due.due_at, statement.excluded.due_at)},
        )
    )
