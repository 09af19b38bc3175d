"""What can be set, write keys, and how to use them."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.normalise.queries import list_dead_letters
from assay.web import settings_menu
from assay.web.forms import Form
from assay.web.security import address_here
from assay.web.security import public_address as public_address
from assay.web.visitors import ID, may, needs, signed_in, visitor
from assay_tenants import keys
from assay_tenants.errors import AssayError, BadInput
from assay_tenants.keys import IssuedKey

blueprint = Blueprint("settings", __name__)

EXAMPLE_KEY = "YOUR_WRITE_KEY"


@blueprint.get("/settings")
@signed_in
def index() -> ResponseReturnValue:
    return _page()


@blueprint.post("/settings/keys/write")
@needs("keys:manage")
def issue() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"name": "Give the key a name, so that you know later what uses it."})
    if not form.errors:
        try:
            return _page(issued=keys.issue_key(visitor().tenant_id, kind="write", name=form["name"]))
        except AssayError as error:
            form.refuse(error)
            form.errors.setdefault("name", form.errors.pop("", ""))
    return _page(form=form, wrong_name=True), 422


@blueprint.post(f"/settings/keys/<{ID}:key_id>/rotate")
@needs("keys:manage")
def rotate(key_id: int) -> ResponseReturnValue:
    return _page(issued=keys.rotate_key(visitor().tenant_id, key_id, kind="write"), rotated=True)


@blueprint.post(f"/settings/keys/<{ID}:key_id>/revoke")
@needs("keys:manage")
def revoke(key_id: int) -> ResponseReturnValue:
    keys.revoke_key(visitor().tenant_id, key_id, kind="write")
    flash("The key is revoked: whatever used it is refused from now on.", "good")
    return redirect(url_for("web.settings.index"), 303)


@blueprint.post(f"/settings/keys/<{ID}:key_id>/origins")
@needs("keys:manage")
def restrict(key_id: int) -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    try:
        allowed = keys.restrict_key(visitor().tenant_id, key_id, form["origins"])
    except BadInput as error:
        form.refuse(error)
        return _page(form=form, wrong_key=key_id), 422
    pages = "Pages of these origins alone" if allowed else "Pages of any origin"
    flash(f"{pages} may use the key, within five seconds from now.", "good")
    return redirect(url_for("web.settings.index"), 303)


def _page(
    *,
    issued: IssuedKey | None = None,
    rotated: bool = False,
    form: Form | None = None,
    wrong_name: bool = False,
    wrong_key: int | None = None,
) -> str:
    tenant_id = visitor().tenant_id
    return render_template(
        "settings/index.html",
        menu=settings_menu.entries(),
        refused=list_dead_letters(tenant_id, 1).letters if may("settings:read") else [],
        held=keys.list_keys(tenant_id, kind="write") if may("keys:manage") else None,
        issued=issued,
        rotated=rotated,
        form=form or Form(),
        wrong_name=wrong_name,
        wrong_key=wrong_key,
        address=address_here(),
        example_key=issued.secret if issued else EXAMPLE_KEY,
    )
