"""What each page takes: a permission, or no more than being logged in; and the few that are open to everybody.

A view says it by `needs` or `signed_in`, or stands in the table here. One that says nothing is answered to nobody.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar, cast

from flask import current_app, request

from assay_tenants.errors import Forbidden
from assay_tenants.permissions import Permission

View = TypeVar("View", bound=Callable[..., object])

#: Pages for people who are not logged in, each with the reason.
OPEN: Final[Mapping[str, str]] = {
    "web.static": "styles, scripts and pictures, the same for everybody",
    "web.access.sign_up_page": "a new company has nobody yet",
    "web.access.sign_up": "a new company has nobody yet",
    "web.access.log_in_page": "whoever is not logged in starts here",
    "web.access.log_in": "proves itself by the password",
    "web.second_step.page": "the password was right; a cookie says whose",
    "web.second_step.prove": "proves itself by the second factor",
    "web.second_step.passkey_options": "of whoever has given a right password, or is logged in",
    "web.second_step.sole_passkey_options": "whoever logs in by a passkey has nothing else to show",
    "web.second_step.log_in_by_passkey": "proves itself by the passkey",
    "web.access.invitation_page": "whoever is invited may have no account yet",
    "web.access.accept_invitation": "proves itself by the link",
    "web.recovery.verify_page": "a mail may be opened in another browser; the link shows that the address is theirs",
    "web.recovery.verify": "proves itself by the link",
    "web.recovery.forgotten_page": "whoever forgot their password can't log in",
    "web.recovery.forgotten": "answers the same whoever asks; what follows goes by mail",
    "web.recovery.reset_page": "proves itself by the link",
    "web.recovery.reset": "proves itself by the link",
    "web.mails.index": "for whoever sits at the machine itself, where no mail is sent",
    "web.sso.log_in_page": "whoever is not logged in starts here",
    "web.sso.log_in": "leads to the company's own provider",
    "web.sso.again": "leads to the company's own provider",
    "web.sso.come_back": "proves itself by what the provider signed",
    "web.operators.link_page": "proves itself by the link",
    "web.operators.enter_access": "proves itself by the link",
    "web.operators.leave_access": "ends the session of its own cookie, which may have ended already",
    "web.access.log_out": "ends the session of its own cookie, which may have ended already",
}

#: What is not of these pages and asks for no session and no API key, each with what it proves itself by, if it must.
OUTSIDE: Final[Mapping[str, str]] = {
    "is_healthy": "says that we are there, and nothing of anybody's",
    "api.openapi": "says what there is, and nothing of anybody's",
    "api.docs": "says what there is, and nothing of anybody's",
    "api.static": "styles, the same for everybody",
    "oauth.of_server": "metadata, the same for everybody",
    "oauth.of_us": "metadata, the same for everybody",
    "oauth.of_api": "metadata, the same for everybody",
    "oauth.jwks": "public keys",
    "oauth.token": "apps prove themselves by what they send",
    "oauth.revoke": "apps prove themselves by what they send",
    "oauth.introspect": "apps prove themselves by what they send",
    "oauth.device_authorization": "apps prove themselves by what they send; a person confirms the rest",
    "oauth.register": "off, or with a token that a tenant made, or open as the installation chose",
    "oauth.userinfo": "proves itself by an access token",
    "oauth_pages.authorize": "leads whoever is not logged in to log in",
    "billing_notices.receive": "proves itself by its signature",
}


class Unstated(Forbidden):
    """A page that nobody has said who may open."""

    def __init__(self) -> None:
        super().__init__("This page is open to nobody.")


def stating(permissions: tuple[Permission, ...], view: View) -> View:
    """The view, which takes all of these permissions; none: whoever is logged in."""
    view.needs = permissions  # type: ignore[attr-defined] # functions carry what is put on them
    return view


def stated(endpoint: str) -> tuple[Permission, ...] | None:
    """What the view of this endpoint takes; None when it says nothing."""
    return cast("tuple[Permission, ...] | None", getattr(current_app.view_functions[endpoint], "needs", None))


def refuse_unstated() -> None:
    """Before each request."""
    endpoint = request.endpoint
    if endpoint is not None and endpoint not in OPEN and stated(endpoint) is None:
        raise Unstated
