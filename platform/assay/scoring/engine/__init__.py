"""The engine, pure: no database, no web, no clock. Frames in, frames out.

Importing it executes nothing in Polars: a process that executed Polars and then forks leaves its child hanging.
"""

from assay.scoring.engine.compiling import CompiledModel, compile_model
from assay.scoring.engine.explaining import Explanation, Part, explain
from assay.scoring.engine.totals import score

__all__ = ["CompiledModel", "Explanation", "Part", "compile_model", "explain", "score"]
