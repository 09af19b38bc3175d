"""Passwords, hashed with argon2id."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from assay_tenants.errors import BadInput, TooManyAttempts

PASSWORD_LENGTH = range(10, 201)

# OWASP's second profile: 19 MiB and two passes, about 25 ms.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Hashing is made to be expensive: a flood of logins must not take every thread and all the memory.
_turns = BoundedSemaphore(2)
_WAIT = timedelta(seconds=3)
_NOBODY = _hasher.hash("no one has this password")


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=_WAIT.total_seconds()):
        raise TooManyAttempts("Too many people are logging in at this moment. Try again in a few seconds.", after=_WAIT)
    try:
        yield
    finally:
        _turns.release()


def hash_password(password: str) -> str:
    if len(password) not in PASSWORD_LENGTH:
        raise BadInput(
            f"The password needs {PASSWORD_LENGTH.start} to {PASSWORD_LENGTH.stop - 1} characters; "
            f"this one has {len(password)}.",
            field="password",
        )
    with _turn():
        return _hasher.hash(password)


def is_password(password: str, password_hash: str | None) -> bool:
    """Takes as long for an unknown person (None) as for a known one."""
    with _turn():
        try:
            _hasher.verify(password_hash or _NOBODY, password)
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None
