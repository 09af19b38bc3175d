"""Messages come in: received, verified, bounded, and kept once, raw."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from assay.settings import Settings


def register(app: "Flask", settings: "Settings") -> None:
    """Puts the tracking calls in front of an application. They carry a write key and no cookie: no form token."""
    # Workers import this package too, and have nothing to receive.
    from assay.intake.admission import Admission
    from assay.intake.wsgi import Tracking

    tracking = Tracking(app.wsgi_app, public_url=settings.public_url, admission=Admission.of(settings))
    app.extensions["tracking"] = app.wsgi_app = tracking  # type: ignore[method-assign] # Flask's own way
