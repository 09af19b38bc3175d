"""How long raw messages and events are kept: chosen on a page that tells first what it deletes."""

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.intake.retention import KINDS, Kind
from assay.profiles.retention import Loss, NotConfirmed, change_retention, get_retention
from assay.web.forms import Form
from assay.web.visitors import needs, visitor
from assay_tenants.errors import BadInput

blueprint = Blueprint("retention", __name__)

FOREVER = "forever"


@blueprint.get("/settings/retention")
@needs("settings:read")
def index() -> ResponseReturnValue:
    return _page()


@blueprint.post("/settings/retention")
@needs("settings:write")
def change() -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    try:
        choice = {kind: _days(kind, form[f"{kind}_days"]) for kind in KINDS if form[f"{kind}_days"]}
        change_retention(visitor().tenant_id, choice, confirmed=form["confirm"] == "yes")
    except NotConfirmed as needed:
        return _page(form=form, losses=needed.losses), 409
    except BadInput as error:
        form.refuse(error)
        return _page(form=form), 422
    flash("Saved. What comes is kept so from now on; what is there follows in the background.", "good")
    return redirect(url_for("web.retention.index"), 303)


def _days(kind: Kind, typed: str) -> int | None:
    if typed == FOREVER:
        return None
    try:
        return int(typed)
    except ValueError:
        raise BadInput("Choose one of the list.", field=f"{kind}_days") from None


def _page(*, form: Form | None = None, losses: list[Loss] | None = None) -> str:
    tenant_id = visitor().tenant_id
    return render_template(
        "settings/retention.html",
        kept=get_retention(tenant_id),
        form=form or Form(),
        losses=losses or [],
        forever=FOREVER,
        standing=current_app.extensions["tracking"].admission.standing(tenant_id),
    )
