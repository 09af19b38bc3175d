"""How often clients may ask, and fail to prove themselves: counted in Redis, for all web processes together.

With Redis away, whoever shows a secret is turned away until it is back: secrets could be tried at full speed otherwise.
A public client shows none, and what it shows can't be guessed, so it is served.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta

from flask import current_app
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.errors import StorageError
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from assay.web.attempts import place
from assay_tenants.errors import TooManyAttempts

#: In ten seconds, for one client and from one place: far more than any needs, and less than all of us.
REQUESTS_OF_ONE_CLIENT = RateLimitItemPerSecond(10_000, 10, namespace="assay")
REQUESTS_FROM_ONE_PLACE = RateLimitItemPerSecond(10_000, 10, namespace="assay")
WRONG_SECRETS_OF_ONE_CLIENT = RateLimitItemPerMinute(20, 5, namespace="assay")
WRONG_SECRETS_FROM_ONE_PLACE = RateLimitItemPerMinute(100, 5, namespace="assay")
DEVICES_FROM_ONE_PLACE = RateLimitItemPerMinute(60, namespace="assay")
REGISTRATIONS_FROM_ONE_PLACE = RateLimitItemPerHour(20, namespace="assay")
WRONG_DEVICE_CODES_OF_ONE_PERSON = RateLimitItemPerMinute(10, 10, namespace="assay")


class CannotCount(Exception):
    """Redis is away, and this may not go on uncounted."""


def take_request(client_id: str) -> timedelta | None:
    """Counts a request; how long to wait if it is one too many, None if not. Raises CannotCount."""
    names = ((REQUESTS_FROM_ONE_PLACE, place()), (REQUESTS_OF_ONE_CLIENT, client_id))
    return _first_over(lambda limit, name: not _quick().hit(limit, "oauth", _digest(name)), names)


def has_failed_too_often(client_id: str) -> timedelta | None:
    """The same, without counting, of wrong secrets: of this client from this place, and of any from this place.

    Not of the client from everywhere: whoever knows its id could lock it out.
    """
    return _first_over(lambda limit, name: not _exact().test(limit, "oauth-wrong", _digest(name)), _failures(client_id))


def count_failure(client_id: str) -> None:
    """A wrong secret, or a wrong signature. Raises CannotCount."""
    _first_over(lambda limit, name: not _exact().hit(limit, "oauth-wrong", _digest(name)), _failures(client_id))


def take_device() -> timedelta | None:
    return _first_over(
        lambda limit, name: not _exact().hit(limit, "oauth-device", _digest(name)),
        ((DEVICES_FROM_ONE_PLACE, place()),),
    )


def take_registration() -> timedelta | None:
    return _first_over(
        lambda limit, name: not _exact().hit(limit, "oauth-register", _digest(name)),
        ((REGISTRATIONS_FROM_ONE_PLACE, place()),),
    )


def take_device_code(person_id: int) -> None:
    """Counts a code that somebody types. Raises TooManyAttempts, and CannotCount."""
    after = _first_over(
        lambda limit, name: not _exact().hit(limit, "oauth-user-code", _digest(name)),
        ((WRONG_DEVICE_CODES_OF_ONE_PERSON, str(person_id)),),
    )
    if after:
        raise TooManyAttempts("You have typed many codes. Try again in ten minutes.", after=after)


def _failures(client_id: str) -> tuple[tuple[RateLimitItem, str], ...]:
    return (
        (WRONG_SECRETS_OF_ONE_CLIENT, f"{client_id} {place()}"),
        (WRONG_SECRETS_FROM_ONE_PLACE, place()),
    )


def _first_over(
    is_over: Callable[[RateLimitItem, str], bool], names: tuple[tuple[RateLimitItem, str], ...]
) -> timedelta | None:
    try:
        # Each is counted, also when an earlier one is over.
        over = [limit for limit, name in names if is_over(limit, name)]
    except StorageError as error:
        raise CannotCount from error
    return timedelta(seconds=min(over[0].get_expiry(), 60)) if over else None


def _exact() -> MovingWindowRateLimiter:
    limiter: MovingWindowRateLimiter = current_app.extensions["assay_attempts"]
    return limiter


def _quick() -> FixedWindowRateLimiter:
    """One number instead of one entry per request."""
    return FixedWindowRateLimiter(_exact().storage)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
