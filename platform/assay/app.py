"""The web application, door by door."""

from datetime import timedelta

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.middleware.proxy_fix import ProxyFix

from assay import api, arrivals, intake, oauth, pipeline, scim, syncing, web
from assay.guards import agree, guard
from assay.profiles import limits
from assay.settings import Settings
from assay_tenants import cuts, database

REDIS_PATIENCE = timedelta(seconds=1)
#: Asked at each request of a program, with PostgreSQL to ask instead.
CUTS_PATIENCE = timedelta(seconds=0.1)


def create_app(settings: Settings) -> Flask:
    """Raises PowerfulRole when the database role could see across tenants."""
    app = Flask("assay", static_folder=None)
    app.config.update(SECRET_KEY=settings.secret_key)
    guard(settings)
    database.refuse_powerful_role(database.configure(settings.database_url, pool_size=settings.web_threads))
    agree()
    # A request has its answer from PostgreSQL; it must not wait long for a Redis that is away.
    patience = REDIS_PATIENCE.total_seconds()
    pipeline.connect(Redis.from_url(settings.redis_url, socket_timeout=patience, socket_connect_timeout=patience))
    cuts.configure(
        Redis.from_url(
            settings.redis_url,
            socket_timeout=CUTS_PATIENCE.total_seconds(),
            socket_connect_timeout=CUTS_PATIENCE.total_seconds(),
            retry=Retry(NoBackoff(), 0),
        )
    )
    limits.configure(settings)
    arrivals.register(app)
    for door in (intake, syncing, api, scim, web, oauth):
        door.register(app, settings)
    app.add_url_rule("/healthz", view_func=is_healthy)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign] # Flask's own way
    return app


def is_healthy() -> ResponseReturnValue:
    try:
        with database.engine().connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return jsonify(status="unavailable", reason="The database is away."), 503, {"Retry-After": "5"}
    return jsonify(status="ok")
