import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import update

from assay_tenants import access
from assay_tenants.database import directory_session
from assay_tenants.errors import BadInput, Conflict, Forbidden, NotFound
from assay_tenants.factors import NoPasskeysHere, Site, WrongFactor, list_methods, overview, passkeys
from assay_tenants.factors.entering import enter_by_passkey
from assay_tenants.models import Person

PRESENT = 0x01
LATER = timedelta(minutes=6)


@pytest.fixture
def device(somebody: Any) -> Any:
    return somebody.adds_passkey()


def prove(who: Any, site: Site, answer: str) -> None:
    passkeys.prove(who.person_id, answer=answer, site=site)


class TestRegistering:
    def test_it_is_a_factor_and_brings_recovery_codes(self, somebody: Any, make_device: Any, site: Site) -> None:
        options = passkeys.ask_to_register(somebody.person_id, site)
        assert options["authenticatorSelection"]["residentKey"] == "preferred"
        codes = passkeys.register(
            somebody.person_id,
            answer=make_device().registers(options),
            name="  My   phone ",
            site=site,
            token=somebody.token,
        )
        assert len(codes) == 10
        assert list_methods(somebody.person_id) == ("passkey", "recovery")
        assert [key.name for key in overview(somebody.person_id).passkeys] == ["My phone"]
        assert somebody.mails()[-1] == "The passkey “My phone” was added to your login to Assay"

    def test_several_know_the_person_by_one_handle_and_not_by_her_name(self, somebody: Any, site: Site) -> None:
        first, second = somebody.adds_passkey(), somebody.adds_passkey("A key")
        assert first.handle == second.handle
        assert len(first.handle) == 32
        excluded = passkeys.ask_to_register(somebody.person_id, site)["excludeCredentials"]
        assert len(excluded) == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param({"origin": "https://assay.example.test.evil.example"}, id="another origin"),
            pytest.param({"origin": "http://assay.example.test"}, id="without TLS"),
            pytest.param({"rp_id": "evil.example"}, id="another relying party"),
            pytest.param({"challenge": "AAAA"}, id="a challenge of nobody's"),
        ],
    )
    def test_wrong_answers_are_kept_out(self, somebody: Any, make_device: Any, site: Site, wrong: Any) -> None:
        answer = make_device().registers(passkeys.ask_to_register(somebody.person_id, site), **wrong)
        with pytest.raises(WrongFactor) as refused:
            passkeys.register(somebody.person_id, answer=answer, name="My phone", site=site, token="")
        assert refused.value.field == "credential"
        assert list_methods(somebody.person_id) == ()

    def test_one_challenge_makes_one_passkey(self, somebody: Any, make_device: Any, site: Site) -> None:
        options = passkeys.ask_to_register(somebody.person_id, site)
        for device, works in ((make_device(), True), (make_device(), False)):
            answer = device.registers(options)
            try:
                passkeys.register(somebody.person_id, answer=answer, name="One", site=site, token=somebody.token)
            except WrongFactor:
                assert not works
        assert len(overview(somebody.person_id).passkeys) == 1

    def test_another_persons_challenge(self, somebody: Any, other: Any, make_device: Any, site: Site) -> None:
        answer = make_device().registers(passkeys.ask_to_register(other.person_id, site))
        with pytest.raises(WrongFactor):
            passkeys.register(somebody.person_id, answer=answer, name="Theirs", site=site, token="")

    def test_a_credential_belongs_to_one_person(self, other: Any, device: Any, site: Site) -> None:
        answer = device.registers(passkeys.ask_to_register(other.person_id, site))
        with pytest.raises(Conflict, match="registered already"):
            passkeys.register(other.person_id, answer=answer, name="Same", site=site, token=other.token)

    @pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "a\u202eb"])
    def test_needs_a_name(self, somebody: Any, make_device: Any, site: Site, name: str) -> None:
        answer = make_device().registers(passkeys.ask_to_register(somebody.person_id, site))
        with pytest.raises(BadInput) as refused:
            passkeys.register(somebody.person_id, answer=answer, name=name, site=site, token="")
        assert refused.value.field == "name"

    def test_is_for_verified_addresses(self, somebody: Any, site: Site) -> None:
        with directory_session() as session:
            session.execute(update(Person).where(Person.id == somebody.person_id).values(email_verified_at=None))
        with pytest.raises(Forbidden, match="First verify"):
            passkeys.ask_to_register(somebody.person_id, site)

    def test_there_is_an_end(self, somebody: Any, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(passkeys, "MOST", 1)
        somebody.adds_passkey()
        with pytest.raises(Conflict, match="Remove one"):
            passkeys.ask_to_register(somebody.person_id, site)


class TestSecondStep:
    def test_a_passkey_proves_its_owner(self, somebody: Any, device: Any, site: Site) -> None:
        options = somebody.is_asked()
        assert len(options["allowCredentials"]) == 1
        prove(somebody, site, device.signs(options))
        assert overview(somebody.person_id).passkeys[0].last_used_at is not None

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param({"origin": "https://evil.example"}, id="another origin"),
            pytest.param({"origin": "https://assay.example.test:8443"}, id="another port"),
            pytest.param({"rp_id": "evil.example"}, id="another relying party"),
            pytest.param({"signature": b"\x30\x06\x02\x01\x01\x02\x01\x01"}, id="another signature"),
            pytest.param({"handle": b"somebody else"}, id="another person's handle"),
            pytest.param({"flags": 0}, id="nobody present"),
        ],
    )
    def test_wrong_answers(self, somebody: Any, device: Any, site: Site, wrong: Any) -> None:
        with pytest.raises(WrongFactor):
            prove(somebody, site, device.signs(somebody.is_asked(), **wrong))

    def test_an_answer_is_good_once(self, somebody: Any, device: Any, site: Site) -> None:
        answer = device.signs(somebody.is_asked())
        prove(somebody, site, answer)
        with pytest.raises(WrongFactor, match="sent twice"):
            prove(somebody, site, answer)

    def test_a_refused_answer_uses_its_challenge_up(self, somebody: Any, device: Any, site: Site) -> None:
        options = somebody.is_asked()
        with pytest.raises(WrongFactor):
            prove(somebody, site, device.signs(options, signature=b"none"))
        with pytest.raises(WrongFactor, match="sent twice"):
            prove(somebody, site, device.signs(options))

    def test_after_five_minutes_it_is_too_late(self, somebody: Any, device: Any, site: Site) -> None:
        answer = device.signs(somebody.is_asked())
        with (
            time_machine.travel(datetime.now(UTC) + LATER, tick=False),
            pytest.raises(WrongFactor, match="longer than five minutes"),
        ):
            prove(somebody, site, answer)

    def test_another_persons_challenge(self, somebody: Any, other: Any, device: Any, site: Site) -> None:
        other.adds_passkey()
        with pytest.raises(WrongFactor):
            prove(somebody, site, device.signs(other.is_asked()))

    def test_another_persons_passkey(self, somebody: Any, other: Any, device: Any, site: Site) -> None:
        with pytest.raises(WrongFactor, match="not registered"):
            prove(somebody, site, other.adds_passkey().signs(somebody.is_asked()))

    def test_a_challenge_for_something_else(self, somebody: Any, device: Any, site: Site) -> None:
        for_registering = passkeys.ask_to_register(somebody.person_id, site)
        with pytest.raises(WrongFactor):
            prove(somebody, site, device.signs(for_registering))

    def test_removed_it_opens_nothing(self, somebody: Any, device: Any, site: Site) -> None:
        options = somebody.is_asked()
        passkeys.remove(somebody.person_id, overview(somebody.person_id).passkeys[0].id)
        with pytest.raises(WrongFactor, match="not registered"):
            prove(somebody, site, device.signs(options))
        assert list_methods(somebody.person_id) == ()

    def test_at_another_site_it_is_unknown(self, somebody: Any, device: Any) -> None:
        elsewhere = Site("https://other.example.test", "other.example.test")
        device.site = elsewhere
        with pytest.raises(WrongFactor, match="not registered"):
            prove(somebody, elsewhere, device.signs(somebody.is_asked()))

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param("", id="nothing"),
            pytest.param("{}", id="nothing in it"),
            pytest.param("[" * 15_000, id="deeper than anybody reads"),
            pytest.param("x" * 20_001, id="a book"),
            pytest.param(json.dumps({"id": "*", "rawId": "*", "type": "public-key", "response": {}}), id="no response"),
            pytest.param('{"id": 1, "rawId": null, "type": [], "response": "x"}', id="other types"),
        ],
    )
    def test_what_is_no_answer(self, somebody: Any, site: Site, answer: str) -> None:
        with pytest.raises(WrongFactor):
            prove(somebody, site, answer)

    def test_parts_that_are_broken(self, somebody: Any, device: Any, site: Site) -> None:
        for part in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
            for value in ("AA", "e30", "W1tb", 7, []):
                answer = json.loads(device.signs(somebody.is_asked()))
                answer["response"][part] = value
                with pytest.raises(WrongFactor):
                    prove(somebody, site, json.dumps(answer))


class TestCopies:
    @pytest.mark.parametrize(
        ("known", "told", "opens"),
        [
            pytest.param(5, 6, True, id="counts on"),
            pytest.param(5, 900, True, id="was used elsewhere meanwhile"),
            pytest.param(0, 0, True, id="does not count"),
            pytest.param(5, 5, False, id="stood still"),
            pytest.param(5, 4, False, id="went back"),
            pytest.param(5, 0, False, id="stopped counting"),
        ],
    )
    def test_a_counter_only_goes_on(
        self, somebody: Any, device: Any, site: Site, known: int, told: int, opens: bool
    ) -> None:
        with directory_session() as session:
            session.execute(
                update(passkeys.Passkey)
                .where(passkeys.Passkey.person_id == somebody.person_id)
                .values(sign_count=known)
            )
        if opens:
            prove(somebody, site, device.signs(somebody.is_asked(), counter=told))
            return
        with pytest.raises(WrongFactor, match="two copies"):
            prove(somebody, site, device.signs(somebody.is_asked(), counter=told))
        assert "two copies of your passkey" in somebody.mails()[-1]
        assert overview(somebody.person_id).passkeys[0].copied_at is not None

    def test_neither_copy_opens_anything_then_nor_the_password_alone(
        self, somebody: Any, device: Any, site: Site
    ) -> None:
        with pytest.raises(WrongFactor, match="two copies"):
            prove(somebody, site, device.signs(somebody.is_asked(), counter=1))
        with pytest.raises(WrongFactor, match="two copies"):
            prove(somebody, site, device.signs(somebody.is_asked(), counter=99))
        assert list_methods(somebody.person_id) == ("passkey", "recovery")

    def test_of_two_with_one_counter_at_once_one_is_seen_to_be_a_copy(
        self, somebody: Any, device: Any, site: Site
    ) -> None:
        answers = [device.signs(somebody.is_asked(), counter=7) for _ in range(2)]

        def attempt(answer: str) -> bool:
            try:
                prove(somebody, site, answer)
            except WrongFactor:
                return False
            return True

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(attempt, answers)) == [False, True]


class TestAlone:
    @pytest.fixture
    def asked(self, device: Any, site: Site) -> dict[str, Any]:
        return passkeys.ask("log_in", site, bound_to=passkeys.of_browser("b"))

    def test_it_logs_in(self, somebody: Any, device: Any, site: Site, asked: Any) -> None:
        assert (asked["allowCredentials"], asked["userVerification"]) == ([], "required")
        visitor = access.find_visitor(enter_by_passkey(answer=device.signs(asked), site=site, browser="b"))
        assert visitor is not None
        assert (visitor.person_id, visitor.proven_by) == (somebody.person_id, ("passkey",))

    @pytest.mark.parametrize(
        ("wrong", "browser"),
        [
            pytest.param({"flags": PRESENT}, "b", id="the device asked nobody who it is"),
            pytest.param({"handle": b""}, "b", id="it does not say whose it is"),
            pytest.param({"handle": b"other"}, "b", id="it says another's"),
            pytest.param({"origin": "https://evil.example"}, "b", id="another origin"),
            pytest.param({}, "another", id="another browser's challenge"),
            pytest.param({}, "", id="no browser's"),
        ],
    )
    def test_wrong_answers(self, device: Any, site: Site, asked: Any, wrong: Any, browser: str) -> None:
        with pytest.raises(WrongFactor):
            enter_by_passkey(answer=device.signs(asked, **wrong), site=site, browser=browser)

    def test_a_challenge_for_the_second_step_is_none_for_this(self, somebody: Any, device: Any, site: Site) -> None:
        with pytest.raises(WrongFactor):
            enter_by_passkey(answer=device.signs(somebody.is_asked()), site=site, browser="b")


def test_a_neighbours_passkey_is_neither_renamed_nor_removed(somebody: Any, other: Any, device: Any) -> None:
    passkey_id = overview(somebody.person_id).passkeys[0].id
    other.adds_passkey()
    with pytest.raises(NotFound):
        passkeys.rename(other.person_id, passkey_id, "Mine now")
    with pytest.raises(NotFound):
        passkeys.remove(other.person_id, passkey_id)
    passkeys.rename(somebody.person_id, passkey_id, "Old phone")
    assert overview(somebody.person_id).passkeys[0].name == "Old phone"


@pytest.mark.parametrize(
    ("address", "origin", "rp_id"),
    [
        pytest.param("https://assay.example.test/", "https://assay.example.test", "assay.example.test", id="plain"),
        pytest.param("https://Assay.Example.test:443", "https://assay.example.test", "assay.example.test", id="usual"),
        pytest.param("http://localhost:8000", "http://localhost:8000", "localhost", id="this machine"),
        pytest.param("https://a.test:8443/x", "https://a.test:8443", "a.test", id="port and path"),
        pytest.param("https://bücher.test", "https://xn--bcher-kva.test", "xn--bcher-kva.test", id="other letters"),
    ],
)
def test_a_site_is_written_as_browsers_write_it(address: str, origin: str, rp_id: str) -> None:
    assert Site.of(address) == Site(origin, rp_id)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://[::1]:8000", "https://", "https://☃\u200d.test"])
def test_numbers_are_no_names(address: str) -> None:
    with pytest.raises(NoPasskeysHere, match="localhost"):
        Site.of(address)
