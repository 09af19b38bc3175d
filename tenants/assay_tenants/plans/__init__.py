"""Plans: what a tenant may use, and what it has used."""

from assay_tenants.plans.catalogue import Plan, WrongCatalogue, configure, find_plan, plans
from assay_tenants.plans.changing import begin, change_plan, configure_sign_up
from assay_tenants.plans.metering import count_events, list_usage, note_leads
from assay_tenants.plans.standing import PlanLimit, Standing, get_standing, require_people, require_place

__all__ = [
    "Plan",
    "PlanLimit",
    "Standing",
    "WrongCatalogue",
    "begin",
    "change_plan",
    "configure",
    "configure_sign_up",
    "count_events",
    "find_plan",
    "get_standing",
    "list_usage",
    "note_leads",
    "plans",
    "require_people",
    "require_place",
]
