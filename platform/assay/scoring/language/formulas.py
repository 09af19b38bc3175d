"""Arithmetic over parameters, exact: numbers, names, + - * / and brackets, and nothing else."""

import re
from collections.abc import Mapping
from fractions import Fraction

from assay.scoring.language.quantities import MOST_SUM
from assay.scoring.language.words import unknown_name

MOST_FORMULA = 200
_MOST_BRACKETS = 20
_TOKEN = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]+)?)|([^\W\d]\w*)|([-+*/()−×÷]))")
_SAME = {"−": "-", "×": "*", "÷": "/"}

Value = int | float | str


def worked_out(formula: str, parameters: Mapping[str, Value]) -> Value:
    """The number or duration behind `=`; raises ValueError with a sentence."""
    if len(formula) > MOST_FORMULA:
        raise ValueError(f"is a formula of {len(formula):,} characters; at most {MOST_FORMULA} are accepted")
    text = formula.removeprefix("=").strip()
    if not text:
        raise ValueError("is a formula of nothing; text that begins with '=' is written with two: '=='")
    alone = parameters.get(text)
    if isinstance(alone, str):
        return alone
    return _written(_Reader(text, parameters).read())


def _written(exact: Fraction) -> int | float:
    if abs(exact) > MOST_SUM:
        raise ValueError(f"gives a number that does not lie between -{MOST_SUM:,} and {MOST_SUM:,}")
    if exact.denominator == 1:
        return int(exact)
    if 1000 % exact.denominator:
        raise ValueError(f"gives {exact} ({float(exact):.6g}…), and numbers have at most three decimal places")
    return float(exact)


class _Reader:
    """Recursive descent; each method reads one level and leaves `place` behind it."""

    def __init__(self, text: str, parameters: Mapping[str, Value]) -> None:
        self.text = text
        self.parameters = parameters
        self.words = _words(text)
        self.place = 0
        self.brackets = 0

    def read(self) -> Fraction:
        found = self._sum()
        if self.place < len(self.words):
            raise ValueError(f"is no formula: {self.words[self.place]!r} is not expected in {self.text!r}")
        return found

    def _sum(self) -> Fraction:
        found = self._product()
        while self._next() in ("+", "-"):
            sign = self._take()
            right = self._product()
            found = found + right if sign == "+" else found - right
        return found

    def _product(self) -> Fraction:
        found = self._factor()
        while self._next() in ("*", "/"):
            sign = self._take()
            right = self._factor()
            if sign == "/" and right == 0:
                raise ValueError(f"divides by zero in {self.text!r}")
            found = found * right if sign == "*" else found / right
        return found

    def _factor(self) -> Fraction:
        negative = False
        while self._next() == "-":
            self._take()
            negative = not negative
        found = self._value()
        return -found if negative else found

    def _value(self) -> Fraction:
        word = self._take()
        if word == "(":
            return self._bracketed()
        if word[:1].isdigit():
            return Fraction(word)
        if not word or word in "+-*/)":
            where = f"before {word!r}" if word else "at the end"
            raise ValueError(f"is no formula: a number or a parameter is missing {where} of {self.text!r}")
        if word not in self.parameters:
            raise ValueError(unknown_name("parameter", word, list(self.parameters)))
        value = self.parameters[word]
        if isinstance(value, str):
            raise ValueError(f"reckons with {word!r}, which is a duration; a duration stands alone: '= {word}'")
        return Fraction(str(value))

    def _bracketed(self) -> Fraction:
        self.brackets += 1
        if self.brackets > _MOST_BRACKETS:
            raise ValueError(f"has more than {_MOST_BRACKETS} brackets")
        found = self._sum()
        if self._take() != ")":
            raise ValueError(f"is no formula: a bracket is not closed in {self.text!r}")
        return found

    def _next(self) -> str:
        return self.words[self.place] if self.place < len(self.words) else ""

    def _take(self) -> str:
        word = self._next()
        self.place += 1
        return word


def _words(text: str) -> list[str]:
    words: list[str] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(
                f"is no formula: {text[place:].lstrip()[:1]!r} is not expected in {text!r}; "
                "text that begins with '=' is written with two: '=='"
            )
        word = match[match.lastindex or 0]
        words.append(_SAME.get(word, word))
        place = match.end()
    return words
