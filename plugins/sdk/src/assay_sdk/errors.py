"""Errors between plugins and the platform.

PluginError
+ Misunderstood     a message, or one item of it, can't be read: kept as a dead letter with this reason
+ Refused           who asks may not, or asks for what there is not: trying again changes nothing
  + Stale           a webhook's signature is right and too old
+ TryLater          the vendor is busy, away or broken: the same may work later
+ NeedsReconnect    the vendor no longer takes our credentials: a person has to connect again
+ TokenExpired      the access token is too old: renewed once, behind the plugin's back
"""

from datetime import timedelta


class PluginError(Exception):
    """The family of all errors that a plugin may raise on purpose. Their texts are sentences for people."""


class Misunderstood(PluginError):
    """A message, or one item of it, can't be read.

    Args:
        reason: one sentence for the person who has to mend it: what was wrong, and what is accepted.
        field: the path of the field at fault, such as ``batch[3].userId``; None when there is no single one.
        position: the item's place in its batch, from 0; 0 for a message of one item.
        excerpt: the beginning of the item as it came, for recognising it.
        kind: a short name for all that one mend would set right, such as ``event_too_large``: letters, digits and
            ``_.:/-``. Without it the platform makes one of the field and the reason.
    """

    def __init__(
        self,
        reason: str,
        *,
        field: str | None = None,
        position: int = 0,
        excerpt: str = "",
        kind: str | None = None,
    ) -> None:
        self.reason = reason
        self.field = field
        self.position = position
        self.excerpt = excerpt
        self.kind = kind
        super().__init__(reason)


class Refused(PluginError):
    """Who asks may not, or asks for something that there is not; the same request would be refused again.

    Raised by ``Source.verify`` for a request that is not from whom it says it is, and by the HTTP client for a vendor's
    answer such as 400, 403, 404, 409, 410.

    Args:
        reason: a sentence for a person.
        status: of the vendor's answer; None where there was none.
        code: the vendor's own word for it, such as ``contact_merged``.
        answer: the vendor's answer as JSON, where it was.
        headers: the answer's, names in lower case.
    """

    #: What we answer to whoever posted it.
    http_status = 401

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        code: str = "",
        answer: object = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.reason = reason
        self.status = status
        self.code = code
        self.answer = answer
        self.headers = headers or {}
        super().__init__(reason)


class Stale(Refused):
    """A webhook that its sender signed, but longer ago than is tolerated."""

    http_status = 400


class TryLater(PluginError):
    """The vendor is busy, away or broken. Nothing is lost: what was asked for is asked for again.

    Args:
        reason: a sentence for a person.
        after: how long the vendor wants to be left alone; None when it did not say.
        overloaded: True when the vendor said that we ask too often (429), False when it failed.
    """

    def __init__(self, reason: str, *, after: timedelta | None = None, overloaded: bool = False) -> None:
        self.reason = reason
        self.after = after
        self.overloaded = overloaded
        super().__init__(reason)


class NeedsReconnect(PluginError):
    """The vendor no longer takes what it gave us; the text tells a person why they have to connect again."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class TokenExpired(PluginError):
    """The access token is too old. Returned by ``Service.judge``; the HTTP client renews it and asks once more."""
