from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select, text

from assay_tenants import access
from assay_tenants.access import SignedUp, Visitor, invitations, members
from assay_tenants.access.errors import AddressTaken, LinkOver
from assay_tenants.audit.models import AuditEntry
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError, BadInput, Conflict, NotFound, TooManyAttempts
from assay_tenants.models import Role
from assay_tenants.permissions import OF_ROLES
from assay_tenants.sso.joining import give_role

PASSWORD = "a long enough password"
OWNER = OF_ROLES["owner"]


@pytest.fixture
def join(address: str, mails_to) -> Callable[..., Visitor]:
    """A new person who becomes a member, by an invitation."""

    def new(tenant: SignedUp, role: Role = "editor", *, email: str = address) -> Visitor:
        invitations.invite(tenant.tenant_id, email=email, role=role, by="Ada", may=OWNER)
        tenant_id, person_id = invitations.accept_anew(mails_to(email).key, name="Mira Stone", password=PASSWORD)
        visitor = access.find_visitor(access.open_session(person_id, tenant_id=tenant_id, proven_by=("password",)))
        assert visitor is not None
        return visitor

    return new


def actions(tenant_id: int) -> list[str]:
    with tenant_session(tenant_id) as session:
        return list(
            session.scalars(select(AuditEntry.action).where(AuditEntry.tenant_id == tenant_id).order_by(AuditEntry.id))
        )


class TestInvitations:
    def test_a_new_person_becomes_a_verified_member(self, tenant, address, join, mails_to) -> None:
        visitor = join(tenant, "editor")
        assert (visitor.tenant_id, visitor.role, visitor.email) == (tenant.tenant_id, "editor", address)
        assert visitor.verified
        assert "Ada invites you to work with" in mails_to(address)[0]
        assert "You get this mail because" in mails_to(address)[0]
        assert actions(tenant.tenant_id)[-3:] == ["member.invited", "member.added", "login.succeeded"]
        assert invitations.list_invitations(tenant.tenant_id) == []

    def test_somebody_with_an_account_keeps_it_and_sees_both(self, tenant, neighbour, mails_to) -> None:
        owner = members.list_members(neighbour.tenant_id)[0]
        invitations.invite(tenant.tenant_id, email=owner.email.upper(), role="viewer", by="Ada", may=OWNER)
        token = access.open_session(owner.person_id, proven_by=("password",))
        invitations.accept_as(access.find_visitor(token), mails_to(owner.email).key)
        assert {row[0] for row in access.list_companies(owner.person_id)} == {tenant.tenant_id, neighbour.tenant_id}
        other = access.switch_tenant(token, tenant.tenant_id)
        assert access.find_visitor(token) is None
        assert access.find_visitor(other).role == "viewer"
        again = access.find_visitor(access.open_session(owner.person_id, proven_by=("password",)))
        assert again.tenant_id == tenant.tenant_id, "the last company is remembered"

    def test_is_for_one_address_alone(self, tenant, neighbour, address, mails_to) -> None:
        invitations.invite(tenant.tenant_id, email=address, role="viewer", by="Ada", may=OWNER)
        stranger = access.find_visitor(access.open_session(neighbour.person_id, proven_by=("password",)))
        with pytest.raises(invitations.SomebodyElse):
            invitations.accept_as(stranger, mails_to(address).key)
        assert len(invitations.list_invitations(tenant.tenant_id)) == 1

    def test_works_once_even_at_the_same_moment(self, tenant, address, mails_to) -> None:
        invitations.invite(tenant.tenant_id, email=address, role="viewer", by="Ada", may=OWNER)
        key = mails_to(address).key

        def accept(_: int) -> str:
            try:
                invitations.accept_anew(key, name="Mira", password=PASSWORD)
            except (LinkOver, AddressTaken):
                return "refused"
            return "accepted"

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(accept, range(4))) == ["accepted", "refused", "refused", "refused"]
        assert len(members.list_members(tenant.tenant_id)) == 2

    def test_ends_after_seven_days_and_can_be_sent_again(self, tenant, address, mails_to) -> None:
        sent = invitations.invite(tenant.tenant_id, email=address, role="viewer", by="Ada", may=OWNER)
        first = mails_to(address).key
        with time_machine.travel(datetime.now(UTC) + timedelta(days=7, seconds=1)):
            assert invitations.open_invitation(first) is None
            invitations.send_again(tenant.tenant_id, sent.id, may=OWNER)
            second = mails_to(address).key
            assert invitations.open_invitation(first) is None
            assert invitations.open_invitation(second).email == address
            with pytest.raises(TooManyAttempts):
                invitations.send_again(tenant.tenant_id, sent.id, may=OWNER)
            invitations.withdraw(tenant.tenant_id, sent.id, may=OWNER)
            assert invitations.open_invitation(second) is None

    @pytest.mark.parametrize(
        ("by", "given", "allowed"),
        [
            pytest.param("owner", "owner", True, id="owners make owners"),
            pytest.param("admin", "owner", False, id="admins do not"),
            pytest.param("admin", "admin", True, id="admins make admins"),
            pytest.param("editor", "admin", False, id="nobody gives more than they have"),
        ],
    )
    def test_nobody_gives_more_than_they_have(self, tenant, address, by: Role, given: Role, allowed: bool) -> None:
        def ask() -> None:
            invitations.invite(tenant.tenant_id, email=address, role=given, by="Ada", may=OF_ROLES[by])

        if allowed:
            ask()
        else:
            with pytest.raises(members.BeyondYou):
                ask()

    @pytest.mark.parametrize(
        ("email", "refusal"),
        [
            pytest.param("mira", BadInput, id="no address"),
            pytest.param("a,b@example.test", BadInput, id="two addresses in one"),
            pytest.param("mira@example.test\nBcc: all@example.test", BadInput, id="a header in it"),
        ],
    )
    def test_bad_addresses_are_refused(self, tenant, email: str, refusal: type[AssayError]) -> None:
        with pytest.raises(refusal):
            invitations.invite(tenant.tenant_id, email=email, role="viewer", by="Ada", may=OWNER)

    def test_members_and_invited_ones_are_not_invited_again(self, tenant, address) -> None:
        owner = members.list_members(tenant.tenant_id)[0]
        with pytest.raises(Conflict, match="member already"):
            invitations.invite(tenant.tenant_id, email=owner.email, role="viewer", by="Ada", may=OWNER)
        invitations.invite(tenant.tenant_id, email=address, role="viewer", by="Ada", may=OWNER)
        with pytest.raises(Conflict, match="invited already"):
            invitations.invite(tenant.tenant_id, email=address, role="viewer", by="Ada", may=OWNER)

    def test_a_company_writes_to_so_many_a_day(self, tenant, address, monkeypatch) -> None:
        monkeypatch.setattr(invitations, "MAILS_A_DAY", 2)
        for number in range(2):
            invitations.invite(tenant.tenant_id, email=f"{number}-{address}", role="viewer", by="Ada", may=OWNER)
        with pytest.raises(TooManyAttempts):
            invitations.invite(tenant.tenant_id, email=address, role="viewer", by="Ada", may=OWNER)


class TestRoles:
    def test_of_two_owners_who_remove_each_other_one_stays(self, tenant, join) -> None:
        other = join(tenant, "owner")

        def remove(person_id: int) -> str:
            try:
                members.remove_member(tenant.tenant_id, person_id, may=OWNER)
            except members.LastOwner:
                return "refused"
            return "removed"

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(remove, [tenant.person_id, other.person_id])) == ["refused", "removed"]

    def test_of_two_owners_who_demote_each_other_one_stays(self, tenant, join) -> None:
        other = join(tenant, "owner")

        def demote(person_id: int) -> str:
            try:
                members.change_role(tenant.tenant_id, person_id, "viewer", may=OWNER)
            except members.LastOwner:
                return "refused"
            return "demoted"

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(demote, [tenant.person_id, other.person_id])) == ["demoted", "refused"]

    def test_the_last_owner_stays(self, tenant, join) -> None:
        join(tenant, "admin")
        for act in (
            lambda: members.leave(tenant.tenant_id, tenant.person_id),
            lambda: members.remove_member(tenant.tenant_id, tenant.person_id, may=OWNER),
            lambda: members.change_role(tenant.tenant_id, tenant.person_id, "admin", may=OWNER),
        ):
            with pytest.raises(members.LastOwner):
                act()

    def test_an_admin_does_not_touch_owners(self, tenant) -> None:
        for act in (
            lambda: members.remove_member(tenant.tenant_id, tenant.person_id, may=OF_ROLES["admin"]),
            lambda: members.change_role(tenant.tenant_id, tenant.person_id, "viewer", may=OF_ROLES["admin"]),
        ):
            with pytest.raises(members.BeyondYou):
                act()

    def test_the_company_is_handed_over(self, tenant, join) -> None:
        other = join(tenant, "editor")
        members.transfer_ownership(tenant.tenant_id, giver_id=tenant.person_id, taker_id=other.person_id)
        roles = {member.person_id: member.role for member in members.list_members(tenant.tenant_id)}
        assert roles == {tenant.person_id: "admin", other.person_id: "owner"}
        with pytest.raises(members.BeyondYou):
            members.transfer_ownership(tenant.tenant_id, giver_id=tenant.person_id, taker_id=other.person_id)

    def test_the_neighbours_members_are_nobody_here(self, tenant, neighbour) -> None:
        for act in (
            lambda: members.remove_member(tenant.tenant_id, neighbour.person_id, may=OWNER),
            lambda: members.change_role(tenant.tenant_id, neighbour.person_id, "viewer", may=OWNER),
            lambda: members.get_member(tenant.tenant_id, neighbour.person_id),
        ):
            with pytest.raises(NotFound):
                act()


class TestLeaving:
    def test_a_removed_members_sessions_die_at_once(self, tenant, join, mails_to, address) -> None:
        other = join(tenant)
        token = access.open_session(other.person_id, proven_by=("password",))
        members.remove_member(tenant.tenant_id, other.person_id, may=OWNER)
        assert access.find_visitor(token) is None
        assert "no longer a member" in mails_to(address)[-1]
        assert actions(tenant.tenant_id)[-1] == "member.removed"
        with tenant_session(tenant.tenant_id) as session:
            cut = "SELECT count(*) FROM tenancy.cuts WHERE tenant_id = :t AND handle = :handle"
            handle = f"member:{other.person_id}"
            assert session.execute(text(cut), {"t": tenant.tenant_id, "handle": handle}).scalar_one() == 1
        with pytest.raises(access.NotAMember):
            access.log_in(email=address, password=PASSWORD)

    def test_whoever_is_a_member_nowhere_may_make_a_company(self, tenant, join, address) -> None:
        join(tenant)
        members.leave(
            tenant.tenant_id, next(m.person_id for m in members.list_members(tenant.tenant_id) if m.email == address)
        )
        with pytest.raises(Conflict):
            access.sign_up(
                company="New", name="M", email=address, password="quite another passphrase", plugin="segment"
            )
        made = access.sign_up(company="New", name="M", email=address, password=PASSWORD, plugin="segment")
        visitor = access.find_visitor(access.log_in(email=address, password=PASSWORD))
        assert (visitor.tenant_id, visitor.role, visitor.verified) == (made.tenant_id, "owner", True)

    def test_a_suspended_member_is_out_until_resumed(self, tenant, join) -> None:
        other = join(tenant)
        token = access.open_session(other.person_id, proven_by=("password",))
        with tenant_session(tenant.tenant_id) as session:
            members.suspend_member(session, tenant.tenant_id, other.person_id)
        assert access.find_visitor(token) is None
        with pytest.raises(access.NotAMember):
            access.open_session(other.person_id, proven_by=("password",))
        with tenant_session(tenant.tenant_id) as session:
            members.resume_member(session, tenant.tenant_id, other.person_id)
        access.open_session(other.person_id, proven_by=("password",))

    def test_the_last_owner_is_not_suspended(self, tenant) -> None:
        with pytest.raises(members.LastOwner), tenant_session(tenant.tenant_id) as session:
            members.suspend_member(session, tenant.tenant_id, tenant.person_id)


class TestInviter:
    """Who invited a second address of theirs must not come back by it."""

    @pytest.fixture
    def admin(self, tenant, join, mails_to) -> Callable[..., tuple[int, str]]:
        """An admin's id, and the key of an invitation that they wrote."""

        def new(role: Role = "admin") -> tuple[int, str]:
            person_id = join(tenant, "owner" if role == "owner" else "admin").person_id
            second = f"second-{person_id}@feldspar.example.test"
            invitations.invite(
                tenant.tenant_id, email=second, role=role, by="Mira", by_id=person_id, may=OF_ROLES["owner"]
            )
            return person_id, mails_to(second).key

        return new

    @pytest.mark.parametrize(
        ("role", "ends"),
        [
            pytest.param("admin", lambda *who: members.remove_member(*who, may=OWNER), id="removed"),
            pytest.param("viewer", members.leave, id="left"),
            pytest.param("viewer", lambda *who: suspend(*who), id="suspended"),
            pytest.param(
                "viewer", lambda *who: members.change_role(*who, "editor", may=OWNER), id="may invite nobody any more"
            ),
            pytest.param("owner", lambda *who: members.change_role(*who, "admin", may=OWNER), id="no owner any more"),
            pytest.param("viewer", lambda *who: demote_by_directory(*who), id="demoted by provisioning"),
        ],
    )
    def test_what_they_invited_ends_with_their_right_to(self, tenant, admin, role: Role, ends) -> None:
        person_id, key = admin(role)
        assert invitations.open_invitation(key) is not None
        ends(tenant.tenant_id, person_id)
        assert invitations.open_invitation(key) is None
        assert "member.invitation_withdrawn" in actions(tenant.tenant_id)

    def test_what_they_may_still_give_stays_and_so_does_what_others_invited(self, tenant, admin, mails_to) -> None:
        person_id, key = admin("admin")
        members.change_role(tenant.tenant_id, person_id, "owner", may=OWNER)
        members.change_role(tenant.tenant_id, person_id, "admin", may=OWNER)
        others = f"third-{person_id}@feldspar.example.test"
        invitations.invite(tenant.tenant_id, email=others, role="viewer", by="API key 1", may=OWNER)
        assert invitations.open_invitation(key) is not None
        members.remove_member(tenant.tenant_id, person_id, may=OWNER)
        assert [each.email for each in invitations.list_invitations(tenant.tenant_id)] == [others]

    def test_whoever_hands_the_company_over_invites_no_owner(self, tenant, admin) -> None:
        person_id, key = admin("owner")
        members.transfer_ownership(tenant.tenant_id, giver_id=person_id, taker_id=tenant.person_id)
        assert invitations.open_invitation(key) is None

    def test_nobody_invites_who_was_removed_at_this_moment(self, tenant, admin) -> None:
        person_id, _ = admin()
        members.remove_member(tenant.tenant_id, person_id, may=OWNER)
        with pytest.raises(members.BeyondYou):
            invitations.invite(
                tenant.tenant_id, email="x@feldspar.example.test", role="viewer", by="Mira", by_id=person_id, may=OWNER
            )


def suspend(tenant_id: int, person_id: int) -> None:
    with tenant_session(tenant_id) as session:
        members.suspend_member(session, tenant_id, person_id)


def demote_by_directory(tenant_id: int, person_id: int) -> None:
    with tenant_session(tenant_id) as session:
        give_role(session, tenant_id, person_id, "viewer", by="provisioning")
