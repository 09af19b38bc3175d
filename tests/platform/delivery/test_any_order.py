"""Whatever the order of changes, failures, kills and merges: in the end each contact has its lead's score, and no more
was written than there was to tell and than failed."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.delivery import settling
from assay.scoring import asking
from assay_sdk import Alias, Identifiers
from tests.amount import examples

PEOPLE = ("c0", "c1", "c2")
Step = tuple[str, Any]

people = st.sampled_from(PEOPLE)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("act"), people),
        st.tuples(st.just("score"), st.none()),
        st.tuples(st.just("deliver"), st.none()),
        st.tuples(st.just("deliver and be killed"), st.none()),
        st.tuples(st.just("fail"), st.sampled_from([503, 400, 429])),
        st.tuples(st.just("change meanwhile"), people),
        st.tuples(st.just("poison"), people),
        st.tuples(st.just("wait"), st.none()),
        st.tuples(st.just("merge"), st.tuples(people, people)),
    ),
    min_size=3,
    max_size=14,
)


class Killed(BaseException):
    pass


def act_and_score(house: Any, id_: str) -> None:
    house.act(id_)
    house.score()


def deliver(house: Any, *, killed: bool = False) -> None:
    with pytest.MonkeyPatch.context() as patched:
        if killed:

            def write(*_: object, **__: object) -> None:
                raise Killed

            patched.setattr(settling, "write", write)
        try:
            house.deliver()
        except Killed:
            house.wait()


def run(house: Any, story: list[Step]) -> int:
    """How often something may have been written in vain."""
    failures = 0
    for name, told in story:
        if name == "act":
            house.act(told)
        elif name == "score":
            house.score()
        elif name == "deliver":
            deliver(house)
        elif name == "deliver and be killed":
            failures += 1
            deliver(house, killed=True)
        elif name == "fail":
            house.vendor.faults.next(told, headers={"Retry-After": "0"})
            failures += 1
        elif name == "change meanwhile":

            def meanwhile(id_: str = told) -> None:
                house.vendor.meanwhile = lambda: None
                act_and_score(house, id_)

            house.vendor.meanwhile = meanwhile
        elif name == "poison":
            house.vendor.poison ^= {told}
        elif name == "wait":
            house.wait()
        else:
            one, other = (Identifiers(user_id=f"u{id_}") for id_ in told)
            if told[0] != told[1]:
                house.learn(Alias(one, other, house.at))
    house.vendor.faults.clear()
    house.vendor.poison.clear()
    house.vendor.meanwhile = lambda: None
    for _ in range(3):
        house.score()
        house.wait()
        deliver(house)
    return failures


@given(story=steps)
@settings(max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_the_end_all_is_told(make_house, vendor, story) -> None:
    vendor.contacts.clear()
    vendor.writes.clear()
    vendor.faults.clear()
    house = make_house()
    for id_ in PEOPLE:
        house.know(id_, user_id=f"u{id_}")
    failures = run(house, story)
    for id_ in PEOPLE:
        (score,) = asking.scores_now(house.tenant_id, house.lead(id_))
        assert house.told(id_) == score.total // 1000
        assert house.push(id_).state == "sent"
    acts = sum(name in ("act", "change meanwhile", "merge") for name, _ in story)
    for id_ in PEOPLE:
        assert vendor.writes[id_] <= 1 + acts + failures
    assert house.target().due_at is None
    before = dict(vendor.writes)
    house.wait()
    deliver(house)
    assert vendor.writes == before
