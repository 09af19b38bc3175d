"""Logging: one line a happening, for a person on a terminal, as JSON elsewhere; never a secret."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from assay.settings import MASK

_SECRET_NAME = re.compile(r"passw|secret|token|authorization|cookie|write_key|api_key", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+@", re.IGNORECASE)
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
        [without_secrets, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
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
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # They report each job or request as news.
    for noisy in ("rq", "rq.worker", "rq.job", "httpx", "urllib3", "alembic"):
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


def in_process(name: str) -> structlog.typing.Processor:
    """Names the process in each line; a context variable would be missing in the libraries' own threads."""

    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = name
        return event

    return add


def without_facts(text: str) -> str:
    """A message of the database without the rows and values it tells of."""
    return _QUOTED_VALUE.sub(rf"\1: {MASK}", _QUOTED_ROW.sub(rf"\1: {MASK}", text))


def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = MASK
        elif isinstance(value, str):
            event[name] = without_facts(_PASSWORD_IN_URL.sub(rf"\1{MASK}@", value))
    return event
