"""Random valid model documents that use every word of the language.

The vocabulary is small, so that random facts meet random rules: two names of traits and properties, three event types,
lengths of hours.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

TYPES = ("page.viewed", "email.opened", "offer.downloaded")
NAMES = ("p", "q")
LENGTHS = ("1h", "2h", "3h", "5h")
POINTS = (-7, -2.5, -1, 0, 1, 2, 3.333, 10)
Document = dict[str, Any]
Documents = st.SearchStrategy[Document]

lengths = st.sampled_from(LENGTHS)
points = st.sampled_from(POINTS)
names = st.sampled_from(NAMES)
types = st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True)
one_or_more_types = st.one_of(st.sampled_from(TYPES), types)
caps = st.fixed_dictionaries({}, optional={"max": st.sampled_from([0, 1, 5]), "min": st.sampled_from([-5, -1.5, 0])})
texts = st.sampled_from(["Größe", "Bảng điểm", "客户 🙂", "عميل", "= no formula here", "NO"])
scalars = st.sampled_from([1, 2, 3, 2.5, "CFO", "owner of 3", "2", True, "==", "==x"])


@st.composite
def comparisons(draw: st.DrawFn, subject: str) -> Document:
    word, operand = draw(
        st.one_of(
            st.tuples(st.sampled_from(["is", "is_not", "contains"]), scalars),
            st.tuples(st.sampled_from(["in", "not_in"]), st.lists(scalars, min_size=1, max_size=3)),
            st.tuples(st.sampled_from(["starts_with", "ends_with"]), st.sampled_from(["c", "O", "3"])),
            st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), st.sampled_from([1, 2, 2.5])),
            st.tuples(st.just("between"), st.just([1, 2])),
            st.tuples(st.just("matches"), st.sampled_from(["C", "^[0-9]+$"])),
            st.tuples(st.just("exists"), st.booleans()),
            st.tuples(st.sampled_from(["within", "older_than"]), lengths),
            st.tuples(
                st.sampled_from(["is_valid_email", "is_free_email", "is_disposable_email", "looks_fake"]),
                st.booleans(),
            ),
        )
    )
    return {subject: draw(names), word: operand}


@st.composite
def event_counts(draw: st.DrawFn) -> Document:
    found: Document = {"event": draw(st.one_of(st.just("any"), one_or_more_types))}
    if draw(st.booleans()):
        found["where"] = draw(conditions("property"))
    if draw(st.booleans()):
        found["within"] = draw(lengths)
    if draw(st.booleans()):
        found["distinct"] = draw(names)
    bound = st.tuples(st.sampled_from(["is", "gt", "gte", "lt", "lte"]), st.integers(0, 3))
    count = draw(st.one_of(st.none(), bound, st.just(("between", [1, 2]))))
    return found if count is None else found | {"count": {count[0]: count[1]}}


@st.composite
def answers(draw: st.DrawFn, others: Sequence[str]) -> Document:
    """Conditions on other models; these may have a dimension «fit», stages «low» and «high», and grades."""
    asked = draw(
        st.one_of(
            st.fixed_dictionaries(
                {
                    "score": st.sampled_from(
                        [{"gte": 2}, {"lt": 1.5}, {"is": 0}, {"between": [-1, 4]}, {"gt": 0, "lte": 9}]
                    )
                },
                optional={"dimension": st.just("fit")},
            ),
            st.fixed_dictionaries(
                {"stage": st.sampled_from(["low", {"is_not": "high"}, {"in": ["low", "high"]}, {"exists": False}])}
            ),
            st.fixed_dictionaries({"grade": st.sampled_from(["A1", {"not_in": ["A1", "D4"]}, {"exists": True}])}),
            st.fixed_dictionaries({"disqualified": st.booleans()}),
            st.fixed_dictionaries({"applies": st.booleans()}),
        )
    )
    return {"model": draw(st.sampled_from(others)), **asked}


def conditions(subject: str, others: Sequence[str] = ()) -> Documents:
    """With subject «trait» also counts of events, and conditions on the other models named."""
    leaves: list[Documents] = [comparisons(subject)]
    if subject == "trait":
        leaves.append(event_counts())
        if others:
            leaves.append(answers(others))
    return st.recursive(
        st.one_of(leaves),
        lambda inner: st.one_of(
            st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=2)}),
            st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=2)}),
            st.fixed_dictionaries({"not": inner}),
        ),
        max_leaves=3,
    )


counts = st.one_of(
    st.sampled_from(["each", "once", "once_while_active"]),
    st.just({"once_per": "p"}),
    st.builds(lambda n: {"first": n}, st.integers(1, 3)),
    st.builds(lambda n: {"from": n}, st.integers(1, 3)),
    st.just({"first_points": 1, "then": 2.5}),
)


def fadings(*, smooth: bool, ending: bool = False) -> Documents:
    found: list[Documents] = [
        st.builds(lambda length: {"after": length}, lengths),
        st.builds(
            lambda length, by: {"every": length, "by": by}, lengths, st.sampled_from(["15%", "40%", "50%", "100%"])
        ),
    ]
    if smooth:
        found.append(st.builds(lambda length: {"linear": length}, lengths))
        if not ending:
            found.append(st.builds(lambda length: {"half_life": length}, lengths))
    return st.one_of(found)


@st.composite
def rules(draw: st.DrawFn, place: int, *, others: Sequence[str], blocks: Sequence[str], smooth: bool) -> Document:
    rule: Document = {"id": f"r{place}"}
    kind = draw(st.sampled_from(["when", "on", "on", "idle"]))
    count: Any = "each"
    if kind == "when":
        rule["when"] = draw(conditions("trait", others))
    elif kind == "on":
        rule["on"] = draw(one_or_more_types)
        count = rule["count"] = draw(counts)
        if draw(st.booleans()):
            rule["where"] = draw(conditions("property"))
    else:
        rule["idle"] = {
            "for": draw(lengths),
            "of": draw(st.one_of(st.just("any"), one_or_more_types)),
            "kept": draw(st.booleans()),
            "tiers": draw(st.sampled_from(["cumulative", "replace"])),
        }
    if (kind == "on" or (kind == "idle" and rule["idle"]["kept"])) and draw(st.booleans()):
        rule["fades"] = draw(fadings(smooth=smooth, ending=count == "once_while_active"))
    if draw(st.integers(0, 4)) == 0:
        rule["title"] = draw(texts)
    return rule | draw(_worth(by_count=isinstance(count, dict) and "first_points" in count, blocks=blocks))


@st.composite
def _worth(draw: st.DrawFn, *, by_count: bool, blocks: Sequence[str]) -> Document:
    place = draw(
        st.sampled_from([{}, {"dimension": "fit"}, {"dimension": "fit", "group": "g"}, {"dimension": "interest"}])
    )
    kind = (
        "points"
        if by_count
        else draw(st.sampled_from(["points", "points", "milestone", *(["share"] if blocks else [])]))
    )
    if kind == "milestone":
        return {"milestone": draw(st.sampled_from([0.5, 3, 8]))} | {key: place[key] for key in place if key != "group"}
    if kind == "share":
        return {"share": draw(st.sampled_from([-2, -1])), "dimension": draw(st.sampled_from(blocks)), **draw(caps)}
    return place | draw(caps) | ({} if by_count else {"points": draw(points)})


@st.composite
def overrides(draw: st.DrawFn, place: int, others: Sequence[str]) -> Document:
    does = draw(st.sampled_from([{"set": 0}, {"set": 7.5}, {"disqualify": True}]))
    return {"id": f"o{place}", "when": draw(conditions("trait", others)), "reason": draw(texts), **does}


@st.composite
def examples(draw: st.DrawFn, place: int) -> Document:
    """Acceptance cases of the right shape; whether they come out is another matter."""
    moment = st.sampled_from(["0d", "1h", "3h"])
    fact = st.one_of(
        st.fixed_dictionaries(
            {"on": st.sampled_from(TYPES)},
            optional={
                "at": moment,
                "times": st.integers(1, 3),
                "properties": st.fixed_dictionaries({"p": st.one_of(scalars, st.lists(scalars, max_size=2))}),
            },
        ),
        st.fixed_dictionaries(
            {"traits": st.dictionaries(names, st.one_of(st.none(), scalars))}, optional={"at": moment}
        ),
    )
    number = st.sampled_from([0, 3, -2.5, 66.67, "1.50", "2.0"])
    expected = st.one_of(
        st.fixed_dictionaries({"applies": st.just(False)}, optional={"at": moment}),
        st.fixed_dictionaries(
            {"total": number},
            optional={
                "at": moment,
                "raw": number,
                "stage": st.none(),
                "grade": st.none(),
                "override": st.none(),
                "disqualified": st.none(),
                "applies": st.just(True),
                "dimensions": st.fixed_dictionaries({"fit": number}),
            },
        ),
    )
    return draw(
        st.fixed_dictionaries(
            {
                "name": st.just(f"case {place}"),
                "expect": st.one_of(expected, st.lists(expected, min_size=1, max_size=2)),
            },
            optional={
                "given": st.lists(fact, max_size=3),
                "traits": st.dictionaries(names, scalars),
                "first_seen": moment,
            },
        )
    )


@st.composite
def documents(
    draw: st.DrawFn,
    *,
    name: str = "m",
    others: Sequence[str] = (),
    smooth: bool = True,
    texts_for_people: bool = True,
) -> Document:
    """A valid document; `others` are the models it may ask, `smooth` lets it fade linearly and by half-lives."""
    blocks = ("left", "right") if draw(st.booleans()) else ()
    dimensions: Document = {
        "fit": draw(caps) | {"groups": {"g": draw(caps) | {"first_match": draw(st.booleans())}}},
        "interest": draw(caps),
        **{block: {} for block in blocks},
    }
    count = draw(st.integers(1, 5))
    found = [draw(rules(place, others=others, blocks=blocks, smooth=smooth)) for place in range(count)]
    for block in blocks:
        for place, share in enumerate(draw(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=2))):
            found.append({"id": f"{block}{place}", "dimension": block, "share": share, "on": draw(one_or_more_types)})
    document: Document = {"model": name, "dimensions": dimensions, "rules": found}
    if blocks:
        document["split"] = {"points": draw(st.sampled_from([100, 10, 33.5])), "over": draw(st.permutations(blocks))}
    optional: dict[str, Documents] = {
        "audience": conditions("trait", others),
        "judgements": _judgements(),
        "overrides": st.lists(st.integers(), max_size=2).flatmap(
            lambda several: st.tuples(*(overrides(place, others) for place in range(len(several)))).map(list)
        ),
        "scale": st.sampled_from([{}, {"min": 0, "max": 10}, {"min": -2.5}, {"max": 4}]),
        "stages": st.sampled_from(
            [[], [{"name": "low", "from": 0}, {"name": "high", "above": 3}], [{"name": "low", "above": 1.5}]]
        ),
        "grades": st.just({"fit": {"A": 3, "B": 1, "D": -2}, "interest": {"1": 2, "4": -1.5}}),
        "precedence": st.integers(0, 1000),
    }
    if texts_for_people:
        optional |= dict.fromkeys(("title", "description", "persona", "product_line", "business_unit"), texts)
        optional["examples"] = st.integers(1, 2).flatmap(
            lambda several: st.tuples(*(examples(place) for place in range(several))).map(list)
        )
    document |= {word: draw(strategy) for word, strategy in optional.items() if draw(st.booleans())}
    return draw(parametrised(document))


@st.composite
def _judgements(draw: st.DrawFn) -> Any:
    if draw(st.booleans()):
        return draw(st.booleans())
    return draw(caps) | draw(st.sampled_from([{}, {"dimension": "fit"}]))


@st.composite
def parametrised(draw: st.DrawFn, document: Document) -> Document:
    """The same, with some of its points and lengths written as formulas."""
    if draw(st.booleans()):
        return document
    for rule in document["rules"]:
        if "points" in rule and draw(st.booleans()):
            rule["points"] = draw(st.sampled_from(["= some", "=some*2 - (some + 1)", "= -some / 4", "= 1.5 * some"]))
        if "after" in rule.get("fades", {}) and draw(st.booleans()):
            rule["fades"]["after"] = "= expiry"
    some = draw(st.sampled_from([3, {"value": 3, "min": 1, "max": 5, "title": "How many"}]))
    return document | {"parameters": {"some": some, "expiry": draw(lengths)}}
