"""A login through the tenant's provider: out with state, nonce and PKCE, back with a code, in with a session."""

import hmac
import secrets as random
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from joserfc.jwk import Key
from sqlalchemy import delete, insert, update

from assay_sdk import egress
from assay_tenants import secrets
from assay_tenants.access.sessions import open_session
from assay_tenants.database import tenant_session
from assay_tenants.mailing import is_address
from assay_tenants.sso import providers
from assay_tenants.sso.discovery import Endpoints, discover
from assay_tenants.sso.domains import tenant_of
from assay_tenants.sso.enforcing import domain_of
from assay_tenants.sso.errors import BadProvider, LoginGone, LoginRefused, NotSetUp, ProviderAway
from assay_tenants.sso.id_tokens import read_id_token
from assay_tenants.sso.keys import signing_keys
from assay_tenants.sso.linking import Known, admit
from assay_tenants.sso.models import PendingLogin, Provider
from assay_tenants.sso.token_endpoint import LARGEST_ANSWER, ask_for_tokens, away, error_told, json_object

STATE_PREFIX = "st"
LIFETIME = timedelta(minutes=10)
SCOPES: Final = "openid email profile"
#: Its endpoints may move; whoever looks them up at each login would wait for nothing.
DISCOVERED_FOR = timedelta(days=1)
_LONGEST_CODE = 4_000


@dataclass(frozen=True)
class Entered:
    token: str = field(repr=False)
    tenant_id: int
    #: Of ours, to go on to; empty: none was asked for.
    page: str


@dataclass(frozen=True)
class Return:
    """What came back from a provider, in the address that it sent the browser to."""

    state: str
    code: str = field(default="", repr=False)
    issuer: str = ""
    error: str = ""
    error_description: str = ""


def new_browser() -> str:
    """What binds logins to a browser: random, kept in its cookie alone."""
    return random.token_urlsafe(32)


def tenant_for(email: str) -> int | None:
    """Whose provider people of this address log in with."""
    tenant_id = tenant_of(domain_of(email))
    return tenant_id if tenant_id is not None and providers.find(tenant_id) is not None else None


def begin(
    tenant_id: int, *, browser: str, redirect_uri: str, email: str = "", page: str = "", again: bool = False
) -> str:
    """Where to send the browser; ``again``: the provider is to ask for proof, though it may know the person.

    Raises NotSetUp, ProviderAway.
    """
    provider = providers.find(tenant_id)
    if provider is None:
        raise NotSetUp
    endpoints = _endpoints(provider)
    state = secrets.issue(STATE_PREFIX, tenant_id)
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        session.execute(delete(PendingLogin).where(PendingLogin.tenant_id == tenant_id, PendingLogin.expires_at < now))
        session.execute(
            insert(PendingLogin).values(
                tenant_id=tenant_id,
                state_hash=secrets.digest(state),
                browser_hash=secrets.digest(browser),
                page=page,
                again=again,
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": SCOPES,
        "state": state,
        "nonce": _derived(browser, state, "nonce"),
        "code_challenge": _base64(sha256(_derived(browser, state, "verifier").encode()).digest()),
        "code_challenge_method": "S256",
    }
    if email:
        asked["login_hint"] = email
    if again:
        asked |= {"prompt": "login", "max_age": "0"}
    return endpoints.authorization + ("&" if "?" in endpoints.authorization else "?") + urlencode(asked)


def finish(
    came: Return, *, tenant_id: int, browser: str, redirect_uri: str, address: str = "", agent: str = ""
) -> Entered:
    """Lets whoever came back in. ``tenant_id`` is that of the address that they came back to.

    Raises LoginGone, LoginRefused or ProviderAway; nothing of it can be tried again with the same ``state``.
    """
    pending = _take(came.state, tenant_id, browser)
    provider = providers.find(tenant_id)
    if provider is None:
        raise LoginGone
    endpoints = Endpoints.from_row(provider.endpoints)
    _check_return(came, endpoints)
    tokens = _redeem(provider, endpoints, came.code, _derived(browser, came.state, "verifier"), redirect_uri)

    def find_keys(algorithm: str, key_id: str | None) -> list[Key]:
        return signing_keys(tenant_id, endpoints.keys, algorithm=algorithm, key_id=key_id)

    claims = read_id_token(
        str(tokens.get("id_token", "")),
        find_keys,
        issuer=provider.issuer,
        client_id=provider.client_id,
        nonce=_derived(browser, came.state, "nonce"),
        now=datetime.now(UTC),
        proven_since=pending.created_at if pending.again else None,
    )
    known = _read(_completed(claims, endpoints, tokens.get("access_token")))
    person_id = admit(provider, known, address=address)
    token = open_session(person_id, tenant_id=tenant_id, proven_by=("sso",), address=address, agent=agent)
    return Entered(token, tenant_id, pending.page)


def _take(state: str, tenant_id: int, browser: str) -> PendingLogin:
    """The login under way, which from here on is not: for the browser that began it alone."""
    parsed = secrets.parse(state)
    if parsed is None or parsed.prefix != STATE_PREFIX or parsed.tenant_id != tenant_id or not browser:
        raise LoginGone
    with tenant_session(tenant_id) as session:
        pending = session.scalars(
            delete(PendingLogin)
            .where(
                PendingLogin.tenant_id == tenant_id,
                PendingLogin.state_hash == parsed.hash,
                PendingLogin.browser_hash == secrets.digest(browser),
            )
            .returning(PendingLogin)
        ).one_or_none()
    if pending is None or pending.expires_at <= datetime.now(UTC):
        raise LoginGone
    return pending


def _check_return(came: Return, endpoints: Endpoints) -> None:
    if (came.issuer or endpoints.names_itself) and came.issuer != endpoints.issuer:
        # RFC 9207: the code may be another provider's, and would be shown to the wrong one.
        raise LoginRefused("The answer came from another login service than the one you were sent to. Log in again.")
    if came.error:
        told = f" It says: {came.error_description[:200]}" if came.error_description else ""
        raise LoginRefused(f"Your company's login service did not let you in ({came.error[:60]}).{told}")
    if not came.code or len(came.code) > _LONGEST_CODE:
        raise LoginRefused("Your company's login service sent you back without a code. Log in again.")


def _endpoints(provider: Provider) -> Endpoints:
    """As they are known; looked up anew once a day, and where that fails, as they were."""
    known = Endpoints.from_row(provider.endpoints)
    if datetime.now(UTC) - provider.discovered_at < DISCOVERED_FOR:
        return known
    try:
        fresh = discover(provider.issuer)
    except BadProvider:
        return known
    if fresh.issuer != provider.issuer:
        return known
    with tenant_session(provider.tenant_id) as session:
        session.execute(
            update(Provider)
            .where(Provider.tenant_id == provider.tenant_id, Provider.issuer == provider.issuer)
            .values(endpoints=fresh.as_row(), discovered_at=datetime.now(UTC))
        )
    return fresh


def _redeem(provider: Provider, endpoints: Endpoints, code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
    answer = ask_for_tokens(
        endpoints,
        client_id=provider.client_id,
        client_secret=providers.secret_of(provider),
        fields={"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri},
    )
    if answer.status_code != 200:
        raise LoginRefused(
            f"Your company's login service did not accept our answer ({error_told(answer)}). Whoever set up single "
            "sign-on should look at the client id and secret."
        )
    tokens = json_object(answer)
    if not isinstance(tokens.get("id_token"), str):
        raise LoginRefused("Your company's login service sent no ID token: it has to grant the scope openid.")
    return tokens


def _completed(claims: dict[str, Any], endpoints: Endpoints, access_token: object) -> dict[str, Any]:
    """The claims, with those of the userinfo endpoint where the token does not tell the address."""
    if claims.get("email") or endpoints.userinfo is None or not isinstance(access_token, str):
        return claims
    try:
        with egress.client(largest=LARGEST_ANSWER) as client:
            answer = client.get(endpoints.userinfo, headers={"Authorization": f"Bearer {access_token}"})
    except (httpx.HTTPError, UnicodeEncodeError) as error:
        raise ProviderAway(away(error)) from error
    told = json_object(answer) if answer.status_code == 200 else {}
    if told.get("sub") != claims["sub"]:
        raise LoginRefused("Your company's login service told of another person than the one who logged in.")
    return {**told, **claims}


def _read(claims: Mapping[str, Any]) -> Known:
    email = str(claims.get("email") or "").strip().lower()
    if not is_address(email):
        raise LoginRefused(
            "Your company's login service does not tell your e-mail address: it has to send the claim email."
        )
    name = " ".join(str(claims.get("name") or email.partition("@")[0]).split())
    readable = "".join(letter for letter in name if letter.isprintable())[:200]
    return Known(
        subject=claims["sub"],
        email=email,
        # Some send the word for it.
        is_verified=claims.get("email_verified") in (True, "true"),
        name=readable or email,
        claims=claims,
    )


def _derived(browser: str, state: str, purpose: str) -> str:
    """Nothing secret of a login under way is stored: it follows from the browser's cookie and the state."""
    return _base64(hmac.new(browser.encode(), f"{purpose}:{state}".encode(), sha256).digest())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
