"""Single sign-on: the tenant's own provider, its domains, provisioning."""

from flask import Blueprint

blueprint = Blueprint("sso", __name__)
