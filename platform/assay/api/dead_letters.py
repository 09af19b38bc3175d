"""Messages that were accepted and could not be understood."""

from typing import Any

from marshmallow import Schema, fields

from assay.api.access import tenant_id
from assay.api.door import Part
from assay.api.leads import CURSOR, limit
from assay.normalise import queries
from assay.scoring.queries import LARGEST_PAGE, PAGE

part = Part("Dead letters", "What was accepted and kept, but could not be understood, with the reason.")


class DeadLettersQuery(Schema):
    cursor = CURSOR
    limit = limit(LARGEST_PAGE, PAGE)


class DeadLetterSchema(Schema):
    message_id = fields.String(metadata={"description": "Of the request it came in, as we keep it"})
    position = fields.Integer(metadata={"description": "The item's place in its batch, from 0"})
    field = fields.String(allow_none=True, metadata={"description": "The path in the request that was wrong"})
    reason = fields.String(metadata={"description": "A sentence for a person"})
    excerpt = fields.String(metadata={"description": "The beginning of the item as it came"})
    received_at = fields.AwareDateTime()


class DeadLettersSchema(Schema):
    items = fields.List(fields.Nested(DeadLetterSchema), attribute="letters", metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True)


@part.serves("GET", "/dead-letters", answer=DeadLettersSchema, query=DeadLettersQuery)
def list_dead_letters(query: dict[str, Any]) -> object:
    """What could not be understood, newest first."""
    return queries.list_dead_letters(tenant_id(), **query)
