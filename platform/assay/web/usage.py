"""The plan, and what was used of it."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay import billing, plugins
from assay.scoring.model_queries import count_all_models
from assay.web.forms import Form
from assay.web.visitors import fresh, needs, visitor
from assay_tenants import plans
from assay_tenants.access.places import count_places
from assay_tenants.errors import AssayError
from assay_tenants.permissions import may

blueprint = Blueprint("usage", __name__)


@blueprint.get("/settings/usage")
@needs("usage:read")
def index() -> ResponseReturnValue:
    return _page(Form())


@blueprint.post("/settings/usage/plan")
@needs("billing:manage")
@fresh
def change() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"plan": "Choose a plan."})
    if form.errors:
        return _page(form), 422
    try:
        address = billing.choose(visitor().tenant_id, form["plan"], email=visitor().email)
    except AssayError as error:
        form.refuse(error)
        return _page(form), error.status
    if address is not None:
        return redirect(address, 303)
    flash("The plan is changed. Its limits hold within a few seconds.", "good")
    return redirect(url_for("web.usage.index"), 303)


def _page(form: Form) -> str:
    tenant_id = visitor().tenant_id
    standing = plans.get_standing(tenant_id)
    return render_template(
        "usage/index.html",
        form=form,
        standing=standing,
        gauges=[
            ("Events this month", standing.events, standing.plan.events_per_month, standing.plan.events_at_most),
            ("Leads", standing.leads, standing.plan.leads, standing.plan.leads_at_most),
            ("Models", count_all_models(tenant_id), standing.plan.models, standing.plan.models),
            ("Members", count_places(tenant_id), standing.plan.members, standing.plan.members),
        ],
        months=plans.list_usage(tenant_id),
        offered=[plan for plan in plans.plans() if plan.offered and plan.name != standing.plan.name],
        may_choose=may(visitor().role, "billing:manage"),
        is_paid_elsewhere=plugins.installed().billing is not None,
    )
