import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.scoring.diffing import compare
from assay.scoring.language import content_hash, parse

BASE = """
model: sample
title: A sample
dimensions: {fit: {max: 50, groups: {size: {first_match: true}}}, interest: {}}
rules:
  - {id: big, dimension: fit, group: size, when: {trait: company.employees, gte: 50}, points: 20}
  - {id: mid, dimension: fit, group: size, when: {trait: company.employees, gte: 10}, points: 10}
  - {id: title, dimension: fit, when: {all: [{trait: title, in: [CFO, Owner]}, {trait: country, is: CH}]}, points: 15}
  - {id: pricing, dimension: interest, on: page.viewed, where: {property: path, is: /pricing}, points: 15, count: once}
  - {id: offers, dimension: interest, on: offer.downloaded, points: 10, fades: {after: 60d}}
scale: {max: 100}
stages: [{name: Lead, from: 40}, {name: MQL, from: 75}]
grades: {fit: {A: 30, B: 0}, interest: {1: 15, 2: 0}}
overrides:
  - {id: area, when: {trait: country, is: US}, set: 0, reason: outside}
  - {id: student, when: {trait: title, is: Student}, disqualify: true, reason: no buyer}
"""

CASES = [
    pytest.param("count: once}", "count: {first: 2}}", ["rule pricing: count once → first: 2"], id="count"),
    pytest.param(
        "is: /pricing}, points: 15", "is: /pricing}, points: 20", ["rule pricing: points 15 → 20"], id="points"
    ),
    pytest.param("points: 10, fades", "points: 12.5, fades", ["rule offers: points 10 → 12.5"], id="decimals"),
    pytest.param("{after: 60d}", "{after: 90d}", ["rule offers: fades.after 60d → 90d"], id="fading"),
    pytest.param(", fades: {after: 60d}", "", ["rule offers: fades after: 60d removed"], id="no more fading"),
    pytest.param(
        "[CFO, Owner]",
        "[CFO, Partner, CEO]",
        ["rule title: when.all[0].in Owner removed", "rule title: when.all[0].in Partner, CEO added"],
        id="a list",
    ),
    pytest.param(
        "{trait: country, is: CH}", "{trait: country, is: VN}", ["rule title: when.all[1].is CH → VN"], id="deep"
    ),
    pytest.param(
        "{name: MQL, from: 75}", "{name: MQL, from: 80}", ["stage MQL now begins at 80 instead of at 75"], id="stage"
    ),
    pytest.param(
        "{name: MQL, from: 75}", "{name: MQL, above: 75}", ["stage MQL now begins above 75 instead of at 75"], id="edge"
    ),
    pytest.param(
        "{name: Lead, from: 40}",
        "{name: Hot, from: 40}",
        ["stage Lead removed: it began at 40", "stage Hot added: it begins at 40"],
        id="a stage renamed",
    ),
    pytest.param("scale: {max: 100}", "scale: {max: 120}", ["model: scale.max 100 → 120"], id="scale"),
    pytest.param("title: A sample", "title: Another", ["model: title A sample → Another"], id="title"),
    pytest.param("title: A sample", "title: A sample\nprecedence: 5", ["model: precedence 5 added"], id="precedence"),
    pytest.param("fit: {max: 50,", "fit: {max: 60,", ["dimension fit: max 50 → 60"], id="cap of a dimension"),
    pytest.param("interest: {}", "interest: {max: 40}", ["dimension interest: max 40 added"], id="a cap more"),
    pytest.param("{A: 30, B: 0}", "{A: 35, B: 0}", ["grade of fit: A 30 → 35"], id="grade"),
    pytest.param("set: 0", "set: 5", ["override area: set 0 → 5"], id="override"),
    pytest.param(
        "- {id: offers, dimension: interest, on: offer.downloaded, points: 10, fades: {after: 60d}}\n",
        "\n",
        ["rule offers removed: it was dimension: interest, on: offer.downloaded, points: 10, fades: {after: 60d}"],
        id="a rule removed",
    ),
]


def lines(text: str, *ids: str) -> str:
    """The document with these two lines exchanged."""
    rows = text.splitlines()
    one, other = (next(i for i, row in enumerate(rows) if f"id: {id_}," in row) for id_ in ids)
    rows[one], rows[other] = rows[other], rows[one]
    return "\n".join(rows)


class TestCompare:
    @pytest.mark.parametrize(("written", "instead", "sentences"), CASES)
    def test_says_what_differs(self, written: str, instead: str, sentences: list[str]) -> None:
        assert written in BASE
        changes = compare(parse(BASE), parse(BASE.replace(written, instead, 1)))
        assert [change.sentence for change in changes] == sentences

    def test_another_spelling_is_no_difference(self) -> None:
        assert compare(parse(BASE), parse("# a remark\n" + BASE.replace("60d", "1440h"))) == []

    @pytest.mark.parametrize(
        ("ids", "sentence"),
        [
            pytest.param(
                ("big", "mid"),
                "rule mid moved to the front: of group size only the first match counts",
                id="first match",
            ),
            pytest.param(
                ("area", "student"),
                "override student moved to the front: the first override that holds decides",
                id="overrides",
            ),
            pytest.param(
                ("pricing", "offers"), "The rules stand in another order, which changes no score.", id="rules"
            ),
        ],
    )
    def test_tells_what_moved(self, ids: tuple[str, str], sentence: str) -> None:
        (change,) = compare(parse(BASE), parse(lines(BASE, *ids)))
        assert (change.kind, change.sentence) == ("moved", sentence)

    @pytest.mark.parametrize(
        ("dimensions", "subject", "sentence"),
        [
            pytest.param(
                ("{a: {}, b: {}}", "{b: {}, a: {}}"),
                "dimensions",
                "The dimensions stand in another order, in which receipts list and round them; no total changes.",
                id="dimensions",
            ),
            pytest.param(
                ("{a: {groups: {x: {max: 5}, y: {max: 9}}}}", "{a: {groups: {y: {max: 9}, x: {max: 5}}}}"),
                "dimension a",
                "The groups of dimension a stand in another order, in which receipts list and round them;"
                " no total changes.",
                id="groups",
            ),
        ],
    )
    def test_tells_that_parts_are_rounded_in_another_order(
        self, dimensions: tuple[str, str], subject: str, sentence: str
    ) -> None:
        rules = "[{id: r, dimension: a, on: page.viewed, points: 1}]"
        old, new = (parse(f"{{model: m, dimensions: {each}, rules: {rules}}}") for each in dimensions)
        (change,) = compare(old, new)
        assert (change.kind, change.subject, change.sentence) == ("moved", subject, sentence)
        assert content_hash(old) != content_hash(new)

    def test_a_long_condition_is_cut(self) -> None:
        much = ", ".join(f"Role{number}" for number in range(500))
        (change,) = compare(
            parse(BASE),
            parse(
                BASE.replace(
                    "{id: student, when: {trait: title, is: Student}",
                    f"{{id: student, when: {{trait: title, in: [{much}]}}",
                )
            ),
        )[-1:]
        assert len(change.sentence) < 250

    @given(st.permutations([f"r{number}" for number in range(7)]))
    def test_moves_as_few_as_needed(self, order: list[str]) -> None:
        def model(names: list[str]) -> str:
            rules = [f"{{id: {n}, dimension: d, group: g, when: {{trait: {n}, is: x}}, points: 1}}" for n in names]
            groups = "{d: {groups: {g: {first_match: true}}}}"
            return f"{{model: m, dimensions: {groups}, rules: [{', '.join(rules)}]}}"

        old, new = parse(model(sorted(order))), parse(model(order))
        moved = [change.subject for change in compare(old, new)]
        stayed = [name for name in order if f"rule {name}" not in moved]
        assert stayed == sorted(stayed)
        assert bool(moved) == (content_hash(old) != content_hash(new))

    @given(
        st.lists(
            st.tuples(st.sampled_from("abcd"), st.integers(1, 3)), min_size=1, max_size=4, unique_by=lambda r: r[0]
        ),
        st.lists(
            st.tuples(st.sampled_from("abcd"), st.integers(1, 3)), min_size=1, max_size=4, unique_by=lambda r: r[0]
        ),
    )
    def test_is_empty_exactly_for_equal_hashes(self, one: list[tuple[str, int]], other: list[tuple[str, int]]) -> None:
        models = [
            parse(f"{{model: m, rules: [{', '.join(f'{{id: {i}, on: page.viewed, points: {p}}}' for i, p in rules)}]}}")
            for rules in (one, other)
        ]
        assert (compare(*models) == []) == (content_hash(models[0]) == content_hash(models[1]))
