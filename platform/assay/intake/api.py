"""Segment's tracking calls: ``POST /v1/track`` and its like. What got a 200 is on disk."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Blueprint, Response, request
from msgspec.json import encode
from sqlalchemy.exc import SQLAlchemyError

from assay.intake.bodies import read_body
from assay.intake.callers import Callers
from assay.intake.calls import CALLS, Call, check
from assay.intake.errors import CallNotAllowed, CannotKeep, WriteKeyRefused
from assay.intake.ids import message_id
from assay.intake.writer import RETRY_AFTER, Received, Writer
from assay_tenants.errors import AssayError
from assay_tenants.keys import Caller

blueprint = Blueprint("tracking", __name__)
callers = Callers()
writer = Writer()

log = structlog.get_logger()

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ACCEPTED = encode({"success": True})


@blueprint.route(f"/v1/<any({', '.join(CALLS)}):call>", methods=_METHODS, provide_automatic_options=False)
def receive(call: Call) -> Response:
    if request.method != "POST":
        raise CallNotAllowed(request.method)
    accept(call, request.environ)
    return Response(_ACCEPTED, mimetype="application/json")


def accept(call: Call, environ: Mapping[str, Any]) -> None:
    """Returns once the message is on disk; raises the AssayError that says why it isn't."""
    received_at = datetime.now(UTC)
    secret = _key_in_header(environ.get("HTTP_AUTHORIZATION", ""))
    # A wrong key is told before the body is looked at, if it came in front of it.
    caller = _caller(secret) if secret else None
    body = read_body(environ)
    secret_in_body = check(call, body)
    if caller is None:
        caller = _caller(secret_in_body or "")
    if caller.source_id is None:
        raise WriteKeyRefused("This key sends into no source.")
    writer.keep(Received(caller.tenant_id, caller.source_id, message_id(received_at), received_at, call, body))


def _caller(secret: str) -> Caller:
    if not secret:
        raise WriteKeyRefused("No write key came with the request.")
    try:
        caller = callers.find(secret)
    except SQLAlchemyError as error:
        raise CannotKeep(after=RETRY_AFTER) from error
    if caller is None:
        raise WriteKeyRefused("The write key is unknown or was revoked.")
    return caller


def _key_in_header(header: str) -> str | None:
    scheme, _, value = header.partition(" ")
    scheme, value = scheme.lower(), value.strip()
    if scheme == "bearer":
        return value
    if scheme != "basic":
        return None
    try:
        user, _, _ = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise WriteKeyRefused("The Authorization header says Basic, but is not base64 of `user:password`.") from None
    return user


@blueprint.errorhandler(Exception)
def fail(error: Exception) -> Response:
    # Old libraries try ten times more when an error is not JSON with a code and a message.
    log.error("intake.failed", exc_info=error)
    return refuse(AssayError("Something went wrong on our side; the message was not accepted. Send it again."))


@blueprint.errorhandler(AssayError)
def refuse(error: AssayError) -> Response:
    content = {"code": error.code, "message": error.message} | ({"field": error.field} if error.field else {})
    response = Response(encode(content), status=error.status, mimetype="application/json")
    if isinstance(error, CallNotAllowed):
        response.headers["Allow"] = "POST"
    if isinstance(error, CannotKeep):
        response.headers["Retry-After"] = str(int(error.after.total_seconds()))
    return response
