"""Stand-ins of the vendors that plugins speak with, so that the demonstration connects to something on this machine."""

import os
import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import structlog

from assay import plugins
from assay.demo import led
from assay_sdk import Service, egress
from assay_sdk.testing import Simulator, running

PEOPLE = 60

log = structlog.get_logger()


def wanted() -> list[Service]:
    """Services that have a stand-in and that nobody has set up for the real thing."""
    return [
        service
        for _, service in sorted(plugins.installed().services.items())
        if service.simulator and not any(os.environ.get(plugins.variable(service, one.name)) for one in service.app)
    ]


def serve(data_dir: Path, *, address: str, per_minute: int) -> None:
    """Serves them until the process ends, and lets something happen at one of them now and then.

    ``address`` is where Assay is: what the vendors' app settings would name.
    """
    # They post to us, wherever we listen on this machine; nothing of a tenant's leads them anywhere.
    egress.configure(["127.0.0.1", "::1"])
    # Of those that were killed in this run: all other processes look for them where they were.
    before = led.read(data_dir)
    with ExitStack() as stack:
        simulators: dict[str, Simulator] = {}
        for service in wanted():
            try:
                simulator = load(service)
                port = _as_before(simulator, service, before.get(service.name))
                simulator.fill(PEOPLE)
                simulator.redirect_uri = f"{address}/connections/callback/{service.name}"
                simulator.point_hooks_at(f"{address}/hooks/{service.name}")
                stack.enter_context(running(simulator, port=port))
            except Exception as error:  # noqa: BLE001 # whatever a partner's stand-in does, the others are wanted
                log.warning("stand_in.broken", service=service.name, error=f"{type(error).__name__}: {error}")
                continue
            simulators[service.name] = simulator
        led.write(
            data_dir,
            {name: _told(plugins.installed().services[name], simulator) for name, simulator in simulators.items()},
        )
        live(simulators, per_minute)


def load(service: Service) -> Simulator:
    module, _, name = service.simulator.partition(":")
    simulator: Simulator = getattr(import_module(module), name)()
    return simulator


def _as_before(simulator: Simulator, service: Service, before: led.StandIn | None) -> int:
    """The port to take, 0 for any; the app is known there by the same secret."""
    if before is None:
        return 0
    secret = plugins.variable(service, "client_secret")
    simulator.client_secret = before.environ.get(secret) or simulator.client_secret
    return before.port


def live(simulators: Mapping[str, Simulator], per_minute: int) -> None:
    dice = random.Random()  # noqa: S311 # a story, not a secret
    while True:
        time.sleep(dice.expovariate(max(per_minute, 1) / 60) if simulators and per_minute else 3600)
        if not simulators or not per_minute:
            continue
        name = dice.choice(sorted(simulators))
        try:
            simulators[name].live()
        except Exception as error:  # noqa: BLE001 # as above
            log.warning("stand_in.stumbled", service=name, error=f"{type(error).__name__}: {error}")


def _told(service: Service, simulator: Simulator) -> led.StandIn:
    environ = {plugins.variable(service, name): value for name, value in simulator.app_settings().items()}
    return led.StandIn(int(simulator.address.rpartition(":")[2]), environ, simulator.form())
