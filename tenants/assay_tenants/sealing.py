"""Secrets that have to be read again: sealed under a ring of keys, for one tenant and one purpose.

``seal`` and ``unseal`` are AES-256-GCM. Each value has a key of its own, derived (HKDF-SHA256) from a key of the ring
and a random salt, so that no number of values wears a key out. Tenant, purpose and, where given, the row are
authenticated: what was sealed for one opens for no other. The sealed bytes name their key, so that the ring can turn
(`assay_tenants.resealing`).

A package whose table holds sealed values registers their column in its ``models.py``::

    sealing.register(SealedColumn("tenancy.connections", "credentials", purpose="connection", key=("id",)))
"""

import base64
import binascii
import hmac
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

#: In place of a tenant for what belongs to the whole installation, or to a person.
INSTALLATION = 0
KEY_BYTES = 32
ACCEPTED = "ID:KEY, several with commas between; ID of a-z, 0-9 and -, KEY 32 random bytes in base64"

_VERSION = b"\x01"
_SALT = 16
_NONCE = 12
_TAG = 16
# Both alphabets of base64 are taken.
_TO_STANDARD = str.maketrans("-_", "+/")
_KEY_ID = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)


class SealingError(RuntimeError):
    """A value can't be sealed or opened. Its text names keys by their ids, and never holds a secret."""


class NotConfigured(SealingError):
    def __init__(self) -> None:
        super().__init__("assay_tenants.sealing.configure(ring) was not called in this process.")


class KeyMissing(SealingError):
    """The value is whole, but this process has not got its key."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(
            f"This value is sealed under the key {key_id!r}, which is not among ASSAY_SEALING_KEYS of this process. "
            "Put the key back at the end of the list; `assay doctor` says when it may go."
        )


class CannotOpen(SealingError):
    """Altered, cut short, or sealed for another tenant, purpose or row, or under another key of the same id."""

    def __init__(self, tenant_id: int, purpose: str) -> None:
        super().__init__(
            f"A sealed value of tenant {tenant_id} for {purpose!r} does not open: it was altered or moved."
        )


@dataclass(frozen=True, repr=False)
class Ring:
    """Keys by their ids: the first seals, all open."""

    keys: Mapping[str, bytes]

    @classmethod
    def read(cls, text: str) -> "Ring":
        """Reads ``id:base64,id:base64``; raises ValueError with what is wrong, which repeats nothing of a key."""
        keys: dict[str, bytes] = {}
        for number, one in enumerate(text.split(","), 1):
            key_id, _, encoded = one.strip().partition(":")
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError(f"has no proper id before the colon in its entry {number}")
            if key_id in keys:
                raise ValueError(f"names the key {key_id!r} twice")
            key = _bytes_of(encoded)
            if len(key) != KEY_BYTES:
                raise ValueError(f"has a key {key_id!r} that is not {KEY_BYTES} bytes in base64")
            if any(hmac.compare_digest(key, other) for other in keys.values()):
                raise ValueError(f"has the same key twice, the second time as {key_id!r}")
            keys[key_id] = key
        return cls(keys)

    @property
    def newest(self) -> str:
        return next(iter(self.keys))

    def check_of(self, key_id: str) -> bytes:
        """Tells two keys of the same id apart, and tells nothing else of the key."""
        return HKDF(SHA256(), 16, salt=None, info=b"assay check 1").derive(self.keys[key_id])

    def __repr__(self) -> str:
        return f"Ring({', '.join(self.keys)})"


def _bytes_of(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.translate(_TO_STANDARD) + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def new_key() -> str:
    """A key as ASSAY_SEALING_KEYS takes one, after its id and a colon."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


@dataclass(frozen=True)
class SealedColumn:
    """Where sealed values are, so that they are sealed anew when the ring turns."""

    #: With its schema: ``tenancy.connections``.
    table: str
    column: str
    #: The same that its values are sealed for.
    purpose: str
    #: The primary key's columns, without ``tenant_id``.
    key: tuple[str, ...]
    #: ``tenant``: rows belong to their ``tenant_id``. ``directory``: the directory's role reaches them, sealed for
    #: tenant 0.
    door: Literal["tenant", "directory"] = "tenant"
    #: Given as ``row`` when sealing: the values of these columns with colons between; none: sealed without a row.
    row: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"


_ring: Ring | None = None
_columns: dict[str, SealedColumn] = {}


def configure(ring: Ring | str) -> None:
    """From here on this process seals and opens with these keys; called once by each door and by the tests.

    Raises ValueError when the text is no ring.
    """
    global _ring
    _ring = Ring.read(ring) if isinstance(ring, str) else ring


@contextmanager
def using(other: Ring | str) -> Iterator[Ring]:
    """This process with another ring for a while."""
    global _ring
    before = _ring
    configure(other)
    try:
        yield ring()
    finally:
        _ring = before


def ring() -> Ring:
    if _ring is None:
        raise NotConfigured
    return _ring


def register(column: SealedColumn) -> None:
    _columns[column.name] = column


def columns() -> Iterator[SealedColumn]:
    """All that were registered, in the order of their names."""
    return iter([_columns[name] for name in sorted(_columns)])


def seal(tenant_id: int, purpose: str, plain: bytes, *, row: object = "") -> bytes:
    """``plain``, to be opened for the same tenant (0: the installation), purpose and row alone."""
    keys = ring()
    header = prefix_of(keys.newest)
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    bound = _bound_to(tenant_id, purpose, row)
    return header + salt + nonce + _cipher(keys.keys[keys.newest], salt).encrypt(nonce, plain, header + bound)


def unseal(tenant_id: int, purpose: str, sealed: bytes, *, row: object = "") -> bytes:
    """Raises KeyMissing when the value's key is not in the ring, CannotOpen for all that was not sealed for this."""
    sealed = bytes(sealed)
    key_id = key_of(sealed)
    if key_id is None:
        raise CannotOpen(tenant_id, purpose)
    key = ring().keys.get(key_id)
    if key is None:
        raise KeyMissing(key_id)
    header = prefix_of(key_id)
    salt, nonce, body = _cut(sealed[len(header) :], _SALT, _NONCE)
    try:
        return _cipher(key, salt).decrypt(nonce, body, header + _bound_to(tenant_id, purpose, row))
    except InvalidTag:
        raise CannotOpen(tenant_id, purpose) from None


def key_of(sealed: bytes) -> str | None:
    """The id of the key that a value was sealed under; None for bytes that are no sealed value."""
    if len(sealed) < 2 or sealed[:1] != _VERSION or len(sealed) < 2 + sealed[1] + _SALT + _NONCE + _TAG:
        return None
    key_id = sealed[2 : 2 + sealed[1]].decode("ascii", "replace")
    return key_id if _KEY_ID.fullmatch(key_id) else None


def prefix_of(key_id: str) -> bytes:
    """How all values begin that are sealed under this key, and none under another."""
    return _VERSION + bytes([len(key_id)]) + key_id.encode("ascii")


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=salt, info=b"assay sealing 1").derive(key))


def _bound_to(tenant_id: int, purpose: str, row: object) -> bytes:
    # Lengths first: no two sets of words may read the same when put together.
    words = (str(int(tenant_id)).encode(), purpose.encode(), str(row).encode())
    return b"".join(len(word).to_bytes(4, "big") + word for word in words)


def _cut(data: bytes, *lengths: int) -> Iterator[bytes]:
    for length in lengths:
        yield data[:length]
        data = data[length:]
    yield data
