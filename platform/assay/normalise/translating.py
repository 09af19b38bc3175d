"""What plugins may say beyond the four records that leads are made of, in terms of those four."""

from dataclasses import dataclass

from assay_sdk import Alias, Company, CoreRecord, Deletion, Event, Fetch, Identify, Outcome, Record, Restoration, Value

MADE = (Identify, Event, Company, Alias)
#: All that a plugin may yield, besides Misunderstood.
SAYABLE = (*MADE, Outcome, Deletion, Restoration, Fetch)


@dataclass(frozen=True)
class ErasureWish(Identify):
    """A contact was deleted because the person wants to be erased: what the tenant's vendor has to do, so has Assay."""


def in_our_terms(record: Record) -> CoreRecord | Fetch:
    """A deal's end is an event of its own, a deletion a trait: neither depends on the order in which they come."""
    if isinstance(record, Outcome):
        id_ = f"{record.result}/{record.deal_id}/{_who(record)}"
        return Event(record.ids, f"deal.{record.result}", _of_deal(record), record.at, id_)
    if isinstance(record, Deletion):
        says = ErasureWish if record.erased else Identify
        return says(record.ids, {gone_from(record.vendor): True}, record.at)
    if isinstance(record, Restoration):
        return Identify(record.ids, {gone_from(record.vendor): None}, record.at)
    return record


def gone_from(vendor: str) -> str:
    """The trait of a contact that was deleted at this vendor."""
    return f"deleted_in.{vendor}"


def _who(outcome: Outcome) -> str:
    """One deal may be several people's: each has an event of their own."""
    ids = outcome.ids
    return next(iter(ids.vendor.values()), None) or ids.user_id or ids.email or ids.anonymous_id or ""


def _of_deal(outcome: Outcome) -> dict[str, Value]:
    properties: dict[str, Value] = {**outcome.properties, "deal_id": outcome.deal_id}
    if outcome.amount is not None:
        properties["amount"] = float(outcome.amount)
    if outcome.currency:
        properties["currency"] = outcome.currency
    return properties
