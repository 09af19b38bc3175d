"""Companies by name, and one company with its people and where each trait came from."""

from dataclasses import replace

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.profiles import company_queries
from assay.scoring import queries
from assay.scoring.company_people import people_of
from assay.web.leads import chosen_model, row_of, ruler_of
from assay.web.visitors import ID, needs, visitor

blueprint = Blueprint("companies", __name__)

PAGE = 50


@blueprint.get("/companies")
@needs("leads:read")
def index() -> ResponseReturnValue:
    text = request.args.get("text", "").strip() or None
    page = company_queries.list_companies(
        visitor().tenant_id, text=text, cursor=request.args.get("cursor") or None, limit=PAGE
    )
    more = url_for("web.companies.index", text=text, cursor=page.next_cursor) if page.next_cursor else None
    shown = {"companies": page.items, "text": text, "more": more}
    target = request.headers.get("HX-Target", "")
    if target == "tr#more":
        return render_template("parts/company_rows.html", **shown)
    if target == "section#results":
        return render_template("parts/company_results.html", filtered=True, **shown)
    return render_template("companies/index.html", **shown)


@blueprint.get(f"/companies/<{ID}:company_id>")
@needs("leads:read")
def company(company_id: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    found = company_queries.get_company(tenant_id, company_id)
    published = queries.list_published(tenant_id)
    model = chosen_model(published, request.args.get("model"))
    people = people_of(
        tenant_id,
        found.id,
        model=model.name if model else None,
        cursor=request.args.get("cursor") or None,
        limit=PAGE,
    )
    scale = ruler_of(tenant_id, model) if model else None
    name = model.name if model else None
    more = None
    if people.next_cursor:
        more = url_for("web.companies.company", company_id=found.id, model=name, cursor=people.next_cursor)
    shown = {
        "company": found,
        "model": model,
        "models": published,
        "filters": {"model": name},
        "rows": [row_of(replace(lead, company=None), scale) for lead in people.items],
        "more": more,
    }
    if request.headers.get("HX-Target", "") == "tr#more":
        return render_template("parts/lead_rows.html", **shown)
    return render_template("companies/company.html", **shown)
