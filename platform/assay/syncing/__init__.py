"""Connections at work: streams are pulled, notices received, named records fetched, subscriptions looked after."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from assay.settings import Settings


def register(app: "Flask", settings: "Settings") -> None:
    """Puts the door for vendors' notices in front of an application; their signatures stand for a form token."""
    # Workers import this package too, and have nothing to receive.
    from assay.syncing import limiter
    from assay.syncing.hooks import Hooks

    limiter.configure(settings.redis_url)
    tracking = app.extensions["tracking"]
    hooks = Hooks(app.wsgi_app, address=settings.address, writer=tracking.writer, admission=tracking.admission)
    app.extensions["hooks"] = app.wsgi_app = hooks  # type: ignore[method-assign] # Flask's own way
