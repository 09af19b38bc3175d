"""How a tenant's account at a vendor is connected: OAuth 2, a key that somebody pastes, or nothing at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from assay_sdk.errors import NeedsReconnect, Refused, TryLater

if TYPE_CHECKING:
    from assay_sdk.clock import Clock

#: Names of what is kept among a connection's secrets.
ACCESS_TOKEN, REFRESH_TOKEN, EXPIRES_AT, SCOPES = "access_token", "refresh_token", "expires_at", "scopes"
#: Errors of a token endpoint that no second try mends: a person has to connect again.
_OVER = frozenset({"invalid_grant", "unauthorized_client", "access_denied", "invalid_token"})


@dataclass(frozen=True, repr=False)
class Tokens:
    """What a vendor's token endpoint gave."""

    access_token: str
    refresh_token: str | None = None
    #: None: it does not expire, or the vendor did not say.
    expires_at: datetime | None = None
    scopes: Sequence[str] = ()
    #: Whatever else of the answer is to be kept, sealed beside them: JSON values.
    extra: Mapping[str, Any] = field(default_factory=dict)

    def secrets(self) -> dict[str, Any]:
        """What is kept of them, sealed; without a refresh token in the answer the old one stays."""
        kept: dict[str, Any] = {ACCESS_TOKEN: self.access_token, **self.extra}
        if self.refresh_token:
            kept[REFRESH_TOKEN] = self.refresh_token
        if self.expires_at:
            kept[EXPIRES_AT] = self.expires_at.isoformat()
        if self.scopes:
            kept[SCOPES] = list(self.scopes)
        return kept

    def __repr__(self) -> str:
        return f"Tokens(expires_at={self.expires_at}, scopes={list(self.scopes)})"


@dataclass(frozen=True)
class AppSetting:
    """What an installation sets once for a service, by ``ASSAY_PLUGIN_<SERVICE>_<NAME>``."""

    name: str
    title: str
    secret: bool = False
    #: None: without it nobody can connect.
    default: str | None = None


@dataclass(frozen=True)
class OAuth:
    """The authorization code grant, as most vendors have it; subclass it for those that differ.

    ``authorize`` and ``token`` are addresses, or the names of app settings that hold them.
    """

    authorize: str
    token: str
    #: Each scope, and what it is needed for in words.
    scopes: Mapping[str, str] = field(default_factory=dict)
    #: Those that some accounts can't grant, and that can be done without. How a vendor's login is told so differs: a
    #: subclass's ``authorize_url`` asks for them.
    optional_scopes: Mapping[str, str] = field(default_factory=dict)
    #: RFC 7009, or the like; None: the vendor has none.
    revocation: str | None = None
    pkce: bool = True
    client_auth: Literal["basic", "post"] = "post"
    #: Whether access tokens are renewed by a refresh token.
    refreshes: bool = True
    #: How long before its end a token is renewed; None: only when the vendor says that it is too old.
    early: timedelta | None = timedelta(minutes=2)

    def address(self, app: Mapping[str, str], name_or_url: str) -> str:
        """The address itself, or the app setting of that name."""
        return app.get(name_or_url, name_or_url)

    def authorize_url(
        self, app: Mapping[str, str], *, redirect_uri: str, state: str, verifier: str, settings: Mapping[str, Any]
    ) -> str:
        """Where the person's browser is sent.

        Args:
            settings: what they filled in before, by the service's schema.
        """
        parameters: dict[str, str] = {"redirect_uri": redirect_uri}
        if self.pkce:
            parameters |= {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
        url: str = prepare_grant_uri(
            self.address(app, self.authorize),
            app["client_id"],
            "code",
            scope=" ".join(self.scopes) or None,
            state=state,
            **parameters,
        )
        return url

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
        """The tokens for a code; ``answer`` is the query that the person's browser came back with.

        Raises: Refused, TryLater, NeedsReconnect.
        """
        form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": redirect_uri}
        if self.pkce:
            form["code_verifier"] = verifier
        return self.read(self.ask(http, app, self.address(app, self.token), form), clock.now())

    def renew(self, http: httpx.Client, app: Mapping[str, str], clock: "Clock", held: Mapping[str, Any]) -> Tokens:
        """New tokens for the refresh token among ``held``; called by one worker at a time.

        The answer must not be lost: it is committed before it is used. One without a refresh token leaves the old one.
        Raises: NeedsReconnect, TryLater.
        """
        if not self.refreshes or not held.get(REFRESH_TOKEN):
            raise NeedsReconnect("The access that was granted has ended.")
        form = {"grant_type": "refresh_token", "refresh_token": str(held[REFRESH_TOKEN])}
        return self.read(self.ask(http, app, self.address(app, self.token), form), clock.now())

    def revoke(self, http: httpx.Client, app: Mapping[str, str], held: Mapping[str, Any]) -> None:
        """Tells the vendor that we are gone; raises what the HTTP client raises, which harms nobody."""
        token = held.get(REFRESH_TOKEN) or held.get(ACCESS_TOKEN)
        if self.revocation and token:
            self.ask(http, app, self.address(app, self.revocation), {"token": str(token)})

    def ask(self, http: httpx.Client, app: Mapping[str, str], url: str, form: dict[str, str]) -> Mapping[str, Any]:
        """Posts a form with the app's own credentials; gives the answer's JSON.

        Raises: NeedsReconnect, TryLater, Refused.
        """
        options: dict[str, Any] = {}
        if self.client_auth == "basic":
            options["auth"] = (app["client_id"], app["client_secret"])
        else:
            form = form | {"client_id": app["client_id"], "client_secret": app["client_secret"]}
        try:
            answer = http.post(url, data=form, headers={"Accept": "application/json"}, **options)
        except httpx.HTTPError as error:
            raise TryLater(f"The vendor's login could not be reached ({type(error).__name__}).") from None
        return token_answer(answer)

    def read(self, answer: Mapping[str, Any], now: datetime) -> Tokens:
        """The tokens in an endpoint's answer."""
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise TryLater("The vendor's login answered without an access token.")
        expires_in = answer.get("expires_in")
        scopes = answer.get("scopes") or str(answer.get("scope") or "").replace(",", " ").split()
        return Tokens(
            token,
            refresh_token=answer.get("refresh_token") or None,
            expires_at=now + timedelta(seconds=float(expires_in)) if expires_in else None,
            scopes=tuple(str(scope) for scope in scopes),
            extra=self.kept_of(answer),
        )

    def kept_of(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """What of the answer is kept beside the tokens, such as the account's id; override it."""
        return {}


def token_answer(answer: httpx.Response) -> Mapping[str, Any]:
    """A token endpoint's answer as JSON; its errors as ours. Of the answer's text nothing is repeated."""
    try:
        body = answer.json() if answer.content else {}
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict):
        return body
    said = str(body.get("error") or "") if isinstance(body, dict) else ""
    if said in _OVER:
        raise NeedsReconnect("The vendor no longer accepts the access that was granted.")
    if answer.status_code in (400, 401, 403) and said:
        raise Refused(f"The vendor's login refused this app: {said[:60]}.", status=answer.status_code, code=said)
    raise TryLater(f"The vendor's login answered {answer.status_code} without anything that could be used.")


@dataclass(frozen=True)
class Key:
    """A key that somebody makes at the vendor's and pastes: a secret field of the service's settings schema."""

    #: Which field of the schema.
    field: str = "key"
    #: How one gets it, in words.
    help: str = ""


@dataclass(frozen=True)
class NoAuth:
    """Nothing has to be proven: the vendor posts to an address that nobody can guess."""


Auth = OAuth | Key | NoAuth

__all__ = ["AppSetting", "Auth", "Key", "NoAuth", "OAuth", "Tokens", "token_answer"]
