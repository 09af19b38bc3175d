"""The reference page of the model language: its chapters, with the words as their definitions tell them.

`python -m assay.scoring.language.reference` prints docs/model-language.md.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from string import Template
from typing import Any

from marshmallow import fields

from assay.scoring.language.checks import MOST_EXAMPLES, MOST_OVERRIDES, MOST_STAGES
from assay.scoring.language.comparisons import MOST_LISTED, MOST_PATTERN, WORDS
from assay.scoring.language.computed import COMPUTED
from assay.scoring.language.conditions import JOINTS, EventWords, ModelAnswers
from assay.scoring.language.document import MOST_BYTES, MOST_LEVELS, MOST_NODES
from assay.scoring.language.examples import MOST_FACTS, MOST_TIMES, ExampleWords, ExpectWords, GivenWords
from assay.scoring.language.expectations import MOST_EVENTS
from assay.scoring.language.fields import LONGEST_DAYS, MOST_TYPES, Spoken
from assay.scoring.language.formulas import MOST_FORMULA
from assay.scoring.language.limits import MOST_COMPARISONS, MOST_PATTERN_WORK, MOST_RULES
from assay.scoring.language.parameters import MOST_PARAMETERS, ParameterWords
from assay.scoring.language.quantities import MOST_POINTS, MOST_SUM
from assay.scoring.language.rules import CountWords, FadesWords, IdleWords, RuleWords
from assay.scoring.language.schemas import ModelWords
from assay.scoring.language.shapes import Named, Part, Parts, Words
from assay.scoring.language.standing import (
    DimensionWords,
    GroupWords,
    JudgementsWords,
    OverrideWords,
    ScaleWords,
    SplitWords,
    StageWords,
)
from assay.scoring.language.worth import MOST_AWARDS, MOST_OF_EACH, MOST_UNIT

_LIMITS = {
    "bytes": MOST_BYTES,
    "levels": MOST_LEVELS,
    "values": MOST_NODES,
    "rules": MOST_RULES,
    "conditions": MOST_COMPARISONS,
    "listed": MOST_LISTED,
    "types": MOST_TYPES,
    "pattern": MOST_PATTERN,
    "patterns": MOST_PATTERN_WORK,
    "stages": MOST_STAGES,
    "overrides": MOST_OVERRIDES,
    "examples": MOST_EXAMPLES,
    "facts": MOST_FACTS,
    "times": MOST_TIMES,
    "events": MOST_EVENTS,
    "parameters": MOST_PARAMETERS,
    "formula": MOST_FORMULA,
    "points": MOST_POINTS,
    "sum": MOST_SUM,
    "awards": MOST_AWARDS,
    "of_each": MOST_OF_EACH,
    "unit": MOST_UNIT * 1000,
    "days": LONGEST_DAYS,
}


def page() -> str:
    """The whole of docs/model-language.md."""
    parts = {
        "model_words": _table(ModelWords),
        "parameter_words": _table(ParameterWords),
        "rule_words": _table(RuleWords, shown=False) + _listing(_examples(RuleWords)),
        "count_words": _count_table(),
        "fades_words": _table(FadesWords, shown=False) + _listing(_examples(FadesWords)),
        "idle_words": _table(IdleWords, shown=False) + _listing(_examples(IdleWords)),
        "split_words": _table(SplitWords),
        "joints": _rows(("word", "true when"), ((f"`{word}`", doc) for word, doc in _JOINED.items())),
        "comparison_words": _comparison_table(),
        "computed_traits": _rows(
            ("trait", "true when"), ((f"`{name}`", computed.doc) for name, computed in COMPUTED.items())
        ),
        "event_words": _table(EventWords, shown=False) + _listing(_examples(EventWords)),
        "answer_words": _table(ModelAnswers, shown=False) + _listing(_examples(ModelAnswers)),
        "dimension_words": _table(DimensionWords),
        "group_words": _table(GroupWords),
        "judgement_words": _table(JudgementsWords),
        "override_words": _table(OverrideWords, shown=False) + _listing(_examples(OverrideWords)),
        "scale_words": _table(ScaleWords),
        "stage_words": _table(StageWords),
        "example_words": _table(ExampleWords, shown=False) + _listing(_examples(ExampleWords)),
        "given_words": _table(GivenWords),
        "expect_words": _table(ExpectWords),
    }
    limits = {name: f"{value:,}" for name, value in _LIMITS.items()}
    chapters = resources.files("assay.scoring.language").joinpath("reference.md").read_text("utf-8")
    return Template(chapters).substitute(parts | limits)


_JOINED = {word: f"{doc} is true" if word != "not" else "the condition is false" for word, doc in JOINTS.items()}


def _described(words: type[Words]) -> Iterator[tuple[str, fields.Field[Any]]]:
    for name, field in words().fields.items():
        yield field.data_key or name, field


def _table(words: type[Words], *, shown: bool = True) -> str:
    """A row a word; with `shown`, its example in the last column."""
    heads = ("word", "takes", "meaning", "example") if shown else ("word", "takes", "meaning")
    rows = []
    for word, field in _described(words):
        name = f"`{word}`, needed" if field.required else f"`{word}`"
        row = (name, _takes(field), field.metadata["doc"])
        rows.append((*row, f"`{field.metadata['example']}`") if shown else row)
    return _rows(heads, rows)


def _takes(field: fields.Field[Any]) -> str:
    if isinstance(field, Spoken):
        return field.in_words()
    if isinstance(field, Parts):
        return "list"
    return "mapping" if isinstance(field, (Part, Named)) else "value"


def _count_table() -> str:
    words: Mapping[str, Mapping[str, str]] = CountWords.plain | CountWords.mapped
    shapes = {"once_per": "property", "first": "number", "from": "number", "first_points": "number, then: number"}
    spelt = {word: f"{{{word}: {shapes[word]}}}" if word in shapes else word for word in words}
    rows = ((f"`{spelt[word]}`", told["doc"]) for word, told in words.items())
    return _rows(("`count:`", "awards"), rows) + _listing(told["example"] for told in words.values())


def _comparison_table() -> str:
    rows = ((f"`{name}`", word.takes, word.doc) for name, word in WORDS.items())
    return _rows(("word", "takes", "true when the value"), rows) + _listing(word.example for word in WORDS.values())


def _examples(words: type[Words]) -> Iterator[str]:
    for _, field in _described(words):
        yield field.metadata["example"]


def _rows(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _listing(examples: Iterable[str]) -> str:
    lines = "\n".join(f"- {example}" for example in examples)
    return f"\n\n```yaml\n{lines}\n```"


if __name__ == "__main__":
    sys.stdout.write(page())
