"""What docs/model-language.md promises in words."""

import re
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from assay.scoring.language import load, parse
from assay.scoring.language.conditions import WORDS
from assay.scoring.language.document import read
from assay.scoring.language.schemas import (
    CountWords,
    DimensionWords,
    FadesWords,
    GroupWords,
    IdleWords,
    ModelWords,
    RuleWords,
)
from assay.scoring.language.words import LATER_IN_FADES, LATER_IN_MODEL, LATER_IN_RULE

PAGE = next(parent for parent in Path(__file__).parents if (parent / "docs").is_dir()) / "docs" / "model-language.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)
EXAMPLES = [read("example:\n" + indent(block, "  "))["example"] for block in BLOCKS]


def words() -> list[str]:
    schemas = (ModelWords, RuleWords, IdleWords, FadesWords, DimensionWords, GroupWords)
    of_schemas = {field.data_key or name for schema in schemas for name, field in schema().fields.items()}
    later = {*LATER_IN_MODEL, *LATER_IN_RULE, *LATER_IN_FADES}
    return sorted({*of_schemas, *WORDS, *CountWords.plain, *CountWords.mapped, *later})


@pytest.mark.parametrize("word", words())
def test_every_word_is_explained(word: str) -> None:
    assert re.search(rf"\b{word}\b", TEXT), f"{word} is not on the page"


@pytest.mark.parametrize("word", [*WORDS, *CountWords.plain, *CountWords.mapped])
def test_every_word_has_an_example(word: str) -> None:
    assert any(re.search(rf"\b{word}\b", str(example)) for example in EXAMPLES)


def model_of(example: Any) -> dict[str, Any]:
    """An example as part of the smallest model that can hold it."""
    rule = {"id": "r", "when": {"trait": "x", "exists": True}, "points": 1}
    if isinstance(example, dict):
        if "model" in example:
            return example
        if "when" in example:
            return {"model": "m", "rules": [rule | example]}
        return {"model": "m", "dimensions": {"fit": {}, "interest": {}}, "rules": [rule]} | example
    if "id" in example[0]:
        return {"model": "m", "rules": example}
    return {"model": "m", "rules": [rule | {"when": {"all": example}}]}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example)[:40])
def test_every_example_is_a_model(example: Any) -> None:
    load(model_of(example))


def test_the_first_example_as_it_stands() -> None:
    assert parse(BLOCKS[0]).name == "smb-owner"
