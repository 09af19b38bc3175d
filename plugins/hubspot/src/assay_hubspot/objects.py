"""Contacts, companies and deals: loaded once by list, then followed by search.

A search sorts by one property and ends after 10,000 rows. So no search is ever turned to its second page: each begins
anew at the last instant that the one before reached. Where more rows than a page holds share one millisecond, as after
an import, they are read in the order of their ids. Neither way comes near the end, however many rows there are, and a
row that changes meanwhile moves to where it is still going to be read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from assay_hubspot.deals import with_contacts, with_history, with_instant
from assay_hubspot.paths import OBJECTS, PIPELINES, PROPERTIES
from assay_hubspot.properties import (
    COMPANY,
    CONTACT,
    CONTACT_LINKS,
    DEAL,
    MEETING,
    MERGED,
    SCORED,
    extra_properties,
    instant,
)
from assay_sdk import Cursor, Link, Page
from assay_sdk.paging import from_milliseconds, mark, packed, to_milliseconds, unseen

LIST_PAGE, SEARCH_PAGE = 100, 200
#: A changed record can be searched for a few moments later: so much is read again.
OVERLAP = timedelta(minutes=3)
#: After so long nothing can turn up late, whatever our clock and HubSpot's differ by.
SETTLED = timedelta(minutes=30)
#: The first search reaches further back than the first load's beginning: the two clocks are not the same.
SKEW = timedelta(minutes=15)
#: Searches never show what was archived; the list of that has no order, so it is looked through now and then.
SWEEP = timedelta(hours=6)
_SEEN = 2000
_ID = "hs_object_id"


@dataclass(frozen=True)
class Kind:
    """One of HubSpot's object types, as it is read here."""

    #: Its stream, and its place in the address.
    name: str
    modified: str
    properties: tuple[str, ...]
    #: Asked for with the list.
    associations: str = ""
    #: The property whose every change is read, and whose associated contacts are.
    history: str = ""


CONTACTS = Kind("contacts", "lastmodifieddate", (*CONTACT, *CONTACT_LINKS, SCORED, "lastmodifieddate"), "companies")
COMPANIES = Kind("companies", "hs_lastmodifieddate", (*COMPANY, "hs_lastmodifieddate"))
DEALS = Kind("deals", "hs_lastmodifieddate", (*DEAL, "hs_lastmodifieddate"), history="dealstage")
MEETINGS = Kind("meetings", "hs_lastmodifieddate", (*MEETING, "hs_lastmodifieddate"), history="hs_meeting_outcome")
STREAMS = {kind.name: kind for kind in (CONTACTS, COMPANIES, DEALS)}


def pull(link: Link, kind: Kind, cursor: Cursor | None) -> Page:
    """The next page, by what the cursor says is being done: ``list``, ``follow`` or ``archived``."""
    if cursor is None:
        cursor = {"phase": "list", "began": to_milliseconds(link.clock.now()), "total": _total(link, kind)}
    if cursor["phase"] == "list":
        return _listed(link, kind, cursor)
    if cursor["phase"] == "archived":
        return _archived(link, kind, cursor)
    now = to_milliseconds(link.clock.now())
    if kind is CONTACTS and now - cursor["swept"] >= SWEEP / timedelta(milliseconds=1) and "id" not in cursor:
        return _archived(link, kind, {**cursor, "phase": "archived", "sweep": now})
    return _followed(link, kind, cursor)


def wanted(link: Link, kind: Kind) -> list[str]:
    """Properties that are asked for; HubSpot leaves out silently those that a portal does not have."""
    extra = extra_properties(link.settings) if kind is CONTACTS else ()
    return [*kind.properties, *extra]


def packed_records(link: Link, kind: Kind, records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Bodies that hold all that is needed to understand them."""
    slim = [slimmed(record) for record in records]
    if not slim:
        return []
    beside: dict[str, Any] = {"kind": kind.name}
    if kind.history:
        slim = with_contacts(link, kind.name, with_history(link, kind.name, kind.history, slim))
    if kind is DEALS:
        beside["stages"] = _stages(link, slim)
    if kind is CONTACTS:
        slim = _as_they_were_said(link, slim)
        if extra := extra_properties(link.settings):
            beside["types"] = _types(link, extra)
    return packed(slim, **beside)


def _as_they_were_said(link: Link, contacts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that a score was written to state when else they last changed."""
    names = [name for name in wanted(link, CONTACTS) if name not in (SCORED, CONTACTS.modified)]
    scored = [contact for contact in contacts if (contact.get("properties") or {}).get(SCORED)]
    dated = {contact["id"]: contact for contact in with_instant(link, CONTACTS.name, names, scored)}
    return [dated.get(contact["id"], contact) for contact in contacts]


def slimmed(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: record[name]
        for name in ("id", "properties", "createdAt", "updatedAt", "asked_as", "gone_at")
        if name in record
    }
    companies = (record.get("associations") or {}).get("companies", {}).get("results") or ()
    return kept | ({"company": companies[0]["id"]} if companies else {})


def _listed(link: Link, kind: Kind, cursor: Cursor) -> Page:
    params: dict[str, Any] = {"limit": LIST_PAGE, "properties": ",".join(wanted(link, kind))}
    if kind.associations:
        params["associations"] = kind.associations
    if cursor.get("after"):
        params["after"] = cursor["after"]
    answer = link.http.get(f"{OBJECTS}/{kind.name}", params=params).json()
    records = answer.get("results") or []
    bodies = packed_records(link, kind, records)
    if after := _after(answer):
        return Page(bodies, {**cursor, "after": after}, True, len(records), cursor.get("total"))
    began = int(cursor["began"])
    since = began - int(SKEW / timedelta(milliseconds=1))
    following = {"phase": "follow", "since": since, "newest": since, "seen": [], "swept": began}
    if kind is CONTACTS:
        # Who was deleted while the list was read is in neither the list nor any search.
        following |= {"phase": "archived", "sweep": began, "swept": since}
    return Page(bodies, following, True, len(records), cursor.get("total"))


def _archived(link: Link, kind: Kind, cursor: Cursor) -> Page:
    """Those archived since the last time somebody looked; older ones were told then."""
    params: dict[str, Any] = {"limit": LIST_PAGE, "archived": "true", "properties": "email"}
    if cursor.get("after"):
        params["after"] = cursor["after"]
    answer = link.http.get(f"{OBJECTS}/{kind.name}", params=params).json()
    since = from_milliseconds(cursor["swept"]) - SKEW
    gone = []
    for record in answer.get("results") or ():
        at = instant(record.get("archivedAt") or record.get("updatedAt"))
        if at is not None and at >= since:
            gone.append({"id": record["id"], "gone_at": record.get("archivedAt") or record["updatedAt"]})
    merged = merged_away(link, [str(record["id"]) for record in gone])
    gone = [record for record in gone if str(record["id"]) not in merged]
    bodies = packed(gone, kind=kind.name) if gone else []
    if after := _after(answer):
        return Page(bodies, {**cursor, "after": after}, True, len(gone))
    rest = {name: value for name, value in cursor.items() if name not in ("after", "sweep")}
    return Page(bodies, {**rest, "phase": "follow", "swept": cursor["sweep"]}, True, len(gone))


def merged_away(link: Link, ids: Sequence[str]) -> set[str]:
    """Of contacts that seem to be gone, those that live on in another one: that person was not deleted."""
    if not ids:
        return set()
    body = {"inputs": [{"id": id_} for id_ in ids], "properties": [MERGED]}
    answer = link.http.post(f"{OBJECTS}/{CONTACTS.name}/batch/read", json=body, safe=True).json()
    return {former for record in answer.get("results") or () for former in former_ids(record)}


def former_ids(record: Mapping[str, Any]) -> list[str]:
    """What else a contact was known by, before others were merged into it."""
    return [part.strip() for part in str(record["properties"].get(MERGED) or "").split(";")]


def _followed(link: Link, kind: Kind, cursor: Cursor) -> Page:
    if "id" in cursor:
        return _within_one_millisecond(link, kind, cursor)
    since = int(cursor["since"])
    answer = _search(link, kind, [(kind.modified, "GTE", since)], kind.modified)
    rows = [{**row, "at": _modified(row, kind)} for row in answer.get("results") or ()]
    fresh = unseen(rows, id="id", at="at", seen=cursor["seen"])
    last = max((row["at"] for row in rows), default=since)
    newest = max(int(cursor["newest"]), last)
    if not _after(answer):
        following = _at_the_end(link, cursor, newest, rows)
        return Page(packed_records(link, kind, fresh), following, False, len(fresh))
    if last <= since:
        # The whole page is of one millisecond, so nothing in it leads on.
        return Page((), {**cursor, "id": "0", "newest": newest}, True, newest_at=from_milliseconds(since))
    seen = _marks(cursor["seen"], rows, from_=last - _overlap())
    following = {**cursor, "since": last, "newest": newest, "seen": seen}
    bodies = packed_records(link, kind, fresh)
    return Page(bodies, following, True, len(fresh), newest_at=from_milliseconds(last))


def _within_one_millisecond(link: Link, kind: Kind, cursor: Cursor) -> Page:
    since = int(cursor["since"])
    filters = [(kind.modified, "GTE", since), (kind.modified, "LTE", since), (_ID, "GT", int(cursor["id"]))]
    answer = _search(link, kind, filters, _ID)
    rows = [{**row, "at": since} for row in answer.get("results") or ()]
    fresh = unseen(rows, id="id", at="at", seen=cursor["seen"])
    following = {name: value for name, value in cursor.items() if name != "id"}
    if rows and _after(answer):
        following["id"] = str(max(int(row["id"]) for row in rows))
    else:
        following["since"] = since + 1
    bodies = packed_records(link, kind, fresh)
    return Page(bodies, following, True, len(fresh), newest_at=from_milliseconds(since))


def _at_the_end(link: Link, cursor: Cursor, newest: int, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where the next look begins: a little before the newest, until nothing can turn up there any more."""
    is_settled = newest < to_milliseconds(link.clock.now() - SETTLED)
    since = newest + 1 if is_settled else newest - _overlap()
    return {**cursor, "since": since, "newest": newest, "seen": _marks(cursor["seen"], rows, from_=since)}


def _marks(seen: Iterable[str], rows: Iterable[Mapping[str, Any]], *, from_: int) -> list[str]:
    """The newest of them; what is forgotten is read once more, which changes nothing."""
    marks = {*seen, *(mark(row["id"], row["at"]) for row in rows)}
    kept = sorted((int(known.rpartition("@")[2]), known) for known in marks)
    return [known for at, known in kept if at >= from_][-_SEEN:]


def _overlap() -> int:
    return int(OVERLAP / timedelta(milliseconds=1))


def _modified(row: Mapping[str, Any], kind: Kind) -> int:
    at = instant((row.get("properties") or {}).get(kind.modified) or row.get("updatedAt"))
    return 0 if at is None else to_milliseconds(at)


def _search(link: Link, kind: Kind, filters: Sequence[tuple[str, str, int]], by: str) -> Any:
    body = {
        "filterGroups": [
            {"filters": [{"propertyName": name, "operator": how, "value": str(value)} for name, how, value in filters]}
        ],
        "sorts": [{"propertyName": by, "direction": "ASCENDING"}],
        "properties": wanted(link, kind),
        "limit": SEARCH_PAGE,
    }
    # Its limit stands apart from that of all other calls.
    return link.http.post(f"{OBJECTS}/{kind.name}/search", json=body, limits=("search",), safe=True).json()


def _total(link: Link, kind: Kind) -> int | None:
    body = {"filterGroups": [], "properties": [_ID], "limit": 1}
    answer = link.http.post(f"{OBJECTS}/{kind.name}/search", json=body, limits=("search",), safe=True).json()
    total = answer.get("total")
    return total if isinstance(total, int) else None


def _after(answer: Mapping[str, Any]) -> str | None:
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)


def _stages(link: Link, deals: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """What the stages mean that these deals are in, or were."""
    named = {str(deal["properties"].get("dealstage")) for deal in deals}
    named |= {str(entry.get("value")) for deal in deals for entry in deal.get("history") or ()}
    stages: dict[str, dict[str, str]] = {}
    for pipeline in link.http.get(f"{PIPELINES}/deals").json().get("results") or ():
        for stage in pipeline.get("stages") or ():
            if str(stage["id"]) in named:
                meaning = stage.get("metadata") or {}
                stages[str(stage["id"])] = {
                    "label": str(stage.get("label") or ""),
                    "pipeline": str(pipeline.get("label") or ""),
                    "isClosed": str(meaning.get("isClosed") or "").lower(),
                    "probability": str(meaning.get("probability") or "0"),
                }
    return stages


def _types(link: Link, extra: Sequence[str]) -> dict[str, str]:
    """How further properties are to be read; asked for once, and again when others are wanted."""
    known: Mapping[str, str] = link.notes.get("property_types") or {}
    if set(known) != set(extra):
        defined = {
            str(found["name"]): "checkbox" if found.get("fieldType") == "checkbox" else str(found.get("type"))
            for found in link.http.get(f"{PROPERTIES}/contacts").json().get("results") or ()
        }
        known = {name: defined.get(name, "string") for name in extra}
        link.note(property_types=known)
    return dict(known)
