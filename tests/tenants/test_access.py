from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from assay_tenants import access
from assay_tenants.access import SignedUp
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import BadInput, Conflict
from assay_tenants.keys import find_caller

PASSWORD = "correct horse battery"


def sign_up(**changes: str) -> SignedUp:
    answers = {
        "company": "Hollow Creek Mills",
        "name": "Ines Okafor",
        "email": "ines@hollow-creek.example.test",
        "password": PASSWORD,
        "plugin": "segment",
    }
    return access.sign_up(**(answers | changes))


class TestSignUp:
    def test_makes_a_tenant_its_owner_and_a_working_write_key(self, address: str) -> None:
        new = sign_up(email=address.upper())
        visitor = access.find_visitor(access.log_in(email=address, password=PASSWORD))
        assert visitor is not None
        assert (visitor.tenant_id, visitor.role, visitor.company) == (new.tenant_id, "owner", "Hollow Creek Mills")
        caller = find_caller(new.write_key, kind="write")
        assert caller is not None
        assert caller.tenant_id == new.tenant_id

    def test_the_same_address_twice_is_a_conflict_and_leaves_no_half_tenant(self, address: str) -> None:
        sign_up(email=address)
        before = _tenants()
        with pytest.raises(Conflict) as refused:
            sign_up(email=f" {address.title()} ", company="Second Try")
        assert refused.value.field == "email"
        assert _tenants() == before

    def test_of_two_at_the_same_moment_one_wins(self, address: str) -> None:
        def attempt(_: int) -> str:
            try:
                sign_up(email=address)
            except Conflict:
                return "conflict"
            return "made"

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(attempt, range(4))) == ["conflict", "conflict", "conflict", "made"]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            pytest.param({"company": "   "}, "company", id="blank company"),
            pytest.param({"company": "x" * 201}, "company", id="company too long"),
            pytest.param({"name": ""}, "name", id="no name"),
            pytest.param({"email": "ines"}, "email", id="no address"),
            pytest.param({"email": "ines@localhost"}, "email", id="host without a dot"),
            pytest.param({"email": "in es@example.test"}, "email", id="space in the address"),
            pytest.param({"email": "a@" + "b" * 250 + ".test"}, "email", id="address too long"),
            pytest.param({"password": "short"}, "password", id="short password"),
            pytest.param({"password": "x" * 201}, "password", id="password too long to hash"),
        ],
    )
    def test_bad_answers_name_their_field(self, changes: dict[str, str], field: str) -> None:
        with pytest.raises(BadInput) as refused:
            sign_up(**changes)
        assert refused.value.field == field


class TestLogIn:
    @pytest.mark.parametrize(
        ("email", "password"),
        [
            pytest.param(None, "wrong horse battery", id="wrong password"),
            pytest.param("nobody@example.test", PASSWORD, id="unknown person"),
            pytest.param(None, "", id="empty password"),
            pytest.param("' OR 1=1 --", PASSWORD, id="SQL in the address"),
        ],
    )
    def test_one_answer_for_a_wrong_address_and_a_wrong_password(
        self, address: str, email: str | None, password: str
    ) -> None:
        sign_up(email=address)
        with pytest.raises(access.WrongCredentials) as refused:
            access.log_in(email=email or address, password=password)
        assert str(refused.value) == "The e-mail address or the password is wrong."

    def test_each_login_has_a_token_of_its_own(self, address: str) -> None:
        sign_up(email=address)
        first, second = (access.log_in(email=address, password=PASSWORD) for _ in range(2))
        access.log_out(first)
        assert access.find_visitor(first) is None
        assert access.find_visitor(second) is not None

    def test_an_expired_session_is_over(self, address: str) -> None:
        new = sign_up(email=address)
        token = access.log_in(email=address, password=PASSWORD)
        with tenant_session(new.tenant_id) as session:
            session.execute(
                text("UPDATE tenancy.sessions SET expires_at = now() - interval '1 second' WHERE tenant_id = :t"),
                {"t": new.tenant_id},
            )
        assert access.find_visitor(token) is None

    def test_a_key_is_no_session_token(self, address: str) -> None:
        assert access.find_visitor(sign_up(email=address).write_key) is None

    def test_passwords_and_tokens_are_stored_hashed(self, address: str) -> None:
        new = sign_up(email=address)
        token = access.log_in(email=address, password=PASSWORD)
        with directory_session() as session:
            person = session.execute(
                text("SELECT row_to_json(p)::text FROM tenancy.people p WHERE id = :id"), {"id": new.person_id}
            ).scalar_one()
            sessions = session.execute(text("SELECT string_agg(row_to_json(s)::text, '') FROM tenancy.sessions s"))
            stored = person + sessions.scalar_one()
        assert "$argon2id$" in person
        assert PASSWORD not in stored
        assert token.rpartition("_")[2] not in stored


def _tenants() -> int:
    with directory_session() as session:
        count: int = session.execute(text("SELECT count(*) FROM tenancy.tenants")).scalar_one()
    return count
