"""A logger that can't print secrets."""

import logging
import re
from collections.abc import Mapping
from typing import Any

MASK = "••••••"

_NAMES = re.compile(
    r"passw|secret|token|authorization|cookie|credential|private|assertion|verifier|otp|signing|api_?key|write_?key",
    re.IGNORECASE,
)
_LOOKS = tuple(
    (re.compile(pattern, re.IGNORECASE), shown)
    for pattern, shown in (
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}(\.[\w-]*)*", MASK),
        (r"\b(bearer|basic)(\s+|%20)[\w.~+/=-]{8,}", rf"\1 {MASK}"),
        (
            r"([?&\s,;{\"'(\[]|^)([\w.-]*(?:passw\w*|secret|token|verifier|assertion|api_?key|write_?key|code|auth|signature)"
            r"(?:\]|%5D)?[\"']?\s?[=:]\s?[\"']?)(?!•)[^\s&;,\"'\\(){}\[\]<>]{4,}",
            rf"\1\2{MASK}",
        ),
        (r"(\b[a-z][a-z0-9+.-]*://[^\s:/@\"']*:)[^\s@/\"']+@", rf"\1{MASK}@"),
    )
)


def redacted(value: Any, *, known: tuple[str, ...] = ()) -> Any:
    """The same without what is a secret by its name, by its looks, or because it is among ``known``."""
    if isinstance(value, Mapping):
        return {
            name: MASK if _NAMES.search(str(name)) else redacted(inner, known=known) for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(inner, known=known) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    for secret in known:
        text = text.replace(secret, MASK)
    for look, shown in _LOOKS:
        text = look.sub(shown, text)
    return text


class Log:
    """One line a happening: a dotted name, and what belongs to it as keywords.

    ``link.log.info("contacts.read", count=100)``. Exceptions are told by their type and their redacted text.
    """

    def __init__(self, name: str, **context: Any) -> None:
        self._logger = logging.getLogger(name)
        self._context = context
        self._known: tuple[str, ...] = ()

    def bind(self, **context: Any) -> "Log":
        """Another one whose lines all carry this too."""
        bound = Log(self._logger.name, **{**self._context, **context})
        bound._known = self._known
        return bound

    def hide(self, secrets: Mapping[str, Any]) -> None:
        """From here on these very values are never printed, wherever they stand."""
        found = {str(value) for value in secrets.values() if isinstance(value, str) and len(value) >= 6}
        self._known = tuple(sorted(found | set(self._known), key=len, reverse=True))

    def debug(self, event: str, **values: Any) -> None:
        """For whoever looks for a fault in the plugin."""
        self._write(logging.DEBUG, event, values)

    def info(self, event: str, **values: Any) -> None:
        """What happened, as it should."""
        self._write(logging.INFO, event, values)

    def warning(self, event: str, **values: Any) -> None:
        """What somebody may want to look into, and yet went on."""
        self._write(logging.WARNING, event, values)

    def error(self, event: str, **values: Any) -> None:
        """What went wrong and needs somebody."""
        self._write(logging.ERROR, event, values)

    def _write(self, level: int, event: str, values: Mapping[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        told = {
            name: f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else value
            for name, value in {**self._context, **values}.items()
        }
        safe = redacted(told, known=self._known)
        shown = " ".join(f"{name}={value!r}" for name, value in safe.items())
        self._logger.log(level, "%s", f"{redacted(event, known=self._known)} {shown}".strip())
