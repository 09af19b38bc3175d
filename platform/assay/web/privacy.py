"""A person's data: found, exported, and erased in two steps."""

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.privacy import exporting, finding, service
from assay.profiles.matching import VENDOR, Key
from assay.web.forms import Form
from assay.web.visitors import ID, needs, visitor
from assay_tenants.errors import AssayError, BadInput, Conflict
from assay_tenants.permissions import may

blueprint = Blueprint("privacy", __name__)

KINDS = {
    "email": "E-mail address",
    "user_id": "User id",
    "anonymous_id": "Device",
    "vendor": "A vendor's id",
    "lead_id": "Lead's number",
}


@blueprint.get("/settings/privacy")
@needs("privacy:manage")
def index() -> ResponseReturnValue:
    return _page()


@blueprint.post("/settings/privacy/find")
@needs("privacy:manage")
def find() -> ResponseReturnValue:
    """By a form, so that no address stands in a log or a browser's history."""
    form = Form.read(request.form, needed={"value": "Whom are you looking for?"})
    found = None
    if not form.errors:
        try:
            lead_id, keys = _who(form)
            found = finding.find(visitor().tenant_id, keys=keys, lead_id=lead_id)
        except AssayError as error:
            form.errors["value"] = error.message
    return (_page(form=form, found=found), 422) if form.errors else _page(form=form, found=found)


@blueprint.post(f"/settings/privacy/persons/<{ID}:lead_id>/export")
@needs("privacy:manage")
def export(lead_id: int) -> ResponseReturnValue:
    revealed = may(visitor().role, "leads:reveal")
    pieces = exporting.export(visitor().tenant_id, lead_id, by=visitor().name, revealed=revealed)
    response = Response(pieces, content_type="application/json")
    response.headers.set("Content-Disposition", "attachment", filename=f"person-{lead_id}.json")
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get(f"/settings/privacy/persons/<{ID}:lead_id>/erase")
@needs("privacy:manage")
def confirm(lead_id: int) -> ResponseReturnValue:
    """What would go; the second step is to send it."""
    return _confirm(lead_id, Form())


@blueprint.post(f"/settings/privacy/persons/<{ID}:lead_id>/erase")
@needs("privacy:manage")
def erase(lead_id: int) -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    tenant_id = visitor().tenant_id
    confirmed = form["confirm"].lower() == "erase"
    try:
        made = service.request(tenant_id, by=visitor().name, lead_id=lead_id, confirmed=confirmed)
    except Conflict as error:
        form.errors["confirm"] = "Write erase to confirm; it can't be taken back." if not confirmed else error.message
        return _confirm(lead_id, form), 422
    flash("The person is being erased. From now on nothing of theirs is taken in.", "good")
    return redirect(url_for("web.privacy.certificate", erasure_id=made.id), 303)


@blueprint.get(f"/settings/privacy/erasures/<{ID}:erasure_id>")
@needs("privacy:manage")
def certificate(erasure_id: int) -> ResponseReturnValue:
    return _certificate(erasure_id, Form())


@blueprint.post(f"/settings/privacy/erasures/<{ID}:erasure_id>/look-again")
@needs("privacy:manage")
def look_again(erasure_id: int) -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    try:
        keys = _who(form)[1] if form["value"] else frozenset[Key]()
        service.look_again(visitor().tenant_id, erasure_id, keys=keys)
    except (BadInput, Conflict) as error:
        form.errors["value"] = error.message
        return _certificate(erasure_id, form), 422
    flash("All tables are looked through again.", "good")
    return redirect(url_for("web.privacy.certificate", erasure_id=erasure_id), 303)


@blueprint.post(f"/settings/privacy/erasures/<{ID}:erasure_id>/lift")
@needs("privacy:manage")
def lift(erasure_id: int) -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    try:
        service.get_erasure(visitor().tenant_id, erasure_id)
        if form["agreed"] != "yes":
            raise BadInput("Say that the person came back and agreed.", field="agreed")
        service.lift(visitor().tenant_id, erasure_id, by=visitor().name)
    except (BadInput, Conflict) as error:
        form.errors["agreed"] = error.message
        return _certificate(erasure_id, form), 422
    flash("The person is taken in again. What was erased stays so.", "good")
    return redirect(url_for("web.privacy.certificate", erasure_id=erasure_id), 303)


def _page(*, form: Form | None = None, found: finding.Found | None = None) -> str:
    erasures = service.list_erasures(visitor().tenant_id)
    return render_template(
        "privacy/index.html", form=form or Form(), found=found, erasures=erasures, kinds=KINDS, shown=shown
    )


def _confirm(lead_id: int, form: Form) -> str:
    tenant_id = visitor().tenant_id
    person = finding.get(tenant_id, lead_id)
    kept = finding.kept_of(tenant_id, lead_id)
    return render_template("privacy/confirm.html", person=person, kept=kept, form=form, most=finding.MOST_COUNTED)


def _certificate(erasure_id: int, form: Form) -> str:
    made = service.get_erasure(visitor().tenant_id, erasure_id)
    return render_template("privacy/certificate.html", made=made, form=form, kinds=KINDS)


def _who(form: Form) -> tuple[int | None, frozenset[Key]]:
    kind, value = form["kind"] or "email", form["value"]
    if kind == "lead_id":
        if not (value.isascii() and value.isdigit() and len(value) <= 18):
            raise BadInput("A lead's number has digits alone; it stands in its page's address.", field="value")
        return int(value), frozenset()
    if kind == "vendor":
        name, _, id_ = value.partition(":")
        if not id_:
            raise BadInput("Write the vendor's name and the id, such as hubspot:51.", field="value")
        return None, finding.keys_from(vendor_ids={name.strip(): id_})
    if kind not in KINDS:
        raise BadInput("Choose what kind of identifier it is.", field="value")
    return None, finding.keys_from(**{kind: value})  # type: ignore[arg-type] # of KINDS, each a text


def shown(key: Key) -> str:
    kind, value = key
    return f"{kind.removeprefix(VENDOR)}: {value}"
