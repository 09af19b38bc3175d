from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from assay_tenants import cuts
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.oauth import issuer, signing, tokens
from assay_tenants.oauth.tokens import TokenRefused, mint_access_token, read_access_token

CLIENT = "app_1_abc"


def mint(tenant_id: int, **more: Any) -> tokens.Minted:
    given = {"person_id": 7, "grant_id": 3, "family_id": 5, "scopes": ["openid", "leads:read"]} | more
    return mint_access_token(
        tenant_id=tenant_id, client_id=CLIENT, app_name="Quartz Reports", audience=issuer.issuer().api, **given
    )


def test_a_token_says_whom_it_speaks_for(tenant: SignedUp) -> None:
    minted = mint(tenant.tenant_id)
    bearer = read_access_token(minted.token)
    assert (bearer.tenant_id, bearer.client_id, bearer.app_name) == (tenant.tenant_id, CLIENT, "Quartz Reports")
    assert (bearer.person_id, bearer.grant_id, bearer.family_id) == (7, 3, 5)
    assert bearer.scopes == {"leads:read"}
    assert bearer.identity == {"openid"}
    assert (bearer.jti, minted.expires_in) == (minted.jti, 300)


def test_without_a_person_it_is_the_apps_own(tenant: SignedUp) -> None:
    bearer = read_access_token(mint(tenant.tenant_id, person_id=None, grant_id=None, family_id=None).token)
    assert (bearer.person_id, bearer.grant_id) == (None, None)


@pytest.mark.parametrize(
    "handle",
    ["token:{jti}", "grant:3", "family:5", "client:app_1_abc", "member:7"],
    ids=lambda handle: handle.partition(":")[0],
)
def test_what_is_cut_is_refused_at_once(tenant: SignedUp, handle: str) -> None:
    minted = mint(tenant.tenant_id)
    read_access_token(minted.token)
    with tenant_session(tenant.tenant_id) as session:
        cuts.cut(session, tenant.tenant_id, handle.format(jti=minted.jti), tokens.last_death())
    with pytest.raises(TokenRefused, match="was revoked"):
        read_access_token(minted.token)


def test_of_a_member_who_changed_and_stays_it_is_good(tenant: SignedUp) -> None:
    minted = mint(tenant.tenant_id, person_id=tenant.person_id)
    with tenant_session(tenant.tenant_id) as session:
        cuts.cut(session, tenant.tenant_id, f"member:{tenant.person_id}", tokens.last_death())
    assert read_access_token(minted.token).person_id == tenant.person_id


def test_a_neighbours_cut_is_not_ours(tenant: SignedUp, neighbour: SignedUp) -> None:
    minted = mint(tenant.tenant_id)
    with tenant_session(neighbour.tenant_id) as session:
        cuts.cut(session, neighbour.tenant_id, f"token:{minted.jti}", tokens.last_death())
    assert read_access_token(minted.token).jti == minted.jti


def forged(tenant_id: int, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
    ours = signing.keys().current
    said = jwt.decode(mint(tenant_id).token, ours).claims | claims
    head = {"alg": "ES256", "typ": "at+jwt", "kid": ours.kid} | (header or {})
    return jwt.encode(head, said, key or ours, algorithms=[head["alg"]])


LATER = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda t: "", id="nothing"),
        pytest.param(lambda t: "a.b.c", id="no JWT"),
        pytest.param(lambda t: "é" * 50, id="not ASCII"),
        pytest.param(lambda t: "e30.e30.", id="no key id"),
        pytest.param(lambda t: "bnVsbA.e30.", id="a header that is no object"),
        pytest.param(lambda t: mint(t).token + "x" * 5_000, id="too long"),
        pytest.param(lambda t: mint(t).token[:-6] + "AAAAAA", id="another signature"),
        pytest.param(lambda t: forged(t, key=ECKey.generate_key("P-256")), id="another's key of our id"),
        pytest.param(lambda t: forged(t, {"kid": "unknown"}), id="an unknown key"),
        pytest.param(lambda t: forged(t, {"alg": "HS256"}, OctKey.import_key("x" * 32)), id="another algorithm"),
        pytest.param(lambda t: forged(t, {"typ": "JWT"}), id="an id token"),
        pytest.param(lambda t: forged(t, iss="https://other.example.test"), id="another issuer"),
        pytest.param(lambda t: forged(t, aud="https://other.example.test"), id="for somebody else"),
        pytest.param(lambda t: forged(t, exp=1), id="expired"),
        pytest.param(lambda t: forged(t, iat=LATER, exp=LATER + 9), id="from the future"),
    ],
)
def test_what_is_none_of_ours_is_refused(tenant: SignedUp, made: Any) -> None:
    with pytest.raises(TokenRefused):
        read_access_token(made(tenant.tenant_id))
