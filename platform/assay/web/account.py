"""A person's own page: name, password, sessions, second factors, granted apps."""

from flask import Blueprint

blueprint = Blueprint("account", __name__)
