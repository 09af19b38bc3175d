"""Calendly's login."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import httpx

from assay_sdk import OAuth, Tokens
from assay_sdk.auth import ACCESS_TOKEN, REFRESH_TOKEN


@dataclass(frozen=True, repr=False)
class CalendlyOAuth(OAuth):
    """Basic at the token endpoint; refresh tokens that are good once; scopes that older apps don't know."""

    def authorize_url(
        self, app: Mapping[str, str], *, redirect_uri: str, state: str, verifier: str, settings: Mapping[str, Any]
    ) -> str:
        """Calendly knows no optional scopes: those that the app has at Calendly are asked for like the others."""
        at_calendly = app.get("optional_scopes", " ".join(self.optional_scopes)).split()
        optional = {scope: why for scope, why in self.optional_scopes.items() if scope in at_calendly}
        whole = OAuth(self.authorize, self.token, scopes={**self.scopes, **optional}, pkce=self.pkce)
        return whole.authorize_url(app, redirect_uri=redirect_uri, state=state, verifier=verifier, settings=settings)

    def read(self, answer: Mapping[str, Any], now: datetime) -> Tokens:
        tokens = super().read(answer, now)
        # Apps made before scopes came have full access, and are told of no scope, or of one named "default".
        if set(tokens.scopes) <= {"default"}:
            return replace(tokens, scopes=(*self.scopes, *self.optional_scopes))
        return tokens

    def kept_of(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: str(answer[name]) for name in ("owner", "organization") if answer.get(name)}

    def revoke(self, http: httpx.Client, app: Mapping[str, str], held: Mapping[str, Any]) -> None:
        """This endpoint, unlike the other one, takes the app's credentials in the form."""
        token = held.get(REFRESH_TOKEN) or held.get(ACCESS_TOKEN)
        if self.revocation and token:
            form = {"token": str(token)}
            replace(self, client_auth="post").ask(http, app, self.address(app, self.revocation), form)
