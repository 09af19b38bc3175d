"""Rules of plugins' kinds: their awards are counted, faded, capped, explained and replayed like all others."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import compile_model, explain, score
from assay.scoring.engine.making import WrongAward
from assay.scoring.language import kinds, load, without
from assay_sdk import Award, LeadFacts, RuleKind

MARCH = datetime(2026, 3, 10, 12, tzinfo=UTC)
AT = datetime(2026, 4, 1, tzinfo=UTC)
RULE = {"id": "spring", "dimension": "interest", "kind": "acme.seasonal", "with": {"months": [3]}, "points": 10}


def model(*rules: Mapping[str, Any], **further: Any) -> Any:
    document = {"model": "m", "dimensions": {"interest": {}}, "rules": [*rules]} | further
    return compile_model(load(document))


def visit(id_: str, at: datetime, path: str = "/pricing", lead: str = "1", **further: Any) -> dict[str, Any]:
    said = {"lead_id": lead, "event_id": id_, "occurred_at": at, "properties": {"path": path}}
    return {"type": "page.viewed", **said, **further}


@pytest.fixture
def given(leads_frame: Callable[..., pl.DataFrame], events_frame: Callable[..., pl.DataFrame]) -> Callable[..., Any]:
    def make(*events: Mapping[str, Any], **traits: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
        leads = [{"lead_id": "1", "first_seen_at": MARCH, "traits": traits}, {"lead_id": "2", "first_seen_at": MARCH}]
        return leads_frame(leads), events_frame(events or [visit("none", MARCH, lead="9")])

    return make


def total(compiled: Any, facts: tuple[pl.DataFrame, pl.DataFrame], at: datetime = AT) -> int:
    found = score([compiled], *facts, at)
    return int(found.filter(pl.col("lead_id") == "1")["total"][0])


IN_MARCH = [visit("a", MARCH), visit("b", MARCH + timedelta(days=1)), visit("c", MARCH - timedelta(days=30))]
CASES = [
    ("each award adds", [RULE], {}, AT, 20_000),
    ("an award without an event of its own", [RULE], {"season": "spring"}, AT, 30_000),
    ("the rule's cap", [RULE | {"max": 15}], {}, AT, 15_000),
    ("the rule's fading", [RULE | {"fades": {"after": "21d"}}], {}, AT, 10_000),
    ("an award of the future counts from then on", [RULE], {}, MARCH + timedelta(hours=1), 10_000),
    ("a milestone", [{k: v for k, v in RULE.items() if k != "points"} | {"milestone": 40}], {}, AT, 40_000),
    ("two rules of one kind", [RULE, RULE | {"id": "again", "points": 1}], {}, AT, 22_000),
    ("two rules with other parameters", [RULE, RULE | {"id": "winter", "with": {"months": [2]}}], {}, AT, 30_000),
    ("beside a rule on the same events", [RULE, {"id": "v", "on": "page.viewed", "points": 1}], {}, AT, 23_000),
    ("no activity of the lead", [RULE, {"id": "q", "idle": {"for": "20d"}, "points": -3}], {}, AT, 17_000),
]


@pytest.mark.parametrize(("rules", "traits", "at", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_awards_count(given: Any, rules: list[Any], traits: dict[str, Any], at: datetime, expected: int) -> None:
    assert total(model(*rules), given(*IN_MARCH, **traits), at) == expected


def test_order_and_repetition_change_nothing(given: Any) -> None:
    compiled = model(RULE)
    assert total(compiled, given(*reversed(IN_MARCH), *IN_MARCH)) == total(compiled, given(*IN_MARCH))


def test_a_machines_event_is_not_seen(given: Any) -> None:
    assert (
        total(model(RULE), given(visit("a", MARCH, discounted="sender"), visit("b", MARCH, discounted=None))) == 10_000
    )


def test_it_changes_when_its_awards_fade(given: Any) -> None:
    found = score([model(RULE | {"fades": {"after": "60d"}})], *given(visit("a", MARCH)), AT)
    assert found.filter(pl.col("lead_id") == "1")["next_change"][0] == MARCH + timedelta(days=60)


def test_the_receipt_names_the_event_and_the_kinds_words(given: Any) -> None:
    compiled = model(RULE)
    told = next(each for each in explain(compiled, *given(*IN_MARCH[:1], season="x"), AT) if each.lead_id == "1")
    assert [(part.rule, part.points, tuple(part.events)) for part in told.parts] == [
        ("spring", 10_000, ()),
        ("spring", 10_000, ("a",)),
    ]
    assert {part.what.values["type"] for part in told.parts} == {"visit in month 3"}


def test_what_is_kept_out_of_scoring_is_kept_from_it(given: Any) -> None:
    document = load({"model": "m", "dimensions": {"interest": {}}, "rules": [RULE]})
    hidden = compile_model(without(document, lambda name: name == "season"))
    facts = given(*IN_MARCH, season="spring")
    assert total(hidden, facts) == 20_000
    assert hidden.traits == frozenset()


class Wrong(RuleKind):
    name = "acme.seasonal"
    title = "Wrong"

    def __init__(self, awards: Iterable[Any]) -> None:
        self._awards = awards

    def awards(self, lead: LeadFacts, parameters: Mapping[str, Any]) -> Iterable[Award]:
        return self._awards


WRONG = [
    ("no award", [7], "gave int instead of an Award"),
    ("without a zone", [Award(datetime(2026, 1, 1))], "no instant with a time zone"),  # noqa: DTZ001 # what is refused
    ("an event that there is not", [Award(MARCH, event=3)], ""),
    ("too many", [Award(MARCH)] * 10_001, "made 10,001 awards for one lead"),
]


@pytest.mark.parametrize(("awards", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_no_award_is_refused(given: Any, monkeypatch: pytest.MonkeyPatch, awards: list[Any], said: str) -> None:
    kind = Wrong(awards)
    monkeypatch.setattr(kinds, "installed", lambda: SimpleNamespace(rule_kinds={kind.name: kind}))
    compiled = model({name: value for name, value in RULE.items() if name != "with"})
    if said:
        with pytest.raises(WrongAward, match=said):
            total(compiled, given(*IN_MARCH))
    else:
        assert total(compiled, given(*IN_MARCH)) == 10_000
