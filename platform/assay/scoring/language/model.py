"""A model as frozen values. Points are thousandths of a point, durations are microseconds."""

from dataclasses import dataclass
from typing import Literal

Scalar = str | int | float | bool
Subject = Literal["trait", "property"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One word about one trait or property; an operand is a scalar, a tuple of them or microseconds."""

    subject: Subject
    name: str
    word: str
    operand: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Every:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


Condition = Comparison | Every | Some | Not


@dataclass(frozen=True, slots=True)
class Count:
    """Which of the matching events award points."""

    word: Literal["each", "once", "once_while_active", "once_per", "first", "from", "first_points"] = "each"
    number: int = 0
    property: str = ""
    then: int = 0


@dataclass(frozen=True, slots=True)
class WhenTraits:
    condition: Condition


@dataclass(frozen=True, slots=True)
class OnEvents:
    types: tuple[str, ...]
    where: Condition | None
    count: Count
    expires_after: int | None


@dataclass(frozen=True, slots=True)
class WhenSilent:
    """`of` is None for activity of any type."""

    length: int
    of: tuple[str, ...] | None
    kept: bool
    replaces: bool
    expires_after: int | None


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    title: str | None
    dimension: str | None
    group: str | None
    trigger: WhenTraits | OnEvents | WhenSilent
    points: int
    max: int | None
    min: int | None


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    max: int | None
    min: int | None
    first_match: bool


@dataclass(frozen=True, slots=True)
class Dimension:
    name: str
    max: int | None
    min: int | None
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    min: int | None
    max: int | None


@dataclass(frozen=True, slots=True)
class Stage:
    """`inclusive` tells `from` (≥) and `above` (>) apart."""

    name: str
    threshold: int
    inclusive: bool


@dataclass(frozen=True, slots=True)
class Band:
    mark: str
    threshold: int


@dataclass(frozen=True, slots=True)
class Grade:
    """One dimension's half of the grade; bands stand best first."""

    dimension: str
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    title: str | None
    description: str | None
    dimensions: tuple[Dimension, ...]
    rules: tuple[Rule, ...]
    scale: Scale
    stages: tuple[Stage, ...]
    grades: tuple[Grade, ...]
