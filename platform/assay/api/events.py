"""Events, sent in batches."""

from flask import Response

from assay.api import taking
from assay.api.door import Part
from assay.api.errors import MEDIA_TYPE
from assay.api.taking import NoneTakenSchema, TakenSchema
from assay.normalise.strict import EVENTS

part = Part("Events", "What people did, sent in batches; each record is checked, and refused by its place and field.")


@part.serves(
    "POST",
    "/events",
    needs="events:write",
    answer=TakenSchema,
    body=taking.body_of(EVENTS),
    also=(207,),
    repeats="by itself",
)
@part.alt_response(422, schema=NoneTakenSchema, content_type=MEDIA_TYPE)  # type: ignore[untyped-decorator] # no types
def send_events() -> Response:
    """Send events: 200 when all are accepted, 207 when some are refused, 422 when all are."""
    return taking.take(EVENTS)
