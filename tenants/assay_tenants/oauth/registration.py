"""Apps that register by protocol (RFC 7591): off unless the installation lets them, by a tenant's token or freely."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc7591 import ClientMetadataClaims
from joserfc.errors import JoseError
from sqlalchemy import insert, select, update

from assay_tenants import secrets
from assay_tenants.audit import record
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError, BadInput, NotFound
from assay_tenants.oauth.apps import CODE, GRANT_TYPES, register_app
from assay_tenants.oauth.catalogue import find_app
from assay_tenants.oauth.clients import ASSERTION, METHODS
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.models import NOBODY, RegistrationToken

PREFIX = "rg"
LONGEST = timedelta(days=90)
MOST_USES = 100
#: What an app may ask for that did not say.
USUAL: Final = "openid profile email offline_access leads:read models:read"
_NAMED: Final = ("client_name", "client_uri", "logo_uri", "scope", "token_endpoint_auth_method")
_LISTS: Final = ("redirect_uris", "grant_types", "response_types")


class RegistrationOff(Exception):
    """This installation takes none."""


@dataclass(frozen=True)
class RegistrationTokenView:
    id: int
    name: str
    hint: str
    created_at: datetime
    expires_at: datetime
    uses_left: int


def make_token(
    tenant_id: int, *, name: str, uses: int = 1, lifetime: timedelta = timedelta(days=7), created_by: int | None = None
) -> str:
    """Lets a program register apps of this tenant: shown once. Raises BadInput."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 80:
        raise BadInput("A token needs a name of 1 to 80 characters.", field="name")
    if not 1 <= uses <= MOST_USES:
        raise BadInput(f"A token registers 1 to {MOST_USES} apps.", field="uses")
    if not timedelta(0) < lifetime <= LONGEST:
        raise BadInput(f"A token lives for at most {LONGEST.days} days.", field="lifetime")
    token = secrets.issue_pasted(PREFIX, tenant_id)
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        token_id = session.execute(
            insert(RegistrationToken)
            .values(
                tenant_id=tenant_id,
                name=name,
                hint=token[-4:],
                token_hash=secrets.digest(token),
                created_by=created_by,
                created_at=now,
                expires_at=now + lifetime,
                uses_left=uses,
            )
            .returning(RegistrationToken.id)
        ).scalar_one()
        record(session, tenant_id, "registration_token.made", token_id, after={"name": name, "uses": uses})
    return token


def list_tokens(tenant_id: int) -> list[RegistrationTokenView]:
    """Those that still register something, newest first."""
    with tenant_session(tenant_id) as session:
        rows = session.scalars(
            select(RegistrationToken)
            .where(
                RegistrationToken.tenant_id == tenant_id,
                RegistrationToken.expires_at > datetime.now(UTC),
                RegistrationToken.uses_left > 0,
            )
            .order_by(RegistrationToken.id.desc())
        ).all()
    return [
        RegistrationTokenView(row.id, row.name, row.hint, row.created_at, row.expires_at, row.uses_left) for row in rows
    ]


def revoke_token(tenant_id: int, token_id: int) -> None:
    with tenant_session(tenant_id) as session:
        revoked = session.execute(
            update(RegistrationToken)
            .where(
                RegistrationToken.tenant_id == tenant_id,
                RegistrationToken.id == token_id,
                RegistrationToken.uses_left > 0,
            )
            .values(uses_left=0)
            .returning(RegistrationToken.name)
        ).one_or_none()
        if revoked is None:
            raise NotFound("registration token")
        record(session, tenant_id, "registration_token.revoked", token_id, before={"name": revoked.name})


def register(metadata: object, token: str | None) -> dict[str, Any]:
    """The answer to a registration. Raises OAuth2Error in RFC 7591's words, and RegistrationOff."""
    if issuer().registration == "off":
        raise RegistrationOff
    if not isinstance(metadata, dict):
        raise _wrong("The body is a JSON object of client metadata.")
    asked = _checked(metadata)
    method = asked.get("token_endpoint_auth_method") or "client_secret_basic"
    if method not in METHODS:
        raise _wrong(f"The token_endpoint_auth_method can be one of {', '.join(METHODS)}.")
    if (method == ASSERTION) != ("jwks" in asked):
        raise _wrong("The jwks go with private_key_jwt, and with nothing else.")
    owner = _use(token)
    try:
        made = register_app(
            owner,
            name=asked.get("client_name") or "An app without a name",
            redirect_uris=asked.get("redirect_uris") or [],
            grant_types=asked.get("grant_types") or [CODE],
            scopes=(asked.get("scope") or USUAL).split(),
            kind="public" if method == "none" else "confidential",
            homepage=asked.get("client_uri") or "",
            logo=asked.get("logo_uri") or "",
            jwks=asked.get("jwks"),
        )
    except AssayError as refused:
        _give_back(token)
        raise _of(refused) from None
    return _answer(made.client_id, made.secret, method)


def _checked(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Each value of its type; what we don't know is left out, as RFC 7591 asks."""
    for name in _NAMED:
        if not isinstance(metadata.get(name, ""), str):
            raise _wrong(f"The value of {name} is a text.")
    for name in _LISTS:
        value = metadata.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise _wrong(f"The value of {name} is a list of texts.")
    if not isinstance(metadata.get("jwks", {}), dict):
        raise _wrong("The value of jwks is an object.")
    if metadata.get("jwks_uri") or metadata.get("software_statement"):
        raise _wrong("Neither jwks_uri nor software_statement is taken. Send the keys as jwks.")
    if set(metadata.get("response_types", [])) - {"code"}:
        raise _wrong("The only response type is code.")
    if set(metadata.get("grant_types", [])) - set(GRANT_TYPES):
        raise _wrong(f"The grant types are {', '.join(GRANT_TYPES)}.")
    known = {name: metadata[name] for name in (*_NAMED, *_LISTS, "jwks") if metadata.get(name)}
    strict = {name: value for name, value in known.items() if name not in ("redirect_uris", "jwks")}
    claims = ClientMetadataClaims(strict, {})
    try:
        claims.validate()
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as wrong:
        named = getattr(wrong, "claim", None) or "the metadata"
        raise _wrong(f"The value of {named} can not be read.") from None
    return known


def _use(token: str | None) -> int:
    """Whose app it becomes; a token counts as used from here on."""
    if token is None and issuer().registration == "open":
        return NOBODY
    parsed = secrets.parse(token) if token else None
    if parsed is None or parsed.prefix != PREFIX:
        raise _no_token()
    with tenant_session(parsed.tenant_id) as session:
        used = session.execute(
            update(RegistrationToken)
            .where(
                RegistrationToken.tenant_id == parsed.tenant_id,
                RegistrationToken.token_hash == parsed.hash,
                RegistrationToken.expires_at > datetime.now(UTC),
                RegistrationToken.uses_left > 0,
            )
            .values(uses_left=RegistrationToken.uses_left - 1)
            .returning(RegistrationToken.id)
        ).one_or_none()
    if used is None:
        raise _no_token()
    return parsed.tenant_id


def _give_back(token: str | None) -> None:
    """It registered nothing after all."""
    parsed = secrets.parse(token) if token else None
    if parsed is None:
        return
    with tenant_session(parsed.tenant_id) as session:
        session.execute(
            update(RegistrationToken)
            .where(RegistrationToken.tenant_id == parsed.tenant_id, RegistrationToken.token_hash == parsed.hash)
            .values(uses_left=RegistrationToken.uses_left + 1)
        )


def _answer(client_id: str, secret: str | None, method: str) -> dict[str, Any]:
    app = find_app(client_id)
    if app is None:
        raise RuntimeError(f"The app {client_id} was removed while it was registered.")
    body: dict[str, Any] = {
        "client_id": client_id,
        "client_id_issued_at": int(datetime.now(UTC).timestamp()),
        "client_name": app.name,
        "redirect_uris": list(app.redirect_uris),
        "grant_types": list(app.grant_types),
        "response_types": ["code"] if CODE in app.grant_types else [],
        "scope": " ".join(app.scopes),
        "token_endpoint_auth_method": method,
    }
    if secret is not None:
        body |= {"client_secret": secret, "client_secret_expires_at": 0}
    optional = {"client_uri": app.homepage, "logo_uri": app.logo}
    return body | {name: value for name, value in optional.items() if value}


def _of(refused: AssayError) -> OAuth2Error:
    error = "invalid_redirect_uri" if refused.field == "redirect_uris" else "invalid_client_metadata"
    return OAuth2Error(_plain(refused.message), error=error)


def _wrong(sentence: str) -> OAuth2Error:
    return OAuth2Error(sentence, error="invalid_client_metadata")


def _no_token() -> OAuth2Error:
    return OAuth2Error(
        "Registering takes an initial access token that a company made and that has uses left.",
        error="invalid_token",
        status_code=401,
    )


def _plain(sentence: str) -> str:
    """With the letters that RFC 6749 lets a description have."""
    sentence = sentence.replace("“", "'").replace("”", "'").replace('"', "'")
    return "".join(letter for letter in sentence if " " <= letter <= "~" and letter != "\\")
