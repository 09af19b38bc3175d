"""What people think of a lead: points with a reason, given and taken back on its page."""

from datetime import UTC, date, datetime, time, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.profiles import queries as profiles
from assay.scoring import judgements, queries
from assay.web.forms import Form
from assay.web.leads import title_of
from assay.web.visitors import ID, needs, visitor
from assay_tenants.errors import BadInput

blueprint = Blueprint("judgements", __name__)


@blueprint.get(f"/leads/<{ID}:lead_id>/judgements")
@needs("leads:read")
def index(lead_id: int) -> ResponseReturnValue:
    """The panel alone where a lead's page asks for it."""
    return _page(lead_id, Form())


@blueprint.post(f"/leads/<{ID}:lead_id>/judgements")
@needs("leads:write")
def record(lead_id: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    profiles.get_lead(tenant_id, lead_id)
    needed = {"points": "How many points, such as 15 or -10?", "reason": "Say why, in a few words."}
    form = Form.read(request.form, needed=needed)
    if not form.errors:
        try:
            judgements.record(
                tenant_id,
                lead_id,
                points=judgements.read_points(form["points"]),
                reason=form["reason"],
                by=visitor().name,
                model=form["model"] or None,
                expires_at=_end_of(form["until"]),
            )
        except BadInput as error:
            form.refuse(error)
    if form.errors:
        return _page(lead_id, form), 422
    flash("Your points count from now on.", "good")
    return redirect(url_for("web.leads.lead", lead_id=lead_id, model=form["shown"] or None), 303)


@blueprint.post(f"/leads/<{ID}:lead_id>/judgements/<key>/withdraw")
@needs("leads:write")
def withdraw(lead_id: int, key: str) -> ResponseReturnValue:
    judgements.withdraw(visitor().tenant_id, lead_id, key, by=visitor().name)
    flash("These points count no more. That they did stays on record.", "good")
    shown = request.form.get("shown") or None
    return redirect(url_for("web.leads.lead", lead_id=lead_id, model=shown), 303)


def _page(lead_id: int, form: Form) -> str:
    tenant_id = visitor().tenant_id
    found = profiles.get_lead(tenant_id, lead_id)
    in_place = "HX-Request" in request.headers
    return render_template(
        "parts/judgements.html" if in_place else "leads/judgements.html",
        lead=found,
        title=title_of(found.id, found.name, found.email),
        judgements=judgements.list_judgements(tenant_id, lead_id),
        models=queries.list_published(tenant_id),
        shown=request.values.get("shown") or request.args.get("model") or "",
        form=form,
        now=datetime.now(UTC),
    )


def _end_of(written: str) -> datetime | None:
    """Of that day, in UTC."""
    if not written:
        return None
    try:
        return datetime.combine(date.fromisoformat(written), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise BadInput("That is no day: write it as 2026-12-31.", field="until") from None
