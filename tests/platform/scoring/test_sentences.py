"""Every text has its translation, and sentences read as they should in each language."""

import string
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

import assay.scoring
from assay.scoring.engine import Adjustment, Part
from assay.scoring.engine.changes import Hint, Standing, Step, Turn, Way
from assay.scoring.engine.reasons import TEXTS, Reason, reason
from assay.scoring.engine.supposing import Action
from assay.scoring.language import Comparison, EventCount, Every, OfModel
from assay.scoring.language.quantities import DAY
from assay.scoring.phrases import LANGUAGES, language
from assay.scoring.sentences import chosen, say

AT = datetime(2026, 3, 1, 14, 5, tzinfo=UTC)
OTHERS = [code for code in LANGUAGES if code != "en"]


def texts() -> Iterator[tuple[str, ...]]:
    """As the tools that gather texts for translators find them."""
    for file in Path(str(assay.scoring.__path__[0])).rglob("*.py"):
        for _, found, _, _ in extract_from_file("python", file, keywords={"N_": None, "NN_": (1, 2)}):
            yield found if isinstance(found, tuple) else (found,)


def catalogue(code: str) -> Catalog:
    with resources.files("assay").joinpath("locales", code, "LC_MESSAGES", "sentences.po").open("rb") as file:
        return read_po(file, locale=code, abort_invalid=True)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", OTHERS)
class TestCatalogues:
    def test_every_text_is_translated_and_no_other(self, code: str) -> None:
        known = {message.id if isinstance(message.id, tuple) else (message.id,) for message in catalogue(code)} - {
            ("",)
        }
        assert known == set(texts())
        assert all(all(message.string) if message.pluralizable else message.string for message in catalogue(code))

    def test_placeholders_are_the_same(self, code: str) -> None:
        for message in catalogue(code):
            ids = message.id if isinstance(message.id, tuple) else (message.id,)
            forms = message.string if isinstance(message.string, tuple) else (message.string,)
            wanted = placeholders(ids[-1])
            for place, form in enumerate(forms):
                # "o dată" counts to one without a figure.
                left_away = {"count"} if message.pluralizable and len(forms) > 1 and place == 0 else set()
                assert wanted - left_away <= placeholders(form) <= wanted, ids[0]

    def test_as_many_plurals_as_the_language_has(self, code: str) -> None:
        assert catalogue(code).num_plurals == {"vi": 1, "ro": 3, "zh": 1}[code]


def part(points: int, what: Reason, *because: Reason, title: str | None = "Visits", counted: bool = True) -> Part:
    return Part("visits", title, None, None, points, points, counted, what, because, AT, ())


VISIT = reason("event", type="page.viewed", at=AT)


class TestParts:
    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            pytest.param("en", "“Visits” adds 1,234.5 points: page.viewed on Mar 1, 2026 14:05 UTC.", id="English"),
            pytest.param("vi", "“Visits” cộng 1.234,5 điểm: page.viewed vào 1 thg 3, 2026 14:05 UTC.", id="Vietnamese"),
            pytest.param("ro", "„Visits” adaugă 1.234,5 puncte: page.viewed la 1 mar. 2026 14:05 UTC.", id="Romanian"),
            pytest.param("zh", "“Visits”加 1,234.5 分：2026年3月1日 14:05 UTC 的 page.viewed。", id="Chinese"),
        ],
    )
    def test_each_language_in_its_way(self, code: str, sentence: str) -> None:
        assert say(part(1_234_500, VISIT), code) == sentence

    @pytest.mark.parametrize(
        ("points", "words"),
        [
            pytest.param(1_000, "1 punct:", id="one"),
            pytest.param(2_000, "2 puncte:", id="few"),
            pytest.param(19_000, "19 puncte:", id="nineteen"),
            pytest.param(20_000, "20 de puncte:", id="twenty"),
            pytest.param(101_000, "101 puncte:", id="a hundred and one"),
            pytest.param(120_000, "120 de puncte:", id="a hundred and twenty"),
            pytest.param(1_500, "1,5 puncte:", id="a fraction"),
        ],
    )
    def test_romanian_plurals(self, points: int, words: str) -> None:
        assert f"adaugă {words}" in say(part(points, VISIT), "ro")

    @pytest.mark.parametrize(
        ("told", "sentence"),
        [
            pytest.param(
                part(-5_000, reason("silent_altogether", length=30 * DAY, since=AT)),
                "“Visits” takes away 5 points: no activity for 30 days since Mar 1, 2026 14:05 UTC.",
                id="a loss",
            ),
            pytest.param(
                part(0, VISIT, reason("before_from", nth=3), counted=False),
                "“Visits” counts nothing: page.viewed on Mar 1, 2026 14:05 UTC; counts from the 3rd time on.",
                id="nothing",
            ),
            pytest.param(
                part(
                    1_000,
                    VISIT,
                    reason("faded", earned=4_000, points=2_000),
                    reason("rest", points=1_000, earned=2_000, reasons=(reason("over_group", cap=1_000, name="web"),)),
                ),
                "“Visits” adds 1 point: page.viewed on Mar 1, 2026 14:05 UTC; faded from 4 to 2 points; "
                "1 of 2 points, the rest is over the cap of 1 for group web.",
                id="cut",
            ),
            pytest.param(
                part(0, reason("only_for", condition=Comparison("trait", "country", "is", "VN")), counted=False),
                "Not scored: this model is only for leads where country is VN.",
                id="outside the audience",
            ),
            pytest.param(
                part(3_000, reason("holds", condition=Comparison("trait", "n", "is", "{title} %s {0}")), title="{x}"),
                "“{x}” adds 3 points: n is {title} %s {0}.",
                id="braces in what people write",
            ),
        ],
    )
    def test_what_is_said(self, told: Part, sentence: str) -> None:
        assert say(told, "en") == sentence

    @pytest.mark.parametrize("code", LANGUAGES)
    @pytest.mark.parametrize("name", TEXTS)
    def test_every_reason_can_be_said(self, code: str, name: str) -> None:
        some: dict[str, Any] = {
            "at": AT,
            "since": AT,
            "day": AT,
            "length": 60 * DAY,
            "condition": Every((Comparison("trait", "title", "in", ("CFO", "Owner")), OPENED)),
            "types": ("a.done", "b.done"),
            "names": ("title", "country"),
            "reasons": (reason("over_judgements", cap=1_000),),
            **dict.fromkeys(("nth", "count", "found", "needed"), 4),
            **dict.fromkeys(("points", "earned", "cap", "rest", "milestone", "total"), -12_500),
        }
        text = TEXTS[name]
        wanted = placeholders(text[-1] if isinstance(text, tuple) else text)
        told = Reason(name, {each: some.get(each, "X") for each in wanted})
        assert "{" not in say(part(1_000, told), code)
        assert "{" not in part(1_000, told).why


OPENED = EventCount(("email.opened",), Comparison("property", "series", "is", "welcome"), 30 * DAY, None, "gte", 4)


class TestConditions:
    @pytest.mark.parametrize(
        ("condition", "said"),
        [
            pytest.param(
                OPENED,
                {
                    "en": "email.opened at least 4 times where series is welcome within 30 days",
                    "ro": "email.opened de cel puțin 4 ori unde series este welcome în interval de 30 de zile",
                    "zh": "30天内 email.opened 至少 4 次（series 为 welcome）",
                    "vi": "email.opened ít nhất 4 lần với series là welcome trong vòng 30 ngày",
                },
                id="a count of events",
            ),
            pytest.param(
                EventCount(None, None, None, "path", "gt", 1),
                {
                    "en": "any event with at least 2 different path",
                    "ro": "orice eveniment cu cel puțin 2 valori diferite pentru path",
                },
                id="different values",
            ),
            pytest.param(
                OfModel("base", "score", "fit", "gte", 30_000),
                {"en": "fit under base is at least 30", "vi": "fit theo base ít nhất là 30"},
                id="another model's dimension",
            ),
            pytest.param(
                OfModel("base", "disqualified", None, "is", False),
                {"en": "model base does not disqualify this lead", "zh": "模型 base 未判定该潜在客户不合格"},
                id="another model's verdict",
            ),
            pytest.param(
                Comparison("trait", "n", "in", tuple(range(12))),
                {"en": "n is 0, 1, 2, 3, 4, 5, 6, 7, or 4 more", "ro": "n este 0, 1, 2, 3, 4, 5, 6, 7 sau încă 4"},
                id="a long list",
            ),
        ],
    )
    def test_conditions(self, condition: Any, said: dict[str, str]) -> None:
        assert {code: language(code).condition(condition) for code in said} == said


class TestOutlook:
    STANDING = Standing(True, 40_000, "Prospect", None, None, None)

    @pytest.mark.parametrize(
        ("told", "sentence"),
        [
            pytest.param(
                Adjustment("scale_max", None, -1_000, reason("scale_max", total=100_000)),
                "1 point less: the scale of this model ends at 100.",
                id="the scale",
            ),
            pytest.param(
                Step(AT, STANDING, Standing(True, 55_000, "Lead", None, None, None), (Turn("silent", None, 15_000),)),
                "On Mar 1, 2026 14:05 UTC the score goes from 40 to 55 by itself, and the stage from Prospect to Lead. "
                "(“silent” gives 15 points more)",
                id="a step",
            ),
            pytest.param(
                Step(AT, Standing(False, None, None, None, None, None), STANDING, ()),
                "From Mar 1, 2026 14:05 UTC on this model scores this lead, with 40.",
                id="a model that begins to apply",
            ),
            pytest.param(
                Way(
                    (
                        Action("v", None, "page.viewed", {}, None, {}, None, 3),
                        Action("o", None, None, {}, None, {"title": "CFO"}, Comparison("trait", "title", "is", "CFO")),
                    ),
                    "Lead",
                    50_000,
                ),
                "It takes 3 more page.viewed and the fact that title is CFO to reach Lead; the score is 50 then.",
                id="a way",
            ),
            pytest.param(
                Hint("missing", {"missing": 1_000, "stage": "Lead"}), "1 point is missing for Lead.", id="one"
            ),
        ],
    )
    def test_what_is_said(self, told: Any, sentence: str) -> None:
        assert say(told, "en") == sentence
        assert all("{" not in say(told, code) for code in OTHERS)


@pytest.mark.parametrize(
    ("asked", "accepted", "code"),
    [
        pytest.param("vi", ["ro"], "vi", id="asked for"),
        pytest.param(None, ["de-CH", "zh-Hans-CN", "ro"], "zh", id="the first accepted that we speak"),
        pytest.param(None, [], "en", id="nothing said"),
        pytest.param("xx", ["*"], "en", id="none that we speak"),
    ],
)
def test_the_language_is_chosen(asked: str | None, accepted: list[str], code: str) -> None:
    assert chosen(asked, accepted) == code
