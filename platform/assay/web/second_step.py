"""Logging in by more, or other, than a password: the second step, and a passkey alone."""

import secrets
from collections.abc import Callable
from typing import TypedDict

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    g,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue

from assay.web import attempts
from assay.web.forms import Form
from assay.web.security import address_here
from assay.web.visitors import enter, remember, safe_next, visitor
from assay_tenants import access, factors
from assay_tenants.access import ChallengeOver, Pending
from assay_tenants.context import Actor, acting
from assay_tenants.errors import AssayError, NotSignedIn
from assay_tenants.factors import Method, Site, WrongFactor, passkeys, recovery, totp
from assay_tenants.factors.entering import enter_by_passkey

blueprint = Blueprint("second_step", __name__)

COOKIE = "assay_second_step"
PATH = "/log-in"
LIFETIME_SECONDS = 600
_BROWSER = "passkey_browser"

TOO_LATE = "That took longer than ten minutes. Log in again."


def ask_for_second_step(challenge: str, next_page: str | None) -> Response:
    """The answer to a right password of somebody who has a second factor."""
    response = make_response(redirect(url_for("web.second_step.page", next=next_page), 303))
    response.set_cookie(_cookie_name(), challenge, max_age=LIFETIME_SECONDS, **_cookie())
    return response


@blueprint.get("/log-in/second-step")
def page() -> ResponseReturnValue:
    if g.visitor:
        return redirect(_after())
    pending = _pending()
    return _page(pending, Form()) if pending else _start_again()


@blueprint.post("/log-in/second-step")
def prove() -> ResponseReturnValue:
    pending = _pending()
    if pending is None:
        return _start_again()
    form = Form.read(request.form, needed={})
    try:
        with attempts.second_step_of(pending.person_id):
            method = check(pending.person_id, pending.name, form)
        token = access.complete(request.cookies[_cookie_name()], proven_by=method)
    except ChallengeOver:
        return _start_again()
    except AssayError as error:
        form.refuse(error)
        return _page(pending, form), error.status
    enter(token)
    if method == "recovery":
        left = factors.overview(pending.person_id).codes_left
        flash(f"You used a recovery code; {left} are left. Make new ones under second factors.", "good")
    return _come_in(token)


@blueprint.post("/log-in/second-step/passkey")
def passkey_options() -> ResponseReturnValue:
    """Of whoever's login is under way, or of whoever is logged in and proves it anew."""
    pending = None if g.visitor else _pending()
    if not g.visitor and pending is None:
        return refused_to_script(NotSignedIn(TOO_LATE))
    person_id = pending.person_id if pending else visitor().person_id
    return options(
        lambda: passkeys.ask("second_step", site(), bound_to=passkeys.of_person(person_id), person_id=person_id)
    )


@blueprint.post("/log-in/passkey/options")
def sole_passkey_options() -> ResponseReturnValue:
    browser = session[_BROWSER] = session.get(_BROWSER) or secrets.token_urlsafe(16)

    def ask() -> passkeys.Options:
        attempts.count_passkey_login()
        return passkeys.ask("log_in", site(), bound_to=passkeys.of_browser(browser))

    return options(ask)


@blueprint.post("/log-in/passkey")
def log_in_by_passkey() -> ResponseReturnValue:
    try:
        token = enter_by_passkey(
            answer=request.form.get("credential", ""),
            site=site(),
            browser=session.pop(_BROWSER, ""),
            address=request.remote_addr or "",
            agent=request.user_agent.string,
        )
    except AssayError as error:
        flash(error.message, "bad")
        return redirect(url_for("web.access.log_in_page", next=safe_next(request.args.get("next"))), 303)
    enter(token)
    return _come_in(token)


def check(person_id: int, name: str, form: Form) -> Method:
    """What the form proves: a code, a recovery code or a passkey of this person. Raises WrongFactor."""
    method: Method = "passkey" if form["credential"] else "recovery" if form["recovery"] else "totp"
    with acting(Actor("person", str(person_id), name, request.remote_addr or "")):
        try:
            if method == "passkey":
                passkeys.prove(person_id, answer=form["credential"], site=site())
            elif method == "recovery":
                recovery.prove(person_id, form["recovery"])
            else:
                totp.prove(person_id, form["code"])
        except WrongFactor:
            access.tell_of_failed_factor(person_id, method)
            raise
    return method


def site() -> Site:
    """Where this installation's passkeys are good; raises NoPasskeysHere.

    Without a public address it is the name that the visitor uses: a browser gives a passkey to no other name's page.
    """
    return Site.of(address_here())


def options(ask: Callable[[], passkeys.Options]) -> ResponseReturnValue:
    """For the script of a page: what the browser is to ask an authenticator, or why it can't."""
    try:
        return jsonify(ask())
    except AssayError as error:
        return refused_to_script(error)


def refused_to_script(error: AssayError) -> ResponseReturnValue:
    return jsonify(code=error.code, message=error.message), error.status


def _pending() -> Pending | None:
    return access.find_pending(request.cookies.get(_cookie_name(), ""))


def _page(pending: Pending, form: Form) -> str:
    return render_template(
        "factors/second_step.html", form=form, pending=pending, next=safe_next(request.args.get("next"))
    )


def _come_in(token: str) -> Response:
    response = remember(make_response(redirect(_after(), 303)), token)
    response.delete_cookie(_cookie_name(), **_cookie())
    return response


def _after() -> str:
    return safe_next(request.args.get("next")) or url_for("web.leads.index")


def _start_again() -> Response:
    flash(TOO_LATE, "bad")
    response = make_response(redirect(url_for("web.access.log_in_page", next=safe_next(request.args.get("next"))), 303))
    response.delete_cookie(_cookie_name(), **_cookie())
    return response


class _Cookie(TypedDict):
    path: str
    httponly: bool
    samesite: str
    secure: bool


def _is_secure() -> bool:
    secure: bool = current_app.config["SESSION_COOKIE_SECURE"]
    return secure


def _cookie_name() -> str:
    return f"__Host-{COOKIE}" if _is_secure() else COOKIE


def _cookie() -> _Cookie:
    # A name that only this host can set goes with the path of all pages alone.
    return {"path": "/" if _is_secure() else PATH, "httponly": True, "samesite": "Lax", "secure": _is_secure()}
