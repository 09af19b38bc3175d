"""Traits that are worked out of others whenever they are read; nobody can send them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from assay.profiles.naming import COMPANY_NAMES, FIRST_NAMES, LAST_NAMES, NAMES

EMAIL = ("email",)
NAME = (*NAMES, *FIRST_NAMES, *LAST_NAMES)
COMPANY = COMPANY_NAMES


@dataclass(frozen=True)
class Computed:
    """``true`` or ``false``; missing where none of its sources is known."""

    doc: str
    sources: tuple[str, ...]


COMPUTED: Mapping[str, Computed] = {
    "quality.valid_email": Computed("the e-mail address is well-formed, at a domain that could exist", EMAIL),
    "quality.free_email": Computed("it is at a free mail provider, such as gmail.com", EMAIL),
    "quality.disposable_email": Computed("it is at a provider of addresses that are thrown away", EMAIL),
    "quality.role_email": Computed("several people read it, such as info@ or sales@", EMAIL),
    "quality.fake_name": Computed(
        "the name looks made up: a keyboard run, a placeholder, one letter over and over, figures", (*NAME, *EMAIL)
    ),
    "quality.fake_company": Computed("the company's name looks made up, in the same ways", COMPANY),
}


def sources(names: Iterable[str]) -> frozenset[str]:
    """What has to be known for these traits to be known; of what is not computed, itself."""
    found: set[str] = set()
    for name in names:
        found.update(COMPUTED[name].sources if name in COMPUTED else (name,))
    return frozenset(found)
