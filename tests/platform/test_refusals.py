"""Who is refused something stands in the log: who, what, from where, and nothing that was shown."""

import base64
from collections.abc import Callable

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from assay_tenants.access import open_session
from assay_tenants.database import tenant_session
from assay_tenants.keys import issue_key
from assay_tenants.models import Membership
from assay_tenants.oauth import apps


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def told_of(app) -> Callable[..., dict[str, object]]:
    """The one line that a request leaves."""

    def ask(method: str, path: str, **options: object) -> dict[str, object]:
        client = app.test_client()
        if session := options.pop("session", None):
            client.set_cookie("assay_session", session)
        with capture_logs() as lines:
            answer = client.open(path, method=method, **options)
        assert answer.status_code in (401, 403), answer.text
        (line,) = [line for line in lines if line["event"].endswith("refused")]
        return line

    return ask


class TestKnownButNotAllowed:
    def test_on_a_page(self, told_of, tenant) -> None:
        session = open_session(tenant.person_id, tenant_id=tenant.tenant_id, proven_by=("password",))
        with tenant_session(tenant.tenant_id) as transaction:
            transaction.execute(
                update(Membership).where(Membership.tenant_id == tenant.tenant_id).values(role="viewer")
            )
        line = told_of("GET", "/settings/clients?name=secret", session=session)
        assert (line["event"], line["actor"]) == ("authorization.refused", f"person {tenant.person_id}")
        assert (line["tenant_id"], line["permission"]) == (tenant.tenant_id, "keys:manage")
        assert (line["path"], line["address"]) == ("/settings/clients", "127.0.0.1")

    def test_at_the_api(self, told_of, tenant) -> None:
        key = issue_key(tenant.tenant_id, kind="api", name="Narrow", scopes=["leads:read"])
        line = told_of("GET", "/api/v1/models", headers=bearer(key.secret))
        assert (line["event"], line["actor"]) == ("authorization.refused", f"key {key.id}")
        assert (line["tenant_id"], line["permission"]) == (tenant.tenant_id, "models:read")
        assert key.secret not in str(line)


class TestNotKnown:
    @pytest.mark.parametrize("path", ["/api/v1/leads", pytest.param("/scim/v2/Users", id="SCIM")])
    def test_with_something_invented(self, told_of, connected, path) -> None:
        line = told_of("GET", path, headers=bearer("assay_ak_1_invented"))
        assert (line["event"], line["actor"], line["tenant_id"]) == ("authentication.refused", "stranger", None)
        assert "invented" not in str(line)

    def test_an_app_with_a_wrong_secret(self, told_of, tenant) -> None:
        made = apps.register_app(
            tenant.tenant_id, name="Reports", redirect_uris=["https://a.test/cb"], scopes=["leads:read"]
        )
        proof = base64.b64encode(f"{made.client_id}:wrong-guess".encode()).decode()
        headers = {"Authorization": f"Basic {proof}"}
        line = told_of("POST", "/oauth/token", data={"grant_type": "client_credentials"}, headers=headers)
        assert (line["event"], line["client_id"]) == ("oauth.client_refused", made.client_id)
        assert "wrong-guess" not in str(line)

    def test_a_form_of_another_site(self, app, connected) -> None:
        with capture_logs() as lines:
            assert app.test_client().post("/log-in", data={"email": "x", "password": "a-guess"}).status_code == 400
        (line,) = [line for line in lines if line["event"] == "web.form_refused"]
        assert (line["path"], line["address"]) == ("/log-in", "127.0.0.1")
        assert "a-guess" not in str(line)
