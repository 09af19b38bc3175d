"""Sends the story through the public endpoint with Segment's own library, as a customer's website would."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import structlog
from segment.analytics.client import Client  # type: ignore[import-untyped] # it ships no types

from assay.demo import account as accounts
from assay.demo import led
from assay.demo.story import TEMPERS, Call, Story, something

log = structlog.get_logger()


def send_history(data_dir: Path, address: str) -> None:
    """All of it, once: calls already sent by a run that was killed are recognised by their ids."""
    account = accounts.read(data_dir)
    if account is None or account.has_history:
        return
    failures: list[Exception] = []
    client = Client(account.write_key, host=address, on_error=lambda error, _: failures.append(error))
    for call in Story(account.since).history():
        send(client, call)
    client.shutdown()
    if failures:
        log.warning("demo.history_incomplete", failures=len(failures), first=str(failures[0]))
        return
    account.has_history = True
    accounts.write(data_dir, account)


def trickle(data_dir: Path, address: str, *, per_minute: int) -> None:
    """A few events a minute until SIGTERM, so that scores move while one watches."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    account = accounts.read(data_dir)
    if account is None:
        return
    # Without its background thread, which would wake twice a second all day.
    client = Client(account.write_key, host=address, sync_mode=True, max_retries=2)
    dice = random.Random()  # noqa: S311 # a story, not a secret
    people, began = Story(account.since).people, led.written_at(data_dir)
    paces = [TEMPERS[person.temper].pace for person in people]
    while True:
        time.sleep(dice.expovariate(per_minute / 60))
        connect_again_if_needed(data_dir, began)
        (person,) = dice.choices(people, paces)
        try:
            send(client, something(person, dice))
        except Exception as error:  # noqa: BLE001 # the library raises whatever its transport raises
            log.warning("demo.not_sent", error=str(error))


def connect_again_if_needed(data_dir: Path, began: int) -> None:
    """Stand-ins that were killed have forgotten whom they let in: begun anew, the demonstration connects them."""
    if led.written_at(data_dir) != began:
        os.execv(sys.executable, [sys.executable, "-m", "assay.cli", "demo"])  # noqa: S606 # ourselves


def send(client: Client, call: Call) -> None:
    getattr(client, call.method)(**call.arguments)
