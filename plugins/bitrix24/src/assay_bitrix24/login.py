"""Bitrix24's OAuth: a login page at each portal, one token endpoint for all of them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx

from assay_bitrix24 import portal
from assay_sdk import NeedsReconnect, OAuth, Refused, Tokens, TryLater
from assay_sdk.auth import REFRESH_TOKEN

if TYPE_CHECKING:
    from assay_sdk import Clock

_IN_WORDS = {
    "invalid_client": "Bitrix24 does not know this app at the portal: it has to be installed there first. If it is, "
    "the app's client_id or client_secret is wrong.",
    "payment_required": "The portal's subscription, or that of the app, has ended: Bitrix24 opens it again once it is "
    "paid.",
    "insufficient_scope": "The app lacks the right crm: its card in Bitrix24 has to ask for it.",
    "invalid_scope": "The app lacks the right crm: its card in Bitrix24 has to ask for it.",
    "invalid_request": "Bitrix24 does not understand how the app asks for access.",
}


class PortalLogin(OAuth):
    """As OAuth 2, but for: the portal is asked for first; neither redirect_uri nor scope are sent, both stand in the
    app's card; a code is good for 30 seconds; tokens are asked for by GET; and a token is renewed only when Bitrix24
    says that it is too old, because apps that renew ahead of time get blocked.
    """

    def authorize_url(
        self, app: Mapping[str, str], *, redirect_uri: str, state: str, verifier: str, settings: Mapping[str, Any]
    ) -> str:
        host = portal.host(str(settings.get("portal") or ""), app)
        query = urlencode({"client_id": app["client_id"], "state": state})
        return f"{portal.scheme(app)}://{host}/oauth/authorize/?{query}"

    def exchange(
        self,
        http: httpx.Client,
        app: Mapping[str, str],
        clock: "Clock",
        *,
        answer: Mapping[str, str],
        redirect_uri: str,
        verifier: str,
        settings: Mapping[str, Any],
    ) -> Tokens:
        tokens = self._tokens(
            self._asked(http, app, {"grant_type": "authorization_code", "code": answer["code"]}), app, clock.now()
        )
        stated = answer.get("member_id")
        if not tokens.extra.get("member_id") or (stated and stated != tokens.extra["member_id"]):
            raise Refused("Bitrix24 gave tokens of another portal than the one that was opened.")
        # Whatever was known of events belongs to an installation of the app that may be gone: it is learned anew.
        return replace(tokens, extra={**tokens.extra, "application_token": ""})

    def renew(self, http: httpx.Client, app: Mapping[str, str], clock: "Clock", held: Mapping[str, Any]) -> Tokens:
        if not held.get(REFRESH_TOKEN):
            raise NeedsReconnect("The access that was granted has ended.")
        form = {"grant_type": "refresh_token", "refresh_token": str(held[REFRESH_TOKEN])}
        return self._tokens(self._asked(http, app, form), app, clock.now())

    def kept_of(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Whose portal it is, and where it is called; ``domain`` is not the portal's here but the login's."""
        return {name: answer[name] for name in ("member_id", "client_endpoint") if answer.get(name)}

    def _tokens(self, answer: Mapping[str, Any], app: Mapping[str, str], now: datetime) -> Tokens:
        tokens = self.read(answer, now)
        checked = portal.endpoint(answer.get("client_endpoint"), app)
        return replace(tokens, extra={**tokens.extra, "client_endpoint": checked})

    def _asked(self, http: httpx.Client, app: Mapping[str, str], form: Mapping[str, str]) -> Mapping[str, Any]:
        """Asks the login that all portals share, and no portal: they may be anybody's own machine."""
        query = {**form, "client_id": app["client_id"], "client_secret": app["client_secret"]}
        url = self.address(app, self.token).rstrip("/") + "/oauth/token/"
        try:
            answer = http.get(url, params=query, headers={"Accept": "application/json"})
        except httpx.HTTPError as error:
            raise TryLater(f"Bitrix24's login could not be reached ({type(error).__name__}).") from None
        try:
            body = answer.json()
        except ValueError:
            body = None
        said = str(body.get("error") or "") if isinstance(body, dict) else ""
        if answer.is_success and isinstance(body, dict) and not said:
            return body
        if said.lower() in ("invalid_grant", "expired_token", "invalid_token"):
            raise NeedsReconnect("Bitrix24 no longer accepts the access that was granted: connect the portal again.")
        if words := _IN_WORDS.get(said.lower()):
            raise Refused(words, status=answer.status_code, code=said.lower())
        if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429) and said:
            raise Refused(f"Bitrix24's login refused this app: {said[:60]}.", status=answer.status_code, code=said)
        raise TryLater(f"Bitrix24's login answered {answer.status_code} without anything that could be used.")
