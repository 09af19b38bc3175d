"""`once_while_active`: an event awards only when the rule's last award has faded: a chain, found without a loop."""

import polars as pl


def greedy(events: pl.DataFrame, lasts: int) -> pl.Series:
    """Which events are chosen: each lead's first, then each first one at least `lasts` after the chosen one before.

    Each event points to the event that would follow it if it were chosen. The chain from every lead's first event is
    collected by doubling the jumps: as many rounds as the longest chain has binary digits.
    """
    if events.is_empty():
        return pl.Series(dtype=pl.Boolean)
    size = events.height
    places = pl.DataFrame({"lead": events["lead"], "t": events["t"], "place": pl.int_range(size, eager=True)})
    following = (
        places.select("lead", (pl.col("t") + lasts).alias("t")).join_asof(
            places, on="t", by="lead", strategy="forward", check_sortedness=False
        )
    )["place"]
    jumps = [following]
    while jumps[-1].null_count() < size:
        # A null jump leads nowhere, and so does every jump through it.
        jumps.append(jumps[-1].gather(jumps[-1]))
    begins = (events["lead"] != events["lead"].shift(1)).fill_null(value=True)
    chosen = places["place"].filter(begins)
    for jump in reversed(jumps):
        chosen = pl.concat([chosen, jump.gather(chosen).drop_nulls()])
    return places["place"].is_in(chosen.implode())
