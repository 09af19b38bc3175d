"""Finds, checks and lists the installed plugins. The platform names none: they come by entry point."""

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points

import pluggy
import structlog

from assay_sdk import Billing, Source, hookspecs

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")

log = structlog.get_logger()


class NoSuchSourceError(LookupError):
    def __init__(self, name: str) -> None:
        super().__init__(f"No installed plugin provides the source {name!r}.")


@dataclass
class Plugins:
    sources: dict[str, Source] = field(default_factory=dict)
    #: None: plans are changed by owners and operators alone.
    billing: Billing | None = None
    #: Entry points that could not be loaded, with the reason: shown by ``assay doctor``, never fatal.
    broken: dict[str, str] = field(default_factory=dict)

    def source(self, name: str) -> Source:
        """Raises NoSuchSourceError when its plugin is not installed."""
        try:
            return self.sources[name]
        except KeyError:
            raise NoSuchSourceError(name) from None

    def tracking_source(self) -> Source:
        """The source that understands tracking calls."""
        for source in self.sources.values():
            if source.tracking_calls:
                return source
        raise NoSuchSourceError("for tracking calls")

    def add(self, source: Source) -> None:
        if not _NAME.fullmatch(source.name):
            raise ValueError(f"A source's name is lower-case letters, digits and dashes; not {source.name!r}.")
        if source.name in self.sources:
            raise ValueError(f"Two plugins provide the source {source.name!r}.")
        self.sources[source.name] = source

    def bill_by(self, billing: Billing) -> None:
        if not _NAME.fullmatch(billing.name):
            raise ValueError(f"A provider's name is lower-case letters, digits and dashes; not {billing.name!r}.")
        if self.billing is not None:
            raise ValueError(f"Two plugins provide billing: {self.billing.name!r} and {billing.name!r}.")
        self.billing = billing


@cache
def installed() -> Plugins:
    plugins = Plugins()
    for entry in entry_points(group=hookspecs.PROJECT):
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(entry.load(), name=entry.name)
            manager.check_pending()
            manager.hook.register_sources(register=plugins.add)
            manager.hook.register_billing(register=plugins.bill_by)
        except Exception as error:  # noqa: BLE001 # whatever a partner's plugin does, the others must load
            plugins.broken[entry.name] = f"{type(error).__name__}: {error}"
            log.warning("plugin.broken", plugin=entry.name, error=plugins.broken[entry.name])
    return plugins
