"""A person's data: exported and erased."""

from flask import Blueprint

blueprint = Blueprint("privacy", __name__)
