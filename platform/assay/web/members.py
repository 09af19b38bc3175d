"""Who works here: members, invitations, roles."""

from flask import Blueprint

blueprint = Blueprint("members", __name__)
