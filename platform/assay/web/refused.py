"""Messages that came in and could not be understood: which, why, and as they came."""

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.intake.queries import find_message
from assay.normalise import queries
from assay.web.messages import readable
from assay.web.visitors import signed_in, visitor
from assay_tenants.errors import NotFound

blueprint = Blueprint("refused", __name__)

PAGE = 25


@blueprint.get("/settings/refused-messages")
@signed_in
def index() -> ResponseReturnValue:
    found = queries.list_dead_letters(visitor().tenant_id, PAGE, cursor=request.args.get("cursor") or None)
    more = url_for("web.refused.index", cursor=found.next_cursor) if found.next_cursor else None
    page = "parts/refused_messages.html" if request.headers.get("HX-Target") == "li#more" else "settings/refused.html"
    return render_template(page, letters=found.letters, more=more)


@blueprint.get("/settings/refused-messages/<uuid:message_id>")
@signed_in
def show(message_id: UUID) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    letters = queries.dead_letters_of(tenant_id, message_id)
    if not letters:
        raise NotFound("refused message")
    message = find_message(tenant_id, message_id)
    return render_template(
        "settings/refused_message.html",
        letters=letters,
        message=message,
        text=readable(message.body, "").about if message else None,
    )
