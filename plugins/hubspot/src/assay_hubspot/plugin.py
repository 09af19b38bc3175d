"""The plugin's face: what it registers."""

from collections.abc import Callable

from assay_hubspot.service import HubSpot
from assay_sdk import Service, hookimpl


@hookimpl
def register_services(register: Callable[[Service], None]) -> None:
    register(HubSpot())
