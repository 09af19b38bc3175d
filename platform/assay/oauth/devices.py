"""The page on which somebody types the code that a device shows, and lets it in or not."""

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.oauth import pace
from assay.web.forms import Form
from assay.web.visitors import signed_in, visitor
from assay_tenants import access
from assay_tenants.access import list_companies
from assay_tenants.errors import AssayError, BadInput, Forbidden, NotFound
from assay_tenants.oauth import devices, grants
from assay_tenants.oauth.catalogue import AppView, find_app
from assay_tenants.oauth.devices import Waiting
from assay_tenants.oauth.models import NOBODY
from assay_tenants.oauth.scopes import POWERFUL, WORDS, for_role, in_order
from assay_tenants.operators import OperatorVisitor

_LONGEST_CODE: Final = 40


def add_to(pages: Blueprint) -> None:
    pages.add_url_rule("/device", "device", ask, methods=["GET"])
    pages.add_url_rule("/device", "device_code", look, methods=["POST"])
    pages.add_url_rule("/device/decide", "device_decide", decide, methods=["POST"])


@signed_in
def ask() -> ResponseReturnValue:
    """With a code in the address it is filled in and not taken: whoever sent the link may want somebody else's device
    let in."""
    return _ask(Form({"user_code": request.args.get("user_code", "")[:_LONGEST_CODE]}))


@signed_in
def look() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"user_code": "Type the code that your device shows."})
    if form.errors:
        return _ask(form), 422
    try:
        waiting, app = _find(form["user_code"])
        return _page(form["user_code"], waiting, app)
    except NotFound:
        form.refuse(BadInput("No device shows this code now. Look again, or start anew there.", field="user_code"))
        return _ask(form), 422
    except AssayError as error:
        form.refuse(error)
        return _ask(form), error.status


@signed_in
def decide() -> ResponseReturnValue:
    user_code, decision = request.form.get("user_code", "")[:_LONGEST_CODE], request.form.get("decision")
    waiting, app = _find(user_code)
    if decision != "allow":
        devices.turn_away(user_code)
        flash(f"{app.name} was turned away.", "good")
        return redirect(url_for("oauth_pages.device"), 303)
    who = visitor()
    if request.form.get("tenant") != str(who.tenant_id):
        return _page(user_code, waiting, app)
    access.require_verified(who)
    if POWERFUL & set(waiting.scopes) and not who.is_fresh():
        return redirect(url_for("web.account.confirm_page", next=url_for("oauth_pages.device")), 303)
    grant_id, given = grants.give(who.tenant_id, who.person_id, app, waiting.scopes)
    devices.let_in(
        user_code,
        tenant_id=who.tenant_id,
        grant_id=grant_id,
        scopes=given,
        auth_time=who.proven_at,
        methods=who.proven_by,
    )
    return render_template("oauth/device_done.html", app=app, visitor=who)


def _find(user_code: str) -> tuple[Waiting, AppView]:
    if isinstance(visitor(), OperatorVisitor):
        raise Forbidden("Who looks after Assay can't let devices in.")
    pace.take_device_code(visitor().person_id)
    waiting = devices.find_waiting(user_code)
    app = find_app(waiting.client_id)
    if app is None:
        raise NotFound("code on a device that waits")
    return waiting, app


def _ask(form: Form) -> str:
    return render_template("oauth/device.html", form=form)


def _page(user_code: str, waiting: Waiting, app: AppView) -> str:
    who = visitor()
    access.require_verified(who)
    standing = grants.standing(who.tenant_id, who.person_id, app)
    offered = for_role(standing.role, waiting.scopes)
    withheld = [scope for scope in in_order(waiting.scopes) if scope not in offered]
    return render_template(
        "oauth/device_consent.html",
        app=app,
        waiting=waiting,
        user_code=devices.shown(user_code),
        standing=standing,
        offered=told(offered),
        withheld=told(withheld),
        stays="refresh_token" in app.grant_types,
        companies=list_companies(who.person_id),
        visitor=who,
        nobody=app.tenant_id == NOBODY,
    )


def told(scopes: list[str]) -> list[tuple[str, str, bool]]:
    """Each scope, in words, and whether it lets its holder let others in."""
    return [(scope, WORDS[scope], scope in POWERFUL) for scope in scopes]
