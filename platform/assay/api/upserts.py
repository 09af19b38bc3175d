"""What is known of leads, stated in batches."""

from flask import Response

from assay.api import taking
from assay.api.door import Part
from assay.api.errors import MEDIA_TYPE
from assay.api.taking import NoneTakenSchema, TakenSchema
from assay.normalise.strict import LEADS

part = Part("Upserts", "What you know of leads, stated in batches; a lead is found by its identities, or made.")


@part.serves(
    "POST",
    "/leads",
    needs="leads:write",
    answer=TakenSchema,
    body=taking.body_of(LEADS),
    also=(207,),
    repeats="by itself",
)
@part.alt_response(422, schema=NoneTakenSchema, content_type=MEDIA_TYPE)  # type: ignore[untyped-decorator] # no types
def state_leads() -> Response:
    """State traits of leads, known or new: 200 when all are accepted, 207 when some are refused, 422 when all are."""
    return taking.take(LEADS)
