"""The hooks only register objects; the objects do the work, one at a time, so that one that fails stops no other."""

from collections.abc import Callable

import pluggy

from assay_sdk.billing import Billing
from assay_sdk.source import Source

PROJECT = "assay"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_sources(register: Callable[[Source], None]) -> None:
    """Register the places that messages come from."""


@hookspec
def register_billing(register: Callable[[Billing], None]) -> None:
    """Register the provider of payments; an installation has one or none."""
