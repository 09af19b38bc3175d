"""Logging: one line a happening, for a person on a terminal, as JSON elsewhere; never a secret."""

import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from io import StringIO
from types import TracebackType
from typing import Any, TextIO

import structlog

from assay.settings import MASK

_SECRET_NAME = re.compile(
    r"passw|secret|token|authorization|cookie|credential|private|assertion|write_key|api_key|verifier|sealed|otp",
    re.IGNORECASE,
)
# How secrets look wherever they stand: in a message, a path, a header, a line of a traceback.
_LOOKS = (
    # Whatever we issue names its purpose and its tenant, which may be known.
    (r"(?<![a-z0-9])((assay_)?[a-z]{2,4}_[0-9a-f]{1,16}_)[a-z0-9]{40,80}", rf"\1{MASK}"),
    # A signed token of anybody's, which carries more than it should.
    (r"\beyJ[\w-]{8,}\.[\w-]{8,}(\.[\w-]*)*", MASK),
    (r"\b(bearer|basic)(\s+|%20)[\w.~+/=-]{8,}", rf"\1 {MASK}"),
    (r"(\b[a-z][a-z0-9+.-]*://[^\s:/@\"']*:)[^\s@/\"']+@", rf"\1{MASK}@"),
    (r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(-----END|$)", rf"\1{MASK}\2"),
    (r"\$argon2\w*\$[^\s\"']+", MASK),
    # In a query, short names carry secrets too.
    (
        r"([?&](amp;)?[\w.-]*(passw\w*|secret|token|verifier|assertion|key|code|state|nonce|challenge|otp|sig)=)"
        r"[^\s&#\"'<>\\]+",
        rf"\1{MASK}",
    ),
    # As a form, a header, a cookie, JSON, or Python would write them.
    (
        r"((passw(or)?d|secret|token|verifier|assertion|(write|api)[_-]?key|assay_(session|form|device))"
        r"[\"'\\]*\s?[=:]\s?[\"'\\]*)(?!•|None\b|null\b|true\b|false\b)[^\s&;,\"'\\(){}\[\]<>]{6,}",
        rf"\1{MASK}",
    ),
)
_SECRETS = tuple((re.compile(pattern, re.IGNORECASE), shown) for pattern, shown in _LOOKS)
# The database quotes rows and values that it refuses, and those are somebody's facts.
_QUOTED_ROW = re.compile(r"^(DETAIL|CONTEXT): .*$", re.MULTILINE)
_QUOTED_VALUE = re.compile(r'(invalid input (?:syntax|value) for [^:\n]*|out of range[^:\n]*): "[^\n]*"')


def configure(level: str, *, process: str) -> None:
    """Sends everything logged, through structlog or the standard library, to standard error in one shape."""
    on_terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        in_process(process),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if on_terminal else "iso", utc=not on_terminal),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[structlog.typing.Processor] = (
        # The plain formatter: a rich one would load a megabyte of code into each process, and print local variables.
        [without_secrets, structlog.dev.ConsoleRenderer(exception_formatter=_traceback)]
        if on_terminal
        else [
            structlog.processors.format_exc_info,
            without_secrets,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer, _last_look],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # They report each job or request as news, some with what it carries.
    for noisy in ("rq", "rq.worker", "rq.job", "httpx", "httpcore", "urllib3", "alembic", "authlib", "webauthn"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def watch_for_crashes() -> None:
    """What nobody catches is logged like all else: Python itself would print it as it is."""

    def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        structlog.get_logger().critical("process.failed", exc_info=(kind, error, trace))

    def thread_crashed(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None:
            crashed(failed.exc_type, failed.exc_value, failed.exc_traceback)

    sys.excepthook, threading.excepthook = crashed, thread_crashed


def in_process(name: str) -> structlog.typing.Processor:
    """Names the process in each line; a context variable would be missing in the libraries' own threads."""

    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = name
        return event

    return add


def without_facts(text: str) -> str:
    """A message of the database without the rows and values it tells of."""
    return _QUOTED_VALUE.sub(rf"\1: {MASK}", _QUOTED_ROW.sub(rf"\1: {MASK}", text))


def hide(text: str) -> str:
    """The text without whatever looks like a secret or like somebody's facts."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return without_facts(text)


def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = _hidden(name, value)
    return event


def _hidden(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name) and not isinstance(value, bool | int | float | None):
        return MASK
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {key: _hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        # An exception on its way to be told is one too.
        return value if name == "exc_info" else [_hidden("", inner) for inner in value]
    if isinstance(value, bytes):
        return hide(value.decode("utf-8", "replace"))
    return value


def _traceback(stream: TextIO, exc_info: Any) -> None:
    told = StringIO()
    structlog.dev.plain_traceback(told, exc_info)
    stream.write(hide(told.getvalue()))


def _last_look(_: Any, __: str, line: Any) -> str:
    """Over what objects said of themselves while the line was put together."""
    return hide(str(line))
