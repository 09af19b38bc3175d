"""The people of a company by their scores."""

from sqlalchemy import and_, func, or_
from sqlalchemy.orm import Session

from assay.profiles.company_queries import read_visible
from assay.profiles.models import Lead
from assay.scoring import asking, cursors
from assay.scoring.models import ModelRow, Score
from assay.scoring.queries import LARGEST_PAGE, PAGE, SCORE_COLUMNS, LeadPage, RankedLead, lead_columns, ranked_by
from assay_tenants.database import tenant_session

# Below all that have a score.
_NONE = -(2**62)


def people_of(
    tenant_id: int, company_id: int, *, model: str | None = None, cursor: str | None = None, limit: int = PAGE
) -> LeadPage:
    """Best first under ``model`` (default: the leading one), then those it does not score, each as of this moment.

    Further pages go on by the scores of then: somebody whose score moves meanwhile may be met twice or not at all.
    """
    with tenant_session(tenant_id) as session:
        company = read_visible(session, tenant_id, company_id)
        by = ranked_by(session, tenant_id, model)
        page = _page(session, tenant_id, company.id, by, cursor, max(1, min(limit, LARGEST_PAGE)))
    return asking.as_of_now(tenant_id, page)


def _page(
    session: Session, tenant_id: int, company_id: int, by: ModelRow | None, cursor: str | None, limit: int
) -> LeadPage:
    question = (tenant_id, company_id, by.id if by else None)
    scored = and_(Score.tenant_id == tenant_id, Score.lead_id == Lead.id, Score.model_id == (by.id if by else None))
    rank = func.coalesce(Score.total, _NONE)
    query = (
        lead_columns(tenant_id)
        .add_columns(*SCORE_COLUMNS)
        .outerjoin(Score, scored)
        .where(Lead.company_id == company_id)
        .order_by(rank.desc(), Lead.id)
        .limit(limit + 1)
    )
    if cursor is not None:
        total, lead_id = cursors.unpack(cursor, tuple[int, int], of=question)
        query = query.where(rank <= total, or_(rank < total, Lead.id > lead_id))
    items = [RankedLead(*row) for row in session.execute(query)]
    next_cursor = None
    if len(items) > limit:
        last = items[limit - 1]
        next_cursor = cursors.pack((_NONE if last.total is None else last.total, last.lead_id), of=question)
    return LeadPage(items[:limit], next_cursor, by.name if by else None)
