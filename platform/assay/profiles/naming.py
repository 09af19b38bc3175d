"""What a lead is called, and the text it is found by."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from assay.profiles.matching import EMAIL, USER_ID, VENDOR, Key

_NAMES = ("name", "full_name", "fullName", "fullname")
_FIRST_NAMES = ("first_name", "firstName", "firstname", "given_name")
_LAST_NAMES = ("last_name", "lastName", "lastname", "family_name")
#: What a lead's own traits call its company, where no company is known by them.
COMPANY_NAMES = ("company.name", "company", "company_name", "companyName")
#: All traits that the name, the address or the search key of a lead may come from.
TELLING = frozenset((EMAIL, *_NAMES, *_FIRST_NAMES, *_LAST_NAMES, *COMPANY_NAMES))
_LONGEST = 200
# Letters that Unicode does not decompose into a plain letter and an accent.
_PLAIN = str.maketrans({"đ": "d", "ø": "o", "ł": "l", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"})


def folded(text: str) -> str:
    """Text as it is searched: without case, accents or doubled spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(plain.translate(_PLAIN).split())


def lead_name(traits: Mapping[str, Any], identifiers: Iterable[Key]) -> str | None:
    """None for somebody of whom only a device is known."""
    parts = [_first(traits, _FIRST_NAMES), _first(traits, _LAST_NAMES)]
    name = _first(traits, _NAMES) or " ".join(part for part in parts if part) or _first(traits, (EMAIL,))
    if name:
        return name
    for kind, value in sorted(identifiers, key=_prominence):
        if kind in (EMAIL, USER_ID) or kind.startswith(VENDOR):
            return value[:_LONGEST]
    return None


def _prominence(key: Key) -> tuple[int, Key]:
    kind, _ = key
    return (0 if kind == EMAIL else 1 if kind == USER_ID else 2), key


def company_name(traits: Mapping[str, Any]) -> str | None:
    """From a company's own traits."""
    return _first(traits, ("name", "domain"))


def named_by(traits: Mapping[str, Any]) -> str | None:
    """The company that a lead's own traits name."""
    return _first(traits, COMPANY_NAMES)


def search_key(*, name: str | None, email: str | None, traits: Mapping[str, Any], company: str | None) -> str:
    parts = (name, email, company or named_by(traits))
    return " ".join(dict.fromkeys(folded(part) for part in parts if part))


def _first(traits: Mapping[str, Any], names: Iterable[str]) -> str | None:
    for name in names:
        value = traits.get(name)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:_LONGEST]
    return None
