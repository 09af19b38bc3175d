"""Scores as traits: ``identify`` calls into a source of their own at Segment."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx

from assay_sdk import Destination, Link, Receipt, Refused, ScoreUpdate, TryLater
from assay_sdk.paging import digest
from assay_segment.ours import FIELDS, LIBRARY, MESSAGE

WRITE_KEY = "write_key"
#: Segment's own limits, with room for what stands around the events.
LARGEST_EVENT, LARGEST_BATCH = 32_000, 490_000
NOT_CONFIRMED = (
    "Scores are sent to Segment, which answers the same for a wrong write key as for a right one. Whether they "
    "arrived, only the debugger of the source at Segment shows."
)
NOBODY = "Segment knows people by userId or anonymousId, and this one has neither; an address stands for no userId."
NO_KEY = "No scores are sent to Segment, because the connection has no write key."


class _Ready(NamedTuple):
    key: str
    event: bytes


class SegmentScores(Destination):
    """Sends them. That they arrived, Segment doesn't say."""

    batch = 1000
    fields = FIELDS
    known_by = ("user_id", "anonymous_id")

    def is_set_up(self, secrets: Mapping[str, Any]) -> bool:
        return bool(secrets.get(WRITE_KEY))

    def prepare(self, link: Link) -> None:
        """Traits need no preparing; what can't be known is told to people here."""
        link.note(delivery=NOT_CONFIRMED if link.secrets.get(WRITE_KEY) else NO_KEY)

    def push(self, link: Link, updates: Sequence[ScoreUpdate]) -> Sequence[Receipt]:
        if not link.secrets.get(WRITE_KEY):
            raise Refused(NO_KEY)
        receipts: list[Receipt] = []
        ready: list[_Ready] = []
        for update in updates:
            event = _event(update)
            if event is None:
                receipts.append(Receipt(update.key, NOBODY))
            elif len(event) > LARGEST_EVENT:
                receipts.append(
                    Receipt(update.key, f"The score's message has {len(event):,} bytes; Segment takes 32 KB.")
                )
            else:
                ready.append(_Ready(update.key, event))
        for batch in _batches(ready):
            sent_at = stated(link.clock.now())
            body = b'{"batch":[' + b",".join(one.event for one in batch) + b'],"sentAt":"' + sent_at.encode() + b'"}'
            # Segment counts a messageId once, so that a second try does no harm.
            answer = link.http.post("/v1/batch", content=body, headers={"Content-Type": "application/json"}, safe=True)
            _check(answer)
            receipts += [Receipt(one.key) for one in batch]
        return receipts


def _check(answer: httpx.Response) -> None:
    """Segment answers ``{"success": true}``; anything else comes from something in between."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict) or said.get("success") is not True:
        raise TryLater("Segment answered 200 without saying that it took the scores.")


def message_id(update: ScoreUpdate) -> str:
    """The same for the same person and score, however often it is sent; under 100 characters."""
    return MESSAGE + digest([update.user_id, update.anonymous_id, update.version])


def _event(update: ScoreUpdate) -> bytes | None:
    if update.user_id:
        whose = {"userId": update.user_id}
    elif update.anonymous_id:
        whose = {"anonymousId": update.anonymous_id}
    else:
        return None
    event: dict[str, Any] = {
        "type": "identify",
        "messageId": message_id(update),
        **whose,
        "traits": {
            "assay_score": update.score,
            "assay_grade": update.grade,
            "assay_stage": update.stage,
            "assay_reasons": list(update.reasons),
            "assay_scored_at": stated(update.scored_at),
        },
        "timestamp": stated(update.scored_at),
        "context": {"library": {"name": LIBRARY, "version": "1"}},
        "integrations": {"All": True},
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _batches(ready: Sequence[_Ready]) -> Iterator[Sequence[_Ready]]:
    group: list[_Ready] = []
    size = 0
    for one in ready:
        if group and size + len(one.event) + 1 > LARGEST_BATCH:
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one.event) + 1
    if group:
        yield group


def stated(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
