"""Leads ranked by score, and one lead with the receipt of each of its scores."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.intake.queries import find_message
from assay.profiles import queries as profiles
from assay.profiles import reveals
from assay.profiles.marks import MASK, marks_of
from assay.scoring import asking, judgements, outlooks, queries, service
from assay.scoring.engine import Explanation
from assay.scoring.engine.qualities import of_traits
from assay.scoring.errors import NoSuchModel, NoSuchVersion
from assay.scoring.language import COMPUTED
from assay.scoring.models import ModelRow, ModelVersion
from assay.web.curves import drawing
from assay.web.messages import readable
from assay.web.receipts import receipt_of
from assay.web.rulers import Ruler, ruler
from assay.web.security import address_here
from assay.web.settings import EXAMPLE_KEY
from assay.web.visitors import ID, needs, visitor
from assay_tenants.errors import NotFound

blueprint = Blueprint("leads", __name__)

PAGE = 50
TIMELINE = 20
HISTORY = 100


@dataclass(frozen=True)
class Filters:
    model: str | None
    stage: str | None
    text: str | None

    @property
    def narrowing(self) -> bool:
        return bool(self.stage or self.text)


@dataclass(frozen=True)
class Row:
    """A line of the list."""

    lead_id: int
    title: str
    subtitle: str
    total: int | None
    fill: int
    stage: str | None
    tone: int
    grade: str | None
    override: str | None
    disqualified: str | None
    dimensions: list[tuple[str, int]]
    last_seen_at: datetime


@dataclass(frozen=True)
class Card:
    """A lead's score under one model."""

    name: str
    title: str
    version: int
    total: int | None
    fill: int
    top: int | None
    stage: str | None
    tone: int
    grade: str | None
    override: str | None
    disqualified: str | None
    leading: bool


@blueprint.get("/")
@needs("leads:read")
def home() -> ResponseReturnValue:
    return redirect(url_for("web.leads.index"))


@blueprint.get("/leads")
@needs("leads:read")
def index() -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    published = queries.list_published(tenant_id)
    model = chosen_model(published, request.args.get("model"))
    scale = ruler_of(tenant_id, model) if model else None
    stages = scale.stages if scale else ()
    stage = request.args.get("stage") or None
    asked = Filters(
        model=model.name if model else None,
        # Another model has other stages: what was chosen for the one before would leave an empty list.
        stage=stage if stage in stages else None,
        text=request.args.get("text", "").strip() or None,
    )
    cursor = request.args.get("cursor") or None
    page = asking.list_leads(tenant_id, **asdict(asked), cursor=cursor, limit=PAGE)
    shown = {
        "model": model,
        "models": published,
        "stages": stages[::-1],
        "filters": asked,
        "rows": [row_of(lead, scale) for lead in page.items],
        "here": url_for("web.leads.index", **asdict(asked), cursor=cursor),
        "more": url_for("web.leads.index", **asdict(asked), cursor=page.next_cursor) if page.next_cursor else None,
    }
    target, source = request.headers.get("HX-Target", ""), request.headers.get("HX-Source", "")
    if target == "tr#more":
        return render_template("parts/lead_rows.html", **shown)
    if target == "section#results":
        return render_template("parts/lead_results.html", filtered=source == "form#filters", **shown)
    newcomer = not (page.items or published or asked.narrowing or cursor)
    return render_template(
        "leads/index.html", newcomer=newcomer, address=address_here(), example_key=EXAMPLE_KEY, **shown
    )


@blueprint.get(f"/leads/<{ID}:lead_id>")
@needs("leads:read")
def lead(lead_id: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    known = profiles.get_lead(tenant_id, lead_id)
    found = replace(known, traits={name: value for name, value in known.traits.items() if name not in COMPUTED})
    happened = profiles.timeline(tenant_id, lead_id, cursor=request.args.get("before") or None, limit=TIMELINE)
    more = None
    if happened.next_cursor:
        more = url_for("web.leads.lead", lead_id=lead_id, model=request.args.get("model"), before=happened.next_cursor)
    shown = {
        "lead": found,
        "title": title_of(found.id, found.name, found.email),
        "subtitle": subtitle_of(found.name, found.email, None if found.company_id else found.company),
        "events": happened.items,
        "judged": judgements.judgements_behind(tenant_id, lead_id, happened.items),
        "more_events": more,
        "quality": of_traits(found.traits),
        "hidden": [name for name, value in found.traits.items() if value == MASK],
    }
    if request.headers.get("HX-Target") == "li#more-events":
        return render_template("parts/timeline_entries.html", counting=frozenset(), **shown)
    scores = asking.scores_now(tenant_id, lead_id)
    chosen = _asked_for(scores)
    if chosen is None:
        outside = _outside(tenant_id, scores)
        return render_template(
            "leads/lead.html", cards=[], card=None, receipt=None, counting=(), outside=outside, **shown
        )
    explanation, version = _explained(tenant_id, lead_id, chosen.model)
    receipt = receipt_of(explanation, version.document)
    here = {str(event.id) for event in happened.items}
    return render_template(
        "leads/lead.html",
        cards=[_card(tenant_id, score) for score in scores],
        card=_now(_card(tenant_id, chosen), explanation, version),
        outside=_outside(tenant_id, scores),
        receipt=receipt,
        history=queries.history(tenant_id, lead_id, chosen.model, limit=HISTORY),
        counting=receipt.counting_events,
        links={event: _event_link(lead_id, event, here) for event in receipt.events},
        **shown,
    )


@blueprint.post(f"/leads/<{ID}:lead_id>/masked")
@needs("leads:reveal")
def reveal(lead_id: int) -> ResponseReturnValue:
    """What is masked elsewhere, once: it is never kept by the browser, and who looked is written down before."""
    shown = reveals.reveal(visitor().tenant_id, lead_id, by=visitor().name)
    lead = shown.lead
    return render_template("leads/masked.html", shown=shown, lead=lead, title=title_of(lead.id, lead.name, lead.email))


@blueprint.get(f"/leads/<{ID}:lead_id>/curve")
@needs("leads:read")
def curve(lead_id: int) -> ResponseReturnValue:
    """The drawing alone: the page comes without it, and it follows."""
    tenant_id = visitor().tenant_id
    chosen = _asked_for(queries.scores_of(tenant_id, lead_id))
    if chosen is None:
        raise NotFound("lead")
    return render_template("parts/curve.html", drawing=drawing(tenant_id, lead_id, chosen))


@blueprint.get(f"/leads/<{ID}:lead_id>/outlook")
@needs("leads:read")
def outlook(lead_id: int) -> ResponseReturnValue:
    """The panel alone: trying what might happen takes a moment, so the page comes without it."""
    tenant_id = visitor().tenant_id
    chosen = _asked_for(queries.scores_of(tenant_id, lead_id))
    if chosen is None:
        raise NotFound("lead")
    return render_template("parts/outlook.html", outlook=outlooks.outlook_of(tenant_id, lead_id, chosen.model))


@blueprint.get(f"/leads/<{ID}:lead_id>/events/<uuid:event_id>")
@needs("leads:read")
def event(lead_id: int, event_id: UUID) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    found = profiles.get_event(tenant_id, lead_id, event_id)
    message = find_message(tenant_id, found.message_id) if found.message_id else None
    lead = profiles.get_lead(tenant_id, lead_id)
    return render_template(
        "leads/event.html",
        lead=lead,
        title=title_of(lead.id, lead.name, lead.email),
        event=found,
        judgement=judgements.judgements_behind(tenant_id, lead_id, [found]).get(found.id),
        message=message,
        text=readable(message.body, found.sender_id, marks_of(tenant_id)) if message else None,
    )


def chosen_model(published: Sequence[ModelRow], name: str | None) -> ModelRow | None:
    if not name:
        return published[0] if published else None
    found = next((row for row in published if row.name == name), None)
    if found is None:
        raise NoSuchModel
    return found


def ruler_of(tenant_id: int, model: ModelRow) -> Ruler:
    if model.published_version is None:
        raise NoSuchVersion
    return ruler(queries.get_version(tenant_id, model.name, model.published_version))


def row_of(found: queries.RankedLead, scale: Ruler | None) -> Row:
    return Row(
        lead_id=found.lead_id,
        title=title_of(found.lead_id, found.name, found.email),
        subtitle=subtitle_of(found.name, found.email, found.company),
        total=found.total,
        fill=scale.fill(found.total) if scale and found.total is not None else 0,
        stage=found.stage,
        tone=scale.tone(found.stage) if scale else 0,
        grade=found.grade,
        override=found.override,
        disqualified=found.disqualified,
        dimensions=[(name, points) for name, points in (found.dimensions or {}).items() if points],
        last_seen_at=found.last_seen_at,
    )


def title_of(lead_id: int, name: str | None, email: str | None) -> str:
    return name or email or f"Somebody ({lead_id})"


def subtitle_of(name: str | None, email: str | None, company: str | None) -> str:
    return " · ".join(part for part in (email if name != email and name else None, company) if part)


def _asked_for(scores: Sequence[queries.LeadScore]) -> queries.LeadScore | None:
    """The one under the model that the address names, else the first."""
    return next((score for score in scores if score.model == request.args.get("model")), scores[0] if scores else None)


def _card(tenant_id: int, score: queries.LeadScore) -> Card:
    scale = ruler(queries.get_version(tenant_id, score.model, score.version))
    return Card(
        name=score.model,
        title=score.title,
        version=score.version,
        total=score.total,
        fill=scale.fill(score.total),
        top=scale.top,
        stage=score.stage,
        tone=scale.tone(score.stage),
        grade=score.grade,
        override=score.override,
        disqualified=score.disqualified,
        leading=score.leading,
    )


def _outside(tenant_id: int, scores: Sequence[queries.LeadScore]) -> list[str]:
    """Titles of the published models whose audience the lead is not in."""
    scored = {score.model for score in scores}
    return [
        row.title
        for row in queries.list_published(tenant_id)
        if row.name not in scored
        and row.published_version is not None
        and "audience" in queries.get_version(tenant_id, row.name, row.published_version).document
    ]


def _explained(tenant_id: int, lead_id: int, name: str) -> tuple[Explanation, ModelVersion]:
    explanation = service.explain_lead(tenant_id, lead_id, name)
    # Somebody may have published meanwhile: the receipt is measured by the version that it was made with.
    versions = queries.list_versions(tenant_id, name)
    return explanation, next(version for version in versions if version.hash == explanation.content_hash)


def _now(card: Card, explanation: Explanation, version: ModelVersion) -> Card:
    """The stored score is at most a moment old; beside its receipt it has to be the receipt's own."""
    scale = ruler(version)
    return replace(
        card,
        version=version.number,
        total=explanation.total,
        fill=0 if explanation.total is None else scale.fill(explanation.total),
        top=scale.top,
        stage=explanation.stage,
        tone=scale.tone(explanation.stage),
        grade=explanation.grade,
        override=explanation.override,
        disqualified=explanation.disqualified,
    )


def _event_link(lead_id: int, event_id: str, on_this_page: Collection[str]) -> str:
    if event_id in on_this_page:
        return f"#event-{event_id}"
    return url_for("web.leads.event", lead_id=lead_id, event_id=event_id)
