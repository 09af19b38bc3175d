"""Where the resources are mounted, who may come in, and errors in SCIM's own shape."""

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from flask import Blueprint, Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from assay.arrivals import note_refusal
from assay.settings import Settings
from assay_tenants.context import Actor, act_as
from assay_tenants.errors import AssayError, BadInput, Forbidden, NotSignedIn
from assay_tenants.sso.provisioning import Taken
from assay_tenants.sso.scim_tokens import Provisioner, find_provisioner

PREFIX: Final = "/scim/v2"
MEDIA_TYPE: Final = "application/scim+json"
LARGEST_BODY = 200_000
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

log = structlog.get_logger()

View = Callable[..., ResponseReturnValue]

door = Blueprint("scim", __name__, url_prefix=PREFIX)


class TokenRefused(NotSignedIn):
    code = "token_refused"

    def __init__(self) -> None:
        super().__init__(
            "This needs a provisioning token that is neither revoked nor expired, as “Authorization: Bearer sc_…”. "
            "Tokens are made under Settings, Single sign-on."
        )


class BodyTooLarge(AssayError):
    status = 413
    code = "body_too_large"


def register(app: Flask, _: Settings) -> None:
    app.register_blueprint(door)


def serves(rule: str, *, endpoint: str = "", **views: str) -> None:
    """At ``rule``, by method, the views of `assay.scim.users` with these names; other methods are answered 405."""

    def dispatch(**arguments: str) -> ResponseReturnValue:
        # The models take 15 MB, and most processes never serve a directory.
        from assay.scim import users

        method = "GET" if request.method == "HEAD" else request.method
        if method not in views:
            raise MethodNotAllowed(sorted(views))
        view: View = getattr(users, views[method])
        with users.POLICY:
            return view(**arguments)

    named = endpoint or re.sub(r"\W+", "_", rule).strip("_")
    door.add_url_rule(rule, endpoint=named, view_func=dispatch, methods=METHODS)


serves("/ServiceProviderConfig", GET="service_provider_config")
serves("/ResourceTypes", GET="resource_types")
serves("/ResourceTypes/<name>", GET="resource_type")
serves("/Schemas", GET="schemas")
serves("/Schemas/<name>", GET="schema")
serves("/Users", GET="find", POST="create")
serves("/Users/.search", POST="search")
serves("/.search", POST="search", endpoint="search_all")
serves("/Users/<user_id>", GET="show", PUT="replace", PATCH="patch", DELETE="remove")


@door.route("/", defaults={"rest": ""}, methods=METHODS, strict_slashes=False)
@door.route("/<path:rest>", methods=METHODS)
def nothing(rest: str) -> ResponseReturnValue:
    raise NotFound


@door.before_request
def recognise() -> None:
    """Raises TokenRefused unless the request came with a token that is good."""
    request.max_content_length = LARGEST_BODY
    authorization = request.authorization
    secret = authorization.token if authorization is not None and authorization.type == "bearer" else None
    found = find_provisioner(secret) if secret else None
    if found is None:
        raise TokenRefused
    g.provisioner = found
    act_as(Actor("app", f"scim {found.token_id}", f"Provisioning ({found.name})", request.remote_addr or ""))


def tenant_id() -> int:
    known: Provisioner = g.provisioner
    return known.tenant_id


def address() -> str:
    """Where clients reach this door: as configured, otherwise as this one does."""
    configured: str = current_app.config["ASSAY_PUBLIC_URL"]
    return (configured or request.host_url.rstrip("/")) + PREFIX


def body() -> dict[str, Any]:
    """The request's JSON object; raises BadInput."""
    try:
        # An empty body has no media type either; what Okta and Entra send is labelled both ways.
        read = json.loads(request.get_data())
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise BadInput("The body has to be a JSON object.", field="body")
    return read


@door.after_request
def keep_private(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def answer(content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, dict(headers or {}), content_type=MEDIA_TYPE)


def error_answer(
    status: int, detail: str, scim_type: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    content: dict[str, Any] = {"schemas": [_ERROR], "status": str(status), "detail": detail}
    if scim_type:
        content["scimType"] = scim_type
    return answer(content, status, headers)


def render(error: Exception) -> Response:
    """The one place where an error of this door takes its shape."""
    if isinstance(error, AssayError):
        return _refused(error)
    if isinstance(error, HTTPException) and error.code is not None and error.code < 500:
        allowed = error.valid_methods if isinstance(error, MethodNotAllowed) else None
        headers = {"Allow": ", ".join(sorted(allowed))} if allowed else None
        sentence = "There is no such resource." if error.code == 404 else error.description
        return error_answer(error.code, sentence or HTTPStatus(error.code).phrase, None, headers)
    if isinstance(error, OperationalError | PoolTimeout):
        log.warning("scim.database_away", error=str(error))
        return error_answer(503, "The database is away for a moment. Nothing was changed.", None, {"Retry-After": "5"})
    from assay.scim import users

    if (told := users.as_error(error)) is not None:
        return error_answer(*told)
    log.error("scim.failed", method=request.method, path=request.path, exc_info=error)
    return error_answer(500, "Something broke on our side; it has been written down.")


def _refused(error: AssayError) -> Response:
    if isinstance(error, BadInput):
        return error_answer(400, error.message, "invalidValue")
    if isinstance(error, Taken):
        return error_answer(409, error.message, "uniqueness")
    if isinstance(error, Forbidden | NotSignedIn):
        note_refusal(error, g.provisioner.tenant_id if "provisioner" in g else None)
    headers = {"WWW-Authenticate": 'Bearer realm="assay"'} if isinstance(error, NotSignedIn) else None
    return error_answer(error.status, error.message, None, headers)


# One for Exception would do, but Flask looks for the most specific of all blueprints' and the app's handlers.
for family in (404, 405, 413, AssayError, OperationalError, PoolTimeout, HTTPException, Exception):
    door.register_error_handler(family, render)
