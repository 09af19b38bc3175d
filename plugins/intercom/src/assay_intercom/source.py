"""The way in: notifications for all workspaces at one address, and lists that are followed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from assay_intercom import pulling
from assay_intercom.contacts import VENDOR, alias, company_records, contact_records, history, identifiers
from assay_intercom.conversations import conversation_records
from assay_intercom.notices import notice_records
from assay_intercom.values import instant, text
from assay_intercom.workspace import note_workspace, region_of
from assay_sdk import (
    Cursor,
    Deletion,
    Delivery,
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
from assay_sdk.signatures import require
from assay_sdk.values import part

if TYPE_CHECKING:
    from assay_sdk import Link

_SIGNATURE = "x-hub-signature"
_DIGEST = "sha1="


class IntercomSource(Source):
    """People, companies, chats, mail events and events of the tenant's own product."""

    name = VENDOR
    title = "Intercom"
    has_hooks = True
    shared_address = True
    fetch_batch = 50
    streams = (
        Stream("contacts", "Leads and users", every=timedelta(minutes=10)),
        Stream("conversations", "Chats", every=timedelta(minutes=10)),
        Stream("companies", "Companies", every=timedelta(hours=12)),
    )

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        """Nothing in it says when it was signed: what comes twice has the same ids, however late."""
        stated = request.headers.get(_SIGNATURE, "").strip()
        if stated and not stated.startswith(_DIGEST):
            raise Refused("The signature is not one by SHA-1.")
        known = (app["client_secret"], app.get("previous_client_secret", ""))
        require(stated.removeprefix(_DIGEST), request.body, known, digest="sha1")

    def split(self, request: Request) -> Iterator[Delivery]:
        notice = _json(request.body)
        if not isinstance(notice, dict):
            raise Refused("The notification is not a JSON object.")
        if notice.get("topic") == "ping" or notice.get("type") == "ping":
            return
        account = text(notice.get("app_id"))
        if account is None:
            raise Refused("The notification does not say whose it is: app_id is missing.")
        yield Delivery(account, request.body)

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        if message.call.startswith("hook"):
            notice = _json(message.body)
            if not isinstance(notice, dict):
                raise Misunderstood("The body is not a JSON object.")
            yield from notice_records(notice, message.received_at)
            return
        yield from read_packed(message.body, lambda record: _pulled(record, message.received_at))

    def pull(self, link: "Link", stream: str, cursor: Cursor | None) -> Page:
        return pulling.STREAMS[stream](link, cursor or {})

    def fetch(self, link: "Link", kind: str, ids: Sequence[str]) -> Page:
        return pulling.fetch(link, kind, ids)

    def subscribe(self, link: "Link", url: str) -> None:
        """Topics are ticked once for the whole app, and no call changes them. A workspace's time zone may change."""
        note_workspace(link, "/me", region_of(link.notes))


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _pulled(record: Mapping[str, Any], received_at: datetime) -> Iterator[Record]:
    match record.get("type"):
        case "contact":
            yield from contact_records(record, received_at)
            yield from history(record)
        case "conversation":
            yield from conversation_records(record)
        case "company":
            yield from company_records(record, received_at)
        case pulling.GONE:
            yield Deletion(identifiers(record), VENDOR, instant(record.get("at"), "at") or received_at)
        case pulling.MERGED:
            old = text(part(record, "merged_from").get("id"))
            if old:
                yield alias(identifiers(record), old, instant(record.get("at"), "at") or received_at)
        case other:
            raise Misunderstood(f"There is no record of the type {other!r}.", field="type")
