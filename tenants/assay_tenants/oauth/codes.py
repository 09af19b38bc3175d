"""Authorization codes: for one minute, one use, one client and address; a second use ends what the first brought."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from assay_tenants import secrets
from assay_tenants.database import tenant_session
from assay_tenants.oauth import families
from assay_tenants.oauth.catalogue import AppView
from assay_tenants.oauth.families import GrantRefused, Issued
from assay_tenants.oauth.models import AuthorizationCode, Grant, TokenFamily

PREFIX = "ac"
LIFETIME: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class FoundCode:
    """A code as it was given out; whether it is still good is told by ``redeem``."""

    tenant_id: int
    hash: bytes
    redirect_uri: str
    scopes: tuple[str, ...]
    resource: str
    code_challenge: str


def issue(
    tenant_id: int,
    grant_id: int,
    *,
    scopes: Collection[str],
    resource: str,
    redirect_uri: str,
    code_challenge: str,
    nonce: str,
    auth_time: datetime,
    methods: Collection[str],
) -> str:
    code = secrets.issue(PREFIX, tenant_id)
    with tenant_session(tenant_id) as session:
        session.execute(
            insert(AuthorizationCode).values(
                tenant_id=tenant_id,
                code_hash=secrets.digest(code),
                grant_id=grant_id,
                scopes=list(scopes),
                resource=resource,
                redirect_uri=redirect_uri,
                code_challenge=code_challenge,
                nonce=nonce,
                auth_time=auth_time,
                methods=list(methods),
                expires_at=datetime.now(UTC) + LIFETIME,
            )
        )
    return code


def find(code: str, client_id: str) -> FoundCode | None:
    """None for what is no code of ours, or another client's."""
    parsed = secrets.parse(code)
    if parsed is None or parsed.prefix != PREFIX:
        return None
    with tenant_session(parsed.tenant_id) as session:
        row = session.execute(
            select(AuthorizationCode)
            .join(
                Grant,
                (Grant.tenant_id == AuthorizationCode.tenant_id) & (Grant.id == AuthorizationCode.grant_id),
            )
            .where(
                AuthorizationCode.tenant_id == parsed.tenant_id,
                AuthorizationCode.code_hash == parsed.hash,
                Grant.client_id == client_id,
            )
        ).scalar_one_or_none()
    if row is None:
        return None
    return FoundCode(
        row.tenant_id, row.code_hash, row.redirect_uri, tuple(row.scopes), row.resource, row.code_challenge
    )


def redeem(found: FoundCode, app: AppView) -> Issued:
    """The tokens of a code whose client has proven that the code is its own. Raises GrantRefused."""
    with tenant_session(found.tenant_id) as session:
        answer = _redeem(session, found, app)
    if isinstance(answer, str):
        # Raised only here: what a second use ends has to be committed.
        raise GrantRefused(answer)
    return answer


def _redeem(session: Session, found: FoundCode, app: AppView) -> Issued | str:
    code = session.scalars(
        select(AuthorizationCode)
        .where(AuthorizationCode.tenant_id == found.tenant_id, AuthorizationCode.code_hash == found.hash)
        .with_for_update()
    ).one_or_none()
    if code is None:
        return "This code is unknown."
    if code.used_at is not None:
        _end(session, code)
        return "This code was used before. The tokens that it brought are revoked."
    now = datetime.now(UTC)
    if code.expires_at <= now:
        return "This code has expired."
    grant = session.scalars(select(Grant).where(Grant.tenant_id == found.tenant_id, Grant.id == code.grant_id)).one()
    code.used_at = now
    try:
        family_id, issued = families.start(
            session,
            grant,
            app,
            scopes=code.scopes,
            auth_time=code.auth_time,
            methods=code.methods,
            nonce=code.nonce,
        )
    except GrantRefused as refused:
        return str(refused)
    code.family_id = family_id
    return issued


def _end(session: Session, code: AuthorizationCode) -> None:
    if code.family_id is None:
        return
    family = session.scalars(
        select(TokenFamily)
        .where(TokenFamily.tenant_id == code.tenant_id, TokenFamily.id == code.family_id)
        .with_for_update()
    ).one_or_none()
    if family is not None:
        families.end_family(session, family, "grant.code_reused")
