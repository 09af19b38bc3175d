"""The audit log, searched and exported."""

from flask import Blueprint

blueprint = Blueprint("audit", __name__)
