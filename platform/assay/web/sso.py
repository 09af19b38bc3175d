"""Single sign-on: the tenant's own provider, its domains, provisioning; and the way in through it."""

import re
from collections.abc import Mapping

from flask import Blueprint, Response, current_app, flash, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay import mail
from assay.profiles.domains import registrable
from assay.web import attempts
from assay.web.forms import Form
from assay.web.settings import public_address
from assay.web.visitors import enter, fresh, needs, remember, safe_next, token, verified, visitor
from assay_tenants import access
from assay_tenants.errors import AssayError, BadInput, NotFound
from assay_tenants.sso import PROOF, domains, logins, providers, scim_tokens
from assay_tenants.sso.discovery import WELL_KNOWN
from assay_tenants.sso.errors import LoginGone, LoginRefused, NotSetUp
from assay_tenants.sso.joining import GRANTABLE
from assay_tenants.sso.models import Method
from assay_tenants.sso.scim_tokens import IssuedToken

blueprint = Blueprint("sso", __name__)

COOKIE = "assay_sso"
_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
PROVIDER = {"issuer": "Fill in the issuer's address.", "client_id": "Fill in the client id."}


@blueprint.get("/settings/sso")
@needs("security:manage")
def index() -> ResponseReturnValue:
    return _page()


@blueprint.post("/settings/sso/provider")
@needs("security:manage")
@verified
@fresh
def save() -> ResponseReturnValue:
    form = Form.read(request.form, needed=PROVIDER, unstripped={"client_secret"})
    if form.errors:
        return _page(form=form), 422
    try:
        wanted = providers.Wanted(
            issuer=form["issuer"],
            client_id=form["client_id"],
            client_secret=form["client_secret"] or None,
            vouches=form["vouches"] == "yes",
            makes_members=form["makes_members"] == "yes",
            default_role=form["default_role"],
            role_claim=form["role_claim"],
            roles=_mapping(form["roles"]),
        )
        back = _redirect_uri(visitor().tenant_id)
        providers.save(visitor().tenant_id, wanted, redirect_uri=back, by=visitor().role)
    except BadInput as error:
        form.refuse(error)
        return _page(form=form), 422
    return _done("The connection works, and is saved. Try it: log in with single sign-on in another browser.")


@blueprint.post("/settings/sso/provider/remove")
@needs("security:manage")
@verified
@fresh
def remove() -> ResponseReturnValue:
    providers.remove(visitor().tenant_id)
    return _done("Single sign-on is removed. Everybody logs in with a password; who has none asks for a new one.")


@blueprint.post("/settings/sso/enforce")
@needs("security:manage")
@verified
@fresh
def enforce() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"spare": "Choose who may log in when your provider is away."})
    try:
        if not form.errors:
            providers.enforce(visitor().tenant_id, int(form["spare"]) if form["spare"].isdecimal() else 0)
    except AssayError as error:
        form.refuse(error)
    if form.errors:
        return _page(form=form), 422
    return _done("From now on people of your domains log in with single sign-on alone. Other sessions were ended.")


@blueprint.post("/settings/sso/relax")
@needs("security:manage")
@verified
@fresh
def relax() -> ResponseReturnValue:
    providers.relax(visitor().tenant_id)
    return _done("Passwords are accepted again, beside single sign-on.")


@blueprint.post("/settings/sso/domains")
@needs("security:manage")
@verified
def claim() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"domain": "Fill in a domain."})
    try:
        if not form.errors:
            domains.claim(visitor().tenant_id, form["domain"], objection=_objection)
    except BadInput as error:
        form.refuse(error)
    if form.errors:
        return _page(form=form), 422
    return _done("Now show that the domain is yours, by one of the two ways that stand beside it.")


@blueprint.post("/settings/sso/domains/verify")
@needs("security:manage")
@verified
@fresh
def verify() -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    method: Method = "file" if form["method"] == "file" else "dns"
    providers.check_rank(visitor().tenant_id, visitor().role, form["claimed"])
    try:
        domains.verify(visitor().tenant_id, form["claimed"], method)
    except NotFound:
        raise
    except AssayError as error:
        form.errors["claimed"] = error.message
        return _page(form=form), error.status
    return _done(f"{form['claimed']} is verified.")


@blueprint.post("/settings/sso/domains/remove")
@needs("security:manage")
@verified
@fresh
def forget_domain() -> ResponseReturnValue:
    domains.remove(visitor().tenant_id, request.form.get("claimed", ""))
    return _done("The domain is removed. Its people log in with their passwords.")


@blueprint.post("/settings/sso/tokens")
@needs("security:manage")
@verified
@fresh
def issue_token() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"name": "Give the token a name, so that you know later what uses it."})
    days = int(form["days"]) if form["days"].isdecimal() else 0
    try:
        if not form.errors:
            return _page(issued=scim_tokens.issue(visitor().tenant_id, name=form["name"], days=days))
    except BadInput as error:
        form.refuse(error)
    return _page(form=form), 422


@blueprint.post("/settings/sso/tokens/rotate")
@needs("security:manage")
@verified
@fresh
def rotate_token() -> ResponseReturnValue:
    return _page(issued=scim_tokens.rotate(visitor().tenant_id, _token_id()), rotated=True)


@blueprint.post("/settings/sso/tokens/revoke")
@needs("security:manage")
@verified
def revoke_token() -> ResponseReturnValue:
    scim_tokens.revoke(visitor().tenant_id, _token_id())
    return _done("The token is revoked: whatever used it is refused from now on.")


@blueprint.get("/log-in/sso")
def log_in_page() -> ResponseReturnValue:
    if g.visitor:
        return redirect(safe_next(request.args.get("next")) or url_for("web.leads.index"))
    return _log_in(Form())


@blueprint.post("/log-in/sso")
def log_in() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"email": "Fill in your e-mail address."})
    if form.errors:
        return _log_in(form), 422
    try:
        return send_on(form["email"], safe_next(request.args.get("next")))
    except NotSetUp as error:
        form.errors["email"] = error.message
        return _log_in(form), error.status
    except AssayError as error:
        form.refuse(error)
        return _log_in(form), error.status


@blueprint.get("/log-in/sso/again")
def again() -> ResponseReturnValue:
    """For whoever came in through the provider and is to prove anew who they are."""
    if not g.visitor or PROOF not in visitor().proven_by:
        return redirect(url_for("web.access.log_in_page"))
    attempts.count_single_sign_on()
    browser = _browser() or logins.new_browser()
    page = safe_next(request.args.get("next")) or url_for("web.settings.index")
    address = logins.begin(
        visitor().tenant_id,
        browser=browser,
        redirect_uri=_redirect_uri(visitor().tenant_id),
        email=visitor().email,
        page=page,
        again=True,
    )
    return _bound(make_response(redirect(address, 303)), browser)


@blueprint.get("/sso/<handle>/callback")
def come_back(handle: str) -> ResponseReturnValue:
    """The address is each tenant's own: what one provider sends here can't be taken for another's."""
    attempts.count_single_sign_on()
    try:
        entered = logins.finish(
            _return(request.args),
            tenant_id=_tenant_of(handle),
            browser=_browser(),
            redirect_uri=f"{public_address()}{request.path}",
            address=request.remote_addr or "",
            agent=request.user_agent.string,
        )
    except (LoginRefused, access.NotAMember) as error:
        status = 404 if isinstance(error, LoginGone) else error.status
        return render_template("sso/refused.html", sentence=error.message), status
    access.log_out(token())
    enter(entered.token)
    page = safe_next(entered.page) or url_for("web.leads.index")
    return remember(make_response(redirect(page, 303)), entered.token)


def send_on(email: str, page: str | None) -> ResponseReturnValue:
    """To the provider of this address's company. Raises NotSetUp where there is none, ProviderAway.

    Not by a redirect: what a form leads to must be ours, so the page that answers it goes on by itself.
    """
    attempts.count_single_sign_on()
    tenant_id = logins.tenant_for(email)
    if tenant_id is None:
        raise NotSetUp
    browser = _browser() or logins.new_browser()
    address = logins.begin(
        tenant_id, browser=browser, redirect_uri=_redirect_uri(tenant_id), email=email.strip(), page=page or ""
    )
    return _bound(make_response(render_template("sso/going_on.html", address=address)), browser)


def _return(sent: Mapping[str, str]) -> logins.Return:
    return logins.Return(
        state=sent.get("state", ""),
        code=sent.get("code", ""),
        issuer=sent.get("iss", ""),
        error=sent.get("error", ""),
        error_description=sent.get("error_description", ""),
    )


def _redirect_uri(tenant_id: int) -> str:
    return public_address() + url_for("web.sso.come_back", handle=f"{tenant_id:x}")


def _tenant_of(handle: str) -> int:
    try:
        return int(handle, 16) if len(handle) <= 15 else 0
    except ValueError:
        return 0


def _cookie_name() -> str:
    return f"__Host-{COOKIE}" if current_app.config["SESSION_COOKIE_SECURE"] else COOKIE


def _browser() -> str:
    """What this browser's logins are bound to; empty when none is under way."""
    known = request.cookies.get(_cookie_name(), "")
    return known if _BROWSER.fullmatch(known) else ""


def _bound(response: Response, browser: str) -> Response:
    response.set_cookie(
        _cookie_name(),
        browser,
        max_age=logins.LIFETIME,
        path="/",
        httponly=True,
        # The provider sends the browser back from a site of its own.
        samesite="Lax",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )
    return response


def _objection(domain: str) -> str | None:
    if mail.is_free(domain) or mail.is_disposable(domain):
        return "anybody can open a mailbox there."
    if registrable(domain) is None:
        return "anybody can register a name below it, or nobody can."
    return None


def _mapping(typed: str) -> dict[str, str]:
    """``value = role``, one a line."""
    mapping = {}
    for line in filter(None, (line.strip() for line in typed.splitlines())):
        value, sign, role = line.rpartition("=")
        if not sign or not value.strip():
            raise BadInput(
                f"“{line[:60]}” is no mapping; accepted is a value, = and a role, such as assay-admins = admin.",
                field="roles",
            )
        mapping[value.strip()] = role.strip()
    return mapping


def _token_id() -> int:
    typed = request.form.get("token_id", "")
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 19 else 0


def _done(sentence: str) -> ResponseReturnValue:
    flash(sentence, "good")
    return redirect(url_for("web.sso.index"), 303)


def _log_in(form: Form) -> str:
    return render_template("sso/log_in.html", form=form, next=safe_next(request.args.get("next")))


def _page(*, form: Form | None = None, issued: IssuedToken | None = None, rotated: bool = False) -> str:
    tenant_id = visitor().tenant_id
    return render_template(
        "sso/index.html",
        form=form or Form(),
        provider=providers.find(tenant_id),
        domains=domains.list_domains(tenant_id),
        owners=providers.list_owners(tenant_id),
        tokens=scim_tokens.list_tokens(tenant_id),
        issued=issued,
        rotated=rotated,
        roles=GRANTABLE,
        lifetimes=scim_tokens.LIFETIMES,
        label=domains.LABEL,
        file=domains.FILE,
        well_known=WELL_KNOWN,
        redirect_uri=_redirect_uri(tenant_id),
        scim_address=f"{public_address()}/scim/v2",
    )
