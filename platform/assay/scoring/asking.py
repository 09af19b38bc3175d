"""Scores at an instant: as they are this moment, as they were, as they will be if nothing happens.

What is stored is right until a score changes by itself, and for one that fades smoothly until its last look. From then
on it is worked out when somebody asks, and stored by the next batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import polars as pl
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from assay.profiles.queries import get_lead, read_facts
from assay.scoring import instants, queries
from assay.scoring.compiled import compiled_version, load_live
from assay.scoring.errors import NoSuchVersion, NotKnownThen
from assay.scoring.jobs import Facts, Versions, evaluate, wanted
from assay.scoring.models import ModelRow, ModelVersion, Publication
from assay.scoring.queries import LeadPage, LeadScore, LiveVersion, RankedLead
from assay_tenants.database import tenant_session

#: What a past score rests on: what was known at its instant, or all that is known today.
Known = Literal["then", "now"]


@dataclass(frozen=True)
class AskedScores:
    """A lead's scores at an instant."""

    at: datetime
    known: Known
    items: list[LeadScore]


def scores_now(tenant_id: int, lead_id: int) -> list[LeadScore]:
    """Under each published model that applies to the lead, as of this moment."""
    scores = queries.scores_of(tenant_id, lead_id)
    if not scores:
        return scores
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        live = {each.name: (each, model) for each, model in load_live(session, tenant_id) if model is not None}
    old = [
        score
        for score in scores
        if score.model in live
        and live[score.model][0].number == score.version
        and (live[score.model][1].smooth or _passed(score.next_change, now))
    ]
    if not old:
        return scores
    anew = _computed(tenant_id, [lead_id], [live[score.model] for score in old], now, known_at=None)
    found = {row["model_id"]: row for row in anew.iter_rows(named=True)}
    stale = {score.model for score in old}
    return queries.led(
        [
            _renewed(score, found.get(live[score.model][0].model_id), now) if score.model in stale else score
            for score in scores
            if score.model not in stale or _applies(found.get(live[score.model][0].model_id))
        ]
    )


def list_leads(tenant_id: int, **question: Any) -> LeadPage:
    """As ``queries.list_leads``, each line as of this moment; the order is that of the stored scores."""
    return as_of_now(tenant_id, queries.list_leads(tenant_id, **question))


def as_of_now(tenant_id: int, page: LeadPage) -> LeadPage:
    """The same lines in the same order, each with its score of this moment."""
    if page.model is None or not page.items:
        return page
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        live = [each for each in load_live(session, tenant_id) if each[0].name == page.model and each[1] is not None]
    if not live:
        return page
    ((version, model),) = live
    assert model is not None  # noqa: S101 # filtered above
    old = [
        item.lead_id
        for item in page.items
        if item.version == version.number and (model.smooth or _passed(item.next_change, now))
    ]
    if not old:
        return page
    anew = _computed(tenant_id, old, [(version, model)], now, known_at=None)
    found = {row["lead_id"]: row for row in anew.filter("applies").iter_rows(named=True)}
    items = [_line(item, found[item.lead_id]) if item.lead_id in found else item for item in page.items]
    return replace(page, items=items)


def scores_at(
    tenant_id: int,
    lead_id: int,
    *,
    at: datetime | None = None,
    version: str | None = None,
    model: str | None = None,
    known: Known = "then",
) -> AskedScores:
    """A lead's scores at any instant (default: now), under the versions that were live then or one named by its hash.

    A past instant rests on what was known then, a future one on what is known now. Models that do not apply to the
    lead are left out.
    """
    now = datetime.now(UTC)
    instant = now if at is None else instants.checked(at, "at")
    with tenant_session(tenant_id) as session:
        versions = _versions(session, tenant_id, instant, version, model)
        names = session.execute(select(ModelRow.name, ModelRow.title).where(ModelRow.tenant_id == tenant_id))
        titles = {row.name: row.title for row in names}
    known_at = instant if known == "then" and instant <= now else None
    facts = _facts(tenant_id, [lead_id], versions, known_at)
    if facts.leads.is_empty():
        get_lead(tenant_id, lead_id)
        raise NotKnownThen(instant)
    rows = {row["model_id"]: row for row in evaluate(versions, facts, instant).filter("applies").iter_rows(named=True)}
    items = [
        _score(live, titles[live.name], rows[live.model_id], instant) for live, _ in versions if live.model_id in rows
    ]
    return AskedScores(instant, known, queries.led(items))


def _versions(session: Session, tenant_id: int, at: datetime, hash_: str | None, model: str | None) -> Versions:
    model_id = queries.read_model(session, tenant_id, model).id if model is not None else None
    found = _by_hash(session, tenant_id, hash_) if hash_ is not None else _live_at(session, tenant_id, at)
    chosen = [each for each in found if model_id is None or each.model_id == model_id]
    if hash_ is not None and not chosen:
        raise NoSuchVersion
    compiled = [(each, compiled_version(session, tenant_id, each)) for each in chosen]
    return sorted(compiled, key=lambda each: -each[1].model.precedence)


def _by_hash(session: Session, tenant_id: int, hash_: str) -> list[LiveVersion]:
    if not hash_.isalnum():
        return []
    query = _all_versions(tenant_id).where(ModelVersion.hash == hash_).order_by(ModelVersion.number.desc()).limit(1)
    return [_version(row) for row in session.execute(query)]


def _live_at(session: Session, tenant_id: int, at: datetime) -> list[LiveVersion]:
    """What scored at that instant, by what was written down of publications; the newest version before any was."""
    numbers: dict[int, int | None] = {}
    told: set[int] = set()
    publications = session.execute(
        select(Publication.model_id, Publication.to_version, Publication.from_version, Publication.at)
        .where(Publication.tenant_id == tenant_id)
        .order_by(Publication.at, Publication.id)
    )
    for model_id, to_version, from_version, when in publications:
        if model_id not in told:
            numbers[model_id] = from_version
            told.add(model_id)
        if when <= at:
            numbers[model_id] = to_version
    found: dict[int, LiveVersion] = {}
    for row in session.execute(_all_versions(tenant_id).order_by(ModelRow.id, ModelVersion.number)):
        version = _version(row)
        if version.model_id in told:
            if numbers[version.model_id] == version.number and row.published_at <= at:
                found[version.model_id] = version
        elif row.published_at <= at:
            found[version.model_id] = version
    return list(found.values())


def _all_versions(tenant_id: int) -> Any:
    columns = (ModelRow.name, ModelVersion.number, ModelVersion.hash, ModelVersion.pins, ModelVersion.published_at)
    return (
        select(ModelRow.id, *columns)
        .join(ModelVersion, (ModelVersion.tenant_id == ModelRow.tenant_id) & (ModelVersion.model_id == ModelRow.id))
        .where(ModelRow.tenant_id == tenant_id, ModelVersion.tenant_id == tenant_id)
    )


def _version(row: Row[Any]) -> LiveVersion:
    return LiveVersion(row.id, row.name, row.number, row.hash, row.pins)


def _facts(tenant_id: int, lead_ids: Sequence[int], versions: Versions, known_at: datetime | None) -> Facts:
    asked = wanted([model for _, model in versions])
    return Facts(*read_facts(tenant_id, lead_ids, known_at=known_at, event_ids=False, **asked))


def _computed(
    tenant_id: int, lead_ids: Sequence[int], versions: Versions, at: datetime, *, known_at: datetime | None
) -> pl.DataFrame:
    return evaluate(versions, _facts(tenant_id, lead_ids, versions, known_at), at)


def _passed(next_change: datetime | None, now: datetime) -> bool:
    return next_change is not None and next_change <= now


def _applies(row: dict[str, Any] | None) -> bool:
    return row is None or row["applies"]


_SHOWN = ("total", "raw", "stage", "grade", "override", "disqualified", "next_change")


def _renewed(score: LeadScore, row: dict[str, Any] | None, now: datetime) -> LeadScore:
    """Since when it is so is known where it changed at a planned instant, and else is told by the next batch."""
    if row is None:
        return score
    anew = replace(score, dimensions=msgspec.json.decode(row["dimensions"]), **{name: row[name] for name in _SHOWN})
    if replace(anew, next_change=score.next_change) == score:
        return anew
    planned = score.next_change
    return replace(anew, scored_at=planned if planned is not None and planned <= now else now)


def _line(item: RankedLead, row: dict[str, Any]) -> RankedLead:
    return replace(item, dimensions=msgspec.json.decode(row["dimensions"]), **{name: row[name] for name in _SHOWN})


def _score(live: LiveVersion, title: str, row: dict[str, Any], at: datetime) -> LeadScore:
    return LeadScore(
        model=live.name,
        title=title,
        version=live.number,
        dimensions=msgspec.json.decode(row["dimensions"]),
        scored_at=at,
        **{name: row[name] for name in _SHOWN},
    )
