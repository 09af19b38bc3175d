"""Segment's tracking calls: ``POST /v1/track`` and its like. What got a 200 is on disk.

They are answered before Flask sees them: its dispatch would cost more than all that is done for a single event.
"""

import base64
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from msgspec.json import encode
from sqlalchemy.exc import SQLAlchemyError

from assay.intake.admission import Admission
from assay.intake.bodies import drop_body, read_body
from assay.intake.browsers import (
    SETTINGS_AGE,
    Headers,
    leave_to_read,
    leave_to_send,
    public_address,
    settings_document,
)
from assay.intake.callers import Callers
from assay.intake.calls import WORDS, Call, check
from assay.intake.errors import (
    BadCall,
    CallNotAllowed,
    CannotKeep,
    CannotTell,
    NoSuchCall,
    NoSuchFile,
    NoSuchProject,
    OriginRefused,
    WriteKeyRefused,
)
from assay.intake.ids import message_id
from assay.intake.retries import Retries
from assay.intake.writer import RETRY_AFTER, Received, Writer
from assay_tenants.errors import AssayError
from assay_tenants.keys import Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Answer = tuple[int, Headers, bytes]

# Some libraries put a slash behind it.
_PATHS: dict[str, Call] = {f"/v1/{word}{end}": call for word, call in WORDS.items() for end in ("", "/")}
# Libraries for web pages take their settings' address for the one of their files too.
_FILES = ("/analytics.js/", "/analytics-next/", "/next-integrations/")
_OURS = ("/v1/", *_FILES)
_METRICS = ("/v1/m", "/v1/m/")
_SETTINGS = re.compile(r"/v1/projects/([^/]+)/settings/?")
_ACCEPTED: Answer = (200, [], encode({"success": True}))
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
# Libraries wait no longer than this, whatever they are told.
_LONGEST_WAIT = 300

log = structlog.get_logger()


class Tracking:
    """Answers the tracking calls and what belongs to them, and passes everything else on."""

    def __init__(self, rest: "WSGIApplication", *, public_url: str = "", admission: Admission | None = None) -> None:
        self.rest = rest
        self.admission = admission
        self.public_url = public_url.rstrip("/")
        self.callers = Callers()
        self.writer = Writer()
        self.retries = Retries()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        call = _PATHS.get(path)
        if call is None and not path.startswith(_OURS):
            return self.rest(environ, start_response)
        origin: str | None = environ.get("HTTP_ORIGIN")
        try:
            if call is not None and environ["REQUEST_METHOD"] == "POST":
                self.accept(call, environ)
                status, headers, body = _ACCEPTED
            else:
                status, headers, body = self._answer(path, environ)
        except AssayError as error:
            status, headers, body = _refusal(error)
            if isinstance(error, OriginRefused):
                origin = None
        except Exception:
            log.exception("intake.failed")
            status, headers, body = _refusal(
                AssayError("Something went wrong on our side and the message was not accepted. Send it again.")
            )
        if body:
            headers = [*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        if origin is not None:
            headers = [*headers, *leave_to_read(origin)]
        start_response(_STATUS[status], headers)
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []

    def accept(self, call: Call, environ: "WSGIEnvironment") -> None:
        """Returns once the message is on disk; raises the AssayError that says why it isn't."""
        received_at = datetime.now(UTC)
        secret = _key_in_header(environ)
        # A wrong key is told before the body is looked at, if it came in front of it.
        caller = self._caller(secret, environ) if secret else None
        body = read_body(environ)
        secret_in_body, items = check(call, body)
        if caller is None:
            caller = self._caller(secret_in_body or "")
        if caller.source_id is None:
            raise WriteKeyRefused("This key sends into no source.")
        _refuse_stranger(caller, environ)
        if (retry := environ.get("HTTP_X_RETRY_COUNT")) is not None:
            self.retries.note(retry)
        self._admit(caller, items, len(body), environ)
        self.writer.keep(Received(caller.tenant_id, caller.source_id, message_id(received_at), received_at, call, body))

    def _admit(self, caller: Caller, items: int, size: int, environ: "WSGIEnvironment") -> None:
        if self.admission is None:
            return
        # Who reads a page reads its key: one of them must not use up what all may send.
        if caller.origins or "HTTP_ORIGIN" in environ:
            self.admission.admit_visitor(caller.tenant_id, caller.key_id, environ.get("REMOTE_ADDR", ""), items)
        self.admission.admit(caller.tenant_id, items, size)

    def _caller(self, secret: str, unread: "WSGIEnvironment | None" = None) -> Caller:
        try:
            if not secret:
                raise WriteKeyRefused("No write key came with the request.")
            try:
                caller = self.callers.find(secret)
            except SQLAlchemyError as error:
                raise CannotKeep(after=RETRY_AFTER) from error
            if caller is None:
                raise WriteKeyRefused("The write key is unknown or was revoked.")
        except AssayError:
            if unread is not None:
                drop_body(unread)
            raise
        return caller

    def _answer(self, path: str, environ: "WSGIEnvironment") -> Answer:
        """Whatever is no call: questions of browsers, metrics, and mistakes."""
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return 204, leave_to_send(), b""
        if path in _METRICS and method == "POST":
            read_body(environ)
            return _ACCEPTED
        drop_body(environ)
        asked = _SETTINGS.fullmatch(path)
        if asked and method in ("GET", "HEAD"):
            return self._settings(asked[1], environ)
        if asked:
            raise CallNotAllowed(method, accepted="GET, HEAD")
        if path.startswith(_FILES):
            raise NoSuchFile
        if path in _PATHS or path in _METRICS:
            raise CallNotAllowed(method, accepted="POST")
        raise NoSuchCall(path)

    def _settings(self, write_key: str, environ: "WSGIEnvironment") -> Answer:
        try:
            caller = self.callers.find(write_key)
        except SQLAlchemyError as error:
            raise CannotTell(after=RETRY_AFTER) from error
        if caller is None:
            raise NoSuchProject
        _refuse_stranger(caller, environ)
        address = public_address(environ, self.public_url)
        if address.endswith("//"):
            raise BadCall("The Host header is missing or has letters that no host has.")
        headers = [("Cache-Control", f"public, max-age={SETTINGS_AGE}")]
        if "HTTP_ORIGIN" not in environ:
            headers.append(("Vary", "Origin"))
        return 200, headers, settings_document(write_key, address)


def _key_in_header(environ: "WSGIEnvironment") -> str | None:
    header: str = environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, value = header.partition(" ")
    scheme, value = scheme.lower(), value.strip()
    if scheme == "bearer":
        return value
    if scheme != "basic":
        return None
    try:
        user, _, _ = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # of the encoding, or of letters that no encoding has
        drop_body(environ)
        raise WriteKeyRefused("The Authorization header says Basic, but is not base64 of `user:password`.") from None
    return user


def _refuse_stranger(caller: Caller, environ: "WSGIEnvironment") -> None:
    # Only browsers state an origin; a server that has the key may use it from anywhere.
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not caller.may_come_from(origin):
        raise OriginRefused(origin)


def _refusal(error: AssayError) -> Answer:
    # Old libraries try ten times more when an error is not JSON with a code and a message.
    content: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.field:
        content["field"] = error.field
    headers = [("Cache-Control", "no-store")]
    if isinstance(error, CallNotAllowed):
        headers.append(("Allow", error.allow))
    after = getattr(error, "after", None)
    if after is not None:
        seconds = min(max(math.ceil(after.total_seconds()), 1), _LONGEST_WAIT)
        headers.append(("Retry-After", str(seconds)))
    return error.status, headers, encode(content)
