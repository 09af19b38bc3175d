"""Which fields there are, which of them are kept out of scoring and out of sight, and what counts as a machine."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.profiles.fields import list_fields
from assay.profiles.machines import SIGNALS
from assay.profiles.naming import TELLING
from assay.scoring import keeping_out
from assay.web.forms import Form
from assay.web.visitors import needs, visitor
from assay_tenants.errors import BadInput

blueprint = Blueprint("fields", __name__)

_NOW_SCORED = " All leads are scored anew."


@blueprint.get("/fields")
@needs("settings:read")
def index() -> ResponseReturnValue:
    return _page(Form())


@blueprint.post("/fields")
@needs("settings:write")
def mark() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"name": "Write a name, such as salary, or health* for all that begin so."})
    if not form.errors:
        try:
            kept = keeping_out.mark(visitor().tenant_id, form["name"], by=visitor().name)
        except BadInput as error:
            form.errors["name"] = error.message
        else:
            flash(f"{form['name']} is kept out.{_NOW_SCORED if kept.rescore_id else ''}", "good")
            return redirect(url_for("web.fields.index"), 303)
    return _page(form), 422


@blueprint.post("/fields/unmark")
@needs("settings:write")
def unmark() -> ResponseReturnValue:
    name = request.form.get("name", "")
    kept = keeping_out.unmark(visitor().tenant_id, name, by=visitor().name)
    flash(f"{name} is shown, and models may ask for it.{_NOW_SCORED if kept.rescore_id else ''}", "good")
    return redirect(url_for("web.fields.index"), 303)


@blueprint.post("/fields/machines")
@needs("settings:write")
def watch() -> ResponseReturnValue:
    wanted = set(request.form.getlist("signal"))
    signals = {signal.name: signal.name in wanted for signal in SIGNALS}
    kept = keeping_out.watch(visitor().tenant_id, signals, by=visitor().name)
    flash(f"Saved.{_NOW_SCORED if kept.rescore_id else ''}", "good")
    return redirect(f"{url_for('web.fields.index')}#machines", 303)


def _page(form: Form) -> str:
    tenant_id = visitor().tenant_id
    return render_template(
        "fields/index.html",
        found=list_fields(tenant_id),
        kept=keeping_out.standing(tenant_id),
        in_vain=keeping_out.asked_in_vain(tenant_id),
        signals=SIGNALS,
        needed=TELLING,
        form=form,
    )
