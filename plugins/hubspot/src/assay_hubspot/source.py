"""HubSpot as a source: streams that are pulled, notices that are posted, and records that notices named."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from assay_hubspot import emails, fetching, forms, notices, objects, records, subscriptions
from assay_hubspot.auth import EMAIL_SCOPE, FORMS_SCOPE
from assay_sdk import Cursor, Delivery, Link, Message, Misunderstood, Page, Record, Request, Source, Stream


class HubSpotSource(Source):
    """All portals post to one address, because an app has one."""

    name = "hubspot"
    title = "HubSpot"
    shared_address = True
    has_hooks = True
    streams = (
        Stream("contacts", "Contacts"),
        Stream("companies", "Companies", timedelta(minutes=15)),
        Stream("deals", "Deals"),
        Stream("forms", "Form submissions", timedelta(minutes=15), FORMS_SCOPE),
        Stream("email-events", "E-mail events", timedelta(minutes=15), EMAIL_SCOPE),
    )

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        if not message.call.startswith("hook"):
            yield from records.records_of(message.body)
            return
        try:
            events: object = json.loads(message.body)
        except (ValueError, RecursionError):
            raise Misunderstood("The message is no JSON.") from None
        if not isinstance(events, list | dict):
            raise Misunderstood("The message must be a list of events.")
        yield from notices.records_of(events if isinstance(events, list) else [events])

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        notices.verify(request, app.get("client_secret", ""))

    def split(self, request: Request) -> Iterator[Delivery]:
        yield from notices.split(request.body)

    def pull(self, link: Link, stream: str, cursor: Cursor | None) -> Page:
        if stream == "forms":
            return forms.pull(link, cursor)
        if stream == "email-events":
            return emails.pull(link, cursor)
        return objects.pull(link, objects.STREAMS[stream], cursor)

    def fetch(self, link: Link, kind: str, ids: Sequence[str]) -> Page:
        return fetching.fetch(link, kind, ids)

    def subscribe(self, link: Link, url: str) -> None:
        subscriptions.subscribe(link, url)
