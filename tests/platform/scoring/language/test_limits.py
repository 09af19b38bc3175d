"""What is too much is refused in words and quickly; what is only strange is accepted."""

import time
from fractions import Fraction
from typing import Any

import pytest

from assay.scoring.language import InvalidModel, load, parse
from assay.scoring.language.worth import MOST_AWARDS, MOST_OF_EACH, unit, worth

RULE: dict[str, Any] = {"id": "r", "when": {"trait": "x", "is": 1}, "points": 1}


def refused(document: dict[str, Any] | str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidModel) as caught:
        parse(document) if isinstance(document, str) else load(document)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def with_rules(rules: list[dict[str, Any]], **words: Any) -> dict[str, Any]:
    return {"model": "m", "rules": rules} | words


def matching(patterns: list[str]) -> dict[str, Any]:
    return with_rules(
        [RULE | {"id": f"r{n}", "when": {"trait": "x", "matches": pattern}} for n, pattern in enumerate(patterns)]
    )


def shared(shares: list[list[int]], points: float = 100, **words: Any) -> dict[str, Any]:
    """A block for each list, a rule for each share in it; `words` go to every rule."""
    names = [f"d{place}" for place in range(len(shares))]
    rules = [
        {"id": f"{name}-{n}", "dimension": name, "on": "a.done", "share": share} | words
        for name, several in zip(names, shares, strict=True)
        for n, share in enumerate(several)
    ]
    return with_rules(rules, dimensions={name: {} for name in names}, split={"points": points, "over": names})


class TestSize:
    def test_ten_megabytes(self) -> None:
        started = time.perf_counter()
        ((path, message),) = refused("model: " + "x" * 10_000_000)
        assert (path, message) == ("", "the document has 10,000,007 bytes; at most 1,000,000 are accepted")
        assert time.perf_counter() - started < 1

    def test_too_many_conditions(self) -> None:
        leaf = {"trait": "x", "is": 1}
        document = with_rules([RULE | {"id": f"r{n}", "when": {"all": [leaf] * 51}} for n in range(1000)])
        assert refused(document) == [("", "the model asks 51,000 conditions; at most 50,000 are accepted")]

    def test_a_thousand_rules_are_read_well_within_a_second(self) -> None:
        rules = [
            RULE | {"id": f"r{n}", "when": {"any": [{"trait": "x", "matches": f"^a{n}"}, {"event": "a.b"}]}}
            for n in range(1000)
        ]
        started = time.perf_counter()
        load(with_rules(rules))
        # Ten times what it takes, for machines that are busy.
        assert time.perf_counter() - started < 3

    @pytest.mark.parametrize(
        ("word", "many", "message"),
        [
            ("overrides", [{"id": f"o{n}"} for n in range(1001)], "has 1,001 overrides; at most 1,000 are accepted"),
            ("examples", [{"name": f"e{n}"} for n in range(1001)], "has 1,001 examples; at most 1,000 are accepted"),
            ("stages", [{"name": f"s{n}", "from": n} for n in range(101)], "has 101 stages; at most 100 are accepted"),
        ],
    )
    def test_too_many_of_a_kind(self, word: str, many: list[Any], message: str) -> None:
        assert (word, message) in refused(with_rules([RULE]) | {word: many})

    def test_examples_of_too_many_events(self) -> None:
        case = {"given": [{"on": "a.b", "times": 10_000}], "expect": [{"total": 1}, {"at": "1d", "total": 2}]}
        examples = [{"name": f"e{n}"} | case for n in range(11)]
        assert refused(with_rules([RULE], examples=examples)) == [
            ("examples", "give 220,000 events to look at; at most 200,000 are accepted")
        ]
        load(with_rules([RULE], examples=examples[:10]))


class TestPatterns:
    @pytest.mark.parametrize(
        "pattern", ["(a+)+$", "(a|a)*b", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$", r"(\w*)*\d", "(?i)größe|客户"]
    )
    def test_what_backtracks_elsewhere_is_linear_here(self, pattern: str) -> None:
        load(matching([pattern]))

    def test_heavy_ones_add_up(self) -> None:
        patterns = [rf"\w{{200}}{n}" for n in range(60)]
        started = time.perf_counter()
        ((path, message),) = refused(matching(patterns))
        assert path == ""
        assert message.startswith("the patterns of 'matches' make 2,4")
        assert message.endswith("together; at most 2,000,000 are accepted")
        assert time.perf_counter() - started < 1

    def test_one_that_is_used_often_is_counted_once(self) -> None:
        load(matching([r"\w{200}"] * 1000))

    def test_a_thousand_light_ones_are_few(self) -> None:
        load(matching([rf"^[a-z]+@example{n}\.(com|org)$" for n in range(1000)]))


class TestNames:
    @pytest.mark.parametrize("name", ["модель", "模型", "نموذج", "điểm-số", "größe.2", "日本語_x"])
    def test_of_any_language(self, name: str) -> None:
        document = with_rules([RULE | {"id": name, "dimension": name}], dimensions={name: {}})
        assert load(document | {"model": name}).rules[0].id == name

    @pytest.mark.parametrize("name", ["🙂", "a🙂", "a b", "a\u202eb", "a\u200fb", "-a", "a/b", "a\n", "", "a" * 101])
    def test_with_signs_are_refused(self, name: str) -> None:
        assert "must be a name of letters" in dict(refused(with_rules([RULE | {"id": name}])))["rules[0].id"]

    @pytest.mark.parametrize("text", ["Größe 🙂", "عميل ممتاز", "שלום", "客户", "a\u0301", "👩‍👩‍👧"])
    def test_texts_for_people_may_hold_any_sign(self, text: str) -> None:
        rule = RULE | {"title": text, "when": {"trait": text, "is": text}}
        model = load(with_rules([rule], title=text, stages=[{"name": text, "from": 1}]))
        assert (model.title, model.rules[0].title, model.stages[0].name) == (text, text, text)


class TestUnit:
    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            pytest.param(with_rules([RULE]), 1, id="whole points"),
            pytest.param(shared([[1], [1]]), 1, id="halves of 100"),
            pytest.param(shared([[1], [1], [1]]), 3, id="thirds of 100"),
            pytest.param(shared([[1, 1, 1, 1, 1, -1], [1] * 5, [1]]), 3, id="fifths of thirds"),
            pytest.param(shared([[1, 2, 4], [1]]), 7, id="sevenths"),
            pytest.param(with_rules([RULE | {"points": -0.001}]), 1, id="a thousandth"),
            pytest.param(
                with_rules([{"id": "r", "on": "a.b", "points": 0.001, "fades": {"every": "1d", "by": "15%"}}]),
                20,
                id="steps of 15%",
            ),
            pytest.param(
                with_rules([{"id": "r", "on": "a.b", "points": 1, "fades": {"half_life": "1d"}}]), 1000, id="smooth"
            ),
            pytest.param(shared([[1], [1], [1]], fades={"linear": "3d"}), 3000, id="smooth thirds"),
            pytest.param(
                with_rules(
                    [
                        {
                            "id": "r",
                            "on": "a.b",
                            "count": {"first_points": 1, "then": 0.001},
                            "fades": {"every": "1d", "by": "50%"},
                        }
                    ]
                ),
                2,
                id="steps of later events",
            ),
        ],
    )
    def test_it_is_the_smallest_that_keeps_everything_whole(self, document: dict[str, Any], expected: int) -> None:
        model = load(document)
        assert unit(model) == expected
        assert all((worth(model, rule) * expected).denominator == 1 for rule in model.rules)

    def test_shares_are_exact(self) -> None:
        model = load(shared([[1, 2, -3], [1]], points=10))
        assert [worth(model, rule) for rule in model.rules] == [
            Fraction(5000, 3),
            Fraction(10_000, 3),
            Fraction(-5000),
            Fraction(5000),
        ]

    def test_too_fine_shares(self) -> None:
        ((path, message),) = refused(shared([[997], [991, 992], [1000, 9]], fades={"linear": "1d"}))
        assert path == "split"
        assert "at most 1,000,000,000 can be kept exactly" in message

    def test_too_fine_steps(self) -> None:
        rules = [
            {"id": f"r{n}", "on": "a.b", "points": 0.001, "fades": {"every": "1d", "by": by}}
            for n, by in enumerate(["33.333%", "12.5%"])
        ]
        smooth = {"id": "s", "on": "a.b", "points": 1, "fades": {"linear": "1d"}}
        ((path, _),) = refused(with_rules([*rules, smooth]))
        assert path == "rules[0].fades"

    def test_points_too_large_to_add_up(self) -> None:
        big = {"id": "big", "on": "a.b", "points": 1_000_000, "count": {"first": 2}}
        small = {"id": "small", "on": "a.b", "points": 0.001, "fades": {"every": "1d", "by": "33.333%"}}
        assert refused(with_rules([big, small])) == [
            (
                "rules[0]",
                "gives more than can be added up exactly where a point is cut into 100,000,000 parts: "
                "at most 92,233 points an award",
            )
        ]
        load(with_rules([big]))

    @pytest.mark.parametrize(
        ("points", "rules", "fades", "sentence"),
        [
            pytest.param(1_000_000, 10_000, None, None, id="whole points, as many as there may be"),
            pytest.param(
                1_000,
                10_000,
                {"linear": "30d"},
                None,
                id="ten thousand rules of a thousand points that fade",
            ),
            pytest.param(50_000, 1_000, {"linear": "30d"}, None, id="fading, large"),
            pytest.param(
                50_000,
                2_000,
                {"linear": "30d"},
                "one award of each comes to 100,000,000 points: at most 91,783,720 can be added up exactly where a "
                "point is cut into 1,000,000 parts and a rule may award 1,000,000 times",
                id="fading, too much together",
            ),
        ],
    )
    def test_rules_together(self, points: int, rules: int, fades: dict[str, str] | None, sentence: str | None) -> None:
        fading = {"fades": fades} if fades else {}
        document = with_rules([{"id": f"r{n}", "on": "a.b", "points": points, **fading} for n in range(rules)])
        if sentence is None:
            load(document)
        else:
            assert refused(document) == [("rules", sentence)]

    def test_what_is_accepted_adds_up_in_64_bits(self) -> None:
        model = load(shared([[1, 2], [1, 6], [1, 10]], points=30_000, fades={"linear": "3d"}))
        worths = sorted(abs(worth(model, rule)) * unit(model) for rule in model.rules)
        assert worths[-1] * MOST_AWARDS + sum(worths[:-1]) * MOST_OF_EACH < 2**63
