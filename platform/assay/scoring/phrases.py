"""Languages: their catalogues, and numbers, instants, durations and conditions in the way of each."""

import gettext
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any, Literal

from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.units import format_unit

from assay.scoring.engine.reasons import KINDS, N_, NN_, Text, ordinal
from assay.scoring.language import Comparison, Condition, EventCount, Every, Not, OfModel, Some
from assay.scoring.language.quantities import DAY, HOUR, MINUTE

#: English stands in the code; for each of the others there is a catalogue.
LANGUAGES = ("en", "vi", "ro", "zh")
DOMAIN = "sentences"
_MOST_LISTED = 8

WORDS: Mapping[str, Text] = {
    "is": N_("{name} is {value}"),
    "is_not": N_("{name} is not {value}"),
    "in": N_("{name} is {value}"),
    "not_in": N_("{name} is not {value}"),
    "contains": N_("{name} contains {value}"),
    "starts_with": N_("{name} starts with {value}"),
    "ends_with": N_("{name} ends with {value}"),
    "matches": N_("{name} matches {value}"),
    "gt": N_("{name} is above {value}"),
    "gte": N_("{name} is at least {value}"),
    "lt": N_("{name} is below {value}"),
    "lte": N_("{name} is at most {value}"),
    "between": N_("{name} is between {low} and {high}"),
    "within": N_("{name} is less than {length} ago"),
    "older_than": N_("{name} is at least {length} ago"),
    "hidden": N_("something about {name}"),
}
FLAGS: Mapping[str, tuple[str, str]] = {
    "exists": (N_("{name} is known"), N_("{name} is not known")),
    "is_valid_email": (N_("{name} is a valid e-mail address"), N_("{name} is not a valid e-mail address")),
    "is_free_email": (N_("{name} is at a free mail provider"), N_("{name} is not at a free mail provider")),
    "is_disposable_email": (
        N_("{name} is at a disposable mail provider"),
        N_("{name} is not at a disposable mail provider"),
    ),
    "looks_fake": (N_("{name} looks made up"), N_("{name} does not look made up")),
}
COUNTS: Mapping[str, Text] = {
    "is": NN_("{types} exactly {count} time", "{types} exactly {count} times"),
    "gte": NN_("{types} at least {count} time", "{types} at least {count} times"),
    "lte": NN_("{types} at most {count} time", "{types} at most {count} times"),
    "between": N_("{types} between {low} and {high} times"),
}
DIFFERENT: Mapping[str, Text] = {
    "is": N_("{types} with exactly {count} different {property}"),
    "gte": N_("{types} with at least {count} different {property}"),
    "lte": N_("{types} with at most {count} different {property}"),
    "between": N_("{types} with {low} to {high} different {property}"),
}
ANY_EVENT = N_("any event")
WHERE = N_("{phrase} where {condition}")
IN_TIME = N_("{phrase} within {length}")
NOT = N_("not ({condition})")
MORE = N_("{count} more")
OF_MODEL: Mapping[str, str] = {
    "score": N_("the score under {model}"),
    "dimension": N_("{dimension} under {model}"),
    "stage": N_("the stage under {model}"),
    "grade": N_("the grade under {model}"),
}
MODEL_SAYS: Mapping[str, tuple[str, str]] = {
    "disqualified": (N_("model {model} disqualifies this lead"), N_("model {model} does not disqualify this lead")),
    "applies": (N_("model {model} scores this lead"), N_("model {model} does not score this lead")),
}


@dataclass(frozen=True)
class Language:
    """Says texts in one language; values are formatted by what their placeholders are called."""

    code: str
    locale: Locale
    catalogue: gettext.NullTranslations

    def text(self, message: Text, values: Mapping[str, Any], counted_by: str = "count") -> str:
        if isinstance(message, tuple):
            found = self.catalogue.ngettext(*message, self._amount(counted_by, values[counted_by]))
        else:
            found = self.catalogue.gettext(message)
        told = {name: self.value(name, value) for name, value in values.items() if value is not None}
        return found.format_map(told)

    def value(self, name: str, value: Any) -> str:
        return _WRITTEN.get(KINDS.get(name, ""), Language.plain)(self, value)

    def plain(self, value: object) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(format_decimal(value, locale=self.locale))
        return str(value)

    def points(self, thousandths: int) -> str:
        return str(format_decimal(Decimal(thousandths) / 1000, format="#,##0.###", locale=self.locale))

    def instant(self, at: datetime) -> str:
        return f"{self.day(at)} {at.astimezone(UTC):%H:%M} UTC"

    def day(self, at: datetime) -> str:
        return format_date(at.astimezone(UTC).date(), "medium", locale=self.locale)

    def length(self, microseconds: int) -> str:
        unit, size = next(
            (each for each in (("day", DAY), ("hour", HOUR)) if microseconds % each[1] == 0), ("minute", MINUTE)
        )
        # Where a language writes long and short alike, Babel knows the short way alone.
        way: Literal["long", "short"] = "short" if self.code in ("vi", "zh") else "long"
        return str(format_unit(microseconds // size, f"duration-{unit}", way, locale=self.locale))

    def nth(self, place: int) -> str:
        return ordinal(place) if self.code == "en" else str(place)

    def any_of(self, texts: Iterable[str]) -> str:
        return format_list(list(texts), style="or", locale=self.locale)

    def all_of(self, texts: Iterable[str]) -> str:
        return format_list(list(texts), locale=self.locale)

    def listed(self, texts: Iterable[str]) -> str:
        return format_list(list(texts), style="unit", locale=self.locale)

    def condition(self, condition: Condition) -> str:
        if isinstance(condition, Every):
            return self.all_of(self._bracketed(part) for part in condition.conditions)
        if isinstance(condition, Some):
            return self.any_of(self._bracketed(part) for part in condition.conditions)
        if isinstance(condition, Not):
            return self.text(NOT, {"condition": condition.condition})
        if isinstance(condition, EventCount):
            return self._event_count(condition)
        if isinstance(condition, OfModel):
            return self._of_model(condition)
        return self._compared(condition.name, condition)

    def _bracketed(self, condition: Condition) -> str:
        text = self.condition(condition)
        return f"({text})" if isinstance(condition, (Every, Some)) and len(condition.conditions) > 1 else text

    def _compared(self, name: str, compared: Comparison | OfModel, *, points: bool = False) -> str:
        word, operand = compared.word, compared.operand
        written: Callable[[Any], str] = self.points if points else self._operand
        if word in FLAGS:
            return self.text(FLAGS[word][0 if operand else 1], {"name": name})
        if word == "between" and isinstance(operand, tuple):
            return self.text(WORDS[word], {"name": name, "low": written(operand[0]), "high": written(operand[1])})
        if word in ("within", "older_than"):
            return self.text(WORDS[word], {"name": name, "length": operand})
        values = [written(value) for value in (operand if isinstance(operand, tuple) else (operand,))]
        if len(values) > _MOST_LISTED:
            values = [*values[:_MOST_LISTED], self.text(MORE, {"count": len(values) - _MOST_LISTED})]
        return self.text(WORDS[word], {"name": name, "value": self.any_of(values)})

    def _operand(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        # As it was written: 1984 may be a year or an id, so it gets no separators.
        return str(value)

    def _event_count(self, count: EventCount) -> str:
        types = self.text(ANY_EVENT, {}) if count.types is None else self.any_of(count.types)
        word, operand = count.word, count.operand
        if word in ("gt", "lt") and isinstance(operand, int):
            word, operand = ("gte", operand + 1) if word == "gt" else ("lte", operand - 1)
        values: dict[str, object] = {"types": [types], "property": count.distinct}
        if isinstance(operand, tuple):
            values |= {"low": operand[0], "high": operand[1]}
        else:
            values["count"] = operand
        phrase = self.text((DIFFERENT if count.distinct else COUNTS)[word], values)
        if count.where is not None:
            phrase = self.text(WHERE, {"phrase": phrase, "condition": count.where})
        return phrase if count.within is None else self.text(IN_TIME, {"phrase": phrase, "length": count.within})

    def _of_model(self, said: OfModel) -> str:
        if said.aspect in MODEL_SAYS:
            return self.text(MODEL_SAYS[said.aspect][0 if said.operand else 1], {"model": said.model})
        aspect = "dimension" if said.dimension else said.aspect
        subject = self.text(OF_MODEL[aspect], {"model": said.model, "dimension": said.dimension})
        return self._compared(subject, said, points=said.aspect == "score")

    @staticmethod
    def _amount(name: str, value: int) -> int:
        """The number a plural goes by; of fractions there are always several."""
        if KINDS.get(name) != "points":
            return abs(value)
        return abs(value) // 1000 if value % 1000 == 0 else 2


_WRITTEN: Mapping[str, Callable[[Language, Any], str]] = {
    "points": Language.points,
    "instant": Language.instant,
    "day": Language.day,
    "length": Language.length,
    "nth": Language.nth,
    "any of": Language.any_of,
    "list": Language.listed,
    "condition": Language.condition,
}


@cache
def language(code: str) -> Language:
    """Raises KeyError for a language we have no words in."""
    if code not in LANGUAGES:
        raise KeyError(code)
    return Language(code, Locale.parse(code), _catalogue(code))


def _catalogue(code: str) -> gettext.NullTranslations:
    if code == "en":
        return gettext.NullTranslations()
    file = resources.files("assay").joinpath("locales", code, "LC_MESSAGES", f"{DOMAIN}.po")
    compiled = BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source, locale=code, abort_invalid=True))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
