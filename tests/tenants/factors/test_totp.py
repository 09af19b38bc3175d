from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import time_machine
from sqlalchemy import select, update

from assay_tenants import access, sealing
from assay_tenants.database import directory_session
from assay_tenants.errors import Conflict, Forbidden, NotFound
from assay_tenants.factors import WrongFactor, list_methods, overview, totp
from assay_tenants.factors.models import Totp
from assay_tenants.models import Person

NOW = datetime.now(UTC).replace(second=10, microsecond=0)
STEP = timedelta(seconds=30)


@pytest.fixture
def app(somebody: Any) -> pyotp.TOTP:
    """An app whose last code was of half an hour ago."""
    with time_machine.travel(NOW - timedelta(minutes=30), tick=False):
        return somebody.adds_app()


class TestAdding:
    def test_counts_only_once_a_code_of_it_was_right(self, somebody: Any) -> None:
        totp.start(somebody.person_id)
        assert list_methods(somebody.person_id) == ()
        enrolment = totp.enrolment(somebody.person_id)
        assert enrolment is not None
        with pytest.raises(WrongFactor):
            totp.confirm(somebody.person_id, "000000", token=somebody.token)
        assert list_methods(somebody.person_id) == ()
        codes = totp.confirm(somebody.person_id, pyotp.TOTP(enrolment.secret).now(), token=somebody.token)
        assert len(codes) == 10
        assert list_methods(somebody.person_id) == ("totp", "recovery")
        assert somebody.mails()[-1] == "An authenticator app was added to your login to Assay"

    def test_a_second_start_takes_the_place_of_the_first(self, somebody: Any) -> None:
        totp.start(somebody.person_id)
        first = totp.enrolment(somebody.person_id)
        totp.start(somebody.person_id)
        with pytest.raises(WrongFactor):
            totp.confirm(somebody.person_id, pyotp.TOTP(first.secret).now(), token=somebody.token)

    def test_waits_for_half_an_hour(self, somebody: Any) -> None:
        totp.start(somebody.person_id)
        secret = totp.enrolment(somebody.person_id).secret
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=31), tick=False):
            assert totp.enrolment(somebody.person_id) is None
            with pytest.raises(Conflict, match="Start again"):
                totp.confirm(somebody.person_id, pyotp.TOTP(secret).now(), token=somebody.token)

    def test_there_is_one(self, somebody: Any, app: pyotp.TOTP) -> None:
        with pytest.raises(Conflict, match="Remove it first"):
            totp.start(somebody.person_id)
        assert totp.enrolment(somebody.person_id) is None

    def test_sessions_that_were_opened_without_end(self, somebody: Any) -> None:
        elsewhere = access.log_in(email=somebody.email, password="a long enough password")
        somebody.adds_app()
        assert access.find_visitor(elsewhere) is None
        assert access.find_visitor(somebody.token) is not None

    def test_is_for_verified_addresses(self, somebody: Any) -> None:
        with directory_session() as session:
            session.execute(update(Person).where(Person.id == somebody.person_id).values(email_verified_at=None))
        with pytest.raises(Forbidden, match="First verify"):
            totp.start(somebody.person_id)

    def test_the_secret_is_sealed_for_this_person(self, somebody: Any, other: Any, app: pyotp.TOTP) -> None:
        with directory_session() as session:
            sealed = session.scalars(select(Totp.sealed).where(Totp.person_id == somebody.person_id)).one()
        assert app.secret.encode() not in sealed
        with pytest.raises(sealing.CannotOpen):
            sealing.unseal(0, "totp", sealed, row=other.person_id)


@pytest.mark.parametrize(
    ("offset", "taken"),
    [
        pytest.param(-2, False, id="a minute old"),
        pytest.param(-1, True, id="the one before"),
        pytest.param(0, True, id="the one shown"),
        pytest.param(1, True, id="the one after"),
        pytest.param(2, False, id="a minute early"),
    ],
)
def test_a_code_is_good_for_one_step_to_either_side(somebody: Any, app: pyotp.TOTP, offset: int, taken: bool) -> None:
    with time_machine.travel(NOW, tick=False):
        code = app.at(NOW, counter_offset=offset)
        if taken:
            totp.prove(somebody.person_id, f" {code[:3]} {code[3:]} ")
        else:
            with pytest.raises(WrongFactor, match="not right"):
                totp.prove(somebody.person_id, code)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="nothing"),
        pytest.param("12345", id="five digits"),
        pytest.param("1234567", id="seven digits"),
        pytest.param("12345a", id="a letter"),
        pytest.param("１２３４５６", id="digits of another script"),
        pytest.param("1" * 100_000, id="a book"),
        pytest.param("\x00" * 6, id="zeros that are none"),
    ],
)
def test_what_is_no_code_is_told_what_one_looks_like(somebody: Any, app: pyotp.TOTP, code: str) -> None:
    with pytest.raises(WrongFactor, match="six digits") as refused:
        totp.prove(somebody.person_id, code)
    assert refused.value.field == "code"


def test_each_code_is_taken_once_and_none_before_it(somebody: Any, app: pyotp.TOTP) -> None:
    with time_machine.travel(NOW, tick=False):
        totp.prove(somebody.person_id, app.now())
        for offset in (0, -1):
            with pytest.raises(WrongFactor, match="used already"):
                totp.prove(somebody.person_id, app.at(NOW, counter_offset=offset))
    with time_machine.travel(NOW + STEP, tick=False):
        totp.prove(somebody.person_id, app.now())


def test_the_code_that_confirmed_is_used_up(somebody: Any) -> None:
    with time_machine.travel(NOW, tick=False):
        app = somebody.adds_app()
        with pytest.raises(WrongFactor, match="used already"):
            totp.prove(somebody.person_id, app.now())


def test_of_many_with_one_code_at_once_one_gets_in(somebody: Any, app: pyotp.TOTP) -> None:
    code = app.now()

    def attempt(_: int) -> bool:
        try:
            totp.prove(somebody.person_id, code)
        except WrongFactor:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(attempt, range(8))) == [False] * 7 + [True]


def test_another_persons_code_proves_nothing(somebody: Any, other: Any, app: pyotp.TOTP) -> None:
    other.adds_app()
    with pytest.raises(WrongFactor):
        totp.prove(other.person_id, app.now())


def test_nobody_without_an_app_has_a_code(somebody: Any) -> None:
    totp.start(somebody.person_id)
    pending = pyotp.TOTP(totp.enrolment(somebody.person_id).secret)
    with pytest.raises(WrongFactor, match="no authenticator app"):
        totp.prove(somebody.person_id, pending.now())


def test_removed_it_opens_nothing(somebody: Any, app: pyotp.TOTP) -> None:
    totp.remove(somebody.person_id)
    with pytest.raises(WrongFactor):
        totp.prove(somebody.person_id, app.now())
    with pytest.raises(NotFound):
        totp.remove(somebody.person_id)
    assert list_methods(somebody.person_id) == ()
    assert overview(somebody.person_id).codes_left == 0
    assert somebody.mails()[-1] == "The authenticator app was removed from your login to Assay"
