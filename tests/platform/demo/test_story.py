import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from assay.demo.account import MODELS, TEMPLATE_MODEL, documents
from assay.demo.story import PAST, TEMPERS, Call, Story, dated, something
from assay.scoring import engine, language
from assay.scoring.examples import run_examples

UNTIL = datetime(2026, 11, 21, 12, tzinfo=UTC)
INSTANT = pl.Datetime("us", "UTC")


def frames(calls: Iterable[Call]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The story as the engine reads it."""
    leads: dict[str, dict[str, Any]] = {}
    events: list[dict[str, Any]] = []
    for call in calls:
        told = call.arguments
        lead = leads.setdefault(told["user_id"], {"lead_id": told["user_id"], "first_seen_at": told["timestamp"]})
        if call.method in ("identify", "group"):
            prefix = "trait:" if call.method == "identify" else "trait:company."
            lead.update({prefix + name: str(value) for name, value in told["traits"].items()})
            continue
        properties = {f"property:{name}": value for name, value in told["properties"].items()}
        type_ = "page.viewed" if call.method == "page" else told["event"].lower().replace(" ", ".")
        what = {"event_id": told["message_id"], "type": type_, "occurred_at": told["timestamp"]}
        events.append({"lead_id": told["user_id"], **what, **properties})
    instants = {"first_seen_at": INSTANT, "occurred_at": INSTANT}
    both = [pl.DataFrame(rows, infer_schema_length=None) for rows in (list(leads.values()), events)]
    people, happened = (frame.cast({n: t for n, t in instants.items() if n in frame.columns}) for frame in both)
    return people, happened


def traffic(story: Story, hours: int) -> list[Call]:
    """What the trickle would send after the history, on a straight clock."""
    dice = random.Random(1)
    paces = [TEMPERS[person.temper].pace for person in story.people]
    moments = [UNTIL + timedelta(seconds=5 * number) for number in range(hours * 720)]
    people = dice.choices(story.people, paces, k=len(moments))
    return [
        dated(something(person, dice), moment, f"later-{number}")
        for number, (person, moment) in enumerate(zip(people, moments, strict=True))
    ]


def compiled(name: str) -> engine.CompiledModel:
    return engine.compile_model(language.parse(documents()[name]))


@pytest.fixture(scope="module")
def history() -> tuple[pl.DataFrame, pl.DataFrame]:
    return frames(Story(UNTIL).history())


def test_it_is_the_same_each_time() -> None:
    assert list(Story(UNTIL).history()) == list(Story(UNTIL).history())


def test_each_call_has_an_id_of_its_own() -> None:
    ids = [call.arguments["message_id"] for call in Story(UNTIL).history()]
    assert len(set(ids)) == len(ids) > 2000


def test_it_happened_in_the_past() -> None:
    moments = [call.arguments["timestamp"] for call in Story(UNTIL).history()]
    assert UNTIL - PAST - timedelta(seconds=1) <= min(moments)
    assert max(moments) <= UNTIL


def test_nobody_can_be_written_to() -> None:
    emails = [person.traits["email"] for person in Story(UNTIL).people]
    assert len(set(emails)) == len(emails) == 200
    assert all(email.endswith(".example.test") for email in emails)


def test_the_template_tells_some_apart(history: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    stages = Counter(engine.score([compiled(TEMPLATE_MODEL)], *history, UNTIL)["stage"])
    assert set(stages) == {None, "MQL"}
    assert 20 <= stages["MQL"] <= 120


@pytest.mark.parametrize("name", [*MODELS, TEMPLATE_MODEL])
def test_examples_hold(name: str) -> None:
    outcomes = run_examples(compiled(name))
    assert [(outcome.example, outcome.failures) for outcome in outcomes if not outcome.holds] == []
    assert outcomes


@pytest.mark.parametrize("name", MODELS)
class TestModels:
    def test_they_are_named_as_their_files(self, name: str) -> None:
        assert compiled(name).name == name

    @pytest.mark.parametrize("hours", [0, 24], ids=["at the start", "after a day"])
    def test_ranking_tells_something(self, name: str, hours: int) -> None:
        story = Story(UNTIL)
        facts = frames([*story.history(), *traffic(story, hours)])
        scored = engine.score([compiled(name)], *facts, UNTIL + timedelta(hours=hours))
        totals = [total / 1000 for total in scored["total"]]
        assert max(totals) >= 80
        assert sum(total >= 95 for total in totals) <= 8
        assert sum(total == max(totals) for total in totals) <= 4
        assert len(set(totals)) > 60
        assert None in set(scored["stage"])
        assert scored["stage"].n_unique() == 4

    def test_the_higher_the_fewer(self, name: str, history: tuple[pl.DataFrame, pl.DataFrame]) -> None:
        scored = engine.score([compiled(name)], *history, UNTIL)
        stages = Counter(scored["stage"])
        first, second, third = (stage.name for stage in compiled(name).model.stages)
        assert stages[first] > stages[second] > 2 * stages[third]
        assert 5 <= stages[third] <= 25

    def test_receipts_show_every_kind_of_part(self, name: str, history: tuple[pl.DataFrame, pl.DataFrame]) -> None:
        found = [part for each in engine.explain(compiled(name), *history, UNTIL) for part in each.parts]
        assert sum(part.points < 0 for part in found) > 10
        assert sum("expired" in part.why for part in found) > 100
        assert sum("over the cap" in part.why for part in found) > 10
        assert all(part.title for part in found)

    def test_something_moves_near_the_top_while_one_watches(self, name: str) -> None:
        story = Story(UNTIL)
        facts = frames([*story.history(), *traffic(story, 1)])
        model, until = compiled(name), UNTIL + timedelta(hours=1)
        totals = [engine.score([model], *facts, until - timedelta(seconds=5 * n))["total"] for n in range(60)]
        top = totals[0].arg_sort(descending=True)[:50]
        moves = [(earlier.gather(top) != later.gather(top)).sum() for later, earlier in pairwise(totals)]
        assert sum(moves) >= 5
