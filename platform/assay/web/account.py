"""A person's own page: name, address, password, companies, sessions; and proving anew who one is."""

from flask import Blueprint, current_app, flash, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.web import attempts
from assay.web.forms import Form
from assay.web.visitors import ID, leave, personal, safe_next, signed_in, token, visitor
from assay_tenants import access, factors
from assay_tenants.access import Visitor, members, recovery, sessions, verification
from assay_tenants.access.devices import device
from assay_tenants.errors import AssayError
from assay_tenants.models import Role

blueprint = Blueprint("account", __name__)

PASSWORD = {"present": "Fill in your present password.", "password": "Choose a new password."}
ADDRESS = {"email": "Fill in the new address.", "address_password": "Fill in your present password."}
#: Pages of others that belong to a person, each shown where it is there.
MORE = (
    ("web.factors.index", "Second factors", "Passkeys, an authenticator app, recovery codes."),
    ("web.apps.granted", "Apps you gave access", "What acts in your name, and ending it."),
)


@blueprint.get("/account")
@signed_in
@personal
def index() -> ResponseReturnValue:
    return _page(Form())


@blueprint.post("/account/name")
@signed_in
@personal
def change_name() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"name": "Tell us your name."})
    try:
        if not form.errors:
            recovery.change_name(visitor(), form["name"])
            flash("Your name is changed.", "good")
            return redirect(url_for("web.account.index"), 303)
    except AssayError as error:
        form.refuse(error)
    return _page(form), 422


@blueprint.post("/account/password")
@signed_in
@personal
def change_password() -> ResponseReturnValue:
    form = Form.read(request.form, needed=PASSWORD, unstripped={"present", "password"})
    if form.errors:
        return _page(form), 422
    try:
        with attempts.log_in_of(visitor().email):
            recovery.change_password(
                visitor(),
                token(),
                present=form["present"],
                password=form["password"],
                address=request.remote_addr or "",
            )
    except AssayError as error:
        form.refuse(error)
        return _page(form), error.status, attempts.retry_after(error)
    flash("Your password is changed, and all your other sessions were ended.", "good")
    return redirect(url_for("web.account.index"), 303)


@blueprint.post("/account/address")
@signed_in
@personal
def change_address() -> ResponseReturnValue:
    form = Form.read(request.form, needed=ADDRESS, unstripped={"address_password"})
    if form.errors:
        return _page(form), 422
    try:
        attempts.count_verification(visitor().person_id)
        with attempts.log_in_of(visitor().email):
            verification.ask_for_address(visitor(), email=form["email"], password=form["address_password"])
    except AssayError as error:
        form.refuse(error)
        return _page(form), error.status, attempts.retry_after(error)
    flash(f"Open the link that we sent to {form['email']}; until then your address stays as it is.", "good")
    return redirect(url_for("web.account.index"), 303)


@blueprint.post(f"/account/sessions/<{ID}:session_id>/end")
@signed_in
@personal
def end_session(session_id: int) -> ResponseReturnValue:
    sessions.revoke_session(visitor(), session_id)
    if session_id == visitor().session_id:
        return leave(make_response(redirect(url_for("web.access.log_in_page"), 303)))
    flash("That session is ended.", "good")
    return redirect(url_for("web.account.index"), 303)


@blueprint.post("/account/sessions/end-others")
@signed_in
@personal
def end_others() -> ResponseReturnValue:
    ended = sessions.revoke_others(visitor())
    flash(f"{ended} other session{' was' if ended == 1 else 's were'} ended.", "good")
    return redirect(url_for("web.account.index"), 303)


@blueprint.post("/account/leave")
@signed_in
@personal
def leave_company() -> ResponseReturnValue:
    """The company that one is at now."""
    company = visitor().company
    try:
        members.leave(visitor().tenant_id, visitor().person_id)
    except AssayError as error:
        flash(error.message, "bad")
        return redirect(url_for("web.account.index"), 303)
    response = leave(make_response(redirect(url_for("web.access.log_in_page"), 303)))
    flash(f"You are no longer a member of {company}.", "good")
    return response


@blueprint.get("/account/confirm")
@signed_in
@personal
def confirm_page() -> ResponseReturnValue:
    return redirect(_after()) if visitor().is_fresh() else _confirm(Form())


@blueprint.post("/account/confirm")
@signed_in
@personal
def confirm() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"password": "Fill in your password."}, unstripped={"password"})
    if form.errors:
        return _confirm(form), 422
    try:
        with attempts.log_in_of(visitor().email):
            recovery.confirm_password(visitor(), form["password"])
    except AssayError as error:
        form.refuse(error)
        return _confirm(form), error.status, attempts.retry_after(error)
    access.prove_again(token(), proven_by="password")
    return redirect(_after(), 303)


def companies_of(who: Visitor) -> list[tuple[int, str, Role]]:
    """Where else this visitor may go; an operator who looks in belongs to none."""
    return access.list_companies(who.person_id) if who.person_id else []


def _after() -> str:
    return safe_next(request.args.get("next")) or url_for("web.settings.index")


def _confirm(form: Form) -> str:
    return render_template(
        "account/confirm.html",
        form=form,
        next=safe_next(request.args.get("next")),
        has_password=recovery.has_password(visitor()),
        methods=factors.list_methods(visitor().person_id),
    )


def _page(form: Form) -> str:
    who = g.visitor
    return render_template(
        "account/index.html",
        form=form,
        sessions=sessions.list_sessions(who),
        device=device,
        companies=access.list_companies(who.person_id),
        has_password=recovery.has_password(who),
        password_length=access.PASSWORD_LENGTH,
        lifetime=sessions.SESSION_LIFETIME,
        idle=sessions.SESSION_IDLE,
        more=[entry for entry in MORE if entry[0] in current_app.view_functions],
    )
