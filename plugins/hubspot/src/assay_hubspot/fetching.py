"""Records that webhooks named, by their ids."""

from collections.abc import Mapping, Sequence
from typing import Any

from assay_hubspot.auth import CHAT_SCOPE
from assay_hubspot.objects import COMPANIES, CONTACTS, DEALS, MEETINGS, Kind, former_ids, packed_records, wanted
from assay_hubspot.paths import OBJECTS, THREADS
from assay_hubspot.properties import iso
from assay_sdk import Link, Page, Refused
from assay_sdk.paging import chunked, packed

BATCH = 100
_KINDS: Mapping[str, Kind] = {"contact": CONTACTS, "company": COMPANIES, "deal": DEALS, "meeting": MEETINGS}


def fetch(link: Link, kind: str, ids: Sequence[str]) -> Page:
    if kind == "conversation":
        return _conversations(link, ids)
    wanted_kind = _KINDS[kind]
    records: list[Mapping[str, Any]] = []
    for some in chunked(list(dict.fromkeys(ids)), BATCH):
        body = {"inputs": [{"id": id_} for id_ in some], "properties": wanted(link, wanted_kind)}
        answer = link.http.post(f"{OBJECTS}/{wanted_kind.name}/batch/read", json=body, safe=True).json()
        found = {str(record["id"]): record for record in answer.get("results") or ()}
        if wanted_kind is CONTACTS:
            merged = {former for record in found.values() for former in former_ids(record)}
            missing = [id_ for id_ in some if id_ not in found and id_ not in merged]
            gone = [id_ for id_ in missing if not _is_elsewhere(link, id_, found)]
            found |= _gone(link, gone)
        records += found.values()
    return Page(packed_records(link, wanted_kind, records), count=len(records))


def _is_elsewhere(link: Link, id_: str, found: dict[str, Any]) -> bool:
    """Whether a contact that a batch did not bring was merged into another, which is then found under its id of now."""
    params = {"properties": ",".join(wanted(link, CONTACTS))}
    try:
        record = link.http.get(f"{OBJECTS}/contacts/{id_}", params=params).json()
    except Refused as error:
        if error.status != 404:
            raise
        return False
    current = str(record["id"])
    known = found.get(current, record)
    former = [*known.get("asked_as", ()), id_] if current != id_ else []
    found[current] = {**known, "asked_as": former} if former else record
    return True


def _gone(link: Link, ids: Sequence[str]) -> dict[str, Any]:
    """Contacts that are archived, or gone for good, each with the instant since which it is."""
    if not ids:
        return {}
    body = {"inputs": [{"id": id_} for id_ in ids], "properties": ["email"]}
    path = f"{OBJECTS}/contacts/batch/read"
    answer = link.http.post(path, params={"archived": "true"}, json=body, safe=True).json()
    since = {str(record["id"]): record.get("archivedAt") or record.get("updatedAt") for record in answer["results"]}
    now = iso(link.clock.now())
    return {id_: {"id": id_, "gone_at": str(since.get(id_) or now)} for id_ in ids}


def _conversations(link: Link, ids: Sequence[str]) -> Page:
    """Threads with the message that is meant; without the scope nobody can say whose they are."""
    if CHAT_SCOPE not in link.scopes:
        return Page()
    records: list[dict[str, Any]] = []
    for id_ in ids:
        thread_id, _, message_id = id_.partition("/")
        try:
            thread = link.http.get(f"{THREADS}/{thread_id}").json()
            message = link.http.get(f"{THREADS}/{thread_id}/messages/{message_id}").json() if message_id else {}
        except Refused as error:
            if error.status != 404:
                raise
            continue
        # Of a message no word is kept, only when it was written and which way it went.
        kept = {name: message[name] for name in ("id", "type", "direction", "createdAt") if name in message}
        whose = {name: thread[name] for name in ("id", "createdAt", "associatedContactId") if name in thread}
        records.append({"thread": whose, "message": kept})
    return Page(packed(records, kind="conversations"), count=len(records))
