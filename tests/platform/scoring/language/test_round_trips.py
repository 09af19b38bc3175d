"""What is written comes back: for random models that use every word."""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.scoring.language import content_hash, dump, json_schema, load, parse

several = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@several
@given(data=st.data())
def test_dump_and_load_keep_a_model(strategies: ModuleType, data: st.DataObject) -> None:
    document: dict[str, Any] = data.draw(strategies.documents(others=("base", "other")))
    model = load(document)
    again = load(json.loads(json.dumps(dump(model))))
    assert dump(again) == dump(model)
    assert content_hash(again) == content_hash(model)


@several
@given(data=st.data())
def test_text_of_either_kind_gives_one_model(strategies: ModuleType, data: st.DataObject) -> None:
    document: dict[str, Any] = data.draw(strategies.documents(others=("base",)))
    model = load(document)
    assert parse(json.dumps(document)) == model
    assert parse(yaml.safe_dump(document, allow_unicode=True, sort_keys=False)) == model


def test_the_strategies_use_every_word(strategies: ModuleType) -> None:
    seen: set[str] = set()

    def keys(node: Any) -> None:
        if isinstance(node, dict):
            seen.update(node)
        for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            keys(part)

    @settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(strategies.documents(others=("base",)), st.lists(strategies.comparisons("trait"), min_size=9, max_size=9))
    def look(document: dict[str, Any], comparisons: list[dict[str, Any]]) -> None:
        keys([document, comparisons])

    look()
    missing = set(words_of(json_schema())) - seen
    # The marks of grades between, and the words of plugins, which have tests of their own.
    assert missing == {"C", "2", "3", "kind", "with"}


def words_of(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and "additionalProperties" in schema:
            yield from schema["properties"]
        for inner in schema.values():
            yield from words_of(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from words_of(inner)
