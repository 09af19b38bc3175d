"""A source turns what its sender posted into records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from assay_sdk.errors import Misunderstood
from assay_sdk.records import Record


@dataclass(frozen=True)
class Message:
    """One raw request as it was received and kept."""

    #: What was called: for tracking calls ``identify``, ``track``, ``page``, ``group``, ``batch``, …
    call: str
    #: The request's body, inflated if it came compressed; otherwise byte for byte.
    body: bytes
    #: UTC.
    received_at: datetime


class Source:
    """Subclass this and register an instance with the hook ``register_sources``.

    A source holds no state between messages, and reads neither clock nor network in ``normalise``: replaying a message
    must give the same records.
    """

    #: Unique among the installed plugins; lower-case letters, digits and dashes.
    name: ClassVar[str]
    #: What people see.
    title: ClassVar[str]
    #: True for the one source that understands Segment's tracking calls (``/v1/track`` and its like).
    tracking_calls: ClassVar[bool] = False

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        """Yields the records in ``message``, and a Misunderstood (not raised) for each part of it that can't be read.

        Raises:
            Misunderstood: nothing in the message can be read.
        """
        raise NotImplementedError
