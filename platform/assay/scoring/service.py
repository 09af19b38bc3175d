"""What can be done with models: made, edited, published; and a score explained."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from polars import DataFrame
from sqlalchemy import BigInteger, Select, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay.facts import ModelPublished, tell_after_commit
from assay.profiles.models import Lead
from assay.profiles.queries import read_facts
from assay.scoring import engine, language
from assay.scoring.compiled import compiled
from assay.scoring.errors import ModelNameTaken, NoSuchLead, NotPublished, WrongModelName
from assay.scoring.models import Due, ModelRow, ModelVersion
from assay.scoring.queries import read_model, read_version
from assay_tenants.database import tenant_session
from assay_tenants.models import Tenant


@dataclass(frozen=True)
class Starter:
    """A model to begin with, as a document."""

    name: str
    title: str
    description: str
    text: str


def validate(text: str) -> list[language.Problem]:
    """Everything that keeps this document from being a model; empty when it is one."""
    try:
        engine.compile_model(language.parse(text))
    except language.InvalidModel as error:
        return error.problems
    return []


def create_model(tenant_id: int, text: str) -> ModelRow:
    """A new, unpublished model named by its document; raises InvalidModel or ModelNameTaken."""
    model = language.parse(text)
    now = datetime.now(UTC)
    row = ModelRow(
        tenant_id=tenant_id, name=model.name, title=_title(model), draft=text, created_at=now, updated_at=now
    )
    try:
        with tenant_session(tenant_id) as session:
            session.add(row)
    except IntegrityError as error:
        raise ModelNameTaken(model.name) from error
    return row


def save_draft(tenant_id: int, name: str, text: str) -> ModelRow:
    """What the next publication will publish; raises InvalidModel, WrongModelName or NoSuchModel."""
    with tenant_session(tenant_id) as session:
        row = read_model(session, tenant_id, name, lock=True)
        model = language.parse(text)
        if model.name != name:
            raise WrongModelName(name=name, written=model.name)
        row.draft, row.title, row.updated_at = text, _title(model), datetime.now(UTC)
    return row


def publish(tenant_id: int, name: str, *, by: str) -> int:
    """Makes the draft the next version and every lead due; an unchanged draft keeps the version it has."""
    with tenant_session(tenant_id) as session:
        # Scoring batches hold this row too. One that began before cannot give a lead, new since, the version before.
        session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))
        row = read_model(session, tenant_id, name, lock=True)
        model = language.parse(row.draft)
        content_hash = language.content_hash(model)
        if row.published_version is not None:
            live = read_version(session, tenant_id, row.id, row.published_version)
            if live.hash == content_hash:
                return live.number
        compiled(content_hash, lambda: row.draft)
        now = datetime.now(UTC)
        number = (row.published_version or 0) + 1
        session.add(
            ModelVersion(
                tenant_id=tenant_id,
                model_id=row.id,
                number=number,
                hash=content_hash,
                source=row.draft,
                document=language.dump(model),
                published_at=now,
                published_by=by,
            )
        )
        row.published_version, row.updated_at = number, now
        session.flush()
        _make_all_due(session, tenant_id, now)
        tell_after_commit(session, ModelPublished(tenant_id))
    return number


def mark_due(session: Session, tenant_id: int, lead_ids: Collection[int], at: datetime | None = None) -> None:
    """These leads have to be scored at the latest ``at`` (default: now); part of the transaction that changed them."""
    # Ordered, as whoever locks rows of this table does it: two in different orders would wait for each other.
    ids = literal(sorted(lead_ids), ARRAY(BigInteger))
    _upsert_due(session, select(literal(tenant_id), func.unnest(ids), literal(at or datetime.now(UTC))))


def _make_all_due(session: Session, tenant_id: int, at: datetime) -> None:
    leads = select(literal(tenant_id), Lead.id, literal(at)).where(Lead.tenant_id == tenant_id)
    _upsert_due(session, leads.order_by(Lead.id))


def _upsert_due(session: Session, rows: Select[*tuple[Any, ...]]) -> None:
    statement = insert(Due).from_select(["tenant_id", "lead_id", "due_at"], rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "lead_id"],
            set_={"due_at": func.least(Due.due_at, statement.excluded.due_at)},
        )
    )


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
    model = compiled(version.hash, lambda: version.source)
    leads, events = read_facts(
        tenant_id, [lead_id], traits=model.traits, properties=model.properties, types=model.event_types
    )
    if leads.is_empty():
        raise NoSuchLead
    return Scored(version, model, leads, events)


def explain_lead(tenant_id: int, lead_id: int, name: str, *, at: datetime | None = None) -> engine.Explanation:
    """The score of the published version at an instant (default: now), with every part of it."""
    read = read_scored(tenant_id, lead_id, name)
    (explanation,) = engine.explain(read.model, read.leads, read.events, at or datetime.now(UTC))
    return explanation


@cache
def starters() -> list[Starter]:
    """Models to begin with, by name."""
    found = []
    for file in resources.files("assay.scoring").joinpath("starters").iterdir():
        if file.name.endswith(".yaml"):
            text = file.read_text(encoding="utf-8")
            model = language.parse(text)
            found.append(Starter(model.name, _title(model), model.description or "", text))
    return sorted(found, key=lambda starter: starter.name)


def _title(model: language.Model) -> str:
    return model.title or model.name
