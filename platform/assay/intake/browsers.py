"""What libraries in web pages need beside the calls: leave to send from another origin, and their settings."""

from typing import TYPE_CHECKING

from msgspec.json import encode
from werkzeug.wsgi import get_host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Headers = list[tuple[str, str]]

#: Seconds a page may keep its settings; a key that is revoked or restricted is refused sooner, by the calls.
SETTINGS_AGE = 60
# Browsers cut this down to what they hold reasonable.
_LEAVE_AGE = 86_400

_LEAVE: Headers = [
    ("Access-Control-Allow-Methods", "POST, GET, OPTIONS"),
    # The library's own: a key in Authorization makes browsers ask first.
    ("Access-Control-Allow-Headers", "authorization, content-type, x-retry-count"),
    ("Access-Control-Max-Age", str(_LEAVE_AGE)),
]


def leave_to_read(origin: str) -> Headers:
    """Lets a page read the answer, a refusal too: otherwise its library would take that for a lost connection.

    Cookies are not allowed to come along: the write key alone says who sends.
    """
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Expose-Headers", "Retry-After"),
        ("Vary", "Origin"),
    ]


def leave_to_send() -> Headers:
    """The answer to a browser that asks first. It names no key, so whose page it is will be looked at afterwards."""
    return _LEAVE


def public_address(environ: "WSGIEnvironment", configured: str) -> str:
    """Where the asking page reaches us: as configured, otherwise as it just did."""
    return configured or f"{environ['wsgi.url_scheme']}://{get_host(environ)}"


def settings_document(write_key: str, address: str) -> bytes:
    """Tells the library where to send, and that it has nothing else to load and no metrics to report."""
    protocol, _, host = address.partition("://")
    api = {"apiHost": f"{host}/v1", "protocol": protocol}
    everything = {"__default": {"enabled": True, "integrations": {}}}
    return encode(
        {
            "integrations": {"Segment.io": {"apiKey": write_key, **api, "unbundledIntegrations": []}},
            "plan": {"track": everything, "identify": everything, "group": everything},
            # Left out, they would go to Segment.
            "metrics": {"sampleRate": 0, "host": api["apiHost"]},
            "remotePlugins": [],
            "middlewareSettings": {"routingRules": []},
            "enabledMiddleware": {},
            "edgeFunction": {},
            "legacyVideoPluginsEnabled": False,
            "analyticsNextEnabled": True,
        }
    )
