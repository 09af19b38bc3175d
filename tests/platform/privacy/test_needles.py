"""However JSON writes an identifier, it is found; and so is a short one in what is left of an item."""

import json

import pytest

from assay.privacy.needles import Needles

IDS = [
    "google/ann-4711",
    "jürgen-4711",
    "ann-😀-4711",
    'an"n-4711',
    "corp\\ann4711",
    "ANN-4711-XY",
    "annleesmith",
    "42",
]


def in_numbers(value: str) -> str:
    units = value.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02X}{units[at + 1]:02x}" for at in range(0, len(units), 2))


WAYS = {
    "as it is": lambda value: json.dumps(value, ensure_ascii=False),
    "in ASCII": json.dumps,
    "with escaped slashes": lambda value: json.dumps(value).replace("/", "\\/"),
    "all in numbers": lambda value: f'"{in_numbers(value)}"',
}
ENDS = {"whole": "}", "cut off": ', "traits": {"name": "An'}


@pytest.mark.parametrize("value", IDS)
@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_an_identifier_is_found(value: str, write, end: str) -> None:
    text = f'{{"type": "nonsense", "userId": {write(value)}{end}'
    needles = Needles(frozenset({("user_id", value)}))
    assert needles.rough([text]) == [True]
    assert needles.names(text)
    assert needles.names(text.encode())


@pytest.mark.parametrize(
    "text", ['{"userId": "421"}', '{"count": "42"}', '{"userId": 4, "n": 42', "42", '{"userId": "4']
)
def test_others_are_not(text: str) -> None:
    assert not Needles(frozenset({("user_id", "42")})).names(text)
