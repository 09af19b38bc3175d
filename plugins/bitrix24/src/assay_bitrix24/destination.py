"""Scores in fields of their own on leads and contacts."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any, ClassVar

from assay_bitrix24.calls import CONNECTOR, MOST_PARTS, batch
from assay_bitrix24.kinds import PEOPLE
from assay_sdk import Destination, Field, Link, Receipt, Refused, ScoreUpdate
from assay_sdk.paging import chunked

_PREFIX = "UF_CRM_"
_FIELDS = (
    Field("UF_CRM_ASSAY_SCORE", "Assay: score", "score"),
    Field("UF_CRM_ASSAY_GRADE", "Assay: grade", "grade"),
    Field("UF_CRM_ASSAY_STAGE", "Assay: stage", "stage"),
    Field("UF_CRM_ASSAY_REASONS", "Assay: reasons", "reasons"),
    Field("UF_CRM_ASSAY_SCORED_AT", "Assay: scored at", "scored_at"),
)
_TYPES = {"score": "integer", "scored_at": "datetime"}
OWN_FIELDS = frozenset(field.name for field in _FIELDS)


class Bitrix24Destination(Destination):
    """Writes the score as it is now, whole; it never adds to what stands there, and never moves a stage."""

    batch: ClassVar[int] = MOST_PARTS
    fields = _FIELDS

    def prepare(self, link: Link) -> None:
        missing = self._missing(link)
        if not missing:
            return
        asked = [(f"crm.{kind}.userfield.add", {"fields": _definition(field)}) for kind, field in missing]
        refused = [found for found in batch(link, asked) if isinstance(found, Refused)]
        # A field that is there already is refused as well. A name that nobody knows is dropped without a word when
        # scores are written to it, so what is there counts, not what was answered.
        if still := self._missing(link):
            names = ", ".join(f"{field.name} ({kind})" for kind, field in still)
            why = refused[0].reason if refused else "Bitrix24 did not keep them."
            raise Refused(f"The fields {names} could not be made: {why} A CRM administrator has to connect.")

    def push(self, link: Link, updates: Sequence[ScoreUpdate]) -> Sequence[Receipt]:
        receipts: list[Receipt] = []
        for part in chunked(updates, MOST_PARTS):
            known = [update for update in part if _target(update) is not None]
            receipts += [
                Receipt(update.key, error=f"{update.vendor_id!r} is no lead and no contact of Bitrix24's.")
                for update in part
                if _target(update) is None
            ]
            written = self._write(link, known)
            if dropped := [update for update, found in zip(known, written, strict=True) if _dropped(update, found)]:
                # Somebody deleted the fields.
                self.prepare(link)
                again = dict(zip((update.key for update in dropped), self._write(link, dropped), strict=True))
                written = [again.get(update.key, found) for update, found in zip(known, written, strict=True)]
            receipts += [_receipt(update, found) for update, found in zip(known, written, strict=True)]
        return receipts

    def _write(self, link: Link, updates: Sequence[ScoreUpdate]) -> list[Any]:
        return batch(link, [("crm.item.update", dict(_change(update))) for update in updates]) if updates else []

    def _missing(self, link: Link) -> list[tuple[str, Field]]:
        wanted = [(kind, field) for kind in PEOPLE for field in self.fields]
        asked = [(f"crm.{kind}.userfield.list", {"filter": {"FIELD_NAME": field.name}}) for kind, field in wanted]
        found = batch(link, asked)
        for answer in found:
            if isinstance(answer, Refused):
                raise answer
        return [
            (kind, field)
            for (kind, field), rows in zip(wanted, found, strict=True)
            if not any(isinstance(row, dict) and row.get("FIELD_NAME") == field.name for row in rows or ())
        ]


def _definition(field: Field) -> dict[str, str]:
    return {
        "FIELD_NAME": field.name.removeprefix(_PREFIX),
        "USER_TYPE_ID": _TYPES.get(field.holds, "string"),
        "XML_ID": field.name.removeprefix(_PREFIX),
        "LABEL": field.title,
        "EDIT_FORM_LABEL": field.title,
        "LIST_COLUMN_LABEL": field.title,
        "SHOW_FILTER": "Y",
    }


def _target(update: ScoreUpdate) -> tuple[int, int] | None:
    kind, _, id_ = update.vendor_id.partition(":")
    return (PEOPLE[kind].entity, int(id_)) if kind in PEOPLE and id_.isdecimal() and len(id_) < 19 else None


def _values(update: ScoreUpdate) -> dict[str, Any]:
    """By the field's name; an empty text clears it."""
    values: Mapping[str, Any] = {
        "score": update.score,
        "grade": update.grade or "",
        "stage": update.stage or "",
        "reasons": "\n".join(update.reasons),
        "scored_at": update.scored_at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return {field.name: values[field.holds] for field in _FIELDS}


def _change(update: ScoreUpdate) -> Iterator[tuple[str, Any]]:
    entity, id_ = _target(update) or (0, 0)
    yield "entityTypeId", entity
    yield "id", id_
    yield "useOriginalUfNames", "Y"
    yield "auth_connector", CONNECTOR
    yield "fields", _values(update)


def _dropped(update: ScoreUpdate, found: Any) -> list[str]:
    """Fields that were written something and that the answer does not show: the portal has none of that name."""
    item = found.get("item") if isinstance(found, dict) else None
    if not isinstance(item, dict):
        return []
    return [name for name, value in _values(update).items() if value != "" and name not in item]


def _receipt(update: ScoreUpdate, found: Any) -> Receipt:
    if isinstance(found, Refused):
        return Receipt(update.key, error=found.reason, gone=found.code == "not_found")
    if dropped := _dropped(update, found):
        return Receipt(update.key, error=f"Bitrix24 dropped the score: {', '.join(dropped)} is missing.")
    return Receipt(update.key)
