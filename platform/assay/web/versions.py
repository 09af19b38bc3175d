"""What became of a model: its versions, what differs between them, the way back, the archive."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.scoring import queries, service
from assay.scoring.errors import NoSuchVersion, ReferredTo
from assay.scoring.language import InvalidModel
from assay.web.visitors import ID, needs, visitor

blueprint = Blueprint("versions", __name__)

DRAFT = "draft"


@blueprint.get(f"/models/<name>/versions/<{ID}:number>")
@needs("models:read")
def show(name: str, number: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    return render_template(
        "models/version.html",
        model=queries.get_model(tenant_id, name),
        version=queries.get_version(tenant_id, name, number),
    )


@blueprint.get("/models/<name>/changes")
@needs("models:read")
def changes(name: str) -> ResponseReturnValue:
    """From the live version, or the latest, to the draft, unless the address says otherwise."""
    tenant_id = visitor().tenant_id
    model = queries.get_model(tenant_id, name)
    versions = queries.list_versions(tenant_id, name)
    usual = model.published_version or (versions[0].number if versions else DRAFT)
    old, new = request.args.get("from") or str(usual), request.args.get("to") or DRAFT
    return render_template(
        "models/changes.html",
        model=model,
        versions=versions,
        old=old,
        new=new,
        changes=service.difference(tenant_id, name, _number(old), _number(new)),
    )


@blueprint.post(f"/models/<name>/versions/<{ID}:number>/rollback")
@needs("models:publish")
def roll_back(name: str, number: int) -> ResponseReturnValue:
    try:
        service.rollback(visitor().tenant_id, name, number, by=visitor().name)
    except InvalidModel as error:
        flash("; ".join(problem.message for problem in error.problems), "bad")
        return redirect(url_for("web.versions.show", name=name, number=number), 303)
    flash(f"Version {number} is live again. Scores follow within seconds.", "good")
    return redirect(url_for("web.models.edit", name=name), 303)


@blueprint.post("/models/<name>/archive")
@needs("models:publish")
def archive(name: str) -> ResponseReturnValue:
    try:
        service.archive(visitor().tenant_id, name, by=visitor().name)
    except ReferredTo as error:
        flash(error.message, "bad")
        return redirect(url_for("web.models.edit", name=name), 303)
    flash("The model is archived: it scores nobody. It can be taken back at any time.", "good")
    return redirect(url_for("web.models.index"), 303)


@blueprint.post("/models/<name>/restore")
@needs("models:publish")
def restore(name: str) -> ResponseReturnValue:
    try:
        number = service.restore(visitor().tenant_id, name, by=visitor().name)
    except InvalidModel as error:
        flash("; ".join(problem.message for problem in error.problems), "bad")
    else:
        flash(f"Taken back: version {number} is live." if number else "Taken back, as a draft.", "good")
    return redirect(url_for("web.models.edit", name=name), 303)


def _number(side: str) -> int | None:
    if side == DRAFT:
        return None
    if not (side.isascii() and side.isdigit()):
        raise NoSuchVersion
    return int(side)
