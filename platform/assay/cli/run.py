import dataclasses
import errno
import os
import socket
import sys
import time
from pathlib import Path

import click

from assay import embedded
from assay.settings import PLUGIN_PREFIX, Settings, secret_key_in
from assay.supervisor import Child, Signals, StartFailed, Supervisor

QUEUES = ("intake", "scoring", "sync")
PORTS_TRIED = 50
WORKER_PATIENCE = 30.0
WEB_PATIENCE = 20.0
SIMULATORS_PATIENCE = 3.0


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; the next free one if it is taken.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Folder that keeps everything.")
@click.option("--demo/--no-demo", default=None, help="Whether to make a demonstration tenant and send its traffic.")
def run(port: int | None, data_dir: Path | None, demo: bool | None) -> None:
    """Everything on this machine: database, queue, web, workers, demonstration. Ctrl-C stops it."""
    settings = Settings.from_environ()
    settings = dataclasses.replace(
        settings,
        port=settings.port if port is None else port,
        data_dir=settings.data_dir if data_dir is None else data_dir.absolute(),
        demo=settings.demo if demo is None else demo,
    )
    with Signals() as signals:
        say(f"Starting in {settings.data_dir}")
        servers = embedded.start(settings.data_dir, database=settings.embedded_database, redis=settings.embedded_redis)
        with servers:
            if servers.lock.was_torn:
                end_leftovers(settings.data_dir)
            if not settings.secret_key:
                settings = dataclasses.replace(settings, secret_key=secret_key_in(settings.data_dir))
            settings = embedded.completed(settings)
            settings = dataclasses.replace(settings, port=free_port(settings.host, settings.port))
            supervisor = Supervisor(signals, [servers.redis, servers.postgres], say)
            try:
                supervise(supervisor, settings)
            except StartFailed as failure:
                raise click.ClickException(str(failure)) from None
            finally:
                say("Stopping")
                supervisor.stop()
        say("Stopped; nothing is left running.")


def supervise(supervisor: Supervisor, settings: Settings) -> None:
    began = time.monotonic()
    if not supervisor.run_once(child("migrate", settings, patience=WORKER_PATIENCE)):
        return
    if settings.demo:
        led = with_stand_ins(supervisor, settings)
        if led is None:
            return
        settings = led
    for queue in QUEUES:
        # The timetable needs a thread, not the sixty megabytes of a process of its own.
        extra = ("--with-timetable",) if queue == QUEUES[0] else ()
        supervisor.add(child("worker", settings, queue, *extra, patience=WORKER_PATIENCE))
    supervisor.add(child("serve", settings, patience=WEB_PATIENCE))
    if not supervisor.wait_until(lambda: answers(settings.host, settings.port)):
        return
    say(f"Serving at {settings.address} ({time.monotonic() - began:.1f} s). Ctrl-C stops everything.")
    if settings.demo:
        supervisor.add(child("demo", settings, patience=5.0))
    supervisor.keep()


def with_stand_ins(supervisor: Supervisor, settings: Settings) -> Settings | None:
    """Starts them, and leads this and all further processes to them; None when told to stop meanwhile."""
    from assay.demo import led

    led.forget(settings.data_dir)
    supervisor.add(child("simulators", settings, patience=SIMULATORS_PATIENCE))
    if not supervisor.wait_until(lambda: led.path_in(settings.data_dir).exists()):
        return None
    found = led.read(settings.data_dir)
    for each in found.values():
        os.environ.update(each.environ)
    allowed = [*filter(None, [settings.egress_allow]), *(f"127.0.0.1:{each.port}" for each in found.values())]
    return dataclasses.replace(settings, egress_allow=",".join(allowed))


def child(command: str, settings: Settings, *arguments: str, patience: float) -> Child:
    environ = {
        **{name: value for name, value in os.environ.items() if is_passed_on(name)},
        **settings.as_environ(),
        "ASSAY_DATA_DIR": str(settings.data_dir),
        # glibc keeps a heap per thread otherwise, most of it empty.
        "MALLOC_ARENA_MAX": "2",
    }
    name = " ".join((command, *arguments))
    return Child(name, [sys.executable, "-m", "assay.cli", command, *arguments], environ, patience)


def is_passed_on(name: str) -> bool:
    """Our own settings go by what they are; those of plugins only they know."""
    return not name.startswith("ASSAY_") or name.startswith(PLUGIN_PREFIX)


def say(sentence: str) -> None:
    click.echo(f"assay: {sentence}", err=True)


def free_port(host: str, wanted: int) -> int:
    """The port, or the next one nobody listens on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
        with socket.socket(family) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((host, port))
            except PermissionError:
                raise click.ClickException(
                    f"Port {port} is reserved for the superuser; choose one from 1024."
                ) from None
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise click.ClickException(f"Can't listen on {host}: {error.strerror}.") from None
                continue
        if port != wanted:
            say(f"Port {wanted} is taken; using {port}.")
        return port
    raise click.ClickException(f"Ports {wanted} to {wanted + PORTS_TRIED - 1} are taken; set ASSAY_PORT to a free one.")


def answers(host: str, port: int) -> bool:
    """Whether somebody speaks HTTP there by now."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 # compared, not bound
    try:
        with socket.create_connection((reachable, port), timeout=0.5) as connection:
            connection.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def end_leftovers(data_dir: Path) -> None:
    """Ends children of a killed run that the kernel did not end, or that are slow about it."""
    import psutil

    def is_ours(process: psutil.Process) -> bool:
        try:
            return "assay.cli" in process.cmdline() and process.environ().get("ASSAY_DATA_DIR") == str(data_dir)
        except psutil.Error:
            return False

    left = [process for process in psutil.process_iter() if process.pid != os.getpid() and is_ours(process)]
    for process in left:
        process.terminate()
    for process in psutil.wait_procs(left, timeout=5)[1]:
        process.kill()
    psutil.wait_procs(left, timeout=5)
