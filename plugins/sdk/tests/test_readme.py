"""What the README promises to those who write plugins."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import assay_sdk
from assay_sdk import hookspecs

README = (Path(__file__).parents[1] / "README.md").read_text()


def hook_names() -> list[str]:
    return [name for name in dir(hookspecs) if hasattr(getattr(hookspecs, name), "assay_spec")]


def test_there_are_hooks() -> None:
    assert "register_sources" in hook_names()


@pytest.mark.parametrize("hook", hook_names())
def test_hook_is_explained(hook: str) -> None:
    assert f"### {hook}(" in README


@pytest.mark.parametrize("name", assay_sdk.__all__)
def test_name_is_mentioned(name: str) -> None:
    assert f"`{name}" in README
    assert hasattr(assay_sdk, name)


def test_example_runs() -> None:
    code = README.partition("```python\n")[2].partition("```")[0]
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    register_sources, registered = names["register_sources"], list[assay_sdk.Source]()
    assert callable(register_sources)
    register_sources(registered.append)
    [source] = registered
    guest = {"id": 7, "email": "Ada@quartz.example.test", "name": "Ada", "city": "Huế", "booking": "b-1"}
    body = json.dumps([guest | {"signed_up_at": "2026-03-01T12:00:00+00:00"}, {}]).encode()
    identify, event, misunderstood = source.normalise(assay_sdk.Message("guests", body, datetime.now(UTC)))
    assert isinstance(identify, assay_sdk.Identify)
    assert isinstance(event, assay_sdk.Event)
    assert isinstance(misunderstood, assay_sdk.Misunderstood)
