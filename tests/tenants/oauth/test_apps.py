from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey

from assay_tenants import secrets
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.models import AuditEntry
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError, BadInput, Conflict, NotFound
from assay_tenants.oauth import apps, catalogue, grants, registration
from assay_tenants.oauth.models import AppSecret
from assay_tenants.oauth.scopes import ALL, POWERFUL, WORDS, for_role
from assay_tenants.permissions import PERMISSIONS

GIVEN: dict[str, Any] = {
    "name": "Quartz Reports",
    "redirect_uris": ["https://reports.example.test/callback"],
    "scopes": ["openid", "leads:read"],
}


def test_an_app_is_registered_and_seen(tenant: SignedUp, neighbour: SignedUp) -> None:
    made = apps.register_app(tenant.tenant_id, **GIVEN, homepage="https://quartz.example.test", listed=True)
    assert made.secret is not None
    (app,) = apps.list_apps(tenant.tenant_id)
    assert app == apps.get_app(tenant.tenant_id, made.client_id) == catalogue.find_app(made.client_id)
    assert (app.name, app.kind, app.maker[:8]) == ("Quartz Reports", "confidential", "Quartz &")
    assert (made.client_id, "Quartz Reports", "https://quartz.example.test") in catalogue.list_catalogue()
    assert apps.list_apps(neighbour.tenant_id) == []
    with pytest.raises(NotFound):
        apps.get_app(neighbour.tenant_id, made.client_id)


@pytest.mark.parametrize(
    "do",
    [
        pytest.param(lambda t, c: apps.get_app(t, c), id="look"),
        pytest.param(lambda t, c: apps.rotate_secret(t, c), id="rotate"),
        pytest.param(lambda t, c: apps.remove_app(t, c), id="remove"),
        pytest.param(lambda t, c: apps.list_secrets(t, c), id="secrets"),
        pytest.param(lambda t, c: apps.revoke_secret(t, c, 1), id="revoke a secret"),
        pytest.param(lambda t, c: apps.change_app(t, c, **GIVEN, grant_types=[apps.CODE]), id="change"),
        pytest.param(lambda t, c: grants.uninstall(t, c), id="uninstall"),
        pytest.param(lambda t, c: grants.revoke_grant(t, 1), id="revoke a grant"),
    ],
)
def test_a_neighbours_app_is_out_of_reach(
    tenant: SignedUp, neighbour: SignedUp, do: Callable[[int, str], object]
) -> None:
    made = apps.register_app(tenant.tenant_id, **GIVEN)
    with pytest.raises(NotFound):
        do(neighbour.tenant_id, made.client_id)


def test_secrets_are_stored_hashed_and_told_by_their_end(tenant: SignedUp) -> None:
    made = apps.register_app(tenant.tenant_id, **GIVEN)
    assert made.secret is not None
    with tenant_session(tenant.tenant_id) as session:
        row = session.query(AppSecret).where(AppSecret.tenant_id == tenant.tenant_id).one()
        entries = session.query(AuditEntry).where(AuditEntry.tenant_id == tenant.tenant_id).all()
    assert row.secret_hash == secrets.digest(made.secret)
    assert row.hint == made.secret[-4:]
    assert not any(made.secret in str((entry.before, entry.after)) for entry in entries)


def test_only_so_many_secrets_at_once(tenant: SignedUp) -> None:
    made = apps.register_app(tenant.tenant_id, **GIVEN)
    for _ in range(apps.MOST_SECRETS - 1):
        apps.rotate_secret(tenant.tenant_id, made.client_id)
    with pytest.raises(Conflict, match="Revoke one"):
        apps.rotate_secret(tenant.tenant_id, made.client_id)


def test_a_change_is_in_the_audit_log(tenant: SignedUp) -> None:
    made = apps.register_app(tenant.tenant_id, **GIVEN)
    changed = GIVEN | {"name": "Quartz Papers", "grant_types": [apps.CODE, apps.REFRESH]}
    apps.change_app(tenant.tenant_id, made.client_id, **changed)
    apps.change_app(tenant.tenant_id, made.client_id, **changed)
    with tenant_session(tenant.tenant_id) as session:
        (entry,) = session.query(AuditEntry).where(
            AuditEntry.tenant_id == tenant.tenant_id, AuditEntry.action == "app.changed"
        )
    assert (entry.before["name"], entry.after["name"]) == ("Quartz Reports", "Quartz Papers")


def test_a_removed_app_is_nobodys(tenant: SignedUp) -> None:
    made = apps.register_app(tenant.tenant_id, **GIVEN, listed=True)
    apps.remove_app(tenant.tenant_id, made.client_id)
    assert catalogue.find_app(made.client_id) is None
    assert apps.list_apps(tenant.tenant_id) == []
    assert made.client_id not in {client_id for client_id, *_ in catalogue.list_catalogue()}
    with pytest.raises(NotFound):
        apps.remove_app(tenant.tenant_id, made.client_id)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"name": " "}, "name", id="no name"),
        pytest.param({"name": "x" * 81}, "name", id="a long name"),
        pytest.param({"name": "a\u202eb"}, "name", id="letters that turn the others round"),
        pytest.param({"redirect_uris": []}, "redirect_uris", id="no address"),
        pytest.param({"scopes": []}, "scopes", id="no scope"),
        pytest.param({"scopes": ["root"]}, "scopes", id="an unknown scope"),
        pytest.param({"grant_types": []}, "grant_types", id="no grant type"),
        pytest.param({"grant_types": ["password"]}, "grant_types", id="an unknown grant type"),
        pytest.param({"kind": "public", "grant_types": [apps.CREDENTIALS]}, "grant_types", id="public by itself"),
        pytest.param({"homepage": "javascript:x"}, "homepage", id="a page that is a script"),
        pytest.param({"logo": "http://x.test/x.png"}, "logo", id="a picture without TLS"),
        pytest.param({"jwks": {}}, "jwks", id="no keys"),
        pytest.param({"jwks": {"keys": [OctKey.generate_key(256).as_dict()]}}, "jwks", id="a secret for a key"),
        pytest.param(
            {"jwks": {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}}, "jwks", id="a private key"
        ),
        pytest.param({"kind": "public", "jwks": {"keys": [{}]}}, "jwks", id="keys of a public app"),
        pytest.param({"jwks": {"keys": [{"kty": "EC", "crv": 7}]}}, "jwks", id="an odd key"),
    ],
)
def test_bad_input_names_the_field(tenant: SignedUp, changed: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        apps.register_app(tenant.tenant_id, **(GIVEN | changed))
    assert refused.value.field == field


@pytest.mark.parametrize(
    "given",
    [{"name": ""}, {"uses": 0}, {"uses": 101}],
    ids=["no name", "no use", "too many uses"],
)
def test_registration_tokens_are_bounded(tenant: SignedUp, given: dict[str, Any]) -> None:
    with pytest.raises(AssayError):
        registration.make_token(tenant.tenant_id, **({"name": "Pipeline"} | given))


def test_a_registration_token_can_be_revoked(tenant: SignedUp, neighbour: SignedUp) -> None:
    registration.make_token(tenant.tenant_id, name="Pipeline", uses=3)
    (made,) = registration.list_tokens(tenant.tenant_id)
    with pytest.raises(NotFound):
        registration.revoke_token(neighbour.tenant_id, made.id)
    registration.revoke_token(tenant.tenant_id, made.id)
    assert registration.list_tokens(tenant.tenant_id) == []


def test_every_scope_has_words_and_no_role_gives_more_than_it_has() -> None:
    assert set(WORDS) == ALL
    assert POWERFUL < PERMISSIONS
    assert for_role("viewer", sorted(ALL)) == [
        "openid",
        "profile",
        "email",
        "offline_access",
        "leads:read",
        "models:read",
    ]
