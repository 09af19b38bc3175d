"""Forgotten passwords, and addresses to be verified."""

from flask import Blueprint

blueprint = Blueprint("recovery", __name__)
