"""What a dead letter's fault is called: one short name for all that one mend would set right."""

import re

LONGEST = 120

#: Words of a reason, and the code that stands for them; the first that fits.
_CODES = (
    ("is missing", "missing"),
    ("names nobody", "nobody"),
    ("says nobody", "nobody"),
    ("over the limit", "too_large"),
    ("nested", "too_deep"),
    ("hours ahead", "too_far_ahead"),
    ("before 1970", "too_early"),
    ("beyond the calendar", "bad_instant"),
    ("is not an instant", "bad_instant"),
    ("must be an instant", "bad_instant"),
    ("U+0000", "bad_character"),
    ("not UTF-8", "bad_character"),
    ("not Unicode text", "bad_character"),
    ("beyond 64 bits", "bad_number"),
    ("finite number", "bad_number"),
    ("not JSON", "malformed"),
    ("not valid JSON", "malformed"),
    ("accepted are", "unknown_value"),
    ("must be", "wrong_type"),
)
_NOT_KEPT = re.compile(r"This could not be kept: (\w+)")
_ITEM = re.compile(r"\A\w+\[\d+\]\.?")
_PLACE = re.compile(r"\[\d+\]")
_QUOTED = re.compile(r"""(?<!\w)(?:'[^']*'|"[^"]*"|“[^”]*”|`[^`]*`)""")
_WITH_DIGITS = re.compile(r"\S*\d\S*")
_WORD = re.compile(r"[a-z]+")
_STATED = re.compile(rf"[A-Za-z0-9_.:/\[\]-]{{1,{LONGEST}}}")


def kind_of(reason: str, *, field: str | None = None, stated: str | None = None) -> str:
    """As stated by whoever refused it, or made of the field and the sense of the reason.

    Values in the reason, and the item's place in its batch, make no difference.
    """
    if stated and _STATED.fullmatch(stated):
        return stated
    if not_kept := _NOT_KEPT.match(reason):
        return f"not_kept/{not_kept[1]}"[:LONGEST]
    plain = _QUOTED.sub(" ", reason)
    code = next((code for words, code in _CODES if words in plain), None) or _worded(plain, field)
    path = _PLACE.sub("[]", _ITEM.sub("", field or ""))
    return (f"field:{path}/{code}" if path else code)[:LONGEST]


def _worded(plain: str, field: str | None) -> str:
    """For a reason we have no code for: its first words."""
    if field:
        plain = plain.replace(field, " ").replace(_ITEM.sub("", field), " ")
    sentence = _WITH_DIGITS.sub(" ", plain).lower().replace("'", "")
    return "_".join(_WORD.findall(sentence)[:6]) or "unsorted"
