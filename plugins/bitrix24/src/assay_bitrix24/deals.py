"""Deals as records, for each of their contacts."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from assay_bitrix24.calls import instant
from assay_bitrix24.kinds import CONTACT, DEAL, LEAD
from assay_bitrix24.people import names_of, needed_instant, number, person, semantics
from assay_sdk import Event, Identifiers, Misunderstood, Outcome, Record, Value


def deal(item: Mapping[str, Any], stages: Mapping[str, Any]) -> Iterator[Record]:
    """A deal with nobody but a company says nothing of a person."""
    id_ = number(item.get("id"))
    if not id_:
        raise Misunderstood(f"id is {item.get('id')!r}; it is needed, as a number.", field="id", kind="id")
    created = needed_instant(item, "createdTime")
    moved = instant(item.get("movedTime"))
    names = names_of(item, stages, DEAL.name)
    stage = names.get("stage", {})
    properties = _properties(item, names)
    result = semantics(item, stage)
    for whose, ids in _people(item):
        yield Event(ids, "deal.created", properties, created, f"deal.created/{id_}/{whose}")
        if result in ("S", "F"):
            outcome: Literal["won", "lost"] = "won" if result == "S" else "lost"
            at = moved or instant(item.get("closedate")) or instant(item.get("updatedTime")) or created
            amount, currency = _amount(item.get("opportunity")), str(item.get("currencyId") or "") or None
            yield Outcome(ids, outcome, str(id_), at, amount, currency, properties)
        elif moved is not None and moved > created:
            sender_id = f"deal.stage/{id_}/{item.get('stageId')}/{int(moved.timestamp())}/{whose}"
            yield Event(ids, "deal.stage_changed", properties, moved, sender_id[:200])


def _people(item: Mapping[str, Any]) -> list[tuple[str, Identifiers]]:
    listed = item.get("contacts")
    contacts = {number(one) for one in (listed if isinstance(listed, list) else [])} | {number(item.get("contactId"))}
    found = [f"{CONTACT.name}:{id_}" for id_ in sorted(contacts) if id_]
    if not found and (lead := number(item.get("leadId"))):
        found = [f"{LEAD.name}:{lead}"]
    return [(whose, person(*whose.split(":"))) for whose in found]


def _properties(item: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]) -> dict[str, Value]:
    stated: dict[str, object] = {
        "deal_id": str(number(item.get("id"))),
        "title": item.get("title"),
        "stage": names.get("stage", {}).get("name") or item.get("stageId"),
        "pipeline_id": str(item.get("categoryId") or 0),
        "amount": item.get("opportunity"),
        "currency": item.get("currencyId"),
        "source": names.get("source", {}).get("name") or item.get("sourceId"),
    }
    return {name: value for name, value in stated.items() if isinstance(value, str | int | float) and value != ""}


def _amount(value: object) -> Decimal | None:
    try:
        amount = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None
