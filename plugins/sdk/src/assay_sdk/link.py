"""One tenant's connection, in a plugin's hands for one piece of work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from assay_sdk.clock import Clock, SystemClock
from assay_sdk.logs import Log

if TYPE_CHECKING:
    from assay_sdk.auth import Tokens
    from assay_sdk.http import Http


@dataclass(frozen=True, repr=False)
class Held:
    """A connection's secrets as they are at the moment."""

    values: Mapping[str, Any]
    #: Grows with each renewal.
    renewal: int
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"Held(renewal={self.renewal}, expires_at={self.expires_at})"


class Vault(Protocol):
    """Where a connection's secrets lie. The platform's is in the database, sealed."""

    def read(self) -> Held:
        """Raises NeedsReconnect when there are none that could be used."""

    def renew(self, since: int, ask: Callable[[Mapping[str, Any]], "Tokens"]) -> Held:
        """The secrets after somebody has renewed them: one at a time, and committed before they are given.

        ``ask`` is not called when another has renewed those of renewal ``since`` meanwhile. Where it raises
        NeedsReconnect, the connection is marked so, and it is raised on.
        """

    def keep(self, values: Mapping[str, Any]) -> None:
        """Keeps further secrets beside the others; None takes one away."""


class Notebook(Protocol):
    """Where a plugin's notes about a connection lie."""

    def read(self) -> Mapping[str, Any]:
        """All that was written."""

    def write(self, values: Mapping[str, Any]) -> None:
        """Over the others; None takes one away."""


class Link:
    """What a plugin is given of a connection.

    Attributes:
        id: of the connection, the same for as long as it lasts.
        account: the vendor's id of the account; empty while it is being found out.
        settings: what whoever connected filled in, without secrets.
        app: the installation's settings of this service.
        http: asks the vendor, with this connection's credentials and within its limits.
        clock: the time; use no other.
        log: drops whatever looks like a secret.
        address: of Assay's pages, for links back.
    """

    http: "Http"

    def __init__(
        self,
        *,
        id: str,
        account: str,
        settings: Mapping[str, Any],
        app: Mapping[str, str],
        vault: Vault,
        notebook: Notebook,
        clock: Clock | None = None,
        log: Log | None = None,
        address: str = "",
    ) -> None:
        self.id = id
        self.account = account
        self.settings = settings
        self.app = app
        self.vault = vault
        self.clock = clock or SystemClock()
        self.log = log or Log("assay_sdk")
        self.address = address
        self._notebook = notebook

    @property
    def secrets(self) -> Mapping[str, Any]:
        """As they are at the moment; raises NeedsReconnect when there are none."""
        return self.vault.read().values

    @property
    def scopes(self) -> frozenset[str]:
        """Those that were granted."""
        return frozenset(self.secrets.get("scopes") or ())

    def keep(self, **secrets: Any) -> None:
        """Keeps secrets, sealed: JSON values. None takes one away."""
        self.vault.keep(secrets)

    @property
    def notes(self) -> Mapping[str, Any]:
        """What ``note`` kept."""
        return self._notebook.read()

    def note(self, **values: Any) -> None:
        """Keeps what is no secret, such as a subscription's id or a region: JSON values. None takes one away."""
        self._notebook.write(values)
