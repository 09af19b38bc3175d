"""Messages that were accepted and could not be understood: which, why, as they came; read again or dismissed."""

from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate

from assay.api.access import by, tenant_id
from assay.api.door import Part
from assay.api.leads import CURSOR, limit
from assay.intake.queries import find_message
from assay.normalise import queries, replaying
from assay.normalise.models import DeadLetter
from assay.normalise.queries import MOST_COUNTED, Wanted
from assay.normalise.replaying import MessageGone
from assay.profiles.marks import marks_of
from assay.profiles.masking import masked_excerpt, refuse_hidden
from assay.scoring.queries import LARGEST_PAGE, PAGE
from assay_tenants.errors import NotFound

part = Part("Dead letters", "What was accepted and kept, but could not be understood, with the reason.")

#: A browser that is led here shows nothing of it, whatever a sender wrote.
DOWNLOAD = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
KIND = fields.String(
    validate=validate.Length(1, 200),
    metadata={"description": "What was wrong, in short, such as `field:userId/missing`: one mend sets all of it right"},
)
SOURCE = fields.Integer(
    validate=validate.Range(1, 2**63 - 1), metadata={"description": "Only what came by this source, by its id"}
)


class DeadLettersQuery(Schema):
    kind = KIND
    source_id = SOURCE
    since = fields.AwareDateTime(metadata={"description": "Received at this instant or later"})
    until = fields.AwareDateTime(metadata={"description": "Received before this instant"})
    cursor = CURSOR
    limit = limit(LARGEST_PAGE, PAGE)


class RoundQuery(Schema):
    kind = fields.String(required=True, validate=KIND.validate, metadata=dict(KIND.metadata))
    source_id = SOURCE


class PositionQuery(Schema):
    position = fields.Integer(
        validate=validate.Range(0, 2**31 - 1), metadata={"description": "Only the item at this place; default: all"}
    )


class DeadLetterSchema(Schema):
    message_id = fields.String(metadata={"description": "Of the request it came in, as we keep it"})
    position = fields.Integer(metadata={"description": "The item's place in its batch, from 0"})
    source_id = fields.Integer()
    kind = fields.String(metadata={"description": "For programs: the same for all that one mend sets right"})
    field = fields.String(allow_none=True, metadata={"description": "The path in the request that was wrong"})
    reason = fields.String(metadata={"description": "A sentence for a person"})
    excerpt = fields.String(metadata={"description": "The beginning of the item as it came"})
    received_at = fields.AwareDateTime()


class DeadLettersSchema(Schema):
    items = fields.List(fields.Nested(DeadLetterSchema), attribute="letters", metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True)


class KindSchema(Schema):
    kind = fields.String()
    count = fields.Integer(metadata={"description": f"At most {MOST_COUNTED:,} are counted"})
    has_more = fields.Boolean(metadata={"description": "There are more than that"})
    source_id = fields.Integer(metadata={"description": "Of the newest"})
    reason = fields.String(metadata={"description": "Of the newest"})
    newest_at = fields.AwareDateTime()


class KindsSchema(Schema):
    items = fields.List(fields.Nested(KindSchema), metadata={"description": "The most frequent first"})


class DeadMessageSchema(Schema):
    message_id = fields.String()
    is_kept = fields.Boolean(metadata={"description": "It can be read again and downloaded; false: retention is over"})
    size = fields.Integer(allow_none=True, metadata={"description": "Bytes"})
    received_at = fields.AwareDateTime()
    items = fields.List(fields.Nested(DeadLetterSchema), metadata={"description": "What of it was refused, in order"})


class RoundSchema(Schema):
    id = fields.Integer()
    action = fields.String(metadata={"description": "replay or dismiss"})
    kind = fields.String(allow_none=True)
    source_id = fields.Integer(allow_none=True)
    message_id = fields.String(allow_none=True)
    state = fields.String(metadata={"description": "running, reading (all is handed over), done or cancelled"})
    total = fields.Integer(metadata={"description": "Refusals there were when it began"})
    letters = fields.Integer(metadata={"description": "Those it came to so far"})
    messages = fields.Integer(metadata={"description": "Messages handed over to be read again so far"})
    gone = fields.Integer(metadata={"description": "Messages that are no longer kept, so far"})
    started_by = fields.String()
    created_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)


class RoundsSchema(Schema):
    items = fields.List(fields.Nested(RoundSchema), metadata={"description": "Newest first"})


@part.serves("GET", "/dead-letters", needs="settings:read", answer=DeadLettersSchema, query=DeadLettersQuery)
def list_dead_letters(query: dict[str, Any]) -> object:
    """What could not be understood, newest first."""
    page = {name: query.pop(name) for name in ("cursor", "limit") if name in query}
    found = queries.list_dead_letters(tenant_id(), **page, wanted=Wanted(**query))
    return {"letters": _seen(found.letters), "next_cursor": found.next_cursor}


@part.serves("GET", "/dead-letters/kinds", needs="settings:read", answer=KindsSchema)
def list_kinds() -> dict[str, object]:
    """What was wrong, and how often."""
    return {"items": queries.list_kinds(tenant_id())}


@part.serves("GET", "/dead-letters/<uuid:message_id>", needs="settings:read", answer=DeadMessageSchema)
def get_dead_message(message_id: UUID) -> dict[str, object]:
    """One message with all that was refused of it."""
    letters = queries.dead_letters_of(tenant_id(), message_id)
    if not letters:
        raise NotFound("refused message")
    message = find_message(tenant_id(), message_id)
    return {
        "message_id": message_id,
        "is_kept": message is not None,
        "size": len(message.body) if message else None,
        "received_at": letters[0].received_at,
        "items": _seen(letters),
    }


@part.route("/dead-letters/<uuid:message_id>/raw", methods=["GET"])  # type: ignore[untyped-decorator] # no types
@part.guards("settings:read", refuses=(404, 410))
@part.response(  # type: ignore[untyped-decorator] # as above
    200, {"type": "string", "format": "binary"}, content_type="application/octet-stream"
)
def download_dead_message(message_id: UUID) -> Response:
    """The message byte for byte, as it was kept."""
    if not queries.dead_letters_of(tenant_id(), message_id):
        raise NotFound("refused message")
    message = find_message(tenant_id(), message_id)
    if message is None:
        raise MessageGone
    refuse_hidden(message.body, marks_of(tenant_id()))
    headers = {**DOWNLOAD, "Content-Disposition": f'attachment; filename="message-{message_id}.bin"'}
    return Response(message.body, headers=headers, content_type="application/octet-stream")


@part.serves(
    "POST",
    "/dead-letters/replay",
    needs="settings:write",
    answer=RoundSchema,
    query=RoundQuery,
    status=202,
    refuses=(404,),
)
def replay_kind(query: dict[str, Any]) -> object:
    """Have all of a kind read again, after a mend: what succeeds disappears from the list."""
    return queries.get_round(tenant_id(), replaying.start(tenant_id(), "replay", by=_by(), **query))


@part.serves(
    "POST",
    "/dead-letters/dismiss",
    needs="settings:write",
    answer=RoundSchema,
    query=RoundQuery,
    status=202,
    refuses=(404,),
)
def dismiss_kind(query: dict[str, Any]) -> object:
    """Take all of a kind off the list; the messages themselves stay as long as all others."""
    return queries.get_round(tenant_id(), replaying.start(tenant_id(), "dismiss", by=_by(), **query))


@part.serves(
    "POST",
    "/dead-letters/<uuid:message_id>/replay",
    needs="settings:write",
    answer=RoundSchema,
    status=202,
    refuses=(410,),
)
def replay_message(message_id: UUID) -> object:
    """Have one message read again; 410 when it is no longer kept."""
    return replaying.replay_message(tenant_id(), message_id, by=_by())


@part.serves(
    "POST", "/dead-letters/<uuid:message_id>/dismiss", needs="settings:write", answer=RoundSchema, query=PositionQuery
)
def dismiss_message(query: dict[str, Any], message_id: UUID) -> object:
    """Take one message, or one item of it, off the list."""
    return replaying.dismiss_message(tenant_id(), message_id, by=_by(), **query)


@part.serves("GET", "/dead-letters/rounds", needs="settings:read", answer=RoundsSchema)
def list_rounds() -> dict[str, object]:
    """What was read again or dismissed, by whom and when, and how far it is."""
    return {"items": queries.list_rounds(tenant_id())}


@part.serves("GET", "/dead-letters/rounds/<id:round_id>", needs="settings:read", answer=RoundSchema)
def get_round(round_id: int) -> object:
    """How far one is."""
    return queries.get_round(tenant_id(), round_id)


@part.serves("POST", "/dead-letters/rounds/<id:round_id>/cancel", needs="settings:write", answer=RoundSchema)
def cancel_round(round_id: int) -> object:
    """Stops it where it is."""
    return replaying.cancel(tenant_id(), round_id)


def _seen(letters: list[DeadLetter]) -> list[dict[str, object]]:
    marks = marks_of(tenant_id())
    return [{**vars(letter), "excerpt": masked_excerpt(letter.excerpt, marks)} for letter in letters]


def _by() -> str:
    return by()
