from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from assay.profiles import merging
from assay.profiles.merging import Groups, State, canonical, learn, state, stated_of, traits_of, values_of
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

AT = 1_700_000_000_000_000


class TestCanonical:
    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(value, id=repr(value))
            for value in (
                "Đặng «x»",
                'a\n\t"b\\\x1f\u2028',
                0,
                -(2**63),
                True,
                False,
                1.0,
                -0.0,
                0.1,
                1e22,
                1e23,
                1.5e300,
                5e-324,
                [1, "a", 2.5, [True]],
                {"b": 1, "a": {"c": [1e17]}},
            )
        ],
    )
    def test_stays_the_same_when_it_comes_back_from_the_database(self, value: Any, tenant: SignedUp) -> None:
        written = canonical(value)
        with tenant_session(tenant.tenant_id) as session:
            read = session.execute(text("SELECT CAST(:value AS jsonb) AS value"), {"value": written}).scalar_one()
        assert canonical(read) == written


class TestLearn:
    @pytest.mark.parametrize(
        ("known", "told", "left"),
        [
            pytest.param((AT, '"a"', 1), (AT + 1, '"0"', 1), (AT + 1, '"0"', 1), id="later wins"),
            pytest.param((AT, '"a"', 1), (AT - 1, '"z"', 9), (AT, '"a"', 1), id="earlier loses"),
            pytest.param((AT, '"a"', 9), (AT, '"b"', 1), (AT, '"b"', 1), id="tie goes to the greater value"),
            pytest.param((AT, '"a"', 1), (AT, '"a"', 2), (AT, '"a"', 2), id="then to the greater source"),
        ],
    )
    def test_the_last_word_stays(self, known: Any, told: Any, left: Any) -> None:
        one, other = {"title": known}, {"title": told}
        assert learn(one, {"title": told}) == (left == told)
        learn(other, {"title": known})
        assert one == other == {"title": left}

    def test_fields_are_told_apart(self) -> None:
        known = {"a": (AT, "1", 1)}
        learn(known, {"b": (AT - 5, "2", 1)})
        assert traits_of(known) == '{"a":1,"b":2}'
        assert stated_of(known) == f'{{"a":[{AT},1],"b":[{AT - 5},1]}}'

    def test_reads_back_what_was_written(self) -> None:
        assert state({"a": 1.0}, {"a": [AT, 3]}) == {"a": (AT, "1.0", 3)}


# Few instants and names, so that statements meet and tie; each value of a type of its own, all of them alike.
VALUES = st.sampled_from([1, 1.0, True, "1", "true", [1], [1.0], [True], ["1"], 0, -0.0, False, "", "Đặng", 1e22, None])
SAID = st.tuples(
    st.sampled_from(["name", "domain", "a", "b", "cc", "item_1", "item_22"]),
    st.integers(0, 2),
    VALUES,
    st.integers(1, 2),
)


def kind_of(value: object) -> type:
    """JSON has one kind of number: 1e22 comes back as the whole number it is, and 1.0 stays apart from 1 as text."""
    return float if type(value) is int else type(value)


def learned(batches: Sequence[Sequence[Any]]) -> State:
    """Each batch gathered for itself and then added, as the stage does it."""
    known: State = {}
    for batch in batches:
        gathered: State = {}
        for name, at, value, source in batch:
            learn(gathered, {name: (at, canonical(value), source)})
        learn(known, gathered)
    return known


@st.composite
def retold(draw: st.DrawFn) -> tuple[list[Any], list[list[Any]]]:
    said = draw(st.lists(SAID, max_size=14))
    again = draw(st.permutations(said + draw(st.lists(st.sampled_from(said), max_size=4) if said else st.just([]))))
    cuts = sorted(draw(st.lists(st.integers(0, len(again)), max_size=4)))
    return said, [again[start:end] for start, end in zip([0, *cuts], [*cuts, len(again)], strict=True)]


class TestTheSetOfStatements:
    @given(story=retold())
    def test_decides(self, story: tuple[list[Any], list[list[Any]]]) -> None:
        said, batches = story
        winners = {}
        for name, at, value, source in said:
            statement = (at, canonical(value), source)
            winners[name] = max(winners.get(name, statement), statement)
        assert learned(batches) == learned([said]) == winners

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(story=retold(), most=st.integers(1, 6))
    def test_decides_which_fields_stay_of_too_many(
        self, story: tuple[list[Any], list[list[Any]]], most: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said, batches = story
        whole = learned([said])
        with monkeypatch.context() as context:
            context.setattr(merging, "MOST_FIELDS", most)
            left = learned(batches)
        first = [name for name in ("name", "domain", "a", "b", "cc", "item_1", "item_22") if name in whole]
        first.sort(key=merging._precedence)
        assert left == {name: whole[name] for name in first[:most]}

    @given(story=retold())
    def test_keeps_types_through_the_text_that_is_stored(self, story: tuple[list[Any], list[list[Any]]]) -> None:
        for name, (at, value, source) in learned([story[0]]).items():
            told = {
                canonical(each): each for field, when, each, who in story[0] if (field, when, who) == (name, at, source)
            }
            kept = values_of({name: (at, value, source)})[name]
            assert (kind_of(kept), kept) == (kind_of(told[value]), told[value])
            assert canonical(kept) == value


class TestTooManyFields:
    def test_those_that_tell_who_it_is_stay(self) -> None:
        known: State = {}
        for number in range(merging.MOST_FIELDS * 2):
            assert learn(known, {f"field_{number:05}": (AT, "1", 1)}) == (number < merging.MOST_FIELDS)
        assert learn(known, {"title": (AT, '"CFO"', 1), "company_name": (AT, '"Acme"', 1)})
        assert len(known) == merging.MOST_FIELDS
        assert {"title", "company_name", "field_00000"} <= known.keys()

    def test_what_does_not_stay_is_no_news(self) -> None:
        known: State = {f"f{number:03}": (AT, "1", 1) for number in range(merging.MOST_FIELDS)}
        before = dict(known)
        assert not learn(known, {"z_999999": (AT, "1", 1)})
        assert known == before
        assert learn(known, {"z_999999": (AT, "1", 1), "f000": (AT + 1, "2", 1)})


class TestGroups:
    def test_joins_chains(self) -> None:
        groups: Groups[int] = Groups()
        for number in range(6):
            groups.find(number)
        for one, other in ((0, 1), (2, 3), (1, 2), (5, 5)):
            groups.join(one, other)
        assert sorted(sorted(group) for group in groups.members()) == [[0, 1, 2, 3], [4], [5]]
