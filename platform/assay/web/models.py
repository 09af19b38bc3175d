"""Models: from a template or pasted, edited, checked, published."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.scoring import keeping_out, model_queries, queries, service, studies
from assay.scoring.errors import DraftChanged, ModelNameTaken, TooManyStudies, WrongModelName
from assay.scoring.language import InvalidModel, Problem
from assay.scoring.models import ModelRow
from assay.scoring.starting import LANGUAGES, templates
from assay.web import starting
from assay.web.findings import Finding, found_in
from assay.web.forms import Form
from assay.web.rulers import Ruler, ruler
from assay.web.visitors import needs, visitor
from assay_tenants.errors import BadInput

blueprint = Blueprint("models", __name__)


@dataclass(frozen=True)
class Share:
    """The leads at one stage, as a stretch of a bar 100 wide."""

    name: str
    count: int
    x: float
    width: float
    tone: int


@dataclass(frozen=True)
class ListedModel:
    name: str
    title: str
    #: Who, what and where it is for, as far as it says so.
    labels: list[tuple[str, str]]
    published_version: int | None
    precedence: int
    archived_at: datetime | None
    updated_at: datetime
    scored: int
    spread: list[Share]


@dataclass(frozen=True)
class Conflict:
    """Somebody saved the draft while it stood in this editor."""

    by: str | None
    stored: str
    sentences: list[str]


@blueprint.get("/models")
@needs("models:read")
def index() -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    models = [_listed(tenant_id, row) for row in queries.list_models(tenant_id)]
    return render_template(
        "models/index.html",
        in_vain=keeping_out.asked_in_vain(tenant_id),
        models=[model for model in models if model.archived_at is None],
        archived=[model for model in models if model.archived_at is not None],
    )


@blueprint.get("/new-model")
@needs("models:write")
def new() -> ResponseReturnValue:
    return _new(Form())


@blueprint.post("/new-model")
@needs("models:write")
def create() -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    text = _text()
    left_out: tuple[str, ...] = ()
    try:
        if form["template"]:
            chosen = starting.rendered(form)
            text, left_out = chosen.text, chosen.left_out
    except BadInput as error:
        form.refuse(error)
        return _new(form), 422
    if not text.strip():
        form.errors["source"] = "Paste a model, or take one of the templates."
        return _new(form), 422
    try:
        row = service.create_model(visitor().tenant_id, text, by=visitor().name)
    except InvalidModel as error:
        return _new(form, found_in(text, error.problems)), 422
    except ModelNameTaken as error:
        form.errors[""] = error.message
        return _new(form), 409
    if left_out:
        flash(f"Left out, because they do not hold with your numbers: the examples {'; '.join(left_out)}.", "good")
    return redirect(url_for("web.models.edit", name=row.name), 303)


@blueprint.get("/models/<name>")
@needs("models:read")
def edit(name: str) -> ResponseReturnValue:
    row = queries.get_model(visitor().tenant_id, name)
    return _editor(row, row.draft, None)


@blueprint.post("/models/<name>")
@needs("models:write")
def save(name: str) -> ResponseReturnValue:
    refused = _save(name, _text())
    if refused is not None:
        return refused
    flash("The draft is saved. It scores nobody until it is published.", "good")
    return redirect(url_for("web.models.edit", name=name), 303)


@blueprint.post("/models/<name>/check")
@needs("models:read")
def check(name: str) -> ResponseReturnValue:
    text = _text()
    findings = found_in(text, service.validate(text, tenant_id=visitor().tenant_id))
    if "HX-Request" in request.headers:
        return render_template("parts/findings.html", findings=findings)
    return _editor(queries.get_model(visitor().tenant_id, name), text, findings)


@blueprint.post("/models/<name>/publish")
@needs("models:publish")
def publish(name: str) -> ResponseReturnValue:
    text = _text()
    refused = _save(name, text)
    if refused is not None:
        return refused
    note = request.form.get("note", "").strip() or None
    try:
        number = service.publish(visitor().tenant_id, name, by=visitor().name, note=note)
    except InvalidModel as error:
        return _editor(queries.get_model(visitor().tenant_id, name), text, found_in(text, error.problems)), 422
    flash(f"Version {number} is live. Scores follow within seconds.", "good")
    return redirect(url_for("web.models.edit", name=name), 303)


@blueprint.post("/models/<name>/preview")
@needs("models:write")
def preview(name: str) -> ResponseReturnValue:
    """Saves what was typed, and looks at what publishing it would change."""
    text = _text()
    refused = _save(name, text)
    if refused is not None:
        return refused
    try:
        preview_id = studies.start_preview(visitor().tenant_id, name, by=visitor().name)
    except InvalidModel as error:
        return _editor(queries.get_model(visitor().tenant_id, name), text, found_in(text, error.problems)), 422
    except TooManyStudies as error:
        flash(error.message, "bad")
        return redirect(url_for("web.previews.index", name=name), 303)
    return redirect(url_for("web.previews.show", name=name, preview_id=preview_id), 303)


def _text() -> str:
    # A text area sends each line end as two characters.
    return request.form.get("source", "").replace("\r\n", "\n")


def _save(name: str, text: str) -> ResponseReturnValue | None:
    """None: it is saved; else the editor again, with what was typed and why it is not."""
    tenant_id = visitor().tenant_id
    try:
        service.save_draft(tenant_id, name, text, revision=_revision(), by=visitor().name)
    except InvalidModel as error:
        problems = error.problems
    except WrongModelName as error:
        problems = [Problem(error.field or "", error.message)]
    except DraftChanged as error:
        conflict = Conflict(error.by, error.stored, [change.sentence for change in error.changes])
        return _editor(queries.get_model(tenant_id, name), text, None, conflict, error.revision), 409
    else:
        return None
    # The text still is a change of what it began as: the next attempt has to name that revision again.
    return _editor(queries.get_model(tenant_id, name), text, found_in(text, problems), revision=_revision()), 422


def _revision() -> int | None:
    written = request.form.get("revision", "")
    return int(written) if written.isascii() and written.isdigit() else None


def _new(form: Form, findings: list[Finding] | None = None) -> str:
    tongue = starting.tongue(form)
    return render_template(
        "models/new.html",
        form=form,
        templates=templates(tongue),
        languages=LANGUAGES,
        tongue=tongue,
        findings=findings,
    )


def _editor(
    row: ModelRow,
    text: str,
    findings: list[Finding] | None,
    conflict: Conflict | None = None,
    revision: int | None = None,
) -> str:
    tenant_id = visitor().tenant_id
    versions = queries.list_versions(tenant_id, row.name)
    live = next((version for version in versions if version.number == row.published_version), None)
    return render_template(
        "models/edit.html",
        model=row,
        source=text,
        revision=row.draft_revision if revision is None else revision,
        findings=findings,
        conflict=conflict,
        versions=versions,
        publications=model_queries.list_publications(tenant_id, row.name),
        changed=live is not None and live.source != text,
    )


def _listed(tenant_id: int, row: ModelRow) -> ListedModel:
    counts: dict[str | None, int] = {}
    spread: list[Share] = []
    if row.published_version is not None:
        counts = queries.stage_counts(tenant_id, row.name)
        spread = spread_of(counts, ruler(queries.get_version(tenant_id, row.name, row.published_version)))
    labels = (("Persona", row.persona), ("Product line", row.product_line), ("Business unit", row.business_unit))
    return ListedModel(
        name=row.name,
        title=row.title,
        labels=[(word, text) for word, text in labels if text],
        published_version=row.published_version,
        precedence=row.precedence,
        archived_at=row.archived_at,
        updated_at=row.updated_at,
        scored=sum(counts.values()),
        spread=spread,
    )


def spread_of(counts: dict[str | None, int], scale: Ruler) -> list[Share]:
    """Lowest stage first; stages where nobody stands are left out."""
    shares: list[Share] = []
    total, before = sum(counts.values()), 0
    for stage in (None, *scale.stages):
        if count := counts.get(stage, 0):
            shares.append(
                Share(
                    name=stage or "No stage",
                    count=count,
                    x=round(100 * before / total, 2),
                    width=round(100 * count / total, 2),
                    tone=scale.tone(stage),
                )
            )
            before += count
    return shares
