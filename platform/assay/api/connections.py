"""Connections: which services are connected, how each fares, and what goes back."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay import connecting
from assay.api.access import tenant_id
from assay.api.door import Part
from assay.connecting import catalogue
from assay.delivery import service as delivery
from assay.syncing import service as syncing

part = Part(
    "Connections",
    "Accounts at other services: what is read from them, and the scores that go back. A person connects them on the "
    "pages, because only a person can log in there.",
)

LARGEST_PAGE = 200


class MissingSchema(Schema):
    variable = fields.String()
    title = fields.String()


class WordSchema(Schema):
    type = fields.String()
    title = fields.String()
    suggested_points = fields.Integer(metadata={"description": "Whole points, for the builder of models"})


class WrittenSchema(Schema):
    name = fields.String(metadata={"description": "Of the field, at the vendor's"})
    title = fields.String()
    holds = fields.String(metadata={"description": "score, grade, stage, reasons, scored_at or model"})


class ServiceSchema(Schema):
    name = fields.String()
    title = fields.String()
    summary = fields.String()
    way = fields.String(metadata={"enum": ["oauth", "key", "nothing"], "description": "How it is connected"})
    is_ready = fields.Boolean(metadata={"description": "Whether this installation has all settings that it takes"})
    scopes = fields.Dict(keys=fields.String(), values=fields.String(), metadata={"description": "Each with its reason"})
    optional_scopes = fields.Dict(keys=fields.String(), values=fields.String())
    vocabulary = fields.List(fields.Nested(WordSchema), metadata={"description": "Events that it may bring"})
    written = fields.List(fields.Nested(WrittenSchema), metadata={"description": "What goes back; empty: nothing"})


class ServicesSchema(Schema):
    items = fields.List(fields.Nested(ServiceSchema))


class StreamSchema(Schema):
    name = fields.String()
    title = fields.String()
    phase = fields.String(metadata={"enum": list(connecting.PHASES)})
    records = fields.Integer(metadata={"description": "Since the first load began"})
    total = fields.Integer(allow_none=True, metadata={"description": "Of the first load; null: nobody knows"})
    last_run_at = fields.AwareDateTime(allow_none=True)
    last_success_at = fields.AwareDateTime(allow_none=True)
    seconds_behind = fields.Integer(allow_none=True, metadata={"description": "null: the first load is not done"})
    next_run_at = fields.AwareDateTime(allow_none=True, metadata={"description": "null: it is not read"})
    error = fields.String(metadata={"description": "A sentence for a person; empty: none"})


class HooksSchema(Schema):
    subscribed_at = fields.AwareDateTime(allow_none=True)
    error = fields.String()
    last_at = fields.AwareDateTime(allow_none=True, metadata={"description": "When the last notice came"})


class PushSchema(Schema):
    enabled = fields.Boolean()
    model = fields.String(allow_none=True, metadata={"description": "Its title; null: the model that leads"})
    sent = fields.Integer()
    waiting = fields.Integer()
    gone = fields.Integer(metadata={"description": "Leads whose contact is gone there"})
    dead = fields.Integer(metadata={"description": "Leads whose score was refused"})
    sent_at = fields.AwareDateTime(allow_none=True)
    error = fields.String()


class ConnectionSchema(Schema):
    id = fields.Integer()
    service = fields.String()
    name = fields.String()
    account = fields.String(metadata={"description": "In the vendor's own words"})
    condition = fields.String(metadata={"enum": list(connecting.CONDITIONS)})
    sentence = fields.String(metadata={"description": "The same for a person"})
    source_id = fields.Integer(allow_none=True, metadata={"description": "Whose messages are this connection's"})
    created_at = fields.AwareDateTime()
    updated_at = fields.AwareDateTime()


class HealthSchema(ConnectionSchema):
    streams = fields.List(fields.Nested(StreamSchema))
    hooks = fields.Nested(HooksSchema, allow_none=True, metadata={"description": "null: nothing is ever posted"})
    push = fields.Nested(PushSchema, allow_none=True, metadata={"description": "null: nothing goes back"})
    waiting = fields.Integer(metadata={"description": "Records that were named and are yet to be fetched"})
    dead = fields.Integer(metadata={"description": "Records that could not be fetched"})


class ConnectionsSchema(Schema):
    items = fields.List(fields.Nested(ConnectionSchema))


class ReloadSchema(Schema):
    stream = fields.String(
        load_default=None, allow_none=True, metadata={"description": "null, or left away: all of them"}
    )


class PushSettingsSchema(Schema):
    enabled = fields.Boolean(required=True)
    model = fields.String(
        load_default=None,
        allow_none=True,
        metadata={"description": "Name of the published model whose score goes back; null: the one that leads"},
    )


class FarewellSchema(Schema):
    left = fields.List(
        fields.String(), metadata={"description": "What the vendor did not take back, in words; empty: nothing is left"}
    )


class DeadQuery(Schema):
    cursor = fields.String()
    limit = fields.Integer(
        load_default=50, validate=validate.Range(1, LARGEST_PAGE, error="This must be from {min} to {max}.")
    )


class DeadPushSchema(Schema):
    lead_id = fields.Integer()
    error = fields.String(metadata={"description": "Why it was refused"})
    error_at = fields.AwareDateTime(allow_none=True)
    attempts = fields.Integer()


class DeadPushesSchema(Schema):
    items = fields.List(fields.Nested(DeadPushSchema))
    next_cursor = fields.String(allow_none=True)


class CountSchema(Schema):
    count = fields.Integer(metadata={"description": "How many leads it concerned"})


@part.serves("GET", "/services", needs="settings:read", answer=ServicesSchema)
def list_services() -> dict[str, object]:
    """The services that can be connected here."""
    return {"items": catalogue.list_offers()}


@part.serves("GET", "/connections", needs="settings:read", answer=ConnectionsSchema)
def list_connections() -> dict[str, object]:
    """All that are connected, oldest first."""
    return {"items": [_told(each) for each in connecting.list_overviews(tenant_id())]}


@part.serves("GET", "/connections/<id:connection_id>", needs="settings:read", answer=HealthSchema)
def show(connection_id: int) -> dict[str, object]:
    """One connection, and how it fares."""
    return _health(connection_id)


@part.serves("POST", "/connections/<id:connection_id>/sync", needs="connections:manage", answer=HealthSchema)
def sync(connection_id: int) -> dict[str, object]:
    """Read all lists now."""
    syncing.sync_now(tenant_id(), connection_id)
    return _health(connection_id)


@part.serves("POST", "/connections/<id:connection_id>/pause", needs="connections:manage", answer=HealthSchema)
def pause(connection_id: int) -> dict[str, object]:
    """Read nothing and write nothing for a while. What is posted to us is still kept."""
    syncing.pause(tenant_id(), connection_id)
    return _health(connection_id)


@part.serves("POST", "/connections/<id:connection_id>/resume", needs="connections:manage", answer=HealthSchema)
def resume(connection_id: int) -> dict[str, object]:
    """Go on where it was."""
    syncing.resume(tenant_id(), connection_id)
    return _health(connection_id)


@part.serves("POST", "/connections/<id:connection_id>/reload", needs="connections:manage", answer=HealthSchema)
@part.arguments(ReloadSchema, location="json", required=False)  # type: ignore[untyped-decorator] # flask-smorest ships no types
def reload(body: dict[str, Any], connection_id: int) -> dict[str, object]:
    """Read from the beginning again; what is known already is not doubled."""
    connecting.reload(tenant_id(), connection_id, body["stream"])
    return _health(connection_id)


@part.serves("DELETE", "/connections/<id:connection_id>", needs="connections:manage", answer=FarewellSchema)
def disconnect(connection_id: int) -> dict[str, object]:
    """Disconnect: the access is given back and wiped; what came in stays. Twice is once."""
    return {"left": connecting.disconnect(tenant_id(), connection_id)}


@part.serves(
    "PUT", "/connections/<id:connection_id>/push", needs="connections:manage", answer=HealthSchema, refuses=(422, 409)
)
@part.arguments(PushSettingsSchema, location="json")  # type: ignore[untyped-decorator] # as above
def change_push(body: dict[str, Any], connection_id: int) -> dict[str, object]:
    """Whether scores go back, and whose."""
    connecting.change_push(tenant_id(), connection_id, enabled=body["enabled"], model=body["model"])
    return _health(connection_id)


@part.serves("POST", "/connections/<id:connection_id>/push/send-all", needs="connections:manage", answer=CountSchema)
def send_all(connection_id: int) -> dict[str, object]:
    """Send every lead's score; what is the same at the vendor's is left alone."""
    return {"count": delivery.send_all(tenant_id(), connection_id)}


@part.serves(
    "GET", "/connections/<id:connection_id>/push/dead", needs="settings:read", answer=DeadPushesSchema, query=DeadQuery
)
def list_dead(query: dict[str, Any], connection_id: int) -> object:
    """Leads whose score the vendor refused, newest first."""
    return connecting.list_dead(tenant_id(), connection_id, cursor=query.get("cursor"), limit=query["limit"])


@part.serves("POST", "/connections/<id:connection_id>/push/dead/replay", needs="connections:manage", answer=CountSchema)
def replay_dead(connection_id: int) -> dict[str, object]:
    """Send again what was refused."""
    return {"count": delivery.replay_dead(tenant_id(), connection_id)}


@part.serves(
    "POST", "/connections/<id:connection_id>/push/dead/dismiss", needs="connections:manage", answer=CountSchema
)
def dismiss_dead(connection_id: int) -> dict[str, object]:
    """Let it be: a lead's score is sent again when it changes."""
    return {"count": delivery.dismiss_dead(tenant_id(), connection_id)}


def _health(connection_id: int) -> dict[str, object]:
    found = connecting.overview(tenant_id(), connection_id)
    streams = [
        {**vars(each), "seconds_behind": None if each.lag is None else int(each.lag.total_seconds())}
        for each in found.streams
    ]
    health = found.health
    return {
        **_told(found),
        "streams": streams,
        "hooks": found.hooks,
        "push": found.push,
        "waiting": health.wanted_waiting if health else 0,
        "dead": health.wanted_dead if health else 0,
    }


def _told(found: connecting.Overview) -> dict[str, object]:
    """Without settings, which may hold what somebody took for no secret."""
    connection = found.connection
    return {
        "id": connection.id,
        "service": connection.plugin,
        "name": connection.name,
        "account": connection.account,
        "condition": found.condition,
        "sentence": found.sentence,
        "source_id": found.health.source_id if found.health else None,
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
    }
