"""Persons are erased in batches, each a transaction of its own from where the last one was: so it may stop anywhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from json import loads

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from assay.privacy import files, messages, records, traces, verifying
from assay.privacy.service import VERIFY
from assay.privacy.steps import Erasing
from assay.profiles.erasing.beginning import FIRST
from assay.profiles.erasing.models import Erasure
from assay_tenants import audit
from assay_tenants.database import tenant_session

log = structlog.get_logger()

#: Whoever had read the person's facts before they went has written what he made of them by then.
AFTERGLOW = timedelta(minutes=5)
#: Files that are still to be read are looked for again after this.
PAUSE = timedelta(minutes=10)
LAST_LOOK = "last_look"

STEPS: dict[str, Callable[[Erasing], None]] = {
    FIRST: records.begin,
    "events": records.events,
    "past": records.past,
    "messages": messages.messages,
    "letters": messages.letters,
    "refused_rows": files.refused,
    "files": files.files,
    "answers": traces.answers,
    "studies": traces.studies,
    "scores": records.scores,
    VERIFY: verifying.verify,
    LAST_LOOK: records.scores,
}
_AFTER = dict(pairwise(STEPS))
# Not the row's own lock: who turns the person away counts that in the row, while this batch waits for what he holds.
_MINE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('assay.erasing', :tenant_id))")


def drain_erasures(tenant_id: int, *, alone: bool = False) -> int:
    """One batch of the oldest erasure; 0 when there is none, or somebody else is at it.

    A batch stays small even if the tenant is ``alone``: others write to the same tables.
    """
    with tenant_session(tenant_id) as session:
        if not session.execute(_MINE, {"tenant_id": tenant_id}).scalar_one():
            return 0
        row = _next(session, tenant_id)
        if row is None:
            return 0
        erasing = Erasing(session, row, loads(row.place) if row.place else None)
        row.state = "done" if row.step == LAST_LOOK else "running"
        STEPS[row.step](erasing)
        erasing.settle()
        if erasing.place is None:
            _go_on(session, row)
    return 1


def _next(session: Session, tenant_id: int) -> Erasure | None:
    return session.scalars(
        select(Erasure)
        .where(Erasure.tenant_id == tenant_id, Erasure.due_at <= datetime.now(UTC))
        .order_by(Erasure.id)
        .limit(1)
    ).one_or_none()


def _go_on(session: Session, row: Erasure) -> None:
    now = datetime.now(UTC)
    if row.step == LAST_LOOK:
        row.due_at = None
    elif row.step != VERIFY:
        row.step = _AFTER[row.step]
        if row.step == VERIFY:
            row.erased_at = now
    else:
        _conclude(session, row, now)


def _conclude(session: Session, row: Erasure, now: datetime) -> None:
    row.verified_at = now
    waits = any(each["table"] == "intake.import_chunks" for each in row.found)
    left = verifying.stays(row.found)
    if left:
        row.state, row.step, row.due_at = "incomplete", FIRST, now + PAUSE if waits else None
    else:
        row.state, row.step, row.due_at, row.sealed = "done", LAST_LOOK, now + AFTERGLOW, None
    audit.record(
        session,
        row.tenant_id,
        "person.erased" if not left else "person.erasure_incomplete",
        row.id,
        after={"lead_ids": list(row.lead_ids)[:100], "rows": row.counts},
    )
    log.info("erasing.done", tenant_id=row.tenant_id, erasure_id=row.id, state=row.state, rows=row.counts)
