"""What the README promises to those who write plugins."""

import inspect
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

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


@pytest.mark.parametrize("name", assay_sdk.testing.__all__)
def test_name_of_testing_is_mentioned(name: str) -> None:
    assert f"`{name}" in README


def run(beginning: str) -> dict[str, object]:
    """What the example that begins so leaves behind."""
    [code] = [each.partition("```")[0] for each in README.split("```python\n")[1:] if each.startswith(beginning)]
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_rule_kind_awards() -> None:
    names = run("from collections.abc import Callable, Iterable")
    register_rule_kinds, registered = names["register_rule_kinds"], list[assay_sdk.RuleKind]()
    assert callable(register_rule_kinds)
    register_rule_kinds(registered.append)
    [kind] = registered
    assert kind.parameters is not None
    parameters = kind.parameters().load({"months": [10]})
    november, october = (assay_sdk.Fact("page.viewed", datetime(2026, month, 2, tzinfo=UTC), {}) for month in (11, 10))
    awarded = list(kind.awards(assay_sdk.LeadFacts({}, [october, november]), parameters))
    assert awarded == [assay_sdk.Award(october.at, event=0)]
    assert kind.reason(parameters) == "Active in the months 10"


class Asked:
    """Stands in for ``Link.http``: one guest is there."""

    def __init__(self) -> None:
        self.put_there: dict[str, object] = {}

    def put(self, path: str, json: object) -> None:
        if path != "/guests/g1":
            raise assay_sdk.Refused("There is no such guest.", status=404)
        self.put_there[path] = json


def test_destination_gives_a_receipt_for_each() -> None:
    register_services, registered = (
        run("from collections.abc import Callable, Mapping, Sequence")["register_services"],
        list[assay_sdk.Service](),
    )
    assert callable(register_services)
    register_services(registered.append)
    [service] = registered
    http, at = Asked(), datetime.now(UTC)
    updates = [
        assay_sdk.ScoreUpdate(key, key, None, None, None, "Fit", 87, "A1", None, (), at, "https://x.example", "1")
        for key in ("g1", "g2")
    ]
    assert service.destination is not None
    receipts = service.destination.push(SimpleNamespace(http=http), updates)  # type: ignore[arg-type] # all that it uses
    assert receipts == [assay_sdk.Receipt("g1"), assay_sdk.Receipt("g2", error="There is no such guest.", gone=True)]
    assert http.put_there == {"/guests/g1": {"assay_score": 87}}


def test_example_runs() -> None:
    names = run("import json")
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
