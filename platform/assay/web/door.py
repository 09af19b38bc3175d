"""Puts the web door on an application: blueprints, session, form tokens, headers, error pages."""

from datetime import timedelta

from flask import Blueprint, Flask, Response, g, request
from flask_wtf.csrf import CSRFProtect  # type: ignore[import-untyped] # published without types
from werkzeug.exceptions import BadRequest

from assay.settings import Settings
from assay.web import (
    access,
    account,
    apps,
    attempts,
    audit,
    clients,
    companies,
    connect,
    connections,
    errors,
    factors,
    fields,
    imports,
    judgements,
    leads,
    login_rules,
    mails,
    members,
    merges,
    models,
    operators,
    permits,
    previews,
    privacy,
    recovery,
    refused,
    rescores,
    retention,
    second_step,
    security,
    settings,
    sso,
    usage,
    versions,
    visitors,
    words,
)
from assay.web.bundles import asset, is_built
from assay.web.security import TAKE_FILES, style_nonce

FORM_TOKEN_LIFETIME = timedelta(hours=12)
#: Bytes of fields; a file among them goes to disk and has no bound. A model of a million bytes triples when encoded.
LARGEST_FORM = 3_500_000
LARGEST_FORM_OF_A_STRANGER = 50_000

csrf = CSRFProtect()


def register(app: Flask, configuration: Settings) -> None:
    """The other doors keep their own ways of proving who asks: form tokens are checked for these pages alone."""
    is_secure = configuration.address.startswith("https://")
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=int(FORM_TOKEN_LIFETIME.total_seconds()),
        SESSION_COOKIE_NAME="__Host-assay_form" if is_secure else "assay_form",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_secure,
    )
    csrf.init_app(app)
    attempts.register(app, configuration.redis_url)
    words.teach(app.jinja_env)
    app.context_processor(
        lambda: {"asset": asset, "style_nonce": style_nonce, "visitor": g.get("visitor"), "may": visitors.may}
    )
    app.context_processor(lambda: {"count_refused": refused.count_shown})
    app.context_processor(lambda: {"companies_of": account.companies_of, "outbox_is_open": mails.is_open})
    app.register_blueprint(_blueprint())
    errors.answer_for_unknown_pages(app)
    security.register(app, configuration)


def _blueprint() -> Blueprint:
    web = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/static")
    themes = (
        access,
        leads,
        companies,
        judgements,
        merges,
        models,
        previews,
        rescores,
        versions,
        imports,
        connections,
        connect,
        settings,
        retention,
        refused,
        fields,
        account,
        mails,
        recovery,
        members,
        factors,
        second_step,
        login_rules,
        sso,
        clients,
        apps,
        audit,
        operators,
        usage,
        privacy,
    )
    for theme in themes:
        web.register_blueprint(theme.blueprint)
    web.before_request(visitors.recognise)
    web.before_request(permits.refuse_unstated)
    web.before_request(_bound_body)
    web.before_request(csrf.protect)
    web.before_request(_refuse_nul)
    web.before_request(operators.hold_back)
    web.before_request(login_rules.lead_to_second_factors)
    web.after_request(_keep_built_files)
    errors.handle(web)
    return web


def _bound_body() -> None:
    # The form token is looked for in the form, so a form is read before anybody asked who sends it.
    if g.visitor is None:
        request.max_content_length = LARGEST_FORM_OF_A_STRANGER
    elif request.endpoint in TAKE_FILES and not visitors.may("imports:write"):
        # Its file would be on our disk before the page refuses it.
        request.max_content_length = security.LARGEST_REQUEST
    request.max_form_memory_size = LARGEST_FORM


def _refuse_nul() -> None:
    """No keyboard types it, and PostgreSQL keeps no text that holds it."""
    sent = (text for given in (request.args, request.form) for _, text in given.items(multi=True))
    if "\0" in request.path or any("\0" in text for text in sent):
        raise BadRequest


def _keep_built_files(response: Response) -> Response:
    # Their names carry a hash of what is in them.
    if request.endpoint == "web.static" and response.status_code == 200 and is_built(request.path):
        response.cache_control.public = True
        response.cache_control.no_cache = None
        response.cache_control.max_age = int(timedelta(days=365).total_seconds())
        response.cache_control.immutable = True
    return response
