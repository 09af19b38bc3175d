"""What every mapping of a model document has in common: known words, hints for others, contradictions between them."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema

from assay.scoring.language.fields import MISSING, JsonSchema, Spoken, name
from assay.scoring.language.quantities import number
from assay.scoring.language.words import unknown_word

Errors = dict[Any, Any]

_SHAPE = {"type": "must be a mapping of words to values"}


class Words(Schema):
    """A mapping of known words; others are refused with a hint, together with every other mistake."""

    #: Alternatives of which a document must hold one; the JSON Schema says so too.
    one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    #: What else its JSON Schema knows of words beside one another.
    beside: ClassVar[tuple[JsonSchema, ...]] = ()
    error_messages = _SHAPE

    class Meta:
        unknown = EXCLUDE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_words(self, data: Mapping[str, Any], original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        known = [field.data_key or name for name, field in self.fields.items()]
        errors: Errors = {word: [unknown_word(word, known)] for word in original if word not in known}
        for word, messages in self.contradictions(data, original).items():
            errors.setdefault(word, messages)
        if errors:
            raise ValidationError(errors)

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        """Mistakes between words; `data` holds those that were right by themselves."""
        return {}


class Capped(Words):
    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        return caps(data)


def caps(data: Mapping[str, Any]) -> Errors:
    high, low = data.get("max"), data.get("min")
    if high is not None and low is not None and low > high:
        return {"min": [f"({number(low)}) is above max ({number(high)})"]}
    errors: Errors = {}
    # A cap limits what was earned; on the other side of zero it would give points to every lead.
    if high is not None and high < 0:
        errors["max"] = ["must be 0 or above: it caps what is earned; 'min' limits what is deducted"]
    if low is not None and low > 0:
        errors["min"] = ["must be 0 or below: it limits what is deducted; 'max' caps what is earned"]
    return errors


class Part(fields.Nested):
    """A mapping with words of its own."""

    def __init__(self, words: type[Words], **kwargs: Any) -> None:
        self.words = words
        super().__init__(words, error_messages=MISSING, **kwargs)


class Parts(fields.List[Any]):
    """A list of mappings with words of their own."""

    def __init__(self, words: type[Words], *, such_as: str, **kwargs: Any) -> None:
        self.words = words
        # marshmallow fills braces in.
        shown = such_as.replace("{", "{{").replace("}", "}}")
        super().__init__(Part(words), error_messages={**MISSING, "invalid": f"must be {shown}"}, **kwargs)


class Named(Spoken):
    """A mapping of names to one schema; errors stand at the name itself."""

    takes = "mapping of names"

    def __init__(self, words: type[Words], make: Callable[..., Any], **kwargs: Any) -> None:
        self.words = words
        self.make = make
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError("must be a mapping of names")
        schema = self.words()
        found: list[Any] = []
        errors: Errors = {}
        for key, item in value.items():
            try:
                found.append(self.make(name=name(key), **schema.load({} if item is None else item)))
            except ValidationError as error:
                errors[key] = error.messages
        if errors:
            raise ValidationError(errors)
        return tuple(found)


def as_mapping(value: object) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one: who checks raw documents goes on looking."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
