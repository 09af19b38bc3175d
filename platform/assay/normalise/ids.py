"""An event's id follows from who sent it and what they called it, so that sending it again changes nothing."""

from hashlib import blake2b
from uuid import UUID


def event_id(source_id: int, sender_id: str) -> UUID:
    return UUID(bytes=blake2b(f"{source_id}:{sender_id}".encode(), digest_size=16).digest())
