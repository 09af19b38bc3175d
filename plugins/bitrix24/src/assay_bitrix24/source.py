"""What a portal tells and what is asked of it, as records."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from assay_bitrix24 import notices, offline, pulling, subscribing
from assay_bitrix24.activities import activity
from assay_bitrix24.deals import deal
from assay_bitrix24.kinds import KINDS, OF_NAME, OF_STREAM
from assay_bitrix24.offline import OFFLINE
from assay_bitrix24.people import NAME, company, contact, lead
from assay_sdk import Cursor, Delivery, Link, Message, Misunderstood, Page, Record, Request, Source, Stream, TryLater
from assay_sdk.reading import read_leniently

_Reader = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[Record]]

_READERS: Mapping[str, _Reader] = {
    "lead": lead,
    "contact": contact,
    "company": company,
    "deal": deal,
    "activity": activity,
    OFFLINE: lambda row, stages: notices.offline(row),
}


class _Page(msgspec.Struct):
    """What ``pull`` and ``fetch`` put together; records are read one at a time, so that a bad one stays alone."""

    kind: str
    records: list[msgspec.Raw]
    stages: Any = None


class _LenientPage(msgspec.Struct):
    kind: str
    records: list[Any]
    stages: Any = None


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
        reader, page = _page(message.body)
        stages = page.stages if isinstance(page.stages, dict) else {}
        for position, item in enumerate(page.records):
            try:
                yield from list(reader(_item(item), stages))
            except Misunderstood as error:
                excerpt = _excerpt(item)
                yield Misunderstood(
                    error.reason, field=error.field, position=position, excerpt=excerpt, kind=error.kind
                )

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


def _page(body: bytes) -> tuple[_Reader, _Page | _LenientPage]:
    try:
        try:
            page: _Page | _LenientPage = msgspec.json.decode(body, type=_Page)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            # One record holds what is no JSON; the others are to be read all the same.
            page = msgspec.convert(read_leniently(body), _LenientPage)
        return _READERS[page.kind], page
    except (msgspec.MsgspecError, ValueError, KeyError, RecursionError):
        raise Misunderstood("The body is no page of Bitrix24's records.", kind="page") from None


def _item(item: Any) -> Mapping[str, Any]:
    if isinstance(item, msgspec.Raw):
        try:
            item = read_leniently(bytes(item))
        except (ValueError, RecursionError):
            item = None
    if not isinstance(item, dict):
        raise Misunderstood("The record can't be read; accepted is an object.", kind="record")
    return item


def _excerpt(item: Any) -> str:
    if isinstance(item, msgspec.Raw):
        return bytes(memoryview(item)[:400]).decode(errors="replace")
    return json.dumps(item, ensure_ascii=False)[:400]
