"""What tests of several plugins share: calls and answers, held against a vendor's own description of its API."""

import json
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import yaml
from werkzeug.datastructures import Headers, ImmutableMultiDict

from assay_sdk import Link

SPECS = Path(__file__).parents[2] / "shared" / "vendors" / "specs"
_PLACE = re.compile(r"\[\d+\]")

Exchange = tuple[httpx.Request, httpx.Response]


class Description:
    """A vendor's description of its API. It is taken by its word: fields that it does not name are faults, too.

    What is ``beyond`` it is none: fields, values, and answers (``400 to PUT /contacts``) that there are nevertheless.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        openapi_core = pytest.importorskip("openapi_core")
        self._error = openapi_core.exceptions.OpenAPIError
        # Calendly's own fails strict validation of documents.
        self._api = openapi_core.OpenAPI.from_dict(document, config=openapi_core.Config(spec_validator_cls=None))
        #: Where the API lives; stand-ins live elsewhere.
        self._host = document["servers"][0]["url"]

    def faults(self, exchanges: Sequence[Exchange], beyond: Container[object] = ()) -> list[str]:
        """What is wrong with requests and answers; of those that are alike, with the first."""
        alike = {
            (_kind_of(request), answer.status_code, _shape(_read(answer.content))): (request, answer)
            for request, answer in reversed(exchanges)
        }
        found: dict[str, None] = {}
        for request, answer in alike.values():
            found |= dict.fromkeys(self.of_request(request, beyond) + self.of_answer(request, answer, beyond))
        return list(found)

    def of_request(self, request: httpx.Request, beyond: Container[object] = ()) -> list[str]:
        return self._faults(
            f"{request.method} {request.url.path}", beyond, lambda: self._api.validate_request(self._asked(request))
        )

    def of_answer(self, request: httpx.Request, answer: httpx.Response, beyond: Container[object] = ()) -> list[str]:
        if f"{answer.status_code} to {request.method} {'/'.join(request.url.path.split('/')[:2])}" in beyond:
            return []
        told = SimpleNamespace(
            status_code=answer.status_code,
            data=answer.content,
            content_type=answer.headers.get("content-type", "").partition(";")[0],
            headers=Headers(answer.headers.items()),
        )
        call = f"{answer.status_code} to {request.method} {request.url.path}"
        return self._faults(call, beyond, lambda: self._api.validate_response(self._asked(request), told))

    def _faults(self, call: str, beyond: Container[object], check: Callable[[], object]) -> list[str]:
        try:
            check()
        except self._error as error:
            causes = getattr(error.__cause__, "schema_errors", None)
            if causes is None:
                return [f"{call}: {error!r} {error.__cause__!r}"]
            told = [cause for cause in causes if not _is_beyond(cause, beyond)]
            return [f"{call}: {_PLACE.sub('[]', cause.json_path)}: {cause.message}" for cause in told]
        return []

    def _asked(self, request: httpx.Request) -> SimpleNamespace:
        from openapi_core.datatypes import RequestParameters

        path, _, query = request.url.raw_path.decode().partition("?")
        parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(query)), header=Headers(request.headers.items())
        )
        return SimpleNamespace(
            host_url=self._host,
            path=path,
            full_url_pattern=self._host + path,
            method=request.method.lower(),
            body=request.content or None,
            content_type=request.headers.get("content-type", "").partition(";")[0],
            parameters=parameters,
        )


def _is_beyond(cause: Any, known: Container[object]) -> bool:
    if cause.validator == "additionalProperties":
        return all(name in known for name in cause.instance.keys() - cause.schema["properties"].keys())
    if cause.instance is None:
        return bool(cause.absolute_path) and cause.absolute_path[-1] in known
    return cause.validator == "enum" and cause.instance in known


def _closed(node: Any, *, is_part: bool = False) -> None:
    """Lets objects have no fields but those that are described, where one place describes all of them."""
    if isinstance(node, dict):
        if isinstance(node.get("enum"), str):
            # Calendly forgot the brackets.
            node["enum"] = [node["enum"]]
        has_fields = isinstance(node.get("properties"), dict)
        parts = {"allOf", *(("anyOf", "oneOf") if has_fields else ())}
        if has_fields and not is_part and not parts & node.keys():
            node.setdefault("additionalProperties", False)
        for name, inner in node.items():
            if name not in ("example", "examples", "x-examples"):
                _closed(inner, is_part=name in parts)
    elif isinstance(node, list):
        for inner in node:
            _closed(inner, is_part=is_part)


def _kind_of(request: httpx.Request) -> tuple[object, ...]:
    """The same for calls that differ in what they name."""
    path = request.url.path.split("/")
    return request.method, *path[:3], len(path), *sorted(request.url.params), _shape(_read(request.content))


def _read(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.partition(b"=")[0].decode()


def _shape(value: object) -> str:
    """The same for values that differ in their numbers and texts alone."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_shape(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(sorted({_shape(one) for one in value})) + "]"
    return type(value).__name__


@cache
def _described(name: str, overlay: str) -> Description:
    if not (SPECS / name).exists():
        pytest.skip("The vendors' descriptions lie beside the repository, and are not here.")
    document = yaml.load((SPECS / name).read_text(), Loader=yaml.CSafeLoader)
    if overlay:
        found = spec_from_file_location("apply_overlay", SPECS / "apply_overlay.py")
        overlaying = module_from_spec(found)
        found.loader.exec_module(overlaying)
        for patch in json.loads((SPECS / "overlays" / overlay).read_text())["patches"]:
            overlaying.apply(document, patch)
    _closed(document)
    # Dates in examples are texts on the wire.
    return Description(json.loads(json.dumps(document, default=str)))


@pytest.fixture(scope="session")
def described() -> Callable[..., Description]:
    """The description in a file, with our corrections to it; skips the test where there is none."""
    return lambda name, overlay="": _described(name, overlay)


@pytest.fixture
def exchanges(link: Link) -> Iterator[list[Exchange]]:
    """What goes out over the connection from here on, and what comes back."""
    found: list[Exchange] = []

    def keep(answer: httpx.Response) -> None:
        answer.read()
        found.append((answer.request, answer))

    link.http.client.event_hooks = {"response": [keep]}
    yield found
    link.http.close()
