"""Scores as properties of HubSpot's contacts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from assay_hubspot.paths import OBJECTS, PROPERTIES
from assay_hubspot.properties import iso
from assay_sdk import Destination, Field, Link, Receipt, Refused, ScoreUpdate

GROUP = "assay_lead_scoring"
MISSING = "PROPERTY_DOESNT_EXIST"
#: What it is at HubSpot, by what it holds: its type, how it is edited, and what people read about it.
_SHAPES: Mapping[str, tuple[str, str, str]] = {
    "score": ("number", "number", "How much this contact is worth now, by your model in Assay."),
    "grade": ("string", "text", "The contact's grade, such as A1."),
    "stage": ("string", "text", "The stage that the score has reached, such as MQL."),
    "reasons": ("string", "textarea", "What explains most of the score."),
    "scored_at": ("datetime", "date", "When the score became what it is."),
}


class HubSpotScores(Destination):
    """Writes by the contact's id, 100 at a time, and tells row by row what became of it."""

    batch = 100
    fields = (
        Field("assay_score", "Assay score", "score"),
        Field("assay_grade", "Assay grade", "grade"),
        Field("assay_stage", "Assay stage", "stage"),
        Field("assay_reasons", "Assay reasons", "reasons"),
        Field("assay_scored_at", "Assay scored at", "scored_at"),
    )

    def prepare(self, link: Link) -> None:
        there = {found["name"] for found in link.http.get(f"{PROPERTIES}/contacts").json().get("results") or ()}
        missing = [field for field in self.fields if field.name not in there]
        if not missing:
            return
        _created(link, f"{PROPERTIES}/contacts/groups", {"name": GROUP, "label": "Assay lead scoring"})
        for field in missing:
            type_, edited, description = _SHAPES[field.holds]
            _created(
                link,
                f"{PROPERTIES}/contacts",
                {
                    "groupName": GROUP,
                    "name": field.name,
                    "label": field.title,
                    "type": type_,
                    "fieldType": edited,
                    "description": description,
                },
            )

    def push(self, link: Link, updates: Sequence[ScoreUpdate]) -> Sequence[Receipt]:
        rows = {str(position): update for position, update in enumerate(updates)}
        try:
            found = self._written(link, rows)
        except Refused as error:
            if not _is_missing(error.answer):
                raise
            found = None
        if found is None or any(_is_missing(receipt.error) for receipt in found.values()):
            # Somebody deleted a property of ours. Writing a row twice changes nothing.
            self.prepare(link)
            found = self._written(link, rows)
        return [found[trace] for trace in rows]

    def _written(self, link: Link, rows: Mapping[str, ScoreUpdate]) -> dict[str, Receipt]:
        inputs = [
            {"id": update.vendor_id, "objectWriteTraceId": trace, "properties": values(update)}
            for trace, update in rows.items()
        ]
        try:
            # Written twice it is the same, so a failure that leaves in doubt whether it was may be tried again.
            answer = link.http.post(f"{OBJECTS}/contacts/batch/update", json={"inputs": inputs}, safe=True).json()
        except Refused as error:
            if error.status not in (400, 404, 409) or _is_missing(error.answer):
                raise
            return self._halved(link, rows, error)
        return _receipts(rows, answer)

    def _halved(self, link: Link, rows: Mapping[str, ScoreUpdate], error: Refused) -> dict[str, Receipt]:
        """One row can have a whole batch refused: halves tell which, and the others are written."""
        if len(rows) == 1:
            (trace, update) = next(iter(rows.items()))
            return {trace: Receipt(update.key, error.reason, gone=error.status == 404)}
        traces = list(rows)
        middle = len(traces) // 2
        return {
            **self._written(link, {trace: rows[trace] for trace in traces[:middle]}),
            **self._written(link, {trace: rows[trace] for trace in traces[middle:]}),
        }


def values(update: ScoreUpdate) -> dict[str, str]:
    """All of HubSpot's values are text; an empty one clears the property."""
    return {
        "assay_score": str(update.score),
        "assay_grade": update.grade or "",
        "assay_stage": update.stage or "",
        "assay_reasons": "\n".join(update.reasons),
        "assay_scored_at": iso(update.scored_at),
    }


def _created(link: Link, path: str, body: Mapping[str, Any]) -> None:
    try:
        link.http.post(path, json=dict(body), safe=True)
    except Refused as error:
        # It is there already: another worker was faster, or an answer was lost.
        if error.status != 409:
            raise


def _is_missing(answer: object) -> bool:
    return MISSING in (answer if isinstance(answer, str) else json.dumps(answer, default=str))


def _receipts(rows: Mapping[str, ScoreUpdate], answer: Mapping[str, Any]) -> dict[str, Receipt]:
    by_id = {update.vendor_id: trace for trace, update in rows.items()}
    receipts: dict[str, Receipt] = {}
    for result in answer.get("results") or ():
        trace, now = str(result.get("objectWriteTraceId") or ""), str(result.get("id"))
        trace = trace if trace in rows else by_id.get(now, "")
        if trace:
            update = rows[trace]
            receipts[trace] = Receipt(update.key, moved_to=now if now != update.vendor_id else "")
    for error in answer.get("errors") or ():
        context = error.get("context") or {}
        named = [str(trace) for trace in _listed(context.get("objectWriteTraceId") or error.get("objectWriteTraceId"))]
        named += [by_id.get(str(id_), "") for id_ in _listed(context.get("ids") or context.get("id"))]
        is_gone = error.get("category") == "OBJECT_NOT_FOUND"
        reason = "The contact is gone at HubSpot." if is_gone else f"HubSpot refused it: {_said(error)}"
        receipts |= {trace: Receipt(rows[trace].key, reason, gone=is_gone) for trace in named if trace in rows}
    unnamed = "HubSpot did not say whether it was written."
    return {trace: receipts.get(trace) or Receipt(update.key, unnamed) for trace, update in rows.items()}


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _said(error: Mapping[str, Any]) -> str:
    code = str(error.get("code") or error.get("category") or "")
    return (
        f"{str(error.get('message') or 'without a word')[:200]} ({code})" if code else str(error.get("message"))[:200]
    )
