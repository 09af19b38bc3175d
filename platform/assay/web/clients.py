"""API clients and keys: scopes, expiry, rotation."""

from flask import Blueprint

blueprint = Blueprint("clients", __name__)
