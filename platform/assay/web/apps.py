"""Partner apps: registered, installed, removed."""

from flask import Blueprint

blueprint = Blueprint("apps", __name__)
