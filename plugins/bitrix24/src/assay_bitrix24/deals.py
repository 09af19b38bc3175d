"""Deals as records, for each of their contacts."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from assay_bitrix24.kinds import CONTACT, DEAL, LEAD
from assay_bitrix24.people import names_of, needed_instant, no_id, number, person, scalar, semantics
from assay_sdk import Event, Identifiers, Outcome, Record, Value
from assay_sdk.values import instant


def deal(item: Mapping[str, Any], stages: Mapping[str, Any]) -> Iterator[Record]:
    """A deal with nobody but a company says nothing of a person."""
    id_ = number(item.get("id"))
    if not id_:
        raise no_id("id", item.get("id"))
    created = needed_instant(item, "createdTime")
    moved = instant(item.get("movedTime"))
    names = names_of(item, stages, DEAL.name)
    stage = names.get("stage", {})
    properties = _properties(item, names)
    result = semantics(item, stage)
    for whose, ids in _people(item):
        # What holds for good, and no more: an event is kept as it was first read.
        yield Event(ids, "deal.created", {"deal_id": str(id_)}, created, f"deal.created/{id_}/{whose}")
        if result in ("S", "F"):
            outcome: Literal["won", "lost"] = "won" if result == "S" else "lost"
            at = moved or instant(item.get("closedate")) or instant(item.get("updatedTime")) or created
            amount, currency = _amount(item.get("opportunity")), str(item.get("currencyId") or "") or None
            yield Outcome(ids, outcome, str(id_), at, amount, currency, properties)
        elif moved is not None and moved > created:
            sender_id = f"deal.stage/{id_}/{str(item.get('stageId'))[:60]}/{int(moved.timestamp())}/{whose}"
            to = {"deal_id": str(id_), "stage": properties.get("stage", ""), "pipeline_id": properties["pipeline_id"]}
            yield Event(ids, "deal.stage_changed", to, moved, sender_id)


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
    return {name: found for name, value in stated.items() if (found := scalar(value)) is not None}


def _amount(value: object) -> Decimal | None:
    try:
        amount = Decimal(str(value)[:40]) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None
