"""Mail that nobody sends, shown to whoever runs Assay on their own machine."""

from flask import Blueprint

blueprint = Blueprint("mails", __name__)
