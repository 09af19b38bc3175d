"""Access tokens: signed statements (RFC 9068) that live five minutes, and can be cut at once."""

import json
import secrets as random
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from assay_tenants.cuts import which_are_cut
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotSignedIn
from assay_tenants.oauth import signing
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.members import role_of
from assay_tenants.oauth.scopes import IDENTITY, permissions_of
from assay_tenants.permissions import Permission

LIFETIME = timedelta(minutes=5)
#: Clocks of processes may differ by as much.
LEEWAY = timedelta(seconds=10)
TYPE = "at+jwt"
#: A longer one is none of ours.
LONGEST = 4_000


class TokenRefused(NotSignedIn):
    code = "token_refused"

    def __init__(self) -> None:
        super().__init__(
            "This access token is none of ours, has expired or was revoked. Get a new one with your refresh token, "
            "or ask to be authorized again."
        )


@dataclass(frozen=True)
class Bearer:
    """Whom an access token speaks for: an app, for a tenant and, unless it acts for itself, a person."""

    tenant_id: int
    client_id: str
    app_name: str
    person_id: int | None
    scopes: frozenset[Permission]
    jti: str
    grant_id: int | None
    #: Of OpenID Connect: what may be told of the person.
    identity: frozenset[str] = frozenset()
    family_id: int | None = None
    issued_at: int = 0
    #: Seconds since 1970.
    expires_at: int = 0


@dataclass(frozen=True)
class Minted:
    token: str = field(repr=False)
    jti: str
    expires_in: int


def mint_access_token(
    *,
    tenant_id: int,
    client_id: str,
    app_name: str,
    scopes: Collection[str],
    audience: str,
    person_id: int | None = None,
    grant_id: int | None = None,
    family_id: int | None = None,
    auth_time: datetime | None = None,
    now: datetime | None = None,
) -> Minted:
    """An access token for one tenant. Without a person it is the app's own: its subject is the app."""
    issued = int((now or datetime.now(UTC)).timestamp())
    lifetime = int(LIFETIME.total_seconds())
    jti = random.token_urlsafe(16)
    claims: dict[str, Any] = {
        "iss": issuer().address,
        "sub": str(person_id) if person_id is not None else client_id,
        "aud": audience,
        "client_id": client_id,
        "iat": issued,
        "exp": issued + lifetime,
        "jti": jti,
        "scope": " ".join(scopes),
        "tenant": str(tenant_id),
        "client_name": app_name,
    }
    optional = {"grant": grant_id, "family": family_id, "auth_time": int(auth_time.timestamp()) if auth_time else None}
    claims.update({name: value for name, value in optional.items() if value is not None})
    return Minted(sign(claims, type_=TYPE), jti, lifetime)


def sign(claims: dict[str, Any], *, type_: str) -> str:
    key = signing.keys().current
    header = {"alg": signing.ALGORITHM, "typ": type_, "kid": key.kid}
    return jwt.encode(header, claims, key, algorithms=[signing.ALGORITHM])


def read_access_token(token: str) -> Bearer:
    """Whom this token speaks for. Raises NotSignedIn for one that is not ours, has expired or was cut.

    Raises SQLAlchemy's errors while nothing can tell whether it was cut: then it is worth nothing.
    """
    bearer = read_uncut(token)
    if bearer is None:
        raise TokenRefused
    member = f"member:{bearer.person_id}"
    cut = which_are_cut(bearer.tenant_id, *handles_of(bearer))
    # A member's cut says only that they changed: what they are now stands in their membership.
    if cut - {member} or (member in cut and not _is_member(bearer)):
        raise TokenRefused
    return bearer


def _is_member(bearer: Bearer) -> bool:
    if bearer.person_id is None:
        return False
    with tenant_session(bearer.tenant_id) as session:
        return role_of(session, bearer.tenant_id, bearer.person_id) is not None


def read_uncut(token: str) -> Bearer | None:
    """What the token says, its signature and times in order; whether it was cut since is not asked."""
    if len(token) > LONGEST or not token.isascii():
        return None
    key = _key_of(token)
    if key is None:
        return None
    try:
        verified = jwt.decode(token, key, algorithms=[signing.ALGORITHM])
    except (JoseError, ValueError):
        return None
    if verified.header.get("typ") != TYPE:
        return None
    return _bearer_of(verified.claims)


def _key_of(token: str) -> ECKey | None:
    header, _, _ = token.partition(".")
    try:
        kid = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    except (NotBase64, ValueError, KeyError, TypeError, RecursionError):
        return None
    return signing.find(kid) if isinstance(kid, str) else None


def _bearer_of(claims: dict[str, Any]) -> Bearer | None:
    now = datetime.now(UTC).timestamp()
    leeway = LEEWAY.total_seconds()
    # We signed this ourselves, so each claim is there and of its type; whether it is meant for here, and now, is open.
    if claims["iss"] != issuer().address or claims["aud"] != issuer().api:
        return None
    if not claims["iat"] - leeway <= now < claims["exp"]:
        return None
    own = claims["sub"] == claims["client_id"]
    scopes = claims["scope"].split()
    return Bearer(
        tenant_id=int(claims["tenant"]),
        client_id=claims["client_id"],
        app_name=claims["client_name"],
        person_id=None if own else int(claims["sub"]),
        scopes=permissions_of(scopes),
        jti=claims["jti"],
        grant_id=claims.get("grant"),
        identity=IDENTITY & frozenset(scopes),
        family_id=claims.get("family"),
        issued_at=claims["iat"],
        expires_at=claims["exp"],
    )


def handles_of(bearer: Bearer) -> list[str]:
    """What it is cut by."""
    handles = [f"token:{bearer.jti}", f"client:{bearer.client_id}"]
    if bearer.grant_id is not None:
        handles.append(f"grant:{bearer.grant_id}")
    if bearer.family_id is not None:
        handles.append(f"family:{bearer.family_id}")
    if bearer.person_id is not None:
        handles.append(f"member:{bearer.person_id}")
    return handles


def last_death(now: datetime | None = None) -> datetime:
    """By when every access token is dead that is alive now."""
    return (now or datetime.now(UTC)) + LIFETIME + LEEWAY
