"""Second factors: one-time codes, passkeys, recovery codes."""

from assay_tenants.factors.errors import NoPasskeysHere, WrongFactor
from assay_tenants.factors.queries import (
    MemberRow,
    Method,
    Overview,
    PasskeyRow,
    list_methods,
    members_of,
    methods_of,
    overview,
)
from assay_tenants.factors.resetting import reset_member, reset_person
from assay_tenants.factors.rules import change_rule, needs_one, rule_of
from assay_tenants.factors.sites import Site

__all__ = [
    "MemberRow",
    "Method",
    "NoPasskeysHere",
    "Overview",
    "PasskeyRow",
    "Site",
    "WrongFactor",
    "change_rule",
    "list_methods",
    "members_of",
    "methods_of",
    "needs_one",
    "overview",
    "reset_member",
    "reset_person",
    "rule_of",
]
