"""Who is whom: merges with their reasons, identifiers of a lead, values that join nobody; all of it can be undone."""

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.profiles import deciding, kinship, limits
from assay.profiles import queries as profiles
from assay.profiles.matching import Key
from assay.web.forms import Form
from assay.web.leads import title_of
from assay.web.visitors import ID, needs, visitor
from assay_tenants.errors import BadInput, Conflict

blueprint = Blueprint("merges", __name__)

Answer = TypeVar("Answer")

PAGE = 25
#: Identifiers that a lead's page shows at once.
SHOWN = 30

KINDS = {"email": "E-mail address", "user_id": "User id", "anonymous_id": "Device"}


@blueprint.get("/leads/merges")
@needs("leads:read")
def index() -> ResponseReturnValue:
    visitors = request.args.get("visitors") == "yes"
    cursor = request.args.get("cursor") or None
    found = kinship.list_merges(visitor().tenant_id, cursor=cursor, limit=PAGE, visitors=visitors)
    shown = {"visitors": visitors, "merges": found.items, "more": _more("web.merges.index", found.next_cursor)}
    if request.headers.get("HX-Target") == "li#more":
        return render_template("merges/entries.html", **shown)
    return render_template("merges/index.html", **shown)


@blueprint.post(f"/leads/merges/<{ID}:merge_id>/undo")
@needs("leads:write")
def undo(merge_id: int) -> ResponseReturnValue:
    decided = deciding.undo(visitor().tenant_id, merge_id, by=visitor().name, reason=request.form.get("reason", ""))
    flash("They are two leads again. Their scores follow within seconds.", "good")
    return redirect(url_for("web.leads.lead", lead_id=decided.lead_id), 303)


@blueprint.get(f"/leads/<{ID}:lead_id>/identities")
@needs("leads:read")
def identities(lead_id: int) -> ResponseReturnValue:
    """The panel alone where a lead's page asks for it."""
    if "HX-Request" in request.headers:
        found = kinship.list_identities(visitor().tenant_id, lead_id)
        return render_template("parts/identities.html", lead_id=lead_id, found=found, shown=SHOWN)
    return _identities(lead_id, Form())


@blueprint.post(f"/leads/<{ID}:lead_id>/identities/apart")
@needs("leads:write")
def tell_apart(lead_id: int) -> ResponseReturnValue:
    keys = {_key(written) for written in request.form.getlist("identity")}
    form = Form.read(request.form, needed={})

    def decide() -> deciding.Decided:
        return deciding.tell_apart(visitor().tenant_id, lead_id, keys, by=visitor().name, reason=form["reason"])

    decided = _tried(form, decide)
    if decided is None:
        return _identities(lead_id, form), 422
    flash("They are two leads now. What you chose went to a lead of its own: this one.", "good")
    return redirect(url_for("web.leads.lead", lead_id=decided.other_id), 303)


@blueprint.post(f"/leads/<{ID}:lead_id>/identities/join")
@needs("leads:write")
def join(lead_id: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    profiles.get_lead(tenant_id, lead_id)
    form = Form.read(request.form, needed={"other": "Which lead? Give its address, an e-mail address or another id."})

    def decide() -> deciding.Decided:
        other_id = kinship.find_lead(tenant_id, form["other"])
        return deciding.join(tenant_id, lead_id, other_id, by=visitor().name, reason=form["why"])

    decided = None if form.errors else _tried(form, decide)
    if decided is None:
        if "other_id" in form.errors:
            form.errors["other"] = form.errors.pop("other_id")
        return _identities(lead_id, form), 422
    flash("They are one lead now. The score follows within seconds.", "good")
    return redirect(url_for("web.leads.lead", lead_id=decided.lead_id), 303)


@blueprint.get("/leads/merges/decisions")
@needs("leads:read")
def decisions() -> ResponseReturnValue:
    found = kinship.list_decisions(visitor().tenant_id, cursor=request.args.get("cursor") or None, limit=PAGE)
    more = _more("web.merges.decisions", found.next_cursor)
    return render_template("merges/decisions.html", decisions=found.items, more=more)


@blueprint.post(f"/leads/merges/decisions/<{ID}:decision_id>/withdraw")
@needs("leads:write")
def withdraw(decision_id: int) -> ResponseReturnValue:
    deciding.withdraw(visitor().tenant_id, decision_id, by=visitor().name)
    flash("It holds no more: what they sent decides again.", "good")
    return redirect(url_for("web.merges.decisions"), 303)


@blueprint.get("/leads/merges/shared-values")
@needs("leads:read")
def shared() -> ResponseReturnValue:
    return _shared(Form())


@blueprint.post("/leads/merges/shared-values")
@needs("leads:write")
def say() -> ResponseReturnValue:
    """Blocks or releases a value."""
    form = Form.read(request.form, needed={"value": "Which value?"})
    blocked = form["rule"] != "released"

    def decide() -> bool:
        key = form["kind"], form["value"]
        deciding.rule(visitor().tenant_id, key, blocked=blocked, by=visitor().name, reason=form["reason"])
        return True

    if form.errors or not _tried(form, decide):
        return _shared(form), 422
    words = "joins nobody from now on" if blocked else "joins again, however many use it"
    flash(f"{kinship.named((form['kind'], form['value']))} {words}.", "good")
    return redirect(url_for("web.merges.shared"), 303)


@blueprint.post(f"/leads/merges/shared-values/<{ID}:rule_id>/forget")
@needs("leads:write")
def forget(rule_id: int) -> ResponseReturnValue:
    rule = deciding.forget_rule(visitor().tenant_id, rule_id)
    flash(f"{kinship.named((rule.kind, rule.value))} is like all other values again.", "good")
    return redirect(url_for("web.merges.shared"), 303)


def _tried(form: Form, decide: Callable[[], Answer]) -> Answer | None:
    """None when it was refused; the form says why."""
    try:
        return decide()
    except (BadInput, Conflict) as error:
        form.refuse(error)
        return None


def _identities(lead_id: int, form: Form) -> str:
    tenant_id = visitor().tenant_id
    found = kinship.list_identities(tenant_id, lead_id)
    lead = profiles.get_lead(tenant_id, lead_id)
    return render_template(
        "merges/identities.html",
        lead=lead,
        title=title_of(lead.id, lead.name, lead.email),
        found=found,
        merges=kinship.list_merges(tenant_id, lead_id=lead_id, limit=PAGE).items,
        form=form,
        chosen=request.form.getlist("identity"),
    )


def _shared(form: Form) -> str:
    found = kinship.list_shared(visitor().tenant_id, cursor=request.args.get("cursor") or None, limit=PAGE)
    more = _more("web.merges.shared", found.next_cursor)
    return render_template(
        "merges/shared.html", values=found.items, more=more, form=form, kinds=KINDS, limits=limits.current()
    )


def _more(endpoint: str, cursor: str | None) -> str | None:
    return url_for(endpoint, visitors=request.args.get("visitors"), cursor=cursor) if cursor else None


def _key(written: str) -> Key:
    kind, _, value = written.partition("=")
    return kind, value
