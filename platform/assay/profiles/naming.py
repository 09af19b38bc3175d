"""What a lead is called, and the text it is found by."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from assay.profiles import domains
from assay.profiles.matching import EMAIL, USER_ID, VENDOR, Key

NAMES = ("name", "full_name", "fullName", "fullname")
FIRST_NAMES = ("first_name", "firstName", "firstname", "given_name")
LAST_NAMES = ("last_name", "lastName", "lastname", "family_name")
#: What a lead's own traits call its company, where no company is known by them.
COMPANY_NAMES = ("company.name", "company", "company_name", "companyName")
#: All traits that the name, the address or the search key of a lead may come from.
TELLING = frozenset((EMAIL, *NAMES, *FIRST_NAMES, *LAST_NAMES, *COMPANY_NAMES))
#: Begins the key of a domain's company.
DOMAIN = "domain:"
_OWN = "id:"
_LONGEST = 200
# An index takes it whole.
_LONGEST_KEY = 500
# Letters that Unicode does not decompose into a plain letter and an accent.
_PLAIN = str.maketrans({"đ": "d", "ø": "o", "ł": "l", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"})


def folded(text: str) -> str:
    """Text as it is searched: without case, accents or doubled spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(plain.translate(_PLAIN).split())


def lead_name(traits: Mapping[str, Any], identifiers: Iterable[Key]) -> str | None:
    """None for somebody of whom only a device is known."""
    parts = [_first(traits, FIRST_NAMES), _first(traits, LAST_NAMES)]
    name = _first(traits, NAMES) or " ".join(part for part in parts if part) or _first(traits, (EMAIL,))
    if name:
        return name
    for kind, value in sorted(identifiers, key=_prominence):
        if kind in (EMAIL, USER_ID) or kind.startswith(VENDOR):
            return value[:_LONGEST]
    return None


def _prominence(key: Key) -> tuple[int, Key]:
    kind, _ = key
    return (0 if kind == EMAIL else 1 if kind == USER_ID else 2), key


def company_key(company_id: str, vendor: str | None) -> str:
    """Ids of different vendors never meet, nor does any meet a domain."""
    if vendor:
        return f"{VENDOR}{vendor}:{company_id}"
    return f"{_OWN}{company_id}" if company_id.startswith((VENDOR, DOMAIN, _OWN)) else company_id


def domain_key(domain: str) -> str:
    return DOMAIN + domain


def shown_key(key: str) -> str:
    """A company of which nothing but its id is known is called by it."""
    if key.startswith(DOMAIN):
        return domains.shown(key.removeprefix(DOMAIN))
    return key.removeprefix(_OWN) if key.startswith(_OWN) else key.removeprefix(VENDOR)


def company_search_key(traits: Mapping[str, Any], keys: Iterable[str]) -> str:
    """What a company is listed by and found by; ``keys`` of all that is one with it."""
    parts = (company_name(traits), domains.of_company(traits), *map(shown_key, keys))
    return " ".join(dict.fromkeys(folded(part) for part in parts if part))[:_LONGEST_KEY]


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
