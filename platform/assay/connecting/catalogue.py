"""The services that could be connected here: what each brings and takes, and whether this installation is ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assay import plugins
from assay.connecting.settings_forms import FormField, fields_of
from assay_sdk import EventType, Field, Key, OAuth, Service, Stream
from assay_tenants.errors import NotFound

Way = Literal["oauth", "key", "nothing"]


@dataclass(frozen=True)
class Missing:
    """A setting that whoever runs the installation has to make."""

    variable: str
    title: str


@dataclass(frozen=True)
class Offer:
    """One service of the catalogue."""

    name: str
    title: str
    summary: str
    way: Way
    #: How a key is come by, in words.
    key_help: str
    #: Empty: it can be connected.
    missing: Sequence[Missing]
    fields: Sequence[FormField]
    #: What is asked for at the vendor's, each with its reason; the second: done without where they are not granted.
    scopes: Mapping[str, str]
    optional_scopes: Mapping[str, str]
    vocabulary: Sequence[EventType]
    streams: Sequence[Stream]
    #: What is written back, and where; empty: nothing is.
    written: Sequence[Field]
    has_destination: bool

    @property
    def is_ready(self) -> bool:
        return not self.missing


def list_offers() -> list[Offer]:
    """All installed services, by title."""
    return sorted((offer_of(service) for service in plugins.installed().services.values()), key=lambda one: one.title)


def get_offer(name: str) -> Offer:
    return offer_of(get_service(name))


def get_service(name: str) -> Service:
    service: Service | None = plugins.installed().services.get(name)
    if service is None:
        raise NotFound("service")
    return service


def title_of(plugin: str) -> str:
    """What people call it; of one that is not installed any more its name."""
    service: Service | None = plugins.installed().services.get(plugin)
    return service.title if service else plugin


def offer_of(service: Service) -> Offer:
    auth, source, destination = service.auth, service.source, service.destination
    return Offer(
        name=service.name,
        title=service.title,
        summary=service.summary,
        way="oauth" if isinstance(auth, OAuth) else "key" if isinstance(auth, Key) else "nothing",
        key_help=auth.help if isinstance(auth, Key) else "",
        missing=missing_of(service),
        fields=fields_of(service),
        scopes=auth.scopes if isinstance(auth, OAuth) else {},
        optional_scopes=auth.optional_scopes if isinstance(auth, OAuth) else {},
        vocabulary=service.vocabulary,
        streams=source.streams if source else (),
        written=destination.fields if destination else (),
        has_destination=destination is not None,
    )


def missing_of(service: Service) -> list[Missing]:
    return [
        Missing(plugins.variable(service, setting.name), setting.title) for setting in plugins.missing_settings(service)
    ]
