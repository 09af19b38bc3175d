"""Mail that nobody sends, shown to whoever runs Assay on their own machine."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from assay.letterbox import LOOPBACK
from assay_tenants.errors import NotFound
from assay_tenants.mailing import courier, current_post

blueprint = Blueprint("mails", __name__)

#: Whoever sends one of these came through a proxy, whatever address they seem to come from.
_OF_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")


@blueprint.get("/outbox")
def index() -> ResponseReturnValue:
    if not is_open():
        raise NotFound("page")
    return render_template("mails/index.html", mails=courier.list_shown())


def is_open() -> bool:
    """Mails hold links that open accounts: they are shown on the very machine that Assay runs on, or not at all."""
    return current_post().is_private and _comes_from_here()


def _comes_from_here() -> bool:
    if any(name in request.headers for name in _OF_PROXIES):
        return False
    try:
        # A page elsewhere whose name leads here has that name in its Host header.
        host = urlsplit(f"//{request.host}").hostname
        return ip_address(request.remote_addr or "").is_loopback and host in LOOPBACK
    except ValueError:
        return False
