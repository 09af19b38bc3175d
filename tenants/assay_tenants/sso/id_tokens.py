"""An ID token, believed when all of it holds: signature, issuer, audience, times, nonce."""

import hmac
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from assay_tenants.sso.discovery import ALGORITHMS
from assay_tenants.sso.errors import LoginRefused

#: By which the provider's clock may differ from ours.
LEEWAY = timedelta(minutes=1)
#: A token is fetched moments after it was made.
OLDEST = timedelta(minutes=10)
LONGEST_SUBJECT = 255
_LONGEST_TOKEN = 60_000

#: Takes an algorithm and a key id, gives the provider's keys that fit.
FindKeys = Callable[[str, str | None], Sequence[Key]]

# Headers that we don't know are none of our business; one that is marked critical is refused all the same.
_REGISTRY = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


def read_id_token(
    token: str,
    find_keys: FindKeys,
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    now: datetime,
    proven_since: datetime | None = None,
) -> dict[str, Any]:
    """The token's claims; raises LoginRefused with what is wrong.

    ``proven_since``: the person must have proven who they are, at the provider, after this instant.
    """
    claims = _verified(token, find_keys)
    if claims.get("iss") != issuer:
        raise _wrong("it was made by another issuer")
    _check_audience(claims, client_id)
    _check_times(claims, now)
    if not isinstance(told := claims.get("nonce"), str) or not hmac.compare_digest(told.encode(), nonce.encode()):
        raise _wrong("it belongs to another login (its nonce is not this one's)")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= LONGEST_SUBJECT or "\x00" in subject:
        raise _wrong("it names nobody (sub)")
    if proven_since is not None:
        proven_at = _instant(claims, "auth_time")
        if proven_at is None or proven_at < (proven_since - LEEWAY).timestamp():
            raise _wrong("it does not say that you were asked for proof just now (auth_time)")
    return claims


def _verified(token: str, find_keys: FindKeys) -> dict[str, Any]:
    if len(token) > _LONGEST_TOKEN:
        raise _wrong("it is too long")
    header = _header(token)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise _wrong(f"it is signed with {str(algorithm)[:20]!r}; accepted are {', '.join(ALGORITHMS)}")
    for key in find_keys(str(algorithm), key_id if isinstance(key_id, str) else None):
        try:
            return jwt.decode(token, key, algorithms=[str(algorithm)], registry=_REGISTRY).claims
        except (JoseError, ValueError, TypeError):
            continue
    raise _wrong("its signature is by none of the provider's keys")


def _header(token: str) -> Mapping[str, Any]:
    first = token.partition(".")[0]
    try:
        return msgspec.json.decode(urlsafe_b64decode(first + "=" * (-len(first) % 4)), type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        raise _wrong("it is no JSON Web Token") from None


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or client_id not in named:
        raise _wrong("it was made for another application (aud)")
    party = claims.get("azp")
    if party is not None and party != client_id:
        raise _wrong("it was handed to another application (azp)")
    if len(named) > 1 and party is None:
        raise _wrong("it is for several applications and does not say which was handed it (azp)")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    at, leeway = now.timestamp(), LEEWAY.total_seconds()
    expires, issued = _instant(claims, "exp"), _instant(claims, "iat")
    if expires is None or issued is None:
        raise _wrong("it does not say when it was made and when it ends (iat, exp)")
    if expires <= at - leeway:
        raise _wrong("it has expired")
    begins = _instant(claims, "nbf")
    if issued > at + leeway or (begins is not None and begins > at + leeway):
        raise _wrong("it is from the future: a clock is wrong, the provider's or ours")
    if issued < at - OLDEST.total_seconds() - leeway:
        raise _wrong("it was made too long ago")


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    """Seconds since 1970; None when absent, or no number that could be an instant."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        return None
    return float(value)


def _wrong(why: str) -> LoginRefused:
    return LoginRefused(f"Your company's login service sent a token that we don't accept: {why}.")
