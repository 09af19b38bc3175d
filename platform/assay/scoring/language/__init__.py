"""The model language: a document in, a checked and frozen `Model` out."""

from assay.scoring.language.canonical import content_hash, dump
from assay.scoring.language.describing import describe
from assay.scoring.language.errors import InvalidModel, Problem
from assay.scoring.language.loading import load, parse
from assay.scoring.language.model import (
    Band,
    Comparison,
    Condition,
    Count,
    Dimension,
    Every,
    Grade,
    Group,
    Model,
    Not,
    OnEvents,
    Rule,
    Scale,
    Some,
    Stage,
    WhenSilent,
    WhenTraits,
)
from assay.scoring.language.quantities import number

__all__ = [
    "Band",
    "Comparison",
    "Condition",
    "Count",
    "Dimension",
    "Every",
    "Grade",
    "Group",
    "InvalidModel",
    "Model",
    "Not",
    "OnEvents",
    "Problem",
    "Rule",
    "Scale",
    "Some",
    "Stage",
    "WhenSilent",
    "WhenTraits",
    "content_hash",
    "describe",
    "dump",
    "load",
    "number",
    "parse",
]
