"""Intercom as a service: its login, its regions, its limits, and what its answers mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from assay_intercom.destination import IntercomDestination
from assay_intercom.source import IntercomSource
from assay_intercom.vocabulary import VOCABULARY
from assay_intercom.workspace import API, LOGIN, REGIONS, note_workspace, region_of
from assay_sdk import (
    AppSetting,
    NeedsReconnect,
    OAuth,
    PluginError,
    RateLimit,
    Refused,
    Service,
    TryLater,
    VendorAccount,
)
from assay_sdk.auth import Tokens
from assay_sdk.clock import Clock
from assay_sdk.service import LONGEST_PAUSE

if TYPE_CHECKING:
    from assay_sdk import Call, Link

VERSION = "2.16"


class IntercomSettings(Schema):
    """What whoever connects chooses before they are sent to Intercom."""

    region = fields.String(
        load_default="US",
        validate=OneOf(REGIONS),
        metadata={
            "title": "Region",
            "help": "Where your workspace lives: its address is app.intercom.com (US), app.eu.intercom.com (EU) or "
            "app.au.intercom.com (AU).",
        },
    )


@dataclass(frozen=True)
class IntercomOAuth(OAuth):
    """No scopes in the address, no grant type, and tokens that neither end nor are renewed."""

    def authorize_url(
        self, app: Mapping[str, str], *, redirect_uri: str, state: str, verifier: str, settings: Mapping[str, Any]
    ) -> str:
        login = self.address(app, LOGIN[region_of(settings)])
        url: str = prepare_grant_uri(login, app["client_id"], "code", state=state, redirect_uri=redirect_uri)
        return url

    def exchange(
        self,
        http: httpx.Client,
        app: Mapping[str, str],
        clock: Clock,
        *,
        answer: Mapping[str, str],
        redirect_uri: str,
        verifier: str,
        settings: Mapping[str, Any],
    ) -> Tokens:
        address = app[API[region_of(settings)]].rstrip("/") + self.token
        return self.read(self.ask(http, app, address, {"code": answer["code"]}), clock.now())


class Intercom(Service):
    """People, chats and mail events come in; scores go back as attributes of contacts."""

    name = "intercom"
    title = "Intercom"
    summary = (
        "Brings in leads and users, their companies, chats and what they did with your mails. "
        "Writes the score, the grade and the reasons into each contact."
    )
    auth = IntercomOAuth("authorize", "/auth/eagle/token", pkce=False, refreshes=False, early=None)
    settings = IntercomSettings
    app = (
        AppSetting("client_id", "Client ID"),
        AppSetting("client_secret", "Client secret: it also signs notifications", secret=True),
        AppSetting("previous_client_secret", "Client secret before the last change", secret=True, default=""),
        AppSetting("authorize", "Login, US", default="https://app.intercom.com/oauth"),
        AppSetting("authorize_eu", "Login, EU", default="https://app.eu.intercom.com/oauth"),
        AppSetting("authorize_au", "Login, AU", default="https://app.au.intercom.com/oauth"),
        AppSetting("api", "API, US", default="https://api.intercom.io"),
        AppSetting("api_eu", "API, EU", default="https://api.eu.intercom.io"),
        AppSetting("api_au", "API, AU", default="https://api.au.intercom.io"),
    )
    vocabulary = VOCABULARY
    # A little under what an app is granted by default in each slice of ten seconds; some get less, and say so by 429.
    limits = (RateLimit("api", 1600, 10, per="account"),)
    source = IntercomSource()
    destination = IntercomDestination()
    simulator = "assay_intercom.simulator:IntercomSimulator"

    def account(self, link: "Link") -> VendorAccount:
        me = self._who_am_i(link)
        return VendorAccount(me["id_code"], str(me.get("name") or me["id_code"]))

    def _who_am_i(self, link: "Link") -> Mapping[str, Any]:
        """Asks the region that was chosen, then the others: another region's host does not know the token."""
        chosen, failed = region_of(link.settings), None
        asked: set[str] = set()
        for region in (chosen, *(other for other in REGIONS if other != chosen)):
            host = link.app[API[region]]
            if host in asked:
                continue
            asked.add(host)
            try:
                return note_workspace(link, host.rstrip("/") + "/me", region)
            except (NeedsReconnect, Refused) as error:
                failed = failed or error
        raise failed or Refused("Intercom has no region to ask.")

    def base_url(self, link: "Link") -> str:
        return link.app[API[region_of(link.notes if link.notes.get("region") else link.settings)]]

    def authorise(self, call: "Call", secrets: Mapping[str, Any]) -> None:
        super().authorise(call, secrets)
        call.headers |= {"Accept": "application/json", "Intercom-Version": VERSION}

    def judge(self, answer: httpx.Response) -> PluginError | None:
        if answer.status_code == 401:
            return NeedsReconnect("Intercom no longer takes our access: somebody has to connect again.")
        if answer.is_success and answer.content and not _is_object(answer):
            return TryLater("Intercom answered with something that is no JSON object.")
        return super().judge(answer)

    def pause_of(self, answer: httpx.Response) -> timedelta | None:
        """Until the slice is over: stated as an instant, which is compared with Intercom's own clock, not ours."""
        if (stated := super().pause_of(answer)) is not None:
            return stated
        reset, sent = answer.headers.get("X-RateLimit-Reset", ""), answer.headers.get("Date", "")
        try:
            left = datetime.fromtimestamp(int(reset), UTC) - parsedate_to_datetime(sent)
        except (ValueError, TypeError, OverflowError, OSError):
            return None
        return min(max(left, timedelta(0)) + timedelta(seconds=1), LONGEST_PAUSE)

    def spare(self, answer: httpx.Response) -> timedelta | None:
        return self.pause_of(answer) if answer.headers.get("X-RateLimit-Remaining", "").strip() == "0" else None

    def refusal(self, answer: httpx.Response) -> Refused:
        try:
            body: object = answer.json()
        except (ValueError, RecursionError):
            body = None
        errors = body.get("errors") if isinstance(body, dict) else None
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        said = str(first.get("message") or "")[:200]
        return Refused(
            f"Intercom answered {answer.status_code}" + (f": {said}" if said else "") + ".",
            status=answer.status_code,
            code=str(first.get("code") or ""),
            answer=body,
            headers={name.lower(): value for name, value in answer.headers.items()},
        )


def _is_object(answer: httpx.Response) -> bool:
    try:
        return isinstance(answer.json(), dict)
    except (ValueError, RecursionError):
        return False
