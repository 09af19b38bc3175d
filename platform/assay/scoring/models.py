"""Models, their versions and publications, scores, their history, and which leads are due."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

Instant = DateTime(timezone=True)
DISTRIBUTED = {"schema": "scoring", "info": {"citus": "distributed"}}


class ModelRow(Base):
    """A model's name and the draft people work on."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("tenant_id", "name"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    #: For people: who, what and where the draft is for.
    persona: Mapped[str | None] = mapped_column(Text)
    product_line: Mapped[str | None] = mapped_column(Text)
    business_unit: Mapped[str | None] = mapped_column(Text)
    draft: Mapped[str] = mapped_column(Text)
    #: Grows each time the draft is saved: a save that names an older one is refused.
    draft_revision: Mapped[int] = mapped_column(Integer, default=1)
    draft_by: Mapped[str | None] = mapped_column(Text)
    #: The one that scores; None: not published yet, or archived.
    published_version: Mapped[int | None] = mapped_column(Integer)
    #: Of the version that scores: of the models that apply to a lead the highest one leads.
    precedence: Mapped[int] = mapped_column(Integer, default=0)
    archived_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)


class ModelVersion(Base):
    """What was published: never changed afterwards."""

    __tablename__ = "model_versions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "model_id"], ["scoring.models.tenant_id", "scoring.models.id"]),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    model_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: The hash of each model that this one refers to, as it was then.
    pins: Mapped[dict[str, str]] = mapped_column(JSONB, default=dict)
    published_at: Mapped[datetime] = mapped_column(Instant)
    published_by: Mapped[str] = mapped_column(Text)


class Publication(Base):
    """Who changed, and when, which version of a model scores."""

    __tablename__ = "publications"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "model_id"], ["scoring.models.tenant_id", "scoring.models.id"]),
        Index("publications_of_model", "tenant_id", "model_id", text("id DESC")),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    model_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Instant)
    by: Mapped[str] = mapped_column(Text)
    #: publish, rollback, archive, restore; follow: a model that this one refers to changed.
    action: Mapped[str] = mapped_column(Text)
    #: None: nothing scored before, or nothing does since.
    from_version: Mapped[int | None] = mapped_column(Integer)
    to_version: Mapped[int | None] = mapped_column(Integer)
    note: Mapped[str | None] = mapped_column(Text)


class Due(Base):
    """When a lead has to be scored next, under all published models at once."""

    __tablename__ = "due"
    __table_args__ = (
        Index("due_soonest", "tenant_id", "due_at"),
        # The timetable's own: it asks across tenants which of them have work waiting.
        Index("due_for_timetable", "due_at"),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    lead_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(Instant)


class Score(Base):
    """What lists and filters need, in thousandths of a point; reasons are computed when somebody asks.

    A lead that a model does not apply to has none.
    """

    __tablename__ = "scores"
    __table_args__ = (
        Index("scores_ranked", "tenant_id", "model_id", text("total DESC"), "lead_id"),
        Index("scores_recorded", "tenant_id", "recorded_at", postgresql_using="brin"),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    lead_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    model_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    total: Mapped[int] = mapped_column(BigInteger)
    raw: Mapped[int] = mapped_column(BigInteger)
    dimensions: Mapped[dict[str, int]] = mapped_column(JSON)
    stage: Mapped[str | None] = mapped_column(Text)
    grade: Mapped[str | None] = mapped_column(Text)
    #: Ids of the override that fixes the total, and of the one that disqualifies.
    override: Mapped[str | None] = mapped_column(Text)
    disqualified: Mapped[str | None] = mapped_column(Text)
    #: Without new facts, nothing changes before this instant.
    next_change: Mapped[datetime | None] = mapped_column(Instant)
    #: Since when all of it, but the next change, is what it is.
    scored_at: Mapped[datetime] = mapped_column(Instant)
    #: When the row was written, which nobody can have read before.
    recorded_at: Mapped[datetime] = mapped_column(Instant)


class ScoreHistory(Base):
    """What a score was from ``at`` until ``until``, and stood in the scores from ``recorded_at`` until ``replaced_at``.

    The present value is in the scores alone.
    """

    __tablename__ = "score_history"
    __table_args__ = (Index("score_history_replaced", "tenant_id", "model_id", "replaced_at"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    lead_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    model_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    replaced_at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    until: Mapped[datetime] = mapped_column(Instant)
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    version: Mapped[int] = mapped_column(Integer)
    total: Mapped[int] = mapped_column(BigInteger)
    raw: Mapped[int] = mapped_column(BigInteger)
    dimensions: Mapped[dict[str, int]] = mapped_column(JSON)
    stage: Mapped[str | None] = mapped_column(Text)
    grade: Mapped[str | None] = mapped_column(Text)
    override: Mapped[str | None] = mapped_column(Text)
    disqualified: Mapped[str | None] = mapped_column(Text)


class Rescore(Base):
    """All leads are scored anew under some models, in the background."""

    __tablename__ = "rescores"
    __table_args__ = DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    model_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    reason: Mapped[str] = mapped_column(Text)
    started_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    cancelled_at: Mapped[datetime | None] = mapped_column(Instant)


class RescoreRange(Base):
    """Leads by id, from ``next_lead`` on, that one worker at a time goes through; ``open`` until it is at its end."""

    __tablename__ = "rescore_ranges"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "rescore_id"], ["scoring.rescores.tenant_id", "scoring.rescores.id"], ondelete="CASCADE"
        ),
        Index("rescore_ranges_open", "tenant_id", "rescore_id", "position", postgresql_where=text("open")),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    rescore_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    next_lead: Mapped[int] = mapped_column(BigInteger)
    last_lead: Mapped[int] = mapped_column(BigInteger)
    leads: Mapped[int] = mapped_column(Integer)
    leads_done: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: Scores that came out otherwise than they were stored.
    written: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    open: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    begun_at: Mapped[datetime | None] = mapped_column(Instant)
    looked_at: Mapped[datetime | None] = mapped_column(Instant)


class Study(Base):
    """A draft looked at in the background: what it would change, or what it would have said."""

    __tablename__ = "studies"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "model_id"], ["scoring.models.tenant_id", "scoring.models.id"]),
        Index("studies_of_model", "tenant_id", "model_id", text("id DESC")),
        Index("studies_running", "tenant_id", "id", postgresql_where=text("state = 'running'")),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    model_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[Literal["preview", "replay"]] = mapped_column(Text)
    #: The draft as it was, with what it is called by and the hashes of the models it refers to.
    source: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)
    pins: Mapped[dict[str, str]] = mapped_column(JSONB)
    #: What it is compared with; None: no version was live.
    live_version: Mapped[int | None] = mapped_column(Integer)
    options: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: The instant that leads are scored at; of a replay the last one.
    at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[Literal["running", "done", "failed", "cancelled"]] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[str | None] = mapped_column(Text)
    started_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class StudyRange(Base):
    """Leads that one worker looks at in one go; without a ``summary`` they are still to be looked at."""

    __tablename__ = "study_ranges"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "study_id"], ["scoring.studies.tenant_id", "scoring.studies.id"], ondelete="CASCADE"
        ),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    study_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    first_lead: Mapped[int] = mapped_column(BigInteger)
    last_lead: Mapped[int] = mapped_column(BigInteger)
    leads: Mapped[int] = mapped_column(Integer)
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: A compressed Arrow file: a row for each lead that changes.
    changes: Mapped[bytes | None] = mapped_column(LargeBinary)
