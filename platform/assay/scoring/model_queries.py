"""The SELECTs about versions: which has which contents, and who let which of them score."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from assay.scoring.models import ModelRow, ModelVersion, Publication
from assay.scoring.queries import read_model
from assay_tenants.database import tenant_session


@dataclass(frozen=True)
class Standing:
    """Whether a model could be asked by others."""

    published: bool
    archived: bool


def list_publications(tenant_id: int, name: str) -> list[Publication]:
    """Newest first: each time that another version of the model, or none, began to score."""
    with tenant_session(tenant_id) as session:
        model = read_model(session, tenant_id, name)
        return list(
            session.scalars(
                select(Publication)
                .where(Publication.tenant_id == tenant_id, Publication.model_id == model.id)
                .order_by(Publication.id.desc())
            )
        )


def find_version_of(session: Session, tenant_id: int, model_id: int, content_hash: str) -> ModelVersion | None:
    """The latest of these contents."""
    return session.scalars(
        select(ModelVersion)
        .where(
            ModelVersion.tenant_id == tenant_id, ModelVersion.model_id == model_id, ModelVersion.hash == content_hash
        )
        .order_by(ModelVersion.number.desc())
        .limit(1)
    ).one_or_none()


def count_models(session: Session, tenant_id: int) -> int:
    """Drafts and published ones; those in the archive are not counted."""
    return session.scalars(
        select(func.count()).where(ModelRow.tenant_id == tenant_id, ModelRow.archived_at.is_(None))
    ).one()


def count_all_models(tenant_id: int) -> int:
    with tenant_session(tenant_id) as session:
        return count_models(session, tenant_id)


def last_number(session: Session, tenant_id: int, model_id: int) -> int:
    """Of all versions, whether they score or not; 0 when there is none."""
    return session.scalars(
        select(func.coalesce(func.max(ModelVersion.number), 0)).where(
            ModelVersion.tenant_id == tenant_id, ModelVersion.model_id == model_id
        )
    ).one()


def number_before_archiving(session: Session, tenant_id: int, model_id: int) -> int | None:
    return session.scalars(
        select(Publication.from_version)
        .where(Publication.tenant_id == tenant_id, Publication.model_id == model_id, Publication.action == "archive")
        .order_by(Publication.id.desc())
        .limit(1)
    ).one_or_none()


def live_since(session: Session, tenant_id: int) -> dict[int, datetime]:
    """When the version of each model that scores now, or none, last began to."""
    rows = session.execute(
        select(Publication.model_id, func.max(Publication.at))
        .where(Publication.tenant_id == tenant_id)
        .group_by(Publication.model_id)
    )
    return {row[0]: row[1] for row in rows}


def standings(session: Session, tenant_id: int, names: Collection[str]) -> dict[str, Standing]:
    rows = session.execute(
        select(ModelRow.name, ModelRow.published_version, ModelRow.archived_at).where(
            ModelRow.tenant_id == tenant_id, ModelRow.name == any_(literal(sorted(names), ARRAY(Text)))
        )
    )
    return {name: Standing(number is not None, archived_at is not None) for name, number, archived_at in rows}
