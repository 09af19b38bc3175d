"""Live models that score the same leads, which of two leads, and leads that no model applies to."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from assay.profiles.models import Lead
from assay.scoring.models import ModelRow, Score
from assay_tenants.database import tenant_session


@dataclass(frozen=True)
class LiveModel:
    name: str
    title: str
    precedence: int
    #: That it scores.
    leads: int
    #: That no other model scores.
    alone: int
    #: Of all models that score them, this one leads.
    leading: int


@dataclass(frozen=True)
class Overlap:
    """Two models that share leads."""

    #: The one that leads: of the higher precedence or, where they are equal, made first.
    leader: str
    follower: str
    leads: int
    #: Nobody said which one leads: the older one does.
    tied: bool


@dataclass(frozen=True)
class Overlaps:
    models: list[LiveModel]
    #: Most shared leads first.
    pairs: list[Overlap]
    leads: int
    #: Leads that no live model applies to.
    uncovered: int


def find_overlaps(tenant_id: int) -> Overlaps:
    """From the scores as they are stored: a lead has one from each live model that applies to it."""
    with tenant_session(tenant_id) as session:
        models = session.execute(
            select(ModelRow.id, ModelRow.name, ModelRow.title, ModelRow.precedence)
            .where(ModelRow.tenant_id == tenant_id, ModelRow.published_version.is_not(None))
            .order_by(ModelRow.precedence.desc(), ModelRow.id)
        ).all()
        sets = (
            select(func.array_agg(aggregate_order_by(Score.model_id, Score.model_id)).label("model_ids"))
            .where(Score.tenant_id == tenant_id)
            .group_by(Score.lead_id)
            .subquery()
        )
        rows = session.execute(select(sets.c.model_ids, func.count()).group_by(sets.c.model_ids)).all()
        total = session.execute(select(func.count()).where(Lead.tenant_id == tenant_id)).scalar_one()
    rank = {model.id: place for place, model in enumerate(models)}
    leads, alone, leading = Counter[int](), Counter[int](), Counter[int]()
    shared: Counter[tuple[int, int]] = Counter()
    covered = 0
    for model_ids, count in rows:
        # Scores of a model that was archived just now may still be on their way out.
        ranked = sorted((id_ for id_ in model_ids if id_ in rank), key=rank.__getitem__)
        if not ranked:
            continue
        covered += count
        leading[ranked[0]] += count
        alone[ranked[0]] += count if len(ranked) == 1 else 0
        for id_ in ranked:
            leads[id_] += count
        for pair in combinations(ranked, 2):
            shared[pair] += count
    by_id = {model.id: model for model in models}
    return Overlaps(
        models=[
            LiveModel(model.name, model.title, model.precedence, leads[model.id], alone[model.id], leading[model.id])
            for model in models
        ],
        pairs=[
            Overlap(by_id[first].name, by_id[second].name, count, by_id[first].precedence == by_id[second].precedence)
            for (first, second), count in shared.most_common()
        ],
        leads=total,
        uncovered=max(total - covered, 0),
    )
