"""What can be done with models: made, saved, published, taken back; and a score explained."""

from dataclasses import dataclass
from datetime import UTC, datetime

from polars import DataFrame

from assay.profiles.queries import read_facts
from assay.scoring import engine, instants
from assay.scoring.compiled import compiled_version
from assay.scoring.drafts import create_model, save_draft, validate
from assay.scoring.due import mark_due
from assay.scoring.errors import NoSuchLead, NotPublished
from assay.scoring.models import ModelVersion
from assay.scoring.queries import read_model, read_version
from assay.scoring.versions import archive, difference, publish, restore, rollback
from assay_tenants.database import tenant_session

__all__ = [
    "Scored",
    "archive",
    "create_model",
    "difference",
    "explain_lead",
    "mark_due",
    "publish",
    "read_scored",
    "restore",
    "rollback",
    "save_draft",
    "validate",
]


@dataclass(frozen=True)
class Scored:
    """What the engine needs to score one lead."""

    version: ModelVersion
    model: engine.CompiledModel
    leads: DataFrame
    events: DataFrame


def read_scored(tenant_id: int, lead_id: int, name: str) -> Scored:
    """The lead's facts, as far as the published version of the model asks for them."""
    with tenant_session(tenant_id) as session:
        row = read_model(session, tenant_id, name)
        if row.published_version is None:
            raise NotPublished(name)
        version = read_version(session, tenant_id, row.id, row.published_version)
        model = compiled_version(session, tenant_id, version)
    leads, events = read_facts(
        tenant_id, [lead_id], traits=model.traits, properties=model.properties, types=model.event_types
    )
    if leads.is_empty():
        raise NoSuchLead
    return Scored(version, model, leads, events)


def explain_lead(tenant_id: int, lead_id: int, name: str, *, at: datetime | None = None) -> engine.Explanation:
    """The score of the published version at an instant (default: now), with every part of it."""
    instant = datetime.now(UTC) if at is None else instants.checked(at, "at")
    read = read_scored(tenant_id, lead_id, name)
    (explanation,) = engine.explain(read.model, read.leads, read.events, instant)
    return explanation
