"""How many may share a value before it joins nobody; set once for the whole process."""

from assay.profiles.settling import Limits
from assay.settings import Settings

_limits = Limits()


def current() -> Limits:
    return _limits


def use(limits: Limits) -> None:
    global _limits
    _limits = limits


def configure(settings: Settings) -> None:
    use(Limits(value=settings.people_per_value, device=settings.people_per_device))
