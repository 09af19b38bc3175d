"""Processes that are killed while they work: what was accepted is there, once, and scored right."""

import threading
import time

import httpx
import pytest
from redis import Redis


@pytest.mark.parametrize("queue", ["intake", "scoring"])
def test_a_worker_killed_in_the_middle_of_its_batches(plant, books, queue) -> None:
    with books.busy():
        for pause in (0.4, 0.9, 0.6):
            time.sleep(pause)
            plant.kill(lambda: plant.child("worker", queue))
    books.balance()


def test_a_worker_killed_while_another_is_at_the_same_tenant(plant, books) -> None:
    others = [plant.extra_worker(queue) for queue in ("intake", "scoring")]
    try:
        with books.busy(threads=4):
            time.sleep(1.5)
            plant.kill(lambda: plant.child("worker", "intake"))
            others[0].kill()
            time.sleep(0.5)
        books.balance()
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_two_workers_at_one_tenant(plant, books) -> None:
    others = [plant.extra_worker(queue) for queue in ("intake", "scoring")]
    try:
        with books.busy(threads=4):
            time.sleep(3)
        books.balance()
    finally:
        for other in others:
            other.terminate()
            other.wait(30)


def test_the_web_server_killed_with_requests_in_flight(plant, books) -> None:
    with books.busy(threads=4, pause=0.0):
        for _ in range(2):
            time.sleep(0.7)
            plant.kill(lambda: plant.child("serve"))
    books.balance()


def test_postgres_killed_under_load(plant, books) -> None:
    with books.busy():
        for pause in (0.6, 1.2):
            time.sleep(pause)
            plant.kill(lambda: plant.server("postgres"))
            plant.wait_until(plant.is_healthy)
    refused = [headers for headers in books.headers if headers.get("retry-after")]
    assert len(refused) == sum(number for status, number in books.statuses.items() if status == 503)
    assert set(books.statuses) <= {200, 503}
    books.balance()


def test_postgres_killed_while_a_file_is_copied_into_it(plant, books) -> None:
    lines = ["user_id,type,occurred_at,message_id,path"]
    ids = [f"row-{number}" for number in range(30_000)]
    lines += [f"u{n % 500},page.viewed,2026-10-0{n % 9 + 1}T00:00:00Z,{id_},/pricing" for n, id_ in enumerate(ids)]
    body = "\n".join(lines).encode()

    answer = httpx.post(
        f"{plant.address}/api/v1/imports",
        params={"kind": "events", "filename": "past.csv"},
        content=body,
        headers={"Authorization": f"Bearer {books.api_key}", "Content-Type": "text/csv"},
        timeout=30,
    )
    assert answer.is_success, answer.text
    for _ in range(3):
        time.sleep(0.4)
        plant.kill(lambda: plant.server("postgres"))
        plant.wait_until(plant.is_healthy)
    books.accepted = set(ids)
    books.balance()


def test_redis_wiped_again_and_again(plant, books) -> None:
    redis = Redis.from_url(plant.places.redis_url)
    with books.busy():
        for _ in range(10):
            time.sleep(0.2)
            redis.flushall()
    assert set(books.statuses) == {200}
    books.balance()


def test_redis_away_for_a_while(plant, books) -> None:
    redis = plant.server("redis")
    assert redis is not None
    with books.busy():
        time.sleep(0.5)
        redis.suspend()
        try:
            time.sleep(5)
        finally:
            redis.resume()
    assert set(books.statuses) == {200}
    books.balance()


def test_postgres_and_redis_killed_together(plant, books) -> None:
    with books.busy():
        time.sleep(0.7)
        both = [
            threading.Thread(target=plant.kill, args=(lambda name=name: plant.server(name),))
            for name in ("postgres", "redis")
        ]
        for one in both:
            one.start()
        for one in both:
            one.join()
    books.balance()
