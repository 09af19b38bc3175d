"""HubSpot's login: form body only, tokens of 30 minutes, and an app that is uninstalled when it is disconnected."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from assay_hubspot.paths import INSTALLATION, OAUTH
from assay_sdk import NeedsReconnect, OAuth, Refused, TryLater

SCOPES = {
    "oauth": "to connect at all",
    "crm.objects.contacts.read": "to read contacts and what happens to them",
    "crm.objects.contacts.write": "to write scores into contacts",
    "crm.schemas.contacts.read": "to see which properties contacts have",
    "crm.schemas.contacts.write": "to create the properties that scores are written to",
    "crm.objects.companies.read": "to read the companies of contacts",
    "crm.objects.deals.read": "to learn which deals were won and lost",
}
FORMS_SCOPE, EMAIL_SCOPE, CHAT_SCOPE = "forms", "content", "conversations.read"
OPTIONAL_SCOPES = {
    FORMS_SCOPE: "to read what was submitted through forms",
    EMAIL_SCOPE: "to read opens, clicks and bounces of marketing e-mails",
    CHAT_SCOPE: "to learn who wrote in a chat",
}


@dataclass(frozen=True)
class HubSpotOAuth(OAuth):
    """The token endpoint stands at the address of the API, under a dated path."""

    def address(self, app: Mapping[str, str], name_or_url: str) -> str:
        if name_or_url.startswith("/"):
            return app["api"].rstrip("/") + name_or_url
        return super().address(app, name_or_url)

    def authorize_url(
        self, app: Mapping[str, str], *, redirect_uri: str, state: str, verifier: str, settings: Mapping[str, Any]
    ) -> str:
        url = super().authorize_url(app, redirect_uri=redirect_uri, state=state, verifier=verifier, settings=settings)
        # Without these a portal that lacks forms or marketing e-mail could not install the app at all.
        return str(httpx.URL(url).copy_merge_params({"optional_scope": " ".join(self.optional_scopes)}))

    def kept_of(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        portal = answer.get("hub_id")
        return {} if portal is None else {"hub_id": str(portal)}

    def ask(self, http: httpx.Client, app: Mapping[str, str], url: str, form: dict[str, str]) -> Mapping[str, Any]:
        try:
            return super().ask(http, app, url, form)
        except Refused as error:
            # Older answers carry HubSpot's own word alone.
            if error.code in ("BAD_REFRESH_TOKEN", "BAD_AUTH_CODE"):
                raise NeedsReconnect("HubSpot no longer accepts the access that was granted.") from None
            raise

    def revoke(self, http: httpx.Client, app: Mapping[str, str], held: Mapping[str, Any]) -> None:
        """Uninstalls the app from the portal, then drops the refresh token, whatever became of the first."""
        with suppress(TryLater, NeedsReconnect, Refused, httpx.HTTPError):
            self._uninstall(http, app, held)
        if token := held.get("refresh_token"):
            form = {"token": str(token), "token_type_hint": "refresh_token"}
            # With the app its tokens may be gone already, which is what was wanted.
            with suppress(NeedsReconnect):
                self.ask(http, app, self.address(app, f"{OAUTH}/token/revoke"), form)

    def _uninstall(self, http: httpx.Client, app: Mapping[str, str], held: Mapping[str, Any]) -> None:
        url, token = self.address(app, INSTALLATION), held.get("access_token")
        answer = http.delete(url, headers={"Authorization": f"Bearer {token}"})
        if answer.status_code != 401 or not held.get("refresh_token"):
            return
        form = {"grant_type": "refresh_token", "refresh_token": str(held["refresh_token"])}
        fresh = self.ask(http, app, self.address(app, self.token), form).get("access_token")
        http.delete(url, headers={"Authorization": f"Bearer {fresh}"})
