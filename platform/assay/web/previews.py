"""A draft looked at before it scores anybody: previews and replays started, followed, read."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.scoring import overlaps, queries, studies
from assay.scoring.language import InvalidModel
from assay.web import drawings
from assay.web.forms import Form
from assay.web.visitors import ID, needs, visitor
from assay_tenants.errors import BadInput, Conflict

blueprint = Blueprint("previews", __name__)

SAMPLES = ((None, "All leads"), (10_000, "10,000 of them"), (1_000, "1,000 of them"))
STEPS = (("1d", "Each day"), ("7d", "Each week"), ("30d", "Each 30 days"))


@blueprint.get("/model-overlaps")
@needs("models:read")
def shared() -> ResponseReturnValue:
    found = overlaps.find_overlaps(visitor().tenant_id)
    titles = {model.name: model.title for model in found.models}
    return render_template("parts/overlaps.html", overlaps=found, titles=titles)


@blueprint.get("/models/<name>/previews")
@needs("models:read")
def index(name: str) -> ResponseReturnValue:
    return _index(name, Form())


@blueprint.post("/models/<name>/previews")
@needs("models:write")
def start(name: str) -> ResponseReturnValue:
    """Of the draft as it is saved."""
    form = Form.read(request.form, needed={})
    try:
        sample = _whole(form["sample"], "sample") if form["sample"] else None
        id_ = studies.start_preview(visitor().tenant_id, name, by=visitor().name, sample=sample)
    except (BadInput, Conflict, InvalidModel) as error:
        return _refused(name, form, error)
    return redirect(url_for("web.previews.show", name=name, preview_id=id_), 303)


@blueprint.get(f"/models/<name>/previews/<{ID}:preview_id>")
@needs("models:read")
def show(name: str, preview_id: int) -> ResponseReturnValue:
    return _study(name, "preview", preview_id)


@blueprint.get(f"/models/<name>/previews/<{ID}:preview_id>/changes.csv")
@needs("models:read")
def changes(name: str, preview_id: int) -> ResponseReturnValue:
    lines = studies.changes_file(visitor().tenant_id, name, preview_id)
    response = Response(lines, content_type="text/csv; charset=utf-8")
    # A model's name may hold letters of any script, which a header can't: this encodes them.
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}-changes-{preview_id}.csv")
    return response


@blueprint.post(f"/models/<name>/previews/<{ID}:preview_id>/cancel")
@needs("models:write")
def cancel(name: str, preview_id: int) -> ResponseReturnValue:
    studies.cancel(visitor().tenant_id, name, "preview", preview_id)
    return redirect(url_for("web.previews.show", name=name, preview_id=preview_id), 303)


@blueprint.post("/models/<name>/replays")
@needs("models:write")
def start_replay(name: str) -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    try:
        id_ = studies.start_replay(visitor().tenant_id, name, _chosen(form), by=visitor().name)
    except (BadInput, Conflict, InvalidModel) as error:
        return _refused(name, form, error)
    return redirect(url_for("web.previews.show_replay", name=name, replay_id=id_), 303)


@blueprint.get(f"/models/<name>/replays/<{ID}:replay_id>")
@needs("models:read")
def show_replay(name: str, replay_id: int) -> ResponseReturnValue:
    return _study(name, "replay", replay_id)


@blueprint.post(f"/models/<name>/replays/<{ID}:replay_id>/cancel")
@needs("models:write")
def cancel_replay(name: str, replay_id: int) -> ResponseReturnValue:
    studies.cancel(visitor().tenant_id, name, "replay", replay_id)
    return redirect(url_for("web.previews.show_replay", name=name, replay_id=replay_id), 303)


def _chosen(form: Form) -> studies.ReplayChoice:
    since, until = _day(form["from"], "from"), _day(form["to"], "to")
    now = datetime.now(UTC)
    return studies.ReplayChoice(
        since=since,
        # A day is chosen to its end; of today, as far as it has come.
        until=min(until + timedelta(days=1), now) if until else None,
        every=studies.length(form["every"] or "7d", "every"),
        sample=_whole(form["sample"], "sample") if form["sample"] else None,
        won=form["won"] or None,
        lost=form["lost"] or None,
        days_before=_whole(form["before"] or "30", "before"),
    )


def _day(text: str, field: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time(), UTC)  # noqa: DTZ007 # a mere day
    except ValueError:
        raise BadInput("Write a day as 2026-03-31.", field=field) from None


def _whole(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadInput("Write a whole number.", field=field)
    return int(text)


def _refused(name: str, form: Form, error: BadInput | Conflict | InvalidModel) -> ResponseReturnValue:
    if isinstance(error, InvalidModel):
        form.errors[""] = f"The saved draft is no model yet. {error.problems[0].path}: {error.problems[0].message}"
    else:
        form.refuse(error)
    return _index(name, form), 409 if isinstance(error, Conflict) else 422


def _index(name: str, form: Form) -> str:
    tenant_id = visitor().tenant_id
    return render_template(
        "models/previews.html",
        model=queries.get_model(tenant_id, name),
        form=form,
        samples=SAMPLES,
        steps=STEPS,
        previews=studies.list_studies(tenant_id, name, "preview"),
        replays=studies.list_studies(tenant_id, name, "replay"),
    )


def _study(name: str, kind: studies.Kind, study_id: int) -> str:
    tenant_id = visitor().tenant_id
    study = studies.get_study(tenant_id, name, kind, study_id)
    shown: dict[str, Any] = {"model": queries.get_model(tenant_id, name), "study": study}
    if study.result is not None:
        shown |= _preview(study.result) if kind == "preview" else _replay(study.result)
    if request.headers.get("HX-Target") == "div#study":
        return render_template("parts/study.html", **shown)
    return render_template(f"models/{kind}.html", **shown)


def _preview(result: Mapping[str, Any]) -> dict[str, Any]:
    stages = result["stages"]
    most = max((row[side] for row in stages for side in ("before", "after")), default=0) or 1
    return {
        "result": result,
        "bins": drawings.bins(result["totals"]),
        "tones": drawings.place_tones([row["place"] for row in stages]),
        "place": drawings.place_words,
        "share": lambda leads: drawings.share(leads, most),
        "most_caused": max((cause["leads"] for cause in result["causes"]), default=0) or 1,
        "entered": [row for row in stages if row["place"].startswith(drawings.STAGE) and row["enters"]],
    }


def _replay(result: Mapping[str, Any]) -> dict[str, Any]:
    sides = [side for side in ("draft", "live", "recorded") if side in result["instants"][0]]
    return {
        "result": result,
        "sides": [(side, drawings.columns(result["instants"], side, result["places"])) for side in sides],
        "tones": drawings.place_tones(result["places"]),
        "place": drawings.place_words,
    }
