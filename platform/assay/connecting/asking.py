"""Asks a vendor whose credentials these are, before anything is kept."""

import secrets as random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from assay import plugins
from assay.connecting.attempts import Attempt
from assay.connecting.errors import ConnectError, VendorAway, VendorRefused
from assay.syncing import breakers, links
from assay_sdk import (
    Limiter,
    NeedsReconnect,
    NoAuth,
    OAuth,
    PluginError,
    Service,
    SystemClock,
    Tokens,
    TryLater,
    VendorAccount,
    egress,
)

log = structlog.get_logger()

#: Of what vendors say of an account, as much as is shown.
LONGEST_TITLE = 80
LONGEST_ID = 200
_LONGEST_CODE = 4_000
_LONGEST_WORDS = 200
_DENIED = frozenset({"access_denied", "user_denied", "consent_denied"})


@dataclass(frozen=True)
class Answered:
    """What the vendor said, and what is to be kept."""

    account: VendorAccount
    secrets: Mapping[str, Any] = field(repr=False)
    notes: Mapping[str, Any]
    expires_at: datetime | None


def ask(
    service: Service,
    *,
    settings: Mapping[str, Any],
    secrets: Mapping[str, Any],
    tokens: Tokens | None = None,
    notes: Mapping[str, Any] | None = None,
    account_before: str = "",
    limiter: Limiter | None = None,
) -> Answered:
    """``notes`` and ``account_before`` are those of the connection that is connected again.

    Raises VendorRefused, VendorAway.
    """
    with (
        _in_words(service),
        links.drafted(service.name, secrets=secrets, tokens=tokens, settings=settings, limiter=limiter) as (
            link,
            draft,
        ),
    ):
        draft.notes.update(notes or {})
        try:
            account = service.account(link)
        except NotImplementedError:
            if not isinstance(service.auth, NoAuth):
                raise
            # Whoever posts to an address of its own has no name there: each is one by itself.
            account = VendorAccount(account_before or random.token_hex(8), service.title)
        if not isinstance(service.auth, NoAuth):
            # Others found the vendor failing; it has just answered, so nobody who is connected now waits for them.
            breakers.current().succeeded(breakers.key_of(service, link))
        return Answered(_tidied(service, account), draft.values, draft.notes, draft.expires_at)


def exchange(service: Service, attempt: Attempt, answer: Mapping[str, str]) -> Tokens:
    """The tokens for what the browser brought back. Raises VendorRefused, VendorAway."""
    auth = service.auth
    if not isinstance(auth, OAuth):
        raise VendorRefused(f"{service.title} is not connected in this way.")
    if error := answer.get("error", ""):
        raise VendorRefused(_said_no(service, error, answer.get("error_description", "")))
    if not answer.get("code") or len(answer["code"]) > _LONGEST_CODE:
        raise VendorRefused(f"{service.title} sent you back without a code. Nothing was changed: connect again.")
    with _in_words(service), egress.client(headers={"User-Agent": "Assay"}) as http:
        return auth.exchange(
            http,
            plugins.app_settings(service),
            SystemClock(),
            answer=answer,
            redirect_uri=attempt.redirect_uri,
            verifier=attempt.verifier,
            settings=attempt.settings,
        )


def address_to_leave_to(service: Service, make: Callable[[OAuth], str]) -> str:
    """Where a person's browser is sent; a plugin's mistake must not lead it anywhere but to a web page."""
    assert isinstance(service.auth, OAuth)  # noqa: S101 # who asks has looked
    with _in_words(service):
        url = make(service.auth)
    if not url.startswith(("https://", "http://")):
        raise VendorRefused(f"{service.title} has no address to log in at: what was filled in leads to none.")
    return url


@contextmanager
def _in_words(service: Service) -> Iterator[None]:
    """Errors of the plugin come out as sentences; none of them holds a secret."""
    try:
        yield
    except TryLater as error:
        raise VendorAway(f"{error.reason} Nothing was changed: try again in a minute.") from None
    except NeedsReconnect as error:
        raise VendorRefused(
            f"{error.reason} Perhaps too much time went by, or the page was loaded twice. Nothing was changed: connect "
            "again."
        ) from None
    except PluginError as error:
        raise VendorRefused(f"{readable(str(error), _LONGEST_WORDS * 2)} Nothing was changed.") from None
    except ConnectError:
        raise
    except Exception as error:  # whatever a partner's plugin does, a person reads what became of it
        log.error("connecting.plugin_failed", plugin=service.name, error=type(error).__name__, exc_info=True)
        raise VendorRefused(
            f"The plugin for {service.title} failed; it has been written down. Nothing was changed."
        ) from None


def _said_no(service: Service, error: str, description: str) -> str:
    if error in _DENIED:
        return f"Access was refused at {service.title}. Nothing was changed: connect again when you want to."
    told = readable(description or error, _LONGEST_WORDS)
    return f"{service.title} did not let you connect. It says: “{told}”. Nothing was changed."


def _tidied(service: Service, account: VendorAccount) -> VendorAccount:
    id_ = str(account.id)
    if not id_ or len(id_) > LONGEST_ID or not id_.isprintable():
        raise VendorRefused(f"{service.title} did not say which account this is. Nothing was changed.")
    return VendorAccount(id_, readable(account.title, LONGEST_TITLE) or id_[:LONGEST_TITLE])


def readable(text: object, longest: int) -> str:
    """One line of what somebody else wrote, without letters that can't be seen."""
    words = " ".join(str(text).split())
    kept = "".join(letter for letter in words if letter.isprintable())
    return kept if len(kept) <= longest else kept[: longest - 1].rstrip() + "…"
