"""Forgotten passwords, and addresses to be verified."""

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.web import attempts
from assay.web.forms import Form
from assay.web.visitors import leave, personal, recognise, signed_in, visitor
from assay_tenants.access import PASSWORD_LENGTH, recovery, verification
from assay_tenants.access.errors import NotLoggedInHere
from assay_tenants.errors import AssayError

blueprint = Blueprint("recovery", __name__)


@blueprint.get("/verify")
def verify_page() -> ResponseReturnValue:
    """Shows a button: programs that look into mails open links, and must not use them up."""
    key = request.args.get("key", "")
    sent = verification.find_verification(key)
    if sent is None:
        return render_template("access/link_over.html", what="link"), 410
    if g.visitor is None:
        return _log_in_first(sent.email)
    if g.visitor.person_id != sent.person_id:
        return _somebody_else(NotLoggedInHere())
    return render_template("access/verify.html", form=Form(), email=sent.email, key=key)


@blueprint.post("/verify")
def verify() -> ResponseReturnValue:
    try:
        email = verification.verify(request.args.get("key", ""), by=g.visitor.person_id if g.visitor else None)
    except NotLoggedInHere as error:
        # Back to the page, which asks for the login.
        return _somebody_else(error) if g.visitor else redirect(request.full_path, 303)
    except AssayError as error:
        return render_template("access/link_over.html", what="link", sentence=error.message), error.status
    recognise()
    flash(f"{email} is verified. Thank you.", "good")
    return redirect(url_for("web.leads.index"), 303)


@blueprint.post("/account/verification")
@signed_in
@personal
def send_verification() -> ResponseReturnValue:
    attempts.count_verification(visitor().person_id)
    verification.send_again(visitor())
    flash(f"A new link is on its way to {visitor().email}. The former one is void.", "good")
    return redirect(url_for("web.account.index"), 303)


@blueprint.get("/forgotten")
def forgotten_page() -> ResponseReturnValue:
    return render_template("access/forgotten.html", form=Form())


@blueprint.post("/forgotten")
def forgotten() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"email": "Fill in your e-mail address."})
    if not form.errors:
        try:
            attempts.count_reset(form["email"])
            recovery.ask_for_reset(form["email"], address=request.remote_addr or "")
        except AssayError as error:
            form.refuse(error)
            return render_template("access/forgotten.html", form=form), error.status, attempts.retry_after(error)
        return render_template("access/forgotten.html", form=form, asked=form["email"])
    return render_template("access/forgotten.html", form=form), 422


@blueprint.get("/reset")
def reset_page() -> ResponseReturnValue:
    return _reset(Form())


@blueprint.post("/reset")
def reset() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"password": "Choose a password."}, unstripped={"password"})
    if form.errors:
        return _reset(form, 422)
    try:
        email = recovery.reset(request.args.get("key", ""), form["password"], address=request.remote_addr or "")
    except AssayError as error:
        form.refuse(error)
        return _reset(form, error.status)
    # All sessions have ended, this browser's too. It has shown that it reads the person's mail.
    response = leave(make_response(redirect(url_for("web.access.log_in_page"), 303)))
    flash("Your new password is set, and all your sessions were ended. Log in with it.", "good")
    return attempts.know_device(response, email)


def _log_in_first(email: str) -> ResponseReturnValue:
    """Whoever only reads mail there may not know whose account it is: a stranger's password would open it."""
    flash(f"Log in to the account that you made, and you come back to verify {email}.", "good")
    return redirect(url_for("web.access.log_in_page", next=request.full_path), 303)


def _somebody_else(error: NotLoggedInHere) -> ResponseReturnValue:
    page = render_template("access/link_over.html", what="link", sentence=error.message, heading="Log in first")
    return page, error.status


def _reset(form: Form, status: int = 200) -> ResponseReturnValue:
    key = request.args.get("key", "")
    email = recovery.find_reset(key)
    if email is None:
        return render_template("access/link_over.html", what="link"), 410
    page = render_template("access/reset.html", form=form, email=email, key=key, password_length=PASSWORD_LENGTH)
    return page, status
