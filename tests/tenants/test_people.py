"""Addresses that are verified, passwords that are changed, and sessions that can be told apart."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from assay_tenants import access
from assay_tenants.access import (
    LinkOver,
    NotVerified,
    SignedUp,
    Visitor,
    WrongCredentials,
    passwords,
    people,
    recovery,
    sessions,
    verification,
)
from assay_tenants.access.devices import device
from assay_tenants.access.passwords import PASSWORD_LENGTH, check_strength
from assay_tenants.database import directory_session
from assay_tenants.errors import AssayError, BadInput, Conflict, NotFound

PASSWORD = "a long enough password"
OTHER = "quite another passphrase"


def sign_up(email: str) -> SignedUp:
    return access.sign_up(company="Hollow Creek", name="Ines Okafor", email=email, password=PASSWORD, plugin="segment")


def come_in(email: str, password: str = PASSWORD) -> tuple[Visitor, str]:
    token = access.log_in(email=email, password=password, address="203.0.113.7", agent="Mozilla/5.0 Firefox/150.0")
    visitor = access.find_visitor(token)
    assert visitor is not None
    return visitor, token


class TestVerification:
    def test_a_new_person_is_asked_and_may_not_reach_beyond(self, address, mails_to) -> None:
        sign_up(address)
        visitor, token = come_in(address)
        assert not visitor.verified
        with pytest.raises(NotVerified):
            access.require_verified(visitor)
        assert len(mails_to(address)) == 1
        assert verification.find_verification(mails_to(address).key) == verification.Sent(visitor.person_id, address)
        assert verification.verify(mails_to(address).key, by=visitor.person_id) == address
        access.require_verified(access.find_visitor(token))

    def test_a_link_works_once_also_at_the_same_moment(self, address, mails_to) -> None:
        person_id = sign_up(address).person_id
        key = mails_to(address).key

        def use(_: int) -> str:
            try:
                return verification.verify(key, by=person_id)
            except LinkOver:
                return "over"

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(use, range(4))) == [address, "over", "over", "over"]

    def test_a_link_ends_after_a_day_and_a_new_one_voids_it(self, address, mails_to) -> None:
        sign_up(address)
        visitor, _ = come_in(address)
        first = mails_to(address).key
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=24, seconds=1)), pytest.raises(LinkOver):
            verification.verify(first, by=visitor.person_id)
        verification.send_again(visitor)
        with pytest.raises(LinkOver):
            verification.verify(first, by=visitor.person_id)
        verification.verify(mails_to(address).key, by=visitor.person_id)

    @pytest.mark.parametrize("key", ["", "vl_0_", "x" * 5000, "rl_0_" + "a" * 44, "vl_0_" + "a" * 44, "\x00"])
    def test_what_is_no_link_is_over(self, connected, key: str) -> None:
        with pytest.raises(LinkOver):
            verification.verify(key, by=None)
        assert verification.find_verification(key) is None

    def test_links_are_stored_hashed(self, address, mails_to) -> None:
        sign_up(address)
        with directory_session() as session:
            stored = session.execute(text("SELECT string_agg(row_to_json(l)::text, '') FROM tenancy.person_links l"))
            assert mails_to(address).key.rpartition("_")[2] not in stored.scalar_one()


class TestChangingTheAddress:
    def test_the_new_one_is_verified_and_the_old_one_told(self, address, mails_to) -> None:
        sign_up(address)
        visitor, token = come_in(address)
        new = f"new-{address}"
        verification.ask_for_address(visitor, email=new.upper(), password=PASSWORD)
        assert access.find_visitor(token).email == address
        verification.verify(mails_to(new).key, by=visitor.person_id)
        assert access.find_visitor(token).email == new
        assert new in mails_to(address)[-1]
        come_in(new)
        with pytest.raises(WrongCredentials):
            come_in(address)

    def test_an_address_that_somebody_has_is_not_taken_from_them(self, address, tenant, mails_to) -> None:
        sign_up(address)
        sign_up(f"other-{address}")
        visitor, _ = come_in(address)
        verification.ask_for_address(visitor, email=f"other-{address}", password=PASSWORD)
        with pytest.raises(Conflict):
            verification.verify(mails_to(f"other-{address}").key, by=visitor.person_id)
        assert come_in(address)[0].email == address

    @pytest.mark.parametrize(
        ("email", "password", "field"),
        [
            pytest.param("new@example.test", OTHER, "address_password", id="wrong password"),
            pytest.param("new", PASSWORD, "email", id="no address"),
            pytest.param(None, PASSWORD, "email", id="the same address"),
        ],
    )
    def test_bad_answers_name_their_field(self, address, email: str | None, password: str, field: str) -> None:
        sign_up(address)
        with pytest.raises(AssayError) as refused:
            verification.ask_for_address(come_in(address)[0], email=email or address, password=password)
        assert refused.value.field == field


class TestReset:
    def test_sets_a_password_ends_all_sessions_and_verifies(self, address, mails_to) -> None:
        sign_up(address)
        _, token = come_in(address)
        recovery.ask_for_reset(address.upper(), address="203.0.113.9")
        assert recovery.send_links() >= 1
        assert "203.0.113.9" in mails_to(address)[-1]
        key = mails_to(address).key
        with pytest.raises(BadInput):
            recovery.reset(key, "password1234")
        assert recovery.reset(key, OTHER) == address
        assert access.find_visitor(token) is None
        assert come_in(address, OTHER)[0].verified
        assert mails_to(address)[-1].startswith("Your password was changed")
        with pytest.raises(LinkOver):
            recovery.reset(key, PASSWORD)

    def test_nobody_is_written_to_who_has_no_account(self, connected, mails_to) -> None:
        recovery.ask_for_reset("nobody@example.test")
        recovery.send_links()
        assert mails_to("nobody@example.test") == []
        with directory_session() as session:
            assert session.execute(text("SELECT count(*) FROM tenancy.reset_requests")).scalar_one() == 0

    def test_many_requests_are_one_mail(self, address, mails_to) -> None:
        sign_up(address)
        for _ in range(5):
            recovery.ask_for_reset(address)
        recovery.send_links()
        assert len(mails_to(address)) == 2

    def test_a_link_ends_after_an_hour(self, address, mails_to) -> None:
        sign_up(address)
        recovery.ask_for_reset(address)
        recovery.send_links()
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=1, seconds=1)), pytest.raises(LinkOver):
            recovery.reset(mails_to(address).key, OTHER)

    def test_a_link_to_a_former_address_is_void(self, address, mails_to) -> None:
        sign_up(address)
        visitor, _ = come_in(address)
        recovery.ask_for_reset(address)
        recovery.send_links()
        key = mails_to(address).key
        verification.ask_for_address(visitor, email=f"new-{address}", password=PASSWORD)
        verification.verify(mails_to(f"new-{address}").key, by=visitor.person_id)
        with pytest.raises(LinkOver):
            recovery.reset(key, OTHER)


class TestPasswords:
    def test_changing_it_ends_the_other_sessions_alone(self, address, mails_to) -> None:
        sign_up(address)
        (visitor, token), (_, other) = come_in(address), come_in(address)
        recovery.change_password(visitor, token, present=PASSWORD, password=OTHER)
        assert access.find_visitor(token) is not None
        assert access.find_visitor(other) is None
        come_in(address, OTHER)
        assert mails_to(address)[-1].startswith("Your password was changed")

    @pytest.mark.parametrize(
        ("present", "password", "field"),
        [
            pytest.param("not the one at all", OTHER, "present", id="wrong present one"),
            pytest.param(PASSWORD, PASSWORD, "password", id="the same again"),
            pytest.param(PASSWORD, "Ines Okafor Hollow Creek", "password", id="name and company"),
        ],
    )
    def test_bad_answers_name_their_field(self, address, present: str, password: str, field: str) -> None:
        sign_up(address)
        visitor, token = come_in(address)
        with pytest.raises(AssayError) as refused:
            recovery.change_password(visitor, token, present=present, password=password)
        assert refused.value.field == field

    @pytest.mark.parametrize(
        ("password", "why"),
        [
            pytest.param("password1234", "most used passwords", id="common"),
            pytest.param("qwertyuiop12", "most used passwords", id="rows of keys, common"),
            pytest.param("rtyuiopfghjkl", "rows of keys", id="rows of keys"),
            pytest.param("aaaaaaaaaaaa", "repeating something", id="repeats"),
            pytest.param("ab12" * 40, "repeating something", id="long repeats"),
            pytest.param("abcdefghijkl", "rows like abcdef", id="sequence"),
            pytest.param("ines okafor 1", "your own name", id="name"),
            pytest.param("hollowcreek1", "your own name", id="company"),
            pytest.param("assayassay12", "", id="the product"),
        ],
    )
    def test_weak_ones_are_refused_and_told_why(self, password: str, why: str) -> None:
        with pytest.raises(BadInput) as refused:
            check_strength(password, about=("Ines Okafor", "ines@hollow-creek.example.test", "Hollow Creek"))
        assert refused.value.field == "password"
        assert "too easy to guess" in refused.value.message
        assert why in refused.value.message.lower()

    @pytest.mark.parametrize("password", [PASSWORD, "correct horse battery", "Xq7!mv29Lp#w", "vệ tinh xanh lá cây"])
    def test_strong_ones_are_taken(self, password: str) -> None:
        check_strength(password, about=("Ines Okafor", "ines@hollow-creek.example.test", "Hollow Creek"))

    @given(st.text(max_size=250))
    def test_any_text_is_taken_or_refused_in_a_sentence(self, password: str) -> None:
        with contextlib.suppress(BadInput):
            check_strength(password, about=(password[:20], "ines@example.test", ""))
            assert len(password) in PASSWORD_LENGTH

    def test_a_hash_of_other_parameters_is_made_anew_at_login(self, address, hasher, monkeypatch) -> None:
        monkeypatch.setattr(passwords, "_hasher", hasher)
        weaker = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
        sign_up(address)
        with directory_session() as session:
            session.execute(
                text("UPDATE tenancy.people SET password_hash = :h WHERE email = :e"), {"h": weaker, "e": address}
            )
        come_in(address)
        with directory_session() as session:
            person = people.find_person(session, address)
        assert person.password_hash != weaker
        assert "m=19456,t=2" in person.password_hash
        come_in(address)


class TestSessions:
    def test_are_listed_with_where_they_are(self, address) -> None:
        sign_up(address)
        visitor, _ = come_in(address)
        come_in(address)
        listed = sessions.list_sessions(visitor)
        assert [session.is_this for session in listed] == [False, True]
        assert {session.address for session in listed} == {"203.0.113.7"}
        assert {device(session.agent) for session in listed} == {"Firefox"}

    def test_one_is_ended_and_all_others(self, address) -> None:
        sign_up(address)
        visitor, token = come_in(address)
        tokens = [come_in(address)[1] for _ in range(3)]
        sessions.revoke_session(visitor, sessions.list_sessions(visitor)[0].id)
        assert sum(access.find_visitor(each) is None for each in tokens) == 1
        assert sessions.revoke_others(visitor) == 2
        assert all(access.find_visitor(each) is None for each in tokens)
        assert access.find_visitor(token) is not None

    def test_somebody_elses_is_not_found(self, address, tenant) -> None:
        sign_up(address)
        visitor, _ = come_in(address)
        other = access.find_visitor(access.open_session(tenant.person_id, proven_by=("password",)))
        with pytest.raises(NotFound):
            sessions.revoke_session(visitor, other.session_id)

    @pytest.mark.parametrize(
        ("visits", "alive"),
        [
            pytest.param([timedelta(days=2, hours=23)], True, id="before three days without use"),
            pytest.param([timedelta(days=3, minutes=1)], False, id="after three days without use"),
            pytest.param([timedelta(days=day) for day in range(1, 14)], True, id="used every day for 13 days"),
            pytest.param([timedelta(days=day) for day in range(1, 16)], False, id="14 days, however busy"),
        ],
    )
    def test_end_by_themselves(self, address, visits: list[timedelta], alive: bool) -> None:
        began = datetime.now(UTC)
        sign_up(address)
        _, token = come_in(address)
        for visit in visits:
            with time_machine.travel(began + visit):
                found = access.find_visitor(token)
        assert (found is not None) == alive

    def test_last_use_is_not_written_at_each_request(self, address) -> None:
        sign_up(address)
        visitor, token = come_in(address)

        def seen(after: timedelta) -> datetime:
            with time_machine.travel(datetime.now(UTC) + after):
                access.find_visitor(token)
            return sessions.list_sessions(visitor)[0].last_seen_at

        first = seen(timedelta(minutes=1))
        assert seen(timedelta(minutes=9)) == first
        assert seen(timedelta(minutes=11)) > first

    def test_going_to_another_company_makes_none_last_longer_or_fresher(self, address) -> None:
        began = datetime.now(UTC)
        sign_up(address)
        visitor, token = come_in(address)
        other = access.make_company(visitor, company="Second", plugin="segment")
        with time_machine.travel(began + timedelta(days=2)):
            token = access.switch_tenant(token, other.tenant_id)
            assert not access.find_visitor(token).is_fresh()
        for day in range(4, 15, 2):
            with time_machine.travel(began + timedelta(days=day, minutes=1)):
                found = access.find_visitor(token)
            assert (found is not None) == (day < 14)

    def test_a_proof_is_fresh_for_a_quarter_of_an_hour(self, address) -> None:
        sign_up(address)
        _, token = come_in(address)
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16)):
            assert not access.find_visitor(token).is_fresh()
            access.prove_again(token, proven_by="passkey")
            again = access.find_visitor(token)
            assert again.is_fresh()
            assert again.proven_by == ("password", "passkey")

    @pytest.mark.parametrize(
        ("agent", "said"),
        [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/150.0 Safari/537.36", "Chrome on Windows"),
            ("Mozilla/5.0 (Windows NT 10.0) Chrome/150.0 Safari/537.36 Edg/150.0", "Edge on Windows"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26.0 Safari/604.1", "Safari on an iPhone"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15) Gecko/20100101 Firefox/150.0", "Firefox on a Mac"),
            ("Mozilla/5.0 (Linux; Android 16) Chrome/150.0 Mobile Safari/537.36", "Chrome on Android"),
            ("curl/8.9", "curl"),
            ("", "Another program"),
        ],
    )  # fmt: skip
    def test_a_device_is_said_in_plain_words(self, agent: str, said: str) -> None:
        assert device(agent) == said
