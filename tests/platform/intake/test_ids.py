from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.intake.ids import instant_of, message_id

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 # bounds


@given(INSTANTS)
def test_is_a_uuid_of_version_7_that_knows_its_millisecond(at: datetime) -> None:
    id_ = message_id(at)
    assert (id_.version, id_.variant) == (7, "specified in RFC 4122")
    assert instant_of(id_) == at.replace(microsecond=at.microsecond // 1000 * 1000)


@given(INSTANTS)
def test_a_later_microsecond_sorts_later(at: datetime) -> None:
    assert message_id(at) < message_id(at + timedelta(microseconds=1))


@pytest.mark.parametrize("number", [0, 2**128 - 1])
def test_id_of_somebody_else_still_has_an_instant(number: int) -> None:
    assert instant_of(UUID(int=number)).tzinfo is UTC
