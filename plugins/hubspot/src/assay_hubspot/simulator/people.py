"""Who lives in the stand-in: made up from a number, so that 100,000 of them take no room until somebody asks."""

from typing import Any

_FIRST = ("Ada", "Bảo", "Chloé", "Dmitri", "Elena", "Farid", "Grace", "Hồng", "Ion", "Jun", "Kofi", "Lan", "Mei")
_LAST = ("Lovelace", "Nguyễn", "Popescu", "Okafor", "Silva", "Keller", "Tanaka", "Ivanova", "Haddad", "Marín", "Wang")
_TITLES = ("CFO", "Owner", "Head of Sales", "Student", "Engineer", "Office Manager", "CEO")
_PLACES = (("VN", "Hà Nội"), ("CH", "Zürich"), ("RO", "Cluj"), ("GH", "Accra"), ("CN", "Shanghai"), ("US", "Boston"))
_SOURCES = ("ORGANIC_SEARCH", "PAID_SEARCH", "DIRECT_TRAFFIC", "REFERRALS", "OFFLINE")
_STAGES = ("subscriber", "lead", "lead", "marketingqualifiedlead", "opportunity")
COMPANY_OF = 20
DEAL_EVERY = 50

FORMS = {
    "3f7f3f8a-6a9a-4c30-9c3d-6b4f9b1f2c10": "Contact us",
    "5a2c9f0e-1f0b-4f55-8a53-0f3d2f1f7c21": "Price list",
    "9c4f1d77-7f44-4f0a-b0c6-6f8e2c1d9e32": "Newsletter",
}
DEFINED: dict[str, tuple[str, str]] = {
    "email": ("string", "text"),
    "firstname": ("string", "text"),
    "lastname": ("string", "text"),
    "phone": ("string", "text"),
    "jobtitle": ("string", "text"),
    "company": ("string", "text"),
    "country": ("string", "text"),
    "city": ("string", "text"),
    "hs_language": ("enumeration", "select"),
    "lifecyclestage": ("enumeration", "radio"),
    "hubspot_owner_id": ("enumeration", "select"),
    "hs_analytics_source": ("enumeration", "select"),
    "hs_email_optout": ("bool", "booleancheckbox"),
    "hs_lead_status": ("enumeration", "radio"),
    "associatedcompanyid": ("number", "number"),
    "hs_additional_emails": ("enumeration", "checkbox"),
    "hs_merged_object_ids": ("enumeration", "checkbox"),
    "num_conversion_events": ("number", "number"),
    "employees_stated": ("number", "number"),
    "interests": ("enumeration", "checkbox"),
}
PIPELINES: list[dict[str, Any]] = [
    {
        "id": "default",
        "label": "Sales",
        "displayOrder": 0,
        "stages": [
            {"id": "appointment", "label": "Appointment", "metadata": {"isClosed": "false", "probability": "0.2"}},
            {"id": "contract", "label": "Contract sent", "metadata": {"isClosed": "false", "probability": "0.8"}},
            {"id": "closedwon", "label": "Closed won", "metadata": {"isClosed": "true", "probability": "1.0"}},
            {"id": "closedlost", "label": "Closed lost", "metadata": {"isClosed": "true", "probability": "0.0"}},
        ],
    }
]
STAGE_IDS = tuple(stage["id"] for stage in PIPELINES[0]["stages"])


def email_of(number: int) -> str:
    return f"person{number}@example.test"


def person(number: int) -> dict[str, str | None]:
    country, city = _PLACES[number % len(_PLACES)]
    return {
        "email": email_of(number),
        "firstname": _FIRST[number % len(_FIRST)],
        "lastname": _LAST[number % len(_LAST)],
        "phone": f"+41 44 555 {number % 10000:04d}",
        "jobtitle": _TITLES[number % len(_TITLES)],
        "company": f"Company {number // COMPANY_OF}",
        "country": country,
        "city": city,
        "hs_language": "en",
        "lifecyclestage": _STAGES[number % len(_STAGES)],
        "hubspot_owner_id": str(70 + number % 3),
        "hs_analytics_source": _SOURCES[number % len(_SOURCES)],
        "hs_email_optout": "true" if number % 40 == 0 else None,
        "num_conversion_events": str(number % 4),
        "employees_stated": str(number % 300),
        "interests": "pricing;demo" if number % 2 else "demo",
    }
