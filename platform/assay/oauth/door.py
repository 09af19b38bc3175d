"""Puts the authorization server on an application: what programs call, and what people see."""

from typing import cast

from flask import Flask

from assay.oauth import machines, pages
from assay.settings import Settings
from assay_tenants.oauth import issuer
from assay_tenants.oauth.issuer import Registration


def register(app: Flask, settings: Settings) -> None:
    """After the web door, whose sessions and form tokens the pages use."""
    issuer.configure(settings.address, registration=cast(Registration, settings.oauth_registration))
    app.register_blueprint(machines.blueprint())
    app.register_blueprint(pages.blueprint())
