"""The file of plans: what it may hold, and what is said of what it may not."""

import pytest

from assay_tenants.plans.catalogue import OUR_OWN, UNLIMITED, Plan, WrongCatalogue, plan_of, read


def test_a_plan_has_the_limits_that_it_states_and_no_others() -> None:
    [_, team] = read("plans: [{name: team, title: Team, events_per_month: 10, events_at_most: 12, offered: true}]")
    assert team == Plan("team", "Team", events_per_month=10, events_at_most=12, offered=True)
    assert team.models is None


def test_a_name_is_its_title_where_there_is_none() -> None:
    assert read("plans: [{name: team}]")[1].title == "team"


def test_there_is_always_a_plan_without_limits() -> None:
    assert read("plans: [{name: team, leads: 1}]")[0].name == UNLIMITED
    assert [plan.name for plan in OUR_OWN if not plan.is_limited] == [UNLIMITED]


def test_a_plan_that_was_taken_out_of_the_file_limits_nothing() -> None:
    assert not plan_of("long-gone").is_limited


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("plans: [", "are not YAML", id="no YAML"),
        pytest.param("team: 1", "a list of 1 to 100", id="no list"),
        pytest.param("plans: []", "a list of 1 to 100", id="empty"),
        pytest.param("plans: [team]", "plans[0]: a plan is a mapping", id="a word"),
        pytest.param("plans: [{title: Team}]", "plans[0].name", id="no name"),
        pytest.param("plans: [{name: team, evnts: 1}]", "plans[0].evnts: there is no such field", id="misspelt"),
        pytest.param("plans: [{name: team, leads: -1}]", "plans[0].leads: a whole number", id="negative"),
        pytest.param("plans: [{name: team, leads: true}]", "plans[0].leads: a whole number", id="yes is no number"),
        pytest.param("plans: [{name: team, offered: 1}]", "plans[0].offered: true or false", id="offered"),
        pytest.param("plans: [{name: a}, {name: a}]", "'a' is there twice", id="twice"),
        pytest.param(
            "plans: [{name: a, leads: 5, leads_at_most: 4}]", "at least leads, which is 5", id="less than included"
        ),
        pytest.param(
            "plans: [{name: a, trial_days: 5, offered: true}]", "a trial begins with the sign-up", id="offered trial"
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(WrongCatalogue) as refused:
        read(text)
    assert said in str(refused.value)
