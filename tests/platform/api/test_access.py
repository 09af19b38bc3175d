"""Who is asking: keys and tokens, found out once and checked each time; what a refusal tells."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import event, text
from werkzeug.test import TestResponse

from assay.api.bearers import SIZE, Bearers, KeyRefused
from assay.settings import Settings
from assay_tenants import cuts, database, keys, sealing
from assay_tenants.access.service import SignedUp
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import NotSignedIn
from assay_tenants.key_use import Uses, write_use
from assay_tenants.oauth import issuer
from assay_tenants.oauth.tokens import mint_access_token, read_uncut
from assay_tenants.permissions import OF_ROLES, PERMISSIONS, Permission

Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(api_app: Flask) -> Ask:
    def asked(bearer: str | None, path: str = "/leads", method: str = "GET", **options: Any) -> TestResponse:
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        return api_app.test_client().open(f"/api/v1{path}", method=method, headers=headers, **options)

    return asked


@pytest.fixture
def issue(tenant: SignedUp) -> Callable[..., keys.IssuedKey]:
    def make(*scopes: Permission, **options: Any) -> keys.IssuedKey:
        return keys.issue_key(tenant.tenant_id, kind="api", name="Tests", scopes=scopes or None, **options)

    return make


@pytest.fixture
def granted(
    api_app: Flask, tenant: SignedUp, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """A token that the tenant's owner granted to an app."""
    sealing.configure(settings.sealing_keys)
    monkeypatch.setattr(issuer, "_issuer", issuer.Issuer("https://assay.example.test"))

    def mint(*scopes: Permission, **options: Any) -> str:
        about = {"person_id": tenant.person_id, "grant_id": 77, **options}
        return mint_access_token(
            tenant_id=tenant.tenant_id,
            client_id="app-1",
            app_name="Partner",
            scopes=scopes or PERMISSIONS,
            audience=issuer.issuer().api,
            **about,
        ).token

    return mint


def challenge(answer: TestResponse) -> dict[str, str]:
    header = answer.headers["WWW-Authenticate"]
    assert header.startswith("Bearer ")
    return dict(re.findall(r'(\w+)="([^"]*)"', header))


class TestRefusals:
    def test_without_a_bearer_no_error_is_stated(self, ask: Ask) -> None:
        answer = ask(None)
        assert answer.status_code == 401
        assert challenge(answer).keys() <= {"realm", "resource_metadata"}

    def test_a_wrong_one_is_an_invalid_token(self, ask: Ask) -> None:
        told = challenge(ask("assay_ak_1_" + "a" * 50))
        assert told["error"] == "invalid_token"
        assert "unknown, revoked or expired" in told["error_description"]

    def test_a_missing_scope_is_named(self, ask: Ask, issue: Any) -> None:
        answer = ask(issue("models:read").secret)
        assert (answer.status_code, answer.json["code"]) == (403, "insufficient_scope")
        assert challenge(answer)["scope"] == "leads:read"
        assert challenge(answer)["error"] == "insufficient_scope"
        assert answer.json["detail"].startswith("This needs the scope leads:read (see leads")

    def test_a_quote_can_not_end_the_header(self, ask: Ask) -> None:
        answer = ask('x"y\\z')
        assert answer.status_code == 401
        assert challenge(answer)["error"] == "invalid_token"

    def test_an_expired_key_is_told_since_when(self, ask: Ask, issue: Any, tenant: SignedUp) -> None:
        key = issue(expires_at=datetime.now(UTC) + timedelta(hours=1))
        assert ask(key.secret).status_code == 200
        with tenant_session(tenant.tenant_id) as session:
            keys.cuts.cut(session, tenant.tenant_id, f"key:{key.id}", datetime.now(UTC) + timedelta(minutes=1))
            session.execute(
                text("UPDATE tenancy.keys SET expires_at = '2026-01-02T03:04Z' WHERE tenant_id = :t AND id = :id"),
                {"t": tenant.tenant_id, "id": key.id},
            )
        answer = ask(key.secret)
        assert answer.status_code == 401
        assert "This API key expired on 2026-01-02 at 03:04 UTC" in answer.json["detail"]

    def test_a_revoked_key_is_told_so(self, ask: Ask, issue: Any, tenant: SignedUp) -> None:
        key = issue()
        assert ask(key.secret).status_code == 200
        keys.revoke_key(tenant.tenant_id, key.id)
        answer = ask(key.secret)
        assert answer.status_code == 401
        assert "This API key was revoked on" in answer.json["detail"]

    def test_a_permission_is_asked_before_an_answer_is_remembered(self, ask: Ask, issue: Any) -> None:
        mighty, weak = issue().secret, issue("leads:read").secret
        options: dict[str, Any] = {"json": {"name": "Once"}, "headers": {"Idempotency-Key": "one"}}
        first = ask(mighty, "/keys", "POST", **options)
        assert (first.status_code, first.json["name"]) == (201, "Once")
        assert ask(weak, "/keys", "POST", **options).status_code == 403
        again = ask(mighty, "/keys", "POST", **options)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        # The secret is kept nowhere, not even here.
        assert (again.json["id"], again.json["secret"]) == (first.json["id"], None)


class TestRemembering:
    """Each `Bearers` stands for a process."""

    def test_a_key_is_looked_up_once(self, issue: Any, tenant: SignedUp) -> None:
        bearers, secret = Bearers(), issue().secret
        for _ in range(2):
            bearers.find(secret)
        assert counted(lambda: bearers.find(secret)) == 0

    def test_a_revoked_key_is_refused_in_every_process_at_once(self, issue: Any, tenant: SignedUp) -> None:
        here, there, key = Bearers(), Bearers(), issue()
        for each in (here, there):
            each.find(key.secret)
        keys.revoke_key(tenant.tenant_id, key.id)
        for each in (here, there):
            with pytest.raises(KeyRefused, match="was revoked"):
                each.find(key.secret)

    @pytest.mark.parametrize("lost", ["wiped", "away"])
    def test_so_it_is_without_redis(
        self, issue: Any, tenant: SignedUp, redis: Redis, lost: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bearers, key, other = Bearers(), issue(), issue()
        for secret in (key.secret, other.secret):
            bearers.find(secret)
        keys.revoke_key(tenant.tenant_id, key.id)
        if lost == "wiped":
            redis.delete(*redis.keys(f"assay:cuts:{{{tenant.tenant_id}}}*"))
        else:
            monkeypatch.setattr(cuts, "_copies", cuts._copies)
            cuts.configure(None)
        with pytest.raises(KeyRefused):
            bearers.find(key.secret)
        assert bearers.find(other.secret).tenant_id == tenant.tenant_id

    def test_a_rotated_key_without_grace_is_over_at_once(self, issue: Any, tenant: SignedUp) -> None:
        bearers, key = Bearers(), issue()
        bearers.find(key.secret)
        new = keys.rotate_key(tenant.tenant_id, key.id, grace=timedelta(0))
        with pytest.raises(KeyRefused, match="expired"):
            bearers.find(key.secret)
        assert bearers.find(new.secret).scopes == PERMISSIONS

    def test_it_is_looked_up_anew_after_a_minute(self, issue: Any) -> None:
        now = [0.0]
        bearers, secret = Bearers(clock=lambda: now[0]), issue().secret
        for _ in range(2):
            bearers.find(secret)
        now[0] = 59.0
        assert counted(lambda: bearers.find(secret)) == 0
        now[0] = 61.0
        assert counted(lambda: bearers.find(secret)) > 0

    def test_the_memory_is_bounded(self, issue: Any) -> None:
        bearers = Bearers(size=2)
        secrets = [issue().secret for _ in range(4)]
        for secret in secrets:
            bearers.find(secret)
        bearers.find(secrets[3])
        assert len(bearers._known) == 2
        assert counted(lambda: bearers.find(secrets[3])) == 0
        assert counted(lambda: bearers.find(secrets[0])) > 0
        assert SIZE >= 1_000


def counted(act: Callable[[], object]) -> int:
    """Statements of this thread."""
    seen: list[str] = []
    note = lambda *args: seen.append(args[2])  # noqa: E731 # is taken off again
    event.listen(database.engine(), "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(database.engine(), "before_cursor_execute", note)
    return sum("last_used_at" not in statement and "SET LOCAL" not in statement for statement in seen)


class TestTokens:
    def test_may_what_was_granted(self, ask: Ask, granted: Callable[..., str]) -> None:
        token = granted("leads:read")
        assert ask(token).status_code == 200
        refused = ask(token, "/models")
        assert (refused.status_code, challenge(refused)["scope"]) == (403, "models:read")

    def test_of_an_app_itself_needs_no_person(self, ask: Ask, granted: Callable[..., str]) -> None:
        assert ask(granted("leads:read", person_id=None, grant_id=None)).status_code == 200

    @pytest.mark.parametrize("role", [role for role in OF_ROLES if role != "owner"])
    def test_the_persons_role_limits_it_from_the_next_request_on(
        self, ask: Ask, granted: Callable[..., str], tenant: SignedUp, role: str
    ) -> None:
        bearers, token = Bearers(), granted()
        assert bearers.find(token).scopes == PERMISSIONS
        _become(tenant, "role = :value", role)
        assert bearers.find(token).scopes == OF_ROLES[role]  # type: ignore[index] # of the table itself

    @pytest.mark.parametrize(
        "handle", ["token:{jti}", "grant:77", "client:app-1"], ids=lambda handle: handle.partition(":")[0]
    )
    def test_what_is_cut_is_refused_at_once(
        self, api_app: Flask, granted: Callable[..., str], tenant: SignedUp, handle: str
    ) -> None:
        bearers, token = Bearers(), granted()
        bearers.find(token)
        read = read_uncut(token)
        assert read is not None
        with tenant_session(tenant.tenant_id) as session:
            handle = handle.format(jti=read.jti)
            cuts.cut(session, tenant.tenant_id, handle, datetime.now(UTC) + timedelta(minutes=5))
        with pytest.raises(NotSignedIn):
            bearers.find(token)

    def test_of_somebody_suspended_is_worth_nothing(self, granted: Callable[..., str], tenant: SignedUp) -> None:
        bearers, token = Bearers(), granted()
        bearers.find(token)
        _become(tenant, "suspended_at = CAST(:value AS timestamptz)", "2026-01-01")
        with pytest.raises(NotSignedIn):
            bearers.find(token)

    def test_of_the_neighbours_person_is_worth_nothing(self, granted: Callable[..., str], neighbour: SignedUp) -> None:
        with pytest.raises(NotSignedIn):
            Bearers().find(granted(person_id=neighbour.person_id))


def _become(tenant: SignedUp, change: str, value: str) -> None:
    with directory_session() as session:
        session.execute(
            text(f"UPDATE tenancy.memberships SET {change} WHERE tenant_id = :t"),
            {"value": value, "t": tenant.tenant_id},
        )
        until = datetime.now(UTC) + timedelta(hours=1)
        cuts.cut(session, tenant.tenant_id, f"member:{tenant.person_id}", until)


class TestLastUse:
    def test_is_written_beside_the_request(self, ask: Ask, issue: Any, tenant: SignedUp) -> None:
        key = issue()
        assert ask(key.secret).status_code == 200
        deadline = datetime.now(UTC) + timedelta(seconds=5)
        while _last_use(tenant, key.id) is None and datetime.now(UTC) < deadline:
            pass
        assert _last_use(tenant, key.id) is not None

    def test_at_most_once_a_minute(self, issue: Any, tenant: SignedUp) -> None:
        uses, key, first = Uses(), issue(), datetime(2026, 3, 1, 12, tzinfo=UTC)
        for after, told in ((0, 0), (59, 0), (60, 60), (30, 60)):
            write_use(tenant.tenant_id, key.id, first + timedelta(seconds=after))
            assert _last_use(tenant, key.id) == first + timedelta(seconds=told)
        uses.note(tenant.tenant_id, key.id)
        uses.note(tenant.tenant_id, key.id)
        assert uses._waiting.qsize() <= 1


def _last_use(tenant: SignedUp, key_id: int) -> datetime | None:
    return next(key.last_used_at for key in keys.list_keys(tenant.tenant_id) if key.id == key_id)


class TestKeysOverTheApi:
    def test_a_key_makes_lists_rotates_and_revokes(self, ask: Ask, issue: Any) -> None:
        mighty = issue().secret
        ends = datetime.now(UTC) + timedelta(days=3)
        body = {"name": "Reports", "scopes": ["leads:read", "models:read"], "expires_at": ends.isoformat()}
        made = ask(mighty, "/keys", "POST", json=body)
        assert made.status_code == 201, made.text
        assert re.fullmatch(r"assay_ak_[0-9a-f]+_[A-Za-z0-9]{50}", made.json["secret"])
        (listed,) = [key for key in ask(mighty, "/keys?kind=api").json["items"] if key["id"] == made.json["id"]]
        assert (listed["scopes"], listed["last_used_at"]) == (["leads:read", "models:read"], None)
        assert made.json["secret"] not in ask(mighty, "/keys").text
        rotated = ask(mighty, f"/keys/{made.json['id']}/rotate", "POST", json={"grace_hours": 1})
        assert rotated.status_code == 201, rotated.text
        for secret in (made.json["secret"], rotated.json["secret"]):
            assert ask(secret).status_code == 200
        again = ask(mighty, f"/keys/{made.json['id']}/rotate", "POST", json={})
        assert (again.status_code, again.json["code"]) == (409, "key_replaced")
        assert ask(mighty, f"/keys/{made.json['id']}", "DELETE").status_code == 204
        assert ask(made.json["secret"]).status_code == 401
        assert ask(mighty, f"/keys/{made.json['id']}", "DELETE").status_code == 404

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            pytest.param({}, 422, "name", id="no name"),
            pytest.param({"name": "x" * 81}, 422, "name", id="a long name"),
            pytest.param({"name": "x", "kind": "root"}, 422, "kind", id="no such kind"),
            pytest.param({"name": "x", "scopes": ["leads:eat"]}, 422, "scopes", id="no such scope"),
            pytest.param({"name": "x", "scopes": []}, 422, "scopes", id="no scope"),
            pytest.param({"name": "x", "kind": "write", "scopes": ["leads:read"]}, 422, "scopes", id="of a write key"),
            pytest.param({"name": "x", "scopes": ["models:publish"]}, 403, "scopes", id="more than it has"),
            pytest.param({"name": "x", "kind": "write"}, 403, "scopes", id="sends what it may not"),
            pytest.param({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, 422, "expires_at", id="past"),
            pytest.param({"name": "x", "expires_at": "2099-01-01T00:00:00Z"}, 422, "expires_at", id="far away"),
        ],
    )
    def test_what_is_wrong_is_named(self, ask: Ask, issue: Any, body: dict[str, Any], status: int, field: str) -> None:
        answer = ask(issue("keys:manage", "leads:read").secret, "/keys", "POST", json=body)
        assert answer.status_code == status, answer.text
        assert answer.json["errors"][0]["field"].startswith(field)

    def test_without_scopes_it_gets_those_of_its_maker(self, ask: Ask, issue: Any, tenant: SignedUp) -> None:
        answer = ask(issue("keys:manage", "leads:read").secret, "/keys", "POST", json={"name": "Child"})
        caller = keys.find_caller(answer.json["secret"], kind="api")
        assert caller is not None
        assert caller.scopes == {"keys:manage", "leads:read"}

    def test_nobody_rotates_a_mightier_key(self, ask: Ask, issue: Any) -> None:
        mighty = issue()
        answer = ask(issue("keys:manage").secret, f"/keys/{mighty.id}/rotate", "POST", json={})
        assert (answer.status_code, answer.json["code"]) == (403, "beyond_own_scopes")
