"""One's own second factors: an authenticator app, passkeys, recovery codes."""

import re
from collections.abc import Callable

import segno
from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.web import attempts, login_rules, second_step, visitors
from assay.web.forms import Form
from assay.web.visitors import ID, fresh, signed_in, visitor
from assay_tenants import access, factors, sso
from assay_tenants.errors import AssayError, BadInput, Conflict, Forbidden, NotSignedIn
from assay_tenants.factors import passkeys, recovery, totp

blueprint = Blueprint("factors", __name__)

#: Pages on which nothing changes, and where more can be proven.
LOOKING = frozenset({"web.factors.index", "web.factors.show_one_page", "web.factors.show_one"})


class ProvidersWord(Forbidden):
    code = "providers_word"

    def __init__(self) -> None:
        super().__init__(
            "You came in through your company's single sign-on, whose word counts for that company alone; second "
            "factors are yours wherever you work. Log in with your password, or show a factor that you have."
        )


@blueprint.before_request
def take_no_providers_word() -> None:
    """A company's provider can say that anybody is anybody: it must not add a passkey that opens another company."""
    if g.visitor and request.endpoint not in LOOKING and not _is_own_proof():
        raise ProvidersWord


def _is_own_proof() -> bool:
    return bool(set(visitor().proven_by) - {sso.PROOF})


@blueprint.get("/account/second-factors")
@signed_in
def index() -> ResponseReturnValue:
    return _page()


@blueprint.post("/account/second-factors/app")
@signed_in
@fresh
def start_app() -> ResponseReturnValue:
    try:
        totp.start(visitor().person_id)
    except AssayError as error:
        return _refused(error)
    return redirect(url_for("web.factors.app"), 303)


@blueprint.get("/account/second-factors/app")
@signed_in
@fresh
def app() -> ResponseReturnValue:
    return _app_page(Form())


@blueprint.post("/account/second-factors/app/confirm")
@signed_in
@fresh
def confirm_app() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"code": "Type the code that the app shows."})
    if form.errors:
        return _app_page(form, 422)
    try:
        codes = totp.confirm(visitor().person_id, form["code"], token=visitors.token())
    except factors.WrongFactor as error:
        form.refuse(error)
        return _app_page(form, error.status)
    except AssayError as error:
        return _refused(error)
    return _added("totp", "The authenticator app is added.", codes)


@blueprint.post("/account/second-factors/app/remove")
@signed_in
@fresh
def remove_app() -> ResponseReturnValue:
    return _done(lambda: totp.remove(visitor().person_id), "The authenticator app is removed.")


@blueprint.post("/account/second-factors/passkeys/options")
@signed_in
def passkey_options() -> ResponseReturnValue:
    if not visitor().is_fresh():
        return second_step.refused_to_script(NotFresh())
    return second_step.options(lambda: passkeys.ask_to_register(visitor().person_id, second_step.site()))


@blueprint.post("/account/second-factors/passkeys")
@signed_in
@fresh
def add_passkey() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"name": "Give the passkey a name, so that you know it among others."})
    if not form.errors:
        try:
            codes = passkeys.register(
                visitor().person_id,
                answer=form["credential"],
                name=form["name"],
                site=second_step.site(),
                token=visitors.token(),
            )
        except AssayError as error:
            form.refuse(error)
            return _page(form), error.status
        return _added("passkey", "The passkey is added.", codes)
    return _page(form), 422


@blueprint.post(f"/account/second-factors/passkeys/<{ID}:passkey_id>/rename")
@signed_in
@fresh
def rename_passkey(passkey_id: int) -> ResponseReturnValue:
    name = request.form.get("name", "")
    return _done(lambda: passkeys.rename(visitor().person_id, passkey_id, name), "The passkey has its new name.")


@blueprint.post(f"/account/second-factors/passkeys/<{ID}:passkey_id>/remove")
@signed_in
@fresh
def remove_passkey(passkey_id: int) -> ResponseReturnValue:
    return _done(lambda: passkeys.remove(visitor().person_id, passkey_id), "The passkey is removed.")


@blueprint.post("/account/second-factors/codes")
@signed_in
@fresh
def make_codes() -> ResponseReturnValue:
    try:
        codes = recovery.regenerate(visitor().person_id)
    except Conflict as error:
        return _refused(error)
    return render_template("factors/codes.html", codes=codes, title="New recovery codes", replaced=True)


@blueprint.get("/account/second-factors/show")
@signed_in
def show_one_page() -> ResponseReturnValue:
    return _show_one_page(Form())


@blueprint.post("/account/second-factors/show")
@signed_in
def show_one() -> ResponseReturnValue:
    """For a login that was made without, and in place of the password where a page asks anew who it is."""
    form = Form.read(request.form, needed={})
    try:
        with attempts.second_step_of(visitor().person_id):
            method = second_step.check(visitor().person_id, visitor().name, form)
    except AssayError as error:
        form.refuse(error)
        return _show_one_page(form), error.status
    access.prove_again(visitors.token(), proven_by=method)
    return redirect(_next() or url_for("web.leads.index"), 303)


class NotFresh(NotSignedIn):
    """Told to a script, which can't be sent to another page."""

    code = "prove_again"

    def __init__(self) -> None:
        super().__init__("You proved who you are too long ago. Load this page again.")


def _done(change: Callable[[], None], sentence: str) -> ResponseReturnValue:
    try:
        change()
    except (BadInput, Conflict) as error:
        return _refused(error)
    flash(sentence, "good")
    return redirect(url_for("web.factors.index"), 303)


def _added(method: factors.Method, sentence: str, codes: tuple[str, ...]) -> ResponseReturnValue:
    # This session has just shown the factor, and is one that was opened with it from now on.
    access.prove_again(visitors.token(), proven_by=method)
    if codes:
        return render_template("factors/codes.html", codes=codes, title=sentence)
    flash(sentence, "good")
    return redirect(url_for("web.factors.index"), 303)


def _refused(error: AssayError) -> ResponseReturnValue:
    form = Form()
    form.refuse(error)
    # Fields of this page belong to other forms than the one that was refused.
    form.errors = {"": error.message}
    return _page(form), error.status


def _page(form: Form | None = None) -> str:
    person_id = visitor().person_id
    return render_template(
        "factors/index.html",
        form=form or Form(),
        held=factors.overview(person_id),
        asked=login_rules.is_due(visitor()),
        name_length=passkeys.NAME_LENGTH.stop - 1,
        no_passkeys=_why_no_passkeys(),
        providers_word=None if _is_own_proof() else ProvidersWord().message,
    )


def _show_one_page(form: Form) -> str:
    return render_template(
        "factors/show_one.html",
        form=form,
        next=_next(),
        asked=login_rules.is_due(visitor()),
        methods=factors.list_methods(visitor().person_id),
    )


def _next() -> str | None:
    return visitors.safe_next(request.args.get("next"))


def _app_page(form: Form, status: int = 200) -> ResponseReturnValue:
    enrolment = totp.enrolment(visitor().person_id)
    if enrolment is None:
        return redirect(url_for("web.factors.index"), 303)
    picture = segno.make(enrolment.uri, error="m").svg_data_uri(scale=4, border=4, light="#fff")
    secret = " ".join(re.findall(".{1,4}", enrolment.secret))
    return render_template("factors/app.html", form=form, picture=picture, secret=secret), status


def _why_no_passkeys() -> str | None:
    try:
        second_step.site()
    except factors.NoPasskeysHere as error:
        return error.message
    return None
