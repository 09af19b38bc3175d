from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from assay_tenants import keys
from assay_tenants.access import SignedUp
from assay_tenants.context import Actor, acting
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound
from assay_tenants.permissions import PERMISSIONS, Permission


class TestIssue:
    @pytest.mark.parametrize(("kind", "prefix"), [("write", "assay_wk_"), ("api", "assay_ak_")])
    def test_the_secret_opens_what_its_kind_says_and_nothing_else(
        self, tenant: SignedUp, kind: keys.KeyKind, prefix: str
    ) -> None:
        key = keys.issue_key(tenant.tenant_id, kind=kind, name="Shop")
        other: keys.KeyKind = "api" if kind == "write" else "write"
        assert key.secret.startswith(prefix)
        assert keys.find_caller(key.secret, kind=other) is None
        caller = keys.find_caller(key.secret, kind=kind)
        assert caller is not None
        assert (caller.tenant_id, caller.key_id) == (tenant.tenant_id, key.id)

    def test_only_its_hash_is_stored(self, tenant: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports")
        with tenant_session(tenant.tenant_id) as session:
            row = session.execute(
                text("SELECT row_to_json(k)::text FROM tenancy.keys k WHERE tenant_id = :t AND id = :id"),
                {"t": tenant.tenant_id, "id": key.id},
            ).scalar_one()
        assert key.secret.rpartition("_")[2] not in row

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param(" ", id="blank"),
            pytest.param("x" * 81, id="too long"),
            pytest.param("Sh\0p", id="a letter that can't be stored"),
            pytest.param("Sh\u202eop", id="a letter that turns the rest around"),
        ],
    )
    def test_a_key_needs_a_name(self, tenant: SignedUp, name: str) -> None:
        with pytest.raises(BadInput) as refused:
            keys.issue_key(tenant.tenant_id, kind="write", name=name)
        assert refused.value.field == "name"


class TestScopes:
    def test_a_key_may_what_it_was_given(self, tenant: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports", scopes=["leads:read"])
        caller = keys.find_caller(key.secret, kind="api")
        assert caller is not None
        assert caller.scopes == {"leads:read"}

    @given(
        wanted=st.none() | st.frozensets(st.sampled_from(sorted(PERMISSIONS))),
        own=st.frozensets(st.sampled_from(sorted(PERMISSIONS))),
    )
    @settings(max_examples=200, deadline=None)
    def test_never_more_than_its_maker_has(
        self, wanted: frozenset[Permission] | None, own: frozenset[Permission]
    ) -> None:
        try:
            given_ = keys._scopes("api", wanted, own)
        except keys.BeyondOwnScopes:
            assert wanted is not None
            assert wanted - own
        except BadInput:
            assert not (own if wanted is None else wanted)
        else:
            assert given_ <= own
            assert given_ == (own if wanted is None else wanted)

    def test_a_write_key_only_sends(self, tenant: SignedUp) -> None:
        with pytest.raises(BadInput):
            keys.issue_key(tenant.tenant_id, kind="write", name="Shop", scopes=["leads:read"])
        with pytest.raises(keys.BeyondOwnScopes):
            keys.issue_key(tenant.tenant_id, kind="write", name="Shop", within=frozenset({"keys:manage"}))

    def test_who_made_it_is_on_record(self, tenant: SignedUp) -> None:
        with acting(Actor("person", str(tenant.person_id), "Ada Example")):
            key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports")
        with acting(Actor("key", str(key.id), "API key 1")):
            keys.issue_key(tenant.tenant_id, kind="api", name="Child")
        child, parent = keys.list_keys(tenant.tenant_id, kind="api")
        assert (parent.made_by, parent.made_by_id) == ("Ada Example", tenant.person_id)
        assert (child.made_by, child.made_by_id) == ("API key 1", None)
        assert keys.roles_of_makers(tenant.tenant_id, [child, parent]) == {tenant.person_id: "owner"}

    def test_what_is_done_is_in_the_audit_log_and_the_secret_is_not(self, tenant: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports")
        new = keys.rotate_key(tenant.tenant_id, key.id)
        keys.revoke_key(tenant.tenant_id, new.id)
        with tenant_session(tenant.tenant_id) as session:
            log = session.execute(
                text("SELECT action, row_to_json(a)::text FROM tenancy.audit_log a WHERE tenant_id = :t ORDER BY id"),
                {"t": tenant.tenant_id},
            ).all()
        assert [action for action, _ in log][-3:] == ["key.issued", "key.rotated", "key.revoked"]
        for secret in (key.secret, new.secret):
            assert not any(secret[-44:] in entry for _, entry in log)


class TestExpiry:
    def test_an_expired_key_opens_nothing_and_says_so(self, tenant: SignedUp) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=0.05)
        key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports", expires_at=soon)
        while datetime.now(UTC) < soon:
            pass
        assert keys.find_caller(key.secret, kind="api") is None
        assert keys.how_it_ended(key.secret) == keys.Ended("expired", soon)
        assert [listed.id for listed in keys.list_keys(tenant.tenant_id, kind="api")] == [key.id]
        with pytest.raises(NotFound):
            keys.rotate_key(tenant.tenant_id, key.id)
        keys.revoke_key(tenant.tenant_id, key.id)
        assert keys.list_keys(tenant.tenant_id, kind="api") == []

    @pytest.mark.parametrize("days", [-1, 0, 3651])
    def test_it_ends_after_now_and_not_too_late(self, tenant: SignedUp, days: int) -> None:
        with pytest.raises(BadInput) as refused:
            keys.issue_key(tenant.tenant_id, kind="api", name="x", expires_at=datetime.now(UTC) + timedelta(days=days))
        assert refused.value.field == "expires_at"

    def test_a_new_key_in_its_place_lives_as_long(self, tenant: SignedUp) -> None:
        ends = datetime.now(UTC) + timedelta(days=30)
        old = keys.issue_key(tenant.tenant_id, kind="api", name="Reports", expires_at=ends, scopes=["leads:read"])
        keys.rotate_key(tenant.tenant_id, old.id)
        new, replaced = keys.list_keys(tenant.tenant_id, kind="api")
        assert new.expires_at is not None
        assert abs(new.expires_at - ends) < timedelta(minutes=1)
        assert (replaced.replaced_by_id, new.scopes) == (new.id, ["leads:read"])
        with pytest.raises(keys.KeyReplaced):
            keys.rotate_key(tenant.tenant_id, old.id)


class TestRestrict:
    def test_pages_of_other_origins_may_not_use_it(self, tenant: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="write", name="Shop")
        assert keys.restrict_key(tenant.tenant_id, key.id, "https://A.test/") == ["https://a.test"]
        caller = keys.find_caller(key.secret, kind="write")
        assert caller is not None
        assert (caller.may_come_from("https://a.test"), caller.may_come_from("https://b.test")) == (True, False)

    def test_an_empty_list_lets_any_page_use_it_again(self, tenant: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="write", name="Shop")
        keys.restrict_key(tenant.tenant_id, key.id, "https://a.test")
        keys.restrict_key(tenant.tenant_id, key.id, "")
        caller = keys.find_caller(key.secret, kind="write")
        assert caller is not None
        assert caller.may_come_from("https://b.test")

    def test_a_new_key_in_its_place_keeps_them(self, tenant: SignedUp) -> None:
        old = keys.issue_key(tenant.tenant_id, kind="write", name="Shop")
        keys.restrict_key(tenant.tenant_id, old.id, "https://a.test")
        caller = keys.find_caller(keys.rotate_key(tenant.tenant_id, old.id).secret, kind="write")
        assert caller is not None
        assert caller.origins == ("https://a.test",)

    def test_a_bad_origin_changes_nothing(self, tenant: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="write", name="Shop")
        keys.restrict_key(tenant.tenant_id, key.id, "https://a.test")
        with pytest.raises(BadInput) as refused:
            keys.restrict_key(tenant.tenant_id, key.id, "https://b.test a.test")
        assert refused.value.field == "origins"
        (kept,) = [listed.origins for listed in keys.list_keys(tenant.tenant_id) if listed.id == key.id]
        assert kept == ["https://a.test"]

    def test_an_api_key_is_no_pages(self, tenant: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports")
        with pytest.raises(NotFound):
            keys.restrict_key(tenant.tenant_id, key.id, "https://a.test")

    def test_the_neighbours_key_is_not_there(self, tenant: SignedUp, neighbour: SignedUp) -> None:
        key = keys.issue_key(neighbour.tenant_id, kind="write", name="Shop")
        with pytest.raises(NotFound):
            keys.restrict_key(tenant.tenant_id, key.id, "https://a.test")


class TestRotateAndRevoke:
    def test_during_the_grace_both_keys_work(self, tenant: SignedUp) -> None:
        old = keys.issue_key(tenant.tenant_id, kind="write", name="Shop")
        new = keys.rotate_key(tenant.tenant_id, old.id)
        assert new.name == "Shop"
        assert keys.find_caller(old.secret, kind="write") is not None
        assert keys.find_caller(new.secret, kind="write") is not None

    def test_without_grace_the_old_key_is_over_at_once(self, tenant: SignedUp) -> None:
        old = keys.issue_key(tenant.tenant_id, kind="write", name="Shop")
        keys.rotate_key(tenant.tenant_id, old.id, grace=timedelta(0))
        assert keys.find_caller(old.secret, kind="write") is None

    def test_a_revoked_key_is_over_and_off_the_list(self, tenant: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports")
        keys.revoke_key(tenant.tenant_id, key.id)
        assert keys.find_caller(key.secret, kind="api") is None
        assert key.id not in [listed.id for listed in keys.list_keys(tenant.tenant_id)]
        with pytest.raises(NotFound):
            keys.revoke_key(tenant.tenant_id, key.id)

    def test_the_neighbour_can_neither_see_rotate_nor_revoke_it(self, tenant: SignedUp, neighbour: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports")
        assert key.id not in [listed.id for listed in keys.list_keys(neighbour.tenant_id)]
        for attempt in (keys.rotate_key, keys.revoke_key):
            with pytest.raises(NotFound):
                attempt(neighbour.tenant_id, key.id)
        assert keys.find_caller(key.secret, kind="api") is not None

    def test_a_secret_moved_to_the_neighbours_number_opens_nothing(self, tenant: SignedUp, neighbour: SignedUp) -> None:
        key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports")
        forged = key.secret.replace(f"_{tenant.tenant_id:x}_", f"_{neighbour.tenant_id:x}_")
        assert keys.find_caller(forged, kind="api") is None
