"""Each request begins with nobody known and a number of its own, and leaves nobody behind in its thread."""

import re
from uuid import uuid4

import structlog
from flask import Flask, Response, request

from assay_tenants.context import actor, arrival, arrive, depart
from assay_tenants.errors import AssayError, Forbidden

log = structlog.get_logger()

HEADER = "X-Request-Id"
# What a proxy in front of us calls the request, where it looks like such a name.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}", re.ASCII)


def register(app: Flask) -> None:
    app.before_request(_arrive)
    app.after_request(_tell)
    app.teardown_request(lambda _: depart())


def _arrive() -> None:
    given = request.headers.get(HEADER, "")
    request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    door = "api" if request.path.startswith(("/api/", "/scim/")) else "web"
    arrive(door, address=request.remote_addr or "", request_id=request_id)


def _tell(response: Response) -> Response:
    response.headers.setdefault(HEADER, arrival().request_id)
    return response


def note_refusal(error: AssayError, tenant_id: int | None) -> None:
    """Writes to the log who was refused what. Never what they showed, nor the query of their address."""
    who = actor()
    log.warning(
        "authorization.refused" if isinstance(error, Forbidden) else "authentication.refused",
        code=error.code,
        permission=getattr(error, "permission", None),
        actor=f"{who.kind} {who.id}".strip(),
        tenant_id=tenant_id,
        address=arrival().address,
        method=request.method,
        path=request.path,
        request_id=arrival().request_id,
    )
