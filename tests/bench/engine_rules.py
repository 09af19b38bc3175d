"""The models and facts of the engine's benchmark, and the same rules in plain Python, in SQL and for zen-engine."""

import re
from datetime import datetime, timedelta
from typing import Any

import polars as pl

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


def large(rules: int) -> dict[str, Any]:
    """One model of many rules, each a little different."""
    return {
        "model": "large",
        "rules": [rule(number % 50, number) | {"id": f"r{number}"} for number in range(rules)],
    }


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


def totals_sql() -> str:
    """Every model's raw points of every lead, in the SQL of DuckDB and PostgreSQL alike: one pass over the events."""
    counts, points = _counts_and_points()
    totals = [f"{' + '.join(points[place])} as m{place}" for place in range(MODELS)]
    return f"select lead_id, {', '.join(totals)} from ({_counted(counts)}) counted"


def counts_sql(leads: int) -> str:
    """What the expressions of `zen_expression` read, for the first leads."""
    counts, _ = _counts_and_points()
    return f"select * from ({_counted(counts)}) counted where lead_id < {leads} order by lead_id"


def _counted(counts: list[str]) -> str:
    names = ", ".join(f"coalesce(c{place}, 0) as c{place}" for place in range(len(counts)))
    aggregates = ", ".join(f"{count} as c{place}" for place, count in enumerate(counts))
    return (
        'select p.lead_id, "trait:title" as title, "trait:country" as country, '
        'cast("trait:company.employees" as int) as staff, '
        f"extract(epoch from timestamptz '{AT:%Y-%m-%d %H:%M:%S+00}' - coalesce(newest, first_seen_at)) as silent, "
        f"{names} "
        f"from people p left join (select lead_id, max(occurred_at) as newest, {aggregates} "
        "from happened group by lead_id) e on e.lead_id = p.lead_id"
    )


def _counts_and_points() -> tuple[list[str], list[list[str]]]:
    """The counts of events that the models need, each once, and each rule's points in terms of them."""
    counts: dict[str, str] = {}
    points = [[_rule_sql(one, counts) for one in document["rules"]] for document in documents()]
    return list(counts), points


def _rule_sql(one: dict[str, Any], counts: dict[str, str]) -> str:
    points = one["points"]
    if "when" in one:
        return f"case when {_condition_sql(one['when'])} then {points} else 0 end"
    if "idle" in one:
        return f"case when silent >= {int(one['idle']['for'][:-1]) * 86_400} then {points} else 0 end"
    name = _count_name(one, counts)
    count = one.get("count", "each")
    firsts = count if isinstance(count, dict) else {"first": 1} if count == "once" else {}
    most = firsts.get("first")
    found = f"{points} * {name if most is None else f'least({name}, {most})'}"
    return f"least({found}, {one['max']})" if "max" in one else found


def _condition_sql(when: dict[str, Any]) -> str:
    column = {"title": "title", "country": "country", "company.employees": "staff"}[when["trait"]]
    if "gte" in when:
        return f"{column} >= {when['gte']}"
    word, values = ("in", when["in"]) if "in" in when else ("not in", when["not_in"])
    return f"{column} {word} ({', '.join(repr(value) for value in values)})"


def _count_name(one: dict[str, Any], counts: dict[str, str]) -> str:
    types = one["on"] if isinstance(one["on"], list) else [one["on"]]
    asked = [f"type in ({', '.join(repr(kind) for kind in types)})"]
    where = one.get("where", {})
    if "starts_with" in where:
        asked.append(f"\"property:path\" like '{where['starts_with']}%'")
    elif "is" in where:
        asked.append(f"\"property:path\" = '{where['is']}'")
    if "fades" in one:
        since = AT - int(one["fades"]["after"][:-1]) * DAY
        asked.append(f"occurred_at > timestamptz '{since:%Y-%m-%d %H:%M:%S+00}'")
    what = 'count(distinct "property:offer_id")' if "once_per" in one.get("count", "") else "count(*)"
    return counts.setdefault(f"{what} filter (where {' and '.join(asked)})", f"c{len(counts)}")


def zen_expression(place: int) -> str:
    """One model over the counts of one lead, as zen-engine writes it."""
    _, points = _counts_and_points()
    rules = zip(documents()[place]["rules"], points[place], strict=True)
    return " + ".join(f"({_zen_rule(one, sql)})" for one, sql in rules)


def _zen_rule(one: dict[str, Any], sql: str) -> str:
    points = one["points"]
    if "when" in one:
        when = one["when"]
        column = {"title": "title", "country": "country", "company.employees": "staff"}[when["trait"]]
        if "gte" in when:
            return f"{column} >= {when['gte']} ? {points} : 0"
        word, values = ("in", when["in"]) if "in" in when else ("not in", when["not_in"])
        return f"{column} != null and {column} {word} {values!r} ? {points} : 0"
    if "idle" in one:
        return f"silent >= {int(one['idle']['for'][:-1]) * 86_400} ? {points} : 0"
    return re.sub(r"least\((.*), (\d+)\)", r"min([\1, \2])", sql)
