"""Models: made, edited, checked, published."""

import re
from typing import Any

from flask import Response, jsonify, request
from marshmallow import INCLUDE, Schema, fields, validate
from werkzeug.http import quote_etag

from assay.api.access import by, tenant_id
from assay.api.bodies import model_text
from assay.api.door import Part
from assay.scoring import language, model_queries, queries, service
from assay.scoring.errors import NotPublished
from assay.scoring.models import ModelRow, ModelVersion
from assay.scoring.versions import LONGEST_NOTE
from assay_tenants.errors import BadInput

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
    persona = fields.String(allow_none=True)
    product_line = fields.String(allow_none=True)
    business_unit = fields.String(allow_none=True)
    state = fields.Function(lambda row: _state(row), metadata={"description": "draft, published or archived"})
    published_version = fields.Integer(allow_none=True, metadata={"description": "null: it scores nobody"})
    precedence = fields.Integer(
        metadata={"description": "Of the published version: of the models that apply to a lead the highest one leads"}
    )
    revision = fields.Integer(
        attribute="draft_revision", metadata={"description": "Of the draft: it grows with each change that is saved"}
    )
    created_at = fields.AwareDateTime()
    updated_at = fields.AwareDateTime()
    archived_at = fields.AwareDateTime(allow_none=True)


class DraftSchema(ModelSchema):
    draft = fields.String(metadata={"description": "The text that publishing would publish"})
    draft_by = fields.String(allow_none=True, metadata={"description": "Who saved it last"})


class ModelsSchema(Schema):
    items = fields.List(fields.Nested(ModelSchema))


class ProblemSchema(Schema):
    field = fields.String(attribute="path", metadata={"description": "Path in the document, such as rules[2].points"})
    message = fields.String()


class ProblemsSchema(Schema):
    problems = fields.List(fields.Nested(ProblemSchema), metadata={"description": "Empty: it is a model"})


class LanguageSchema(Schema):
    class Meta:
        unknown = INCLUDE


class PublishedSchema(Schema):
    version = fields.Integer(metadata={"description": "A draft whose contents were published before is that version"})


class LifecycleSchema(Schema):
    name = fields.String()
    state = fields.Function(lambda row: _state(row), metadata={"description": "draft, published or archived"})
    published_version = fields.Integer(allow_none=True)


class VersionSchema(Schema):
    number = fields.Integer()
    state = fields.String(metadata={"description": "published: it scores; archived: another one does, or none"})
    hash = fields.String(
        metadata={"description": "SHA-256 of what the document means, and of the versions of the models it asks"}
    )
    pins = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata={"description": "Those models, with their hashes"}
    )
    published_at = fields.AwareDateTime(metadata={"description": "For the first time"})
    published_by = fields.String()


class VersionTextSchema(VersionSchema):
    source = fields.String(metadata={"description": "The document as it was published"})


class VersionsSchema(Schema):
    items = fields.List(fields.Nested(VersionSchema), metadata={"description": "Newest first"})


class PublicationSchema(Schema):
    at = fields.AwareDateTime()
    by = fields.String()
    action = fields.String(
        metadata={"description": "publish, rollback, archive, restore, or follow: a model it asks was changed"}
    )
    from_version = fields.Integer(allow_none=True)
    to_version = fields.Integer(allow_none=True)
    note = fields.String(allow_none=True)


class PublicationsSchema(Schema):
    items = fields.List(fields.Nested(PublicationSchema), metadata={"description": "Newest first"})


class ChangeSchema(Schema):
    kind = fields.String(metadata={"description": "added, removed, changed or moved"})
    subject = fields.String(metadata={"description": "What it is about, such as `rule pricing`"})
    sentence = fields.String()


class DifferenceSchema(Schema):
    old = fields.String(data_key="from", metadata={"description": "A version's number, or `draft`"})
    new = fields.String(data_key="to", metadata={"description": "A version's number, or `draft`"})
    changes = fields.List(fields.Nested(ChangeSchema), metadata={"description": "Empty: both mean the same"})


class NoteQuery(Schema):
    note = fields.String(
        validate=validate.Length(1, LONGEST_NOTE), metadata={"description": "Why, for whoever reads the publications"}
    )


def _side(metadata: dict[str, str], **options: Any) -> fields.String:
    one_of = validate.Regexp(r"draft\Z|[0-9]{1,9}\Z", error="This is a version's number, or draft.")
    return fields.String(validate=one_of, metadata=metadata, **options)


class DifferenceQuery(Schema):
    old = _side({"description": "A version's number or `draft`; default: the published version"}, data_key="from")
    new = _side({"description": "A version's number or `draft`"}, data_key="to", load_default="draft")


@part.serves("GET", "/models", needs="models:read", answer=ModelsSchema)
def list_models() -> dict[str, object]:
    """All models."""
    return {"items": queries.list_models(tenant_id())}


@part.serves("POST", "/models", needs="models:write", answer=DraftSchema, body=DOCUMENT, status=201)
def create_model() -> object:
    """Make a model, not published yet."""
    return service.create_model(tenant_id(), model_text(request), by=by())


@part.serves("POST", "/models/validate", needs="models:read", answer=ProblemsSchema, body=DOCUMENT)
def validate_model() -> dict[str, object]:
    """Everything that is wrong with a document, examples that fail too; nothing is stored."""
    return {"problems": service.validate(model_text(request), tenant_id=tenant_id())}


@part.serves("GET", "/models/schema", needs="models:read", answer=LanguageSchema)
def get_schema() -> Response:
    """The JSON Schema of a model's document, for editors and checks of your own."""
    return jsonify(language.json_schema())


@part.serves("GET", "/models/<name>", needs="models:read", answer=DraftSchema)
def get_model(name: str) -> object:
    """One model with its draft; `ETag` is the draft's revision."""
    return _tagged(queries.get_model(tenant_id(), name))


@part.serves("PUT", "/models/<name>/draft", needs="models:write", answer=DraftSchema, body=DOCUMENT, refuses=(409,))
def save_draft(name: str) -> object:
    """Replace the draft; what is published goes on scoring.

    With `If-Match`, a draft that was saved since is left alone: 409, with what differs in `changes` and the stored
    text in `stored`.
    """
    text = model_text(request)
    return _tagged(service.save_draft(tenant_id(), name, text, revision=_revision(), by=by()))


@part.serves(
    "GET",
    "/models/<name>/diff",
    needs="models:read",
    answer=DifferenceSchema,
    query=DifferenceQuery,
    refuses=(409,),
)
def compare(query: dict[str, str], name: str) -> dict[str, object]:
    """What differs between two versions, or a version and the draft, in sentences."""
    old, new = query.get("old"), query["new"]
    if old is None:
        published = queries.get_model(tenant_id(), name).published_version
        if published is None:
            raise NotPublished(name)
        old = str(published)
    sides = [None if side == "draft" else int(side) for side in (old, new)]
    return {"old": old, "new": new, "changes": service.difference(tenant_id(), name, *sides)}


@part.serves("POST", "/models/<name>/publish", needs="models:publish", answer=PublishedSchema, query=NoteQuery)
def publish_model(query: dict[str, str], name: str) -> dict[str, int]:
    """Publish the draft: every lead is scored by it within seconds. Refused while one of its examples fails.

    With `If-Match`, only the draft of that revision.
    """
    return {"version": service.publish(tenant_id(), name, by=by(), revision=_revision(), **query)}


@part.serves("POST", "/models/<name>/archive", needs="models:publish", answer=LifecycleSchema, query=NoteQuery)
def archive_model(query: dict[str, str], name: str) -> object:
    """From now on the model scores nobody. Refused while published models ask for its score."""
    service.archive(tenant_id(), name, by=by(), **query)
    return queries.get_model(tenant_id(), name)


@part.serves("POST", "/models/<name>/restore", needs="models:publish", answer=LifecycleSchema, query=NoteQuery)
def restore_model(query: dict[str, str], name: str) -> object:
    """Take an archived model back: the version that scored before scores again."""
    service.restore(tenant_id(), name, by=by(), **query)
    return queries.get_model(tenant_id(), name)


@part.serves("GET", "/models/<name>/publications", needs="models:read", answer=PublicationsSchema)
def list_publications(name: str) -> dict[str, object]:
    """Who let which version score, and when, newest first."""
    return {"items": model_queries.list_publications(tenant_id(), name)}


@part.serves("GET", "/models/<name>/versions", needs="models:read", answer=VersionsSchema)
def list_versions(name: str) -> dict[str, object]:
    """What was published, newest first."""
    live = queries.get_model(tenant_id(), name).published_version
    return {"items": [_version(version, live) for version in queries.list_versions(tenant_id(), name)]}


@part.serves("GET", "/models/<name>/versions/<id:number>", needs="models:read", answer=VersionTextSchema)
def get_version(name: str, number: int) -> object:
    """One version with its document."""
    live = queries.get_model(tenant_id(), name).published_version
    return _version(queries.get_version(tenant_id(), name, number), live)


@part.serves(
    "POST",
    "/models/<name>/versions/<id:number>/rollback",
    needs="models:publish",
    answer=PublishedSchema,
    query=NoteQuery,
)
def roll_back(query: dict[str, str], name: str, number: int) -> dict[str, int]:
    """Let this version score again, in one step; the draft stays as it is."""
    service.rollback(tenant_id(), name, number, by=by(), **query)
    return {"version": number}


def _state(row: ModelRow) -> str:
    if row.archived_at is not None:
        return "archived"
    return "draft" if row.published_version is None else "published"


def _version(version: ModelVersion, live: int | None) -> dict[str, object]:
    columns = ("number", "hash", "pins", "published_at", "published_by", "source")
    state = "published" if version.number == live else "archived"
    return {"state": state, **{column: getattr(version, column) for column in columns}}


def _tagged(row: ModelRow) -> tuple[ModelRow, int, dict[str, str]]:
    return row, 200, {"ETag": quote_etag(str(row.draft_revision))}


def _revision() -> int | None:
    """The one that `If-Match` names."""
    sent = request.if_match
    if not sent or sent.star_tag:
        return None
    tags = list(sent)
    # A tag that says nothing comes as None.
    if len(tags) != 1 or not re.fullmatch("[0-9]{1,9}", tags[0] or ""):
        raise BadInput('If-Match names one revision, as ETag gave it: "3".', field="If-Match")
    return int(tags[0])
