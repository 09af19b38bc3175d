"""How fast the engine scores, beside plain Python on the same facts; the two must agree to the last thousandth.

Run: python tests/bench/bench_engine.py [EVENTS] [LEADS]
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from assay.scoring.engine import CompiledModel, compile_model, explain, score
from assay.scoring.language import load

AT = datetime.fromisoformat("2026-06-01T00:00:00+00:00")
DAY = timedelta(days=1)
TYPES = ("page.viewed", "email.opened", "email.clicked", "offer.downloaded", "form.submitted", "meeting.booked")
PATHS = ("/", "/pricing", "/pricing/eu", "/docs", "/blog")
TITLES = ("CFO", "Owner", "Engineer", "Student", None)
COUNTRIES = ("CH", "VN", "US", "RO")
MODELS, RULES = 5, 20


def documents() -> list[dict[str, Any]]:
    """Models as people write them: a few traits, many actions, silences."""
    return [
        {"model": f"m{place}", "rules": [rule(place, number) for number in range(RULES)]} for place in range(MODELS)
    ]


def rule(place: int, number: int) -> dict[str, Any]:
    base: dict[str, Any] = {"id": f"r{number}", "points": 1 + (number + place) % 7}
    kind = number % 10
    if kind == 0:
        return base | {"when": {"trait": "title", "in": ["CFO", "Owner"]}}
    if kind == 1:
        return base | {"when": {"trait": "company.employees", "gte": 50 + place}}
    if kind == 2:
        return base | {"when": {"trait": "country", "not_in": ["US"]}}
    if kind == 3:
        return base | {"idle": {"for": f"{10 + number + place}d", "of": "any"}, "points": -3}
    if kind in (4, 5):
        where = {"property": "path", "starts_with": "/pricing"} if kind == 4 else {"property": "path", "is": "/docs"}
        return base | {"on": "page.viewed", "where": where, "fades": {"after": f"{20 + number + place}d"}}
    if kind == 6:
        return base | {"on": "offer.downloaded", "count": {"once_per": "offer_id"}}
    if kind == 7:
        return base | {"on": TYPES[number % 6], "count": {"first": 3 + place}}
    if kind == 8:
        return base | {"on": TYPES[(number + place) % 6], "count": "once"}
    return base | {"on": ["email.opened", "email.clicked"], "max": 10}


def facts(events: int, leads: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    def pick(seed: int, size: int, count: int) -> pl.Expr:
        return pl.int_range(size).hash(seed) % count

    def one_of(seed: int, size: int, values: tuple[str | None, ...]) -> pl.Expr:
        return pick(seed, size, len(values)).replace_strict(range(len(values)), values, return_dtype=pl.String)

    people = pl.select(
        pl.int_range(leads).alias("lead_id"),
        (pl.lit(AT - 90 * DAY) - pl.duration(days=pick(1, leads, 90)))
        .cast(pl.Datetime("us", "UTC"))
        .alias("first_seen_at"),
        one_of(2, leads, TITLES).alias("trait:title"),
        one_of(3, leads, COUNTRIES).alias("trait:country"),
        pick(4, leads, 200).cast(pl.String).alias("trait:company.employees"),
    )
    happened = pl.select(
        pick(5, events, leads).cast(pl.Int64).alias("lead_id"),
        pl.format("{}", pl.int_range(events)).alias("event_id"),
        one_of(6, events, TYPES).alias("type"),
        (pl.lit(AT) - pl.duration(seconds=pick(7, events, 86_400 * 90)))
        .cast(pl.Datetime("us", "UTC"))
        .alias("occurred_at"),
        one_of(8, events, PATHS).alias("property:path"),
        pick(9, events, 30).cast(pl.String).alias("property:offer_id"),
    )
    return people, happened


def plainly(models: list[dict[str, Any]], people: pl.DataFrame, happened: pl.DataFrame) -> dict[str, int]:
    """The same models in plain Python: what a person would write by hand. Sums of raw points by model."""
    by_lead: dict[int, list[tuple[Any, ...]]] = {}
    for row in happened.sort("occurred_at", "event_id").iter_rows():
        by_lead.setdefault(row[0], []).append(row)
    sums = dict.fromkeys((model["model"] for model in models), 0)
    for lead in people.iter_rows(named=True):
        own = by_lead.get(lead["lead_id"], [])
        newest = own[-1][3] if own else lead["first_seen_at"]
        for model in models:
            sums[model["model"]] += sum(one_rule(one, lead, own, newest) for one in model["rules"])
    return sums


def one_rule(one: dict[str, Any], lead: dict[str, Any], own: list[tuple[Any, ...]], newest: datetime) -> int:
    points = int(one["points"])
    if "when" in one:
        value, when = lead[f"trait:{one['when']['trait']}"], one["when"]
        if value is None:
            return 0
        if "in" in when:
            return points if value in when["in"] else 0
        if "gte" in when:
            return points if int(value) >= when["gte"] else 0
        return points if value not in when["not_in"] else 0
    if "idle" in one:
        return points if AT - newest >= int(one["idle"]["for"][:-1]) * DAY else 0
    types = one["on"] if isinstance(one["on"], list) else [one["on"]]
    matching = [row for row in own if row[2] in types]
    where = one.get("where", {})
    if "starts_with" in where:
        matching = [row for row in matching if row[4].startswith(where["starts_with"])]
    elif "is" in where:
        matching = [row for row in matching if row[4] == where["is"]]
    count = one.get("count", "each")
    if count == "once":
        matching = matching[:1]
    elif "once_per" in count:
        return points * len({row[5] for row in matching})
    elif "first" in count:
        matching = matching[: count["first"]]
    if "fades" in one:
        lasts = int(one["fades"]["after"][:-1]) * DAY
        matching = [row for row in matching if AT - row[3] < lasts]
    return min(points * len(matching), one.get("max", 10**9))


def median(work: Callable[[], Any], times: int) -> tuple[float, Any]:
    taken: list[float] = []
    result = None
    for _ in range(times):
        begin = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken), result


def main(events: int = 2_000_000, leads: int = 100_000) -> None:
    written = documents()
    models: list[CompiledModel] = [compile_model(load(document)) for document in written]
    people, happened = facts(events, leads)
    table = Table(title=f"engine: {MODELS} models of {RULES} rules, medians")
    for name in ("what", "leads", "events", "seconds", "events/s", "leads/s"):
        table.add_column(name, justify="left" if name == "what" else "right")

    def row(what: str, seconds: float, some_leads: int, some_events: int) -> None:
        rates = (f"{some_events / seconds:,.0f}", f"{some_leads / seconds:,.0f}")
        table.add_row(what, f"{some_leads:,}", f"{some_events:,}", f"{seconds:.4f}", *rates)

    seconds, frame = median(partial(score, models, people, happened, AT), 3)
    row("engine, all models", seconds, leads, events)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    plain_seconds, sums = median(partial(plainly, written, people, happened), 1)
    row("plain Python, the same", plain_seconds, leads, events)
    found = dict(frame.group_by("model").agg(pl.col("raw").sum() // 1000).iter_rows())
    if found != sums:
        raise SystemExit(f"the engine and plain Python differ: {found} and {sums}")
    for some in (1, 500):
        few = people.head(some)
        theirs = happened.join(few, on="lead_id", how="semi")
        works: dict[str, Callable[[], Any]] = {
            "engine, all models": partial(score, models, few, theirs, AT),
            "engine, one model": partial(score, models[:1], few, theirs, AT),
            "receipts, one model": partial(explain, models[0], few, theirs, AT),
        }
        for what, work in works.items():
            row(what, median(work, 15)[0], some, theirs.height)
    console = Console()
    console.print(table)
    console.print(f"Equal results: yes. Peak memory {peak:,.0f} MB; {plain_seconds / seconds:.1f} times plain Python.")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
