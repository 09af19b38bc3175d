"""What programs call: tokens, revocation, introspection, userinfo, keys, registration, and what we say of ourselves."""

import base64
import json
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import structlog
from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from assay.oauth import pace
from assay.senders import TooManyWaiting
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotSignedIn
from assay_tenants.oauth import identity, metadata, registration, server, signing
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.requests import Answer, Request
from assay_tenants.oauth.tokens import read_access_token

log = structlog.get_logger()

View = Callable[[], ResponseReturnValue]

#: Bytes of a body: a form of tokens, or the metadata and keys of a client.
LARGEST_BODY = 64_000
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
JWKS_AGE = timedelta(minutes=5)
METADATA_AGE = timedelta(hours=1)
RETRY_AFTER = timedelta(seconds=5)
# Browsers of other sites may read these: whoever asks shows a token or a code, and no cookie counts here.
_FOR_BROWSERS: Final = frozenset(
    {"oauth.token", "oauth.revoke", "oauth.userinfo", "oauth.jwks", "oauth.of_server", "oauth.of_api", "oauth.of_us"}
)


def blueprint() -> Blueprint:
    oauth = Blueprint("oauth", __name__)
    oauth.before_request(_bound_body)
    oauth.after_request(_let_browsers_read)
    for family in (404, 405, HTTPException, Exception):
        oauth.register_error_handler(family, _render)
    guarded: dict[View, View] = {}
    for rule, view, methods in (
        ("/oauth/token", token, ["POST"]),
        ("/oauth/device_authorization", device_authorization, ["POST"]),
        ("/oauth/revoke", revoke, ["POST"]),
        ("/oauth/introspect", introspect, ["POST"]),
        ("/oauth/userinfo", userinfo, ["GET", "POST"]),
        ("/oauth/jwks", jwks, ["GET"]),
        ("/oauth/register", register, ["POST"]),
        ("/.well-known/oauth-authorization-server", of_server, ["GET"]),
        ("/.well-known/openid-configuration", of_server, ["GET"]),
        # The API first: its own errors name the first of these.
        ("/.well-known/oauth-protected-resource/api/v1", of_api, ["GET"]),
        ("/.well-known/oauth-protected-resource", of_us, ["GET"]),
    ):
        # All methods, so that an error about one has our shape as well.
        guarded.setdefault(view, _only(methods, view))
        oauth.add_url_rule(rule, endpoint=view.__name__, view_func=guarded[view], methods=_METHODS)
    return oauth


def token() -> ResponseReturnValue:
    return _ask(server.token)


def device_authorization() -> ResponseReturnValue:
    after = pace.take_device()
    return _slow_down(after) if after else _ask(server.device_authorization)


def revoke() -> ResponseReturnValue:
    return _ask(server.revoke)


def introspect() -> ResponseReturnValue:
    return _ask(server.introspect)


def userinfo() -> ResponseReturnValue:
    """What the scopes of an access token let its client know of the person (OpenID Connect 5.3)."""
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        return _challenge(401, "")
    try:
        bearer = read_access_token(authorization.token)
    except NotSignedIn:
        return _challenge(401, "invalid_token")
    if bearer.person_id is None or "openid" not in bearer.identity:
        return _challenge(403, "insufficient_scope")
    with tenant_session(bearer.tenant_id) as session:
        claims = identity.claims_of(session, bearer.tenant_id, bearer.person_id, bearer.identity)
    return _json(claims) if claims else _challenge(401, "invalid_token")


def jwks() -> ResponseReturnValue:
    response = _json(signing.keys().as_set(), keep=JWKS_AGE)
    response.mimetype = "application/jwk-set+json"
    return response


def register() -> ResponseReturnValue:
    after = pace.take_registration() if issuer().registration != "off" else None
    if after:
        return _slow_down(after)
    authorization = request.authorization
    given = authorization.token if authorization is not None and authorization.type == "bearer" else None
    try:
        made = registration.register(_document(), given)
    except registration.RegistrationOff:
        return _error(404, "not_found", "Apps are registered by people here, under Settings.")
    except OAuth2Error as error:
        answer = server.refuse(error)
        if answer.status == 401:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="assay", error="invalid_token"'
        return _response(answer)
    return _json(made, status=201)


def of_server() -> ResponseReturnValue:
    return _json(metadata.of_server(), keep=METADATA_AGE)


def of_api() -> ResponseReturnValue:
    return _json(metadata.of_resource(issuer().api), keep=METADATA_AGE)


def of_us() -> ResponseReturnValue:
    return _json(metadata.of_resource(issuer().address), keep=METADATA_AGE)


def _only(methods: list[str], view: View) -> View:
    def guarded() -> ResponseReturnValue:
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            raise MethodNotAllowed(methods)
        return view()

    return guarded


def _ask(endpoint: Callable[[Request], Answer]) -> Response:
    """One of the endpoints that take a form and that a client proves itself to."""
    if request.query_string:
        return _error(400, "invalid_request", "Parameters belong in the body: addresses end up in logs.")
    # Without any parameter there may be no body, and then no type of one.
    if request.mimetype not in ("application/x-www-form-urlencoded", ""):
        return _error(400, "invalid_request", "The body is a form: application/x-www-form-urlencoded.")
    client_id, shows_secret = _who_says()
    try:
        after = pace.take_request(client_id) or (pace.has_failed_too_often(client_id) if shows_secret else None)
    except pace.CannotCount:
        if shows_secret:
            raise
        after = None
    if after:
        return _slow_down(after)
    try:
        asked = server.read_request(
            "POST", request.path, request.form.items(multi=True), dict(request.headers), request.remote_addr or ""
        )
        answer = endpoint(asked)
    except OAuth2Error as error:
        answer = server.refuse(error)
    if shows_secret and isinstance(answer.body, dict) and answer.body.get("error") == "invalid_client":
        log.warning("oauth.client_refused", client_id=client_id, address=request.remote_addr, path=request.path)
        pace.count_failure(client_id)
    return _response(answer)


def _who_says() -> tuple[str, bool]:
    """Which client this claims to be, and whether it shows something that could be guessed."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, _ = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
        except ValueError:  # of the encoding, or of letters that no encoding has
            user = ""
        return user[:200], True
    shows_secret = bool(request.form.get("client_secret") or request.form.get("client_assertion"))
    return request.form.get("client_id", "")[:200], shows_secret


def _document() -> object:
    try:
        return request.get_json(silent=True)
    except RecursionError:
        return None


def _response(answer: Answer) -> Response:
    body = json.dumps(answer.body) if isinstance(answer.body, dict) else answer.body
    return Response(body, answer.status, answer.headers)


def _json(body: dict[str, Any], *, status: int = 200, keep: timedelta | None = None) -> Response:
    response = Response(json.dumps(body), status, mimetype="application/json")
    age = f"public, max-age={int(keep.total_seconds())}" if keep else "no-store"
    response.headers["Cache-Control"] = age
    return response


def _error(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> Response:
    response = _json({"error": error, "error_description": description}, status=status)
    response.headers.update(headers or {})
    return response


def _challenge(status: int, error: str) -> Response:
    """RFC 6750 3: an error goes into the header; without a token there is none to speak of."""
    response = _json({"error": error} if error else {}, status=status)
    said = f', error="{error}"' if error else ""
    scope = ', scope="openid"' if error == "insufficient_scope" else ""
    response.headers["WWW-Authenticate"] = f'Bearer realm="assay"{said}{scope}'
    return response


def _slow_down(after: timedelta) -> Response:
    seconds = str(max(1, math.ceil(after.total_seconds())))
    return _error(429, "temporarily_unavailable", "Too many requests. Try again later.", {"Retry-After": seconds})


def _bound_body() -> None:
    request.max_content_length = LARGEST_BODY


def _let_browsers_read(response: Response) -> Response:
    if request.endpoint in _FOR_BROWSERS:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, Retry-After"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Max-Age"] = "600"
    return response


def _render(error: Exception) -> Response:
    """Every error in the shape of RFC 6749 5.2."""
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return _error(405, "invalid_request", "This method is not accepted here.", {"Allow": allowed})
    if isinstance(error, HTTPException) and error.code is not None and error.code < 500:
        return _error(error.code, "invalid_request", "The request could not be read.")
    if isinstance(error, TooManyWaiting):
        return _slow_down(error.after)
    if isinstance(error, OperationalError | PoolTimeout | pace.CannotCount):
        log.warning("oauth.away", error=str(error))
        wait = {"Retry-After": str(int(RETRY_AFTER.total_seconds()))}
        return _error(503, "temporarily_unavailable", "Try again in a few seconds.", wait)
    log.error("oauth.failed", path=request.path, exc_info=error)
    return _error(500, "server_error", "Something broke on our side; it has been written down.")
