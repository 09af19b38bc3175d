"""Errors between plugins and the platform.

PluginError
+ Misunderstood     a message, or one item of it, can't be read: kept as a dead letter with this reason
+ Refused           a request is not from whom it says, or asks for what there is not
"""


class PluginError(Exception):
    """The family of all errors that a plugin may raise on purpose."""


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
    """A request is not from whom it says it is, or asks for something that there is not; says which."""
