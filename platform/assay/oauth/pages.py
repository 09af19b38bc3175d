"""What people see: who asks for what, in words, and whether they let it; the code of a device."""

from datetime import UTC, datetime, timedelta
from typing import Final

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, current_app, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeTimedSerializer

from assay.oauth import devices, pace
from assay.web import errors, login_rules
from assay.web.door import csrf
from assay.web.security import may_lead_to
from assay.web.visitors import fresh, leave, recognise, remember, signed_in, token, visitor
from assay_tenants import access
from assay_tenants.access import Visitor, list_companies
from assay_tenants.errors import Forbidden, NotFound
from assay_tenants.oauth import grants, server
from assay_tenants.oauth.clients import find_client
from assay_tenants.oauth.flows import Consent
from assay_tenants.oauth.grants import Standing
from assay_tenants.oauth.models import NOBODY
from assay_tenants.oauth.requests import Answer
from assay_tenants.oauth.scopes import POWERFUL, for_role, in_order
from assay_tenants.oauth.server import Asked, NotRedirectable, Refused
from assay_tenants.operators import OperatorVisitor

LARGEST_FORM = 20_000
#: Says in the address when somebody was asked to log in anew; signed, so that an app can't say it was.
ASKED: Final = "login_asked"
_ASKED_FOR = timedelta(hours=1)


def blueprint() -> Blueprint:
    pages = Blueprint("oauth_pages", __name__, template_folder="templates")
    pages.before_request(_bound_body)
    pages.before_request(recognise)
    pages.before_request(csrf.protect)
    pages.before_request(login_rules.lead_to_second_factors)
    errors.handle(pages)
    pages.register_error_handler(pace.CannotCount, _cannot_count)
    pages.add_url_rule("/oauth/authorize", "authorize", authorize, methods=["GET"])
    pages.add_url_rule("/oauth/authorize", "decide", decide, methods=["POST"])
    pages.add_url_rule("/oauth/again", "log_in_again", log_in_again, methods=["POST"])
    devices.add_to(pages)
    return pages


def authorize() -> ResponseReturnValue:
    """Where apps send people. Nobody is sent on before they are logged in: an error of the app's could be a trap."""
    try:
        asked = _read()
    except NotRedirectable as wrong:
        return _no_way_back(wrong)
    except Refused as refused:
        return _lead(refused.answer, trusted=_trusts(request.args.get("client_id", ""))) if g.visitor else _log_in()
    silent = "none" in asked.prompt
    if g.visitor is None:
        return _lead(server.needs_person(asked, "login"), trusted=_is_known(asked)) if silent else _log_in()
    if isinstance(g.visitor, OperatorVisitor):
        raise Forbidden("Who looks after Assay can't let apps act for a company.")
    if _must_log_in_again(asked, visitor()):
        return _lead(server.needs_person(asked, "login"), trusted=_is_known(asked)) if silent else _again()
    standing = grants.standing(visitor().tenant_id, visitor().person_id, asked.client.app)
    offered = for_role(standing.role, asked.scopes)
    if _is_remembered(asked, standing, offered):
        return _lead(_give(asked), trusted=True)
    if silent:
        return _lead(server.needs_person(asked, "consent"), trusted=_is_known(asked))
    # What lets an app let others in takes a recent proof of who it is.
    page = fresh(_page) if POWERFUL & set(offered) else _page
    return page(asked, standing, offered)


@signed_in
def decide() -> ResponseReturnValue:
    """What somebody answered on the page."""
    try:
        asked = _read()
    except NotRedirectable as wrong:
        return _no_way_back(wrong)
    except Refused as refused:
        return _lead(refused.answer, trusted=_trusts(request.args.get("client_id", "")))
    decision = request.form.get("decision")
    if decision == "switch":
        return _switch(request.form.get("company", ""))
    if isinstance(g.visitor, OperatorVisitor):
        raise Forbidden("Who looks after Assay can't let apps act for a company.")
    if decision == "deny":
        return _lead(server.deny(asked), trusted=_is_known(asked))
    # In another window they may have gone over to another company since, or their proof of who they are grown old.
    if request.form.get("tenant") != str(visitor().tenant_id) or decision != "allow":
        return redirect(_here(), 303)
    if _must_log_in_again(asked, visitor()):
        return _again()
    if POWERFUL & set(asked.scopes) and not visitor().is_fresh():
        return redirect(_here(), 303)
    return _lead(_give(asked), trusted=True)


@signed_in
def log_in_again() -> ResponseReturnValue:
    """An app wants it proven anew who this is: the session ends, and the request goes on after the next login."""
    access.log_out(token())
    page = f"{url_for('oauth_pages.authorize')}?{request.form.get('request', '')}"
    return leave(make_response(redirect(url_for("web.access.log_in_page", next=page), 303)))


def _read() -> Asked:
    try:
        read = server.read_request("GET", request.path, request.args.items(multi=True), {}, request.remote_addr or "")
    except OAuth2Error as error:
        raise NotRedirectable(error.error, error.get_error_description() or "") from None
    return server.check_authorization(read)


def _page(asked: Asked, standing: Standing, offered: list[str]) -> ResponseReturnValue:
    access.require_verified(visitor())
    app = asked.client.app
    may_lead_to(asked.redirect_uri)
    return render_template(
        "oauth/consent.html",
        app=app,
        asked=asked,
        standing=standing,
        offered=devices.told(offered),
        withheld=devices.told([scope for scope in in_order(asked.scopes) if scope not in offered]),
        stays="refresh_token" in app.grant_types,
        companies=list_companies(visitor().person_id),
        visitor=visitor(),
        nobody=app.tenant_id == NOBODY,
        leads_to=asked.redirect_uri,
        here=_here(),
    )


def _give(asked: Asked) -> Answer:
    who = visitor()
    access.require_verified(who)
    grant_id, given = grants.give(who.tenant_id, who.person_id, asked.client.app, asked.scopes)
    consent = Consent(who.tenant_id, grant_id, tuple(given), who.proven_at, who.proven_by)
    return server.authorize(asked, consent)


def _is_remembered(asked: Asked, standing: Standing, offered: list[str]) -> bool:
    if asked.prompt & {"consent", "select_account"} or not standing.is_installed or not offered:
        return False
    app = asked.client.app
    # Any program on somebody's machine can pretend to be an app that lives there (RFC 8252 8.6): people look each time.
    at_home = app.kind == "public" and not asked.redirect_uri.startswith("https://")
    return visitor().verified and set(offered) <= standing.granted and not at_home


def _is_known(asked: Asked) -> bool:
    return _trusts(asked.client.client_id)


def _trusts(client_id: str) -> bool:
    """Whether people are sent on to an app unasked: it is their company's own, or installed there (RFC 9700 4.11.2).

    Who a stranger is, whom an app asks about in silence, is not known: there a company has to answer for the app, and
    somebody has to have let it in.
    """
    client = find_client(client_id)
    if client is None or isinstance(g.visitor, OperatorVisitor):
        return False
    app = client.app
    if g.visitor is None:
        return app.tenant_id != NOBODY and bool(grants.tenants_with(app.client_id))
    return grants.standing(visitor().tenant_id, visitor().person_id, app).is_installed


def _lead(answer: Answer, *, trusted: bool) -> ResponseReturnValue:
    """Back to the app.

    A browser that comes from a form of ours would not follow a redirect to another site, since our pages let forms
    lead to ourselves alone; and nobody is led unasked to an app that their company did not let in: anybody may
    register one, and ask for what can only fail. They get a page instead.
    """
    location = answer.location or ""
    came_from_us = request.method == "GET" and request.headers.get("Sec-Fetch-Site") == "same-origin"
    if trusted and not came_from_us:
        if request.method == "POST":
            may_lead_to(location)
        response = make_response(redirect(location, 303))
    else:
        response = make_response(render_template("oauth/onward.html", location=location, at_once=trusted))
    response.headers["Cache-Control"] = "no-store"
    return response


def _no_way_back(wrong: NotRedirectable) -> Response:
    return make_response(render_template("oauth/wrong.html", error=wrong.error, sentence=wrong.sentence), 400)


def _must_log_in_again(asked: Asked, who: Visitor) -> bool:
    if "login" not in asked.prompt and asked.max_age is None:
        return False
    since = _asked_at()
    if since is not None and who.proven_at >= since:
        return False
    if "login" in asked.prompt or asked.max_age is None:
        return True
    return datetime.now(UTC) - who.proven_at > timedelta(seconds=asked.max_age)


def _asked_at() -> datetime | None:
    seconds = int(_ASKED_FOR.total_seconds())
    at: datetime
    try:
        _, at = _signer().loads(request.args.get(ASKED, ""), max_age=seconds, return_timestamp=True)
    except BadSignature:
        return None
    return at


def _log_in() -> ResponseReturnValue:
    return redirect(url_for("web.access.log_in_page", next=_here_asked()), 303)


def _again() -> ResponseReturnValue:
    query = _here_asked().partition("?")[2]
    return make_response(render_template("oauth/again.html", query=query, visitor=visitor()))


def _here_asked() -> str:
    """This request, with a note that a login was asked for now: one that comes after it is new enough."""
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != ASKED]
    given: dict[str, list[str]] = {}
    for name, value in [*kept, (ASKED, _signer().dumps(""))]:
        given.setdefault(name, []).append(value)
    return url_for("oauth_pages.authorize", **given)  # type: ignore[arg-type] # Werkzeug takes lists


def _here() -> str:
    return request.full_path.rstrip("?")


def _switch(company: str) -> ResponseReturnValue:
    if not company.isdecimal() or len(company) > 18:
        raise NotFound("company")
    new = access.switch_tenant(
        token(), int(company), address=request.remote_addr or "", agent=request.headers.get("User-Agent", "")
    )
    return remember(make_response(redirect(_here(), 303)), new)


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="assay.oauth.login")


def _bound_body() -> None:
    request.max_content_length = LARGEST_FORM


def _cannot_count(_: Exception) -> Response:
    return errors.error_page(503, headers={"Retry-After": "5"})
