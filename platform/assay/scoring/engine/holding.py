"""Conditions on leads, for receipts: which hold, on what events they rest, and why those that do not hold don't."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.conditions import expression
from assay.scoring.engine.evaluating import Board, in_parts
from assay.scoring.engine.listing import Award, Listed
from assay.scoring.engine.reasons import Reason, reason
from assay.scoring.language import HIDDEN, Comparison, Condition, EventCount, OfModel, leaves

#: Events listed of those that a count found.
MOST_EVENTS = 20


class Answers:
    """What conditions answer for each lead: true, false, or None for unknown."""

    def __init__(self, board: Board, model: CompiledModel, conditions: Sequence[Condition]) -> None:
        self.board, self.model = board, model
        columns = board.columns(model)
        asked = dict.fromkeys([*conditions, *(leaf for whole in conditions for leaf in leaves(whole))])
        found = in_parts(board.leads, [expression(each, columns) for each in asked])
        self._found = dict(zip(asked, (series.to_list() for series in found), strict=True))

    def of(self, condition: Condition, lead: int) -> bool | None:
        answer: bool | None = self._found[condition][lead]
        return answer

    def column(self, condition: Condition) -> list[bool | None]:
        return self._found[condition]

    def why_not(self, condition: Condition, lead: int) -> tuple[Reason, ...]:
        """What there is to know of a condition that does not hold: nothing where plain facts say no."""
        found: list[Reason] = []
        unknown: list[str] = []
        kept_out: list[str] = []
        for leaf in leaves(condition):
            answer = self.of(leaf, lead)
            if isinstance(leaf, EventCount):
                found += [] if answer else self._count(leaf, lead)
            elif isinstance(leaf, OfModel):
                found += [] if answer else [self.says(leaf, lead)]
            elif answer is None:
                (kept_out if leaf.word == HIDDEN else unknown).append(leaf.name)
        for code, names in (("kept_out", kept_out), ("unknown", unknown)):
            if names and self.of(condition, lead) is None:
                found.append(reason(code, names=tuple(dict.fromkeys(names))))
        return tuple(found)

    def _count(self, count: EventCount, lead: int) -> Iterator[Reason]:
        found = self.board.leads[self.board.counts[count]][lead]
        needed = count.operand[0] if isinstance(count.operand, tuple) else count.operand
        needed += count.word == "gt"
        if count.word not in ("lt", "lte") and 0 < found < needed:
            yield reason("too_few", found=found, needed=needed)

    def says(self, asked: OfModel, lead: int) -> Reason:
        """What the other model does say of the lead."""
        prefix = self.board.columns(self.model).models[asked.model]

        def value(name: str) -> Any:
            return self.board.leads[f"{prefix}:{name}"][lead]

        if not value("applies"):
            return reason("other_model_is_silent", model=asked.model)
        if asked.aspect == "applies":
            return reason("other_model_applies", model=asked.model)
        if asked.aspect == "disqualified":
            code = "other_model_not_disqualified" if value("disqualified") is None else "other_model_disqualified"
            return reason(code, model=asked.model)
        if asked.aspect == "score" and asked.dimension is not None:
            points = value(f"dimension:{asked.dimension}")
            return reason("other_model_dimension", model=asked.model, points=points, dimension=asked.dimension)
        if asked.aspect == "score":
            return reason("other_model_score", model=asked.model, points=value("total"))
        told = value(asked.aspect)
        if told is None:
            return reason(f"other_model_no_{asked.aspect}", model=asked.model)
        return Reason(f"other_model_{asked.aspect}", {"model": asked.model, asked.aspect: told})

    def events(self, condition: Condition, lead: int) -> tuple[tuple[str, ...], int]:
        """The newest of the events that its counts found, oldest first, and how many those found in all."""
        rows: set[int] = set()
        for leaf in leaves(condition):
            if isinstance(leaf, EventCount):
                tally = self.board.tally_of_count(leaf)
                rows.update(tally.selection.events["row"][tally.lo[lead] : tally.hi[lead]].to_list())
        newest = sorted(rows)[-MOST_EVENTS:]
        return tuple(self.board.scene.events["event_id"][newest].to_list()) if newest else (), len(rows)


def from_conditions(board: Board, model: CompiledModel, _: Mapping[int, pl.DataFrame]) -> Listed:
    """A part for each rule that holds, and for each that would but for something worth telling."""
    rules = model.condition_rules
    answers = Answers(board, model, list(dict.fromkeys(condition for _, _, condition in rules)))
    for place, rule, condition in rules:
        worth = model.worths[place]
        counts = any(isinstance(leaf, EventCount) for leaf in leaves(condition))
        plain = all(isinstance(leaf, Comparison) for leaf in leaves(condition))
        for lead, answer in enumerate(answers.column(condition)):
            if answer is False and plain:
                continue
            behind = answers.events(condition, lead) if counts else ((), 0)
            what = reason("holds", condition=condition)
            if answer:
                yield lead, Award(place, rule, what, None, worth, worth, None, *behind)
                continue
            for refusal in answers.why_not(condition, lead)[:1]:
                yield lead, Award(place, rule, what, None, worth, worth, refusal, *behind)
