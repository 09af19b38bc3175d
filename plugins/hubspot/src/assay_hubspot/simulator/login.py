"""The stand-in's login: consent, tokens, revocation, and the app's uninstallation."""

from datetime import timedelta
from typing import Any

from authlib.common.urls import add_params_to_uri
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from assay_hubspot.paths import INSTALLATION, OAUTH
from assay_hubspot.simulator.answers import login_error
from assay_hubspot.simulator.state import State
from assay_sdk.testing import answer_json, route
from assay_sdk.testing.simulator import Grant


class Login(State):
    """Views of the login."""

    def app_settings(self) -> dict[str, str]:
        return {
            **super().app_settings(),
            "authorize": f"{self.address}/oauth/authorize",
            "app_id": "",
            "developer_key": "",
        }

    @route("GET", "/oauth/authorize", guarded=False)
    def asks(self, request: Request) -> Response:
        return self.consent_page(request)

    @route("POST", "/oauth/authorize", guarded=False)
    def allowed(self, request: Request) -> Response:
        given = self.consent(request)
        state = {"state": request.args.get("state", "")}
        answer = {"error": "access_denied"} if given is None else {"code": given[0]}
        return redirect(add_params_to_uri(request.args["redirect_uri"], [*state.items(), *answer.items()]))

    def consent(self, request: Request) -> tuple[str, Grant] | None:
        found = super().consent(request)
        if found is not None:
            grant = found[1]
            lacks = self.portals[grant.account].lacks
            optional = request.args.get("optional_scope", "").split()
            grant.scopes = (*grant.scopes, *(scope for scope in optional if scope not in lacks))
        return found

    @route("POST", f"{OAUTH}/token", guarded=False)
    def token(self, request: Request) -> Response:
        form = request.form
        # Credentials in the address would stand in every log on the way: HubSpot refuses them since 2026-03.
        if request.args or form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return login_error("invalid_client", "BAD_CLIENT_ID", "missing or unknown client_id or client_secret")
        if form.get("grant_type") == "refresh_token":
            grant = self.redeem_refresh(form.get("refresh_token", ""))
            said = "refresh token is invalid, expired or revoked"
            return self._tokens(grant, request, "BAD_REFRESH_TOKEN", said)
        if form.get("grant_type") == "authorization_code":
            uri, verifier = form.get("redirect_uri", ""), form.get("code_verifier")
            grant = self.redeem(form.get("code", ""), redirect_uri=uri, verifier=verifier)
            return self._tokens(grant, request, "BAD_AUTH_CODE", "missing or unknown auth code")
        return login_error("unsupported_grant_type", "BAD_GRANT_TYPE", "grant_type is not supported")

    def _tokens(self, grant: Grant | None, request: Request, word: str, message: str) -> Response:
        return login_error("invalid_grant", word, message) if grant is None else answer_json(self.token_body(grant))

    def token_body(self, grant: Grant) -> dict[str, Any]:
        beside = {"token_use": "access_token", "hub_id": int(grant.account), "user_id": 7, "scopes": list(grant.scopes)}
        return {**super().token_body(grant), **beside}

    @route("POST", f"{OAUTH}/token/revoke", guarded=False)
    def revoked(self, request: Request) -> Response:
        with self.lock:
            for grant in self.grants:
                if request.form.get("token") == grant.refresh_token:
                    grant.revoked = True
        return Response(status=200)

    @route("DELETE", INSTALLATION)
    def uninstalled(self, request: Request, grant: Grant) -> Response:
        """The portal has the app no longer, whoever connected it."""
        with self.lock:
            for other in self.grants:
                other.revoked = other.revoked or other.account == grant.account
        return Response(status=204)

    def expire_soon(self, left: timedelta) -> None:
        """Every access token has only so much time left."""
        for grant in self.grants:
            grant.expires_at = self.clock.now() + left
