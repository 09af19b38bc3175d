"""What there is to say of leads' scores at this moment: read for many leads at once, and explained by the engine."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from assay.profiles.queries import read_facts
from assay.scoring import engine
from assay.scoring.compiled import load_live
from assay.scoring.engine.receipts import Adjustment, Explanation, Part
from assay.scoring.jobs import wanted
from assay.scoring.models import ModelRow, Score
from assay.scoring.queries import LiveVersion
from assay.scoring.sentences import say
from assay_tenants.database import tenant_session

REASONS = 3
LANGUAGE = "en"
#: Of a lead that no model scores any more.
NO_MODEL = "No scoring model applies to this lead any more."


@dataclass(frozen=True)
class Account:
    """A lead's score as it is told to a vendor."""

    model: str
    #: Whole points, as they were reached.
    score: int
    grade: str | None
    stage: str | None
    scored_at: datetime
    reasons: Sequence[str]
    #: What the reasons rest on: their figures fade on while the score stays the same.
    gist: Sequence[str] = field(default=())

    @property
    def digest(self) -> str:
        """The same while nothing changes that is worth telling."""
        told = [self.model, self.score, self.grade, self.stage, list(self.gist)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


def cleared(at: datetime) -> Account:
    """What is told of a lead once no model scores it any more."""
    return Account("", 0, None, None, at, (NO_MODEL,), ("cleared",))


def read(tenant_id: int, lead_ids: Collection[int], model_id: int | None) -> dict[int, Account]:
    """By lead, under this model or under the leading one of those that apply; without those that none applies to."""
    with tenant_session(tenant_id) as session:
        stored = _stored(session, tenant_id, lead_ids, model_id)
        live = {version.model_id: (version, model) for version, model in load_live(session, tenant_id)}
    now = datetime.now(UTC)
    found: dict[int, Account] = {}
    # In the order of precedence; most leads are told by the first model that they have a score of.
    for id_ in dict.fromkeys(row.model_id for row in stored if row.model_id in live):
        rows = {row.lead_id: row for row in stored if row.model_id == id_ and row.lead_id not in found}
        version, model = live[id_]
        if model is None:
            found |= {lead_id: _as_stored(row) for lead_id, row in rows.items()}
        elif rows:
            explained = _explained(tenant_id, version, model, sorted(rows), now)
            found |= {each.lead_id: _account(each, rows[each.lead_id]) for each in explained if each.applies}  # type: ignore[misc] # leads of ours have numbers
    return found


def _stored(session: Session, tenant_id: int, lead_ids: Collection[int], model_id: int | None) -> Sequence[Any]:
    query = (
        select(
            Score.lead_id,
            Score.model_id,
            Score.total,
            Score.stage,
            Score.grade,
            Score.scored_at,
            ModelRow.title,
        )
        .join(ModelRow, and_(ModelRow.tenant_id == tenant_id, ModelRow.id == Score.model_id))
        .where(Score.tenant_id == tenant_id, Score.lead_id.in_(lead_ids), ModelRow.archived_at.is_(None))
        .order_by(ModelRow.precedence.desc(), ModelRow.id)
    )
    if model_id is not None:
        query = query.where(Score.model_id == model_id)
    return session.execute(query).all()


def _explained(
    tenant_id: int, version: LiveVersion, model: engine.CompiledModel, lead_ids: list[int], at: datetime
) -> list[Explanation]:
    leads, events = read_facts(tenant_id, lead_ids, **wanted([model]))
    return engine.explain(model, leads, events, at) if leads.height else []


def _as_stored(row: Any) -> Account:
    """Of a model that could not be compiled."""
    return Account(row.title, row.total // 1000, row.grade, row.stage, row.scored_at, ())


def _account(told: Explanation, row: Any) -> Account:
    weightiest = _weightiest(told)
    return Account(
        model=row.title,
        score=(told.total or 0) // 1000,
        grade=told.grade,
        stage=told.stage,
        scored_at=row.scored_at,
        reasons=tuple(say(each, LANGUAGE) for each in weightiest),
        gist=tuple(_gist(each) for each in weightiest),
    )


def _weightiest(told: Explanation) -> list[Part | Adjustment]:
    """What overrides the score goes before what adds to it; of each rule the weightiest part alone."""
    chosen: list[Part | Adjustment] = [each for each in told.adjustments if each.override is not None]
    rules: set[str] = set()
    for part in sorted(told.parts, key=lambda each: -abs(each.points)):
        if part.counted and part.points and part.rule not in rules:
            rules.add(part.rule)
            chosen.append(part)
    return chosen[:REASONS]


def _gist(each: Part | Adjustment) -> str:
    return f"{each.kind}/{each.override}" if isinstance(each, Adjustment) else f"{each.rule}/{each.points > 0}"
