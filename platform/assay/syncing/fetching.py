"""Records that notices named without saying what is in them are fetched: many at once, each once."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay import facts, plugins
from assay_sdk import Fetch
from assay_tenants.database import after_commit

#: Tries after which a record is dead: of one that is refused, and of one at which the vendor only ever fails, which
#: looks the same as a vendor that is away.
TRIES = 8
TRIES_OF_FAILING = 24
#: After so many tries, records are asked for a few at a time, then each by itself: one of them may be at fault.
FEW, SINGLE = 1, 3

# Named again while it is being fetched, a record is fetched once more afterwards; otherwise soon, with others.
_WANT = text("""
    INSERT INTO intake.wanted (tenant_id, connection_id, kind, record_id, due_at)
    SELECT :tenant_id, l.connection_id, n.kind, n.record_id, now() + interval '1 second'
    FROM (SELECT DISTINCT source_id, kind, record_id
          FROM unnest(CAST(:sources AS bigint[]), CAST(:kinds AS text[]), CAST(:ids AS text[]))
               AS n (source_id, kind, record_id)) AS n
    JOIN intake.links l ON l.tenant_id = :tenant_id AND l.source_id = n.source_id
    ORDER BY l.connection_id, n.kind, n.record_id
    ON CONFLICT (tenant_id, connection_id, kind, record_id)
    DO UPDATE SET asked = wanted.asked + 1, attempts = 0, error = '',
                  due_at = CASE WHEN wanted.leased_until > now() THEN wanted.due_at
                                ELSE LEAST(wanted.due_at, now() + interval '1 second') END
""")
# Materialised: looked at row by row, each look would find others to lock.
_TAKE = text("""
    WITH due AS MATERIALIZED (
        SELECT record_id FROM intake.wanted
         WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND kind = :kind AND due_at <= :now
           AND attempts BETWEEN :least AND :most
         ORDER BY due_at, record_id LIMIT :size FOR UPDATE SKIP LOCKED
    )
    UPDATE intake.wanted w SET leased_until = :until, due_at = :until
      FROM due
     WHERE w.tenant_id = :tenant_id AND w.connection_id = :connection_id AND w.kind = :kind
       AND w.record_id = due.record_id
    RETURNING w.record_id, w.asked
""")
_DONE = text("""
    DELETE FROM intake.wanted w
     USING unnest(CAST(:ids AS text[]), CAST(:asked AS integer[])) AS done (record_id, asked)
     WHERE w.tenant_id = :tenant_id AND w.connection_id = :connection_id AND w.kind = :kind
       AND w.record_id = done.record_id AND w.asked = done.asked
""")
_MINE = text("""
    SELECT record_id FROM intake.wanted
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND kind = :kind
       AND record_id = ANY(CAST(:ids AS text[])) AND leased_until = :mine
     ORDER BY record_id FOR UPDATE
""")
_AGAIN = text("""
    UPDATE intake.wanted SET leased_until = NULL, due_at = now()
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND kind = :kind
       AND record_id = ANY(CAST(:ids AS text[])) AND leased_until = :mine
""")
_REVIVE = text("""
    UPDATE intake.wanted SET attempts = 0, due_at = now()
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND due_at IS NULL
""")


def want(session: Session, tenant_id: int, fetches: Sequence[tuple[int, Fetch]]) -> None:
    """Has them fetched soon, by the connection whose source named them; part of the transaction that understood it."""
    if fetches:
        session.execute(
            _WANT,
            {
                "tenant_id": tenant_id,
                "sources": [source_id for source_id, _ in fetches],
                "kinds": [fetch.kind for _, fetch in fetches],
                "ids": [fetch.id for _, fetch in fetches],
            },
        )


def take(
    session: Session,
    tenant_id: int,
    connection_id: int,
    plugin: str,
    kind: str,
    *,
    now: datetime,
    until: datetime,
) -> Mapping[str, int]:
    """Leases the next batch: the records, each with how often it was asked for."""
    service = plugins.installed().services.get(plugin)
    batch = service.source.fetch_batch if service and service.source else 1
    for least, most, size in ((0, FEW - 1, batch), (FEW, SINGLE - 1, max(1, batch // 10)), (SINGLE, 2**30, 1)):
        taken = session.execute(
            _TAKE,
            {
                "tenant_id": tenant_id,
                "connection_id": connection_id,
                "kind": kind,
                "now": now,
                "until": until,
                "least": least,
                "most": most,
                "size": size,
            },
        ).all()
        if taken:
            return {row.record_id: row.asked for row in taken}
    return {}


def finish(
    session: Session, tenant_id: int, connection_id: int, kind: str, wanted: Mapping[str, int], mine: datetime
) -> bool:
    """They were fetched; those that were named again meanwhile are fetched again.

    Tells whether any of them was the caller's still: otherwise somebody else is at them, and this changes nothing.
    """
    whose = {"tenant_id": tenant_id, "connection_id": connection_id, "kind": kind, "ids": list(wanted), "mine": mine}
    held = list(session.scalars(_MINE, whose))
    session.execute(_DONE, {**whose, "ids": held, "asked": [wanted[id_] for id_ in held]})
    session.execute(_AGAIN, whose)
    return bool(held)


def retry_dead(session: Session, tenant_id: int, connection_id: int) -> int:
    """Has those tried again that were given up; tells how many there are."""
    revived = session.execute(_REVIVE, {"tenant_id": tenant_id, "connection_id": connection_id})
    after_commit(session, lambda: facts.tell(facts.SyncDue(tenant_id)))
    return int(revived.rowcount)  # type: ignore[attr-defined] # an UPDATE has a cursor
