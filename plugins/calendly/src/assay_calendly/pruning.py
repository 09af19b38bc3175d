"""What of Calendly's records is not kept: addresses that let whoever has them cancel a meeting, or walk into it."""

from typing import Any

#: Wherever they stand.
_LIVE = frozenset({"cancel_url", "reschedule_url", "join_url", "signing_key"})
#: Of a place, only what it is and where: the rest holds numbers and passwords to dial in with.
_OF_PLACE = ("type", "kind", "location", "status")


def pruned(record: Any) -> Any:
    """The same record without them."""
    if isinstance(record, list):
        return [pruned(one) for one in record]
    if not isinstance(record, dict):
        return record
    kept = {name: pruned(value) for name, value in record.items() if name not in _LIVE and name != "location"}
    place = record.get("location")
    if isinstance(place, dict):
        kept["location"] = {name: place[name] for name in _OF_PLACE if name in place}
    elif isinstance(place, str):
        # Of a custom place: often a meeting's address, with its password.
        kept["location"] = place if "://" not in place else ""
    return kept
