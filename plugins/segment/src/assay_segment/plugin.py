"""The plugin's face: what it registers."""

from collections.abc import Callable

from assay_sdk import Service, Source, hookimpl
from assay_segment.service import SegmentService


@hookimpl
def register_sources(register: Callable[[Source], None]) -> None:
    """Tracking calls need no connection."""
    register(SegmentService.source)


@hookimpl
def register_services(register: Callable[[Service], None]) -> None:
    """Its source is the very same one."""
    register(SegmentService())
