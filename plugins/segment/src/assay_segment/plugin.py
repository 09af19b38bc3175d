"""The plugin's face: what it registers."""

from collections.abc import Callable

from assay_sdk import Source, hookimpl
from assay_segment.source import Segment


@hookimpl
def register_sources(register: Callable[[Source], None]) -> None:
    register(Segment())
