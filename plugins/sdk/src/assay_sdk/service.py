"""A service that tenants connect to: what a plugin is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
from marshmallow import Schema

from assay_sdk.auth import ACCESS_TOKEN, AppSetting, Auth, NoAuth
from assay_sdk.destination import Destination
from assay_sdk.errors import NeedsReconnect, PluginError, Refused, TokenExpired, TryLater
from assay_sdk.limits import RateLimit
from assay_sdk.source import Source

if TYPE_CHECKING:
    from assay_sdk.http import Call
    from assay_sdk.link import Link

#: Where a vendor did not say how long it wants to be left alone.
USUAL_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=2)


@dataclass(frozen=True)
class EventType:
    """A word of the plugin's vocabulary: an event that it may bring, and what it is worth to begin with."""

    #: Dotted, lower case, past tense: ``meeting.booked``.
    type: str
    title: str
    #: Whole points, for the builder of models; 0: worth nothing by itself.
    suggested_points: int = 0
    #: What the vendor calls it.
    vendor_name: str = ""


@dataclass(frozen=True)
class VendorAccount:
    """Which account of the vendor's was connected."""

    #: Never changes, and is unique at the vendor: what its webhooks carry.
    id: str
    #: What people recognise it by.
    title: str


class Service:
    """Subclass this and register an instance with ``register_services``.

    It describes the vendor, and holds the source, the destination, or both.
    """

    #: Unique among installed plugins; lower-case letters, digits and dashes. Also its key in ``Identifiers.vendor``.
    name: ClassVar[str]
    title: ClassVar[str]
    #: One or two sentences: what comes in, what goes back.
    summary: ClassVar[str] = ""
    auth: ClassVar[Auth] = NoAuth()
    #: What whoever connects fills in, before they are sent to the vendor. A field's metadata: ``title``, ``help``, and
    #: ``secret: True`` for what is kept sealed (then found in ``link.secrets``, all else in ``link.settings``).
    settings: ClassVar[type[Schema] | None] = None
    #: What the installation sets, such as the app's ``client_id`` and ``client_secret``, and addresses with defaults.
    app: ClassVar[Sequence[AppSetting]] = ()
    vocabulary: ClassVar[Sequence[EventType]] = ()
    limits: ClassVar[Sequence[RateLimit]] = ()
    source: ClassVar[Source | None] = None
    destination: ClassVar[Destination | None] = None
    #: ``module:Class`` of a stand-in of the vendor (``assay_sdk.testing.Simulator``); empty: there is none.
    simulator: ClassVar[str] = ""

    def account(self, link: "Link") -> VendorAccount:
        """Asks the vendor whose credentials these are; called once after connecting.

        What it learns besides (a region, a time zone) it keeps with ``link.note``.
        Raises: TryLater, NeedsReconnect, Refused.
        """
        raise NotImplementedError(f"{type(self).__name__} has no account.")

    def base_url(self, link: "Link") -> str:
        """What the paths of calls are appended to."""
        return link.app["api"]

    def authorise(self, call: "Call", secrets: Mapping[str, Any]) -> None:
        """Puts the credentials on a call."""
        if token := secrets.get(ACCESS_TOKEN):
            call.headers["Authorization"] = f"Bearer {token}"

    def judge(self, answer: httpx.Response) -> PluginError | None:
        """What an answer means: None when it is good; otherwise an error, which is handled or raised for the plugin.

        TokenExpired is renewed and asked again, once; TryLater with ``overloaded`` pauses everybody who takes the same
        limits; TryLater without it is tried again a few times at once where that is safe.
        """
        status = answer.status_code
        if answer.is_success:
            return None
        if status == 401:
            return TokenExpired(f"{self.title} says that the access token is no longer good.")
        if status in (429, 503) and (wait := self.pause_of(answer)) is not None:
            return TryLater(f"{self.title} asks us to wait.", after=wait, overloaded=True)
        if status == 429:
            return TryLater(f"{self.title} asks us to wait.", after=USUAL_PAUSE, overloaded=True)
        if status in (408, 425) or status >= 500:
            return TryLater(f"{self.title} answered {status}.")
        if 300 <= status < 400:
            return Refused(f"{self.title} answered with a redirect, which is not followed.", status=status)
        return self.refusal(answer)

    def pause_of(self, answer: httpx.Response) -> timedelta | None:
        """How long an answer says that we should wait: by default ``Retry-After`` in seconds."""
        stated = answer.headers.get("Retry-After", "").strip()
        if not stated.isdecimal():
            return None
        return min(timedelta(seconds=min(int(stated), 10**6)), LONGEST_PAUSE)

    def spare(self, answer: httpx.Response) -> timedelta | None:
        """How long to rest after a good answer, because it says that nothing is left: None when something is.

        Override it for vendors who say so: everybody who takes the same limits then waits, and none is refused.
        """
        return None

    def refusal(self, answer: httpx.Response) -> Refused | NeedsReconnect:
        """An answer such as 400, 403 or 404 as an error: override it to read the vendor's own words."""
        try:
            body: object = answer.json()
        except ValueError:
            body = None
        said = body.get("message") or body.get("error") or "" if isinstance(body, dict) else ""
        reason = f"{self.title} answered {answer.status_code}" + (f": {str(said)[:200]}" if said else "") + "."
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Refused(reason, status=answer.status_code, answer=body, headers=headers)
