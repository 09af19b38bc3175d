"""A destination takes scores back to where people work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from assay_sdk.link import Link


KnownBy = Literal["vendor_id", "user_id", "email", "anonymous_id"]


@dataclass(frozen=True)
class ScoreUpdate:
    """One lead's score as it is now, for one contact of the vendor's."""

    #: For telling which receipt is whose.
    key: str
    #: The vendor's own id of the contact; empty where the destination knows people by ``user_id`` or ``email`` alone.
    vendor_id: str
    user_id: str | None
    anonymous_id: str | None
    email: str | None
    #: The scoring model's title.
    model: str
    #: In whole points.
    score: int
    #: Such as ``"A1"``; None: the model gives none.
    grade: str | None
    #: The sales stage, such as ``"MQL"``; None: below the first.
    stage: str | None
    #: The sentences that explain most of the score, the weightiest first; at most three.
    reasons: Sequence[str]
    #: When the score became what it is.
    scored_at: datetime
    #: Where a person sees the whole account of it.
    url: str
    #: The same while nothing that is written changes: for vendors that want an idempotency key.
    version: str


@dataclass(frozen=True)
class Receipt:
    """What became of one update."""

    key: str
    #: Empty when it was written, or was so already; otherwise a sentence for a person.
    error: str = ""
    #: True: the contact is gone at the vendor, and is not written to again until it is back.
    gone: bool = False
    #: The contact's id, where the vendor knows it by another one since (it was merged).
    moved_to: str = ""


@dataclass(frozen=True)
class Field:
    """A field that is written at the vendor's."""

    name: str
    title: str
    #: ``score``, ``grade``, ``stage``, ``reasons``, ``scored_at`` or ``model``.
    holds: str


class Destination:
    """Subclass this and put an instance into your Service.

    Called for one connection by one worker at a time. Pushing the same update again must change nothing.
    """

    #: How many updates ``push`` is given at once.
    batch: ClassVar[int] = 100
    #: What is written where; shown to whoever connects.
    fields: ClassVar[Sequence[Field]] = ()
    #: By what the vendor knows people: its own ids, or else identifiers of the tenant's, the best first. Leads that
    #: have none of them are left out.
    known_by: ClassVar[Sequence[KnownBy]] = ("vendor_id",)

    def is_set_up(self, secrets: Mapping[str, Any]) -> bool:
        """Whether scores can go back with what was filled in: asked when somebody connects, or changes it later."""
        return True

    def prepare(self, link: "Link") -> None:
        """Makes sure that the fields exist: called before the first push, and again after the vendor missed one.

        Raises: TryLater, NeedsReconnect, Refused.
        """

    def push(self, link: "Link", updates: Sequence[ScoreUpdate]) -> Sequence[Receipt]:
        """Writes them; a receipt for each. Several updates never concern the same contact.

        Raises TryLater, NeedsReconnect or Refused when none of them can be written; what was written of the batch
        before is then written again.
        """
        raise NotImplementedError(f"{type(self).__name__} has no push.")

    def own_fields(self) -> Mapping[str, str]:
        """Names of our fields at the vendor's, by what they hold: what a source leaves out when it reads them back."""
        return {field.holds: field.name for field in self.fields}
