"""What an award is worth at an age, in whole units, and when that changes."""

import polars as pl

from assay.scoring.language import Fading
from assay.scoring.language.worth import WHOLE

# More microseconds than lie between any two instants there are; twice it still fits into 64 bits.
_FOREVER = 4 * 10**17


def lasts(fading: Fading | None) -> int | None:
    """The age at which nothing is left; None where something always is."""
    if fading is None or fading.kind == "half_life":
        return None
    if fading.kind == "every":
        return min(fading.length * -(-WHOLE // fading.by), _FOREVER)
    return fading.length


def is_smooth(fading: Fading | None) -> bool:
    return fading is not None and fading.kind in ("linear", "half_life")


def left(worth: int, fading: Fading | None, age: pl.Expr) -> pl.Expr:
    """The units left of `worth`; right for ages within the award's life, harmless for others."""
    if fading is None or fading.kind == "after":
        return pl.lit(worth, pl.Int64)
    length = pl.lit(fading.length, pl.Int64)
    if fading.kind == "every":
        steps = age.clip(0, lasts(fading)) // length
        return pl.lit(worth, pl.Int64) - steps * (worth * fading.by // WHOLE)
    # By one number Polars multiplies with its inverse, unless there is a single row: a lead alone would then differ
    # from the same lead among others. By a column it divides.
    part = age.clip(0, lasts(fading)) / (age * 0 + length)
    share = 1.0 - part if fading.kind == "linear" else pl.lit(0.5).pow(part)
    return (float(worth) * share).round(mode="half_to_even").cast(pl.Int64)


def is_active(fading: Fading | None, age: pl.Expr) -> pl.Expr:
    """Whether an award of this age exists at all: it has been earned, and is not wholly gone."""
    end = lasts(fading)
    return age >= 0 if end is None else (age >= 0) & (age < end)


def wait(fading: Fading | None, age: pl.Expr) -> pl.Expr:
    """How long from now until the award begins, steps down or ends; null when never. Drifting is no such change."""
    end = lasts(fading)
    if fading is None or end is None:
        return pl.when(age < 0).then(-age)
    turn = end - age if fading.kind != "every" else fading.length - age % fading.length
    return pl.when(age < 0).then(-age).when(age < end).then(turn)
