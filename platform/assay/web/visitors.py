"""Who is looking at a page: the session cookie, and the pages that need one."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Response, current_app, g, make_response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from assay.web.permits import stating
from assay_tenants.access import Visitor, find_visitor, require_verified
from assay_tenants.access.service import SESSION_LIFETIME
from assay_tenants.context import STRANGER, Actor, act_as
from assay_tenants.errors import Forbidden
from assay_tenants.models import Role
from assay_tenants.operators import OperatorVisitor, allows, find_operator, is_operators
from assay_tenants.permissions import IN_WORDS, Permission

COOKIE = "assay_session"
#: A whole number in an address; what PostgreSQL can't hold is not found instead of failing there.
ID = f"int(max={2**63 - 1})"

P = ParamSpec("P")


def recognise() -> None:
    found = token()
    g.visitor = _known(found) if found and request.endpoint != "web.static" else None
    _act()


def _known(token: str) -> Visitor | None:
    return find_operator(token) if is_operators(token) else find_visitor(token)


def _act() -> None:
    who: Visitor | None = g.visitor
    if who is None:
        act_as(STRANGER)
    elif isinstance(who, OperatorVisitor):
        act_as(who.acts_as)
    else:
        act_as(Actor("person", str(who.person_id), who.name, request.remote_addr or ""))


def visitor() -> Visitor:
    """Only in views that are ``signed_in``."""
    known: Visitor = g.visitor
    return known


def signed_in(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        return view(*args, **kwargs) if g.visitor else to_log_in()

    return stating((), guarded)


def needs(permission: Permission) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """The view, for visitors whose role has this permission; others are told that theirs has not."""

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if not g.visitor:
                return to_log_in()
            if not allows(visitor(), permission):
                raise NotYours(permission, visitor().role)
            return view(*args, **kwargs)

        return stating((permission,), guarded)

    return decorate


def may(permission: Permission) -> bool:
    """Whether whoever looks at the page may do that."""
    return g.get("visitor") is not None and allows(visitor(), permission)


class NotYours(Forbidden):
    """Known, but of a role that may not."""

    code = "not_permitted"

    def __init__(self, permission: Permission, role: Role) -> None:
        self.permission = permission
        super().__init__(
            f"To {IN_WORDS[permission][0].lower()}{IN_WORDS[permission][1:]} takes a role that may; yours is {role}. "
            "Ask an owner or admin of your account."
        )


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
    g.visitor = _known(token)
    _act()


def remember(response: Response, token: str) -> Response:
    response.set_cookie(
        cookie_name(),
        token,
        max_age=SESSION_LIFETIME,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )
    return response


def leave(response: Response) -> Response:
    session.clear()
    # Not the cookies: the one that tells this browser from strangers who guess is to stay.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    response.delete_cookie(
        cookie_name(), httponly=True, samesite="Lax", secure=current_app.config["SESSION_COOKIE_SECURE"]
    )
    return response


def fresh(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """The view, for visitors who proved lately who they are; others are asked once more and come back.

    What a form held is not kept meanwhile, so whoever sends one late comes back to the page on which it stands.
    """

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if not g.visitor:
            return to_log_in()
        if visitor().is_fresh():
            return view(*args, **kwargs)
        if request.method == "GET":
            page = request.full_path.rstrip("?")
        else:
            came_from = urlsplit(request.referrer or "")
            page = came_from.path if came_from.netloc == request.host else url_for("web.settings.index")
        return redirect(url_for("web.account.confirm_page", next=safe_next(page)), 303)

    return _stating_the_same(view, guarded)


def verified(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """The view, for visitors whose e-mail address is verified; others are told how to have it so."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if not g.visitor:
            return to_log_in()
        require_verified(visitor())
        return view(*args, **kwargs)

    return _stating_the_same(view, guarded)


def personal(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """The view, for whoever has an account of their own here; operators who look in have none."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if not g.visitor:
            return to_log_in()
        if isinstance(visitor(), OperatorVisitor):
            raise NotAPerson
        return view(*args, **kwargs)

    return _stating_the_same(view, guarded)


def _stating_the_same(
    view: Callable[P, ResponseReturnValue], guarded: Callable[P, ResponseReturnValue]
) -> Callable[P, ResponseReturnValue]:
    return stating(getattr(view, "needs", ()), guarded)


class NotAPerson(Forbidden):
    code = "not_a_person"

    def __init__(self) -> None:
        super().__init__("This page belongs to a person's own account; an operator who looks in has none here.")


def cookie_name() -> str:
    """Under https a name that browsers let nobody but this very host set."""
    return f"__Host-{COOKIE}" if current_app.config["SESSION_COOKIE_SECURE"] else COOKIE


def token() -> str:
    """Of the session that this request belongs to; empty without one."""
    return request.cookies.get(cookie_name(), "")


def safe_next(address: str | None) -> str | None:
    """A page of ours to go on to; None for anything that could lead elsewhere."""
    if not address or not address.startswith("/") or address.startswith("//") or "\\" in address:
        return None
    parts = urlsplit(address)
    return address if not parts.scheme and not parts.netloc and address.isprintable() else None
