"""What operators of this installation looked at, and until when they may."""

from flask import Blueprint

blueprint = Blueprint("operators", __name__)
