import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from assay_tenants.database import directory_session
from assay_tenants.errors import Conflict
from assay_tenants.factors import WrongFactor, list_methods, overview, recovery


@pytest.fixture
def codes(somebody: Any) -> tuple[str, ...]:
    somebody.adds_app()
    return recovery.regenerate(somebody.person_id)


def test_ten_that_nobody_guesses_and_none_is_stored(somebody: Any, codes: tuple[str, ...]) -> None:
    assert len(set(codes)) == 10
    letters = codes[0].replace("-", "")
    assert len(letters) * math.log2(32) >= 112
    with directory_session() as session:
        rows = session.execute(
            text("SELECT string_agg(row_to_json(c)::text, '') FROM tenancy.recovery_codes c WHERE person_id = :p"),
            {"p": somebody.person_id},
        ).scalar_one()
    assert not any(code in rows or code.replace("-", "") in rows for code in codes)


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(str, id="as shown"),
        pytest.param(str.lower, id="small letters"),
        pytest.param(lambda code: code.replace("-", ""), id="without hyphens"),
        pytest.param(lambda code: f"  {code.replace('-', ' ')}\n", id="with spaces"),
        pytest.param(lambda code: code.replace("0", "O").replace("1", "l"), id="letters for digits"),
    ],
)
def test_each_works_once_however_it_is_typed(somebody: Any, codes: tuple[str, ...], typed: Any) -> None:
    recovery.prove(somebody.person_id, typed(codes[3]))
    assert overview(somebody.person_id).codes_left == 9
    assert somebody.mails()[-1] == "A recovery code was used to log in to Assay as you"
    with pytest.raises(WrongFactor) as refused:
        recovery.prove(somebody.person_id, codes[3])
    assert refused.value.field == "recovery"


def test_of_many_with_one_code_at_once_one_gets_in(somebody: Any, codes: tuple[str, ...]) -> None:
    def attempt(_: int) -> bool:
        try:
            recovery.prove(somebody.person_id, codes[0])
        except WrongFactor:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(attempt, range(8))) == [False] * 7 + [True]


@pytest.mark.parametrize("typed", ["", "x" * 24, "-", "ß" * 300, "\x00"])
def test_others_are_refused(somebody: Any, codes: tuple[str, ...], typed: str) -> None:
    with pytest.raises(WrongFactor, match="no recovery code"):
        recovery.prove(somebody.person_id, typed)


def test_another_persons_code_is_none(somebody: Any, other: Any, codes: tuple[str, ...]) -> None:
    other.adds_app()
    with pytest.raises(WrongFactor):
        recovery.prove(other.person_id, codes[0])
    assert overview(somebody.person_id).codes_left == 10


def test_new_ones_take_the_place_of_the_old(somebody: Any, codes: tuple[str, ...]) -> None:
    new = recovery.regenerate(somebody.person_id)
    with pytest.raises(WrongFactor):
        recovery.prove(somebody.person_id, codes[0])
    recovery.prove(somebody.person_id, new[0])


def test_without_a_factor_there_is_nothing_to_stand_in_for(somebody: Any) -> None:
    with pytest.raises(Conflict, match="first"):
        recovery.regenerate(somebody.person_id)


def test_used_up_they_are_no_method_any_more(somebody: Any, codes: tuple[str, ...]) -> None:
    for code in codes:
        recovery.prove(somebody.person_id, code)
    assert list_methods(somebody.person_id) == ("totp",)
