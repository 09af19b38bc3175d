import os
from typing import TYPE_CHECKING

import click

from assay.cli.entrance import enter, enter_with_key, starting
from assay.lifeline import die_with_parent

if TYPE_CHECKING:
    from flask import Flask

# A page or an import being answered is finished before the server goes.
DRAIN_SECONDS = 15
#: Requests whose bodies are waited for, besides those that are worked at. Their threads come and go with them.
WAITING = 256
_server_process = 0


@click.command()
def serve() -> None:
    """The web server alone."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    global _server_process
    settings = enter_with_key("web")
    _server_process = os.getpid()
    Server(
        f"{__name__}:application",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.web_processes,
        blocking_threads=settings.web_threads + WAITING,
        workers_kill_timeout=DRAIN_SECONDS,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
        # Its lines go through our own handler.
        log_dictconfig={"loggers": {"_granian": {"handlers": [], "propagate": True}}},
    ).serve()


def application() -> "Flask":
    """Makes the application inside each process that answers requests."""
    if _server_process:
        die_with_parent(_server_process)
    # Pages ask the engine about one lead at a time; more threads would only take memory.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    from assay.app import create_app
    from assay.senders import Senders, notice_vanished
    from assay.syncing import breakers, limiter

    notice_vanished()
    try:
        with starting():
            settings = enter("web")
            app = create_app(settings)
            breakers.configure(limiter.impatient(settings.redis_url))
            senders = Senders(app.wsgi_app, turns=settings.web_threads, waiting=WAITING)
            app.wsgi_app = senders  # type: ignore[method-assign] # Flask's own way
            return app
    except click.ClickException as refusal:
        # Not in the hands of click here.
        refusal.show()
        raise SystemExit(1) from None
