"""Apps as their makers keep them: registered by one tenant, installed by others.

``register_app``  ``change_app``  ``rotate_secret``  ``remove_app``   what a maker does
``list_apps``  ``get_app``  ``list_secrets``                          what a maker sees

What others see of an app is in `catalogue`, what they let it do in `grants`.
"""

import secrets as random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import insert, or_, select
from sqlalchemy.orm import Session

from assay_tenants import secrets
from assay_tenants.audit import record
from assay_tenants.cuts import cut
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound
from assay_tenants.models import Membership
from assay_tenants.oauth import scopes as scopes_of
from assay_tenants.oauth.catalogue import AppView, maker_of, view_of
from assay_tenants.oauth.grants import tenants_with, uninstall
from assay_tenants.oauth.models import NOBODY, App, AppKind, AppSecret
from assay_tenants.oauth.tokens import last_death
from assay_tenants.oauth.uris import read_redirect_uris, read_web_address

CODE: Final = "authorization_code"
REFRESH: Final = "refresh_token"
CREDENTIALS: Final = "client_credentials"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
#: How an app may come to a token, in words.
GRANT_TYPES: Final[dict[str, str]] = {
    CODE: "Somebody is sent to our consent page and back",
    REFRESH: "It stays connected by refresh tokens",
    DEVICE: "Somebody types a code that a device shows",
    CREDENTIALS: "It acts for your own company by itself, without anybody",
}

SECRET_PREFIX = "cs"  # noqa: S105 # the public beginning of secrets
NAME_LENGTH = 80
#: How long a secret stays good that another takes the place of.
OVERLAP = timedelta(days=7)
MOST_SECRETS = 5
MOST_APPS = 100
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SIGNS = {"RSA", "EC", "OKP"}


@dataclass(frozen=True)
class Registered:
    """An app at the one moment when its secret can be read; a public one, or one that signs, has none."""

    client_id: str
    secret: str | None = field(repr=False)


@dataclass(frozen=True)
class SecretView:
    """A secret of an app, by its last letters; ``expires_at`` is set once another took its place."""

    id: int
    hint: str
    created_at: datetime
    expires_at: datetime | None


def register_app(
    tenant_id: int,
    *,
    name: str,
    redirect_uris: Iterable[str] = (),
    grant_types: Collection[str] = (CODE, REFRESH),
    scopes: Collection[str],
    kind: AppKind = "confidential",
    homepage: str = "",
    logo: str = "",
    listed: bool = False,
    jwks: dict[str, Any] | None = None,
    created_by: int | None = None,
) -> Registered:
    """A new app of this tenant. Its secret is in the answer and nowhere else.

    ``jwks`` are public keys of an app that signs instead of sending a secret (private_key_jwt). Raises BadInput that
    names the field, and Conflict past a hundred apps.
    """
    values = _checked(kind, name, redirect_uris, grant_types, scopes, homepage, logo, jwks)
    client_id = f"app_{tenant_id:x}_" + "".join(random.choice(_ALPHABET) for _ in range(22))
    with tenant_session(tenant_id) as session:
        if tenant_id != NOBODY:
            _bound_number(session, tenant_id)
        session.execute(
            insert(App).values(
                tenant_id=tenant_id,
                client_id=client_id,
                kind=kind,
                jwks=jwks,
                listed=listed,
                created_by=created_by,
                created_at=datetime.now(UTC),
                **values,
            )
        )
        record(session, tenant_id, "app.registered", client_id, after=_told(values) | {"kind": kind, "listed": listed})
        secret = None if kind == "public" or jwks else _add_secret(session, tenant_id, client_id)
    return Registered(client_id, secret)


def change_app(
    tenant_id: int,
    client_id: str,
    *,
    name: str,
    redirect_uris: Iterable[str],
    grant_types: Collection[str],
    scopes: Collection[str],
    homepage: str = "",
    logo: str = "",
    listed: bool = False,
) -> None:
    """All at once, as a form sends it; kind and keys stay. What was granted keeps only scopes that still stand here."""
    with tenant_session(tenant_id) as session:
        app = _own(session, tenant_id, client_id)
        values = _checked(app.kind, name, redirect_uris, grant_types, scopes, homepage, logo, app.jwks)
        before = _told({field: getattr(app, field) for field in values}) | {"listed": app.listed}
        after = _told(values) | {"listed": listed}
        if before == after:
            return
        for field, value in (values | {"listed": listed}).items():
            setattr(app, field, value)
        record(session, tenant_id, "app.changed", client_id, before=before, after=after)


def rotate_secret(tenant_id: int, client_id: str, *, overlap: timedelta = OVERLAP) -> str:
    """A new secret; those before it stay good for ``overlap``, so that servers can change over."""
    with tenant_session(tenant_id) as session:
        app = _own(session, tenant_id, client_id)
        if app.kind == "public" or app.jwks:
            raise Conflict("This app has no secret: it is public, or proves itself by signatures.")
        now = datetime.now(UTC)
        living = _living_secrets(session, tenant_id, client_id, now)
        if len(living) >= MOST_SECRETS:
            raise Conflict(f"{MOST_SECRETS} secrets of this app are still good. Revoke one of them first.")
        for secret in living:
            secret.expires_at = min(secret.expires_at or now + overlap, now + overlap)
        record(session, tenant_id, "app.secret_rotated", client_id, after={"former_good_until": str(now + overlap)})
        return _add_secret(session, tenant_id, client_id)


def revoke_secret(tenant_id: int, client_id: str, secret_id: int) -> None:
    """This secret is refused from now on. Raises NotFound for one that is another app's or past."""
    with tenant_session(tenant_id) as session:
        _own(session, tenant_id, client_id)
        now = datetime.now(UTC)
        found = [one for one in _living_secrets(session, tenant_id, client_id, now) if one.id == secret_id]
        if not found:
            raise NotFound("secret")
        found[0].expires_at = now
        record(session, tenant_id, "app.secret_revoked", client_id, before={"hint": found[0].hint})


def remove_app(tenant_id: int, client_id: str) -> int:
    """The app is no more: tokens and grants end at once, for every tenant that let it in; tells how many had."""
    with tenant_session(tenant_id) as session:
        app = _own(session, tenant_id, client_id)
        now = datetime.now(UTC)
        app.removed_at = now
        for secret in _living_secrets(session, tenant_id, client_id, now):
            secret.expires_at = now
        cut(session, tenant_id, f"client:{client_id}", last_death(now))
        record(session, tenant_id, "app.removed", client_id, before={"name": app.name})
    tenants = tenants_with(client_id)
    for installed_by in tenants:
        uninstall(installed_by, client_id)
    return len(tenants)


def list_apps(tenant_id: int) -> list[AppView]:
    """Those that this tenant registered, newest first."""
    with tenant_session(tenant_id) as session:
        apps = session.scalars(
            select(App)
            .where(App.tenant_id == tenant_id, App.removed_at.is_(None))
            .order_by(App.created_at.desc(), App.client_id)
        ).all()
        maker = maker_of(session, tenant_id)
    return [view_of(app, maker) for app in apps]


def get_app(tenant_id: int, client_id: str) -> AppView:
    """One that this tenant registered; raises NotFound for all others."""
    with tenant_session(tenant_id) as session:
        return view_of(_own(session, tenant_id, client_id, lock=False), maker_of(session, tenant_id))


def registered_by(tenant_id: int, client_id: str) -> str:
    """The name of the member who registered it; empty when they left, or a program did."""
    with tenant_session(tenant_id) as session:
        app = _own(session, tenant_id, client_id, lock=False)
        query = select(Membership.name).where(Membership.tenant_id == tenant_id, Membership.person_id == app.created_by)
        return session.scalars(query).one_or_none() or ""


def list_secrets(tenant_id: int, client_id: str) -> list[SecretView]:
    """Those that are still good, newest first."""
    with tenant_session(tenant_id) as session:
        _own(session, tenant_id, client_id, lock=False)
        living = _living_secrets(session, tenant_id, client_id, datetime.now(UTC))
    return [SecretView(one.id, one.hint, one.created_at, one.expires_at) for one in living]


def _checked(
    kind: AppKind,
    name: str,
    redirect_uris: Iterable[str],
    grant_types: Collection[str],
    scopes: Collection[str],
    homepage: str,
    logo: str,
    jwks: dict[str, Any] | None,
) -> dict[str, Any]:
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise BadInput(f"An app needs a name of 1 to {NAME_LENGTH} printable characters.", field="name")
    unknown = sorted(set(grant_types) - set(GRANT_TYPES))
    if unknown or not grant_types:
        said = f"“{unknown[0][:100]}” is no grant type" if unknown else "Choose at least one grant type"
        raise BadInput(f"{said}; accepted are {', '.join(GRANT_TYPES)}.", field="grant_types")
    if CREDENTIALS in grant_types and kind == "public":
        raise BadInput("A public app can't act by itself: it can keep no secret.", field="grant_types")
    uris = read_redirect_uris(redirect_uris, kind)
    if CODE in grant_types and not uris:
        raise BadInput("An app that sends people to the consent page needs a redirect address.", field="redirect_uris")
    strange = sorted(set(scopes) - scopes_of.ALL)
    if strange or not scopes:
        said = f"“{strange[0][:100]}” is no scope" if strange else "Choose at least one scope"
        raise BadInput(f"{said}; accepted are {', '.join(scopes_of.WORDS)}.", field="scopes")
    if jwks is not None:
        _check_keys(kind, jwks)
    return {
        "name": name,
        "homepage": read_web_address(homepage, field="homepage"),
        "logo": read_web_address(logo, field="logo"),
        "redirect_uris": uris,
        "grant_types": [known for known in GRANT_TYPES if known in grant_types],
        "scopes": scopes_of.in_order(scopes),
    }


def _check_keys(kind: AppKind, jwks: dict[str, Any]) -> None:
    if kind == "public":
        raise BadInput("A public app has no keys: it could not keep them.", field="jwks")
    given = jwks.get("keys")
    if not isinstance(given, list) or not 1 <= len(given) <= 10:
        raise BadInput('The keys are a JWKS document with 1 to 10 public keys: {"keys": […]}.', field="jwks")
    if not all(isinstance(key, dict) and key.get("kty") in _SIGNS and "d" not in key for key in given):
        raise BadInput("The keys are public ones, of the kinds RSA, EC and OKP.", field="jwks")
    try:
        read = KeySet.import_key_set({"keys": given})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise BadInput("The keys can't be read as a JWKS document.", field="jwks") from None
    for key in read:
        if key.key_type not in _SIGNS or key.is_private:
            raise BadInput("The keys are public ones, of the kinds RSA, EC and OKP.", field="jwks")


def _told(values: dict[str, Any]) -> dict[str, Any]:
    return {field: values[field] for field in ("name", "homepage", "redirect_uris", "grant_types", "scopes")}


def _bound_number(session: Session, tenant_id: int) -> None:
    living = session.scalars(select(App.client_id).where(App.tenant_id == tenant_id, App.removed_at.is_(None))).all()
    if len(living) >= MOST_APPS:
        raise Conflict(f"Your company has {MOST_APPS} apps, the most there can be. Remove one first.")


def _add_secret(session: Session, tenant_id: int, client_id: str) -> str:
    secret = secrets.issue_pasted(SECRET_PREFIX, tenant_id)
    session.execute(
        insert(AppSecret).values(
            tenant_id=tenant_id,
            client_id=client_id,
            hint=secret[-4:],
            secret_hash=secrets.digest(secret),
            created_at=datetime.now(UTC),
        )
    )
    return secret


def _living_secrets(session: Session, tenant_id: int, client_id: str, now: datetime) -> list[AppSecret]:
    return list(
        session.scalars(
            select(AppSecret)
            .where(
                AppSecret.tenant_id == tenant_id,
                AppSecret.client_id == client_id,
                or_(AppSecret.expires_at.is_(None), AppSecret.expires_at > now),
            )
            .order_by(AppSecret.id.desc())
        )
    )


def _own(session: Session, tenant_id: int, client_id: str, *, lock: bool = True) -> App:
    query = select(App).where(App.tenant_id == tenant_id, App.client_id == client_id, App.removed_at.is_(None))
    app = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if app is None:
        raise NotFound("app")
    return app
