"""A source brings in what happened: posted to us, or fetched by us, and turned into records."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from assay_sdk.errors import Misunderstood
from assay_sdk.records import Record

if TYPE_CHECKING:
    from assay_sdk.link import Link

#: Where a stream stands: a JSON object of the plugin's own. None: nothing was ever loaded.
Cursor = Mapping[str, Any]


@dataclass(frozen=True)
class Message:
    """One raw request, or one page that was fetched, as it was received and kept."""

    #: What was called: for tracking calls ``identify``, ``track``, …; ``hook`` or ``hook/…`` for what was posted to
    #: ``/hooks/``; ``pull/<stream>`` and ``fetch/<kind>`` for what was fetched.
    call: str
    #: The request's body, inflated if it came compressed; otherwise byte for byte.
    body: bytes
    #: UTC.
    received_at: datetime
    #: What whoever connected filled in, without secrets, as it is now; empty where there is no connection.
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What somebody posted to ``/hooks/…``, before anybody knows whether it is from whom it says."""

    method: str
    #: Our own public address as it is configured, which is what vendors sign: never rebuilt from a proxy's headers.
    url: str
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True)
class Delivery:
    """One account's part of a request."""

    #: Whose it is at the vendor; empty where the address it was posted to tells the connection.
    account: str
    #: What is kept, usually the body as it came; tokens that nobody should keep are masked.
    body: bytes
    #: ``hook``, or ``hook/`` and a word.
    call: str = "hook"
    #: Secrets that came with it and are not known to be true: given to ``Source.confirm`` in the background.
    learned: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Stream:
    """One list at the vendor that is loaded once and then followed, such as contacts."""

    #: Lower-case letters, digits and dashes.
    name: str
    title: str
    #: How often it is looked at once the first load is done.
    every: timedelta = timedelta(minutes=5)
    #: The scope without which it is left out; None: none is needed.
    scope: str | None = None


@dataclass(frozen=True)
class Page:
    """What one look at a stream, or one fetch of records, brought."""

    #: Each is kept as a raw message of its own, of at most 1,000,000 bytes, which ``normalise`` reads later. They hold
    #: all that is needed to understand them (such as names of stages), because ``normalise`` can ask nobody.
    bodies: Sequence[bytes] = ()
    #: Where to go on: kept in the same transaction as the bodies, so that nothing is lost or doubled by a crash.
    cursor: Cursor = field(default_factory=dict)
    #: True when there is more to be had at once; False when the stream is at its end for now.
    more: bool = False
    #: Records in the bodies.
    count: int = 0
    #: How many there are in all, for the progress of the first load; None: nobody knows.
    total: int | None = None
    #: Until when everything of this stream is known, for telling how far behind it is; None: until now.
    newest_at: datetime | None = None


class Source:
    """Subclass this and put an instance into your Service, or register one that needs no connection by itself.

    A source holds no state between calls. ``normalise`` reads neither clock nor network: replaying a message must give
    the same records. All others may be called by several workers at once, for different connections.
    """

    #: Unique among the installed plugins; lower-case letters, digits and dashes. That of its service, where it has one.
    name: ClassVar[str]
    #: What people see.
    title: ClassVar[str]
    #: True for the one source that understands Segment's tracking calls (``/v1/track`` and its like).
    tracking_calls: ClassVar[bool] = False
    #: What is pulled; none for a source that is only posted to.
    streams: ClassVar[Sequence[Stream]] = ()
    #: How many records ``fetch`` is asked for at once.
    fetch_batch: ClassVar[int] = 100
    #: Whether vendors post to ``/hooks/<name>`` (one address for all accounts) or to an address of each connection.
    shared_address: ClassVar[bool] = False
    #: Whether anything is ever posted.
    has_hooks: ClassVar[bool] = False

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        """Yields the records in ``message``, and a Misunderstood (not raised) for each part of it that can't be read.

        Raises:
            Misunderstood: nothing in the message can be read.
        """
        raise NotImplementedError(f"{type(self).__name__} has no normalise.")

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        """Checks that a request is from whom it says, in constant time and without asking anybody.

        Args:
            app: the installation's settings of this service, among them the app's secret.
            secrets: of the connection that the address tells; empty for a shared address.

        Raises:
            Refused: it is not. Stale: it is, but was signed too long ago.
        """
        raise NotImplementedError(f"{type(self).__name__} has no verify.")

    def split(self, request: Request) -> Iterator[Delivery]:
        """The parts of a verified request, by account; none for a ping, or for what nobody wants to know.

        Raises:
            Refused: this can't be split at all, not even into dead letters.
        """
        yield Delivery("", request.body)

    def confirm(self, link: "Link", learned: Mapping[str, str]) -> None:
        """Finds out in the background whether ``Delivery.learned`` is true, and keeps it with ``link.keep`` if so."""

    def pull(self, link: "Link", stream: str, cursor: Cursor | None) -> Page:
        """The next page of a stream. Called again at once while ``Page.more``, then each ``Stream.every``.

        The page and its cursor are kept together. If that fails, the same cursor comes again: then a page with the same
        records is as good as the first one.

        Raises: TryLater, NeedsReconnect, Refused.
        """
        raise NotImplementedError(f"{type(self).__name__} has no pull.")

    def fetch(self, link: "Link", kind: str, ids: Sequence[str]) -> Page:
        """Records that notices named (``Fetch``); those that are gone are left out, or told as deletions in a body.

        Raises: TryLater, NeedsReconnect, Refused.
        """
        raise NotImplementedError(f"{type(self).__name__} has no fetch.")

    def subscribe(self, link: "Link", url: str) -> None:
        """Makes sure that the vendor posts to ``url``: called after connecting, and again every hour.

        So it looks first, mends what is broken or was switched off, and changes nothing where all is well. Remembers
        what it needs with ``link.note``, secrets with ``link.keep``.
        """

    def unsubscribe(self, link: "Link") -> None:
        """Takes back what ``subscribe`` did; called before the credentials are wiped, and may fail without harm."""
