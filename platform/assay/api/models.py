"""Models: made, edited, checked, published."""

from typing import Any

from flask import request
from marshmallow import Schema, fields

from assay.api.access import caller, tenant_id
from assay.api.bodies import model_text
from assay.api.door import Part
from assay.scoring import queries, service
from assay_tenants.errors import NotFound

part = Part("Models", "A model is a YAML or JSON document; publishing makes it an immutable, numbered version.")

DOCUMENT: dict[str, Any] = {
    "required": True,
    "description": "The model's document itself, as YAML or as JSON.",
    "content": {
        "application/yaml": {"schema": {"type": "string"}},
        "application/json": {"schema": {"type": "object"}},
    },
}


class ModelSchema(Schema):
    name = fields.String(metadata={"description": "As in the document's `model:`; it never changes"})
    title = fields.String()
    published_version = fields.Integer(allow_none=True, metadata={"description": "null: it scores nobody yet"})
    created_at = fields.AwareDateTime()
    updated_at = fields.AwareDateTime()


class DraftSchema(ModelSchema):
    draft = fields.String(metadata={"description": "The text that publishing would publish"})


class ModelsSchema(Schema):
    items = fields.List(fields.Nested(ModelSchema))


class ProblemSchema(Schema):
    field = fields.String(attribute="path", metadata={"description": "Path in the document, such as rules[2].points"})
    message = fields.String()


class ProblemsSchema(Schema):
    problems = fields.List(fields.Nested(ProblemSchema), metadata={"description": "Empty: it is a model"})


class PublishedSchema(Schema):
    version = fields.Integer(metadata={"description": "An unchanged draft keeps the version it has"})


class VersionSchema(Schema):
    number = fields.Integer()
    hash = fields.String(metadata={"description": "SHA-256 of what the document means, whatever its spelling"})
    published_at = fields.AwareDateTime()
    published_by = fields.String()


class VersionTextSchema(VersionSchema):
    source = fields.String(metadata={"description": "The document as it was published"})


class VersionsSchema(Schema):
    items = fields.List(fields.Nested(VersionSchema), metadata={"description": "Newest first"})


class StarterSchema(Schema):
    name = fields.String()
    title = fields.String()
    description = fields.String()


class StarterTextSchema(StarterSchema):
    text = fields.String(metadata={"description": "A document to begin with"})


class StartersSchema(Schema):
    items = fields.List(fields.Nested(StarterSchema))


@part.serves("GET", "/models", answer=ModelsSchema)
def list_models() -> dict[str, object]:
    """All models."""
    return {"items": queries.list_models(tenant_id())}


@part.serves("POST", "/models", answer=DraftSchema, body=DOCUMENT, status=201)
def create_model() -> object:
    """Make a model, not published yet."""
    return service.create_model(tenant_id(), model_text(request))


@part.serves("POST", "/models/validate", answer=ProblemsSchema, body=DOCUMENT)
def validate_model() -> dict[str, object]:
    """Everything that is wrong with a document; nothing is stored."""
    return {"problems": service.validate(model_text(request))}


@part.serves("GET", "/models/<name>", answer=DraftSchema)
def get_model(name: str) -> object:
    """One model with its draft."""
    return queries.get_model(tenant_id(), name)


@part.serves("PUT", "/models/<name>/draft", answer=DraftSchema, body=DOCUMENT)
def save_draft(name: str) -> object:
    """Replace the draft; what is published goes on scoring."""
    return service.save_draft(tenant_id(), name, model_text(request))


@part.serves("POST", "/models/<name>/publish", answer=PublishedSchema)
def publish_model(name: str) -> dict[str, int]:
    """Publish the draft: every lead is scored by it within seconds."""
    return {"version": service.publish(tenant_id(), name, by=f"API key {caller().key_id}")}


@part.serves("GET", "/models/<name>/versions", answer=VersionsSchema)
def list_versions(name: str) -> dict[str, object]:
    """What was published, newest first."""
    return {"items": queries.list_versions(tenant_id(), name)}


@part.serves("GET", "/models/<name>/versions/<id:number>", answer=VersionTextSchema)
def get_version(name: str, number: int) -> object:
    """One published version with its document."""
    return queries.get_version(tenant_id(), name, number)


@part.serves("GET", "/starters", answer=StartersSchema)
def list_starters() -> dict[str, object]:
    """Models to begin with."""
    return {"items": service.starters()}


@part.serves("GET", "/starters/<name>", answer=StarterTextSchema)
def get_starter(name: str) -> object:
    """The document of one of them."""
    for starter in service.starters():
        if starter.name == name:
            return starter
    raise NotFound("starter model")
