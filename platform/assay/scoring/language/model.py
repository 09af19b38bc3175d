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
class EventCount:
    """How many events of some types (None: of any) there were, or how many values of a property they had.

    `within` counts those younger than that; None: all that have happened. The word is `is`, `gt`, `gte`, `lt`, `lte`
    or `between`, about a whole number or a pair.
    """

    types: tuple[str, ...] | None
    where: "Condition | None"
    within: int | None
    distinct: str | None
    word: str
    operand: int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class OfModel:
    """What another model says of the lead; unknown where that model does not apply to it.

    The score (or that of a `dimension`) compares as thousandths by `is`, `gt`, `gte`, `lt`, `lte`, `between`; stage and
    grade as text by `is`, `is_not`, `in`, `not_in`, `exists`; `disqualified` and `applies` by `is`, with a bool.
    """

    model: str
    aspect: Literal["score", "stage", "grade", "disqualified", "applies"]
    dimension: str | None
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


#: In `where` of events only comparisons of properties occur, joined; elsewhere never those.
Condition = Comparison | EventCount | OfModel | Every | Some | Not


@dataclass(frozen=True, slots=True)
class Count:
    """Which of the matching events award points."""

    word: Literal["each", "once", "once_while_active", "once_per", "first", "from", "first_points"] = "each"
    number: int = 0
    property: str = ""
    then: int = 0


@dataclass(frozen=True, slots=True)
class Fading:
    """How an award loses its worth, from its own instant on.

    `after`: whole until `length`, then gone. `linear`: evenly down to nothing at `length`. `half_life`: half of it
    every `length`. `every`: `by` thousandths of a percent of the whole are lost each time `length` has passed.
    """

    kind: Literal["after", "linear", "half_life", "every"]
    length: int
    by: int = 0


@dataclass(frozen=True, slots=True)
class WhenHolds:
    condition: Condition


@dataclass(frozen=True, slots=True)
class OnEvents:
    types: tuple[str, ...]
    where: Condition | None
    count: Count
    fading: Fading | None


@dataclass(frozen=True, slots=True)
class WhenSilent:
    """`of` is None for activity of any type."""

    length: int
    of: tuple[str, ...] | None
    kept: bool
    replaces: bool
    fading: Fading | None


@dataclass(frozen=True, slots=True)
class ByKind:
    """What a partner's plugin awards. `parameters` is JSON text with its keys in order; `without` names fields that
    are kept out of scoring.
    """

    kind: str
    parameters: str
    fading: Fading | None
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """`worth` tells what `points` are: plain thousandths that add, thousandths to which the place (its dimension, or
    the score) is lifted, or a whole number of shares of the dimension's block, as `Split` says.
    """

    id: str
    title: str | None
    dimension: str | None
    group: str | None
    trigger: WhenHolds | OnEvents | WhenSilent | ByKind
    worth: Literal["points", "milestone", "share"]
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
class Split:
    """Points divided equally over dimensions, and within each over the positive shares of its rules."""

    points: int
    over: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judgements:
    """How adjustments by people count: not at all, or in a dimension (None: the score itself), within bounds."""

    counted: bool = True
    dimension: str | None = None
    max: int | None = None
    min: int | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """`set` fixes the total that is shown; `disqualify` takes the lead out of stages, grade and actions."""

    id: str
    condition: Condition
    set: int | None
    disqualify: bool
    reason: str


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
class GivenEvent:
    """`at` is counted from the example's day 0; `properties` and traits are (name, value), values as in a document."""

    type: str
    at: int
    times: int
    properties: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class GivenTraits:
    at: int
    traits: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come out at an instant; only what is in `words` is asked.

    `words` hold total, raw (text of the number as written, which tells its precision), stage, grade (None: none),
    override, disqualified, applies; `dimensions` the same texts by name.
    """

    at: int
    words: tuple[tuple[str, object], ...]
    dimensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Example:
    """An acceptance case; the lead was first seen at day 0 unless `first_seen` says otherwise."""

    name: str
    first_seen: int
    given: tuple[GivenEvent | GivenTraits, ...]
    expect: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number or a duration the document's formulas read; each value is spelt as in a document (`5`, `2.5`, `60d`)."""

    name: str
    value: int | float | str
    title: str | None
    min: int | float | str | None
    max: int | float | str | None


@dataclass(frozen=True, slots=True)
class Model:
    """`persona`, `product_line` and `business_unit` say for whom people made it; `audience` whom it scores.

    Of the models that apply to a lead, the one of the highest `precedence` leads.
    """

    name: str
    title: str | None
    description: str | None
    persona: str | None
    product_line: str | None
    business_unit: str | None
    precedence: int
    parameters: tuple[Parameter, ...]
    audience: Condition | None
    dimensions: tuple[Dimension, ...]
    split: Split | None
    rules: tuple[Rule, ...]
    judgements: Judgements
    overrides: tuple[Override, ...]
    scale: Scale
    stages: tuple[Stage, ...]
    grades: tuple[Grade, ...]
    examples: tuple[Example, ...]
