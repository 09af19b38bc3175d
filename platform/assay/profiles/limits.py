"""How many may share a value before it joins nobody; set once for the whole process."""

from assay.profiles.settling import Limits

_limits = Limits()


def current() -> Limits:
    return _limits


def configure(limits: Limits) -> None:
    global _limits
    _limits = limits
