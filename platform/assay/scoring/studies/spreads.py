"""How totals spread: counted in bins that nest, so that the counts of any ranges add up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

_POINT = 1000
_MOST_COUNTED = 1000
_MOST_SHOWN = 24

#: {"width": thousandths, "counts": [[bin, leads]…]}: a bin is the total floor-divided by the width.
Counts = dict[str, Any]


def counted_totals(totals: pl.Series) -> Counts:
    """Whole points, or tens, hundreds … where they spread too far."""
    known = totals.drop_nulls()
    width = _POINT
    if known.len():
        low, high = int(known.min()), int(known.max())  # type: ignore[arg-type] # of whole numbers
        while (high - low) // width > _MOST_COUNTED:
            width *= 10
    counts = (known // width).alias("bin").value_counts().sort("bin")
    return {"width": width, "counts": [list(row) for row in counts.iter_rows()]}


def binned(parts: Sequence[Mapping[str, Counts]]) -> dict[str, Any]:
    """All ranges in one set of at most a few dozen bins: before and after beside each other."""
    width = max((counts["width"] for part in parts for counts in part.values()), default=_POINT)
    sides = {side: _added([part[side] for part in parts], width) for side in ("before", "after")}
    bins = [bin_ for side in sides.values() for bin_ in side]
    if not bins:
        return {"width": width, "bins": []}
    low, high = min(bins) * width, max(bins) * width
    shown = width
    while (high // shown) - (low // shown) >= _MOST_SHOWN:
        shown = _coarser(shown, width)
    coarse = {side: _added([{"width": width, "counts": list(found.items())}], shown) for side, found in sides.items()}
    return {
        "width": shown,
        "bins": [
            {"from": bin_ * shown, **{side: found[bin_] for side, found in coarse.items()}}
            for bin_ in range(low // shown, high // shown + 1)
        ],
    }


def _added(parts: Sequence[Counts], width: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for part in parts:
        for bin_, leads in part["counts"]:
            found[bin_ * part["width"] // width] += leads
    return found


def _coarser(shown: int, width: int) -> int:
    """1, 2, 5, 10, 20, 50 … times the width that was counted in."""
    times = shown // width
    leading = int(str(times)[0])
    return shown * 5 // 2 if leading == 2 else shown * 2
