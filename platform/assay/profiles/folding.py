"""A lead is what its identities say together: pure."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from assay.profiles.companies import NamedCompany
from assay.profiles.domains import of_address
from assay.profiles.matching import ANONYMOUS_ID, EMAIL, Key, is_personal_address
from assay.profiles.merging import CLEARED, State, Statement, canonical, learn, traits_of, values_of
from assay.profiles.naming import TELLING, lead_name, search_key


@dataclass(frozen=True, slots=True)
class Facet:
    """What is known of a lead through one of its identities."""

    key: Key
    state: State
    company: NamedCompany | None
    company_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Face:
    """A lead as it is stored for lists and rules."""

    name: str | None
    email: str | None
    search_key: str
    #: JSON.
    traits: str
    company_id: int | None
    first_seen_at: datetime
    last_seen_at: datetime


def fold(facets: Iterable[Facet], *, at_domain: NamedCompany | None = None) -> Face:
    """``at_domain`` is the company of the domain that ``domain_of`` tells of them."""
    facets = list(facets)
    merged: State = {}
    for facet in facets:
        learn(merged, facet.state)
    # Cleared, it is as if nobody had ever stated it.
    merged = {name: statement for name, statement in merged.items() if statement[1] != CLEARED}
    address = _address(facets)
    if address is not None and EMAIL not in merged:
        learn(merged, {EMAIL: (0, canonical(address), 0)})
    traits = values_of({name: merged[name] for name in TELLING & merged.keys()})
    email = traits.get(EMAIL)
    if not isinstance(email, str):
        email = address
    name = lead_name(traits, [facet.key for facet in facets if facet.key[0] != ANONYMOUS_ID])
    company = _company(facets) or at_domain
    return Face(
        name=name,
        email=email,
        search_key=search_key(name=name, email=email, traits=traits, company=company.name if company else None),
        traits=traits_of(merged),
        company_id=company.visible_id if company else None,
        first_seen_at=min(facet.first_seen_at for facet in facets),
        last_seen_at=max(facet.last_seen_at for facet in facets),
    )


def domain_of(facets: Collection[Facet]) -> str | None:
    """The registered domain that tells where somebody works of whom no company is stated.

    That of the address the lead goes by; if it tells none, of the next one.
    """
    stated: Statement | None = None
    has_address = False
    for facet in facets:
        if facet.company is not None and facet.company_at is not None:
            return None
        has_address = has_address or facet.key[0] == EMAIL
        if EMAIL in facet.state and (stated is None or facet.state[EMAIL] > stated):
            stated = facet.state[EMAIL]
    # Most people are visitors of whom nothing is known.
    if stated is None and not has_address:
        return None
    addresses = _addresses(facets)
    if stated is not None and isinstance(address := json.loads(stated[1]), str):
        addresses.insert(0, address)
    return next((domain for address in addresses if (domain := of_address(address))), None)


def _address(facets: list[Facet]) -> str | None:
    return next(iter(_addresses(facets)), None)


def _addresses(facets: Collection[Facet]) -> list[str]:
    """Personal ones first, by when each was seen first: the last sight would have to be looked up at every event."""
    addresses = [
        (not is_personal_address(facet.key[1]), facet.first_seen_at, facet.key[1])
        for facet in facets
        if facet.key[0] == EMAIL
    ]
    return [address for _, _, address in sorted(addresses)]


def _company(facets: list[Facet]) -> NamedCompany | None:
    """The one stated last."""
    newest: tuple[datetime, str] | None = None
    company = None
    for facet in facets:
        if facet.company is not None and facet.company_at is not None:
            stated = (facet.company_at, facet.company.key)
            if newest is None or stated > newest:
                newest, company = stated, facet.company
    return company
