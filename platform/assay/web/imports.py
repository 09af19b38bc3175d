"""Files of leads or of events: sent, looked at, followed while they are read, mended, taken back."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.intake import imports
from assay.profiles import import_previews
from assay.web import import_words
from assay.web.forms import Form
from assay.web.visitors import ID, needs, visitor
from assay_tenants.errors import BadInput, Conflict
from assay_tenants.plans import PlanLimit

blueprint = Blueprint("imports", __name__)
for filter_ in (import_words.duration, import_words.told_ids, import_words.told_values):
    blueprint.add_app_template_filter(filter_)

REFUSED_PAGE = 50
OFFSET = "Upload-Offset"
NEEDED = {"kind": "Say whether the rows are leads or events."}
#: What a person may do about an import, by the word in its address.
VERBS: dict[str, Callable[[int, int], None]] = {
    "check": imports.check,
    "start": imports.start,
    "pause": imports.pause,
    "resume": imports.resume,
    "cancel": imports.cancel,
    "undo": imports.undo,
}


@blueprint.get("/imports")
@needs("imports:read")
def index() -> ResponseReturnValue:
    return _page(Form())


@blueprint.post("/imports")
@needs("imports:write")
def start() -> ResponseReturnValue:
    """A whole file in one form, as browsers without script send it."""
    form = Form.read(request.form, needed=NEEDED)
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
            options={"name": form["name"]},
            review=True,
        )
    except BadInput as error:
        form.refuse(error)
        return _page(form), 422
    return redirect(url_for("web.imports.show", import_id=import_id), 303)


@blueprint.post("/imports/uploads")
@needs("imports:write")
def announce() -> ResponseReturnValue:
    """A file that will come in parts: where to send them, and where to look then."""
    form = Form.read(request.form, needed=NEEDED)
    size = form["size"]
    try:
        if form.errors:
            raise BadInput(form.errors["kind"], field="kind")
        if not (size.isascii() and size.isdigit() and len(size) <= 18):
            raise BadInput("The size must be a number of bytes.", field="file")
        import_id = imports.announce(
            visitor().tenant_id,
            kind=form["kind"],
            filename=form["filename"],
            size=int(size),
            options={"name": form["name"]},
            review=True,
        )
    except BadInput as error:
        return jsonify(field=error.field, message=error.message), 422
    return jsonify(
        upload=url_for("web.imports.content", import_id=import_id),
        page=url_for("web.imports.show", import_id=import_id),
    ), 201


@blueprint.get(f"/imports/<{ID}:import_id>/content")
@needs("imports:read")
def content(import_id: int) -> ResponseReturnValue:
    """How much of it is here."""
    return _told(imports.upload_of(visitor().tenant_id, import_id))


@blueprint.patch(f"/imports/<{ID}:import_id>/content")
@needs("imports:write")
def append(import_id: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    imports.upload_of(tenant_id, import_id)
    offset = request.headers.get(OFFSET, "")
    if not (offset.isascii() and offset.isdigit() and len(offset) <= 18):
        raise BadInput(f"The header {OFFSET} must say where the part begins.")
    current_app.extensions["tracking"].admission.need_room(visitor().tenant_id, request.content_length or 0)
    try:
        return _told(imports.append(tenant_id, import_id, offset=int(offset), stream=request.stream))
    except imports.WrongOffset as wrong:
        return jsonify(message=wrong.message), 409, {OFFSET: str(wrong.offset)}


@blueprint.get(f"/imports/<{ID}:import_id>")
@needs("imports:read")
def show(import_id: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    found = imports.get_import(tenant_id, import_id)
    refused = imports.refused_rows(tenant_id, import_id, cursor=request.args.get("cursor"), limit=REFUSED_PAGE)
    more = None
    if refused.next_cursor:
        more = url_for("web.imports.show", import_id=import_id, cursor=refused.next_cursor)
    shown = {"import": found, "refused": refused.items, "more_refused": more, "form": Form()}
    target = request.headers.get("HX-Target", "")
    if target == "tr#more":
        return render_template("parts/refused_rows.html", **shown)
    if found.state == "ready":
        shown |= _decision(tenant_id, import_id)
    if target == "div#import":
        return render_template("parts/import_progress.html", **shown)
    return render_template("imports/show.html", **shown)


@blueprint.post(f"/imports/<{ID}:import_id>/mapping")
@needs("imports:write")
def put_mapping(import_id: int) -> ResponseReturnValue:
    """Which column says what; a change of how the file is cut into columns has them guessed anew."""
    tenant_id = visitor().tenant_id
    form = Form.read(request.form, needed={})
    try:
        imports.put_mapping(tenant_id, import_id, _mapping(form.values))
    except (BadInput, Conflict) as error:
        form.refuse(error)
    if "HX-Request" not in request.headers:
        return _back(import_id, form)
    shown = {"import": imports.get_import(tenant_id, import_id), "form": form}
    try:
        shown |= _decision(tenant_id, import_id)
    except Conflict:
        # Somebody has decided meanwhile, in another window.
        return "", 200, {"HX-Redirect": url_for("web.imports.show", import_id=import_id)}
    return render_template("parts/import_mapping.html", **shown)


@blueprint.post(f"/imports/<{ID}:import_id>/<any({', '.join(VERBS)}):verb>")
@needs("imports:write")
def act(import_id: int, verb: str) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    form = Form.read(request.form, needed={})
    try:
        if verb in ("check", "start") and "column-0" in form.values:
            imports.put_mapping(tenant_id, import_id, _mapping(form.values))
        VERBS[verb](tenant_id, import_id)
    except (BadInput, Conflict, PlanLimit) as error:
        form.refuse(error)
    return _back(import_id, form)


@blueprint.get(f"/imports/<{ID}:import_id>/refused-rows")
@needs("imports:read")
def refused_file(import_id: int) -> ResponseReturnValue:
    file = imports.refused_file(visitor().tenant_id, import_id)
    response = Response(file.parts, content_type=file.media_type)
    # The name may hold letters of any script, which a header can't: this encodes them.
    response.headers.set("Content-Disposition", "attachment", filename=file.name)
    return response


def _back(import_id: int, form: Form) -> ResponseReturnValue:
    """To the import's page, with what was wrong if something was."""
    if not form.errors:
        return redirect(url_for("web.imports.show", import_id=import_id), 303)
    tenant_id = visitor().tenant_id
    found = imports.get_import(tenant_id, import_id)
    refused = imports.refused_rows(tenant_id, import_id, limit=REFUSED_PAGE)
    shown: dict[str, Any] = {"import": found, "refused": refused.items, "more_refused": None, "form": form}
    if found.state == "ready":
        shown |= _decision(tenant_id, import_id)
    return render_template("imports/show.html", **shown), 422


def _decision(tenant_id: int, import_id: int) -> dict[str, Any]:
    preview = import_previews.preview(tenant_id, import_id)
    found = imports.get_import(tenant_id, import_id)
    return {
        "preview": preview,
        "mapping": preview.mapping,
        "roles": import_words.roles(found.kind),
        "words": import_words,
        "named": imports.NAMED,
    }


def _mapping(values: Mapping[str, str]) -> dict[str, Any]:
    columns: list[dict[str, str]] = []
    while (column := values.get(f"column-{len(columns)}")) is not None:
        number = len(columns)
        as_ = values.get(f"as-{number}", "")
        # A name typed for another role goes with it.
        name = values.get(f"name-{number}", "") if as_ in imports.NAMED else ""
        name = name.lower() if as_ == "vendor_id" else name
        columns.append({"column": column, "as": as_, "name": "" if name == column and as_ != "company_id" else name})
    cut = ("delimiter", "encoding")
    recut = any(values.get(name, "") != values.get(f"{name}-before", "") for name in cut)
    told = {name: values[name] for name in (*cut, "type", "dates", "time_zone", "numbers", "others") if name in values}
    if recut:
        return told
    time = next((each["column"] for each in columns if each["as"] == "time"), "")
    if time != values.get("time-before", ""):
        # How another column writes its instants is found out anew.
        told.pop("dates", None)
    return {**told, "columns": columns}


def _told(upload: imports.Upload) -> ResponseReturnValue:
    headers = {OFFSET: str(upload.offset), "Upload-Length": str(upload.size)}
    return jsonify(offset=upload.offset, size=upload.size, is_over=upload.is_over), 200, headers


def _page(form: Form) -> str:
    return render_template("imports/index.html", form=form, imports=imports.list_imports(visitor().tenant_id))
