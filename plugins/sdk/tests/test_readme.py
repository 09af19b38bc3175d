"""What the README promises to those who write plugins."""

import inspect
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import assay_sdk
import assay_sdk.testing
from assay_sdk import hookspecs
from assay_sdk.testing.examination import DRILLS

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


@pytest.mark.parametrize("name", [name for name in assay_sdk.__all__ if inspect.isclass(getattr(assay_sdk, name))])
def test_class_and_methods_say_what_they_are_for(name: str) -> None:
    kind = getattr(assay_sdk, name)
    # A dataclass without a sentence is given its own signature for one.
    assert kind.__doc__, name
    assert not kind.__doc__.startswith(f"{name}(")
    for method, member in vars(kind).items():
        function = member.fget if isinstance(member, property) else member
        if method.startswith("_") or not inspect.isfunction(function):
            continue
        # LocalLimiter does what Limiter says.
        told = inspect.getdoc(getattr(kind, method)) or inspect.getdoc(getattr(assay_sdk.Limiter, method, None))
        assert told, f"{name}.{method}"


@pytest.mark.parametrize("name", [name for name in assay_sdk.testing.__all__ if name[0].isupper()])
def test_testing_says_what_it_is_for(name: str) -> None:
    assert inspect.getdoc(getattr(assay_sdk.testing, name))


@pytest.mark.parametrize("drill", [drill.__name__ for drill in DRILLS])
def test_drill_says_what_it_looks_for(drill: str) -> None:
    held = next(each for each in DRILLS if each.__name__ == drill)
    assert (held.__doc__ or "").strip().endswith(".")


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
