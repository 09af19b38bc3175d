"""Models beside each other on the same leads: what comes out, and what each rule gives towards it.

Nothing is said about when any of it changes, which is half of the work of `score`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.evaluating import Evaluated, evaluate
from assay.scoring.engine.frames import events_of, people_of, reads, scene_of
from assay.scoring.engine.totals import rounded, summed

#: Stands for judgements among the ids of rules, which it is no possible one of.
JUDGEMENTS = "judgement"


@dataclass(frozen=True)
class Outcome:
    """One model over all leads, in their order."""

    model: CompiledModel
    #: applies, total, raw, dimension:<name>, stage, grade, override, disqualified
    scores: pl.DataFrame
    evaluated: Evaluated

    def points(self, rows: pl.Series) -> pl.DataFrame:
        """A column for each rule, named by its id: what it gives these leads within its own caps, in thousandths.

        A milestone that is reached gives what it lifts to.
        """
        rules = self.model.model.rules
        values = summed(self.model, self.evaluated.values[rows])
        ids = dict(enumerate([*(rule.id for rule in rules), JUDGEMENTS]))
        gives = []
        for place, id_ in ids.items():
            name = f"milestone:{place}" if f"milestone:{place}" in values.columns else f"rule:{place}"
            if name in values.columns:
                gives.append(rounded(pl.col(name).fill_null(0), self.model.unit).alias(id_))
        return values.select(gives)


def outcomes(
    models: Sequence[CompiledModel],
    leads: pl.DataFrame,
    events: pl.DataFrame,
    at: datetime | None,
    *,
    distinct: bool = False,
) -> list[Outcome]:
    """Of each model, as `score` has it. All leads at once: whoever asks bounds how many."""
    read = reads(models)
    people = people_of(read, leads, at)
    happened = events_of(read, events, people, ids=not distinct)
    found = evaluate(scene_of(read, people, happened, ids=False, distinct=distinct), models).found
    return [Outcome(model, found[model.hash].outcome, found[model.hash]) for model in models]
