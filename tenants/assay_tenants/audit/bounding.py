"""What of a change is written down: plain JSON of bounded size, in letters that can be stored, without secrets."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

#: Bytes of ``before``, and of ``after``.
MOST: Final = 16 * 1024
#: Letters of a name, an address or a subject.
LONGEST: Final = 200
MASK: Final = "•••"

# What should not have come here at all.
_SECRET = re.compile(r"(^|_)(password|passwd|secret|token|private_key|api_key|write_key)$", re.IGNORECASE)
# Between the words of a clientSecret.
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def short(text: object) -> str:
    told = plain(str(text))
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"


def plain(text: str) -> str:
    return _UNSTORABLE.sub("�", text)


def written(values: Mapping[str, Any] | None) -> str | None:
    """As JSON of at most MOST bytes: the largest values make room first, and it says which did."""
    if values is None:
        return None
    told = {plain(str(name)): _clean(value, str(name)) for name, value in values.items()}
    sizes = {name: len(_dumped({name: value})) for name, value in told.items()}
    length = len(_dumped(told))
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if length <= MOST:
            break
        told[name] = f"left out: {sizes[name]:,} bytes"
        length += len(_dumped({name: told[name]})) - sizes[name]
    text = _dumped(told)
    if len(text) > MOST:
        return _dumped({"left_out": f"{len(told):,} values of {sum(sizes.values()):,} bytes"})
    return text


def _clean(value: Any, name: str = "") -> Any:
    if value and not isinstance(value, bool) and _SECRET.search(_HUMP.sub("_", name)):
        return MASK
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {plain(str(key)): _clean(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each, name) for each in value]
    if isinstance(value, set | frozenset):
        return [_clean(each, name) for each in sorted(value, key=str)]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        # JSON has no words for the others.
        return value if value == value and abs(value) != float("inf") else str(value)
    return plain(str(value))


def _dumped(told: Mapping[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=True, separators=(",", ":"))
