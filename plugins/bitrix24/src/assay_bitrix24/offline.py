"""The portal's offline queue, where its plan has one: tells which people were deleted, also while we were away.

Rows are reserved, kept with the cursor that names the reservation, and only the next look clears them: whatever breaks
in between, none is lost. A reservation that no cursor names was left by a crash; its rows are taken first.
"""

from collections.abc import Mapping
from typing import Any

from assay_bitrix24.calls import CONNECTOR, call
from assay_sdk import Cursor, Link, Page
from assay_sdk.paging import packed

OFFLINE = "offline"
_AT_ONCE = 50


def pull(link: Link, cursor: Cursor | None) -> Page:
    if not link.notes.get("offline"):
        return Page()
    cleared = (cursor or {}).get("processes", ())
    for process in cleared:
        call(link, "event.offline.clear", {"process_id": process})
    waiting = _rows(call(link, "event.offline.list", {"order": {"ID": "ASC"}, "auth_connector": CONNECTOR})["result"])
    if not waiting:
        return Page(cursor={})
    # One that stands there still although it was cleared is not told again at once, and again for ever.
    left = [row for row in waiting if row.get("PROCESS_ID") and str(row["PROCESS_ID"]) not in cleared]
    if left:
        return _page(left, sorted({str(row["PROCESS_ID"]) for row in left}))
    reserved = call(
        link, "event.offline.get", {"clear": 0, "limit": _AT_ONCE, "auth_connector": CONNECTOR}, safe=False
    )["result"]
    process = reserved.get("process_id") if isinstance(reserved, dict) else None
    rows = _rows(reserved.get("events") if isinstance(reserved, dict) else None)
    return _page(rows, [str(process)] if process and rows else [])


def _page(rows: list[Mapping[str, Any]], processes: list[str]) -> Page:
    return Page(
        bodies=packed(rows, kind=OFFLINE),
        cursor={"processes": processes} if processes else {},
        more=bool(processes),
        count=len(rows),
    )


def _rows(result: object) -> list[Mapping[str, Any]]:
    return [row for row in result if isinstance(row, dict)] if isinstance(result, list) else []
