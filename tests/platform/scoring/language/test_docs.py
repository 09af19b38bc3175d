"""docs/model-language.md is what the definitions print, and everything on it that looks like a model is one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from assay.scoring.engine import compile_model
from assay.scoring.examples import run_examples
from assay.scoring.language import json_schema, load, parse
from assay.scoring.language.comparisons import WORDS
from assay.scoring.language.document import read
from assay.scoring.language.reference import page
from assay.scoring.language.rules import CountWords

PAGE = next(parent for parent in Path(__file__).parents if (parent / "docs").is_dir()) / "docs" / "model-language.md"
TEXT = PAGE.read_text("utf-8")
RULE: dict[str, Any] = {"id": "r", "when": {"trait": "x", "exists": True}, "points": 1}
HELD: dict[str, Any] = {
    "model": "m",
    "dimensions": {"fit": {}, "interest": {"groups": {"email": {}}}},
    "rules": [
        RULE,
        *({"id": f"of-{name}", "dimension": name, "on": "a.done", "share": 1} for name in ("fit", "interest")),
    ],
    "split": {"points": 100, "over": ["fit", "interest"]},
}
CONDITION = {"trait": "x", "exists": True}
OVERRIDES = [
    {"id": "area", "when": CONDITION, "set": 0, "reason": "r"},
    {"id": "student", "when": CONDITION, "disqualify": True, "reason": "r"},
]
STAGES = [{"name": "MQL", "from": 1}]
GRADES = {"fit": {"A": 1}, "interest": {"1": 1}}
EXPECTING = {"overrides": OVERRIDES, "stages": STAGES, "grades": GRADES}


def written(text: str) -> Any:
    return read("example:\n" + indent(text, "  "))["example"]


def as_rules(found: Any) -> dict[str, Any]:
    return HELD | {"rules": [*HELD["rules"], *found]}


def as_conditions(found: Any) -> dict[str, Any]:
    return HELD | {"rules": [*HELD["rules"], RULE | {"id": "asked", "when": {"all": found}}]}


def as_document(found: Any) -> dict[str, Any]:
    if isinstance(found, list):
        return as_rules(found)
    return found if "rules" in found else HELD | found


#: The chapter of a block or of a table tells what kind of a part an example is.
KINDS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "Parameters and formulas": lambda found: found if "rules" in found else HELD | {"parameters": found},
    "Conditions": lambda found: as_conditions(found if isinstance(found, list) else [found["when"]]),
    "Computed traits": as_conditions,
    "Counts of events": as_conditions,
    "Other models": as_conditions,
    "`split` and `share`: equal blocks": lambda found: found if "rules" in found else HELD | {"split": found},
    "Judgements": lambda found: HELD | {"judgements": found},
    "Overrides": lambda found: HELD | {"overrides": found},
}


def chapters() -> Iterator[tuple[str, str]]:
    for chapter in re.split(r"^##+ ", TEXT, flags=re.M)[1:]:
        title, body = chapter.split("\n", 1)
        yield title, body


def blocks() -> Iterator[Any]:
    opening = re.findall(r"```yaml\n(.*?)```", TEXT.split("\n## ", 1)[0], re.S)
    yield from (pytest.param("", block, id="the first example") for block in opening)
    for title, body in chapters():
        for place, block in enumerate(re.findall(r"```yaml\n(.*?)```", body, re.S)):
            yield pytest.param(title, block, id=f"{title} {place}")


def cells() -> Iterator[Any]:
    """Examples in the last column of tables."""
    for title, body in chapters():
        for table in re.findall(r"(?:^\|.*\n)+", body, re.M):
            rows = [line.strip("|\n ").split(" | ") for line in table.splitlines()]
            if rows[0][-1] == "example":
                for row in rows[2:]:
                    yield pytest.param(title, row[0], row[-1].strip("`"), id=f"{title} {row[0]}")


def test_it_is_what_the_definitions_print() -> None:
    assert page() == TEXT, "print it anew: python -m assay.scoring.language.reference > docs/model-language.md"


@pytest.mark.parametrize(("title", "block"), list(blocks()))
def test_every_block_is_of_a_model(title: str, block: str) -> None:
    found = written(block)
    if isinstance(found, list) and "expect" in found[0]:
        load(HELD | EXPECTING | {"examples": found})
        return
    document = KINDS.get(title, as_document)(found)
    load({"model": "m", "dimensions": HELD["dimensions"]} | document)


@pytest.mark.parametrize(("title", "word", "example"), list(cells()))
def test_every_example_in_a_table_is_of_a_model(title: str, word: str, example: str) -> None:
    found = written(example)
    name = word.split("`")[1]
    assert re.search(rf"\b{name}\b", example)
    if title == "Dimensions, groups, caps":
        inner = {"interest": {"groups": found}} if not {"fit", "interest"} & set(found) else found
        document = {"model": "m", "dimensions": inner, "rules": [RULE]}
    elif title == "Scale, stages, grades":
        document = HELD | ({"stages": [found]} if "name" in found else {"scale": found})
    elif title == "Examples":
        case = {"given": [found]} if {"on", "traits"} & set(found) else {}
        expect = {"expect": {"total": 1} if case else found}
        document = HELD | EXPECTING | {"examples": [{"name": "e"} | case | expect]}
    elif title == "The document":
        document = HELD | found
        if "rules" in found:
            document = {"model": "m", **found}
    else:
        document = KINDS[title](found)
    load(document)


def words() -> list[str]:
    def of(schema: Any) -> Iterator[str]:
        if isinstance(schema, dict):
            if isinstance(schema.get("properties"), dict) and "additionalProperties" in schema:
                yield from schema["properties"]
            for inner in schema.values():
                yield from of(inner)
        elif isinstance(schema, list):
            for inner in schema:
                yield from of(inner)

    return sorted({*of(json_schema()), *CountWords.plain})


@pytest.mark.parametrize("word", words())
def test_every_word_is_explained(word: str) -> None:
    assert re.search(rf"(`|\W){re.escape(word)}\b", TEXT), f"{word} is not on the page"


@pytest.mark.parametrize("word", [*WORDS, *CountWords.plain, *CountWords.mapped])
def test_every_word_has_an_example(word: str) -> None:
    assert any(re.search(rf"\b{word}\b", block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.S))


def test_links_lead_to_chapters() -> None:
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title, _ in chapters()}
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= anchors


def test_the_first_example_comes_out() -> None:
    model = parse(re.findall(r"```yaml\n(.*?)```", TEXT, re.S)[0])
    (outcome,) = run_examples(compile_model(model))
    assert outcome.failures == ()
