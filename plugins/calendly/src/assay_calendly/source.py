"""What comes from Calendly: webhooks for what happens now, lists for the rest."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from assay_calendly import pull, subscriptions
from assay_calendly.api import number
from assay_calendly.pruning import masked, pruned_hook
from assay_calendly.reading import RECAP, instant, of_held, of_hook, of_invitee, of_submission
from assay_sdk import (
    Cursor,
    Delivery,
    Link,
    Message,
    Misunderstood,
    Page,
    Record,
    Refused,
    Request,
    Source,
    Stream,
)
from assay_sdk.paging import read_packed
from assay_sdk.signatures import require, require_recent

MEETINGS, FORMS = "scheduled-events", "routing-forms"
SIGNATURE = "calendly-webhook-signature"
TOLERANCE = 180


class CalendlySource(Source):
    """Meetings and routing forms."""

    name = "calendly"
    title = "Calendly"
    streams = (
        Stream(MEETINGS, "Meetings", timedelta(minutes=10), "scheduled_events:read"),
        Stream(FORMS, "Routing forms", timedelta(minutes=10), "routing_forms:read"),
    )
    # Each is a call of its own, or two.
    fetch_batch = 10
    shared_address = False
    has_hooks = True

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        """``t=SECONDS,v1=HEX``: HMAC-SHA256 of the seconds, a dot and the body, byte for byte as it came."""
        parts = [part.strip().partition("=") for part in request.headers.get(SIGNATURE, "").split(",")]
        stated = next((value for name, _, value in parts if name == "t"), "")
        given = next((value for name, _, value in parts if name == "v1"), "")
        if not stated.isascii() or not stated.isdecimal() or len(stated) > 11:
            raise Refused("The signature is missing, or not of the form t=…,v1=….")
        keys = [str(secrets.get(name) or "") for name in (subscriptions.KEY, subscriptions.KEY_BEFORE)]
        require(given, stated.encode() + b"." + request.body, keys)
        tolerance = timedelta(seconds=number(app, "tolerance", TOLERANCE))
        require_recent(datetime.fromtimestamp(int(stated), UTC), request.received_at, tolerance=tolerance)

    def split(self, request: Request) -> Iterator[Delivery]:
        """One event; without the addresses that let whoever has them cancel the meeting or walk into it."""
        try:
            kept = json.dumps(pruned_hook(json.loads(request.body)), ensure_ascii=False, separators=(",", ":"))
        except (ValueError, RecursionError):
            yield Delivery("", masked(request.body))
            return
        yield Delivery("", kept.encode(errors="replace"))

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        if message.call == "hook":
            yield from _hook(_object(message.body))
            return
        read = _READ.get(message.call)
        if read is None:
            raise Misunderstood(f"Nothing is known of messages of the kind {message.call!r}.")
        yield from read_packed(message.body, read)

    def pull(self, link: Link, stream: str, cursor: Cursor | None) -> Page:
        return pull.meetings(link, cursor) if stream == MEETINGS else pull.submissions(link, cursor)

    def fetch(self, link: Link, kind: str, ids: Sequence[str]) -> Page:
        return pull.fetch(link, kind, ids)

    def subscribe(self, link: Link, url: str) -> None:
        subscriptions.subscribe(link, url)

    def unsubscribe(self, link: Link) -> None:
        subscriptions.unsubscribe(link)


_READ = {
    f"pull/{MEETINGS}": of_invitee,
    f"pull/{FORMS}": of_submission,
    "fetch/submission": of_submission,
    f"fetch/{RECAP}": of_held,
}


def _hook(body: dict[str, Any]) -> Iterator[Record]:
    event, payload = body.get("event"), body.get("payload")
    if not isinstance(event, str):
        raise Misunderstood("event is missing; it is needed, as text.", field="event")
    if not isinstance(payload, dict):
        raise Misunderstood("payload is missing; it is needed, as an object.", field="payload")
    try:
        yield from list(of_hook(event, payload, instant(body.get("created_at"), "created_at")))
    except Misunderstood as error:
        is_ours = error.field and error.field != "created_at"
        raise Misunderstood(error.reason, field=f"payload.{error.field}" if is_ours else error.field) from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Misunderstood("The body is not a JSON object.", excerpt=body[:400].decode(errors="replace"))
    return found
