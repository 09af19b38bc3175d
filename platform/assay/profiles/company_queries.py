"""Companies, for those who look at them."""

import base64
import binascii
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from assay.profiles import domains
from assay.profiles.marks import read_marks
from assay.profiles.merging import instant
from assay.profiles.models import Company, Lead
from assay.profiles.naming import DOMAIN, company_name, folded, shown_key
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput, NotFound
from assay_tenants.models import Source

PAGE = 50
LARGEST_PAGE = 200


@dataclass(frozen=True)
class ListedCompany:
    id: int
    name: str
    #: As people write it; None where nobody stated one.
    domain: str | None
    #: How many leads belong to it.
    people: int


@dataclass(frozen=True)
class CompanyPage:
    """By name."""

    items: list[ListedCompany]
    next_cursor: str | None


@dataclass(frozen=True)
class StatedTrait:
    name: str
    value: Any
    #: None: it follows from the domain, nobody stated it.
    stated_at: datetime | None
    #: The name of the source that stated it last.
    source: str | None
    #: The sender's id of the company under which it was stated.
    company_id: str | None


@dataclass(frozen=True)
class DetailedCompany:
    id: int
    name: str
    domain: str | None
    people: int
    #: By name.
    traits: list[StatedTrait]
    #: Senders' ids that are this company.
    ids: list[str]
    #: How many ids state its domain and yet are companies of their own, because they are too many; 0 for no crowd.
    crowd: int


def list_companies(
    tenant_id: int, *, text: str | None = None, cursor: str | None = None, limit: int = PAGE
) -> CompanyPage:
    """``cursor`` is the ``next_cursor`` of the page before; one renamed meanwhile may be met twice or not at all."""
    if text is not None and "\0" in text:
        raise BadInput("The character U+0000 is in no text of ours.", field="text")
    limit = max(1, min(limit, LARGEST_PAGE))
    query = (
        select(Company.id, Company.key, Company.traits, Company.domain, Company.search_key, _people(tenant_id))
        .where(Company.tenant_id == tenant_id, Company.home_id.is_(None), _is_somebodys(tenant_id))
        .order_by(Company.search_key, Company.id)
        .limit(limit + 1)
    )
    if text is not None:
        query = query.where(Company.search_key.contains(folded(text), autoescape=True))
    if cursor is not None:
        query = query.where(tuple_(Company.search_key, Company.id) > tuple_(*_place(cursor)))
    with tenant_session(tenant_id) as session:
        found = session.execute(query).all()
    items = [
        ListedCompany(row.id, _called(row.traits, row.key), _domain(row.domain), row.people) for row in found[:limit]
    ]
    last = found[limit - 1] if len(found) > limit else None
    return CompanyPage(items, _cursor(last.search_key, last.id) if last else None)


def get_company(tenant_id: int, company_id: int) -> DetailedCompany:
    """Under the id of one that is part of another, that other one."""
    with tenant_session(tenant_id) as session:
        company = read_visible(session, tenant_id, company_id)
        members = session.scalars(
            select(Company).where(Company.tenant_id == tenant_id, Company.home_id == company.id).order_by(Company.key)
        ).all()
        crowd = 0
        if company.domain is not None:
            alone = (Company.domain == company.domain, Company.home_id.is_(None), ~Company.key.startswith(DOMAIN))
            crowd = session.scalars(select(func.count()).where(Company.tenant_id == tenant_id, *alone)).one()
        people = session.scalars(
            select(func.count()).where(Lead.tenant_id == tenant_id, Lead.company_id == company.id)
        ).one()
        sources = {
            row.id: row.name
            for row in session.execute(select(Source.id, Source.name).where(Source.tenant_id == tenant_id))
        }
        marks = read_marks(session, tenant_id)
    nodes = list(members) if company.key.startswith(DOMAIN) else [company]
    found = _traits(company, nodes, sources)
    # As on the page of one of its people, where they have these names.
    shown = marks.masked({f"company.{trait.name}": trait.value for trait in found})
    return DetailedCompany(
        id=company.id,
        name=_called(company.traits, company.key),
        domain=_domain(company.domain),
        people=people,
        traits=[replace(trait, value=shown[f"company.{trait.name}"]) for trait in found],
        ids=[shown_key(node.key) for node in nodes],
        crowd=crowd,
    )


def read_visible(session: Session, tenant_id: int, company_id: int) -> Company:
    """The row that people of this company belong to."""
    node = aliased(Company)
    found = session.scalars(
        select(Company)
        .join(node, and_(node.tenant_id == Company.tenant_id, Company.id == func.coalesce(node.home_id, node.id)))
        .where(Company.tenant_id == tenant_id, node.tenant_id == tenant_id, node.id == min(company_id, LARGEST_ID))
    ).one_or_none()
    if found is None:
        raise NotFound("company")
    return found


def _traits(company: Company, nodes: list[Company], sources: dict[int, str]) -> list[StatedTrait]:
    found = []
    for name, value in sorted(company.traits.items()):
        if value is None:
            continue
        at, source_id = company.stated.get(name, (0, 0))
        teller = next((node for node in nodes if _tells(node, name, value, [at, source_id])), None)
        found.append(
            StatedTrait(
                name=name,
                value=value,
                stated_at=instant(at) if at else None,
                source=sources.get(source_id),
                company_id=shown_key(teller.key) if teller else None,
            )
        )
    return found


def _tells(node: Company, name: str, value: object, stated: list[int]) -> bool:
    return node.stated.get(name) == stated and node.traits[name] == value


def _people(tenant_id: int) -> ColumnElement[int]:
    return (
        select(func.count())
        .where(Lead.tenant_id == tenant_id, Lead.company_id == Company.id)
        .correlate(Company)
        .scalar_subquery()
        .label("people")
    )


def _is_somebodys(tenant_id: int) -> ColumnElement[bool]:
    """A domain's row stays when its last people and ids have left it."""
    member = aliased(Company)
    return or_(
        ~Company.key.startswith(DOMAIN),
        select(Lead.id).where(Lead.tenant_id == tenant_id, Lead.company_id == Company.id).exists(),
        select(member.id).where(member.tenant_id == tenant_id, member.home_id == Company.id).exists(),
    )


def _called(traits: dict[str, Any], key: str) -> str:
    return company_name(traits) or shown_key(key)


def _domain(domain: str | None) -> str | None:
    return domains.shown(domain) if domain else None


def _cursor(search_key: str, company_id: int) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((search_key, company_id))).rstrip(b"=").decode()


def _place(cursor: str) -> tuple[str, int]:
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        search_key, company_id = msgspec.msgpack.decode(packed, type=tuple[str, int])
        if "\0" not in search_key and 0 <= company_id <= LARGEST_ID:
            return search_key, company_id
    except (binascii.Error, ValueError, msgspec.DecodeError):
        pass
    raise BadInput(
        "This cursor is not one of this list. Accepted is the next_cursor of the page before; leave it out to start "
        "at the top.",
        field="cursor",
    )
