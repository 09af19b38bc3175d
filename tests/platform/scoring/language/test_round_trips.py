"""What is written comes back: for random models that use every word."""

import json
from types import ModuleType
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.scoring.language import content_hash, dump, load, parse

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
