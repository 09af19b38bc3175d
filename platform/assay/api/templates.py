"""Models to begin with: published frameworks, with numbers to fill in."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay.api.door import Part
from assay.scoring import starting

part = Part(
    "Templates",
    "Published frameworks as models to begin with. A template has one model or several, and parameters: numbers and "
    "durations that may be chosen. Nothing is stored here; what is rendered is sent to `POST /models`.",
)

LANGUAGE = fields.String(
    load_default=starting.ENGLISH,
    validate=validate.OneOf(list(starting.LANGUAGES), error="Accepted: {choices}."),
    metadata={"description": f"Of titles and descriptions: {', '.join(starting.LANGUAGES)}"},
)


class LanguageQuery(Schema):
    language = LANGUAGE


class ParameterSchema(Schema):
    name = fields.String()
    title = fields.String()
    value = fields.Raw(metadata={"description": "Without another: a number, or a duration such as 60d"})
    min = fields.Raw(allow_none=True)
    max = fields.Raw(allow_none=True)


class TemplateModelSchema(Schema):
    name = fields.String()
    title = fields.String()
    description = fields.String()


class TemplateSchema(Schema):
    name = fields.String()
    title = fields.String()
    about = fields.String(metadata={"description": "When to use it"})
    models = fields.List(fields.Nested(TemplateModelSchema))
    parameters = fields.List(fields.Nested(ParameterSchema))


class TemplatesSchema(Schema):
    items = fields.List(fields.Nested(TemplateSchema))


class RenderSchema(Schema):
    language = LANGUAGE
    parameters = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        load_default=dict,
        metadata={"description": "By name; those left away keep their values"},
    )
    models = fields.List(
        fields.String(), metadata={"description": "Names of the template's models; default: all of them"}
    )


class RenderedSchema(Schema):
    name = fields.String()
    title = fields.String()
    text = fields.String(metadata={"description": "The model's document, comments included"})
    left_out = fields.List(
        fields.String(), metadata={"description": "Names of the examples that do not hold with these parameters"}
    )


class RenderedListSchema(Schema):
    items = fields.List(fields.Nested(RenderedSchema))


@part.serves("GET", "/templates", needs="models:read", answer=TemplatesSchema, query=LanguageQuery)
def list_templates(query: dict[str, str]) -> dict[str, object]:
    """All templates, each with when to use it."""
    return {"items": starting.templates(query["language"])}


@part.serves("GET", "/templates/<name>", needs="models:read", answer=TemplateSchema, query=LanguageQuery)
def get_template(query: dict[str, str], name: str) -> object:
    """One template."""
    return starting.template(name, query["language"])


@part.serves("POST", "/templates/<name>/render", needs="models:read", answer=RenderedListSchema)
@part.arguments(RenderSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def render_template(body: dict[str, Any], name: str) -> dict[str, object]:
    """The documents of a template, filled in with parameters."""
    rendered = starting.render(name, body["language"], body["parameters"], models=body.get("models"))
    return {"items": rendered}
