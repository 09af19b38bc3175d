"""Finds, checks and lists the installed plugins. The platform names none: they come by entry point."""

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points, version
from types import FunctionType
from typing import Any

import structlog
from marshmallow import Schema
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from assay_sdk import (
    AppSetting,
    Billing,
    Destination,
    EventType,
    Key,
    NoAuth,
    OAuth,
    RateLimit,
    RuleKind,
    Service,
    Source,
    Stream,
    hookspecs,
)

SDK = "assay-sdk"
_PREFIX = "ASSAY_PLUGIN_"
_HOOKS = tuple(sorted(name for name in vars(hookspecs) if name.startswith("register_")))
_MARK = f"{hookspecs.PROJECT}_impl"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
#: Paths below /hooks/ that are somebody else's.
_RESERVED = ("billing",)
_SETTING = re.compile(r"[a-z][a-z0-9_-]*")
_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_KIND = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9_-]*")

log = structlog.get_logger()


class NoSuchSourceError(LookupError):
    def __init__(self, name: str) -> None:
        super().__init__(f"No installed plugin provides the source {name!r}.")


class NoSuchServiceError(LookupError):
    def __init__(self, name: str) -> None:
        super().__init__(f"No installed plugin provides the service {name!r}.")


@dataclass
class Plugin:
    """One installed distribution's entry point, and what became of it."""

    #: Its entry point's.
    name: str
    distribution: str
    version: str
    #: What it registered: nothing of it is used when it is broken.
    services: dict[str, Service] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    rule_kinds: dict[str, RuleKind] = field(default_factory=dict)
    billing: Billing | None = None
    #: Why it can't be used, a sentence each.
    causes: list[str] = field(default_factory=list)
    #: What its author should mend, and yet works.
    warnings: list[str] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        return bool(self.causes)

    @property
    def health(self) -> str:
        """``ok``, ``broken``, or ``not configured`` when a service lacks a setting without which nobody can connect."""
        if self.is_broken:
            return "broken"
        return "ok" if all(is_configured(service) for service in self.services.values()) else "not configured"

    @property
    def offers(self) -> list[str]:
        """What it brings, in words."""
        found = []
        for name, service in sorted(self.services.items()):
            parts = [part for part in ("source", "destination") if getattr(service, part) is not None]
            found.append(f"service {name} ({' and '.join(parts)})")
        within = {service.source.name for service in self.services.values() if service.source is not None}
        found += [f"source {name}" for name in sorted(self.sources) if name not in within]
        found += [f"rule kind {name}" for name in sorted(self.rule_kinds)]
        return [*found, f"billing by {self.billing.name}"] if self.billing is not None else found


@dataclass
class Plugins:
    """What all usable plugins bring, by name."""

    sources: dict[str, Source] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    rule_kinds: dict[str, RuleKind] = field(default_factory=dict)
    #: None: plans are changed by owners and operators alone.
    billing: Billing | None = None
    #: Entry points that could not be loaded, with the reason: shown by ``assay doctor``, never fatal.
    broken: dict[str, str] = field(default_factory=dict)
    #: Every entry point that was found, in order.
    found: list[Plugin] = field(default_factory=list)

    def source(self, name: str) -> Source:
        """Raises NoSuchSourceError when its plugin is not installed."""
        try:
            return self.sources[name]
        except KeyError:
            raise NoSuchSourceError(name) from None

    def service(self, name: str) -> Service:
        """Raises NoSuchServiceError when its plugin is not installed."""
        try:
            return self.services[name]
        except KeyError:
            raise NoSuchServiceError(name) from None

    def tracking_source(self) -> Source:
        """The source that understands tracking calls."""
        for source in self.sources.values():
            if source.tracking_calls:
                return source
        raise NoSuchSourceError("for tracking calls")

    def take(self, plugin: Plugin) -> None:
        """All of it, or nothing: half a plugin would be a riddle."""
        self._refuse_what_is_taken(plugin)
        self.found.append(plugin)
        if plugin.is_broken:
            key = plugin.name if plugin.name not in self.broken else f"{plugin.name} ({plugin.distribution})"
            self.broken[key] = " ".join(plugin.causes)
            return
        self.services |= plugin.services
        self.sources |= plugin.sources
        self.rule_kinds |= plugin.rule_kinds
        if plugin.billing is not None:
            self.bill_by(plugin.billing)

    def bill_by(self, billing: Billing) -> None:
        """Raises ValueError when there is a provider already."""
        if self.billing is not None:
            raise ValueError(f"Two plugins provide billing: {self.billing.name!r} and {billing.name!r}.")
        self.billing = billing

    def _refuse_what_is_taken(self, plugin: Plugin) -> None:
        for other in self.found:
            if other.is_broken:
                continue
            if other.name == plugin.name:
                plugin.causes.append(f"{_told(other)} is called {plugin.name!r} already.")
            for what in ("services", "sources", "rule_kinds"):
                for name in sorted(getattr(plugin, what).keys() & getattr(other, what).keys()):
                    word = what.removesuffix("s").replace("_", " ")
                    plugin.causes.append(f"{_told(other)} provides the {word} {name!r} already.")
            if plugin.billing is not None and other.billing is not None:
                plugin.causes.append(f"{_told(other)} provides billing already; an installation has one provider.")


def _told(plugin: Plugin) -> str:
    return f"{plugin.distribution} {plugin.version}" if plugin.distribution else f"The plugin {plugin.name!r}"


@cache
def installed() -> Plugins:
    plugins = load(sorted(entry_points(group=hookspecs.PROJECT), key=lambda entry: (entry.name, entry.value)))
    for name, nearest in unknown_settings(plugins).items():
        log.warning("plugin.unknown_setting", variable=name, nearest=nearest or None)
    return plugins


def load(entries: Sequence[EntryPoint]) -> Plugins:
    """All that can be used of these; what can't is told by name and cause, and stops nothing else."""
    plugins = Plugins()
    for entry in entries:
        plugin = _loaded(entry)
        plugins.take(plugin)
        if plugin.is_broken:
            log.warning("plugin.broken", plugin=plugin.name, distribution=plugin.distribution, causes=plugin.causes)
    return plugins


def _loaded(entry: EntryPoint) -> Plugin:
    distribution = entry.dist
    plugin = Plugin(
        entry.name, distribution.name if distribution else "", (distribution.version or "?") if distribution else ""
    )
    try:
        plugin.causes += _versions_at_odds(entry, plugin)
        if not plugin.causes:
            _fill(plugin, entry.load())
    except KeyboardInterrupt:
        raise
    except ImportError as error:
        plugin.causes.append(f"{entry.value} can't be imported: {error}.")
    except AttributeError as error:
        plugin.causes.append(f"{entry.value} can't be loaded: {error}.")
    except BaseException as error:  # noqa: BLE001 # even one that ends the process on import: the others must load
        plugin.causes.append(f"Loading {entry.value} ended with {_words(error)}.")
    return plugin


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(". ") if str(error) else type(error).__name__


def _versions_at_odds(entry: EntryPoint, plugin: Plugin) -> Iterator[str]:
    """Whether the distribution wants another SDK than there is; pip knows, and may have been overruled."""
    have, is_stated = version(SDK), False
    for text in (entry.dist.requires or ()) if entry.dist else ():
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            plugin.warnings.append(f"Its requirement {text!r} can't be read.")
            continue
        if canonicalize_name(wanted.name) != SDK or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        is_stated = bool(wanted.specifier)
        if not wanted.specifier.contains(have, prereleases=True):
            yield f"It is made for {SDK} {wanted.specifier}; installed is {have}."
    if not is_stated:
        plugin.warnings.append(f"It does not state which versions of {SDK} it is made for.")


# What a plugin registers.


def _fill(plugin: Plugin, module: object) -> None:
    hooks = dict(_hooks(plugin, module))
    if plugin.causes:
        return
    if not hooks:
        plugin.causes.append(f"It has no hook; there are {', '.join(_HOOKS)}, each marked with hookimpl.")
    takers: dict[str, Callable[[Any], None]] = {
        "register_services": lambda given: _take_service(plugin, given),
        "register_sources": lambda given: _take_source(plugin, given),
        "register_rule_kinds": lambda given: _take_kind(plugin, given),
        "register_billing": lambda given: _take_billing(plugin, given),
    }
    for name, hook in hooks.items():
        try:
            hook(register=takers[name])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 # even one that ends the process: the others must load
            plugin.causes.append(f"{name} ended with {_words(error)}.")
    if hooks and not plugin.causes and not plugin.offers:
        plugin.warnings.append("It offers nothing: its hooks are called with register, and have to call that.")


def _hooks(plugin: Plugin, module: object) -> Iterator[tuple[str, Callable[..., None]]]:
    home = getattr(module, "__name__", None)
    for name in dir(module):
        hook = getattr(module, name, None)
        is_marked = getattr(hook, _MARK, None) is not None
        is_own = isinstance(hook, FunctionType) and hook.__module__ == home
        if not callable(hook) or not (is_marked or (is_own and name.startswith("register_"))):
            continue
        if name not in _HOOKS:
            meant = get_close_matches(name, _HOOKS, 1)
            hint = f"; did you mean {meant[0]}?" if meant else f"; there are {', '.join(_HOOKS)}."
            plugin.causes.append(f"There is no hook {name}{hint}")
        elif not is_marked:
            plugin.causes.append(f"{name} is not marked with hookimpl, so that nobody would call it.")
        elif cause := _signature_at_odds(name, hook):
            plugin.causes.append(cause)
        else:
            yield name, hook


def _signature_at_odds(name: str, hook: Callable[..., None]) -> str:
    try:
        inspect.signature(hook).bind(register=print)
    except TypeError:
        return f"{name} takes {inspect.signature(hook)}; it is called with register alone: {name}(register)."
    except ValueError:
        return f"{name} is no function whose arguments can be seen."
    return ""


def _is_one(plugin: Plugin, given: object, kind: type) -> bool:
    if isinstance(given, kind):
        return True
    what = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
    plugin.causes.append(f"It registered {what} where an instance of {kind.__name__} is expected.")
    return False


def _is_named(plugin: Plugin, given: object, what: str, pattern: re.Pattern[str] = _NAME) -> bool:
    name = getattr(given, "name", None)
    if name in _RESERVED and what in ("service", "source"):
        plugin.causes.append(f"The name {name!r} is Assay's own; a {what} has to take another.")
        return False
    if isinstance(name, str) and pattern.fullmatch(name):
        return True
    accepted = "the plugin's name, a dot and a word" if pattern is _KIND else "lower-case letters, digits and dashes"
    said = "has none" if name is None else f"is {name!r}"
    plugin.causes.append(f"A {what}'s name is {accepted}; that of {type(given).__name__} {said}.")
    return False


def _take_service(plugin: Plugin, given: Any) -> None:
    if not _is_one(plugin, given, Service) or not _is_named(plugin, given, "service"):
        return
    causes = list(_faults(given))
    if given.name in plugin.services:
        causes.append(f"It registers the service {given.name!r} twice.")
    plugin.causes += causes
    plugin.services[given.name] = given
    if isinstance(given.source, Source):
        _take_source(plugin, given.source)


def _faults(service: Service) -> Iterator[str]:
    """What is wrong with a service, a sentence each."""
    whose = f"The service {service.name!r}"
    if not str(getattr(service, "title", "") or "").strip():
        yield f"{whose} has no title."
    if service.source is None and service.destination is None:
        yield f"{whose} has neither a source nor a destination."
    expected: list[tuple[str, Any, type | tuple[type, ...], str]] = [
        ("source", service.source, (Source, type(None)), "an instance of Source"),
        ("destination", service.destination, (Destination, type(None)), "an instance of Destination"),
        ("auth", service.auth, (OAuth, Key, NoAuth), "OAuth, Key or NoAuth"),
    ]
    for name, items, kind in (
        ("app", service.app, AppSetting),
        ("vocabulary", service.vocabulary, EventType),
        ("limits", service.limits, RateLimit),
        ("streams", service.source.streams if isinstance(service.source, Source) else (), Stream),
    ):
        expected += [(name, each, kind, f"a list of {kind.__name__}") for each in items]
    for name, value, kinds, words in expected:
        if not isinstance(value, kinds):
            yield f"{whose}: {name} must be {words}, not {type(value).__name__}."
    if service.settings is not None and not _is_schema(service.settings):
        yield f"{whose}: settings must be a marshmallow Schema, the class itself."
    if isinstance(service.source, Source) and getattr(service.source, "name", None) != service.name:
        yield f"{whose}: its source must bear the same name, not {getattr(service.source, 'name', None)!r}."
    for setting in service.app:
        if isinstance(setting, AppSetting) and not _SETTING.fullmatch(setting.name):
            accepted = "lower-case letters, digits, dashes and underscores"
            yield f"{whose}: an app setting's name is {accepted}; not {setting.name!r}."
    for event in service.vocabulary:
        if isinstance(event, EventType) and not _TYPE.fullmatch(event.type):
            yield f"{whose}: types of the vocabulary are dotted lower-case words (page.viewed); not {event.type!r}."


def _take_source(plugin: Plugin, given: Any) -> None:
    if not _is_one(plugin, given, Source) or not _is_named(plugin, given, "source"):
        return
    if plugin.sources.setdefault(given.name, given) is not given:
        plugin.causes.append(f"It registers two sources called {given.name!r}.")


def _take_kind(plugin: Plugin, given: Any) -> None:
    if not _is_one(plugin, given, RuleKind) or not _is_named(plugin, given, "rule kind", _KIND):
        return
    if given.name.partition(".")[0] != plugin.name:
        plugin.causes.append(f"The rule kind {given.name!r} must begin with the plugin's name: {plugin.name}.")
    plugin.causes += _faults_of_kind(given)
    if plugin.rule_kinds.setdefault(given.name, given) is not given:
        plugin.causes.append(f"It registers two rule kinds called {given.name!r}.")


def _faults_of_kind(kind: RuleKind) -> Iterator[str]:
    """What would fail only when a model uses it, a sentence each."""
    whose = f"The rule kind {kind.name!r}"
    if not str(getattr(kind, "title", "") or "").strip():
        yield f"{whose} has no title."
    if kind.parameters is not None and not _is_schema(kind.parameters):
        yield f"{whose}: parameters must be a marshmallow Schema, the class itself."
    if type(kind).awards is RuleKind.awards:
        yield f"{whose} has no awards: that method is the rule."


def _is_schema(given: object) -> bool:
    return isinstance(given, type) and issubclass(given, Schema)


def _take_billing(plugin: Plugin, given: Any) -> None:
    if not _is_one(plugin, given, Billing) or not _is_named(plugin, given, "provider"):
        return
    if plugin.billing is not None and plugin.billing is not given:
        plugin.causes.append("It registers two providers of payments.")
    plugin.billing = given


# What an installation sets for a service.


def variable(service: Service, setting: str) -> str:
    """The environment variable of an app setting."""
    return _prefix(service.name) + setting.upper().replace("-", "_")


def _prefix(service: str) -> str:
    return f"{_PREFIX}{service}_".upper().replace("-", "_")


def app_settings(service: Service, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The installation's settings of a service, by name; one that is not set and has no default is left out."""
    found = {}
    for setting in service.app:
        value = environ.get(variable(service, setting.name), "").strip() or setting.default
        if value is not None:
            found[setting.name] = value
    return found


def missing_settings(service: Service, environ: Mapping[str, str] = os.environ) -> list[AppSetting]:
    """Those without which nobody can connect."""
    have = app_settings(service, environ)
    return [setting for setting in service.app if setting.name not in have]


def is_configured(service: Service, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody can connect to the service in this installation."""
    return not missing_settings(service, environ)


def unknown_settings(plugins: Plugins, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that look like a plugin's setting and are none, each with the nearest that there is, if any."""
    known = {variable(service, setting.name) for service in plugins.services.values() for setting in service.app}
    # What a broken plugin would know, nobody can tell.
    excused = tuple(_prefix(name.partition(" ")[0]) for name in plugins.broken)
    near = {name.removeprefix(_PREFIX): name for name in known}
    strange = sorted(name for name in environ if name.startswith(_PREFIX) and name not in known)
    return {
        name: next((near[found] for found in get_close_matches(name.removeprefix(_PREFIX), near, 1)), "")
        for name in strange
        if not name.startswith(excused)
    }
