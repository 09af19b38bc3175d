"""Sign up, log in, log out, come in by an invitation, go to another of one's companies."""

from flask import Blueprint, Response, flash, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay import plugins
from assay.web import attempts, sso
from assay.web.forms import Form
from assay.web.security import address_here
from assay.web.visitors import enter, fresh, leave, personal, remember, safe_next, signed_in, token, visitor
from assay_tenants import access
from assay_tenants.access import Entrance, invitations
from assay_tenants.access.errors import OwnLoginNeeded
from assay_tenants.errors import AssayError
from assay_tenants.sso import logins

blueprint = Blueprint("access", __name__)

SIGN_UP = {
    "company": "Tell us your company's name.",
    "name": "Tell us your name.",
    "email": "Fill in your e-mail address.",
    "password": "Choose a password.",
}
LOG_IN = {"email": "Fill in your e-mail address.", "password": "Fill in your password."}
ACCEPT = {"name": "Tell us your name.", "password": "Choose a password."}
COMPANY = {"company": "Tell us the company's name."}


@blueprint.get("/sign-up")
def sign_up_page() -> ResponseReturnValue:
    return redirect(url_for("web.leads.index")) if g.visitor else _sign_up(Form())


@blueprint.post("/sign-up")
def sign_up() -> ResponseReturnValue:
    form = Form.read(request.form, needed=SIGN_UP, unstripped={"password"})
    if form.errors:
        return _sign_up(form), 422
    try:
        attempts.count_sign_up()
        signed_up = access.sign_up(
            company=form["company"],
            name=form["name"],
            email=form["email"],
            password=form["password"],
            plugin=plugins.installed().tracking_source().name,
        )
        entrance = access.enter(email=form["email"], password=form["password"], **came_from())
    except AssayError as error:
        form.refuse(error)
        return _sign_up(form), error.status
    if entrance.token is None:
        return _second_step(entrance)
    enter(entrance.token)
    response = remember(make_response(_welcome(form["company"], signed_up.write_key)), entrance.token)
    return attempts.know_device(response, form["email"])


@blueprint.get("/log-in")
def log_in_page() -> ResponseReturnValue:
    return redirect(url_for("web.leads.index")) if g.visitor else _log_in(Form())


@blueprint.post("/log-in")
def log_in() -> ResponseReturnValue:
    form = Form.read(request.form, needed=LOG_IN, unstripped={"password"})
    if form["email"] and not form["password"] and logins.tenant_for(form["email"]) is not None:
        return sso.send_on(form["email"], safe_next(request.args.get("next")))
    if form.errors:
        return _log_in(form), 422
    try:
        with attempts.log_in_of(form["email"]):
            entrance = access.enter(email=form["email"], password=form["password"], **came_from())
    except AssayError as error:
        form.refuse(error)
        return _log_in(form), error.status, attempts.retry_after(error)
    if entrance.token is None:
        return attempts.know_device(_second_step(entrance), form["email"])
    enter(entrance.token)
    response = remember(make_response(redirect(_after(), 303)), entrance.token)
    return attempts.know_device(response, form["email"])


@blueprint.post("/log-out")
def log_out() -> ResponseReturnValue:
    access.log_out(token())
    return leave(make_response(redirect(url_for("web.access.log_in_page"), 303)))


@blueprint.get("/invitation")
def invitation_page() -> ResponseReturnValue:
    return _invitation(Form())


@blueprint.post("/invitation")
def accept_invitation() -> ResponseReturnValue:
    """By whoever is logged in; by somebody new with a name and a password."""
    form = Form.read(request.form, needed={} if g.visitor else ACCEPT, unstripped={"password"})
    if form.errors:
        return _invitation(form, 422)
    key = request.args.get("key", "")
    try:
        if g.visitor:
            return _come_in_as_member(key)
        attempts.count_sign_up()
        tenant_id, person_id = invitations.accept_anew(key, name=form["name"], password=form["password"])
        session_token = access.open_session(person_id, tenant_id=tenant_id, proven_by=("password",), **came_from())
    except AssayError as error:
        form.refuse(error)
        return _invitation(form, error.status)
    enter(session_token)
    flash(f"Welcome to {visitor().company}.", "good")
    response = remember(make_response(redirect(url_for("web.leads.index"), 303)), session_token)
    return attempts.know_device(response, visitor().email)


@personal
def _come_in_as_member(key: str) -> ResponseReturnValue:
    tenant_id = invitations.accept_as(visitor(), key)
    try:
        return _go_to(tenant_id, "You are a member of {company} now.")
    except OwnLoginNeeded as needed:
        flash(f"You are a member there now. {needed.message}", "good")
        return redirect(url_for("web.account.index"), 303)


@blueprint.post("/switch")
@signed_in
@personal
def switch() -> ResponseReturnValue:
    typed = request.form.get("tenant", "")
    return _go_to(int(typed) if typed.isdecimal() and len(typed) < 19 else 0, "You are at {company} now.")


@blueprint.get("/new-company")
@signed_in
@personal
def new_company_page() -> ResponseReturnValue:
    return _new_company(Form())


@blueprint.post("/new-company")
@fresh
@personal
def new_company() -> ResponseReturnValue:
    form = Form.read(request.form, needed=COMPANY)
    if form.errors:
        return _new_company(form), 422
    try:
        attempts.count_sign_up()
        made = access.make_company(
            visitor(), company=form["company"], plugin=plugins.installed().tracking_source().name
        )
        session_token = access.switch_tenant(token(), made.tenant_id, **came_from())
    except AssayError as error:
        form.refuse(error)
        return _new_company(form), error.status
    enter(session_token)
    return remember(make_response(_welcome(form["company"], made.write_key)), session_token)


def came_from() -> dict[str, str]:
    """The network address and the browser, as a session remembers them."""
    return {"address": request.remote_addr or "", "agent": request.user_agent.string}


def _go_to(tenant_id: int, told: str) -> ResponseReturnValue:
    session_token = access.switch_tenant(token(), tenant_id, **came_from())
    enter(session_token)
    flash(told.format(company=visitor().company), "good")
    return remember(make_response(redirect(url_for("web.leads.index"), 303)), session_token)


def _second_step(entrance: Entrance) -> Response:
    from assay.web.second_step import ask_for_second_step

    return ask_for_second_step(entrance.challenge or "", safe_next(request.args.get("next")))


def _after() -> str:
    return safe_next(request.args.get("next")) or url_for("web.leads.index")


def _welcome(company: str, write_key: str) -> str:
    return render_template("access/welcome.html", company=company, write_key=write_key, address=address_here())


def _sign_up(form: Form) -> str:
    return render_template("access/sign_up.html", form=form, password_length=access.PASSWORD_LENGTH)


def _log_in(form: Form) -> str:
    return render_template("access/log_in.html", form=form, next=safe_next(request.args.get("next")))


def _new_company(form: Form) -> str:
    return render_template("access/new_company.html", form=form)


def _invitation(form: Form, status: int = 200) -> ResponseReturnValue:
    key = request.args.get("key", "")
    opened = invitations.open_invitation(key)
    if opened is None:
        return render_template("access/link_over.html", what="invitation"), 410
    page = render_template(
        "access/invitation.html", form=form, opened=opened, key=key, password_length=access.PASSWORD_LENGTH
    )
    return page, status
