"""The face of Assay towards plugins: all that a plugin imports of ours."""

from assay_sdk.auth import AppSetting, Key, NoAuth, OAuth, Tokens
from assay_sdk.billing import Account, Billing, PlanChange, UsageReport
from assay_sdk.clock import Clock, SystemClock
from assay_sdk.destination import Destination, Field, Receipt, ScoreUpdate
from assay_sdk.errors import Misunderstood, NeedsReconnect, PluginError, Refused, Stale, TokenExpired, TryLater
from assay_sdk.hookspecs import hookimpl
from assay_sdk.http import Call, Http
from assay_sdk.limits import Limiter, LocalLimiter, RateLimit
from assay_sdk.link import Held, Link, Notebook, Vault
from assay_sdk.logs import Log
from assay_sdk.records import (
    Alias,
    Company,
    CoreRecord,
    Deletion,
    Event,
    Fetch,
    Identifiers,
    Identify,
    Outcome,
    Record,
    Restoration,
    Value,
)
from assay_sdk.rules import Award, Fact, LeadFacts, RuleKind, Told
from assay_sdk.service import EventType, Service, VendorAccount
from assay_sdk.source import Cursor, Delivery, Message, Page, Request, Source, Stream

__all__ = [
    "Account",
    "Alias",
    "AppSetting",
    "Award",
    "Billing",
    "Call",
    "Clock",
    "Company",
    "CoreRecord",
    "Cursor",
    "Deletion",
    "Delivery",
    "Destination",
    "Event",
    "EventType",
    "Fact",
    "Fetch",
    "Field",
    "Held",
    "Http",
    "Identifiers",
    "Identify",
    "Key",
    "LeadFacts",
    "Limiter",
    "Link",
    "LocalLimiter",
    "Log",
    "Message",
    "Misunderstood",
    "NeedsReconnect",
    "NoAuth",
    "Notebook",
    "OAuth",
    "Outcome",
    "Page",
    "PlanChange",
    "PluginError",
    "RateLimit",
    "Receipt",
    "Record",
    "Refused",
    "Request",
    "Restoration",
    "RuleKind",
    "ScoreUpdate",
    "Service",
    "Source",
    "Stale",
    "Stream",
    "SystemClock",
    "TokenExpired",
    "Tokens",
    "Told",
    "TryLater",
    "UsageReport",
    "Value",
    "Vault",
    "VendorAccount",
    "hookimpl",
]
