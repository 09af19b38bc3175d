from datetime import UTC, datetime
from typing import Any

import pytest

from assay.intake.imports.cells import cell_value, parse_instant
from assay.intake.imports.errors import RowRefused


class TestCellValue:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            pytest.param("40", 40, id="whole"),
            pytest.param("-7", -7, id="negative"),
            pytest.param("0", 0, id="zero"),
            pytest.param("007", "007", id="leading zeros"),
            pytest.param("-0", "-0", id="minus zero"),
            pytest.param("93.994", 93.994, id="decimal"),
            pytest.param("1.0", 1.0, id="decimal zero"),
            pytest.param("1.10", "1.10", id="a version"),
            pytest.param("0.1", 0.1, id="tenth"),
            pytest.param("00.5", "00.5", id="leading zeros of a decimal"),
            pytest.param("1e5", "1e5", id="exponent"),
            pytest.param("+84 90 123", "+84 90 123", id="telephone"),
            pytest.param("1,5", "1,5", id="decimal comma"),
            pytest.param("true", "true", id="truth"),
            pytest.param("123456789012345678901", "123456789012345678901", id="beyond 64 bits"),
            pytest.param("٣", "٣", id="other digits"),
            pytest.param("nan", "nan", id="not a number"),
        ],
    )
    def test_is_a_number_only_where_it_loses_nothing(self, text: str, value: Any) -> None:
        found = cell_value(text)
        assert found == value
        assert type(found) is type(value)


class TestParseInstant:
    @pytest.mark.parametrize(
        ("text", "instant"),
        [
            pytest.param("2026-05-31T14:00:00Z", datetime(2026, 5, 31, 14, tzinfo=UTC), id="utc"),
            pytest.param("2026-05-31 14:00:00.5+07:00", datetime(2026, 5, 31, 7, 0, 0, 500_000, UTC), id="zone"),
            pytest.param("2026-05-31T14:00", datetime(2026, 5, 31, 14, tzinfo=UTC), id="no zone"),
            pytest.param("2026-05-31", datetime(2026, 5, 31, tzinfo=UTC), id="no time"),
        ],
    )
    def test_reads_iso(self, text: str, instant: datetime) -> None:
        assert parse_instant(text, column="at") == instant

    @pytest.mark.parametrize("text", ["31.05.2026", "05/31/2026", "yesterday", "0001-01-01T00:00+14:00", "1780000000"])
    def test_refuses_what_could_be_read_in_two_ways(self, text: str) -> None:
        with pytest.raises(RowRefused, match="ISO 8601") as refused:
            parse_instant(text, column="at")
        assert refused.value.column == "at"
