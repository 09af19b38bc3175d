"""What each answer tells the browser it must not do, how much may be sent where, and by which names we go."""

import re
import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request

from assay.intake.imports.receiving import MAX_BYTES
from assay.settings import Settings

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Bytes of a request, unless its route is listed below. A model of a million bytes triples when a form encodes it.
LARGEST_REQUEST = 4_000_000
#: A whole file, with the form around it.
LARGEST_FILE = MAX_BYTES + 1_000_000
#: The only routes that take a file.
TAKE_FILES = frozenset(
    {"web.imports.start", "web.imports.append", "Imports.start_import", "Imports.append"},
)

_HSTS = "max-age=63072000"
_NOT_A_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), display-capture=(), "
        "browsing-topics=(), publickey-credentials-get=(self), publickey-credentials-create=(self)",
    ),
)
# Websites of our customers send here; everything else is for our own pages.
_FOR_OTHER_SITES = ("/v1/", "/analytics.js/", "/analytics-next/", "/next-integrations/")
_HOST = re.compile(r"(?P<name>[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?", re.IGNORECASE | re.ASCII)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # replaced, not bound


def register(app: Flask, settings: Settings) -> None:
    """The last of all doors: what it says holds for the answers of every door."""
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        ASSAY_PUBLIC_URL=settings.public_url.rstrip("/"),
        ASSAY_ADDRESS=_reachable(settings),
    )
    app.before_request(_bound_file)
    app.after_request(add_headers)
    app.wsgi_app = Hardened(app.wsgi_app, settings)  # type: ignore[method-assign] # Flask's own way


def style_nonce() -> str:
    """Lets the model editor bring its own style sheet; nothing else inline is let through."""
    if "style_nonce" not in g:
        g.style_nonce = secrets.token_urlsafe(16)
    nonce: str = g.style_nonce
    return nonce


def may_lead_to(address: str) -> None:
    """A form on the page that answers this request may lead on to ``address``: browsers check where a form ends up.

    Only for an address that was registered beforehand, such as that of an app which somebody is about to let in.
    """
    parts = urlsplit(address)
    web = parts.scheme in ("http", "https")
    source = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if web else f"{parts.scheme}:"
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*:(//[a-z0-9._:\[\]-]+)?", source, re.IGNORECASE | re.ASCII):
        raise ValueError("This address can't stand in a policy.")
    g.setdefault("form_targets", []).append(source)


def public_address() -> str:
    """Where people and senders reach us, for links that leave this request: in a mail, a redirect, a document.

    Never a name that only the request stated, unless it is this very machine: whoever asks could state any.
    """
    configured: str = current_app.config["ASSAY_PUBLIC_URL"]
    if configured:
        return configured
    if _name_of(request.host) in _LOOPBACK:
        return request.host_url.rstrip("/")
    address: str = current_app.config["ASSAY_ADDRESS"]
    return address


def address_here() -> str:
    """The same as whoever looks at this page has it in the browser: to be shown to nobody else."""
    configured: str = current_app.config["ASSAY_PUBLIC_URL"]
    return configured or request.host_url.rstrip("/")


def add_headers(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", _policy())
        # After logging out, the back button must not show a customer's leads.
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _policy() -> str:
    styles = f"'self' 'nonce-{g.style_nonce}'" if "style_nonce" in g else "'self'"
    forms = " ".join(["'self'", *g.get("form_targets", [])])
    return (
        f"default-src 'self'; style-src {styles}; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        f"form-action {forms}; frame-ancestors 'none'"
    )


def _bound_file() -> None:
    if request.endpoint in TAKE_FILES:
        request.max_content_length = LARGEST_FILE


class Hardened:
    """Around everything: refuses names that are not ours, and adds what an answer does not say by itself."""

    def __init__(self, rest: "WSGIApplication", settings: Settings) -> None:
        self.rest = rest
        self.names = frozenset(
            name.lower()
            for name in (urlsplit(settings.public_url).hostname or "", *settings.allowed_hosts.split(","))
            if name
        )
        self.is_https = settings.address.startswith("https://")
        self.hsts = f"{_HSTS}; includeSubDomains" if settings.hsts_subdomains else _HSTS

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        for_others = path.startswith(_FOR_OTHER_SITES)
        added = [*_ALWAYS, ("Cross-Origin-Resource-Policy", "cross-origin" if for_others else "same-origin")]
        if self.is_https or environ["wsgi.url_scheme"] == "https":
            added.append(("Strict-Transport-Security", self.hsts))
        added.append(("Content-Security-Policy", _NOT_A_PAGE))

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: "OptExcInfo | None" = None
        ) -> Callable[[bytes], object]:
            said = {name.lower() for name, _ in headers}
            headers = [*headers, *(header for header in added if header[0].lower() not in said)]
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        # Senders have keys and no cookies, and are told of no other name; whoever looks after us asks by number.
        if not for_others and path != "/healthz" and not self._is_ours(environ.get("HTTP_HOST", "")):
            return _unknown_name(start)
        return self.rest(environ, start)

    def _is_ours(self, host: str) -> bool:
        name = _name_of(host)
        return name is not None and (not self.names or name in self.names or name in _LOOPBACK)


def _unknown_name(start: "StartResponse") -> Iterable[bytes]:
    body = b"We don't go by the name in the Host header. ASSAY_PUBLIC_URL and ASSAY_ALLOWED_HOSTS say which are ours.\n"
    start(
        "400 Bad Request",
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), ("Connection", "close")],
    )
    return [body]


def _name_of(host: str) -> str | None:
    """The name in a Host header, without its port; None when no host is written so."""
    match = _HOST.fullmatch(host)
    return match["name"].lower().rstrip(".") if match else None


def _reachable(settings: Settings) -> str:
    """Where we listen, as an address that can be opened on this machine at least."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    return settings.public_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
