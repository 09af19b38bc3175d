"""Companies: what is known of each, where it came from, and its people by score."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay.api.access import tenant_id
from assay.api.door import Part
from assay.api.leads import CURSOR, MODEL, LeadsSchema, limit
from assay.profiles import company_queries
from assay.scoring.company_people import people_of

part = Part("Companies", "Which companies leads belong to: by their senders' ids, and by the domains of addresses.")


class CompaniesQuery(Schema):
    text = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "Part of a name, a domain or a sender's id"}
    )
    cursor = CURSOR
    limit = limit(company_queries.LARGEST_PAGE, company_queries.PAGE)


class PeopleQuery(Schema):
    model = MODEL
    cursor = CURSOR
    limit = limit(company_queries.LARGEST_PAGE, company_queries.PAGE)


class ListedCompanySchema(Schema):
    id = fields.Integer()
    name = fields.String(metadata={"description": "Without a name, its domain or its sender's id"})
    domain = fields.String(allow_none=True)
    people = fields.Integer(metadata={"description": "How many leads belong to it"})


class CompaniesSchema(Schema):
    items = fields.List(fields.Nested(ListedCompanySchema), metadata={"description": "By name"})
    next_cursor = fields.String(allow_none=True)


class StatedTraitSchema(Schema):
    name = fields.String()
    value = fields.Raw()
    stated_at = fields.AwareDateTime(
        allow_none=True, metadata={"description": "By its source; null: it follows from the domain"}
    )
    source = fields.String(allow_none=True)
    company_id = fields.String(
        allow_none=True, metadata={"description": "The sender's id of the company under which it was stated"}
    )


class CompanySchema(ListedCompanySchema):
    ids = fields.List(
        fields.String(), metadata={"description": "The senders' ids that are this company, a vendor's as vendor:id"}
    )
    traits = fields.List(fields.Nested(StatedTraitSchema))
    crowd = fields.Integer(
        metadata={"description": "How many ids state its domain, being too many for one company; 0: they are one"}
    )


@part.serves("GET", "/companies", needs="leads:read", answer=CompaniesSchema, query=CompaniesQuery)
def list_companies(query: dict[str, Any]) -> object:
    """Companies by name."""
    return company_queries.list_companies(tenant_id(), **query)


@part.serves("GET", "/companies/<id:company_id>", needs="leads:read", answer=CompanySchema)
def get_company(company_id: int) -> object:
    """One company with its traits; under the id of one that became part of another, that other one."""
    return company_queries.get_company(tenant_id(), company_id)


@part.serves("GET", "/companies/<id:company_id>/leads", needs="leads:read", answer=LeadsSchema, query=PeopleQuery)
def list_people(query: dict[str, Any], company_id: int) -> object:
    """Its people by score, best first; then those whom the model does not score."""
    return people_of(tenant_id(), company_id, **query)
