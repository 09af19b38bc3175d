from typing import Any

import pytest
from sqlalchemy import text

from assay.profiles.merging import Groups, canonical, learn, state, stated_of, traits_of
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


class TestGroups:
    def test_joins_chains(self) -> None:
        groups: Groups[int] = Groups()
        for number in range(6):
            groups.find(number)
        for one, other in ((0, 1), (2, 3), (1, 2), (5, 5)):
            groups.join(one, other)
        assert sorted(sorted(group) for group in groups.members()) == [[0, 1, 2, 3], [4], [5]]
