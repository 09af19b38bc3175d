"""Every SELECT of this stage. Points are thousandths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, null, or_, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from assay.profiles.models import Company, KnownAs, Lead
from assay.profiles.naming import COMPANY_NAMES, folded
from assay.scoring import cursors
from assay.scoring.errors import NoSuchModel, NoSuchVersion
from assay.scoring.models import ModelRow, ModelVersion, Score, ScoreHistory
from assay.scoring.news import listing
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput

AnySelect = Select[*tuple[Any, ...]]

PAGE = 50
LARGEST_PAGE = 200
_LARGEST_NUMBER = 2**31 - 1
# When what is still so will be replaced.
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RankedLead:
    """A line of the list; what belongs to a score is None while no model is published."""

    lead_id: int
    name: str | None
    email: str | None
    company: str | None
    last_seen_at: datetime
    total: int | None = None
    raw: int | None = None
    stage: str | None = None
    grade: str | None = None
    dimensions: dict[str, int] | None = None
    override: str | None = None
    disqualified: str | None = None
    next_change: datetime | None = None
    #: Of the version that scored.
    version: int | None = None


@dataclass(frozen=True)
class LeadPage:
    items: list[RankedLead]
    next_cursor: str | None
    #: The model that ranked them; None: no model is published, the newest activity comes first.
    model: str | None


@dataclass(frozen=True)
class LeadScore:
    model: str
    title: str
    version: int
    total: int
    raw: int
    dimensions: dict[str, int]
    stage: str | None
    grade: str | None
    #: Ids of the override that fixes the total, and of the one that disqualifies.
    override: str | None
    disqualified: str | None
    next_change: datetime | None
    scored_at: datetime
    #: Of the models that apply to the lead, this one has the highest precedence.
    leading: bool = False


@dataclass(frozen=True)
class PastScore:
    at: datetime
    #: None: it still is what it was then.
    until: datetime | None
    version: int
    total: int
    raw: int
    dimensions: dict[str, int]
    stage: str | None
    grade: str | None
    override: str | None
    disqualified: str | None


@dataclass(frozen=True)
class HistoryPage:
    """Newest first."""

    items: list[PastScore]
    next_cursor: str | None


@dataclass(frozen=True)
class LiveVersion:
    """The version of a model that scores now."""

    model_id: int
    name: str
    number: int
    hash: str
    #: The hash of each model that it refers to.
    pins: dict[str, str]


#: Of a score, as ``RankedLead`` takes them.
SCORE_COLUMNS = (
    Score.total,
    Score.raw,
    Score.stage,
    Score.grade,
    Score.dimensions,
    Score.override,
    Score.disqualified,
    Score.next_change,
    Score.version,
)


def list_models(tenant_id: int) -> list[ModelRow]:
    """In the order they were made."""
    with tenant_session(tenant_id) as session:
        return list(session.scalars(select(ModelRow).where(ModelRow.tenant_id == tenant_id).order_by(ModelRow.id)))


def list_published(tenant_id: int) -> list[ModelRow]:
    """Those that score: the leading one first, of the highest precedence and, where that is equal, the oldest."""
    with tenant_session(tenant_id) as session:
        return list(session.scalars(_published(tenant_id)))


def get_model(tenant_id: int, name: str) -> ModelRow:
    with tenant_session(tenant_id) as session:
        return read_model(session, tenant_id, name)


def read_model(session: Session, tenant_id: int, name: str, *, lock: bool = False) -> ModelRow:
    # PostgreSQL stores no NUL and psycopg refuses half a surrogate pair: no model has such a name.
    if not name.isprintable():
        raise NoSuchModel
    query = select(ModelRow).where(ModelRow.tenant_id == tenant_id, ModelRow.name == name)
    row = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NoSuchModel
    return row


def list_versions(tenant_id: int, name: str) -> list[ModelVersion]:
    """Newest first."""
    with tenant_session(tenant_id) as session:
        model = read_model(session, tenant_id, name)
        return list(
            session.scalars(
                select(ModelVersion)
                .where(ModelVersion.tenant_id == tenant_id, ModelVersion.model_id == model.id)
                .order_by(ModelVersion.number.desc())
            )
        )


def get_version(tenant_id: int, name: str, number: int) -> ModelVersion:
    with tenant_session(tenant_id) as session:
        return read_version(session, tenant_id, read_model(session, tenant_id, name).id, number)


def read_version(session: Session, tenant_id: int, model_id: int, number: int) -> ModelVersion:
    row = None
    if number <= _LARGEST_NUMBER:
        row = session.scalars(
            select(ModelVersion).where(
                ModelVersion.tenant_id == tenant_id, ModelVersion.model_id == model_id, ModelVersion.number == number
            )
        ).one_or_none()
    if row is None:
        raise NoSuchVersion
    return row


def read_live_versions(session: Session, tenant_id: int) -> list[LiveVersion]:
    rows = session.execute(
        select(ModelRow.id, ModelRow.name, ModelVersion.number, ModelVersion.hash, ModelVersion.pins)
        .join(ModelVersion, and_(ModelVersion.tenant_id == ModelRow.tenant_id, ModelVersion.model_id == ModelRow.id))
        .where(
            ModelRow.tenant_id == tenant_id,
            ModelVersion.tenant_id == tenant_id,
            ModelVersion.number == ModelRow.published_version,
        )
        .order_by(ModelRow.id)
    )
    return [LiveVersion(*row) for row in rows]


def list_leads(
    tenant_id: int,
    *,
    model: str | None = None,
    stage: str | None = None,
    text: str | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
    identity: tuple[str, str] | None = None,
) -> LeadPage:
    """Best first under ``model`` (default: the leading one); further pages rank as when the first was read.

    So paging meets each lead once, however scores move meanwhile. While no model is published, the newest activity
    comes first, and a lead that is active again meanwhile goes to the top of the next listing.

    With an ``identity``, its kind and value, the page holds the lead of whom it is, ranked or not; nobody else.
    """
    for field, value in (("stage", stage), ("text", text), identity or ("", None)):
        if value is not None and "\x00" in value:
            raise BadInput("The character U+0000 is in no text of ours.", field=field)
    limit = max(1, min(limit, LARGEST_PAGE))
    question = (tenant_id, model, stage, text)
    with tenant_session(tenant_id) as session:
        by = ranked_by(session, tenant_id, model)
        if identity is not None:
            return _identified(session, tenant_id, by, identity)
        if by is None:
            return _by_activity(session, tenant_id, text, cursor, limit, question)
        last: tuple[int, int] | None = None
        if cursor is None:
            started = listing(session, tenant_id)
        else:
            since, total, lead_id, model_id = cursors.unpack(cursor, tuple[int, int, int, int], of=question)
            started, last = cursors.instant(since), (total, lead_id)
            # Another model may lead meanwhile.
            by = by if by.id == model_id else _model_of(session, tenant_id, model_id)
        ranks = session.execute(
            _ranks(tenant_id, by.id, stage=stage, text=text, started=started, last=last, limit=limit + 1)
        ).all()
        items = _ranked(session, tenant_id, by.id, [row.lead_id for row in ranks[:limit]])
    next_cursor = None
    if len(ranks) > limit:
        final = ranks[limit - 1]
        next_cursor = cursors.pack((cursors.microseconds(started), final.total, final.lead_id, by.id), of=question)
    return LeadPage(items, next_cursor, by.name)


def ranked_by(session: Session, tenant_id: int, name: str | None) -> ModelRow | None:
    if name is not None:
        return read_model(session, tenant_id, name)
    return session.scalars(_published(tenant_id).limit(1)).one_or_none()


def _model_of(session: Session, tenant_id: int, model_id: int) -> ModelRow:
    row = session.get(ModelRow, (tenant_id, model_id))
    if row is None:
        raise NoSuchModel
    return row


def _published(tenant_id: int) -> Select[ModelRow]:
    return (
        select(ModelRow)
        .where(ModelRow.tenant_id == tenant_id, ModelRow.published_version.is_not(None))
        .order_by(ModelRow.precedence.desc(), ModelRow.id)
    )


def _ranks(
    tenant_id: int,
    model_id: int,
    *,
    stage: str | None,
    text: str | None,
    started: datetime,
    last: tuple[int, int] | None,
    limit: int,
) -> AnySelect:
    """Lead ids with the total that ranks them: the one they had when paging started."""

    def arm(table: type[Score | ScoreHistory], *conditions: ColumnElement[bool]) -> AnySelect:
        query = select(table.lead_id, table.total).where(
            table.tenant_id == tenant_id, table.model_id == model_id, *conditions
        )
        if last is not None:
            query = query.where(table.total <= last[0], or_(table.total < last[0], table.lead_id > last[1]))
        if stage is not None:
            query = query.where(table.stage == stage)
        if text is not None:
            query = query.join(Lead, and_(Lead.tenant_id == table.tenant_id, Lead.id == table.lead_id)).where(
                Lead.tenant_id == tenant_id, _matches(text)
            )
        # Limited within: so each arm reads a page of its index instead of sorting all that follows.
        return query.order_by(table.total.desc(), table.lead_id).limit(limit)

    if last is None:
        return arm(Score)
    both = union_all(
        arm(Score, Score.recorded_at <= started),
        arm(ScoreHistory, ScoreHistory.recorded_at <= started, ScoreHistory.replaced_at > started),
    ).subquery()
    return select(both.c.lead_id, both.c.total).order_by(both.c.total.desc(), both.c.lead_id).limit(limit)


def _ranked(session: Session, tenant_id: int, model_id: int, lead_ids: Sequence[int]) -> list[RankedLead]:
    rows = session.execute(
        lead_columns(tenant_id)
        .add_columns(*SCORE_COLUMNS)
        .join(Score, and_(Score.tenant_id == Lead.tenant_id, Score.lead_id == Lead.id))
        .where(Score.tenant_id == tenant_id, Score.model_id == model_id, Lead.id.in_(lead_ids))
    )
    found = {row.id: RankedLead(*row) for row in rows}
    return [found[lead_id] for lead_id in lead_ids if lead_id in found]


def _identified(session: Session, tenant_id: int, by: ModelRow | None, identity: tuple[str, str]) -> LeadPage:
    kind, value = identity
    lead_id = session.scalars(
        select(KnownAs.lead_id).where(KnownAs.tenant_id == tenant_id, KnownAs.kind == kind, KnownAs.value == value)
    ).one_or_none()
    if lead_id is None:
        return LeadPage([], None, by.name if by else None)
    items = _ranked(session, tenant_id, by.id, [lead_id]) if by else []
    if not items:
        items = [RankedLead(*row) for row in session.execute(lead_columns(tenant_id).where(Lead.id == lead_id))]
    return LeadPage(items, None, by.name if by else None)


def _by_activity(
    session: Session, tenant_id: int, text: str | None, cursor: str | None, limit: int, question: object
) -> LeadPage:
    query = lead_columns(tenant_id).order_by(Lead.last_seen_at.desc(), Lead.id).limit(limit + 1)
    if text is not None:
        query = query.where(_matches(text))
    if cursor is not None:
        since, lead_id = cursors.unpack(cursor, tuple[int, int], of=question)
        seen = cursors.instant(since)
        query = query.where(Lead.last_seen_at <= seen, or_(Lead.last_seen_at < seen, Lead.id > lead_id))
    items = [RankedLead(*row) for row in session.execute(query)]
    next_cursor = None
    if len(items) > limit:
        last = items[limit - 1]
        next_cursor = cursors.pack((cursors.microseconds(last.last_seen_at), last.lead_id), of=question)
    return LeadPage(items[:limit], next_cursor, None)


def lead_columns(tenant_id: int) -> AnySelect:
    own = (_text(Lead.traits, name) for name in COMPANY_NAMES)
    told = (_text(Company.traits, "name"), _text(Company.traits, "domain"))
    company = func.coalesce(*told, func.regexp_replace(Company.key, "^(id|vendor):", ""), *own)
    return (
        select(Lead.id, Lead.name, Lead.email, company, Lead.last_seen_at)
        .outerjoin(Company, and_(Company.tenant_id == Lead.tenant_id, Company.id == Lead.company_id))
        .where(Lead.tenant_id == tenant_id)
    )


def _text(traits: InstrumentedAttribute[dict[str, Any]], name: str) -> ColumnElement[str | None]:
    """A trait that is a text and says something."""
    words = func.nullif(func.btrim(traits[name].astext), "")
    return case((func.jsonb_typeof(traits[name]) == "string", words))


def _matches(text: str) -> ColumnElement[bool]:
    return Lead.search_key.contains(folded(text), autoescape=True)


def scores_of(tenant_id: int, lead_id: int) -> list[LeadScore]:
    """A lead's score under each published model that applies to it, the leading one first."""
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            select(
                ModelRow.name,
                ModelRow.title,
                Score.version,
                Score.total,
                Score.raw,
                Score.dimensions,
                Score.stage,
                Score.grade,
                Score.override,
                Score.disqualified,
                Score.next_change,
                Score.scored_at,
            )
            .join(ModelRow, and_(ModelRow.tenant_id == Score.tenant_id, ModelRow.id == Score.model_id))
            .where(Score.tenant_id == tenant_id, ModelRow.tenant_id == tenant_id, Score.lead_id == lead_id)
            .order_by(ModelRow.precedence.desc(), ModelRow.id)
        )
        return led([LeadScore(*tuple[Any, ...](row)) for row in rows])


def led(scores: Sequence[LeadScore]) -> list[LeadScore]:
    """The first one, of scores that stand in the order of their models' precedence, leads."""
    return [replace(score, leading=place == 0) for place, score in enumerate(scores)]


def history(
    tenant_id: int, lead_id: int, model: str, *, cursor: str | None = None, limit: int = LARGEST_PAGE
) -> HistoryPage:
    """How a lead's score under one model came to be what it is."""
    question = (tenant_id, lead_id, model)
    with tenant_session(tenant_id) as session:
        model_id = read_model(session, tenant_id, model).id
        past = _spans(ScoreHistory, tenant_id, lead_id, model_id, ScoreHistory.at, ScoreHistory.until)
        now = _spans(Score, tenant_id, lead_id, model_id, Score.scored_at, null())
        both = union_all(
            past.add_columns(ScoreHistory.replaced_at),
            now.add_columns(literal(_NEVER, type_=ScoreHistory.replaced_at.type)),
        ).subquery()
        at, replaced_at = both.c.at, both.c.replaced_at
        query = select(both).order_by(at.desc(), replaced_at.desc()).limit(limit + 1)
        if cursor is not None:
            since, replaced = cursors.unpack(cursor, tuple[int, int], of=question)
            query = query.where(tuple_(at, replaced_at) < tuple_(cursors.instant(since), cursors.instant(replaced)))
        rows = session.execute(query).all()
    next_cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        next_cursor = cursors.pack((cursors.microseconds(last.at), cursors.microseconds(last[-1])), of=question)
    return HistoryPage([PastScore(*row[:-1]) for row in rows[:limit]], next_cursor)


def _spans(
    table: type[Score | ScoreHistory],
    tenant_id: int,
    lead_id: int,
    model_id: int,
    at: InstrumentedAttribute[datetime],
    until: ColumnElement[Any] | InstrumentedAttribute[datetime],
) -> AnySelect:
    return select(
        at.label("at"),
        until.label("until"),
        table.version,
        table.total,
        table.raw,
        table.dimensions,
        table.stage,
        table.grade,
        table.override,
        table.disqualified,
    ).where(table.tenant_id == tenant_id, table.model_id == model_id, table.lead_id == lead_id)


def stage_counts(tenant_id: int, model: str) -> dict[str | None, int]:
    """How many leads stand at each stage; None: at none."""
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            select(Score.stage, func.count())
            .where(Score.tenant_id == tenant_id, Score.model_id == read_model(session, tenant_id, model).id)
            .group_by(Score.stage)
        )
        return {row[0]: row[1] for row in rows}
