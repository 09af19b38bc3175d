"""How much one model may ask for, so that checking it and scoring by it stay quick."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from assay.scoring.language.comparisons import MOST_PATTERN
from assay.scoring.language.errors import InvalidModel, Problem
from assay.scoring.language.model import Count, Model, OnEvents, Rule
from assay.scoring.language.worth import MOST_AWARDS, MOST_OF_EACH, MOST_UNIT, rule_parts, share_sums, unit, worth

MOST_RULES = 10_000
MOST_COMPARISONS = 50_000
#: What all patterns of a model may make together; one is about a microsecond of compiling.
MOST_PATTERN_WORK = 2_000_000

_LEAVES = frozenset({"trait", "property", "event", "model"})
_PATTERN_WORK = 100
# Compiling stops at patterns that need more, by the matcher's own limit of memory.
_MOST_OF_ONE = 100_000
# Letters, digits and properties of Unicode become tables of hundreds of ranges.
_WORK_OF = {"w": 200, "W": 200, "p": 200, "P": 200, "d": 20, "D": 200, "s": 20, "S": 200}
_PIECE = re.compile(r"\\[pP]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]|\{(\d{1,4})(?:,(\d{0,4}))?\}|.", re.S)
_HIGHEST = 2**63 - 1


def check_cost(document: Mapping[str, Any]) -> None:
    """Refuses a tree whose conditions or patterns are too many, before any pattern is compiled."""
    comparisons = 0
    patterns: set[str] = set()
    for node in _mappings(list(document.values())):
        if not _LEAVES.isdisjoint(node):
            comparisons += 1
        pattern = node.get("matches")
        if isinstance(pattern, str):
            patterns.add(pattern)
    work = sum(pattern_work(pattern) for pattern in patterns)
    if comparisons > MOST_COMPARISONS:
        raise InvalidModel(
            [Problem("", f"the model asks {comparisons:,} conditions; at most {MOST_COMPARISONS:,} are accepted")]
        )
    if work > MOST_PATTERN_WORK:
        raise InvalidModel(
            [
                Problem(
                    "",
                    f"the patterns of 'matches' make {work:,} together; at most {MOST_PATTERN_WORK:,} are accepted",
                )
            ]
        )


def _mappings(tree: object) -> Iterator[Mapping[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            yield node
            waiting.extend(value for value in node.values() if isinstance(value, (dict, list)))
        elif isinstance(node, list):
            waiting.extend(value for value in node if isinstance(value, (dict, list)))


def pattern_work(pattern: str) -> int:
    """About how long the pattern takes to compile, so that the sum over a model can be bounded beforehand."""
    groups: list[int] = [0]
    last = 0
    for match in _PIECE.finditer(pattern[:MOST_PATTERN]):
        piece = match[0]
        if piece == "(":
            groups.append(0)
            last = 0
            continue
        if piece == ")" and len(groups) > 1:
            last = groups.pop()
        elif match[1] is not None:
            last *= max(int(match[2] or match[1]), 1) - 1
        else:
            last = _piece_work(piece)
        groups[-1] = min(groups[-1] + last, _MOST_OF_ONE)
    return _PATTERN_WORK + min(sum(groups), _MOST_OF_ONE)


def _piece_work(piece: str) -> int:
    if piece[0] == "[":
        return 5 + sum(_WORK_OF.get(letter, 0) for letter in re.findall(r"\\(\w)", piece))
    if piece[0] == "\\":
        return _WORK_OF.get(piece[1:2], 1)
    return 4 if piece == "." else 1


def check_unit(model: Model) -> None:
    """Refuses shares and steps that need finer parts, or larger numbers, than 64 bits hold."""
    parts = unit(model)
    shares = share_sums(model)
    if parts > MOST_UNIT:
        path, finest = _finest(model, shares)
        raise InvalidModel(
            [
                Problem(
                    path,
                    f"cuts a point into {parts * 1000:,} parts; at most {MOST_UNIT * 1000:,} can be kept exactly: "
                    f"choose shares and steps that divide more evenly (this alone needs {finest * 1000:,})",
                )
            ]
        )
    worths = [largest(model, rule, shares) for rule in model.rules]
    too_much = [
        Problem(f"rules[{index}]", _too_much(parts))
        for index, worth_ in enumerate(worths)
        if worth_ * parts * MOST_AWARDS > _HIGHEST
    ]
    if too_much:
        raise InvalidModel(too_much)
    together, room = sum(worths, Fraction()), _HIGHEST // parts - max(worths) * (MOST_AWARDS - MOST_OF_EACH)
    if together * MOST_OF_EACH > room:
        raise InvalidModel([Problem("rules", _too_much_together(together, room, parts))])


def _too_much(parts: int) -> str:
    most = _HIGHEST // (parts * MOST_AWARDS * 1000)
    return (
        f"gives more than can be added up exactly where a point is cut into {parts * 1000:,} parts: "
        f"at most {most:,} points an award"
    )


def _too_much_together(together: Fraction, room: Fraction, parts: int) -> str:
    return (
        f"one award of each comes to {_points(together)} points: at most {_points(room / MOST_OF_EACH)} can be added "
        f"up exactly where a point is cut into {parts * 1000:,} parts and a rule may award {MOST_AWARDS:,} times"
    )


def _points(thousandths: Fraction) -> str:
    return f"{int(thousandths / 1000):,}"


def largest(model: Model, rule: Rule, shares: Mapping[str, int]) -> Fraction:
    count = rule.trigger.count if isinstance(rule.trigger, OnEvents) else Count()
    return max(abs(worth(model, rule, shares)), Fraction(abs(count.then)))


def _finest(model: Model, shares: Mapping[str, int]) -> tuple[str, int]:
    needs = [rule_parts(model, rule, shares) for rule in model.rules]
    finest = max(needs)
    index = needs.index(finest)
    return "split" if model.rules[index].worth == "share" else f"rules[{index}].fades", finest
