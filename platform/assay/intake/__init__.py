"""Messages come in: received, verified, bounded, and kept once, raw."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from assay.settings import Settings


def register(app: "Flask", _settings: "Settings") -> None:
    """Opens the tracking calls. They carry a write key and no cookie, so no form token guards them."""
    # Workers import this package too, and have no use for a web framework.
    from assay.intake.api import blueprint

    app.register_blueprint(blueprint)
