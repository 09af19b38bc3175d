"""Segment's tracking calls: ``POST /v1/track`` and its like. What got a 200 is on disk.

They are answered before Flask sees them: its dispatch would cost more than all that is done for a single event.
"""

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from msgspec.json import encode
from sqlalchemy.exc import SQLAlchemyError

from assay.intake.bodies import read_body
from assay.intake.callers import Callers
from assay.intake.calls import CALLS, Call, check
from assay.intake.errors import CallNotAllowed, CannotKeep, NoSuchCall, WriteKeyRefused
from assay.intake.ids import message_id
from assay.intake.writer import RETRY_AFTER, Received, Writer
from assay_tenants.errors import AssayError
from assay_tenants.keys import Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Answer = tuple[int, list[tuple[str, str]], bytes]

_PATHS: dict[str, Call] = {f"/v1/{call}": call for call in CALLS}
_ACCEPTED: Answer = (200, [], encode({"success": True}))
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

log = structlog.get_logger()


class Tracking:
    """Answers the tracking calls, and passes everything else on."""

    def __init__(self, rest: "WSGIApplication") -> None:
        self.rest = rest
        self.callers = Callers()
        self.writer = Writer()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        call = _PATHS.get(path)
        if call is None and not path.startswith("/v1/"):
            return self.rest(environ, start_response)
        status, headers, body = _ACCEPTED
        try:
            if call is None:
                raise NoSuchCall(path)
            self.accept(call, environ)
        except AssayError as error:
            status, headers, body = _refusal(error)
        except Exception:
            log.exception("intake.failed")
            status, headers, body = _refusal(
                AssayError("Something went wrong on our side and the message was not accepted. Send it again.")
            )
        headers = [*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(_STATUS[status], headers)
        return [body]

    def accept(self, call: Call, environ: "WSGIEnvironment") -> None:
        """Returns once the message is on disk; raises the AssayError that says why it isn't."""
        if environ["REQUEST_METHOD"] != "POST":
            raise CallNotAllowed(environ["REQUEST_METHOD"])
        received_at = datetime.now(UTC)
        secret = _key_in_header(environ.get("HTTP_AUTHORIZATION", ""))
        # A wrong key is told before the body is looked at, if it came in front of it.
        caller = self._caller(secret) if secret else None
        body = read_body(environ)
        secret_in_body = check(call, body)
        if caller is None:
            caller = self._caller(secret_in_body or "")
        if caller.source_id is None:
            raise WriteKeyRefused("This key sends into no source.")
        self.writer.keep(Received(caller.tenant_id, caller.source_id, message_id(received_at), received_at, call, body))

    def _caller(self, secret: str) -> Caller:
        if not secret:
            raise WriteKeyRefused("No write key came with the request.")
        try:
            caller = self.callers.find(secret)
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


def _refusal(error: AssayError) -> Answer:
    # Old libraries try ten times more when an error is not JSON with a code and a message.
    content: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.field:
        content["field"] = error.field
    headers = []
    if isinstance(error, CallNotAllowed):
        headers.append(("Allow", "POST"))
    if isinstance(error, CannotKeep):
        headers.append(("Retry-After", str(int(error.after.total_seconds()))))
    return error.status, headers, encode(content)
