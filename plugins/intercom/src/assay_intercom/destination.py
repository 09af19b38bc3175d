"""The way back: scores as attributes of contacts, one contact at a time, because Intercom takes no more."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay_intercom.merged import follow_merges
from assay_intercom.own import FIELDS
from assay_intercom.values import escaped, rows
from assay_sdk import Destination, Receipt, Refused, ScoreUpdate

if TYPE_CHECKING:
    from assay_sdk import Link

#: Of an attribute that holds text.
LONGEST_TEXT = 255
_DATA_TYPES = {"score": "integer", "scored_at": "datetime"}
_SAYS_ALREADY = "you already have"


class IntercomDestination(Destination):
    """Writes score, grade, stage, reasons and their time into contacts' custom attributes."""

    batch = 50
    fields = FIELDS

    def prepare(self, link: "Link") -> None:
        answer = link.http.get("/data_attributes", params={"model": "contact", "include_archived": "true"}).json()
        known = {row.get("name"): row for row in rows(answer, "data") if row.get("custom")}
        for field in FIELDS:
            held = known.get(field.name)
            if held is None:
                _create(link, field.name, field.title, _DATA_TYPES.get(field.holds, "string"))
            elif held.get("archived") and held.get("id"):
                link.http.put(f"/data_attributes/{held['id']}", json={"archived": False})

    def push(self, link: "Link", updates: Sequence[ScoreUpdate]) -> Sequence[Receipt]:
        writing = _Writing(link, frozenset(update.vendor_id for update in updates), self)
        return [writing.write(update) for update in updates]


class _Writing:
    """One batch on its way."""

    def __init__(self, link: "Link", contacts: frozenset[str], destination: IntercomDestination) -> None:
        self._link = link
        #: Those that get a score of their own.
        self._contacts = contacts
        self._destination = destination
        self._prepared = False

    def write(self, update: ScoreUpdate) -> Receipt:
        body = {"custom_attributes": attributes_of(update)}

        def put(contact_id: str) -> None:
            # One that was merged into a contact of the same batch leaves it to that one's own score.
            if contact_id == update.vendor_id or contact_id not in self._contacts:
                self._put(contact_id, body)

        try:
            _, contact_id = follow_merges(update.vendor_id, put)
        except Refused as error:
            if error.status == 403:
                raise
            is_gone = error.status in (404, 410)
            said = "The contact is no longer there." if is_gone else error.reason
            return Receipt(update.key, said, gone=is_gone)
        return Receipt(update.key, moved_to=contact_id if contact_id != update.vendor_id else "")

    def _put(self, contact_id: str, body: Mapping[str, Any]) -> None:
        path = f"/contacts/{escaped(contact_id)}"
        try:
            self._link.http.put(path, json=body)
        except Refused as error:
            # Somebody may have taken an attribute away: it is made again, once a batch.
            if error.status not in (400, 422) or self._prepared:
                raise
            self._prepared = True
            self._destination.prepare(self._link)
            self._link.http.put(path, json=body)


def _create(link: "Link", name: str, title: str, data_type: str) -> None:
    wanted = {
        "name": name,
        "model": "contact",
        "data_type": data_type,
        "description": f"{title}: written by Assay.",
        "messenger_writable": False,
    }
    try:
        link.http.post("/data_attributes", json=wanted)
    except Refused as error:
        # Another worker may have made it, or it is one that the list does not show.
        if error.status != 400 or _SAYS_ALREADY not in error.reason.lower():
            raise


def attributes_of(update: ScoreUpdate) -> dict[str, Any]:
    """What is written: null where there is no grade or stage, which clears it."""
    reasons = " · ".join(update.reasons)
    held = {
        "score": update.score,
        "grade": update.grade,
        "stage": update.stage,
        "reasons": reasons if len(reasons) <= LONGEST_TEXT else reasons[: LONGEST_TEXT - 1] + "…",
        "scored_at": int(update.scored_at.timestamp()),
    }
    return {field.name: held[field.holds] for field in FIELDS}
