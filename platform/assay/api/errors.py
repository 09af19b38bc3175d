"""Every error under /api, as application/problem+json (RFC 9457)."""

import json
import math
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import structlog
from flask import Blueprint, Response, g, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import quote_etag

from assay.api import access
from assay.arrivals import note_refusal
from assay.profiles.merges import LeadGone
from assay.scoring.errors import DraftChanged
from assay.scoring.language import InvalidModel
from assay_tenants.errors import AssayError, BadInput, Forbidden, NotSignedIn

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5

SENTENCES = {
    400: "The request could not be understood.",
    404: "There is no such resource.",
    405: "This method is not accepted here.",
    406: "We answer in JSON only.",
    413: "The body is too large.",
    415: "This kind of body is not accepted here.",
}


class InvalidArguments(BadInput):
    """Several parameters were wrong, or one."""

    def __init__(self, problems: list[dict[str, str]]) -> None:
        self.problems = problems
        super().__init__(
            "; ".join(f"{problem['field']}: {problem['message']}".removeprefix(": ") for problem in problems)
        )


class UnsupportedBody(AssayError):
    status = 415
    code = "unsupported_body"


class BodyTooLarge(AssayError):
    status = 413
    code = "body_too_large"


class NoneAccepted(BadInput):
    """Not one record of a batch was any good."""

    code = "none_accepted"

    def __init__(self, refused: list[dict[str, Any]]) -> None:
        self.refused = refused
        first = refused[0]
        super().__init__(
            f"None of the {len(refused):,} records was accepted; see refused. The first: {first['message']}"
        )


def handle(blueprint: Blueprint) -> None:
    # One for Exception would do, but Flask looks for the most specific of all blueprints' and the app's handlers.
    for family in (404, 405, AssayError, InvalidModel, HTTPException, Exception):
        blueprint.register_error_handler(family, render)


def render(error: Exception) -> Response:
    """The one place where an error of the API takes its shape."""
    if isinstance(error, InvalidModel):
        problems = [{"field": problem.path, "message": problem.message} for problem in error.problems]
        return _problem(422, "invalid_model", "This is not a model: see errors, each with its path.", problems)
    if isinstance(error, InvalidArguments):
        return _problem(error.status, error.code, error.message, error.problems)
    if isinstance(error, NoneAccepted):
        return _problem(error.status, error.code, error.message, [], more={"accepted": 0, "refused": error.refused})
    if isinstance(error, DraftChanged):
        more = {
            "revision": error.revision,
            "stored": error.stored,
            "changes": [vars(change) for change in error.changes],
        }
        headers = {"ETag": quote_etag(str(error.revision))}
        return _problem(error.status, error.code, error.message, [], headers, more)
    if isinstance(error, LeadGone) and error.merged_into is not None:
        return _problem(error.status, error.code, error.message, [], more={"merged_into": error.merged_into})
    if isinstance(error, AssayError):
        if isinstance(error, Forbidden | NotSignedIn) and not isinstance(error, access.KeyMissing):
            note_refusal(error, g.api_caller.tenant_id if "api_caller" in g else None)
        problems = [{"field": error.field, "message": error.message}] if error.field else []
        return _problem(error.status, error.code, error.message, problems, _headers(error))
    if isinstance(error, HTTPException) and error.code is not None and error.code < 500:
        status = error.code
        sentence = SENTENCES.get(status) or error.description or HTTPStatus(status).phrase
        allowed = error.valid_methods if isinstance(error, MethodNotAllowed) else None
        headers = {"Allow": ", ".join(sorted(allowed))} if allowed else {}
        return _problem(status, HTTPStatus(status).phrase.lower().replace(" ", "_"), sentence, [], headers)
    if isinstance(error, OperationalError | PoolTimeout):
        log.warning("api.database_away", error=str(error))
        sentence = "The database is away for a moment. Nothing was changed; try again in a few seconds."
        return _problem(503, "unavailable", sentence, [], {"Retry-After": str(RETRY_AFTER)})
    log.error("api.failed", method=request.method, path=request.path, exc_info=error)
    return _problem(500, "internal_error", "Something broke on our side; it has been written down.", [])


def _headers(error: AssayError) -> dict[str, str]:
    if asked := access.challenge(error):
        return {"WWW-Authenticate": asked}
    after: timedelta | None = getattr(error, "after", None)
    return {"Retry-After": str(max(1, math.ceil(after.total_seconds())))} if after else {}


def _problem(
    status: int,
    code: str,
    detail: str,
    problems: list[dict[str, str]],
    headers: dict[str, str] | None = None,
    more: dict[str, Any] | None = None,
) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if problems:
        body["errors"] = problems
    body.update(more or {})
    return Response(json.dumps(body, ensure_ascii=False), status, headers, content_type=MEDIA_TYPE)
