"""The plan, and what was used of it."""

from flask import Blueprint

blueprint = Blueprint("usage", __name__)
