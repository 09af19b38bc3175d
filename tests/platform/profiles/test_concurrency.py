from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from assay_sdk import Alias, Event, Identifiers

At = Callable[[int], datetime]


def test_batches_at_the_same_time_find_the_same_person(world: Any, minutes: At) -> None:
    def batch(worker: int) -> None:
        for number in range(10):
            here, there = Identifiers(user_id=f"u{number}"), Identifiers(user_id=f"u{number + 1}")
            event = Event(here, "page.viewed", {}, minutes(number), f"m{number}")
            world.apply(*((event, Alias(here, there, minutes(number)))[:: 1 if worker % 2 else -1]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(batch, range(4)))
    (lead,) = world.state().values()
    assert len(lead["identities"]) == 11
    assert len(lead["events"]) == 10
