"""Apps as Authlib asks for them, and how they prove themselves."""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from authlib.oauth2.rfc6749 import ClientMixin, InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy.dialects.postgresql import insert

from assay_tenants import secrets
from assay_tenants.database import tenant_session
from assay_tenants.oauth.catalogue import Known, find_app, find_known
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.models import ClientAssertion
from assay_tenants.oauth.scopes import in_order
from assay_tenants.oauth.uris import is_among

ASSERTION = "private_key_jwt"
SECRET_METHODS: Final = ("client_secret_basic", "client_secret_post")
#: The ways to prove oneself; ``none`` is a public app that names itself.
METHODS: Final = (*SECRET_METHODS, ASSERTION, "none")
ASSERTION_ALGORITHMS: Final = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
#: An assertion that is said to live longer is refused: its id would have to be remembered as long.
LONGEST_ASSERTION = timedelta(hours=1)
_NEVER = b"\0" * 32


class Client(ClientMixin):  # type: ignore[misc] # untyped
    """One app, for the time of one request."""

    def __init__(self, known: Known) -> None:
        self.app = known.view
        self._known = known

    @property
    def client_id(self) -> str:
        return self.app.client_id

    def get_client_id(self) -> str:
        return self.app.client_id

    def get_default_redirect_uri(self) -> str | None:
        # An app that registered one address still has to name it: OAuth 2.1, and openid asks for it anyway.
        return None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What it gets of what it asks for: all, or an error for what it did not register; all it has by default."""
        asked = scope.split() if scope else list(self.app.scopes)
        return " ".join(in_order(asked)) if asked and set(asked) <= set(self.app.scopes) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return is_among(redirect_uri, self.app.redirect_uris, self.app.kind)

    def check_client_secret(self, client_secret: str) -> bool:
        if self.app.kind == "public" or self.app.signs:
            return False
        given = secrets.digest(client_secret)
        # All are compared, each in the same time whatever it holds.
        return sum(hmac.compare_digest(given, known) for known in self._known.secret_hashes or (_NEVER,)) > 0

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        if self.app.kind == "public":
            return method == "none"
        return method == ASSERTION if self.app.signs else method in SECRET_METHODS

    def check_response_type(self, response_type: str | None) -> bool:
        return response_type == "code" and "authorization_code" in self.app.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.app.grant_types

    def public_keys(self) -> KeySet:
        return KeySet.import_key_set({"keys": (self._known.jwks or {}).get("keys", [])})


def find_client(client_id: str) -> Client | None:
    known = find_known(client_id)
    return Client(known) if known else None


class SignedAssertion(JWTBearerClientAssertion):  # type: ignore[misc] # untyped
    """private_key_jwt (RFC 7523): each assertion is for us, short-lived, and taken once."""

    CLIENT_AUTH_METHOD = ASSERTION

    def __init__(self) -> None:
        super().__init__(validate_jti=True, leeway=10)

    def get_audiences(self) -> list[str]:
        ours = issuer().address
        return [ours, f"{ours}/oauth/token"]

    def resolve_client_public_key(self, client: Client) -> KeySet:
        if not client.app.signs:
            raise InvalidClientError(description="This client does not prove itself by signatures.")
        return client.public_keys()

    def extract_assertion(self, assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            header, claims = super().extract_assertion(assertion)
        except (ValueError, TypeError, RecursionError):
            raise InvalidClientError(description="The assertion is no JWT.") from None
        return header, claims

    def process_assertion_claims(self, assertion: str, resolve_key: KeySet) -> dict[str, Any]:
        """Authlib's own takes whatever algorithms joserfc recommends, and lets some of joserfc's errors through."""
        try:
            claims = jwt.decode(assertion, resolve_key, algorithms=ASSERTION_ALGORITHMS).claims
        except (JoseError, ValueError):
            raise InvalidClientError(description="The assertion can not be verified.") from None
        now = datetime.now(UTC).timestamp()
        if not isinstance(claims.get("exp"), int | float) or claims["exp"] > now + LONGEST_ASSERTION.total_seconds():
            raise InvalidClientError(description="The assertion lives longer than an hour, or for ever.")
        if not isinstance(claims.get("jti"), str) or not 1 <= len(claims["jti"]) <= 256:
            raise InvalidClientError(description="The assertion needs a jti of 1 to 256 characters.")
        self.verify_claims(claims)
        return claims

    def validate_jti(self, claims: dict[str, Any], jti: str) -> bool:
        app = find_app(claims["sub"])
        if app is None:
            return False
        with tenant_session(app.tenant_id) as session:
            first = session.execute(
                insert(ClientAssertion)
                .values(
                    tenant_id=app.tenant_id,
                    client_id=app.client_id,
                    jti_hash=secrets.digest(jti),
                    expires_at=datetime.fromtimestamp(claims["exp"], UTC) + timedelta(minutes=1),
                )
                .on_conflict_do_nothing()
                .returning(ClientAssertion.client_id)
            ).one_or_none()
        return first is not None
