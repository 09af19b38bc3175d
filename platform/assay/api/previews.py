"""Drafts looked at before they score anybody: what would change, and what they would have said."""

from typing import Any

from flask import Response

from assay.api.access import by, tenant_id
from assay.api.door import Part
from assay.api.preview_schemas import (
    OverlapsSchema,
    PreviewQuery,
    PreviewSchema,
    ReplayQuery,
    ReplaySchema,
    StudiesSchema,
)
from assay.scoring import overlaps, studies

part = Part("Previews", "What a draft would change, and what it would have said in the past; models that share leads.")


@part.serves("GET", "/models/overlaps", needs="models:read", answer=OverlapsSchema)
def get_overlaps() -> object:
    """Live models that share leads, which of them leads, and leads without any."""
    return overlaps.find_overlaps(tenant_id())


@part.serves("GET", "/models/<name>/previews", needs="models:read", answer=StudiesSchema)
def list_previews(name: str) -> dict[str, object]:
    """The latest previews of a model's drafts."""
    return {"items": studies.list_studies(tenant_id(), name, "preview")}


@part.serves(
    "POST",
    "/models/<name>/previews",
    needs=("models:write", "leads:read"),
    answer=PreviewSchema,
    query=PreviewQuery,
    status=202,
)
def start_preview(query: dict[str, Any], name: str) -> object:
    """Find out what publishing the draft would change; works in the background."""
    id_ = studies.start_preview(tenant_id(), name, by=_who(), **query)
    return studies.get_study(tenant_id(), name, "preview", id_)


@part.serves(
    "GET", "/models/<name>/previews/<id:preview_id>", needs=("models:read", "leads:read"), answer=PreviewSchema
)
def get_preview(name: str, preview_id: int) -> object:
    """How far a preview is, and what it found."""
    return studies.get_study(tenant_id(), name, "preview", preview_id)


@part.serves(
    "POST", "/models/<name>/previews/<id:preview_id>/cancel", needs=("models:write", "leads:read"), answer=PreviewSchema
)
def cancel_preview(name: str, preview_id: int) -> object:
    """End a preview that is under way."""
    studies.cancel(tenant_id(), name, "preview", preview_id)
    return studies.get_study(tenant_id(), name, "preview", preview_id)


@part.route("/models/<name>/previews/<id:preview_id>/changes", methods=["GET"])  # type: ignore[untyped-decorator] # of flask-smorest
@part.guards("models:read", "leads:read", refuses=(404, 409))
@part.response(  # type: ignore[untyped-decorator] # as above
    200, {"type": "string"}, content_type="text/csv", description="A row for each lead that changes"
)
def get_changes(name: str, preview_id: int) -> Response:
    """Every lead that would change, as CSV."""
    lines = studies.changes_file(tenant_id(), name, preview_id)
    return Response(lines, content_type="text/csv; charset=utf-8")


@part.serves("GET", "/models/<name>/replays", needs="models:read", answer=StudiesSchema)
def list_replays(name: str) -> dict[str, object]:
    """The latest replays of a model's drafts."""
    return {"items": studies.list_studies(tenant_id(), name, "replay")}


@part.serves(
    "POST",
    "/models/<name>/replays",
    needs=("models:write", "leads:read"),
    answer=ReplaySchema,
    query=ReplayQuery,
    status=202,
)
def start_replay(query: dict[str, Any], name: str) -> object:
    """Find out what the draft would have said, of what was known at each moment; works in the background."""
    chosen = studies.ReplayChoice(
        since=query.get("from_"),
        until=query.get("to"),
        every=studies.length(query["every"], "every"),
        sample=query.get("sample"),
        won=query.get("won"),
        lost=query.get("lost"),
        days_before=query["before"],
    )
    id_ = studies.start_replay(tenant_id(), name, chosen, by=_who())
    return studies.get_study(tenant_id(), name, "replay", id_)


@part.serves("GET", "/models/<name>/replays/<id:replay_id>", needs=("models:read", "leads:read"), answer=ReplaySchema)
def get_replay(name: str, replay_id: int) -> object:
    """How far a replay is, and what it found."""
    return studies.get_study(tenant_id(), name, "replay", replay_id)


@part.serves(
    "POST", "/models/<name>/replays/<id:replay_id>/cancel", needs=("models:write", "leads:read"), answer=ReplaySchema
)
def cancel_replay(name: str, replay_id: int) -> object:
    """End a replay that is under way."""
    studies.cancel(tenant_id(), name, "replay", replay_id)
    return studies.get_study(tenant_id(), name, "replay", replay_id)


def _who() -> str:
    return by()
