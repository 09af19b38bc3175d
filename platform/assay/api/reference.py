"""The description of the API: for programs (openapi.json), for people (docs), and for those who got the path wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apispec import APISpec
from flask import Blueprint, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed, NotFound

from assay.api import errors

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
}


@dataclass(frozen=True)
class Field:
    """A line of a table: a parameter, or a value in an answer by its path."""

    name: str
    kind: str
    description: str
    required: bool = False


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    summary: str
    parameters: list[Field]
    bodies: list[str]
    answer: list[Field]


@dataclass(frozen=True)
class Chapter:
    name: str
    description: str
    operations: list[Operation]


def blueprint(spec: APISpec) -> Blueprint:
    """Public: it says what there is, and nothing of anybody's."""
    document = spec.to_dict()
    pages = Blueprint(
        "api",
        __name__,
        url_prefix="/api",
        template_folder="templates",
        static_folder="static",
        static_url_path="/v1/docs/static",
    )
    errors.handle(pages)

    @pages.get("/v1/openapi.json")
    def openapi() -> ResponseReturnValue:
        return jsonify(document)

    @pages.get("/v1/docs")
    def docs() -> ResponseReturnValue:
        page = render_template("api/reference.html", info=document["info"], chapters=chapters(document))
        return Response(page, headers=SECURITY)

    @pages.before_app_request
    def answer_for_no_route() -> Response | None:
        # In front of the application's own handlers, which answer browsers in HTML.
        astray = request.routing_exception
        if request.path.startswith("/api/") and isinstance(astray, NotFound | MethodNotAllowed):
            return errors.render(astray)
        return None

    return pages


def chapters(document: Mapping[str, Any]) -> list[Chapter]:
    """The document by subject, its references followed."""
    found = {tag["name"]: Chapter(tag["name"], tag["description"], []) for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method in METHODS:
            operation = methods.get(method.lower())
            if operation is not None:
                found[operation["tags"][0]].operations.append(_operation(document, method, path, methods, operation))
    return list(found.values())


def _operation(
    document: Mapping[str, Any], method: str, path: str, shared: Mapping[str, Any], operation: Mapping[str, Any]
) -> Operation:
    parameters = [
        Field(each["name"], _kind(each["schema"]), each.get("description", ""), each.get("required", False))
        for each in [*shared.get("parameters", []), *operation.get("parameters", [])]
    ]
    answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    schemas = [content["schema"] for answer in answers for content in answer.get("content", {}).values()]
    return Operation(
        method=method,
        path=path,
        summary=operation.get("summary", ""),
        parameters=parameters,
        bodies=list(operation.get("requestBody", {}).get("content", {})),
        answer=[field for schema in schemas for field in _fields(document, schema, "")],
    )


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[Field]:
    schema = _followed(document, schema)
    for name, value in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield Field(here, _kind(value), value.get("description", ""))
        inner = value.get("items", value)
        yield from _fields(document, inner, f"{here}[]" if "items" in value else here)


def _followed(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference: str | None = schema.get("$ref")
    if reference is None:
        return schema
    followed: Mapping[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return followed


def _kind(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type", "object")
    words = [kinds] if isinstance(kinds, str) else list(kinds)
    if "enum" in schema:
        words = [" | ".join(str(value) for value in schema["enum"])]
    return " or ".join([schema["format"], *words[1:]] if "format" in schema else words)
