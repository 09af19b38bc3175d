from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import time_machine
from flask import Flask

from assay.web import attempts
from assay_tenants.access import WrongCredentials
from assay_tenants.errors import TooManyAttempts

_places = count(1)


@pytest.fixture
def place() -> str:
    """A network address that no other test uses."""
    number = next(_places)
    return f"203.0.113.{number}"


def fail(app: Flask, place: str, *, email: str) -> None:
    with (
        app.test_request_context(environ_base={"REMOTE_ADDR": place}),
        pytest.raises(WrongCredentials),
        attempts.log_in_of(email),
    ):
        raise WrongCredentials


def succeed(app: Flask, place: str, *, email: str) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": place}), attempts.log_in_of(email):
        pass


class TestLogIn:
    def test_after_ten_wrong_passwords_a_person_has_to_wait_wherever_they_are(self, app: Flask, place: str) -> None:
        email = f"{place}@example.test"
        for _ in range(10):
            fail(app, place, email=email)
        with pytest.raises(TooManyAttempts) as refused:
            succeed(app, "198.51.100.1", email=email.upper())
        assert "minutes" in refused.value.message
        assert timedelta(minutes=4) < refused.value.after <= timedelta(minutes=5)

    def test_others_are_not_held_up_by_that(self, app: Flask, place: str) -> None:
        for _ in range(10):
            fail(app, place, email=f"{place}@example.test")
        succeed(app, place, email=f"other-{place}@example.test")

    def test_right_passwords_are_not_counted(self, app: Flask, place: str) -> None:
        for _ in range(15):
            succeed(app, place, email=f"{place}@example.test")

    def test_one_place_cannot_try_many_people(self, app: Flask, place: str) -> None:
        for number in range(100):
            fail(app, place, email=f"{number}-{place}@example.test")
        with pytest.raises(TooManyAttempts):
            succeed(app, place, email=f"last-{place}@example.test")

    def test_the_wait_ends(self, app: Flask, place: str) -> None:
        now = datetime.now(UTC)
        with time_machine.travel(now - timedelta(minutes=6), tick=False):
            for _ in range(10):
                fail(app, place, email=f"{place}@example.test")
        succeed(app, place, email=f"{place}@example.test")


def test_sign_ups_from_one_place_are_counted(app: Flask, place: str) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": place}):
        for _ in range(60):
            attempts.count_sign_up()
        with pytest.raises(TooManyAttempts, match="accounts"):
            attempts.count_sign_up()


def test_with_redis_away_nobody_is_let_in(place: str) -> None:
    lonely = Flask("lonely")
    attempts.register(lonely, "redis://127.0.0.1:1/0")
    with pytest.raises(attempts.CannotCount):
        succeed(lonely, place, email="ada@example.test")
