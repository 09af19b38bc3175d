"""Each action that the code records has a sentence for a person to read."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import assay
import assay_tenants
from assay.audit_words import SENTENCES, changes, sentence
from assay_tenants.audit.queries import Entry

FOLDERS = [Path(module.__path__[0]) for module in (assay, assay_tenants)]
#: Verbs that record, with the place of the action among what they are told.
RECORDING = {"record": 2, "tell": 2, "note": 2, "end_family": 2}


def literals(node: ast.expr) -> Iterator[str]:
    """The actions that an expression may come to."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and "." in each.value:
            yield each.value


def recorded() -> set[str]:
    found = set()
    for folder in FOLDERS:
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    place = RECORDING.get(name)
                    if place is not None and len(node.args) > place and not isinstance(node.args[place], ast.JoinedStr):
                        found |= set(literals(node.args[place]))
    return found


def test_each_action_has_a_sentence() -> None:
    found = recorded()
    assert len(found) > 50
    assert sorted(found - SENTENCES.keys()) == []


def entry(action: str, subject: str = "", **told: Any) -> Entry:
    empty: dict[str, Any] = {"before": None, "after": None} | told
    return Entry(1, datetime.now(UTC), "person", "7", "Ada", "", "web", "", action, subject, hash=b"", **empty)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        pytest.param(
            entry("model.published", "smb", after={"version": 3}),
            "Ada published version 3 of the model smb",
            id="words",
        ),
        pytest.param(entry("model.published", "smb"), "Ada · model: published smb", id="a value is missing"),
        pytest.param(entry("moon.landed", "Apollo"), "Ada · moon: landed Apollo", id="no words for it"),
        pytest.param(entry("signals.changed"), "Ada changed which signs of machines are looked for", id="no subject"),
    ],
)
def test_says_who_did_what(told: Entry, said: str) -> None:
    assert sentence(told) == said


def test_tells_only_what_changed() -> None:
    told = entry(
        "x.y",
        before={"same": 1, "days": 30, "gone": True},
        after={"same": 1, "days": None, "new_ones": ["a", {"b": 1}]},
    )
    assert [tuple(change) for change in changes(told)] == [
        ("days", "30", "–"),
        ("gone", "yes", "–"),
        ("new ones", "–", 'a, {"b": 1}'),
    ]
