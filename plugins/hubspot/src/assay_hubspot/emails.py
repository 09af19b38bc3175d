"""Events of marketing e-mails: a window of time, the newest first, with a token that does not last."""

from datetime import timedelta
from typing import Any

from assay_hubspot.paths import EMAIL_EVENTS
from assay_hubspot.records import email_event_type
from assay_sdk import Cursor, Link, Page, Refused
from assay_sdk.paging import from_milliseconds, mark, packed, to_milliseconds, unseen

PAGE = 1000
#: How far back the first load goes: a large portal has tens of millions, and what is older scores little.
FIRST = timedelta(days=180)
OVERLAP = timedelta(minutes=10)
_SEEN = 1000


def pull(link: Link, cursor: Cursor | None) -> Page:
    """The next page of the window; with its last one the next window begins, a little before this one's end."""
    now = link.clock.now()
    state: dict[str, Any] = dict(cursor or {"start": to_milliseconds(now - FIRST), "seen": []})
    if "end" not in state:
        end = to_milliseconds(now)
        state |= {"end": end, "until": end, "oldest": end, "near": []}
    answer = _asked(link, state)
    rows = [row for row in answer.get("events") or () if _is_placed(row)]
    told = [row for row in rows if email_event_type(row) is not None and not row.get("filteredEvent")]
    fresh = unseen(told, id="id", at="created", seen=state["seen"])
    bodies = packed(fresh, kind="email-events") if fresh else []
    tail = state["end"] - int(OVERLAP / timedelta(milliseconds=1))
    near = [*state["near"], *(mark(row["id"], row["created"]) for row in told if row["created"] >= tail)][:_SEEN]
    if answer.get("hasMore") and rows and answer.get("offset"):
        oldest = min([state["oldest"], *(row["created"] for row in rows)])
        following = {**state, "offset": str(answer["offset"]), "oldest": oldest, "near": near}
        return Page(bodies, following, True, len(fresh), newest_at=from_milliseconds(state["start"]))
    return Page(bodies, {"start": max(tail, state["start"]), "seen": near}, False, len(fresh))


def _is_placed(row: Any) -> bool:
    """Whether it has an id and an instant: one that has not must not hold up all others for ever."""
    return isinstance(row, dict) and isinstance(row.get("created"), int) and row.get("id") is not None


def _asked(link: Link, state: dict[str, Any]) -> Any:
    """``until`` ends the query that the token belongs to; where the token lapsed, the rest is asked for anew."""
    if "offset" in state:
        try:
            return _events(link, state)
        except Refused as error:
            if error.status != 400:
                raise
            del state["offset"]
            state["until"] = state["oldest"]
    return _events(link, state)


def _events(link: Link, state: dict[str, Any]) -> Any:
    params: dict[str, Any] = {
        "startTimestamp": state["start"],
        "endTimestamp": state["until"],
        "limit": PAGE,
        "excludeFilteredEvents": "true",
    }
    if "offset" in state:
        params["offset"] = state["offset"]
    return link.http.get(EMAIL_EVENTS, params=params).json()
