"""Random secrets that we issue: shown once, stored as SHA-256.

They carry over 256 random bits, so a fast hash is enough; the slow one is for passwords, which people choose. A secret
starts with its purpose and its tenant (``wk_1f_…``): it is looked up inside that tenant and through no wider door.
"""

import hashlib
import re
import secrets
from typing import NamedTuple

_SHAPE = re.compile(r"(?P<prefix>[a-z]{2})_(?P<tenant>[0-9a-f]{1,15})_(?P<random>[A-Za-z0-9]{43,64})", re.ASCII)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Parsed(NamedTuple):
    prefix: str
    tenant_id: int
    hash: bytes


def issue(prefix: str, tenant_id: int) -> str:
    """A new secret of 44 letters and digits: 262 random bits."""
    return f"{prefix}_{tenant_id:x}_" + "".join(secrets.choice(_ALPHABET) for _ in range(44))


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def parse(secret: str) -> Parsed | None:
    """None for anything that we cannot have issued."""
    match = _SHAPE.fullmatch(secret)
    if match is None:
        return None
    return Parsed(match["prefix"], int(match["tenant"], 16), digest(secret))
