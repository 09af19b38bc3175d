"""How entries are sealed: each hash covers the one before, so who changes an entry has to change all that follow."""

import hashlib
import json
from datetime import UTC, datetime
from typing import NamedTuple

#: What the first entry of a tenant is sealed to.
NOTHING = b"\0" * 32


class Sealed(NamedTuple):
    """What a hash covers, beside the hash before; ``before`` and ``after`` as the text that is stored."""

    tenant_id: int
    id: int
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    address: str
    door: str
    request_id: str
    action: str
    subject: str
    before: str | None
    after: str | None


def seal(entry: Sealed, previous: bytes) -> bytes:
    instant = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    told = {**entry._asdict(), "at": instant}
    return hashlib.sha256(previous + json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()).digest()
