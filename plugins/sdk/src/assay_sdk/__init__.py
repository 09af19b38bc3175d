"""The face of Assay towards plugins: all that a plugin imports of ours."""

from assay_sdk.errors import Misunderstood, PluginError
from assay_sdk.hookspecs import hookimpl
from assay_sdk.records import Alias, Company, Event, Identifiers, Identify, Record, Value
from assay_sdk.source import Message, Source

__all__ = [
    "Alias",
    "Company",
    "Event",
    "Identifiers",
    "Identify",
    "Message",
    "Misunderstood",
    "PluginError",
    "Record",
    "Source",
    "Value",
    "hookimpl",
]
