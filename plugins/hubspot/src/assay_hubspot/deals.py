"""What the lists of deals and meetings leave out: whom they concern, and when what about them changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from assay_hubspot.paths import ASSOCIATIONS, OBJECTS
from assay_sdk import Link
from assay_sdk.paging import chunked

#: Records at once: with a property's history HubSpot reads half as many as without.
HISTORIES, ASSOCIATED = 50, 1000


def with_history(link: Link, kind: str, name: str, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each with every change of one property: an edit of a pipeline touches all deals, and changes none of these."""
    histories: dict[str, Any] = {}
    for some in chunked(records, HISTORIES):
        body = {
            "inputs": [{"id": record["id"]} for record in some],
            "properties": [name],
            "propertiesWithHistory": [name],
        }
        answer = link.http.post(f"{OBJECTS}/{kind}/batch/read", json=body, safe=True).json()
        for found in answer.get("results") or ():
            changes = (found.get("propertiesWithHistory") or {}).get(name) or ()
            histories[str(found["id"])] = [
                {"value": change.get("value"), "timestamp": change.get("timestamp")} for change in changes
            ]
    return [{**record, "history": histories.get(str(record["id"]), [])} for record in records]


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
