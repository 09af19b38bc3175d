from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from assay_tenants import access
from assay_tenants.context import Actor, acting
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import BadInput, Conflict, Forbidden, NotFound
from assay_tenants.factors import (
    change_rule,
    list_methods,
    members_of,
    needs_one,
    overview,
    passkeys,
    reset_member,
    reset_person,
    rule_of,
    totp,
)
from assay_tenants.models import Membership, Person


def entries(tenant_id: int, action: str) -> list[Any]:
    with tenant_session(tenant_id) as session:
        return list(
            session.execute(
                text(
                    "SELECT actor_kind, actor_name, subject, before, after FROM tenancy.audit_log"
                    " WHERE tenant_id = :t AND action = :a ORDER BY id"
                ),
                {"t": tenant_id, "a": action},
            )
        )


def join(tenant_id: int, who: Any, role: str) -> None:
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == who.person_id)).one()
        session.execute(
            insert(Membership).values(
                tenant_id=tenant_id,
                person_id=person.id,
                name=person.name,
                email=person.email,
                role=role,
                created_at=person.created_at,
                verified=True,
            )
        )


def leave(tenant_id: int, who: Any) -> None:
    with directory_session() as session:
        for table in ("sessions", "memberships"):
            session.execute(
                text(f"DELETE FROM tenancy.{table} WHERE tenant_id = :t AND person_id = :p"),
                {"t": tenant_id, "p": who.person_id},
            )


@pytest.fixture
def make_member(make_somebody: Callable[[], Any], somebody: Any) -> Callable[[str], Any]:
    """Somebody who works for ``somebody``'s company alone."""

    def make(role: str) -> Any:
        new = make_somebody()
        join(somebody.tenant_id, new, role)
        leave(new.tenant_id, new)
        new.tenant_id = somebody.tenant_id
        return new

    return make


@pytest.mark.parametrize(
    ("who", "asked"),
    [
        pytest.param(None, set(), id="nothing said"),
        pytest.param("nobody", set(), id="nobody"),
        pytest.param("owners_and_admins", {"owner", "admin"}, id="owners and admins"),
        pytest.param("everybody", {"owner", "admin", "editor", "viewer"}, id="everybody"),
    ],
)
def test_who_is_asked(who: Any, asked: set[str]) -> None:
    assert {role for role in ("owner", "admin", "editor", "viewer") if needs_one(role, who)} == asked


def test_a_rule_is_its_companys_and_is_written_down(somebody: Any, other: Any) -> None:
    assert change_rule(somebody.tenant_id, "everybody") == "everybody"
    change_rule(somebody.tenant_id, "everybody")
    assert (rule_of(somebody.tenant_id), rule_of(other.tenant_id)) == ("everybody", "nobody")
    assert [(row.before, row.after) for row in entries(somebody.tenant_id, "login_rule.changed")] == [
        ({"second_factor": "nobody"}, {"second_factor": "everybody"})
    ]
    with pytest.raises(BadInput) as refused:
        change_rule(somebody.tenant_id, "some")
    assert refused.value.field == "second_factor"


def test_the_last_factor_stays_while_a_company_asks_for_one(somebody: Any) -> None:
    somebody.adds_app()
    somebody.adds_passkey()
    change_rule(somebody.tenant_id, "owners_and_admins")
    totp.remove(somebody.person_id)
    with pytest.raises(Conflict, match="asks you for a second factor"):
        passkeys.remove(somebody.person_id, overview(somebody.person_id).passkeys[0].id)
    assert list_methods(somebody.person_id) == ("passkey", "recovery")
    change_rule(somebody.tenant_id, "nobody")
    passkeys.remove(somebody.person_id, overview(somebody.person_id).passkeys[0].id)


def test_each_change_is_in_the_log_of_each_of_the_persons_companies(somebody: Any, other: Any) -> None:
    join(other.tenant_id, somebody, "viewer")
    with acting(Actor("person", str(somebody.person_id), "Ada Example", "192.0.2.7")):
        somebody.adds_passkey("Key")
    for tenant_id in (somebody.tenant_id, other.tenant_id):
        assert [tuple(row) for row in entries(tenant_id, "second_factor.added")] == [
            ("person", "Ada Example", str(somebody.person_id), None, {"kind": "passkey", "name": "Key"})
        ]


class TestReset:
    @pytest.mark.parametrize("by", ["owner", "admin"])
    def test_takes_everything_away_and_logs_out(self, make_member: Any, by: str) -> None:
        boss, member = make_member(by), make_member("editor")
        member.adds_app()
        member.adds_passkey()
        token = access.open_session(member.person_id, proven_by=("password", "totp"))
        assert reset_member(member.tenant_id, member.person_id, by=boss.person_id) == "Ada Example"
        assert list_methods(member.person_id) == ()
        assert access.find_visitor(token) is None
        assert access.log_in(email=member.email, password="a long enough password")
        assert "removed all second factors" in member.mails()[-1]
        assert [row.before for row in entries(member.tenant_id, "second_factors.reset")] == [
            {"kinds": ["passkey", "totp", "recovery"]}
        ]

    def test_an_admin_can_not_reset_an_owner(self, somebody: Any, make_member: Any) -> None:
        somebody.adds_app()
        with pytest.raises(Forbidden, match="another owner"):
            reset_member(somebody.tenant_id, somebody.person_id, by=make_member("admin").person_id)
        reset_member(somebody.tenant_id, somebody.person_id, by=make_member("owner").person_id)

    def test_nobody_resets_their_own(self, somebody: Any) -> None:
        somebody.adds_app()
        with pytest.raises(Forbidden, match="Your own"):
            reset_member(somebody.tenant_id, somebody.person_id, by=somebody.person_id)

    def test_of_whoever_works_elsewhere_too_is_for_the_operator(
        self, somebody: Any, other: Any, make_member: Any
    ) -> None:
        member = make_member("editor")
        join(other.tenant_id, member, "viewer")
        member.adds_app()
        with pytest.raises(Conflict, match="another company"):
            reset_member(somebody.tenant_id, member.person_id, by=somebody.person_id)
        with acting(Actor("operator", "", "root")):
            reset_person(f" {member.email.upper()} ")
        assert list_methods(member.person_id) == ()
        for tenant_id in (somebody.tenant_id, other.tenant_id):
            assert [row.actor_name for row in entries(tenant_id, "second_factors.reset")] == ["root"]

    def test_the_neighbours_are_not_there(self, somebody: Any, other: Any) -> None:
        other.adds_app()
        with pytest.raises(NotFound):
            reset_member(somebody.tenant_id, other.person_id, by=somebody.person_id)
        assert list_methods(other.person_id) != ()

    def test_nothing_to_reset(self, somebody: Any, make_member: Any) -> None:
        with pytest.raises(Conflict, match="nothing to reset"):
            reset_member(somebody.tenant_id, make_member("viewer").person_id, by=somebody.person_id)
        with pytest.raises(NotFound):
            reset_person("nobody@example.test")


def test_owners_see_who_has_what(somebody: Any, make_member: Any) -> None:
    make_member("viewer").adds_passkey()
    somebody.adds_app()
    assert sorted((row.role, row.has_app, row.passkeys, row.codes_left) for row in members_of(somebody.tenant_id)) == [
        ("owner", True, 0, 10),
        ("viewer", False, 1, 10),
    ]
