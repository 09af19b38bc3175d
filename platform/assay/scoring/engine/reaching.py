"""The smallest sets of single things that lead a lead where it should be, found by trying them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations_with_replacement
from typing import Any

from assay.scoring.engine.supposing import Action, Actions, Supposed

MOST_WAYS = 5
LARGEST_SET = 3
MOST_REPEATS = 64
_MOST_REPEATED = 3
#: Beyond this the sets of two and three are made of the most promising alone.
_MOST_SETS = 1_500

Row = Mapping[str, Any]
Found = list[tuple[Actions, Row]]


def reach(
    supposed: Supposed, candidates: Sequence[Action], at: datetime, reached: Callable[[Row], bool]
) -> tuple[Found, bool]:
    """At most MOST_WAYS sets, none of which holds a smaller one, smallest first; and whether all were tried."""
    found: Found = []
    every = True
    promising = list(candidates)
    for size in range(1, LARGEST_SET + 1):
        sets, all_of_them = _sets(promising, size, supposed.most_copies)
        fresh = [actions for actions in sets if not _holds_smaller(actions, found)]
        affordable = supposed.affords(len(fresh))
        every = every and all_of_them and affordable == len(fresh)
        fresh = fresh[:affordable]
        rows = supposed.rows([at] * len(fresh), fresh)
        if size == 1:
            promising = _by_gain(fresh, rows)
        found += [(actions, row) for actions, row in zip(fresh, rows, strict=True) if reached(row)]
        if len(found) >= MOST_WAYS:
            break
    if len(found) < MOST_WAYS:
        repeated, all_of_them = _repeated(
            supposed, [action for action in promising if action.is_event], at, reached, found
        )
        found += repeated
        every = every and all_of_them
    return sorted(found, key=_natural)[:MOST_WAYS], every


def _sets(candidates: Sequence[Action], size: int, most_copies: int) -> tuple[list[Actions], bool]:
    """Sets of this size, as far as they can be tried; a trait comes to hold only once."""
    most = min(_MOST_SETS, most_copies) if size > 1 else _MOST_SETS
    sets: list[Actions] = []
    # Grown by one candidate at a time, so that what is left out are those that promise least.
    for last in range(len(candidates)):
        grown = [
            _joined((*others, candidates[last]))
            for others in combinations_with_replacement(candidates[: last + 1], size - 1)
        ]
        fitting = [actions for actions in grown if actions is not None]
        if len(sets) + len(fitting) > most:
            return sets, False
        sets += fitting
    return sets, True


def _joined(actions: Actions) -> Actions | None:
    """Equal things counted together; None where traits contradict one another or would be gained twice."""
    counts = Counter(id(action) for action in actions)
    once = list({id(action): action for action in actions}.values())
    traits: dict[str, str | None] = {}
    for action in once:
        if not action.is_event and counts[id(action)] > 1:
            return None
        if any(traits.setdefault(name, value) != value for name, value in action.traits.items()):
            return None
    return tuple(replace(action, count=counts[id(action)]) for action in once)


def _holds_smaller(actions: Actions, found: Found) -> bool:
    here = {action.key: action.count for action in actions}
    return any(all(here.get(action.key, 0) >= action.count for action in smaller) for smaller, _ in found)


def _by_gain(sets: Sequence[Actions], rows: Sequence[Row]) -> list[Action]:
    """The candidates, those that gain most alone first."""
    gains = sorted(range(len(sets)), key=lambda place: -_height(rows[place]))
    return [sets[place][0] for place in gains]


def _height(row: Row) -> int:
    return -(10**18) if row["total"] is None else int(row["total"])


def _repeated(
    supposed: Supposed, events: Sequence[Action], at: datetime, reached: Callable[[Row], bool], found: Found
) -> tuple[Found, bool]:
    """One thing over and over: the fewest times that reach it, for the things that do; and whether all were tried."""
    alone = [action for action in events if not _holds_smaller((replace(action, count=LARGEST_SET),), found)]
    often = [(replace(action, count=MOST_REPEATS),) for action in alone]
    affordable = supposed.affords(len(often))
    every, often = affordable == len(often), often[:affordable]
    rows = supposed.rows([at] * len(often), often)
    reaching = [actions[0] for actions, row in zip(often, rows, strict=True) if reached(row)]
    fewest: Found = []
    for action in reaching[:_MOST_REPEATED]:
        if supposed.affords(MOST_REPEATS) < MOST_REPEATS:
            every = False
            break
        fewest.append(_fewest(supposed, action, at, reached))
    return [each for each in fewest if not _holds_smaller(each[0], found)], every


def _fewest(supposed: Supposed, action: Action, at: datetime, reached: Callable[[Row], bool]) -> tuple[Actions, Row]:
    """Between a number of times that does not reach it and one that does, as many tried at once as one call holds."""
    too_few, enough = LARGEST_SET, MOST_REPEATS
    (row,) = supposed.rows([at], [(replace(action, count=enough),)])
    while enough - too_few > 1:
        step = max(1, -(-(enough - too_few - 1) // supposed.most_copies))
        counts = list(range(too_few + step, enough, step))
        rows = supposed.rows([at] * len(counts), [(replace(action, count=count),) for count in counts])
        found = next((place for place, each in enumerate(rows) if reached(each)), len(counts))
        too_few = counts[found - 1] if found else too_few
        if found < len(counts):
            enough, row = counts[found], rows[found]
    return (replace(action, count=enough),), row


def _natural(each: tuple[Actions, Row]) -> tuple[int, int, int]:
    """Few things before many, events before traits, one kind before several."""
    actions = each[0]
    return (
        sum(action.count for action in actions),
        sum(not action.is_event for action in actions),
        len(actions),
    )
