"""An event without an id of its own is known by what it says: the same row in any file is the same event."""

from collections.abc import Iterable
from hashlib import blake2b

PREFIX = "row:"
# No identifier that can be kept holds it, and JSON writes it differently.
SEPARATOR = "\0"


def fingerprint(
    user_id: str | None,
    email: str | None,
    anonymous_id: str | None,
    vendors: Iterable[tuple[str, str]],
    type_: str,
    micros: int,
    properties: str,
) -> str:
    """``vendors`` in their order, ``properties`` as canonical JSON."""
    others = [f"{vendor}={value}" for vendor, value in vendors]
    row = SEPARATOR.join([user_id or "", email or "", anonymous_id or "", *others, type_, str(micros), properties])
    return PREFIX + blake2b(row.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
