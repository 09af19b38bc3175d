"""Where vendors post to: ``/hooks/<plugin>``, and ``/hooks/<plugin>/<token>`` for one connection. A 200 is on disk.

They are answered before Flask sees them. Who posts is proven by the plugin before anything is kept; whoever fails to
prove it leaves nothing behind but a line in the log, and not one for each.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import islice
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog
from msgspec.json import encode
from sqlalchemy.exc import SQLAlchemyError

from assay import plugins
from assay.intake.admission import Admission
from assay.intake.bodies import drop_body, read_body
from assay.intake.browsers import Headers
from assay.intake.errors import CallNotAllowed, CannotKeep
from assay.intake.ids import message_id
from assay.intake.writer import RETRY_AFTER, Received, Writer
from assay.syncing.noting import Noter
from assay.syncing.routes import Route, Routes
from assay_sdk import Delivery, Refused, Request, Service, Source
from assay_tenants.errors import AssayError, NotFound

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_OURS = "/hooks/"
_PATH = re.compile(r"/hooks/([a-z][a-z0-9-]{0,39})(?:/([A-Za-z0-9_-]{1,200}))?/?")
#: Of other doors.
_OTHERS = ("/hooks/billing",)
#: Parts of one request.
MOST_PARTS = 1_000
#: Of what vendors call their accounts.
LONGEST_ACCOUNT = 500
#: Of the same kind of trouble, a line in the log at most this often.
TELLING_PAUSE = timedelta(seconds=10)
#: A connection that has to be connected anew: vendors try again for hours.
RECONNECT_WAIT = timedelta(minutes=5)
_LONGEST_WAIT = 300
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

log = structlog.get_logger()


class NoSuchHook(NotFound):
    code = "no_such_hook"

    def __init__(self) -> None:
        super().__init__("address for notices")


class NotProven(AssayError):
    code = "not_proven"

    def __init__(self, reason: str, status: int) -> None:
        self.status = status
        super().__init__(reason)


class CannotProve(AssayError):
    """Its connection's secrets are not at hand."""

    status = 503
    code = "needs_reconnect"
    after = RECONNECT_WAIT

    def __init__(self) -> None:
        super().__init__("This connection has to be connected anew by a person. Send it again later.")


class NotSetUp(AssayError):
    """Whoever runs the installation has taken away what its vendor's notices are proven by."""

    status = 503
    code = "not_set_up"
    after = RECONNECT_WAIT

    def __init__(self) -> None:
        super().__init__("This service is not set up here at the moment. Send it again later.")


@dataclass(frozen=True)
class _Part:
    route: Route
    delivery: Delivery


class Hooks:
    """Answers what vendors post, and passes everything else on."""

    def __init__(
        self, rest: "WSGIApplication", *, address: str, writer: Writer, admission: Admission | None = None
    ) -> None:
        """``address`` is ours as it is configured: what vendors sign."""
        self.rest = rest
        self.address = address.rstrip("/")
        self.writer = writer
        self.admission = admission
        self.routes = Routes()
        self.noter = Noter()
        #: By what became of them: ``kept``, ``nobody``, ``refused``, …
        self.counts: Counter[str] = Counter()
        self._told: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if not path.startswith(_OURS) or path.rstrip("/") in _OTHERS:
            return self.rest(environ, start_response)
        status, headers, body = 200, [("Content-Type", "application/json")], encode({"success": True})
        try:
            self._answer(path, environ)
        except AssayError as error:
            status, headers, body = _refusal(error)
        except Exception as error:  # noqa: BLE001 # whatever a plugin does, its vendor is answered
            self._count("failed", path.split("/")[2], exc_info=error)
            status, headers, body = _refusal(AssayError("Something went wrong on our side. Send it again."))
        start_response(_STATUS[status], [*headers, ("Content-Length", str(len(body)))])
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []

    def _answer(self, path: str, environ: "WSGIEnvironment") -> None:
        method = environ["REQUEST_METHOD"]
        try:
            service, source, token = _addressed(path)
            if method not in ("POST", "HEAD"):
                raise CallNotAllowed(method, accepted="POST, HEAD")
            route = self._route(source, service.name, token)
        except AssayError:
            drop_body(environ)
            raise
        if method == "POST":
            self.accept(service, source, route, _request(environ, self.address))

    def accept(self, service: Service, source: Source, route: Route | None, request: Request) -> None:
        """Returns once all that is somebody's is on disk; raises the AssayError that says why it isn't."""
        deliveries = self._proven(service, source, route, request)
        parts = [part for delivery in deliveries for part in self._parts(service.name, route, delivery)]
        refused: AssayError | None = None
        kept = 0
        for part in parts:
            try:
                self._keep(part, request)
            except CannotKeep:
                raise
            except AssayError as error:
                # One tenant has no room: others have.
                refused = error
                self._count("no_room", service.name)
            else:
                kept += 1
        if refused is not None and not kept:
            raise refused

    def _route(self, source: Source, plugin: str, token: str) -> Route | None:
        if not token:
            if not source.shared_address:
                raise NoSuchHook
            return None
        try:
            route = self.routes.by_token(plugin, token)
        except SQLAlchemyError as error:
            raise CannotKeep(after=RETRY_AFTER) from error
        if route is None:
            self._count("unknown", plugin)
            raise NoSuchHook
        return route

    def _proven(self, service: Service, source: Source, route: Route | None, request: Request) -> Sequence[Delivery]:
        try:
            secrets = self.routes.secrets(route) if route is not None else {}
        except SQLAlchemyError as error:
            raise CannotKeep(after=RETRY_AFTER) from error
        if secrets is None:
            raise CannotProve
        try:
            source.verify(request, plugins.app_settings(service), secrets)
        except Refused as refused:
            self._count("refused", service.name, why=type(refused).__name__)
            raise NotProven(refused.reason, _told(refused.http_status)) from None
        except KeyError:
            if plugins.is_configured(service):
                raise
            self._count("not_set_up", service.name)
            raise NotSetUp from None
        try:
            return list(islice(source.split(request), MOST_PARTS))
        except Refused as refused:
            self._count("unreadable", service.name)
            raise NotProven(refused.reason, 400) from None

    def _parts(self, plugin: str, route: Route | None, delivery: Delivery) -> Iterable[_Part]:
        """One for each connection of the account; several tenants may have connected the same one."""
        if route is not None:
            routes: Sequence[Route] = (route,) if delivery.account in ("", route.account) else ()
        elif _may_be(delivery.account):
            try:
                routes = self.routes.by_account(plugin, delivery.account)
            except SQLAlchemyError as error:
                raise CannotKeep(after=RETRY_AFTER) from error
        else:
            routes = ()
        if not routes:
            # An account that nobody has connected, or no longer: to refuse it would only bring it again.
            self._count("nobody", plugin)
        return [_Part(route, delivery) for route in routes]

    def _keep(self, part: _Part, request: Request) -> None:
        route, delivery = part.route, part.delivery
        if self.admission is not None:
            self.admission.admit(route.tenant_id, 1, len(delivery.body))
        self.writer.keep(
            Received(
                route.tenant_id,
                route.source_id,
                message_id(request.received_at),
                request.received_at,
                delivery.call,
                delivery.body,
            )
        )
        self._count("kept", route.plugin, tell=False)
        self.noter.note(route, request.received_at, self._lesson(route, delivery))

    def _lesson(self, route: Route, delivery: Delivery) -> dict[str, str] | None:
        """What it brought that is not known yet: it may be somebody's live token, which is not kept for nothing."""
        if not delivery.learned:
            return None
        known = self.routes.secrets(route) or {}
        is_known = any(known.get(name) == value for name, value in delivery.learned.items())
        return None if is_known else dict(delivery.learned)

    def _count(self, what: str, plugin: str, *, tell: bool = True, **values: Any) -> None:
        with self._lock:
            self.counts[what] += 1
            now = monotonic()
            if not tell or self._told.get((what, plugin), 0.0) > now:
                return
            self._told[what, plugin] = now + TELLING_PAUSE.total_seconds()
            count = self.counts[what]
        tell_of = log.error if "exc_info" in values else log.info
        tell_of(f"hooks.{what}", plugin=plugin, so_far=count, **values)


def _may_be(account: str) -> bool:
    """Whether there can be such an account: some texts no row can hold, and no lookup should remember."""
    return 0 < len(account) <= LONGEST_ACCOUNT and account.isprintable()


def _told(status: int) -> int:
    """What a plugin wants to answer, as far as vendors only try again or give up: a 410 would end their notices."""
    return status if status in (400, 401, 403) else 401


def _addressed(path: str) -> tuple[Service, Source, str]:
    match = _PATH.fullmatch(path)
    service = plugins.installed().services.get(match[1]) if match else None
    if match is None or service is None or service.source is None or not service.source.has_hooks:
        raise NoSuchHook
    return service, service.source, match[2] or ""


def _request(environ: "WSGIEnvironment", address: str) -> Request:
    received_at = datetime.now(UTC)
    query = environ.get("QUERY_STRING", "")
    headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.lower().replace("_", "-")] = environ[name]
    url = address + quote(environ["PATH_INFO"]) + (f"?{query}" if query else "")
    return Request(environ["REQUEST_METHOD"], url, headers, read_body(environ), received_at)


def _refusal(error: AssayError) -> tuple[int, Headers, bytes]:
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    if isinstance(error, CallNotAllowed):
        headers.append(("Allow", "POST, HEAD"))
    after = getattr(error, "after", None)
    if after is not None:
        seconds = min(max(math.ceil(after.total_seconds()), 1), _LONGEST_WAIT)
        headers.append(("Retry-After", str(seconds)))
    status = HTTPStatus(error.status)
    content = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": error.code,
        "detail": error.message,
    }
    return status.value, headers, encode(content)
