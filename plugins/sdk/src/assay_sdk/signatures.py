"""Signatures of webhooks: made and compared without telling by time how much of one was right."""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from assay_sdk.errors import Refused, Stale

Digest = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64"]


def sign(secret: str | bytes, message: bytes, *, digest: Digest = "sha256", encoding: Encoding = "hex") -> str:
    """HMAC of ``message`` as text."""
    key = secret.encode() if isinstance(secret, str) else secret
    mac = hmac.digest(key, message, digest)
    return mac.hex() if encoding == "hex" else base64.b64encode(mac).decode()


def is_equal(one: str, other: str) -> bool:
    """In constant time, and for any text: a header may hold letters that no signature has."""
    return hmac.compare_digest(one.encode(errors="surrogateescape"), other.encode(errors="surrogateescape"))


def require(
    given: str,
    message: bytes,
    secrets: Sequence[str],
    *,
    digest: Digest = "sha256",
    encoding: Encoding = "hex",
) -> None:
    """Raises Refused unless ``given`` is the signature of ``message`` under one of ``secrets``.

    Several secrets are good while one is being rotated; without any, nothing is.
    """
    found = False
    for secret in secrets:
        if secret:
            found |= is_equal(given, sign(secret, message, digest=digest, encoding=encoding))
    if not found:
        raise Refused("The signature is not that of this body." if given else "The signature is missing.")


def require_recent(
    signed_at: datetime,
    received_at: datetime,
    *,
    tolerance: timedelta,
    ahead: timedelta = timedelta(seconds=60),
) -> None:
    """Raises Stale when it was signed longer ago than ``tolerance``, or further ahead than clocks may differ.

    Call it after the signature turned out right: an instant that nobody signed says nothing.
    """
    if received_at - signed_at > tolerance:
        raise Stale(f"The request was signed more than {tolerance.total_seconds():.0f} seconds ago.")
    if signed_at - received_at > ahead:
        raise Stale(f"The request was signed more than {ahead.total_seconds():.0f} seconds in the future.")
