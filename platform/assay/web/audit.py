"""The audit log: who changed what, from where; found, read and taken along."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay import audit_words
from assay.audit_files import FORMATS, audit_file
from assay.web.forms import Form
from assay.web.visitors import needs, visitor
from assay_tenants.audit.queries import Page, Wanted, list_entries
from assay_tenants.errors import BadInput, NotFound

blueprint = Blueprint("audit", __name__)

#: What has a field on the page.
SEARCHED = ("text", "action", "actor", "since", "until")


@blueprint.get("/settings/audit")
@needs("audit:read")
def index() -> ResponseReturnValue:
    form = Form.read(request.args, needed={})
    try:
        page = list_entries(visitor().tenant_id, _wanted(form), cursor=form["cursor"] or None)
    except BadInput as error:
        field = error.field or ""
        form.errors[field if field in SEARCHED else ""] = error.message
        return render_template("audit/index.html", **_shown(form, Page([], None))), 422
    if request.headers.get("HX-Target", "") == "li#more":
        return render_template("audit/entries.html", **_shown(form, page))
    return render_template("audit/index.html", **_shown(form, page))


@blueprint.get("/settings/audit/export")
@needs("audit:read")
def export() -> ResponseReturnValue:
    form = Form.read(request.args, needed={})
    if form["format"] not in FORMATS:
        raise NotFound("format")
    file = audit_file(visitor().tenant_id, _wanted(form), form["format"])
    response = Response(file.parts, content_type=file.media_type)
    response.headers.set("Content-Disposition", "attachment", filename=file.name)
    return response


def _shown(form: Form, page: Page) -> dict[str, object]:
    asked: dict[str, Any] = {name: form[name] for name in (*SEARCHED, "subject") if form[name]}
    more = url_for("web.audit.index", **asked, cursor=page.next_cursor) if page.next_cursor else None
    return {"form": form, "entries": page.items, "more": more, "asked": asked, "words": audit_words}


def _wanted(form: Form) -> Wanted:
    """Days are meant as people mean them: until a day includes it."""
    until = _day(form, "until")
    try:
        after = until + timedelta(days=1) if until else None
    except OverflowError:
        after = None
    return Wanted(
        actor=form["actor"] or None,
        action=form["action"] or None,
        subject=form["subject"] or None,
        since=_day(form, "since"),
        until=after,
        text=form["text"] or None,
    )


def _day(form: Form, name: str) -> datetime | None:
    if not form[name]:
        return None
    try:
        return datetime.strptime(form[name], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadInput("Write the day as 2026-03-01.", field=name) from None
