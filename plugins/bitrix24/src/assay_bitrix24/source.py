"""What a portal tells and what is asked of it, as records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx

from assay_bitrix24 import notices, offline, pulling, subscribing
from assay_bitrix24.activities import activity
from assay_bitrix24.deals import deal
from assay_bitrix24.kinds import KINDS, OF_NAME, OF_STREAM
from assay_bitrix24.offline import OFFLINE
from assay_bitrix24.people import NAME, company, contact, lead
from assay_sdk import Cursor, Delivery, Link, Message, Misunderstood, Page, Record, Request, Source, Stream, TryLater
from assay_sdk.paging import beside, read_packed

_Reader = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[Record]]

_READERS: Mapping[str, _Reader] = {
    "lead": lead,
    "contact": contact,
    "company": company,
    "deal": deal,
    "activity": activity,
    OFFLINE: lambda row, stages: notices.offline(row),
}


class Bitrix24Source(Source):
    """Events are hints, unsigned and sent once; what counts is what the lists say every five minutes."""

    name = NAME
    title = "Bitrix24"
    streams = (
        *(Stream(kind.stream, kind.title) for kind in KINDS),
        Stream(OFFLINE, "Deletions"),
    )
    fetch_batch = pulling.PAGE
    shared_address = False
    has_hooks = True

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        if message.call.startswith("hook"):
            yield from notices.records(message.body, message.received_at)
            return
        page = beside(message.body)
        reader = _READERS.get(str(page.get("kind")))
        if reader is None:
            raise Misunderstood("The body is no page of Bitrix24's records.", kind="page")
        stages = page.get("stages")
        stages = stages if isinstance(stages, dict) else {}
        yield from read_packed(message.body, lambda row: reader(row, stages))

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        notices.verify(request, secrets)

    def split(self, request: Request) -> Iterator[Delivery]:
        yield from notices.split(request)

    def confirm(self, link: Link, learned: Mapping[str, str]) -> None:
        """The access token that came along opens our app at the portal that we know: so the event came from there.

        It is asked for nothing else, and never at an address that came in the event.
        """
        secrets = link.secrets
        token = learned.get("application_token") or ""
        if not token or secrets.get("application_token"):
            return
        access = learned.get("access_token") or ""
        link.log.hide(learned)
        try:
            answer = link.http.client.post(f"{secrets['client_endpoint']}app.info", json={"auth": access})
            body = answer.json() if answer.is_success else {}
        except httpx.HTTPError as error:
            raise TryLater(f"Bitrix24 could not be reached ({type(error).__name__}).") from None
        except ValueError:
            body = {}
        if isinstance(body, dict) and isinstance(body.get("result"), dict) and not body.get("error"):
            link.keep(application_token=token)
            link.log.info("bitrix24.application_token_learned")

    def pull(self, link: Link, stream: str, cursor: Cursor | None) -> Page:
        if stream == OFFLINE:
            return offline.pull(link, cursor)
        return pulling.pull(link, OF_STREAM[stream], cursor)

    def fetch(self, link: Link, kind: str, ids: Sequence[str]) -> Page:
        return pulling.fetch(link, OF_NAME[kind], ids)

    def subscribe(self, link: Link, url: str) -> None:
        subscribing.subscribe(link, url)

    def unsubscribe(self, link: Link) -> None:
        subscribing.unsubscribe(link)
