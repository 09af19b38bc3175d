"""API clients and keys: scopes, expiry, last use, rotation."""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.web.forms import Form
from assay.web.security import address_here
from assay.web.visitors import ID, fresh, may, needs, visitor
from assay_tenants import keys
from assay_tenants.errors import AssayError, BadInput
from assay_tenants.keys import IssuedKey
from assay_tenants.permissions import IN_WORDS, PERMISSIONS, Permission

blueprint = Blueprint("clients", __name__)

#: Days that a key may be chosen to last; 0: until it is revoked.
LIVES = {"30": "30 days", "90": "90 days", "365": "A year", "0": "Until it is revoked"}
USUAL_LIFE = "365"
#: By the name of a preset of `assay_tenants.keys`.
CHOICES = {
    "read": ("Read only", "Sees what you may see, and changes nothing."),
    "send": ("Send events and leads", "For programs that only bring something in."),
    "everything": ("Everything you may do", "Keep it as secret as your password."),
}
CHOSEN = "chosen"


@blueprint.get("/settings/clients")
@needs("keys:manage")
def index() -> ResponseReturnValue:
    return _page()


@blueprint.post("/settings/clients")
@needs("keys:manage")
@fresh
def issue() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"name": "Give the key a name, so that you know later what uses it."})
    if form.errors:
        return _page(form=form), 422
    try:
        issued = keys.issue_key(
            visitor().tenant_id,
            kind="api",
            name=form["name"],
            scopes=_scopes(form["access"]),
            expires_at=_end(form["life"]),
            within=own_scopes(),
        )
    except AssayError as error:
        form.refuse(error)
        return _page(form=form), error.status
    return _page(issued=issued)


@blueprint.post(f"/settings/clients/<{ID}:key_id>/rotate")
@needs("keys:manage")
@fresh
def rotate(key_id: int) -> ResponseReturnValue:
    try:
        return _page(issued=keys.rotate_key(visitor().tenant_id, key_id, kind="api", within=own_scopes()), rotated=True)
    except keys.BeyondOwnScopes as error:
        flash(error.message, "bad")
        return _page(), error.status


@blueprint.post(f"/settings/clients/<{ID}:key_id>/revoke")
@needs("keys:manage")
def revoke(key_id: int) -> ResponseReturnValue:
    keys.revoke_key(visitor().tenant_id, key_id, kind="api")
    flash("The key is revoked: whatever used it is refused from now on.", "good")
    return redirect(url_for("web.clients.index"), 303)


def own_scopes() -> frozenset[Permission]:
    """What this visitor can give to a key."""
    return frozenset(permission for permission in PERMISSIONS if may(permission))


def _scopes(access: str) -> list[str]:
    if access == CHOSEN:
        return request.form.getlist("scope")
    if access not in keys.PRESETS:
        raise BadInput(f"Choose what the key may do: {', '.join([*keys.PRESETS, CHOSEN])}.", field="scopes")
    return sorted(keys.PRESETS[access] & own_scopes())


def _end(life: str) -> datetime | None:
    if life not in LIVES:
        raise BadInput("Choose one of the list.", field="expires_at")
    return datetime.now(UTC) + timedelta(days=int(life)) if int(life) else None


def _page(*, issued: IssuedKey | None = None, rotated: bool = False, form: Form | None = None) -> str:
    tenant_id = visitor().tenant_id
    held = keys.list_keys(tenant_id, kind="api")
    return render_template(
        "clients/index.html",
        held=held,
        makers=keys.roles_of_makers(tenant_id, held),
        presets={name: sorted(scopes) for name, scopes in keys.PRESETS.items()},
        own=sorted(own_scopes()),
        words=IN_WORDS,
        issued=issued,
        rotated=rotated,
        form=form or Form(),
        ticked=set(request.form.getlist("scope")),
        lives=LIVES,
        usual_life=USUAL_LIFE,
        choices=CHOICES,
        now=datetime.now(UTC),
        address=address_here(),
    )
