"""Bodies that are whole documents."""

from flask import Request

from assay.api.errors import BodyTooLarge, UnsupportedBody
from assay_tenants.errors import BadInput

LARGEST_MODEL = 1_000_000
_MODEL_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "application/json", "text/plain")


def model_text(request: Request) -> str:
    """The document in the body, whichever of the two it is written in: JSON is read as YAML is."""
    if request.mimetype not in _MODEL_TYPES:
        raise UnsupportedBody(
            "The body is the model's document itself: send it as Content-Type application/yaml or application/json, "
            f"not {request.mimetype or 'without a type'}."
        )
    body = request.stream.read(LARGEST_MODEL + 1)
    if len(body) > LARGEST_MODEL:
        raise BodyTooLarge(f"A model's document has at most {LARGEST_MODEL:,} bytes.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"The document is not UTF-8 text: byte {error.start + 1} can't be read.") from None
