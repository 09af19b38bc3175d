"""Files of leads or of events: sent, followed while they are read, and what was refused of them."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.intake import imports
from assay.web.forms import Form
from assay.web.visitors import ID, signed_in, visitor
from assay_tenants.errors import BadInput

blueprint = Blueprint("imports", __name__)

REFUSED_PAGE = 50
MORE = [
    ("id_column", "Column with your own id of the lead", "As in the heading row, for example customer_no."),
    ("email_column", "Column with the e-mail address", "As in the heading row, for example mail."),
    ("time_column", "Column with the time", "When an event happened, or when a lead's traits were true."),
    ("name", "Name of this list", "Tells rows without any id from those of other lists; empty: the file's name."),
]
OPTIONS = (*(name for name, _, _ in MORE), "delimiter")


@blueprint.get("/imports")
@signed_in
def index() -> ResponseReturnValue:
    return _page(Form())


@blueprint.post("/imports")
@signed_in
def start() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"kind": "Say whether the rows are leads or events."})
    file = request.files.get("file")
    if file is None or not file.filename:
        form.errors["file"] = "Choose a file."
    if file is None or form.errors:
        return _page(form), 422
    try:
        import_id = imports.start_import(
            visitor().tenant_id,
            kind=form["kind"],
            filename=file.filename or "",
            stream=file.stream,
            options={name: form[name] for name in OPTIONS},
        )
    except BadInput as error:
        form.refuse(error)
        return _page(form), 422
    return redirect(url_for("web.imports.show", import_id=import_id), 303)


@blueprint.get(f"/imports/<{ID}:import_id>")
@signed_in
def show(import_id: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    found = imports.get_import(tenant_id, import_id)
    refused = imports.refused_rows(tenant_id, import_id, cursor=request.args.get("cursor"), limit=REFUSED_PAGE)
    more = None
    if refused.next_cursor:
        more = url_for("web.imports.show", import_id=import_id, cursor=refused.next_cursor)
    shown = {"import": found, "refused": refused.items, "more_refused": more}
    target = request.headers.get("HX-Target", "")
    if target == "tr#more":
        return render_template("parts/refused_rows.html", **shown)
    if target == "div#import":
        return render_template("parts/import_progress.html", **shown)
    return render_template("imports/show.html", **shown)


def _page(form: Form) -> str:
    return render_template(
        "imports/index.html", form=form, more=MORE, imports=imports.list_imports(visitor().tenant_id)
    )
