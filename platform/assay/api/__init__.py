"""The JSON door: /api/v1, OpenAPI 3.1, problem+json errors."""

from importlib.metadata import version
from typing import Any

import flask_smorest  # type: ignore[import-untyped] # it ships no types
from flask import Flask
from marshmallow import INCLUDE, Schema
from marshmallow.fields import Integer, List, Nested, String

from assay.api import (
    audit,
    billing_notices,
    clients,
    companies,
    connections,
    dead_letters,
    errors,
    events,
    explanations,
    fields,
    imports,
    judgements,
    leads,
    members,
    merges,
    models,
    pace,
    previews,
    privacy,
    reference,
    rescores,
    retention,
    templates,
    upserts,
    usage,
)
from assay.api.door import SCHEMES, Id, Points
from assay.settings import Settings

__all__ = ["register"]

DESCRIPTION = """\
Leads, their scores and the reasons for them; models; imports.

Every request carries an API key, `Authorization: Bearer assay_ak_…` (write keys only send events and are refused here),
or an access token that somebody granted to an app. Each operation says which scopes it needs.
Lists come in pages: pass `next_cursor` back as `cursor` until it is null. Points are decimal numbers of at most three
places, instants RFC 3339 in UTC. Errors are `application/problem+json`; `errors` names each field that was wrong.
"""


class FieldErrorSchema(Schema):
    field = String(required=True)
    message = String(required=True)


class ErrorSchema(Schema):
    class Meta:
        # Some errors tell more, such as where a lead went that was merged.
        unknown = INCLUDE

    type = String(required=True)
    title = String(required=True)
    status = Integer(required=True)
    detail = String(required=True, metadata={"description": "A sentence for a person"})
    code = String(required=True, metadata={"description": "For programs; it stays the same"})
    errors = List(Nested(FieldErrorSchema))


class Api(flask_smorest.Api):  # type: ignore[misc] # untyped
    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        """Each part handles its own: on the application they would answer browsers in JSON."""

    def _register_responses(self) -> None:
        super()._register_responses()
        for lazy in self.spec.components.responses_lazy.values():
            if "application/json" in lazy.get("content", {}):
                lazy["content"] = {errors.MEDIA_TYPE: lazy["content"]["application/json"]}


def register(app: Flask, _: Settings) -> None:
    app.json.sort_keys = False  # type: ignore[attr-defined] # of the default provider, which we keep
    app.config["ASSAY_API_TITLE"] = "Assay API"
    app.config["ASSAY_API_VERSION"] = version("assay")
    app.config["ASSAY_OPENAPI_VERSION"] = "3.1.0"
    options: dict[str, Any] = {"info": {"description": DESCRIPTION}, "servers": [{"url": "/"}]}
    app.url_map.converters["id"] = Id
    api = Api(app, config_prefix="ASSAY", spec_kwargs=options)
    api.register_field(Points, "number", None)
    for scheme, description in SCHEMES.items():
        api.spec.components.security_scheme(scheme, {"type": "http", "scheme": "bearer", "description": description})
    api.spec.options["security"] = [{scheme: []} for scheme in SCHEMES]
    for theme in (
        leads,
        upserts,
        events,
        companies,
        explanations,
        judgements,
        merges,
        models,
        previews,
        rescores,
        templates,
        imports,
        connections,
        dead_letters,
        retention,
        pace,
        fields,
        members,
        audit,
        usage,
        privacy,
        clients,
    ):
        api.register_blueprint(theme.part)
    app.register_blueprint(billing_notices.blueprint)
    app.register_blueprint(reference.blueprint(api.spec))
