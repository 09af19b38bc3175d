"""How often somebody may fail to log in, or sign up: counted in Redis, for all web processes together.

With Redis away nobody can be counted, so nobody is let in: passwords could be guessed at full speed otherwise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from flask import Flask, current_app, request
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from assay_tenants.access import WrongCredentials
from assay_tenants.errors import AssayError, TooManyAttempts

WRONG_PASSWORDS_OF_ONE_PERSON = RateLimitItemPerMinute(10, 5, namespace="assay")
WRONG_PASSWORDS_FROM_ONE_PLACE = RateLimitItemPerMinute(100, 5, namespace="assay")
SIGN_UPS_FROM_ONE_PLACE = RateLimitItemPerHour(60, namespace="assay")


class CannotCount(AssayError):
    status = 503
    code = "try_again"

    def __init__(self) -> None:
        super().__init__("Logging in is not possible at this moment. Try again in a minute.")


def register(app: Flask, redis_url: str) -> None:
    address = redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url
    storage = storage_from_string(address, socket_timeout=1, socket_connect_timeout=1, wrap_exceptions=True)
    app.extensions["assay_attempts"] = MovingWindowRateLimiter(storage)


@contextmanager
def log_in_of(email: str) -> Iterator[None]:
    """Around a login: counts a wrong password, and lets nobody try after too many."""
    limits = [
        (WRONG_PASSWORDS_OF_ONE_PERSON, ("log-in", email.strip().lower())),
        (WRONG_PASSWORDS_FROM_ONE_PLACE, ("log-in-from", _place())),
    ]
    for limit, names in limits:
        _refuse_beyond(limit, names, "Too many wrong passwords.")
    try:
        yield
    except WrongCredentials:
        for limit, names in limits:
            _limiter().hit(limit, *names)
        raise


def count_sign_up() -> None:
    names = ("sign-up", _place())
    _refuse_beyond(SIGN_UPS_FROM_ONE_PLACE, names, "Too many accounts were opened from your network.")
    _limiter().hit(SIGN_UPS_FROM_ONE_PLACE, *names)


def _refuse_beyond(limit: RateLimitItem, names: tuple[str, str], reason: str) -> None:
    try:
        if _limiter().test(limit, *names):
            return
        reset_at = _limiter().get_window_stats(limit, *names).reset_time
    except StorageError as error:
        raise CannotCount from error
    after = timedelta(seconds=max(1.0, reset_at - datetime.now(UTC).timestamp()))
    minutes = -(-after // timedelta(minutes=1))
    raise TooManyAttempts(f"{reason} Try again in {minutes} {'minute' if minutes == 1 else 'minutes'}.", after=after)


def _limiter() -> MovingWindowRateLimiter:
    limiter: MovingWindowRateLimiter = current_app.extensions["assay_attempts"]
    return limiter


def _place() -> str:
    return request.remote_addr or "nowhere"
