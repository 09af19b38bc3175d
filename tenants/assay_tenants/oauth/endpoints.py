"""Revocation (RFC 7009) and introspection (RFC 7662): of a client's own tokens, and of no other's."""

from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from assay_tenants.audit import record
from assay_tenants.cuts import cut
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotSignedIn
from assay_tenants.oauth import families
from assay_tenants.oauth.clients import METHODS, Client
from assay_tenants.oauth.flows import NO_STORE
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.requests import Request
from assay_tenants.oauth.tokens import Bearer, last_death, read_access_token, read_uncut

Reply = tuple[int, dict[str, Any], list[tuple[str, str]]]


def _token_of(request: Request) -> str:
    token = request.form.get("token")
    if not token:
        raise InvalidRequestError("The parameter token is missing.")
    return str(token)


class Revocation(RevocationEndpoint):  # type: ignore[misc] # untyped
    """The answer is the same for a token that never was: RFC 7009 2.2."""

    CLIENT_AUTH_METHODS = METHODS

    def create_endpoint_response(self, request: Request) -> Reply:
        client: Client = self.authenticate_endpoint_client(request)
        token = _token_of(request)
        # What kind it is can be seen: the hint is no help, and a wrong or an unknown one does no harm.
        if not families.revoke_token(token, client.client_id):
            bearer = read_uncut(token)
            if bearer is not None and bearer.client_id == client.client_id:
                _cut_token(bearer)
        return 200, {}, list(NO_STORE.items())


class Introspection(IntrospectionEndpoint):  # type: ignore[misc] # untyped
    """Of a confidential client's own tokens: what belongs to others is as good as unknown."""

    CLIENT_AUTH_METHODS = tuple(method for method in METHODS if method != "none")

    def create_endpoint_response(self, request: Request) -> Reply:
        client: Client = self.authenticate_endpoint_client(request)
        token = _token_of(request)
        said = _access_token(token, client.client_id) or _refresh_token(token, client.client_id) or {"active": False}
        return 200, said, list(NO_STORE.items())


def _cut_token(bearer: Bearer) -> None:
    with tenant_session(bearer.tenant_id) as session:
        cut(session, bearer.tenant_id, f"token:{bearer.jti}", last_death())
        record(session, bearer.tenant_id, "grant.token_revoked", bearer.grant_id or bearer.client_id)


def _access_token(token: str, client_id: str) -> dict[str, Any] | None:
    try:
        bearer = read_access_token(token)
    except NotSignedIn:
        return None
    if bearer.client_id != client_id:
        return None
    return {
        "active": True,
        "iss": issuer().address,
        "aud": issuer().api,
        "sub": str(bearer.person_id) if bearer.person_id is not None else client_id,
        "client_id": client_id,
        "scope": " ".join(sorted(bearer.scopes | bearer.identity)),
        "token_type": "Bearer",
        "tenant": str(bearer.tenant_id),
        "jti": bearer.jti,
        "iat": bearer.issued_at,
        "exp": bearer.expires_at,
    }


def _refresh_token(token: str, client_id: str) -> dict[str, Any] | None:
    found = families.find_token(token, client_id)
    if found is None:
        return None
    grant, family, expires_at = found
    return {
        "active": True,
        "iss": issuer().address,
        "sub": str(grant.person_id),
        "client_id": client_id,
        "scope": " ".join(family.scopes),
        "tenant": str(grant.tenant_id),
        "exp": int(expires_at.timestamp()),
    }
