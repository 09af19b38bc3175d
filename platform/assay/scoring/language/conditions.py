"""Reads a condition: `all` `any` `not` around what is asked of traits, of properties, of events, of other models."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from marshmallow import ValidationError

from assay.scoring.language.comparisons import WORDS, flag
from assay.scoring.language.fields import (
    FORMULA,
    AnyOrTypes,
    Duration,
    Flag,
    JsonSchema,
    Name,
    Text,
    Told,
    told,
)
from assay.scoring.language.model import Comparison, Condition, EventCount, Every, Not, OfModel, Scalar, Some, Subject
from assay.scoring.language.quantities import MOST_SUM, thousandths
from assay.scoring.language.shapes import Errors, Words
from assay.scoring.language.words import listed, unknown_word

MOST_NAME = 200
JOINTS = {
    "all": "every one of a list of conditions",
    "any": "at least one of a list of conditions",
    "not": "the opposite of a condition",
}
_GRADES = [f"{letter}{figure}" for letter in "ABCD" for figure in "1234"]
_MOST_COUNTED = 1_000_000
_BOUNDS = ("is", "gt", "gte", "lt", "lte", "between")
_ASPECTS = ("score", "stage", "grade", "disqualified", "applies")
_CHOICES = ("is", "is_not", "in", "not_in", "exists")

Asked = tuple[tuple[str, Any], ...]


def read_condition(value: object, subject: Subject) -> Condition:
    """The condition, or a ValidationError whose messages stand at their places in the document."""
    if not isinstance(value, Mapping):
        hint = "; put several into {all: […]} or {any: […]}" if isinstance(value, list) else ""
        raise ValidationError(f"must be a condition such as {{{subject}: name, is: value}}{hint}")
    joints = [word for word in value if word in JOINTS]
    if not joints:
        return _read_leaf(value, subject)
    if len(value) > 1:
        raise ValidationError(
            {word: ["'all', 'any' and 'not' stand alone; nest one condition in another"] for word in value}
        )
    (joint,) = joints
    return _read_joint(joint, value[joint], subject)


def _read_joint(joint: str, value: object, subject: Subject) -> Condition:
    if joint == "not":
        return Not(_at(joint, lambda: read_condition(value, subject)))
    if not isinstance(value, list) or not value:
        raise ValidationError({joint: ["must be a list of at least one condition"]})
    parts: list[Condition] = []
    errors: Errors = {}
    for index, part in enumerate(value):
        try:
            parts.append(read_condition(part, subject))
        except ValidationError as error:
            errors[index] = error.messages
    if errors:
        raise ValidationError({joint: errors})
    return Every(tuple(parts)) if joint == "all" else Some(tuple(parts))


def _read_leaf(value: Mapping[str, Any], subject: Subject) -> Condition:
    others = [word for word in ("event", "model") if word in value]
    if not others:
        return _read_comparisons(value, subject)
    if subject == "property":
        raise ValidationError({word: ["'where' reads properties of the event alone"] for word in others})
    if len(others) > 1 or "trait" in value:
        known = [word for word in ("trait", *others) if word in value]
        raise ValidationError(
            {word: [f"cannot stand beside {known[0]!r}: join two conditions by all or any"] for word in known[1:]}
        )
    found = _conditions(_words(others[0]).load(value))
    return found[0] if len(found) == 1 else Every(found)


# A schema takes longer to make than to use.
@cache
def _words(leaf: str) -> Words:
    return EventWords() if leaf == "event" else ModelAnswers()


def _conditions(data: Mapping[str, Any]) -> tuple[Condition, ...]:
    if "event" in data:
        kind = (data["event"], data.get("where"), data.get("within"), data.get("distinct"))
        return tuple(EventCount(*kind, word, operand) for word, operand in data["count"])
    model, dimension = data["model"], data.get("dimension")
    found = [
        OfModel(model, aspect, dimension if aspect == "score" else None, word, operand)
        for aspect in ("score", "stage", "grade")
        for word, operand in data.get(aspect, ())
    ]
    flags = [
        OfModel(model, aspect, None, "is", data[aspect]) for aspect in ("disqualified", "applies") if aspect in data
    ]
    return (*found, *flags)


def _read_comparisons(value: Mapping[str, Any], subject: Subject) -> Condition:
    errors: Errors = {}
    other: Subject = "property" if subject == "trait" else "trait"
    if other in value:
        place = "'when' reads traits of the lead" if subject == "trait" else "'where' reads properties of the event"
        errors[other] = [f"{place}: write {subject!r}"]
    elif subject not in value:
        errors[subject] = [f"is missing: name the {subject} to compare"]
    name = value.get(subject)
    if subject in value and not (isinstance(name, str) and name.strip() and len(name) <= MOST_NAME):
        errors[subject] = [f"must be the name of a {subject}, at most {MOST_NAME} characters"]
    found: list[Comparison] = []
    for word, operand in value.items():
        if word in ("trait", "property"):
            continue
        if word not in WORDS:
            leaves = () if subject == "property" else ("event", "model")
            errors[word] = [unknown_word(word, [subject, *WORDS, *JOINTS, *leaves])]
            continue
        try:
            found.append(Comparison(subject, str(name), word, WORDS[word].read(operand)))
        except ValidationError as error:
            errors[word] = error.messages
        except ValueError as error:
            errors[word] = [str(error)]
    if errors:
        raise ValidationError(errors)
    if not found:
        raise ValidationError(f"compares nothing: add one of {', '.join(WORDS)}")
    return found[0] if len(found) == 1 else Every(tuple(found))


def _at(key: str, read: Callable[[], Condition]) -> Condition:
    try:
        return read()
    except ValidationError as error:
        raise ValidationError({key: error.messages}) from None


class When(Told):
    takes = "condition"

    def __init__(self, subject: Subject, **kwargs: Any) -> None:
        self.subject = subject
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Condition:
        return read_condition(value, self.subject)

    def json_schema(self) -> JsonSchema:
        return {"$ref": f"#/$defs/{self.subject}Condition"}


class Compared(Told):
    """One or more words with their operands; all are asked."""

    words: tuple[str, ...]

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Asked:
        if not isinstance(value, Mapping):
            return self.short(value)
        errors: Errors = {}
        found: list[tuple[str, Any]] = []
        for word, operand in value.items():
            if word not in self.words:
                errors[word] = [unknown_word(word, self.words)]
                continue
            try:
                found.append((word, self.operand(word, operand)))
            except ValidationError as error:
                errors[word] = error.messages
            except ValueError as error:
                errors[word] = [str(error)]
        if errors:
            raise ValidationError(errors)
        if not found:
            raise ValidationError(f"compares nothing: add one of {', '.join(self.words)}")
        return tuple(found)

    def short(self, value: object) -> Asked:
        raise ValidationError(f"must be a comparison such as {{gte: 4}}, with one of {', '.join(self.words)}")

    @abstractmethod
    def operand(self, word: str, operand: object) -> Any:
        """The operand of a word; raises ValueError or ValidationError."""

    def in_words(self) -> str:
        return f"{listed(self.words)} with a value"

    def json_schema(self) -> JsonSchema:
        operands = {word: self.operand_schema(word) for word in self.words}
        return {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": operands}

    @abstractmethod
    def operand_schema(self, word: str) -> JsonSchema:
        """What an editor can know of that operand."""


class Bounds(Compared):
    """A number against bounds: whole ones for counts, thousandths for scores."""

    words = _BOUNDS

    def __init__(self, *, whole: bool, **kwargs: Any) -> None:
        self.whole = whole
        super().__init__(**kwargs)

    def operand(self, word: str, operand: object) -> int | tuple[int, int]:
        if word != "between":
            return self._number(operand)
        if not isinstance(operand, list) or len(operand) != 2:
            raise ValueError("must be two numbers [lowest, highest], both included")
        low, high = (self._number(value) for value in operand)
        if low > high:
            raise ValueError(f"the lowest ({operand[0]}) is above the highest ({operand[1]})")
        return low, high

    def _number(self, value: object) -> int:
        if not self.whole:
            return thousandths(value, most=MOST_SUM)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_COUNTED:
            raise ValueError(f"must be a whole number from 0 to {_MOST_COUNTED:,}")
        return value

    def operand_schema(self, word: str) -> JsonSchema:
        one: JsonSchema = {"type": ["number", "string"], "minimum": -MOST_SUM, "maximum": MOST_SUM, "pattern": FORMULA}
        if self.whole:
            one |= {"type": ["integer", "string"], "minimum": 0, "maximum": _MOST_COUNTED}
        return {"type": "array", "minItems": 2, "maxItems": 2, "items": one} if word == "between" else one


class Choice(Compared):
    """A stage or a grade; alone, the one it must be."""

    words = _CHOICES

    def __init__(self, *, accepted: list[str] | None = None, **kwargs: Any) -> None:
        self.accepted = accepted
        super().__init__(**kwargs)

    def short(self, value: object) -> Asked:
        if isinstance(value, str):
            return (("is", self._one(value)),)
        raise ValidationError(f"must be a name, or a comparison with one of {', '.join(self.words)}")

    def operand(self, word: str, operand: object) -> Scalar | tuple[Scalar, ...]:
        if word == "exists":
            return flag(operand)
        if word in ("is", "is_not"):
            return self._one(operand)
        if not isinstance(operand, list) or not operand:
            raise ValueError("must be a list of at least one name")
        errors: Errors = {}
        found: list[str] = []
        for index, item in enumerate(operand):
            try:
                found.append(self._one(item))
            except ValidationError as error:
                errors[index] = error.messages
        if errors:
            raise ValidationError(errors)
        return tuple(found)

    def _one(self, value: object) -> str:
        if not isinstance(value, str) or not value.strip() or len(value) > 100:
            raise ValidationError("must be a name of at most 100 characters")
        if self.accepted and value not in self.accepted:
            raise ValidationError(f"{value!r} is no grade: A1 to D4 are accepted")
        return value

    def in_words(self) -> str:
        return f"name, or {super().in_words()}"

    def operand_schema(self, word: str) -> JsonSchema:
        one: JsonSchema = (
            {"enum": self.accepted} if self.accepted else {"type": "string", "minLength": 1, "maxLength": 100}
        )
        if word == "exists":
            return {"type": "boolean"}
        return one if word in ("is", "is_not") else {"type": "array", "minItems": 1, "items": one}

    def json_schema(self) -> JsonSchema:
        return {"anyOf": [self.operand_schema("is"), super().json_schema()]}


class EventWords(Words):
    """How many events of a type the lead has."""

    event = AnyOrTypes(
        required=True,
        metadata=told("the types to count", "{event: [demo.requested, meeting.booked]}"),
    )
    where = When(
        "property",
        metadata=told(
            "counts only events with such properties",
            "{event: page.viewed, where: {property: path, starts_with: /pricing}}",
        ),
    )
    distinct = Text(
        most=MOST_NAME,
        metadata=told(
            "counts the different values of a property instead of the events; one without it does not count",
            "{event: email.opened, distinct: mail_id, count: {gte: 4}}",
        ),
    )
    within = Duration(
        metadata=told("counts only events younger than this", "{event: any, within: 30d, count: {is: 0}}")
    )
    count = Bounds(
        whole=True,
        load_default=(("gte", 1),),
        metadata=told(
            "how many there must be; at least one, unless it says otherwise",
            "{event: page.viewed, count: {between: [3, 9]}}",
        ),
    )


class ModelAnswers(Words):
    """What another model says of the lead."""

    beside = (
        {"anyOf": [{"required": [aspect]} for aspect in _ASPECTS]},
        {"dependentRequired": {"dimension": ["score"]}},
    )

    model = Name(required=True, metadata=told("the other model, by its name", "{model: base, applies: true}"))
    score = Bounds(whole=False, metadata=told("its total", "{model: base, score: {gte: 50}}"))
    dimension = Name(
        metadata=told(
            "makes `score` mean what the lead has in this dimension", "{model: base, dimension: fit, score: {gte: 30}}"
        )
    )
    stage = Choice(metadata=told("the stage it puts the lead in", "{model: base, stage: {in: [MQL, SQL]}}"))
    grade = Choice(accepted=_GRADES, metadata=told("its grade", "{model: base, grade: A1}"))
    disqualified = Flag(metadata=told("whether it disqualifies the lead", "{model: base, disqualified: true}"))
    applies = Flag(metadata=told("whether the lead is in its audience", "{model: base, applies: false}"))

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        if "dimension" in original and "score" not in original:
            return {"dimension": ["belongs to 'score'"]}
        known = [field.data_key or name for name, field in self.fields.items()]
        if not any(aspect in original for aspect in _ASPECTS) and all(word in known for word in original):
            return {"score": [f"is missing: ask for one of {', '.join(_ASPECTS)}"]}
        return {}
