"""Second factors: one-time codes, passkeys, recovery codes."""

from flask import Blueprint

blueprint = Blueprint("factors", __name__)
