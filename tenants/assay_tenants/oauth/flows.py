"""The ways to a token, on Authlib's: what it checks by default is stated or replaced here, and tokens are all ours."""

import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authlib.oauth2.rfc6749 import (
    AuthorizationCodeMixin,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.errors import AccessDeniedError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7636.challenge import create_s256_code_challenge
from authlib.oauth2.rfc8628 import (
    AuthorizationPendingError,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    ExpiredTokenError,
    SlowDownError,
)

from assay_tenants.oauth import codes, devices, families
from assay_tenants.oauth.clients import METHODS, Client
from assay_tenants.oauth.codes import FoundCode
from assay_tenants.oauth.families import GrantRefused, Issued
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.requests import Request
from assay_tenants.oauth.scopes import IDENTITY, for_role
from assay_tenants.oauth.tokens import mint_access_token

#: 43 letters are the whole of a SHA-256; a verifier has 43 to 128.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
NO_STORE = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}

_DEVICE_ERRORS = {
    "authorization_pending": AuthorizationPendingError,
    "slow_down": SlowDownError,
    "access_denied": AccessDeniedError,
    "expired_token": ExpiredTokenError,
    "invalid_grant": InvalidGrantError,
}


@dataclass(frozen=True)
class Consent:
    """Somebody said yes: for which tenant, and how they had proven who they are."""

    tenant_id: int
    grant_id: int
    scopes: tuple[str, ...]
    auth_time: datetime
    methods: tuple[str, ...]


def answer_of(issued: Issued) -> dict[str, Any]:
    """As RFC 6749 5.1 and OpenID Connect write it."""
    body: dict[str, Any] = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": " ".join(issued.scopes),
    }
    if issued.refresh_token:
        body["refresh_token"] = issued.refresh_token
    if issued.id_token:
        body["id_token"] = issued.id_token
    return body


class RequiredS256(CodeChallenge):  # type: ignore[misc] # untyped
    """PKCE for every client, by S256 alone: Authlib takes ``plain``, and takes a request without a challenge."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def __init__(self) -> None:
        super().__init__(required=True)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        asked = grant.request.payload.data
        if not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            raise InvalidRequestError("A code_challenge is required: 43 letters of base64url (PKCE, RFC 7636).")
        if asked.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The code_challenge_method has to be S256.")

    def validate_code_verifier(self, grant: Any, result: object) -> None:
        verifier = grant.request.form.get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier):
            raise InvalidGrantError("A code_verifier of 43 to 128 characters is required.")
        found: Code = grant.request.authorization_code
        challenge = create_s256_code_challenge(verifier)
        if not hmac.compare_digest(challenge, found.code.code_challenge):
            raise InvalidGrantError("The code_verifier does not fit the code_challenge.")


@dataclass(frozen=True)
class Code(AuthorizationCodeMixin):  # type: ignore[misc] # untyped
    code: FoundCode = field(repr=False)

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri

    def get_scope(self) -> str:
        return " ".join(self.code.scopes)


class ByCode(AuthorizationCodeGrant):  # type: ignore[misc] # untyped
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    @staticmethod
    def validate_authorization_redirect_uri(request: Request, client: Client) -> str:
        """Named in each request, and letter by letter one of those registered."""
        asked = request.payload.redirect_uri
        if not asked:
            raise InvalidRequestError("The parameter redirect_uri is missing.")
        if not client.check_redirect_uri(asked):
            raise InvalidRequestError("This redirect_uri is not registered for the client.")
        return str(asked)

    def validate_requested_scope(self) -> None:
        self.request.audience()

    def save_authorization_code(self, code: str, request: Request) -> None:
        """The code is made with its row, in ``generate_authorization_code``."""

    def generate_authorization_code(self) -> str:
        consent: Consent = self.request.user
        asked = self.request.payload.data
        return codes.issue(
            consent.tenant_id,
            consent.grant_id,
            scopes=consent.scopes,
            resource=self.request.audience(),
            redirect_uri=self.request.payload.redirect_uri,
            code_challenge=asked["code_challenge"],
            nonce=asked.get("nonce", ""),
            auth_time=consent.auth_time,
            methods=consent.methods,
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = codes.find(code, client.client_id)
        return Code(found) if found else None

    def validate_token_request(self) -> None:
        super().validate_token_request()
        self.request.audience()

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Used up and answered in one transaction, which Authlib's several steps are not."""
        try:
            issued = codes.redeem(self.request.authorization_code.code, self.request.client.app)
        except GrantRefused as refused:
            raise InvalidGrantError(str(refused)) from None
        return 200, answer_of(issued), list(NO_STORE.items())


class ByRefresh(RefreshTokenGrant):  # type: ignore[misc] # untyped
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def validate_token_request(self) -> None:
        self.request.client = self._validate_request_client()
        if not self.request.form.get("refresh_token"):
            raise InvalidRequestError("The parameter refresh_token is missing.")
        scope = self.request.payload.scope
        if scope and not set(scope.split()) <= set(self.request.client.app.scopes):
            raise InvalidScopeError()
        self.request.audience()

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        scope = self.request.payload.scope
        try:
            issued = families.refresh(
                self.request.form["refresh_token"],
                self.request.client.app,
                wanted=scope.split() if scope else None,
            )
        except GrantRefused as refused:
            raise InvalidGrantError(str(refused)) from None
        except families.ScopeRefused:
            raise InvalidScopeError() from None
        return 200, answer_of(issued), list(NO_STORE.items())


class ByItself(ClientCredentialsGrant):  # type: ignore[misc] # untyped
    """An app for the company that registered it, without a person: ``openid`` and its kin say nothing here."""

    TOKEN_ENDPOINT_AUTH_METHODS = tuple(method for method in METHODS if method != "none")

    def validate_token_request(self) -> None:
        super().validate_token_request()
        self.request.audience()

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        client: Client = self.request.client
        asked = self.request.payload.scope
        allowed = client.get_allowed_scope(asked)
        scopes = [scope for scope in (allowed or "").split() if scope not in IDENTITY]
        # Admins register apps and see their secrets: an app that acts by itself must not do what they may not.
        within = for_role("admin", scopes)
        if not within or (asked and (IDENTITY & set(asked.split()) or within != scopes)):
            raise InvalidScopeError()
        scopes = within
        if client.app.tenant_id == 0:
            raise UnauthorizedClientError("An app that registered itself belongs to nobody it could act for.")
        minted = mint_access_token(
            tenant_id=client.app.tenant_id,
            client_id=client.client_id,
            app_name=client.app.name,
            scopes=scopes,
            audience=self.request.audience(),
        )
        issued = Issued(minted.token, minted.expires_in, tuple(scopes))
        return 200, answer_of(issued), list(NO_STORE.items())


class ByDevice(DeviceCodeGrant):  # type: ignore[misc] # untyped
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def validate_token_request(self) -> None:
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("The client is not registered for this grant type.")
        if not self.request.form.get("device_code"):
            raise InvalidRequestError("The parameter device_code is missing.")
        self.request.client = client
        self.request.audience()

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        answer = devices.ask(self.request.form["device_code"], self.request.client.app)
        if isinstance(answer, str):
            raise _DEVICE_ERRORS[answer]()
        return 200, answer_of(answer), list(NO_STORE.items())


class DeviceStart(DeviceAuthorizationEndpoint):  # type: ignore[misc] # untyped
    CLIENT_AUTH_METHODS = METHODS

    def create_endpoint_response(self, request: Request) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        client: Client = self.authenticate_client(request)
        if not client.check_grant_type(DeviceCodeGrant.GRANT_TYPE):
            raise UnauthorizedClientError("The client is not registered for this grant type.")
        request.audience()
        scope = client.get_allowed_scope(request.payload.scope)
        if scope is None:
            raise InvalidScopeError()
        started = devices.start(client.app, scopes=scope.split(), address=request.address)
        page = f"{issuer().address}/device"
        body = {
            "device_code": started.device_code,
            "user_code": started.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={started.user_code}",
            "expires_in": started.expires_in,
            "interval": started.interval,
        }
        return 200, body, list(NO_STORE.items())
