"""Streams: a page and the place where it ends are kept in one transaction: a crash leaves neither gap nor double.

The first load runs in slices of a few seconds, between which others have their turn, and never further ahead of what
is understood than a few hundred messages.
"""

import json
import random
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import text

from assay import facts
from assay.intake.admission import Admission
from assay.syncing import circuits, leases
from assay.syncing.keeping import keep
from assay.syncing.leases import LEASE, Errand, LeaseLost
from assay_sdk import Link, Page, Source, Stream
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError

#: Of one stream, before others have their turn.
SLICE = timedelta(seconds=5)
#: Messages of a tenant that wait to be understood; with more, pulling waits.
BACKLOG = 500
BACKLOG_WAIT = timedelta(seconds=3)
#: Of the time between two looks: not all connections look in the same moment.
JITTER = 0.05

_STANDING = text("""
    SELECT s.cursor, l.source_id,
           (SELECT count(*) FROM (SELECT FROM intake.waiting w WHERE w.tenant_id = :tenant_id LIMIT :backlog) AS few)
               AS waiting
      FROM intake.streams s JOIN intake.links l ON l.tenant_id = :tenant_id AND l.connection_id = s.connection_id
     WHERE s.tenant_id = :tenant_id AND s.connection_id = :connection_id AND s.name = :name AND s.leased_until = :mine
""")
_STEP = text("""
    UPDATE intake.streams
       SET cursor = CAST(:cursor AS jsonb), records = records + :count, total = COALESCE(:total, total),
           loaded_at = CASE WHEN :more THEN loaded_at ELSE COALESCE(loaded_at, :now) END,
           newest_at = :newest_at, last_run_at = :now, last_success_at = :now, error = '', failures = 0,
           due_at = :until, leased_until = :until
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND name = :name AND leased_until = :mine
""")

_admission: Admission | None = None


class TooFarAhead(AssayError):
    """What was brought has to be understood first."""

    status = 429
    code = "backlog"
    after = BACKLOG_WAIT

    def __init__(self) -> None:
        super().__init__("Waits until what was brought so far is understood.")


def configure(admission: Admission) -> None:
    """From here on this process brings in no more than there is room for, and than a tenant's plan holds."""
    global _admission
    _admission = admission


def pull(errand: Errand, link: Link, source: Source) -> None:
    """One slice of a stream. Raises what the plugin raises, LeaseLost, and the AssayError that says why not now."""
    stream = _stream(source, errand.name)
    until = monotonic() + SLICE.total_seconds()
    while True:
        standing = _standing(errand)
        page = source.pull(link, stream.name, standing.cursor)
        if not isinstance(page, Page):
            raise TypeError("pull() gives a Page.")
        _keep(errand, standing.source_id, page)
        if not page.more or monotonic() >= until:
            break
    now = datetime.now(UTC)
    wait = timedelta(0) if page.more else stream.every * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 # no secret
    with tenant_session(errand.tenant_id) as session:
        leases.give_back(session, errand, now + wait)
    if page.more:
        facts.tell(facts.SyncDue(errand.tenant_id))


def _stream(source: Source, name: str) -> Stream:
    for stream in source.streams:
        if stream.name == name:
            return stream
    raise LookupError(f"There is no stream {name!r} any more.")


def _standing(errand: Errand) -> Any:
    """Where the stream stands, if more of it may be brought in now."""
    with tenant_session(errand.tenant_id) as session:
        standing = session.execute(_STANDING, {**errand.mine, "backlog": BACKLOG}).one_or_none()
    if standing is None:
        raise LeaseLost
    if standing.waiting >= BACKLOG:
        raise TooFarAhead
    need_room(errand.tenant_id)
    return standing


def need_room(tenant_id: int) -> None:
    """Raises the AssayError that says why no more may be brought in: there is no room, or its plan is used up."""
    if _admission is not None:
        _admission.admit(tenant_id, 1, 0)


def _keep(errand: Errand, source_id: int, page: Page) -> None:
    now = datetime.now(UTC)
    step = {
        "cursor": json.dumps(dict(page.cursor), allow_nan=False),
        "count": page.count,
        "total": page.total,
        "more": page.more,
        "newest_at": page.newest_at or now,
        "now": now,
        "until": now + LEASE,
    }
    with tenant_session(errand.tenant_id) as session:
        # The link before its streams, as everybody does who takes both.
        circuits.note_success(session, errand.tenant_id, errand.connection_id)
        if not session.execute(_STEP, {**errand.mine, **step}).rowcount:  # type: ignore[attr-defined] # an UPDATE has a cursor
            raise LeaseLost
        keep(session, errand.tenant_id, source_id, f"pull/{errand.name}", page.bodies)
    errand.leased_until, errand.began = now + LEASE, now
