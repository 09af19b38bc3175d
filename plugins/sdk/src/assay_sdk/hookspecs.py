"""The hooks only register objects; the objects do the work, one at a time, so that one that fails stops no other."""

from collections.abc import Callable

import pluggy

from assay_sdk.billing import Billing
from assay_sdk.rules import RuleKind
from assay_sdk.service import Service
from assay_sdk.source import Source

PROJECT = "assay"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_services(register: Callable[[Service], None]) -> None:
    """Register the services that tenants connect to."""


@hookspec
def register_sources(register: Callable[[Source], None]) -> None:
    """Register the places that messages come from without a connection."""


@hookspec
def register_rule_kinds(register: Callable[[RuleKind], None]) -> None:
    """Register kinds of rules for scoring models."""


@hookspec
def register_billing(register: Callable[[Billing], None]) -> None:
    """Register the provider of payments; an installation has one or none."""
