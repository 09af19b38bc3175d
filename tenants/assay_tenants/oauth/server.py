"""The authorization server: Authlib's, with our flows, our clients and our answers.

A door turns what came over HTTP into calls of these, and the `Answer` back:

``check_authorization``  whether a request for authorization is in order, before anybody is asked
``authorize``            the way back to the client, with a code or an error
``token``  ``device_authorization``  ``revoke``  ``introspect``
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2 import AuthorizationServer as AuthlibServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidRequestError,
)
from authlib.oauth2.rfc6749.errors import AccessDeniedError
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core.errors import ConsentRequiredError, InteractionRequiredError, LoginRequiredError

from assay_tenants.context import Actor, act_as
from assay_tenants.oauth.apps import GRANT_TYPES
from assay_tenants.oauth.clients import ASSERTION, Client, SignedAssertion, find_client
from assay_tenants.oauth.endpoints import Introspection, Revocation
from assay_tenants.oauth.flows import (
    NO_STORE,
    ByCode,
    ByDevice,
    ByItself,
    ByRefresh,
    Consent,
    DeviceStart,
    RequiredS256,
)
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.requests import Answer, Request

Prompt = frozenset[str]
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_LONGEST_AGE = 10**9


@dataclass(frozen=True)
class Asked:
    """A request for authorization that is in order."""

    request: Request
    grant: ByCode
    client: Client
    scopes: tuple[str, ...]
    redirect_uri: str
    prompt: Prompt
    #: Seconds since the person proved who they are, at most; None: however many.
    max_age: int | None


class NotRedirectable(Exception):
    """Wrong in a way that the client can't be told: the person gets a page instead."""

    def __init__(self, error: str, sentence: str) -> None:
        self.error, self.sentence = error, sentence
        super().__init__(f"{error}: {sentence}")


class Refused(Exception):
    """Wrong, and the client is told so by ``answer``, a redirect."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.location)


class _OurIssuer(IssuerParameter):  # type: ignore[misc] # untyped
    def get_issuer(self) -> str:
        return issuer().address


class _Server(AuthlibServer):  # type: ignore[misc] # untyped
    def query_client(self, client_id: str) -> Client | None:
        return find_client(client_id)

    def authenticate_client(self, request: Request, methods: Iterable[str], endpoint: str = "token") -> Client:
        """What follows is this app's doing."""
        client: Client = super().authenticate_client(request, methods, endpoint)
        act_as(Actor("app", client.client_id, client.app.name, request.address))
        return client

    def save_token(self, token: object, request: object) -> None:
        """Each flow keeps what it gives out, in the transaction that makes it."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def handle_response(self, status: int, body: dict[str, Any] | str, headers: Iterable[tuple[str, str]]) -> Answer:
        answer = Answer(status, body, dict(headers))
        if "Location" not in answer.headers:
            answer.headers |= NO_STORE
        if status == 401:
            answer.headers["WWW-Authenticate"] = 'Basic realm="assay", charset="UTF-8"'
        return answer

    def redirected(self, error: OAuth2Error) -> Answer:
        answer: Answer = self.handle_error_response(None, error)
        _issuer_parameter.add_issuer_parameter(self, answer)
        return answer


def _build() -> _Server:
    server = _Server()
    server.register_extension(_issuer_parameter)
    server.register_client_auth_method(ASSERTION, SignedAssertion())
    server.register_grant(ByCode, [RequiredS256()])
    for grant in (ByRefresh, ByItself, ByDevice):
        server.register_grant(grant)
    for endpoint in (DeviceStart, Revocation, Introspection):
        server.register_endpoint(endpoint)
    return server


_issuer_parameter = _OurIssuer()
_server = _build()


def read_request(
    method: str, path: str, parameters: Iterable[tuple[str, str]], headers: Mapping[str, str], address: str = ""
) -> Request:
    """``parameters`` of the query of a GET, of the form of a POST. Raises OAuth2Error for what can't be any."""
    return Request(method, path, parameters, headers, address)


def check_authorization(request: Request) -> Asked:
    """Before anybody is asked to log in or to consent. Raises NotRedirectable and Refused."""
    try:
        if request.payload.response_type != "code":
            _check_where_to(request)
        grant: ByCode = _server.get_consent_grant(request)
        prompt = frozenset((request.payload.data.get("prompt") or "").split())
        _check_openid(request, prompt)
    except OAuth2Error as error:
        error.state = request.payload.state
        if error.redirect_uri is None and isinstance(error, _Late):
            error.redirect_uri = request.payload.redirect_uri
        if error.redirect_uri is None:
            raise NotRedirectable(error.error, error.get_error_description() or "") from None
        raise Refused(_server.redirected(error)) from None
    return Asked(
        request=request,
        grant=grant,
        client=request.client,
        scopes=tuple(request.scope.split()),
        redirect_uri=grant.redirect_uri,
        prompt=prompt,
        max_age=int(request.payload.data["max_age"]) if "max_age" in request.payload.data else None,
    )


def authorize(asked: Asked, consent: Consent) -> Answer:
    """Back to the client with a code."""
    answer: Answer = _server.create_authorization_response(asked.request, grant_user=consent, grant=asked.grant)
    return answer


def deny(asked: Asked) -> Answer:
    """Back to the client: the person said no."""
    return _told(asked, AccessDeniedError())


def needs_person(asked: Asked, what: str) -> Answer:
    """Back to a client that wants no page shown: one of ``login``, ``consent`` and ``interaction`` would be."""
    errors = {"login": LoginRequiredError, "consent": ConsentRequiredError, "interaction": InteractionRequiredError}
    return _told(asked, errors[what]())


def token(request: Request) -> Answer:
    if request.payload.grant_type not in GRANT_TYPES:
        return refuse(_unsupported(request))
    answer: Answer = _server.create_token_response(request)
    return answer


def device_authorization(request: Request) -> Answer:
    answer: Answer = _server.create_endpoint_response(DeviceStart.ENDPOINT_NAME, request)
    return answer


def revoke(request: Request) -> Answer:
    answer: Answer = _server.create_endpoint_response(Revocation.ENDPOINT_NAME, request)
    return answer


def introspect(request: Request) -> Answer:
    answer: Answer = _server.create_endpoint_response(Introspection.ENDPOINT_NAME, request)
    return answer


def refuse(error: OAuth2Error) -> Answer:
    """For a request that was too broken to be read."""
    answer: Answer = _server.handle_error_response(None, error)
    return answer


def _unsupported(request: Request) -> OAuth2Error:
    if not request.payload.grant_type:
        return InvalidRequestError("The parameter grant_type is missing.")
    return OAuth2Error(f"Accepted are {', '.join(GRANT_TYPES)}.", error="unsupported_grant_type")


class _Late(OAuth2Error):  # type: ignore[misc] # untyped
    """Found once the address to go back to was known to be the client's."""

    error = "invalid_request"


def _check_where_to(request: Request) -> None:
    """Raises for another response type than ``code``: to the client if its address is in order, otherwise not."""
    client = find_client(request.payload.client_id or "")
    if client is None:
        raise InvalidClientError(description="There is no such client.")
    redirect_uri = ByCode.validate_authorization_redirect_uri(request, client)
    if not request.payload.response_type:
        raise InvalidRequestError("The parameter response_type is missing.", redirect_uri=redirect_uri)
    raise OAuth2Error("The only response_type is code.", redirect_uri=redirect_uri, error="unsupported_response_type")


def _check_openid(request: Request, prompt: Prompt) -> None:
    asked = request.payload.data
    if "request" in asked or "request_uri" in asked:
        named = "request" if "request" in asked else "request_uri"
        raise _Late("Request objects are not taken.", error=f"{named}_not_supported")
    if asked.get("response_mode", "query") != "query":
        raise _Late("The only response_mode is query.")
    if prompt - _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise _Late("The prompt can be none alone, or any of login, consent and select_account.")
    age = asked.get("max_age", "0")
    if not age.isdigit() or int(age) > _LONGEST_AGE:
        raise _Late("The max_age is a number of seconds.")


def _told(asked: Asked, error: OAuth2Error) -> Answer:
    error.redirect_uri, error.state = asked.redirect_uri, asked.request.payload.state
    return _server.redirected(error)
