"""What of Calendly's records is not kept: addresses that let whoever has them cancel a meeting, or walk into it."""

import re
from typing import Any

#: Wherever they stand.
_LIVE = frozenset({"cancel_url", "reschedule_url", "join_url", "signing_key"})
#: Of a place, only what it is and where: the rest holds numbers and passwords to dial in with.
_OF_PLACE = ("type", "kind", "location", "status")
#: Of a recap, only which meeting it is of: the rest is what people said there.
_OF_RECAP = ("uri", "event", "scheduled_event", "created_at", "updated_at")
_LIVE_TEXT = re.compile(
    rb'("(?:cancel_url|reschedule_url|join_url|signing_key|location)"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL
)


def pruned(record: Any) -> Any:
    """The same record without them."""
    if isinstance(record, list):
        return [pruned(one) for one in record]
    if not isinstance(record, dict):
        return record
    kept = {name: pruned(value) for name, value in record.items() if name not in _LIVE and name != "location"}
    place = record.get("location")
    if isinstance(place, dict):
        kept["location"] = {name: _placed(place[name]) for name in _OF_PLACE if name in place}
    elif isinstance(place, str):
        kept["location"] = _placed(place)
    return kept


def pruned_hook(hook: Any) -> Any:
    """The same of what a webhook brought; of a recap nothing that was said."""
    kept = pruned(hook)
    if isinstance(kept, dict) and str(kept.get("event")).startswith("meeting_recap."):
        payload = kept.get("payload")
        of_recap = payload if isinstance(payload, dict) else {}
        kept["payload"] = {name: of_recap[name] for name in _OF_RECAP if name in of_recap}
    return kept


def masked(body: bytes) -> bytes:
    """What is no JSON that can be read, without texts of those names: for whoever looks at the dead letter."""
    return _LIVE_TEXT.sub(rb'\1""', body)


def _placed(place: Any) -> Any:
    """Of a custom place: often a meeting's address, with its password."""
    return "" if isinstance(place, str) and "://" in place else pruned(place)
