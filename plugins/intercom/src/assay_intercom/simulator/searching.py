"""Searches as Intercom answers them: dates are compared by the days of the workspace's calendar."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

_MOST_FILTERS, _DEEPEST = 15, 2
MOST, USUAL = 150, 50


class BadSearch(Exception):
    """What Intercom would answer 400 to; its text says why."""


def compiled(query: Any, zone: ZoneInfo, depth: int = 0) -> Test:
    """A query as a test of one record."""
    if not isinstance(query, dict):
        raise BadSearch("query must be an object")
    if query.get("operator") in ("AND", "OR"):
        parts = query.get("value")
        if not isinstance(parts, list) or len(parts) > _MOST_FILTERS or depth >= _DEEPEST:
            raise BadSearch("too many filters, or nested too deeply")
        tests = [compiled(part, zone, depth + 1) for part in parts]
        every = query["operator"] == "AND"
        return lambda row: all(test(row) for test in tests) if every else any(test(row) for test in tests)
    field, operator, value = query.get("field"), query.get("operator"), query.get("value")
    if not isinstance(field, str):
        raise BadSearch("a filter needs a field")
    if field.endswith("_at"):
        return _dated(field, operator, value, zone)
    if operator == "=":
        return lambda row: row.get(field) == value
    if operator == "!=":
        return lambda row: row.get(field) != value
    raise BadSearch(f"operator {operator} is not supported here")


def _dated(field: str, operator: object, value: object, zone: ZoneInfo) -> Test:
    try:
        day = datetime.fromtimestamp(int(str(value)), zone).date()
    except ValueError:
        raise BadSearch(f"{value!r} is no date") from None
    begins = datetime.combine(day, time(), zone).timestamp()
    ends = datetime.combine(day + timedelta(days=1), time(), zone).timestamp()
    if operator == ">":
        return lambda row: (row.get(field) or 0) >= ends
    if operator == "<":
        return lambda row: row.get(field) is not None and row[field] < begins
    if operator == "=":
        return lambda row: begins <= (row.get(field) or 0) < ends
    raise BadSearch(f"operator {operator} is not supported for dates")


def paged(rows: Sequence[Row], asked: Mapping[str, Any], test: Test) -> tuple[list[Row], dict[str, Any], int]:
    """A page of what passes the test, its description, and how many pass in all.

    A cursor names the place after which to go on, not a number of rows: what changes meanwhile shifts nothing.
    """
    sort, pagination = asked.get("sort") or {}, asked.get("pagination") or {}
    field, order = sort.get("field", "updated_at"), sort.get("order", "descending")
    if order not in ("ascending", "descending"):
        raise BadSearch(f"Invalid sort order '{order}'. Must be one of: ascending, descending")
    size = int(pagination.get("per_page") or USUAL)
    if not 1 <= size <= MOST:
        raise BadSearch("per_page must be a number between 1 and 150")
    found = sorted(
        ((row.get(field) or 0, row["id"], row) for row in rows if test(row)),
        key=lambda place: place[:2],
        reverse=order == "descending",
    )
    total = len(found)
    if pagination.get("starting_after"):
        at, id_ = opened(pagination["starting_after"])
        after = (at, id_)
        found = [one for one in found if (one[:2] > after if order == "ascending" else one[:2] < after)]
    page = found[:size]
    pages: dict[str, Any] = {"type": "pages", "page": 1, "per_page": size, "total_pages": -(-total // size)}
    if len(found) > size:
        pages["next"] = {"per_page": size, "starting_after": sealed(page[-1][0], page[-1][1])}
    return [row for _, _, row in page], pages, total


def sealed(at: int, id_: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, id_]).encode()).decode()


def opened(cursor: object) -> tuple[int, str]:
    try:
        at, id_ = json.loads(base64.urlsafe_b64decode(str(cursor)))
        return int(at), str(id_)
    except (ValueError, TypeError):
        raise BadSearch("starting_after is invalid") from None
