"""The plugin's face: what it registers."""

from collections.abc import Callable

from assay_bitrix24.service import Bitrix24
from assay_sdk import Service, hookimpl


@hookimpl
def register_services(register: Callable[[Service], None]) -> None:
    register(Bitrix24())
