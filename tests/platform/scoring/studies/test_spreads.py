import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.scoring.studies.spreads import binned, counted_totals

POINT = 1000


def counted(*points: float | None) -> dict[str, object]:
    return counted_totals(pl.Series([None if one is None else round(one * POINT) for one in points], dtype=pl.Int64))


class TestCounted:
    @pytest.mark.parametrize(
        ("points", "width", "counts"),
        [
            pytest.param([], POINT, [], id="nobody"),
            pytest.param([None, None], POINT, [], id="nobody is scored"),
            pytest.param([0, 0.5, 1, 1.999, 2], POINT, [[0, 2], [1, 2], [2, 1]], id="whole points, rounded down"),
            pytest.param([-0.5, -1], POINT, [[-1, 2]], id="below nought"),
            pytest.param([0, 50_000], 100 * POINT, [[0, 1], [500, 1]], id="coarser where totals spread far"),
        ],
    )
    def test_counts_leads_by_total(self, points: list[float | None], width: int, counts: list[list[int]]) -> None:
        assert counted(*points) == {"width": width, "counts": counts}


class TestBinned:
    def test_ranges_of_different_widths_add_up(self) -> None:
        fine = {"before": counted(1, 2, 3), "after": counted(5)}
        coarse = {"before": counted(0, 50_000), "after": counted(7)}
        found = binned([fine, coarse])
        assert sum(each["before"] for each in found["bins"]) == 5
        assert sum(each["after"] for each in found["bins"]) == 2
        assert found["bins"][0] == {"from": 0, "before": 4, "after": 2}

    def test_nobody_makes_no_bins(self) -> None:
        assert binned([])["bins"] == []
        assert binned([{"before": counted(), "after": counted(None)}])["bins"] == []

    @settings(deadline=None, max_examples=50)
    @given(
        before=st.lists(st.integers(-(10**6), 10**9), max_size=30),
        after=st.lists(st.integers(-(10**6), 10**9), min_size=1, max_size=30),
    )
    def test_no_lead_is_lost_and_few_bins_are_shown(self, before: list[int], after: list[int]) -> None:
        part = {
            side: counted_totals(pl.Series(some, dtype=pl.Int64))
            for side, some in (("before", before), ("after", after))
        }
        found = binned([part])
        assert sum(each["before"] for each in found["bins"]) == len(before)
        assert sum(each["after"] for each in found["bins"]) == len(after)
        assert len(found["bins"]) <= 24
        assert found["bins"][0]["from"] <= min([*before, *after])
        assert found["bins"][-1]["from"] + found["width"] > max([*before, *after])
