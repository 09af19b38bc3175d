"""What an app that may know is told of the person: ID tokens and userinfo (OpenID Connect)."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from authlib.oidc.core.util import create_half_hash
from sqlalchemy import select
from sqlalchemy.orm import Session

from assay_tenants.models import Membership, Tenant
from assay_tenants.oauth import signing
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.models import Grant
from assay_tenants.oauth.tokens import sign

#: It is read once, right after it was given out.
LIFETIME: Final = timedelta(minutes=5)
CLAIMS: Final = ("sub", "name", "email", "email_verified", "tenant", "tenant_name")

#: RFC 8176's words for ways to prove who one is; others of ours have none there.
_METHODS: Final = {"password": "pwd", "totp": "otp", "passkey": "hwk"}


def claims_of(session: Session, tenant_id: int, person_id: int, scopes: Collection[str]) -> dict[str, Any] | None:
    """Who it is, as far as ``scopes`` let it be told; None for who is no member, or is suspended."""
    row = session.execute(
        select(Membership, Tenant.name)
        .join(Tenant, Tenant.id == Membership.tenant_id)
        .where(Membership.tenant_id == tenant_id, Membership.person_id == person_id, Membership.suspended_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    member, company = row
    claims: dict[str, Any] = {"sub": str(person_id), "tenant": str(tenant_id)}
    if "profile" in scopes:
        claims |= {"name": member.name, "tenant_name": company}
    if "email" in scopes:
        claims |= {"email": member.email, "email_verified": member.verified}
    return claims


def mint_id_token(
    session: Session,
    grant: Grant,
    *,
    scopes: Collection[str],
    auth_time: datetime,
    methods: Collection[str],
    nonce: str,
    access: str,
) -> str | None:
    """For the app of this grant alone; None where ``openid`` is not among the scopes."""
    told = claims_of(session, grant.tenant_id, grant.person_id, scopes) if "openid" in scopes else None
    if told is None:
        return None
    issued = int(datetime.now(UTC).timestamp())
    claims: dict[str, Any] = told | {
        "iss": issuer().address,
        "aud": grant.client_id,
        "iat": issued,
        "exp": issued + int(LIFETIME.total_seconds()),
        "auth_time": int(auth_time.timestamp()),
        "at_hash": create_half_hash(access, signing.ALGORITHM).decode(),
    }
    if nonce:
        claims["nonce"] = nonce
    if known := [_METHODS[method] for method in methods if method in _METHODS]:
        claims["amr"] = known + (["mfa"] if len(known) > 1 else [])
    return sign(claims, type_="JWT")
