"""The face of Assay towards plugins: all that a plugin imports of ours."""

from assay_sdk.billing import Account, Billing, PlanChange, UsageReport
from assay_sdk.errors import Misunderstood, PluginError, Refused
from assay_sdk.hookspecs import hookimpl
from assay_sdk.records import Alias, Company, Event, Identifiers, Identify, Record, Value
from assay_sdk.source import Message, Source

__all__ = [
    "Account",
    "Alias",
    "Billing",
    "Company",
    "Event",
    "Identifiers",
    "Identify",
    "Message",
    "Misunderstood",
    "PlanChange",
    "PluginError",
    "Record",
    "Refused",
    "Source",
    "UsageReport",
    "Value",
    "hookimpl",
]
