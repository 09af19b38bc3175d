"""What the provider of payments tells us: signed by its own means, so it carries no key of ours."""

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from assay import billing
from assay.api import errors
from assay.api.door import keep_private

LARGEST = 1_000_000

blueprint = Blueprint("billing_notices", __name__)
errors.handle(blueprint)
blueprint.after_request(keep_private)


@blueprint.post("/hooks/billing")
def receive() -> ResponseReturnValue:
    request.max_content_length = LARGEST
    return jsonify(changed=billing.hear(dict(request.headers), request.get_data()))
