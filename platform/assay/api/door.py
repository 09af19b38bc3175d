"""What all parts of the API have in common: the key, the errors, strict parameters, and where they are mounted."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Literal, NoReturn, TypeVar, cast

import flask_smorest  # type: ignore[import-untyped] # it ships no types
from flask import Request, Response, current_app
from marshmallow import RAISE, Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser
from werkzeug.routing import IntegerConverter

from assay.api import errors
from assay.api.access import recognise, requiring, tenant_id
from assay.api.repeats import PARAMETER, once
from assay_tenants.errors import BadInput
from assay_tenants.permissions import Permission

PREFIX = "/api/v1"
#: Ways to prove who asks, as they are described.
SCHEMES = {
    "api_key": "A key that was made under Settings, with the scopes that were chosen for it",
    "access_token": "A token of OAuth 2.1 that a person granted to an app: never more than the person's role may",
}

#: Statuses of errors that any operation may answer with.
_OF_ALL = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

View = TypeVar("View", bound=Callable[..., object])


class Id(IntegerConverter):
    """A whole number in a path, written ``<id:lead_id>``; what PostgreSQL can't hold is no path of ours."""

    regex = r"[0-9]{1,18}"


#: What people are told instead of a library's own words.
_SENTENCES = {
    "Missing data for required field.": "This is needed.",
    "Field may not be null.": "This may not be null; leave it away instead.",
    "Not a valid string.": "This must be text.",
    "Not a valid integer.": "This must be a whole number.",
    "Not a valid datetime.": "This must be an instant with its offset, such as 2026-03-01T09:30:00Z.",
    "Not a valid aware datetime.": "This must be an instant with its offset, such as 2026-03-01T09:30:00Z.",
    "Not a valid list.": "This must be a list.",
    "Not a valid mapping type.": "This must be an object.",
    "Invalid input type.": "The body must be an object.",
}


class StrictParser(FlaskParser):
    """Refuses parameters it does not know: a misspelt filter must not answer with everything."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 # webargs reads it once; nobody changes it
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": RAISE,
    }

    def handle_error(
        self,
        error: ValidationError,
        req: Request,
        schema: Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        raise errors.InvalidArguments(list(_problems(error.messages_dict, schema)))

    def load_json(self, req: Request, schema: Schema) -> Any:
        try:
            return super().load_json(req, schema)
        except RecursionError:
            raise BadInput("The body is nested too deeply.") from None
        except ValueError:
            raise BadInput("The body holds a number of more digits than can be read.") from None

    def _handle_invalid_json_error(
        self, error: json.JSONDecodeError | UnicodeDecodeError, req: Request, *_: Any, **__: Any
    ) -> NoReturn:
        if isinstance(error, UnicodeDecodeError):
            raise BadInput(f"The body is not UTF-8 text: byte {error.start + 1} can't be read.")
        raise BadInput(f"The body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.")


def _problems(messages: Mapping[str, Any], schema: Schema) -> list[dict[str, str]]:
    known = ", ".join(sorted(field.data_key or name for name, field in schema.fields.items()))
    plain = _SENTENCES | {"Unknown field.": f"There is no such parameter. Accepted: {known}."}
    return [
        {"field": path, "message": plain.get(sentence, sentence)}
        for by_field in messages.values()
        for path, sentence in _flat(by_field)
    ]


def _flat(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each sentence with its path: mappings nest by names, lists by places."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            step = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
            yield from _flat(inner, path if key == "_schema" else path + step)
        return
    for sentence in messages if isinstance(messages, list) else [messages]:
        yield path, str(sentence)


class Part(flask_smorest.Blueprint):  # type: ignore[misc] # untyped
    """One subject of the API, for callers with an API key."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, __name__, url_prefix=PREFIX, description=description)
        self._prepare_doc_cbks.append(_describe_key)
        self.before_request(recognise)
        self.before_request(_keep_pace)
        self.after_request(keep_private)
        errors.handle(self)

    def guards(self, *needs: Permission, refuses: Iterable[int] = ()) -> Callable[[View], View]:
        """The view, for callers that were given all of these permissions, and described so, with these errors."""

        def guard(view: View) -> View:
            described = self.doc(security=[{scheme: list(needs)} for scheme in SCHEMES])(requiring(needs, view))
            return cast(View, self._refusing(described, (*_OF_ALL, *refuses)))

        return guard

    def _refusing(self, view: View, refusals: Iterable[int]) -> View:
        """The view, described with these statuses of errors."""
        for refusal in refusals:
            view = self.alt_response(refusal, response=HTTPStatus(refusal).name)(view)
        return view

    def serves(
        self,
        method: str,
        rule: str,
        *,
        answer: type[Schema] | None,
        query: type[Schema] | None = None,
        body: Mapping[str, Any] | None = None,
        needs: Permission | tuple[Permission, ...],
        status: int = 200,
        also: Iterable[int] = (),
        refuses: Iterable[int] = (),
        repeats: Literal["body", "stream", "secret", "by itself"] = "body",
    ) -> Callable[[View], View]:
        """The view answers there, and is described: its parameters by ``query``, which come first to the view.

        ``needs`` are the permissions that a caller must have, all of them.

        ``body`` describes what the view reads from the request itself, ``also`` are other statuses of success, and
        ``refuses`` statuses of errors beside those that follow from all this. A POST that carries an idempotency key is
        done once; ``repeats`` tells what of its body is compared, that its answer holds a secret, or that the view sees
        to all that by itself.
        """

        def register(view: View) -> View:
            served = self.response(status, answer)(view)
            for other in also:
                served = self.alt_response(other, schema=answer, success=True)(served)
            if query is not None:
                served = self.arguments(query, location="query")(served)
            if body is not None:
                served = self.doc(requestBody=body)(served)
            if method == "POST" and repeats != "by itself":
                served = once(served, streamed=repeats == "stream", secret=repeats == "secret")
            errors_told = (*_expected(method, rule, has_body=body is not None), *refuses)
            # Around all else: an answer that is remembered is for nobody who may not ask.
            served = self.guards(*_several(needs), refuses=errors_told)(served)
            self.route(rule, methods=[method])(served)
            return view

        return register


def _keep_pace() -> None:
    current_app.extensions["tracking"].admission.admit_request(tenant_id())


def _expected(method: str, rule: str, *, has_body: bool) -> Iterator[int]:
    """Statuses of errors that follow from what is asked for: an id that nobody has, a body that nobody can read."""
    if "<" in rule:
        yield HTTPStatus.NOT_FOUND
    if method == "POST":
        yield HTTPStatus.CONFLICT
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if has_body:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    if has_body or method == "POST":
        yield HTTPStatus.UNPROCESSABLE_ENTITY


def _several(needs: Permission | tuple[Permission, ...]) -> tuple[Permission, ...]:
    return needs if isinstance(needs, tuple) else (needs,)


def _describe_key(doc: dict[str, Any], _: object, *, method: str, **__: object) -> dict[str, Any]:
    if method == "post":
        doc.setdefault("parameters", []).append(dict(PARAMETER))
    return doc


def keep_private(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


class Points(fields.Field[int]):
    """Thousandths of a point as a decimal number of at most three places."""

    def _serialize(self, value: int | None, attr: str | None, obj: Any, **kwargs: Any) -> int | float | None:
        if value is None:
            return None
        return value // 1000 if value % 1000 == 0 else value / 1000
