"""The engine, pure: no database, no web, no clock. Frames in, frames out.

Importing it executes nothing in Polars: a process that executed Polars and then forks leaves its child hanging.
"""

from assay.scoring.engine.comparing import Outcome, outcomes
from assay.scoring.engine.compiling import CompiledModel, compile_model
from assay.scoring.engine.explaining import explain
from assay.scoring.engine.receipts import Adjustment, Explanation, Part
from assay.scoring.engine.scoring import score

__all__ = [
    "Adjustment",
    "CompiledModel",
    "Explanation",
    "Outcome",
    "Part",
    "compile_model",
    "explain",
    "outcomes",
    "score",
]
