"""Models: from a starter or pasted, edited, checked, published."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.scoring import queries, service
from assay.scoring.errors import ModelNameTaken, WrongModelName
from assay.scoring.language import InvalidModel, Problem
from assay.scoring.models import ModelRow
from assay.web.findings import Finding, found_in
from assay.web.forms import Form
from assay.web.rulers import Ruler, ruler
from assay.web.visitors import ID, signed_in, visitor
from assay_tenants.errors import NotFound

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
    published_version: int | None
    updated_at: datetime
    scored: int
    spread: list[Share]


@blueprint.get("/models")
@signed_in
def index() -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    return render_template(
        "models/index.html", models=[_listed(tenant_id, row) for row in queries.list_models(tenant_id)]
    )


@blueprint.get("/new-model")
@signed_in
def new() -> ResponseReturnValue:
    return _new(Form())


@blueprint.post("/new-model")
@signed_in
def create() -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    text = _starter(form["starter"]) if form["starter"] else _text()
    if not text.strip():
        form.errors["source"] = "Paste a model, or take one of the starters."
        return _new(form), 422
    try:
        row = service.create_model(visitor().tenant_id, text)
    except InvalidModel as error:
        return _new(form, found_in(text, error.problems)), 422
    except ModelNameTaken as error:
        form.errors[""] = error.message
        return _new(form), 409
    return redirect(url_for("web.models.edit", name=row.name), 303)


@blueprint.get("/models/<name>")
@signed_in
def edit(name: str) -> ResponseReturnValue:
    row = queries.get_model(visitor().tenant_id, name)
    return _editor(row, row.draft, None)


@blueprint.post("/models/<name>")
@signed_in
def save(name: str) -> ResponseReturnValue:
    text = _text()
    problems = _save(name, text)
    if problems:
        return _editor(queries.get_model(visitor().tenant_id, name), text, found_in(text, problems)), 422
    flash("The draft is saved. It scores nobody until it is published.", "good")
    return redirect(url_for("web.models.edit", name=name), 303)


@blueprint.post("/models/<name>/check")
@signed_in
def check(name: str) -> ResponseReturnValue:
    text = _text()
    findings = found_in(text, service.validate(text))
    if "HX-Request" in request.headers:
        return render_template("parts/findings.html", findings=findings)
    return _editor(queries.get_model(visitor().tenant_id, name), text, findings)


@blueprint.post("/models/<name>/publish")
@signed_in
def publish(name: str) -> ResponseReturnValue:
    text = _text()
    problems = _save(name, text) or service.validate(text)
    if problems:
        return _editor(queries.get_model(visitor().tenant_id, name), text, found_in(text, problems)), 422
    number = service.publish(visitor().tenant_id, name, by=visitor().name)
    flash(f"Version {number} is live. Scores follow within seconds.", "good")
    return redirect(url_for("web.models.edit", name=name), 303)


@blueprint.get(f"/models/<name>/versions/<{ID}:number>")
@signed_in
def version(name: str, number: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    return render_template(
        "models/version.html",
        model=queries.get_model(tenant_id, name),
        version=queries.get_version(tenant_id, name, number),
    )


def _text() -> str:
    # A text area sends each line end as two characters.
    return request.form.get("source", "").replace("\r\n", "\n")


def _starter(name: str) -> str:
    for starter in service.starters():
        if starter.name == name:
            return starter.text
    raise NotFound("starter model")


def _save(name: str, text: str) -> list[Problem]:
    try:
        service.save_draft(visitor().tenant_id, name, text)
    except InvalidModel as error:
        return error.problems
    except WrongModelName as error:
        return [Problem(error.field or "", error.message)]
    return []


def _new(form: Form, findings: list[Finding] | None = None) -> str:
    return render_template("models/new.html", form=form, starters=service.starters(), findings=findings)


def _editor(row: ModelRow, text: str, findings: list[Finding] | None) -> str:
    versions = queries.list_versions(visitor().tenant_id, row.name)
    live = next((version for version in versions if version.number == row.published_version), None)
    return render_template(
        "models/edit.html",
        model=row,
        source=text,
        findings=findings,
        versions=versions,
        changed=live is not None and live.source != text,
    )


def _listed(tenant_id: int, row: ModelRow) -> ListedModel:
    if row.published_version is None:
        return ListedModel(row.name, row.title, None, row.updated_at, 0, [])
    counts = queries.stage_counts(tenant_id, row.name)
    scale = ruler(queries.get_version(tenant_id, row.name, row.published_version))
    spread = spread_of(counts, scale)
    return ListedModel(row.name, row.title, row.published_version, row.updated_at, sum(counts.values()), spread)


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
