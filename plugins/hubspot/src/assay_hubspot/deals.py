"""What lists leave out: whom deals and meetings concern, and when what about a record changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from assay_hubspot.paths import ASSOCIATIONS, OBJECTS
from assay_hubspot.properties import instant, iso
from assay_sdk import Link
from assay_sdk.paging import chunked

#: Records at once: with a property's history HubSpot reads half as many as without.
HISTORIES, ASSOCIATED = 50, 1000


def with_history(link: Link, kind: str, name: str, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each with every change of one property: an edit of a pipeline touches all deals, and changes none of these."""
    histories = _histories(link, kind, [name], records)
    return [{**record, "history": histories.get(str(record["id"]), {}).get(name, [])} for record in records]


def with_instant(link: Link, kind: str, names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Each with the instant at which one of these properties last changed.

    Writing a score makes a record the latest changed, though it states nothing new: what it says of the person is as
    old as it was, and must not outdo what others have said since.
    """
    histories = _histories(link, kind, names, records)
    dated: list[Any] = []
    for record in records:
        changes = [change for each in histories.get(str(record["id"]), {}).values() for change in each]
        instants = [at for change in changes if (at := instant(change["timestamp"])) is not None]
        dated.append({**record, "stated_at": iso(max(instants))} if instants else record)
    return dated


def _histories(
    link: Link, kind: str, names: Sequence[str], records: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Every change of these properties, by the record's id and the property's name."""
    histories: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for some in chunked(records, HISTORIES):
        body = {
            "inputs": [{"id": record["id"]} for record in some],
            "properties": names[:1],
            "propertiesWithHistory": names,
        }
        answer = link.http.post(f"{OBJECTS}/{kind}/batch/read", json=body, safe=True).json()
        for found in answer.get("results") or ():
            histories[str(found["id"])] = {
                name: [{"value": change.get("value"), "timestamp": change.get("timestamp")} for change in changes or ()]
                for name, changes in (found.get("propertiesWithHistory") or {}).items()
            }
    return histories


def with_contacts(link: Link, kind: str, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each with the ids of its contacts."""
    contacts: dict[str, list[str]] = {str(record["id"]): [] for record in records}
    asked: list[dict[str, str]] = [{"id": id_} for id_ in contacts]
    while asked:
        further: list[dict[str, str]] = []
        for some in chunked(asked, ASSOCIATED):
            answer = link.http.post(
                f"{ASSOCIATIONS}/{kind}/contacts/batch/read", json={"inputs": list(some)}, safe=True
            )
            for found in answer.json().get("results") or ():
                owner = str(found["from"]["id"])
                contacts.setdefault(owner, []).extend(
                    str(to.get("toObjectId") or to.get("id")) for to in found.get("to") or ()
                )
                after = ((found.get("paging") or {}).get("next") or {}).get("after")
                if after:
                    further.append({"id": owner, "after": str(after)})
        asked = further
    return [{**record, "contacts": sorted(set(contacts[str(record["id"])]))} for record in records]
