"""What was folded before an upgrade is folded by the rules of after it: companies first, then leads."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.facts import LeadsChanged, tell_after_commit
from assay.profiles import companies, knowing, leads, service
from assay_tenants.database import tenant_session

# A company may have thousands of people, who are folded with it.
COMPANIES = 100
LEADS = 1000
# Times as many while nobody else waits.
ALONE = 4

_TAKE = text("""
    DELETE FROM profiles.unfolded u
    USING (
        SELECT kind, id FROM profiles.unfolded
        WHERE tenant_id = :tenant_id AND kind = :kind ORDER BY id LIMIT :most
    ) taken
    WHERE u.tenant_id = :tenant_id AND u.kind = taken.kind AND u.id = taken.id
    RETURNING u.id
""")
_KEYS = text("""
    SELECT key FROM profiles.companies WHERE tenant_id = :tenant_id AND id = ANY(CAST(:ids AS bigint[]))
""")


def drain_unfolded(tenant_id: int, *, alone: bool = False) -> int:
    """Works off some of what waits, in one transaction; tells how much it was."""
    times = ALONE if alone else 1
    with tenant_session(tenant_id) as session:
        known_at = knowing.learn(session, tenant_id)
        taken = _take(session, tenant_id, "company", COMPANIES * times)
        if taken:
            keys = list(session.scalars(_KEYS, {"tenant_id": tenant_id, "ids": taken}))
            kept = companies.refresh(session, tenant_id, keys, known_at)
            changed = leads.refold(session, tenant_id, leads.of_companies(session, tenant_id, kept.renamed), known_at)
            changed |= leads.of_companies(session, tenant_id, kept.changed)
        else:
            taken = _take(session, tenant_id, "lead", LEADS * times)
            changed = leads.refold(session, tenant_id, taken, known_at)
        if changed:
            service.tell(session, tenant_id, changed)
            tell_after_commit(session, LeadsChanged(tenant_id))
    return len(taken)


def _take(session: Session, tenant_id: int, kind: str, most: int) -> list[int]:
    return list(session.scalars(_TAKE, {"tenant_id": tenant_id, "kind": kind, "most": most}))
