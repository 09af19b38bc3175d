import re
from pathlib import Path

import pytest

from assay.api.reference import chapters


@pytest.fixture
def document(api_app):
    return api_app.test_client().get("/api/v1/openapi.json").json


DOCS = Path(__file__).parents[3] / "docs"
ADDRESS = re.compile(r"`(GET|POST|PUT|DELETE)\s+/api/v1(/[^`?\s]*)(?:\?([^`]*))?`")


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_what_the_pages_name_is_there(document, page) -> None:
    described = {re.sub(r"{[^}]*}", "<>", path): found for path, found in document["paths"].items()}
    for method, path, query in ADDRESS.findall(page.read_text("utf-8")):
        operation = described[f"/api/v1{re.sub('<[^>]*>|{[^}]*}', '<>', path)}"][method.lower()]
        known = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
        assert {words.partition("=")[0] for words in query.split("&") if words} <= known


class TestOpenApi:
    def test_every_route_is_described(self, api_app, document) -> None:
        routes = {
            (re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule), method.lower())
            for rule in api_app.url_map.iter_rules()
            for method in rule.methods - {"HEAD", "OPTIONS"}
            if rule.rule.startswith("/api/v1/") and not rule.endpoint.startswith("api.")
        }
        described = {(path, method) for path, operations in document["paths"].items() for method in operations}
        assert routes == {(path, method) for path, method in described if method != "parameters"}

    def test_is_version_3_1_and_asks_for_a_key(self, document) -> None:
        assert document["openapi"].startswith("3.1")
        assert document["security"] == [{"api_key": []}, {"access_token": []}]
        assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"

    def test_errors_are_problems(self, document) -> None:
        for name, response in document["components"]["responses"].items():
            assert list(response["content"]) == ["application/problem+json"], name

    def test_every_reference_leads_somewhere(self, document) -> None:
        for reference in re.findall(r"'\$ref': '#/([^']+)'", str(document)):
            node = document
            for step in reference.split("/"):
                node = node[step]

    def test_no_two_schemas_share_a_name(self, document) -> None:
        # The second one would be described under the name of the first with a number.
        assert [name for name in document["components"]["schemas"] if name[-1].isdigit()] == []

    def test_every_operation_has_a_summary(self, document) -> None:
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if method != "parameters":
                    assert operation["summary"].endswith("."), (method, path)


class TestDocsPage:
    def test_shows_every_operation(self, api_app, document) -> None:
        page = api_app.test_client().get("/api/v1/docs")
        for chapter in chapters(document):
            for operation in chapter.operations:
                assert f"<code>{operation.path}</code>" in page.text
        assert "Before the model" in page.text

    def test_loads_nothing_from_elsewhere(self, api_app) -> None:
        page = api_app.test_client().get("/api/v1/docs")
        assert "http" not in re.sub(r"application/[a-z+-]+", "", page.text)
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; ")
        (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
        assert api_app.test_client().get(style).mimetype == "text/css"
