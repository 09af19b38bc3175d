"""Rules for logging in: whom the company asks for a second factor, who has one, and who lost theirs."""

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.web.forms import Form
from assay.web.visitors import ID, fresh, needs, visitor
from assay_tenants import factors
from assay_tenants.access import Visitor
from assay_tenants.errors import AssayError, BadInput, NotFound
from assay_tenants.operators import OperatorVisitor
from assay_tenants.permissions import may

blueprint = Blueprint("login_rules", __name__)

#: What proves more than a password does. A company's own provider asks for as much as that company wants.
MORE_THAN_A_PASSWORD = frozenset({"totp", "passkey", "recovery", "sso"})
#: Where whoever has no second factor yet can go: to get one, to prove who they are, to verify an address, and away.
OPEN_WITHOUT = frozenset(
    {
        *("web.static", "web.access.log_out", "web.access.switch", "web.operators.leave_access"),
        *("web.account.index", "web.account.confirm_page", "web.account.confirm"),
        *("web.recovery.send_verification", "web.recovery.verify_page", "web.recovery.verify"),
    }
)
_OWN_THEMES = ("web.factors.", "web.second_step.")

IN_WORDS = {
    "nobody": "Nobody: a password is enough",
    "owners_and_admins": "Owners and admins",
    "everybody": "Everybody",
}


def is_due(who: Visitor) -> bool:
    """Whether this visitor's company asks for a second factor that this session was not opened with."""
    if isinstance(who, OperatorVisitor) or not MORE_THAN_A_PASSWORD.isdisjoint(who.proven_by):
        return False
    return factors.needs_one(who.role, who.second_factor)


def lead_to_second_factors() -> ResponseReturnValue | None:
    """Before each request: nobody gets past who needs a second factor and has shown none."""
    endpoint = request.endpoint or ""
    if g.visitor is None or endpoint in OPEN_WITHOUT or endpoint.startswith(_OWN_THEMES) or not is_due(g.visitor):
        return None
    target = url_for("web.factors.index")
    if "HX-Request" in request.headers:
        response = make_response("", 403)
        response.headers["HX-Redirect"] = target
        return response
    return redirect(target, 303)


@blueprint.get("/settings/security")
@needs("security:manage")
def index() -> ResponseReturnValue:
    return _page(Form())


@blueprint.post("/settings/security")
@needs("security:manage")
@fresh
def change() -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    try:
        who = factors.change_rule(visitor().tenant_id, form["second_factor"])
    except BadInput as error:
        form.refuse(error)
        return _page(form), error.status
    flash(
        "Saved. A password is enough to log in."
        if who == "nobody"
        else "Saved. Whoever is asked and has no second factor is led to add one at their next page.",
        "good",
    )
    return redirect(url_for("web.login_rules.index"), 303)


@blueprint.post(f"/settings/security/members/<{ID}:person_id>/reset")
@needs("members:manage")
@fresh
def reset(person_id: int) -> ResponseReturnValue:
    try:
        name = factors.reset_member(visitor().tenant_id, person_id, by=visitor().person_id)
    except NotFound:
        raise
    except AssayError as error:
        form = Form()
        form.refuse(error)
        return _page(form), error.status
    flash(f"{name} has no second factor any more, is logged out everywhere, and was told by mail.", "good")
    return redirect(url_for("web.login_rules.index"), 303)


def _page(form: Form) -> str:
    tenant_id = visitor().tenant_id
    return render_template(
        "factors/rules.html",
        form=form,
        rule=factors.rule_of(tenant_id),
        words=IN_WORDS,
        members=factors.members_of(tenant_id),
        may_reset=may(visitor().role, "members:manage"),
    )
