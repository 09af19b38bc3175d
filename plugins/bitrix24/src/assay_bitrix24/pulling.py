"""Lists: swept through in the order of ids, once in full, and then again and again for what has changed.

A sweep asks for what was changed since the one before it *began*, and goes by ``">id"``: so a record that changes while
the sweep is under way is missed by none, however many changed in the same second. What two sweeps would both bring is
remembered by marks, so that it comes once.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from assay_bitrix24.calls import batch, call
from assay_bitrix24.kinds import ACTIVITY, DEAL, Kind
from assay_bitrix24.people import number
from assay_bitrix24.stages import stages_of
from assay_sdk import Cursor, Link, Page, Refused
from assay_sdk.paging import chunked, mark, packed
from assay_sdk.values import instant

PAGE = 50
#: A change is stamped before it can be read: sweeps overlap by as much.
OVERLAP = timedelta(minutes=1)
#: Beyond this many, some records come twice, which harms nobody.
MOST_MARKS = 5000

#: Of an activity no more is kept; its text is somebody's letter.
_OF_ACTIVITY = (
    *("ID", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "PROVIDER_ID", "PROVIDER_TYPE_ID", "SUBJECT", "CREATED"),
    *("LAST_UPDATED", "START_TIME", "END_TIME", "COMPLETED", "STATUS", "DIRECTION", "COMMUNICATIONS"),
)
_OF_COMMUNICATION = ("TYPE", "VALUE", "ENTITY_ID", "ENTITY_TYPE_ID")


def pull(link: Link, kind: Kind, cursor: Cursor | None) -> Page:
    """The next page of a sweep."""
    now = dict(cursor or {})
    since, last = now.get("since"), int(now.get("id") or 0)
    is_first = since is None and last == 0
    asked = {f">{kind.id}": last} | ({f">={kind.updated}": since} if since else {})
    # Counting costs the portal dear: it is asked for once, for the progress of the first load.
    answer = _listed(link, kind, asked, start=0 if is_first else -1)
    items = _items(answer)
    following = now.get("following") or _before(answer, link)
    fresh = [*now.get("fresh", ()), *_marks(items, kind, following)][-MOST_MARKS:]
    total = now.get("total") if not is_first else answer.get("total")
    known = frozenset(now.get("seen", ()))
    new = [item for item in items if _mark(item, kind) not in known]
    # Counted are all rows, also what could not be read: a full page is followed by another.
    ids = [id_ for item in items if (id_ := number(item.get(kind.id)))]
    more = len(_rows(answer)) >= PAGE and bool(ids)
    if more:
        onward = {"since": since, "id": max(ids), "following": following, "fresh": fresh}
        onward |= {"seen": list(now.get("seen", ())), "total": total}
    else:
        onward = {"since": following, "id": 0, "seen": fresh}
    return Page(
        bodies=_bodies(link, kind, new),
        cursor=onward,
        more=more,
        count=len(new),
        total=total if since is None else None,
        newest_at=instant(since) if more else None,
    )


def fetch(link: Link, kind: Kind, ids: Sequence[str]) -> Page:
    """Records by their ids. One that is missing may be gone, or not ours to see: nothing is said of it."""
    wanted = sorted({int(id_) for id_ in ids if id_.isdecimal()})
    if not wanted:
        return Page()
    items = _items(_listed(link, kind, {f"@{kind.id}": wanted}, start=-1))
    return Page(bodies=_bodies(link, kind, items), count=len(items))


def _listed(link: Link, kind: Kind, asked: Mapping[str, Any], *, start: int) -> dict[str, Any]:
    return call(link, kind.method, {**kind.asked, "filter": dict(asked), "order": {kind.id: "ASC"}, "start": start})


def _rows(answer: Mapping[str, Any]) -> list[Any]:
    result = answer.get("result")
    found = result.get("items") if isinstance(result, dict) else result
    return found if isinstance(found, list) else []


def _items(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [item for item in _rows(answer) if isinstance(item, dict)]


def _mark(item: Mapping[str, Any], kind: Kind) -> str:
    return mark(item.get(kind.id), item.get(kind.updated))


def _before(answer: Mapping[str, Any], link: Link) -> str:
    """From where the next sweep asks: a little before this one began, by the portal's clock where it tells."""
    stated = answer.get("time")
    began = instant(stated.get("date_start")) if isinstance(stated, dict) else None
    return ((began or link.clock.now()) - OVERLAP).astimezone(UTC).isoformat(timespec="seconds")


def _marks(items: Sequence[Mapping[str, Any]], kind: Kind, following: str) -> list[str]:
    """Of those that the next sweep brings again."""
    from_then = datetime.fromisoformat(following)
    return [_mark(item, kind) for item in items if (instant(item.get(kind.updated)) or from_then) >= from_then]


def _bodies(link: Link, kind: Kind, items: Sequence[Mapping[str, Any]]) -> list[bytes]:
    if not items:
        return []
    records = [_cleaned(item, kind) for item in items]
    if kind is DEAL:
        _add_contacts(link, records)
    stages = stages_of(link, kind, records)
    return packed(records, kind=kind.name, stages=stages)


def _add_contacts(link: Link, deals: Sequence[dict[str, Any]]) -> None:
    """All contacts of each deal; the deal itself names only the first."""
    for part in chunked([deal for deal in deals if number(deal.get("id"))], PAGE):
        found = batch(link, [("crm.deal.contact.items.get", {"id": deal["id"]}) for deal in part])
        for deal, contacts in zip(part, found, strict=True):
            if isinstance(contacts, Refused) and contacts.code not in ("not_found", ""):
                raise contacts
            rows = contacts if isinstance(contacts, list) else []
            deal["contacts"] = [row["CONTACT_ID"] for row in rows if isinstance(row, dict) and row.get("CONTACT_ID")]


def _cleaned(item: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Without what nobody needs, and without addresses of files, in which a token stands."""
    if kind is ACTIVITY:
        kept = {name: item[name] for name in _OF_ACTIVITY if name in item}
        talks = item.get("COMMUNICATIONS")
        kept["COMMUNICATIONS"] = [
            {name: talk[name] for name in _OF_COMMUNICATION if name in talk}
            for talk in (talks if isinstance(talks, list) else [])
            if isinstance(talk, dict)
        ]
        return kept
    return {
        name: value
        for name, value in item.items()
        if name == "fm" or (name != "searchContent" and not _is_file(value) and not name.startswith("parentId"))
    }


def _is_file(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value))
