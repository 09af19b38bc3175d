"""Who of the operators looked, why and until when; and what holds an operator back who is at the pages."""

from typing import Final

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.web.visitors import COOKIE, ID, enter, leave, needs, remember, visitor
from assay_tenants import operators
from assay_tenants.errors import Conflict, Forbidden
from assay_tenants.operators import OperatorVisitor

blueprint = Blueprint("operators", __name__)

#: Pages that an operator may open, as far as the role allows; whatever is not named is a person's own.
OPEN_TO_OPERATORS: Final = frozenset(
    {
        *("leads", "companies", "judgements", "merges", "models", "previews", "rescores", "versions", "imports"),
        *("fields", "settings", "retention", "refused", "audit", "operators", "usage", "members", "clients"),
        "connections",
    }
)
#: Beside these, the ways out.
WAYS_OUT: Final = frozenset({"web.access.log_out", "web.operators.leave_access", "web.static"})
#: What is kept out of sight is never shown to an operator.
WITHHELD: Final = frozenset({"web.leads.reveal"})
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class NotForOperators(Forbidden):
    code = "not_for_operators"


def hold_back() -> None:
    """Before each request: raises NotForOperators for what an operator's access does not hold, and notes the rest."""
    who = g.get("visitor")
    if not isinstance(who, OperatorVisitor) or request.endpoint is None or request.endpoint in WAYS_OUT:
        if isinstance(who, OperatorVisitor) and request.endpoint == "web.access.log_out":
            operators.end(who.tenant_id, who.access.id)
        return
    theme = request.endpoint.split(".")[1]
    if request.endpoint in WITHHELD or theme not in OPEN_TO_OPERATORS:
        raise NotForOperators("Operators may not open this: it is a person's own, or kept out of sight.")
    if request.method not in READING and not who.access.may_write:
        raise NotForOperators("This access is for looking alone: nothing was changed.")
    if request.method in READING:
        operators.note_look(who.access, request.path)


@blueprint.get("/settings/operators")
@needs("audit:read")
def index() -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    return render_template(
        "operators/index.html",
        accesses=operators.list_accesses(tenant_id),
        needs_consent=operators.needs_consent(tenant_id),
        may_decide=operators.allows(visitor(), "security:manage"),
    )


@blueprint.post("/settings/operators/rule")
@needs("security:manage")
def change_rule() -> ResponseReturnValue:
    wanted = request.form.get("needs_consent") == "yes"
    operators.change_rule(visitor().tenant_id, needs_consent=wanted)
    flash(
        "Saved. Operators have to ask from now on; what is open stays open until you end it."
        if wanted
        else "Saved. Operators may look without asking; you see each time who, why and what.",
        "good",
    )
    return redirect(url_for("web.operators.index"), 303)


@blueprint.post(f"/settings/operators/<{ID}:access_id>/allow")
@needs("security:manage")
def allow(access_id: int) -> ResponseReturnValue:
    try:
        access = operators.allow(visitor().tenant_id, access_id)
    except Conflict as error:
        flash(error.message, "bad")
    else:
        flash(f"{access.operator} may look for {access.minutes} minutes from now.", "good")
    return redirect(url_for("web.operators.index"), 303)


@blueprint.post(f"/settings/operators/<{ID}:access_id>/end")
@needs("security:manage")
def end(access_id: int) -> ResponseReturnValue:
    operators.end(visitor().tenant_id, access_id)
    flash("The access is over: its next request is refused.", "good")
    return redirect(url_for("web.operators.index"), 303)


@blueprint.get("/operators/<link>")
def link_page(link: str) -> ResponseReturnValue:
    """Opening it spends nothing: programs that look ahead at links would use it up."""
    return render_template("operators/enter.html", access=operators.link_of(link), link=link)


@blueprint.post("/operators/<link>")
def enter_access(link: str) -> ResponseReturnValue:
    token = operators.enter(link)
    enter(token)
    return remember(make_response(redirect(url_for("web.leads.index"), 303)), token)


@blueprint.post("/operators/leave")
def leave_access() -> ResponseReturnValue:
    who = g.visitor
    if isinstance(who, OperatorVisitor):
        operators.end(who.tenant_id, who.access.id)
    elif COOKIE in request.cookies:
        return redirect(url_for("web.leads.index"), 303)
    return leave(make_response(redirect(url_for("web.access.log_in_page"), 303)))
