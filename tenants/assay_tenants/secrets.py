"""Random secrets that we issue: shown once, stored as SHA-256.

They carry over 256 random bits, so a fast hash is enough; the slow one is for passwords, which people choose. A secret
starts with its purpose and its tenant (``ss_1f_…``): it is looked up inside that tenant and through no wider door.

Those that people paste into programs say whose they are (``assay_wk_1f_…``) and end with a checksum, so that a scanner
for leaked secrets recognises one, and knows it from an example, without asking us. What was issued before that lacks
both and stays good.
"""

import hashlib
import re
import secrets
import zlib
from typing import NamedTuple

BRAND = "assay_"
#: What a scanner looks for; the last six characters are `checksum` of all before them.
PASTED = re.compile(r"assay_[a-z]{2}_[0-9a-f]{1,15}_[A-Za-z0-9]{50}", re.ASCII)
_SHAPE = re.compile(
    r"(?P<brand>assay_)?(?P<prefix>[a-z]{2})_(?P<tenant>[0-9a-f]{1,15})_(?P<random>[A-Za-z0-9]{43,64})", re.ASCII
)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_RANDOM, _CHECK = 44, 6


class Parsed(NamedTuple):
    prefix: str
    tenant_id: int
    hash: bytes


def issue(prefix: str, tenant_id: int) -> str:
    """A new secret of 44 letters and digits: 262 random bits."""
    return f"{prefix}_{tenant_id:x}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))


def issue_pasted(prefix: str, tenant_id: int) -> str:
    """A new secret that a scanner recognises: for people to paste into programs."""
    secret = BRAND + issue(prefix, tenant_id)
    return secret + checksum(secret)


def checksum(text: str) -> str:
    """CRC-32 of ``text`` in six digits of base 62, capital letters first, then small ones, then digits."""
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def parse(secret: str) -> Parsed | None:
    """None for anything that we cannot have issued."""
    match = _SHAPE.fullmatch(secret)
    if match is None:
        return None
    if match["brand"] and (len(match["random"]) != _RANDOM + _CHECK or checksum(secret[:-_CHECK]) != secret[-_CHECK:]):
        return None
    return Parsed(match["prefix"], int(match["tenant"], 16), digest(secret))
