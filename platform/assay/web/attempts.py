"""How often somebody may fail to prove who they are, sign up, or have mail sent.

It is counted in Redis, for all web processes together.

After a few wrong passwords each further attempt has to wait, twice as long as the one before and never longer than a
quarter of an hour. A browser in which the person has logged in before is counted by itself: strangers who try their
password can't keep them out. An attempt counts before it is made and is forgiven when it succeeds, so that a hundred at
the same moment are a hundred.

With Redis away nobody can be counted, so nobody is let in: passwords could be guessed at full speed otherwise.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Network, ip_address

import structlog
from flask import Flask, Response, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from redis import Redis, RedisError

from assay_tenants.access import WrongCredentials
from assay_tenants.errors import AssayError, TooManyAttempts

log = structlog.get_logger()

PASSKEY_LOGINS_FROM_ONE_PLACE = RateLimitItemPerHour(300, namespace="assay")
SINGLE_SIGN_ONS_FROM_ONE_PLACE = RateLimitItemPerHour(1000, namespace="assay")
SIGN_UPS_FROM_ONE_PLACE = RateLimitItemPerHour(60, namespace="assay")
RESETS_OF_ONE_ADDRESS = RateLimitItemPerHour(3, namespace="assay")
RESETS_FROM_ONE_PLACE = RateLimitItemPerHour(30, namespace="assay")
VERIFICATIONS_OF_ONE_PERSON = RateLimitItemPerHour(5, namespace="assay")
INVITATIONS_OF_ONE_PERSON = RateLimitItemPerDay(100, namespace="assay")

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=15)
#: Failures are forgotten when nobody tried for so long.
REMEMBERED = timedelta(hours=24)
DEVICE_COOKIE = "assay_device"
DEVICE_LIFETIME = timedelta(days=180)


@dataclass(frozen=True)
class Lane:
    """What is counted together, and how many failures are free of waiting."""

    name: str
    free: int


# Counts the attempt unless it has to wait; tells the milliseconds that it has to.
_TAKE = """
local tried, at = tonumber(redis.call('HGET', KEYS[1], 'n') or 0), tonumber(redis.call('HGET', KEYS[1], 'at') or 0)
local now, free, first, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if tried >= free then
  local wait = at + math.min(first * 2 ^ math.min(tried - free, 30), longest) - now
  if wait > 0 then return math.ceil(wait) end
end
redis.call('HSET', KEYS[1], 'n', tried + 1, 'at', now)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 0
"""
# Takes one attempt back: it was no failure.
_FORGIVE = """
if tonumber(redis.call('HGET', KEYS[1], 'n') or 0) > 1 then
  redis.call('HINCRBY', KEYS[1], 'n', -1)
  redis.call('HSET', KEYS[1], 'at', 0)
else
  redis.call('DEL', KEYS[1])
end
return 0
"""


class CannotCount(AssayError):
    status = 503
    code = "try_again"

    def __init__(self) -> None:
        super().__init__("Logging in is not possible at this moment. Try again in a minute.")


def register(app: Flask, redis_url: str) -> None:
    address = redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url
    storage = storage_from_string(address, socket_timeout=1, socket_connect_timeout=1, wrap_exceptions=True)
    app.extensions["assay_attempts"] = MovingWindowRateLimiter(storage)
    app.extensions["assay_lanes"] = Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1)


@contextmanager
def log_in_of(email: str) -> Iterator[None]:
    """Around whatever takes a password of the person with this address."""
    email = email.strip().lower()
    device = _known_device(email)
    own = Lane(f"device:{device}", 10) if device else Lane(f"person:{email}", 5)
    with _counted(Lane(f"place:{place()}", 50), own, reason="Too many wrong passwords.", failure=WrongCredentials):
        yield


@contextmanager
def second_step_of(person_id: int) -> Iterator[None]:
    """Around whatever takes a second factor: any refusal that is raised within counts as a wrong one."""
    own = Lane(f"factor:{person_id}", 5)
    with _counted(Lane(f"place:{place()}", 50), own, reason="Too many wrong codes.", failure=AssayError):
        yield


def count_passkey_login() -> None:
    """A passkey can't be guessed; looking one up costs something all the same."""
    _count(PASSKEY_LOGINS_FROM_ONE_PLACE, "passkey-from", place(), "Too many logins came from your network.")


def count_single_sign_on() -> None:
    """Going to the provider and coming back: a whole office may do both in the same quarter of an hour."""
    _count(SINGLE_SIGN_ONS_FROM_ONE_PLACE, "sso-from", place(), "Too many logins came from your network.")


def count_sign_up() -> None:
    _count(SIGN_UPS_FROM_ONE_PLACE, "sign-up", place(), "Too many accounts were opened from your network.")


def count_reset(email: str) -> None:
    _count(RESETS_FROM_ONE_PLACE, "reset-from", place(), "Too many new passwords were asked for from your network.")
    _count(RESETS_OF_ONE_ADDRESS, "reset", email.strip().lower(), "A new password was asked for several times.")


def count_verification(person_id: int) -> None:
    _count(VERIFICATIONS_OF_ONE_PERSON, "verify", str(person_id), "We have sent you several mails already.")


def count_invitation(person_id: int) -> None:
    _count(INVITATIONS_OF_ONE_PERSON, "invite", str(person_id), "You have sent many invitations today.")


def retry_after(error: AssayError) -> dict[str, str]:
    """The header that tells a program how long to wait; none for other errors."""
    return {"Retry-After": str(int(error.after.total_seconds()))} if isinstance(error, TooManyAttempts) else {}


def know_device(response: Response, email: str) -> Response:
    """This browser is its person's: what others try does not hold it up from now on."""
    email = email.strip().lower()
    response.set_cookie(
        _device_cookie(),
        _signer().dumps([_known_device(email) or secrets.token_urlsafe(12), _digest(email)]),
        max_age=DEVICE_LIFETIME,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )
    return response


def _known_device(email: str) -> str | None:
    try:
        device, of = _signer().loads(
            request.cookies.get(_device_cookie(), ""), max_age=int(DEVICE_LIFETIME.total_seconds())
        )
    except (BadSignature, ValueError, TypeError):
        return None
    return str(device) if secrets.compare_digest(str(of), _digest(email)) else None


def _device_cookie() -> str:
    return f"__Host-{DEVICE_COOKIE}" if current_app.config["SESSION_COOKIE_SECURE"] else DEVICE_COOKIE


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="assay.device")


@contextmanager
def _counted(*lanes: Lane, reason: str, failure: type[AssayError]) -> Iterator[None]:
    taken: list[Lane] = []
    try:
        for lane in lanes:
            _take(lane, reason)
            taken.append(lane)
        yield
    except TooManyAttempts:
        # Turned away before anything was tried.
        for lane in taken:
            _forgive(lane)
        raise
    except BaseException as error:
        if not isinstance(error, failure):
            for lane in taken:
                _forgive(lane)
        raise
    for lane in lanes:
        _forgive(lane)


def _take(lane: Lane, reason: str) -> None:
    now = datetime.now(UTC).timestamp() * 1000
    numbers = [now, lane.free, *(_milliseconds(span) for span in (FIRST_WAIT, LONGEST_WAIT, REMEMBERED))]
    try:
        wait = int(_redis().eval(_TAKE, 1, _key(lane), *numbers))
    except RedisError as error:
        raise CannotCount from error
    if wait:
        raise _too_many(reason, timedelta(milliseconds=wait))


def _forgive(lane: Lane) -> None:
    try:
        _redis().eval(_FORGIVE, 1, _key(lane))
    except RedisError as error:
        raise CannotCount from error


def _count(limit: RateLimitItem, kind: str, name: str, reason: str) -> None:
    names = (kind, _digest(name))
    try:
        if _limiter().hit(limit, *names):
            return
        reset_at = _limiter().get_window_stats(limit, *names).reset_time
    except StorageError as error:
        raise CannotCount from error
    raise _too_many(reason, timedelta(seconds=reset_at - datetime.now(UTC).timestamp()))


def _too_many(reason: str, after: timedelta) -> TooManyAttempts:
    after = max(after, timedelta(seconds=1))
    seconds = -(-after // timedelta(seconds=1))
    log.warning("web.too_many_attempts", reason=reason, address=place(), path=request.path, seconds=seconds)
    minutes = -(-seconds // 60)
    told = f"{seconds} second{'' if seconds == 1 else 's'}" if seconds < 90 else f"{minutes} minutes"
    return TooManyAttempts(f"{reason} Try again in {told}.", after=timedelta(seconds=seconds))


def _redis() -> Redis:
    redis: Redis = current_app.extensions["assay_lanes"]
    return redis


def _limiter() -> MovingWindowRateLimiter:
    limiter: MovingWindowRateLimiter = current_app.extensions["assay_attempts"]
    return limiter


def _key(lane: Lane) -> str:
    return f"assay:tries:{_digest(lane.name)}"


def _digest(name: str) -> str:
    """Addresses of people don't belong in Redis."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def place() -> str:
    """The network that a request came from: of IPv6 its first half, for whoever has one address has as many as 2^64."""
    came_from = request.remote_addr or "nowhere"
    try:
        address = ip_address(came_from)
    except ValueError:
        return came_from
    if isinstance(address, IPv4Address):
        return came_from
    return str(address.ipv4_mapped or IPv6Network((address, 64), strict=False))
