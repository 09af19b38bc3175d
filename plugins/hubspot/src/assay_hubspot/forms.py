"""Form submissions: each form has a list of its own, the newest first, and nothing tells when there is more."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from assay_hubspot.paths import FORMS, SUBMISSIONS
from assay_sdk import Cursor, Link, Page, Refused
from assay_sdk.paging import packed, to_milliseconds

FORMS_PAGE, SUBMISSIONS_PAGE = 50, 50
OVERLAP = int(timedelta(minutes=3) / timedelta(milliseconds=1))
#: Calls within one look, most of which find nothing new.
CALLS = 10
_SEEN = 50
#: After so long no submission turns up late.
SETTLED = timedelta(minutes=30)


def pull(link: Link, cursor: Cursor | None) -> Page:
    """The next forms' new submissions. ``known`` is where each form stands: its newest instant and the ids near it."""
    state: dict[str, Any] = {"known": {}, "queue": None, "forms_after": None, **(cursor or {})}
    bodies: list[bytes] = []
    count = 0
    for _ in range(CALLS):
        if not state["queue"]:
            if state["queue"] is not None and state["forms_after"] is None:
                return Page(bodies, {"known": state["known"]}, False, count)
            state |= _more_forms(link, state["forms_after"])
            continue
        records, form = _submissions(link, state)
        if records:
            bodies += packed(records, kind="forms", form=form)
            count += len(records)
    return Page(bodies, state, True, count)


def _more_forms(link: Link, after: str | None) -> dict[str, Any]:
    params: dict[str, Any] = {"limit": FORMS_PAGE, "formTypes": "all"} | ({"after": after} if after else {})
    answer = link.http.get(FORMS, params=params).json()
    following = ((answer.get("paging") or {}).get("next") or {}).get("after")
    queue = [[str(form["id"]), str(form.get("name") or "")] for form in answer.get("results") or ()]
    return {"queue": queue, "forms_after": following, "after": None, "newest": 0, "near": []}


def _submissions(link: Link, state: dict[str, Any]) -> tuple[list[Mapping[str, Any]], dict[str, str]]:
    """One page of the queue's first form, which leaves the queue with its last page."""
    id_, name = state["queue"][0]
    reached, seen = state["known"].get(id_, (0, ()))
    params: dict[str, Any] = {"limit": SUBMISSIONS_PAGE}
    if state.get("after"):
        params["after"] = state["after"]
    try:
        answer = link.http.get(f"{SUBMISSIONS}/{id_}", params=params).json()
    except Refused as error:
        if error.status != 404:
            raise
        answer = {}  # The form was deleted since the forms were listed.
    rows: list[Mapping[str, Any]] = [row for row in answer.get("results") or () if _is_placed(row)]
    fresh = [row for row in rows if row["submittedAt"] >= reached - OVERLAP and row.get("conversionId") not in seen]
    state["newest"] = max([state["newest"], *(row["submittedAt"] for row in rows)])
    state["near"] = [
        *state["near"],
        *(row.get("conversionId") for row in rows if row["submittedAt"] >= state["newest"] - OVERLAP),
    ][:_SEEN]
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    is_through = not after or (rows and rows[-1]["submittedAt"] < reached - OVERLAP)
    state["after"] = None if is_through else after
    if is_through:
        newest, near = max(reached, state["newest"]), state["near"]
        if newest < to_milliseconds(link.clock.now() - SETTLED):
            # The form has gone quiet: what is there is known, however much came at last.
            newest, near = max(reached, state["newest"] + OVERLAP + 1), []
        known = {**state["known"], id_: [newest, near]}
        state |= {"known": known, "queue": state["queue"][1:], "newest": 0, "near": []}
    return fresh, {"id": id_, "name": name}


def _is_placed(row: Any) -> bool:
    """Whether it says when it was submitted: one that does not must not hold up all others for ever."""
    return isinstance(row, dict) and isinstance(row.get("submittedAt"), int)
