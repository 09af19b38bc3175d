"""How far a model's leads are scored anew: a part of its page, which asks again while there is something to tell."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from assay.scoring import rescoring
from assay.web.visitors import ID, needs, visitor
from assay_tenants.errors import Conflict

blueprint = Blueprint("rescores", __name__)

#: For so long it is told that one is done.
RECENT = timedelta(minutes=10)


@blueprint.get("/models/<name>/rescore")
@needs("models:read")
def newest(name: str) -> ResponseReturnValue:
    found = rescoring.list_rescores(visitor().tenant_id, model=name, limit=1)
    rescore = found[0] if found else None
    if rescore and rescore.finished_at and datetime.now(UTC) - rescore.finished_at > RECENT:
        rescore = None
    return render_template("parts/rescore.html", name=name, rescore=rescore)


@blueprint.post(f"/models/<name>/rescores/<{ID}:rescore_id>/cancel")
@needs("models:publish")
def cancel(name: str, rescore_id: int) -> ResponseReturnValue:
    return _changed(name, rescore_id, stop=True)


@blueprint.post(f"/models/<name>/rescores/<{ID}:rescore_id>/resume")
@needs("models:publish")
def resume(name: str, rescore_id: int) -> ResponseReturnValue:
    return _changed(name, rescore_id, stop=False)


def _changed(name: str, rescore_id: int, *, stop: bool) -> ResponseReturnValue:
    # Somebody else was faster, or it was done meanwhile: the page says how it is.
    with suppress(Conflict):
        (rescoring.cancel if stop else rescoring.resume)(visitor().tenant_id, rescore_id)
    return redirect(url_for("web.models.edit", name=name), 303)
