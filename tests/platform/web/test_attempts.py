from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import time_machine
from flask import Flask, Response
from structlog.testing import capture_logs

from assay.web import attempts
from assay_tenants.access import WrongCredentials
from assay_tenants.errors import TooManyAttempts

_places = count(1)


@pytest.fixture
def place() -> str:
    """A network address that no other test uses."""
    number = next(_places)
    return f"203.0.113.{number}"


def fail(app: Flask, place: str, *, email: str, cookie: str = "") -> None:
    with (
        app.test_request_context(environ_base={"REMOTE_ADDR": place}, headers={"Cookie": cookie}),
        pytest.raises(WrongCredentials),
        attempts.log_in_of(email),
    ):
        raise WrongCredentials


def succeed(app: Flask, place: str, *, email: str, cookie: str = "") -> None:
    with (
        app.test_request_context(environ_base={"REMOTE_ADDR": place}, headers={"Cookie": cookie}),
        attempts.log_in_of(email),
    ):
        pass


def wait_of(app: Flask, place: str, *, email: str) -> timedelta:
    with pytest.raises(TooManyAttempts) as refused:
        succeed(app, place, email=email)
    return refused.value.after


class TestLogIn:
    def test_after_five_wrong_passwords_each_further_one_waits_twice_as_long(self, app: Flask, place: str) -> None:
        email = f"{place}@example.test"
        waits = []
        with time_machine.travel(datetime.now(UTC), tick=False) as clock:
            for _ in range(5):
                fail(app, place, email=email)
            for _ in range(13):
                waits.append(wait_of(app, "198.51.100.1", email=email.upper()).total_seconds())
                clock.shift(waits[-1])
                fail(app, place, email=email)
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]

    def test_the_wait_is_told_in_words(self, app: Flask, place: str) -> None:
        for _ in range(5):
            fail(app, place, email=place)
        with (
            capture_logs() as lines,
            pytest.raises(TooManyAttempts, match=r"Too many wrong passwords\. Try again in 1 second\."),
        ):
            succeed(app, place, email=place)
        assert [(line["event"], line["address"]) for line in lines] == [("web.too_many_attempts", place)]

    def test_waiting_in_vain_does_not_make_it_longer(self, app: Flask, place: str) -> None:
        with time_machine.travel(datetime.now(UTC), tick=False) as clock:
            for _ in range(5):
                fail(app, place, email=place)
            for _ in range(20):
                wait_of(app, place, email=place)
            clock.shift(1)
            succeed(app, place, email=place)

    def test_others_are_not_held_up_by_that(self, app: Flask, place: str) -> None:
        for _ in range(5):
            fail(app, place, email=f"{place}@example.test")
        succeed(app, place, email=f"other-{place}@example.test")

    def test_right_passwords_are_not_counted(self, app: Flask, place: str) -> None:
        for _ in range(60):
            succeed(app, place, email=f"{place}@example.test")

    def test_a_fault_of_ours_is_not_counted(self, app: Flask, place: str) -> None:
        for _ in range(8):
            with (
                app.test_request_context(environ_base={"REMOTE_ADDR": place}),
                pytest.raises(RuntimeError),
                attempts.log_in_of(place),
            ):
                raise RuntimeError
        succeed(app, place, email=place)

    def test_one_place_cannot_try_many_people(self, app: Flask, place: str) -> None:
        for number in range(50):
            fail(app, place, email=f"{number}-{place}@example.test")
        with pytest.raises(TooManyAttempts):
            succeed(app, place, email=f"last-{place}@example.test")

    def test_of_many_at_the_same_moment_only_the_free_ones_are_tried(self, app: Flask, place: str) -> None:
        tried = []

        def attempt(_: int) -> None:
            with (
                app.test_request_context(environ_base={"REMOTE_ADDR": place}),
                pytest.raises((WrongCredentials, TooManyAttempts)),
                attempts.log_in_of(place),
            ):
                tried.append(1)
                raise WrongCredentials

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(attempt, range(40)))
        assert len(tried) == 5

    def test_strangers_cannot_keep_a_person_out_of_their_own_browser(self, app: Flask, place: str) -> None:
        email = f"{place}@example.test"
        with app.test_request_context(environ_base={"REMOTE_ADDR": place}):
            cookie = attempts.know_device(Response(), email).headers["Set-Cookie"].partition(";")[0]
        for _ in range(5):
            fail(app, "198.51.100.2", email=email)
        wait_of(app, "198.51.100.3", email=email)
        succeed(app, place, email=email, cookie=cookie)
        # It is worth nothing for another person, nor when it was written by somebody else.
        for _ in range(5):
            fail(app, place, email=f"other-{email}")
        with pytest.raises(TooManyAttempts):
            succeed(app, place, email=f"other-{email}", cookie=cookie)
        with pytest.raises(TooManyAttempts):
            succeed(app, place, email=email, cookie=cookie[:-2] + "xx")

    def test_it_is_forgotten_after_a_day(self, app: Flask, place: str, redis) -> None:
        before = set(redis.keys("assay:tries:*"))
        fail(app, place, email=place)
        made = set(redis.keys("assay:tries:*")) - before
        assert made
        assert all(0 < redis.ttl(key) <= 86_400 for key in made)
        assert not any(place.encode() in key for key in redis.keys("*"))


def test_second_factors_are_counted_by_person(app: Flask, place: str) -> None:
    for _ in range(5):
        with (
            app.test_request_context(environ_base={"REMOTE_ADDR": place}),
            pytest.raises(WrongCredentials),
            attempts.second_step_of(7_000_001),
        ):
            raise WrongCredentials("This code is wrong.", field="code")
    with (
        app.test_request_context(environ_base={"REMOTE_ADDR": place}),
        pytest.raises(TooManyAttempts, match="codes"),
        attempts.second_step_of(7_000_001),
    ):
        pass


@pytest.mark.parametrize(
    ("counted", "allowed", "told"),
    [
        pytest.param(lambda place: attempts.count_sign_up(), 60, "accounts", id="sign-ups"),
        pytest.param(lambda place: attempts.count_reset(place), 3, "several times", id="resets of one address"),
        pytest.param(lambda place: attempts.count_verification(hash(place)), 5, "several mails", id="verifications"),
        pytest.param(lambda place: attempts.count_invitation(hash(place)), 100, "invitations", id="invitations"),
    ],
)
def test_what_sends_mail_or_makes_accounts_is_counted(app: Flask, place: str, counted, allowed, told) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": place}):
        for _ in range(allowed):
            counted(place)
        with pytest.raises(TooManyAttempts, match=told):
            counted(place)


@pytest.mark.parametrize("counted", [pytest.param(False, id="passwords"), pytest.param(True, id="mail")])
def test_with_redis_away_nobody_is_let_in(place: str, counted: bool) -> None:
    lonely = Flask("lonely")
    lonely.config.update(SECRET_KEY="x" * 32, SESSION_COOKIE_SECURE=False)
    attempts.register(lonely, "redis://127.0.0.1:1/0")
    with pytest.raises(attempts.CannotCount):
        if counted:
            with lonely.test_request_context():
                attempts.count_reset("ada@example.test")
        else:
            succeed(lonely, place, email="ada@example.test")


@pytest.mark.parametrize(
    ("came_from", "counted"),
    [
        pytest.param("203.0.113.9", "203.0.113.9", id="IPv4"),
        pytest.param("::ffff:203.0.113.9", "203.0.113.9", id="IPv4 written as IPv6"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="IPv6"),
        pytest.param("2001:db8:1:2::7", "2001:db8:1:2::/64", id="its neighbour, who is the same customer"),
        pytest.param("::1", "::/64", id="this machine"),
        pytest.param("unix", "unix", id="no address"),
    ],
)
def test_a_place_is_a_network_and_not_one_of_its_many_addresses(app: Flask, came_from: str, counted: str) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": came_from}):
        assert attempts.place() == counted
