"""The templates on the page for new models, and what somebody filled in there."""

from flask import request

from assay.scoring import starting
from assay.scoring.starting import ENGLISH, LANGUAGES, Rendered
from assay.web.forms import Form

#: A parameter's field; the rest of its name is the parameter's.
FIELD = "parameter."


def tongue(form: Form) -> str:
    """The language of the templates: chosen on the page, or the browser's, or English."""
    chosen = form["language"] or request.args.get("language", "")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES, ENGLISH)


def rendered(form: Form) -> Rendered:
    """The model that was chosen; raises NoSuchTemplate or BadInput."""
    values = {name.removeprefix(FIELD): value for name, value in form.values.items() if name.startswith(FIELD)}
    (found,) = starting.render(form["template"], tongue(form), values, models=[form["model"]])
    return found
