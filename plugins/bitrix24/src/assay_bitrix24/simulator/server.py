"""The stand-in's doors: login, token endpoint, and the portals' REST API."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import local
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from assay_bitrix24.simulator import story
from assay_bitrix24.simulator.methods import perform, perform_batch
from assay_bitrix24.simulator.portals import Portal, RestError, written
from assay_sdk import Clock
from assay_sdk.testing.simulator import Grant, Simulator, answer_json, route

#: The leaky bucket of a portal.
BUCKET, LEAKS = 50, 2.0
_LOGIN = "oauth.bitrix.info"


class Bitrix24Server(Simulator):
    """``oauth.bitrix.info`` and two portals behind one address: ``/portal-1/rest/`` and ``/portal-2/rest/``."""

    name: ClassVar[str] = "bitrix24"
    access_lifetime = timedelta(hours=1)
    code_lifetime = timedelta(seconds=30)
    rotates = True

    def __init__(self, *, clock: Clock | None = None, seed: int = 7) -> None:
        super().__init__(clock=clock, seed=seed)
        self.portals = {
            "portal-1": Portal("a223c6b3710f85df22e9377d6c4f7553", "portal-1", "Demonstration", "51856fefc120afa4"),
            "portal-2": Portal("b7d1f2c90a31e6d48fc1b7a5d2e39c68", "portal-2", "Neighbour", "9c1f30e2b8d74a65"),
        }
        #: Stands in the app's card at Bitrix24, and in no address that the browser is sent to.
        self.installed = True
        self.paid = True
        #: Methods and their parameters without the token, parts of batches among them.
        self.requests: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=10_000)
        self._asking = local()

    @property
    def portal(self) -> Portal:
        """The first one."""
        return self.portals["portal-1"]

    def app_settings(self) -> dict[str, str]:
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "login": self.address,
            "portal_scheme": "http",
        }

    def form(self) -> dict[str, str]:
        return {"portal": urlsplit(self.address).netloc}

    def accounts(self) -> Mapping[str, str]:
        return {portal.member_id: portal.title for portal in self.portals.values()}

    def fill(self, people: int) -> None:
        with self.lock:
            story.fill(self.portal, people, now=self.clock.now(), dice=self.dice)

    def live(self) -> None:
        with self.lock:
            story.live(self.portal, now=self.clock.now(), dice=self.dice, access_token=self.somebodys_token())
        self.deliver()

    def deliver(self) -> None:
        """Sends the events that are on their way: each once, whatever becomes of it."""
        for portal in self.portals.values():
            while portal.outbox:
                url, form = portal.outbox.popleft()
                self.post(url, form, {"Content-Type": "application/x-www-form-urlencoded"})

    def lose_events(self) -> None:
        """As if nobody had answered: what is on its way is gone."""
        for portal in self.portals.values():
            portal.outbox.clear()

    # The login.

    @route("GET", "/oauth/authorize/", guarded=False)
    def authorise_page(self, request: Request) -> Response:
        if request.args.get("client_id") != self.client_id or not self.installed:
            return Response("<h1>The app is not installed.</h1>", 403, content_type="text/html")
        return self.consent_page(request)

    @route("POST", "/oauth/authorize/", guarded=False)
    def authorise(self, request: Request) -> Response:
        if request.form.get("deny"):
            # Nobody is sent back: the portal shows a page of its own.
            return Response("<h1>Access was not given.</h1>", content_type="text/html")
        account = request.form.get("account") or self.portal.member_id
        code, _ = self.issue_code(Grant(account, ("crm",)))
        query = {
            "code": code,
            "state": request.args.get("state", ""),
            "domain": request.host,
            "member_id": account,
            "scope": "crm",
            "server_domain": _LOGIN,
        }
        return redirect(f"{self.redirect_uri}?{urlencode(query)}")

    @route("GET", "/oauth/token/", guarded=False)
    def token(self, request: Request) -> Response:
        given = request.args
        if given.get("client_id") != self.client_id or given.get("client_secret") != self.client_secret:
            return answer_json({"error": "invalid_client", "error_description": "Client not found"}, 401)
        if not self.installed:
            return answer_json({"error": "invalid_client", "error_description": "Application not installed"}, 401)
        if not self.paid:
            return answer_json({"error": "PAYMENT_REQUIRED", "error_description": "Payment required"}, 402)
        if given.get("grant_type") == "authorization_code":
            grant = self.redeem(given.get("code", ""))
        elif given.get("grant_type") == "refresh_token":
            grant = self.redeem_refresh(given.get("refresh_token", ""))
        else:
            return answer_json({"error": "invalid_request"}, 400)
        if grant is None:
            return answer_json({"error": "invalid_grant", "error_description": "The grant is not valid"}, 400)
        return answer_json(self.token_body(grant))

    def token_body(self, grant: Grant) -> dict[str, Any]:
        portal = self._portal_of(grant)
        host = portal.host or urlsplit(self.address).netloc
        return super().token_body(grant) | {
            # Not the portal's.
            "domain": _LOGIN,
            "server_endpoint": f"https://{_LOGIN}/rest/",
            "client_endpoint": f"http://{host}/{portal.path}/rest/",
            "member_id": portal.member_id,
            "status": "L",
            "scope": "crm",
            "user_id": 1,
        }

    # The portals.

    @route("POST", "/<path>/rest/<method>")
    def rest(self, request: Request, grant: Grant, path: str, method: str) -> Response:
        portal = self.portals[path]
        given = {name: value for name, value in _body(request).items() if name != "auth"}
        now, seen = self.clock.now(), self._seen
        seen(method, given)
        try:
            with self.lock:
                if method == "batch":
                    body = perform_batch(portal, given, now, grant.access_token, seen)
                else:
                    body = perform(portal, method, given, now, grant.access_token)
        except RestError as error:
            return answer_json(error.body, error.status)
        time = {"start": now.timestamp(), "finish": now.timestamp(), "operating": 0.1, "date_start": written(now)}
        return answer_json({**body, "time": time})

    def token_of(self, request: Request) -> str:
        return str(_body(request).get("auth") or "")

    def grant_of(self, request: Request) -> Grant | None:
        found = super().grant_of(request)
        token = self.token_of(request)
        known = any(token and grant.access_token == token and not grant.revoked for grant in self.grants)
        self._asking.refusal = "expired_token" if known and found is None else "NO_AUTH_FOUND"
        is_here = found is not None and self._portal_of(found).path == request.path.split("/")[1]
        return found if is_here else None

    def _portal_of(self, grant: Grant) -> Portal:
        return next(portal for portal in self.portals.values() if portal.member_id == grant.account)

    def refuse_unauthorised(self) -> Response:
        code = getattr(self._asking, "refusal", "NO_AUTH_FOUND")
        return answer_json({"error": code, "error_description": "The access token provided is not good."}, 401)

    def limit(self, request: Request, grant: Grant) -> Response | None:
        portal, now = self._portal_of(grant), self.clock.now()
        if portal.host and request.host != portal.host:
            return redirect(f"http://{portal.host}{request.path}", 302)
        with self.lock:
            gone = (now - portal.leaked_at).total_seconds() if portal.leaked_at else 0.0
            portal.level, portal.leaked_at = max(0.0, portal.level - gone * LEAKS), now
            # A little more than we may: fractions of a second are not what this is about.
            if portal.level + 1 > BUCKET + 1:
                return answer_json({"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}, 503)
            portal.level += 1
        return None

    @property
    def _seen(self) -> Callable[[str, Mapping[str, Any]], None]:
        return lambda method, given: self.requests.append((method, given))

    def somebodys_token(self) -> str:
        """As it stands in an event that a person caused."""
        first = self.portal.member_id
        alive = [grant.access_token for grant in self.grants if grant.account == first and not grant.revoked]
        return alive[-1] if alive else ""


def _body(request: Request) -> Mapping[str, Any]:
    found = request.get_json(silent=True) if request.is_json else None
    return found if isinstance(found, dict) else {}
