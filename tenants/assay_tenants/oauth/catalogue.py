"""Apps as everybody sees them: by their client id, and those that their makers list."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from assay_tenants.database import directory_session, tenant_session
from assay_tenants.models import Tenant
from assay_tenants.oauth.models import App, AppKind, AppSecret

_CLIENT_ID = re.compile(r"app_(?P<tenant>[0-9a-f]{1,15})_[A-Za-z0-9]{22}", re.ASCII)


@dataclass(frozen=True)
class AppView:
    """What anybody may know of an app, and who made it."""

    tenant_id: int
    client_id: str
    name: str
    homepage: str
    logo: str
    kind: AppKind
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]
    listed: bool
    #: The company that registered it; empty when it registered itself.
    maker: str
    #: Whether it proves itself by signatures instead of a secret.
    signs: bool


@dataclass(frozen=True)
class Known:
    """An app, and what it proves itself by."""

    view: AppView
    secret_hashes: tuple[bytes, ...]
    jwks: dict[str, Any] | None


def find_app(client_id: str) -> AppView | None:
    """The app of this id, whoever made it; None when there is none or it was removed."""
    known = find_known(client_id)
    return known.view if known else None


def find_known(client_id: str) -> Known | None:
    """The same with its living secrets' hashes and its public keys, in one statement: each token is asked for so."""
    owner = owner_of(client_id)
    if owner is None:
        return None
    maker = select(Tenant.name).where(Tenant.id == owner).scalar_subquery()
    hashes = (
        select(func.array_agg(AppSecret.secret_hash))
        .where(
            AppSecret.tenant_id == owner,
            AppSecret.client_id == client_id,
            or_(AppSecret.expires_at.is_(None), AppSecret.expires_at > datetime.now(UTC)),
        )
        .scalar_subquery()
    )
    with tenant_session(owner) as session:
        row = session.execute(
            select(App, maker, hashes).where(
                App.tenant_id == owner, App.client_id == client_id, App.removed_at.is_(None)
            )
        ).one_or_none()
    if row is None:
        return None
    app, name, secret_hashes = row
    return Known(view_of(app, name or ""), tuple(bytes(one) for one in secret_hashes or ()), app.jwks)


def list_catalogue(*, limit: int = 200) -> list[tuple[str, str, str]]:
    """Of every listed app: client id, name, homepage, by name."""
    with directory_session() as session:
        rows = session.execute(
            select(App.client_id, App.name, App.homepage)
            .where(App.listed, App.removed_at.is_(None))
            .order_by(App.name, App.client_id)
            .limit(limit)
        ).all()
    return [(row.client_id, row.name, row.homepage) for row in rows]


def owner_of(client_id: str) -> int | None:
    """Whose app an id can be; None for what we can't have issued."""
    match = _CLIENT_ID.fullmatch(client_id)
    return int(match["tenant"], 16) if match else None


def maker_of(session: Session, tenant_id: int) -> str:
    return session.scalars(select(Tenant.name).where(Tenant.id == tenant_id)).one_or_none() or ""


def view_of(app: App, maker: str) -> AppView:
    return AppView(
        tenant_id=app.tenant_id,
        client_id=app.client_id,
        name=app.name,
        homepage=app.homepage,
        logo=app.logo,
        kind=app.kind,
        redirect_uris=tuple(app.redirect_uris),
        grant_types=tuple(app.grant_types),
        scopes=tuple(app.scopes),
        listed=app.listed,
        maker=maker,
        signs=app.jwks is not None,
    )
