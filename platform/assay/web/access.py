"""Sign up, log in, log out."""

from flask import Blueprint, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay import plugins
from assay.web import attempts, second_step
from assay.web.forms import Form
from assay.web.settings import public_address
from assay.web.visitors import COOKIE, enter, leave, remember, safe_next
from assay_tenants import access
from assay_tenants.errors import AssayError

blueprint = Blueprint("access", __name__)

SIGN_UP = {
    "company": "Tell us your company's name.",
    "name": "Tell us your name.",
    "email": "Fill in your e-mail address.",
    "password": "Choose a password.",
}
LOG_IN = {"email": "Fill in your e-mail address.", "password": "Fill in your password."}


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
        token = access.log_in(email=form["email"], password=form["password"])
    except AssayError as error:
        form.refuse(error)
        return _sign_up(form), error.status
    enter(token)
    page = render_template(
        "access/welcome.html", company=form["company"], write_key=signed_up.write_key, address=public_address()
    )
    return remember(make_response(page), token)


@blueprint.get("/log-in")
def log_in_page() -> ResponseReturnValue:
    return redirect(url_for("web.leads.index")) if g.visitor else _log_in(Form())


@blueprint.post("/log-in")
def log_in() -> ResponseReturnValue:
    form = Form.read(request.form, needed=LOG_IN, unstripped={"password"})
    if form.errors:
        return _log_in(form), 422
    try:
        with attempts.log_in_of(form["email"]):
            entrance = access.enter(
                email=form["email"],
                password=form["password"],
                address=request.remote_addr or "",
                agent=request.user_agent.string,
            )
    except AssayError as error:
        form.refuse(error)
        return _log_in(form), error.status
    next_page = safe_next(request.args.get("next"))
    if entrance.challenge:
        return second_step.ask_for_second_step(entrance.challenge, next_page)
    token = entrance.token or ""
    enter(token)
    return remember(make_response(redirect(next_page or url_for("web.leads.index"), 303)), token)


@blueprint.post("/log-out")
def log_out() -> ResponseReturnValue:
    access.log_out(request.cookies.get(COOKIE, ""))
    return leave(make_response(redirect(url_for("web.access.log_in_page"), 303)))


def _sign_up(form: Form) -> str:
    return render_template("access/sign_up.html", form=form, password_length=access.PASSWORD_LENGTH)


def _log_in(form: Form) -> str:
    return render_template("access/log_in.html", form=form, next=safe_next(request.args.get("next")))
