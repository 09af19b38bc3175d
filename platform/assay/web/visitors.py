"""Who is looking at a page: the session cookie, and the pages that need one."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Response, current_app, g, make_response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from assay_tenants.access import Visitor, find_visitor
from assay_tenants.access.service import SESSION_LIFETIME

COOKIE = "assay_session"
#: A whole number in an address; what PostgreSQL can't hold is not found instead of failing there.
ID = f"int(max={2**63 - 1})"

P = ParamSpec("P")


def recognise() -> None:
    token = request.cookies.get(COOKIE, "")
    g.visitor = find_visitor(token) if token and request.endpoint != "web.static" else None


def visitor() -> Visitor:
    """Only in views that are ``signed_in``."""
    known: Visitor = g.visitor
    return known


def signed_in(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        return view(*args, **kwargs) if g.visitor else to_log_in()

    return guarded


def to_log_in() -> Response:
    page = request.full_path.rstrip("?") if request.method == "GET" else None
    if "HX-Request" in request.headers:
        # A fragment can't ask for a password: the whole page has to change.
        response = make_response("", 401)
        response.headers["HX-Redirect"] = url_for("web.access.log_in_page")
        return response
    return make_response(redirect(url_for("web.access.log_in_page", next=page), 303))


def enter(token: str) -> None:
    """From here on this request is the visitor's, and its forms too."""
    # A form token from before the login is worth nothing after it.
    session.clear()
    g.visitor = find_visitor(token)


def remember(response: Response, token: str) -> Response:
    response.set_cookie(
        COOKIE,
        token,
        max_age=SESSION_LIFETIME,
        httponly=True,
        samesite="Lax",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )
    return response


def leave(response: Response) -> Response:
    session.clear()
    response.delete_cookie(COOKIE, httponly=True, samesite="Lax", secure=current_app.config["SESSION_COOKIE_SECURE"])
    return response


def safe_next(address: str | None) -> str | None:
    """A page of ours to go on to; None for anything that could lead elsewhere."""
    if not address or not address.startswith("/") or address.startswith("//") or "\\" in address:
        return None
    parts = urlsplit(address)
    return address if not parts.scheme and not parts.netloc and address.isprintable() else None
