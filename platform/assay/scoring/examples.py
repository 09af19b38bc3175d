"""A model's own acceptance cases, run: what each expects beside what comes out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from assay.scoring.engine import CompiledModel, score
from assay.scoring.language import Example, Expected, GivenEvent, GivenTraits, number
from assay_sdk.flatten import as_text, flatten

#: Day 0 of every example: a fixed day, so that an example says the same whenever it is run.
DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Check:
    """One word of an expectation; `at` is counted from day 0. `dimension` names the word's dimension, if it has one."""

    at: timedelta
    word: str
    dimension: str | None
    expected: object
    found: object
    holds: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    example: str
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.holds)


def run_examples(model: CompiledModel) -> list[Outcome]:
    """In the order of the document, all of them in one call of the engine."""
    examples = model.model.examples
    asked = [(example, expected) for example in examples for expected in example.expect]
    if not asked:
        return []
    leads = pl.DataFrame(
        {
            "lead_id": pl.int_range(len(asked), eager=True),
            "first_seen_at": pl.Series([_on(example.first_seen) for example, _ in asked], dtype=_INSTANT),
            "at": pl.Series([_on(expected.at) for _, expected in asked], dtype=_INSTANT),
            **_traits(model, [_traits_at(example, expected.at) for example, expected in asked]),
        }
    )
    rows = score([model], leads, _events([example for example, _ in asked]), None).rows(named=True)
    found = iter(zip(asked, rows, strict=True))
    return [
        Outcome(example.name, tuple(check for _ in example.expect for check in _checks(*next(found))))
        for example in examples
    ]


def _on(age: int) -> datetime:
    return DAY_0 + timedelta(microseconds=age)


def _traits_at(example: Example, at: int) -> dict[str, str | None]:
    """What was known at that age: of several values of a trait the latest."""
    known: dict[str, str | None] = {}
    given = (each for each in example.given if isinstance(each, GivenTraits) and each.at <= at)
    for each in sorted(given, key=lambda traits: traits.at):
        known |= _texts(dict(each.traits))
    return known


def _texts(values: Mapping[str, object]) -> dict[str, str | None]:
    return {name: as_text(value) for name, value in flatten(dict(values)).items()}


def _traits(model: CompiledModel, leads: list[dict[str, str | None]]) -> dict[str, pl.Series]:
    return {
        f"trait:{name}": pl.Series([known.get(name) for known in leads], dtype=pl.String)
        for name in sorted(model.traits)
    }


def _events(examples: list[Example]) -> pl.DataFrame:
    rows = [
        {"lead_id": lead, "event_id": f"{place}.{time}", "type": event.type, "occurred_at": _on(event.at), **texts}
        for lead, example in enumerate(examples)
        for place, event in enumerate(example.given)
        if isinstance(event, GivenEvent)
        for texts in [{f"property:{name}": text for name, text in _texts(dict(event.properties)).items()}]
        for time in range(event.times)
    ]
    names = dict.fromkeys(name for row in rows for name in row if name.startswith("property:"))
    texts = dict.fromkeys(("event_id", "type", *names), pl.String)
    return pl.DataFrame(rows, schema={"lead_id": pl.Int64, "occurred_at": _INSTANT, **texts}, orient="row")


def _checks(asked: tuple[Example, Expected], row: Mapping[str, Any]) -> Iterator[Check]:
    _, expected = asked
    at = timedelta(microseconds=expected.at)
    for word, wanted in expected.words:
        if word in ("total", "raw"):
            yield _number_check(at, word, None, wanted, row[word])
        else:
            yield Check(at, word, None, wanted, row[word], row[word] == wanted)
    dimensions = json.loads(row["dimensions"] or "{}")
    for name, wanted in expected.dimensions:
        yield _number_check(at, "dimension", name, wanted, dimensions.get(name))


def _number_check(at: timedelta, word: str, dimension: str | None, wanted: object, found: int | None) -> Check:
    """Equal as far as the expected number was written: 66.67 is met by 66.667."""
    shown = None if found is None else number(found)
    if wanted is None or found is None:
        return Check(at, word, dimension, wanted, shown, wanted is None and found is None)
    written = Decimal(str(wanted))
    exponent = written.as_tuple().exponent
    half = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    return Check(at, word, dimension, wanted, shown, abs(Decimal(found).scaleb(-3) - written) <= half)
