"""Partner apps: registered, installed, removed; and what each person let them do."""

from dataclasses import dataclass, field
from typing import TypedDict

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.web.forms import Form
from assay.web.security import address_here
from assay.web.visitors import ID, fresh, needs, personal, signed_in, verified, visitor
from assay_tenants.errors import AssayError, NotFound
from assay_tenants.oauth import apps, catalogue, grants, registration
from assay_tenants.oauth.catalogue import AppView
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.models import AppKind
from assay_tenants.oauth.scopes import POWERFUL, WORDS

blueprint = Blueprint("apps", __name__)

CLIENT = "string(maxlength=60):client_id"
KINDS: dict[str, tuple[AppKind, str, str]] = {
    "server": ("confidential", "On a server", "It keeps a secret that nobody else sees."),
    "device": ("public", "On somebody's device or in a browser", "It can keep no secret, and needs none."),
}
NAMED = {"name": "Give the app the name under which people know it."}


@dataclass(frozen=True)
class Secret:
    """An app's secret at the one moment when it can be read."""

    name: str
    secret: str = field(repr=False)


@blueprint.get("/settings/apps")
@needs("apps:manage")
def index() -> ResponseReturnValue:
    return _index()


@blueprint.post(f"/settings/apps/<{CLIENT}>/uninstall")
@needs("apps:manage")
def uninstall(client_id: str) -> ResponseReturnValue:
    ended = grants.uninstall(visitor().tenant_id, client_id)
    people = "1 person" if ended == 1 else f"{ended} people"
    flash(f"The app is out: it acted for {people}, and is refused from now on.", "good")
    return redirect(url_for("web.apps.index"), 303)


@blueprint.post(f"/settings/apps/grants/<{ID}:grant_id>/revoke")
@needs("apps:manage")
def revoke(grant_id: int) -> ResponseReturnValue:
    grants.revoke_grant(visitor().tenant_id, grant_id)
    flash("The app acts for this person no more.", "good")
    return redirect(url_for("web.apps.index"), 303)


@blueprint.get("/settings/new-app")
@needs("apps:manage")
def new() -> ResponseReturnValue:
    return _form(Form(), None)


@blueprint.post("/settings/new-app")
@needs("apps:manage")
@verified
@fresh
def register() -> ResponseReturnValue:
    form = Form.read(request.form, needed=NAMED)
    kind = KINDS.get(form["kind"], KINDS["server"])[0]
    if form.errors:
        return _form(form, None), 422
    try:
        registered = apps.register_app(visitor().tenant_id, kind=kind, created_by=visitor().person_id, **_chosen(form))
    except AssayError as error:
        form.refuse(error)
        return _form(form, None), error.status
    issued = Secret(form["name"], registered.secret) if registered.secret else None
    return _show(registered.client_id, issued=issued)


@blueprint.get(f"/settings/apps/<{CLIENT}>")
@needs("apps:manage")
def show(client_id: str) -> ResponseReturnValue:
    return _show(client_id)


@blueprint.get(f"/settings/apps/<{CLIENT}>/change")
@needs("apps:manage")
def change_page(client_id: str) -> ResponseReturnValue:
    app = apps.get_app(visitor().tenant_id, client_id)
    form = Form(
        {
            "name": app.name,
            "homepage": app.homepage,
            "redirect_uris": "\n".join(app.redirect_uris),
            "listed": "yes" if app.listed else "",
        }
    )
    return _form(form, app)


@blueprint.post(f"/settings/apps/<{CLIENT}>/change")
@needs("apps:manage")
@fresh
def change(client_id: str) -> ResponseReturnValue:
    app = apps.get_app(visitor().tenant_id, client_id)
    form = Form.read(request.form, needed=NAMED)
    if form.errors:
        return _form(form, app), 422
    try:
        apps.change_app(visitor().tenant_id, client_id, logo=app.logo, **_chosen(form))
    except AssayError as error:
        form.refuse(error)
        return _form(form, app), error.status
    flash("Saved.", "good")
    return redirect(url_for("web.apps.show", client_id=client_id), 303)


@blueprint.post(f"/settings/apps/<{CLIENT}>/rotate")
@needs("apps:manage")
@fresh
def rotate(client_id: str) -> ResponseReturnValue:
    app = apps.get_app(visitor().tenant_id, client_id)
    try:
        secret = apps.rotate_secret(visitor().tenant_id, client_id)
    except AssayError as error:
        flash(error.message, "bad")
        return _show(client_id), error.status
    return _show(client_id, issued=Secret(app.name, secret))


@blueprint.post(f"/settings/apps/<{CLIENT}>/secrets/<{ID}:secret_id>/revoke")
@needs("apps:manage")
def revoke_secret(client_id: str, secret_id: int) -> ResponseReturnValue:
    apps.revoke_secret(visitor().tenant_id, client_id, secret_id)
    flash("The secret is revoked: whatever used it is refused from now on.", "good")
    return redirect(url_for("web.apps.show", client_id=client_id), 303)


@blueprint.post(f"/settings/apps/<{CLIENT}>/remove")
@needs("apps:manage")
@fresh
def remove(client_id: str) -> ResponseReturnValue:
    installed = apps.remove_app(visitor().tenant_id, client_id)
    companies = "1 company" if installed == 1 else f"{installed} companies"
    flash(f"The app is removed. {companies} had it; its tokens are refused from now on.", "good")
    return redirect(url_for("web.apps.index"), 303)


@blueprint.post("/settings/apps/registration")
@needs("apps:manage")
@verified
@fresh
def make_registration_token() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"token_name": "Say what the token is for."})
    if issuer().registration == "off":
        raise NotFound("registration by protocol")
    if form.errors:
        return _index(form=form), 422
    try:
        made = registration.make_token(visitor().tenant_id, name=form["token_name"], created_by=visitor().person_id)
    except AssayError as error:
        form.errors["token_name"] = error.message
        return _index(form=form), error.status
    return _index(issued=Secret(form["token_name"], made))


@blueprint.post(f"/settings/apps/registration/<{ID}:token_id>/revoke")
@needs("apps:manage")
def revoke_registration_token(token_id: int) -> ResponseReturnValue:
    registration.revoke_token(visitor().tenant_id, token_id)
    flash("The token is revoked.", "good")
    return redirect(url_for("web.apps.index"), 303)


@blueprint.get("/account/apps")
@signed_in
@personal
def granted() -> ResponseReturnValue:
    who = visitor()
    return render_template(
        "apps/granted.html", grants=grants.list_grants(who.tenant_id, person_id=who.person_id), words=WORDS
    )


@blueprint.post(f"/account/apps/<{ID}:grant_id>/revoke")
@signed_in
@personal
def revoke_own(grant_id: int) -> ResponseReturnValue:
    grants.revoke_own_grant(visitor().tenant_id, visitor().person_id, grant_id)
    flash("The app acts for you no more.", "good")
    return redirect(url_for("web.apps.granted"), 303)


class _Chosen(TypedDict):
    name: str
    homepage: str
    redirect_uris: list[str]
    grant_types: list[str]
    scopes: list[str]
    listed: bool


def _chosen(form: Form) -> _Chosen:
    return {
        "name": form["name"],
        "homepage": form["homepage"],
        "redirect_uris": form["redirect_uris"].split(),
        "grant_types": request.form.getlist("grant_type"),
        "scopes": request.form.getlist("scope"),
        "listed": form["listed"] == "yes",
    }


def _index(*, form: Form | None = None, issued: Secret | None = None) -> str:
    tenant_id = visitor().tenant_id
    installed = grants.list_installations(tenant_id)
    own = apps.list_apps(tenant_id)
    known = {app.client_id for app in own} | {each.client_id for each in installed}
    return render_template(
        "apps/index.html",
        form=form or Form(),
        issued=issued,
        installed=installed,
        own=own,
        grants=grants.list_grants(tenant_id),
        others=[each for each in catalogue.list_catalogue() if each[0] not in known],
        may_register_by_protocol=issuer().registration != "off",
        tokens=registration.list_tokens(tenant_id),
        words=WORDS,
    )


def _form(form: Form, app: AppView | None) -> str:
    sent = request.method == "POST"
    return render_template(
        "apps/form.html",
        form=form,
        app=app,
        kinds=KINDS,
        grant_types=apps.GRANT_TYPES,
        chosen_types=request.form.getlist("grant_type")
        if sent
        else app.grant_types
        if app
        else (apps.CODE, apps.REFRESH),
        words=WORDS,
        powerful=POWERFUL,
        chosen_scopes=request.form.getlist("scope") if sent else app.scopes if app else (),
    )


def _show(client_id: str, *, issued: Secret | None = None) -> str:
    tenant_id = visitor().tenant_id
    return render_template(
        "apps/show.html",
        app=apps.get_app(tenant_id, client_id),
        registered_by=apps.registered_by(tenant_id, client_id),
        secrets=apps.list_secrets(tenant_id, client_id),
        issued=issued,
        grant_types=apps.GRANT_TYPES,
        words=WORDS,
        address=address_here(),
    )
