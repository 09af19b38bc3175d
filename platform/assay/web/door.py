"""Puts the web door on an application: blueprints, session, form tokens, headers, error pages."""

from datetime import timedelta

from flask import Blueprint, Flask, Response, g
from flask_wtf.csrf import CSRFProtect

from assay.settings import Settings
from assay.web import access, errors, imports, leads, models, settings, visitors, words
from assay.web.bundles import asset
from assay.web.security import add_headers, style_nonce

FORM_TOKEN_LIFETIME = timedelta(hours=12)

csrf = CSRFProtect()


def register(app: Flask, configuration: Settings) -> None:
    """The other doors keep their own ways of proving who asks: form tokens are checked for these pages alone."""
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=int(FORM_TOKEN_LIFETIME.total_seconds()),
        SESSION_COOKIE_NAME="assay_form",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=configuration.address.startswith("https://"),
        ASSAY_PUBLIC_URL=configuration.public_url.rstrip("/"),
        ASSAY_SESSION_LIFETIME=configuration.session_lifetime,
    )
    csrf.init_app(app)
    app.register_blueprint(_blueprint())
    words.teach(app.jinja_env)


def _blueprint() -> Blueprint:
    web = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/static")
    for theme in (access, leads, models, imports, settings):
        web.register_blueprint(theme.blueprint)
    web.before_request(visitors.recognise)
    web.before_request(csrf.protect)
    web.after_request(add_headers)
    web.after_request(_keep_built_files)
    web.context_processor(lambda: {"asset": asset, "style_nonce": style_nonce, "visitor": g.get("visitor")})
    errors.handle(web)
    return web


def _keep_built_files(response: Response) -> Response:
    # Their names carry a hash of what is in them.
    if response.direct_passthrough and response.status_code == 200:
        response.cache_control.public = True
        response.cache_control.max_age = int(timedelta(days=365).total_seconds())
        response.cache_control.immutable = True
    return response
