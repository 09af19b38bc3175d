"""Files of leads or of events: sent, followed while they are read, and what was refused of them."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.intake import imports
from assay.web.forms import Form
from assay.web.visitors import ID, signed_in, visitor
from assay_tenants.errors import AssayError

blueprint = Blueprint("imports", __name__)

REFUSED_PAGE = 50
COLUMNS = [
    ("id_column", "Column with your own id of the lead", "As in the heading row, for example customer_no."),
    ("email_column", "Column with the e-mail address", "As in the heading row, for example mail."),
]


@blueprint.get("/imports")
@signed_in
def index() -> ResponseReturnValue:
    return _page(Form())


@blueprint.post("/imports")
@signed_in
def start() -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    file = request.files.get("file")
    if file is None or not file.filename:
        form.errors["file"] = "Choose a file."
        return _page(form), 422
    try:
        import_id = imports.start_import(visitor().tenant_id, form["kind"], file.filename, file.stream, {})
    except AssayError as error:
        form.refuse(error)
        return _page(form), error.status
    return redirect(url_for("web.imports.show", import_id=import_id), 303)


@blueprint.get(f"/imports/<{ID}:import_id>")
@signed_in
def show(import_id: int) -> ResponseReturnValue:
    return ""


def _page(form: Form) -> str:
    return render_template(
        "imports/index.html", form=form, columns=COLUMNS, imports=imports.list_imports(visitor().tenant_id)
    )
