"""Addresses of portals: what somebody typed, and where calls go."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields

from assay_sdk import Refused

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
#: A name of the public internet: at least two labels, the last of which is no number.
_PUBLIC = re.compile(rf"(?:{_LABEL}\.)+(?=[a-z])(?!(?:local|localhost|localdomain|internal)$){_LABEL}", re.ASCII)
#: What a portal on this machine or in this network is called by, where the installation allows plain HTTP.
_WITH_PORT = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}(?::[0-9]{{1,5}})?", re.ASCII)
ACCEPTED = "accepted is a portal's name alone, such as demo.bitrix24.com: no path, no port, no @"


def scheme(app: Mapping[str, str]) -> str:
    """``https``; ``http`` only where the installation says so, for stand-ins."""
    return "http" if app.get("portal_scheme") == "http" else "https"


def host(typed: str, app: Mapping[str, str]) -> str:
    """The portal that somebody typed; raises Refused for what is none that may be called."""
    name = _plain(typed, scheme(app))
    if _PUBLIC.fullmatch(name) or (scheme(app) == "http" and _WITH_PORT.fullmatch(name)):
        return name
    raise Refused(f"This is no address of a Bitrix24 portal; {ACCEPTED}.")


def endpoint(address: object, app: Mapping[str, str]) -> str:
    """A ``client_endpoint`` that may be called, ending in a slash; raises Refused for another."""
    try:
        parts = urlsplit(address if isinstance(address, str) else "")
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != scheme(app) or parts.query or parts.fragment:
        raise Refused("Bitrix24 named no address of the portal that could be called.")
    return f"{parts.scheme}://{host(parts.netloc, app)}{parts.path.rstrip('/')}/"


def moved(old: str, method: str, location: str, app: Mapping[str, str]) -> str:
    """The endpoint of a portal that has another domain now.

    Only the host is taken. A redirect to any other path, such as a page that says that there is no such portal, is
    none of a moved portal: it raises Refused.
    """
    try:
        there = urlsplit(location)
    except ValueError:
        there = urlsplit("")
    path = urlsplit(old).path
    if there.path != path + method or there.scheme != scheme(app):
        raise Refused("The portal answered with a redirect that leads to no portal.", status=302, code="redirect")
    return endpoint(f"{there.scheme}://{there.netloc}{path}", app)


def _plain(typed: str, scheme: str) -> str:
    name = typed.strip().lower().removeprefix(f"{scheme}://").removesuffix("/")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return ""


def _check(typed: str) -> None:
    """A name with a port is decided on when the browser is sent there: the form doesn't know the installation."""
    name = _plain(typed, "https")
    with_port = ":" in name and _WITH_PORT.fullmatch(name)
    if len(name) > 253 or not (_PUBLIC.fullmatch(name) or with_port):
        raise ValidationError(f"This is no address of a Bitrix24 portal; {ACCEPTED}.")


class PortalSettings(Schema):
    """What whoever connects fills in."""

    portal = fields.String(
        required=True,
        validate=_check,
        metadata={
            "title": "Portal",
            "help": "The address at which you open Bitrix24, such as demo.bitrix24.com. "
            "The Assay app has to be installed there first, and an administrator has to connect.",
        },
    )
