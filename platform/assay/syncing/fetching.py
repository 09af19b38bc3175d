"""Records that notices named without saying what is in them are fetched: many at once, each once."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay_sdk import Fetch

_WANT = text("""
    INSERT INTO intake.wanted (tenant_id, connection_id, kind, record_id, due_at)
    SELECT :tenant_id, l.connection_id, n.kind, n.record_id, now()
    FROM (SELECT DISTINCT source_id, kind, record_id
          FROM unnest(CAST(:sources AS bigint[]), CAST(:kinds AS text[]), CAST(:ids AS text[]))
               AS n (source_id, kind, record_id)) AS n
    JOIN intake.links l ON l.tenant_id = :tenant_id AND l.source_id = n.source_id
    ORDER BY l.connection_id, n.kind, n.record_id
    ON CONFLICT (tenant_id, connection_id, kind, record_id)
    DO UPDATE SET asked = wanted.asked + 1, attempts = 0, error = '', due_at = now()
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
