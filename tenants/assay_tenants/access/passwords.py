"""Passwords, hashed with argon2id, and refused where a guesser would soon have them."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any

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


#: Of zxcvbn's scale of 0 to 4: safely unguessable, online and with a bounded flood of guesses.
LEAST_SCORE = 3
# It looks at every pair of places in the password: longer ones are judged by their beginning.
_JUDGED = 100
_LEAST_OF_ITS_OWN = 8
_LETTER = re.compile(r"[^\W_]")
_OWN = "It is made of your own name, address or company; take a few words that have nothing to do with them."
# What zxcvbn found in it, the weightiest first.
_REASONS = {
    "passwords": "It is, or resembles, one of the most used passwords.",
    "repeat": "Repeating something makes it longer, not harder.",
    "spatial": "Rows of keys are among the first guesses.",
    "sequence": "Rows like abcdef or 98765 are among the first guesses.",
    "date": "Dates and years are among the first guesses.",
    "regex": "Dates and years are among the first guesses.",
}
_WORDS = re.compile(r"[^\W_]{3,}")


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=_WAIT.total_seconds()):
        raise TooManyAttempts("Too many people are logging in at this moment. Try again in a few seconds.", after=_WAIT)
    try:
        yield
    finally:
        _turns.release()


def hash_password(password: str) -> str:
    check_length(password)
    with _turn():
        return _hasher.hash(password)


def check_length(password: str) -> None:
    if len(password) not in PASSWORD_LENGTH:
        raise BadInput(
            f"The password needs {PASSWORD_LENGTH.start} to {PASSWORD_LENGTH.stop - 1} characters; "
            f"this one has {len(password)}.",
            field="password",
        )


def check_strength(password: str, *, about: Iterable[str]) -> None:
    """Raises BadInput for a password that is short, common, or made of what is known ``about`` the person."""
    check_length(password)
    # Loaded only where somebody chooses a password: its word lists take some megabytes.
    from zxcvbn import zxcvbn  # type: ignore[import-untyped] # published without types

    known = {text.lower() for text in about if text}
    hints = sorted(known | {word for text in known for word in _WORDS.findall(text)} | {"assay"})
    if _little_is_left(password.lower(), hints):
        raise BadInput(f"This password is too easy to guess. {_OWN}", field="password")
    verdict = zxcvbn(password[:_JUDGED], user_inputs=hints, max_length=_JUDGED)
    if verdict["score"] < LEAST_SCORE:
        raise BadInput(f"This password is too easy to guess. {_why(verdict)}", field="password")


def _why(verdict: dict[str, Any]) -> str:
    parts = verdict["sequence"]
    if any(part.get("dictionary_name") == "user_inputs" for part in parts):
        return _OWN
    found = {part["pattern"] for part in parts} | {part.get("dictionary_name") for part in parts}
    for sign, reason in _REASONS.items():
        if sign in found:
            return f"{reason} Take four or five words that don't belong together."
    return "Make it longer: four or five words that don't belong together are easy to remember and hard to guess."


def _little_is_left(password: str, hints: list[str]) -> bool:
    """Whether it is names and addresses with a few characters between them: whoever knows them tries that first."""
    rest = password
    for hint in sorted((hint for hint in hints if len(hint) > 2), key=len, reverse=True):
        rest = rest.replace(hint, "")
    return rest != password and len(_LETTER.findall(rest)) < _LEAST_OF_ITS_OWN


def is_password(password: str, password_hash: str | None) -> bool:
    """Takes as long for an unknown person (None) as for a known one."""
    with _turn():
        try:
            _hasher.verify(password_hash or _NOBODY, password)
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with other parameters than those of today: the next login makes it anew."""
    return _hasher.check_needs_rehash(password_hash)
