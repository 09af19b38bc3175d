"""Published scoring frameworks: the numbers their pages state come out of the templates, case by case."""

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import CompiledModel, compile_model, explain, score
from assay.scoring.examples import DAY_0, Outcome, run_examples
from assay.scoring.language import dump, load, parse
from assay.scoring.starting import LANGUAGES, Rendered, render, templates
from assay.scoring.templating import Document
from assay_tenants.errors import BadInput

Frames = Callable[..., pl.DataFrame]

#: Every case of the frameworks: InvestGlass, TriggerM, Bitrix24, Encharge, Wukong.
CASES = {
    *(f"IG-{number}" for number in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13)),
    *(f"TM-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 16, 19, 20, 22, 23)),
    *(f"BX-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17)),
    *(f"EN-{number}" for number in (1, 2, 3, 4, 6, 8, 9, 11, 12, 14, 15, 16, 17, 18)),
    *(f"WK-{number}" for number in (1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13)),
}
#: Said below, because it takes other parameters or several leads.
HERE = {"TM-2", "TM-23", "WK-10", "WK-11", "WK-12"}
#: No example can say these, because they are about something else than the score of one lead.
NO_EXAMPLES = {
    "IG-8": "how soon a score follows its event",
    "IG-9": "how well scores tell outcomes",
    "IG-10": "an alarm: too many or too few leads at a stage",
    "IG-11": "how long deals took under two versions",
    "IG-12": "a learned model",
    "IG-13": "actions: one task, one mail",
    "TM-22": "the transition between two scores, with its time",
    "BX-15": "a learned part beside the rules",
    "BX-16": "rules suggested by won and lost leads",
    "BX-17": "delivery to a field of the CRM",
    "EN-14": "actions: whether a task is made again",
    "EN-15": "a logistic formula",
    "EN-17": "an alarm: many qualify and few buy",
    "EN-18": "sources: the same events by three ways",
    "WK-13": "an alarm: the hot do not buy",
}

DOCUMENTS = [
    pytest.param(rendered.text, id=rendered.name) for template in templates() for rendered in render(template.name)
]


def compiled(text: str) -> CompiledModel:
    return compile_model(parse(text))


def only(name: str, model: str, **values: Any) -> Rendered:
    (found,) = render(name, values=values, models=[model])
    return found


def failures(outcomes: list[Outcome]) -> list[Any]:
    return [(outcome.example, check) for outcome in outcomes for check in outcome.failures]


def example_names() -> Iterator[str]:
    for document in DOCUMENTS:
        for example in parse(document.values[0]).examples:
            yield example.name


class TestCases:
    def test_each_has_its_example(self) -> None:
        said = {found[0] for name in example_names() if (found := re.match(r"[A-Z]{2}-\d+", name))}
        assert said | HERE == CASES - set(NO_EXAMPLES)
        assert not said & HERE

    @pytest.mark.parametrize("text", DOCUMENTS)
    def test_examples_hold(self, text: str) -> None:
        outcomes = run_examples(compiled(text))
        assert outcomes
        assert failures(outcomes) == []


class TestWords:
    @pytest.mark.parametrize("tongue", [tongue for tongue in LANGUAGES if tongue != "en"])
    def test_everything_people_read_is_translated(self, tongue: str) -> None:
        for english, translated in zip(templates(), templates(tongue), strict=True):
            assert english.title != translated.title
            assert english.about != translated.about
            for model, there in zip(render(english.name), render(english.name, tongue), strict=True):
                before, after = Document(model.text), Document(there.text)
                assert not before.texts & after.texts
                assert len(before.texts) == len(after.texts)
                assert re.findall("#.*", model.text) == re.findall("#.*", there.text)
                assert there.title == parse(there.text).title

    @pytest.mark.parametrize("tongue", LANGUAGES)
    def test_a_language_changes_no_score(self, tongue: str) -> None:
        for template in templates():
            for rendered in render(template.name, tongue):
                assert failures(run_examples(compiled(rendered.text))) == []

    def test_each_parameter_has_a_title_and_bounds(self) -> None:
        for template in templates():
            assert template.parameters
            for parameter in template.parameters:
                assert parameter.title
                assert None not in (parameter.min, parameter.max)


class TestParameters:
    def test_thresholds_and_points_follow_the_number_of_offers(self) -> None:
        """TM-2"""
        rendered = only("triggerm", "triggerm-sum", offers=3)
        model = parse(rendered.text)
        assert [stage.threshold for stage in model.stages] == [10_000, 30_000, 55_000, 80_000]
        points = {rule.id: rule.points for rule in model.rules}
        assert [points[name] for name in ("offer", "form", "booking", "attended")] == [10_000, 30_000, 55_000, 80_000]
        kept = [outcome.example for outcome in run_examples(compile_model(model))]
        assert {"TM-3 one free offer", "TM-6 contact form only", "TM-7 booking only"} <= set(kept)
        assert "TM-5 four different offers, then the fifth" in rendered.left_out

    def test_a_longer_expiry_is_obeyed(self) -> None:
        rendered = only("triggerm", "triggerm-floor", expiry="180d")
        assert rendered.left_out == ()
        assert failures(run_examples(compiled(rendered.text))) == []

    def test_bands_follow_their_parameters(self) -> None:
        """WK-12"""
        rendered = only("wukong", "wukong", hot=80, warm=40)
        assert "WK-6 asks for a quote besides" in rendered.left_out
        quote = next(example for example in parse(only("wukong", "wukong").text).examples if "WK-6" in example.name)
        traits = dict(quote.given[0].traits)
        judged = {"on": "assay.judgement", "properties": {"judgement": "a", "points": 35}}
        model = add_examples(
            rendered.text,
            {"name": "73.33", "traits": traits, "given": [{"on": "quote.requested"}], "expect": bands(73.33, "warm")},
            {"name": "35", "given": [judged], "expect": bands(35, "cold")},
        )
        assert failures(run_examples(model)) == []

    @pytest.mark.parametrize("value", ["5", " 5 ", 5, 5.0])
    def test_what_it_is_already_changes_nothing(self, value: object) -> None:
        assert only("triggerm", "triggerm-sum", offers=value) == only("triggerm", "triggerm-sum")

    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"expiry": "soon"}, "expiry"),
            ({"expiry": "800d"}, "expiry"),
            ({"expiry": 60}, "expiry"),
            ({"offers": "NaN"}, "offers"),
            ({"offers": "1e999"}, "offers"),
            ({"offers": "5\x00"}, "offers"),
            ({"offers": {}}, "offers"),
            ({"offers": 10**400}, "offers"),
            ({"other": 1}, "other"),
        ],
    )
    def test_what_is_not_accepted_is_refused_by_name(self, values: dict[str, Any], field: str) -> None:
        with pytest.raises(BadInput) as refused:
            render("triggerm", values=values)
        assert refused.value.field == field


def bands(total: float, stage: str) -> dict[str, object]:
    return {"total": total, "stage": stage}


def add_examples(text: str, *examples: dict[str, Any]) -> CompiledModel:
    return compile_model(load(dump(parse(text)) | {"examples": list(examples)}))


class TestSeveralLeads:
    EVENTS = (
        *(("offer.downloaded", 0, {"offer_id": offer}) for offer in "AAB"),
        ("form.submitted", 1, {}),
        ("email.opened", 2, {}),
        ("meeting.booked", 3, {}),
    )

    def test_order_and_repetition(self, leads_frame: Frames, events_frame: Frames) -> None:
        """TM-23"""
        model = compiled(only("triggerm", "triggerm-sum").text)
        leads = leads_frame([{"lead_id": "a", "first_seen_at": DAY_0}])
        events = [
            {"lead_id": "a", "event_id": str(place), "type": kind, "occurred_at": DAY_0 + timedelta(days=day), **said}
            for place, (kind, day, properties) in enumerate(self.EVENTS)
            for said in [{"properties": properties}]
        ]
        totals = set()
        for order in itertools.islice(itertools.permutations(events), 0, None, 29):
            twice = events_frame([*order, *events[::-1]])
            totals.add(tuple(score([model], leads, twice, DAY_0 + timedelta(days=4))["total"]))
        assert totals == {(146_000,)}

    def test_the_list_and_the_basis(self, leads_frame: Frames, events_frame: Frames) -> None:
        """WK-10, WK-11"""
        model = compiled(only("wukong", "wukong").text)
        by_case = {example.name[:4]: example for example in model.model.examples}
        leads, events = [], []
        for case in ("WK-4", "WK-2", "WK-1", "WK-6"):
            given = by_case[case].given
            traits = dict(given[0].traits) if given else {}
            leads.append({"lead_id": case, "first_seen_at": DAY_0, "traits": traits})
            events += [
                {"lead_id": case, "event_id": f"{place}.{time}", "type": event.type, "occurred_at": DAY_0}
                for place, event in enumerate(given[1:])
                for time in range(event.times)
            ]
        people, happened = leads_frame(leads), events_frame(events)
        scored = score([model], people, happened, DAY_0).sort("total", descending=True)
        assert list(zip(scored["lead_id"], scored["total"], strict=True)) == [
            ("WK-1", 100_000),
            ("WK-6", 73_333),
            ("WK-2", 66_667),
            ("WK-4", 0),
        ]
        for explanation in explain(model, people, happened, DAY_0):
            assert sum(part.points for part in explanation.parts) == explanation.raw == explanation.total


#: What other systems do, in our language.
PARITY = {
    "P-1 fit and engagement combine": {
        "dimensions": {"fit": {}, "engagement": {}},
        "rules": [
            {"id": "wrong", "dimension": "fit", "when": {"trait": "wrong", "is": True}, "points": -30},
            {"id": "busy", "dimension": "engagement", "on": "a.done", "points": 70},
        ],
        "examples": [
            {"name": "both", "traits": {"wrong": True}, "given": [{"on": "a.done"}], "expect": {"total": 40}},
        ],
    },
    "P-2 half of it each month, evenly": {
        "rules": [{"id": "a", "on": "a.done", "points": 10, "fades": {"every": "30d", "by": "50%"}}],
        "examples": [
            {
                "name": "two months",
                "given": [{"on": "a.done"}],
                "expect": [{"at": "29d", "total": 10}, {"at": "30d", "total": 5}, {"at": "60d", "total": 0}],
            }
        ],
    },
    "P-2 the same, smoothly": {
        "rules": [{"id": "a", "on": "a.done", "points": 10, "fades": {"linear": "60d"}}],
        "examples": [
            {
                "name": "two months",
                "given": [{"on": "a.done"}],
                "expect": [{"at": "15d", "total": 7.5}, {"at": "30d", "total": 5}, {"at": "60d", "total": 0}],
            }
        ],
    },
    "P-7 the first match of a group counts": {
        "dimensions": {"fit": {"groups": {"size": {"first_match": True}}}},
        "rules": [
            {"id": name, "dimension": "fit", "group": "size", "when": {"trait": "employees", **when}, "points": points}
            for name, when, points in (
                ("large", {"gte": 1000}, 200),
                ("tiny", {"lt": 5}, -40),
                ("other", {"gte": 0}, 30),
            )
        ],
        "examples": [
            {"name": str(total), "traits": {"employees": staff}, "expect": {"total": total}}
            for staff, total in ((5000, 200), (2, -40), (50, 30))
        ],
    },
    "P-9 a mark ends where the next begins": {
        "dimensions": {"fit": {}, "interest": {}},
        "rules": [
            {"id": "a", "dimension": "fit", "on": "a.done", "points": 50},
            {"id": "b", "dimension": "fit", "on": "b.done", "points": 1},
        ],
        "grades": {"fit": {"A": 51, "B": 20}, "interest": {"1": 0}},
        "examples": [
            {"name": "50", "given": [{"on": "a.done"}], "expect": {"grade": "B1"}},
            {"name": "51", "given": [{"on": "a.done"}, {"on": "b.done"}], "expect": {"grade": "A1"}},
        ],
    },
    "P-10 once is once, also for two who turn out to be one": {
        "rules": [{"id": "a", "on": "a.done", "count": "once", "points": 10}],
        "examples": [{"name": "merged", "given": [{"on": "a.done", "times": 2}], "expect": {"total": 10}}],
    },
}


@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in PARITY.items()])
def test_what_other_systems_do(document: dict[str, Any]) -> None:
    assert failures(run_examples(compile_model(load({"model": "parity", **document})))) == []
