"""Makes a portal post its events to us, and takes that back."""

from collections.abc import Iterable

from assay_bitrix24.calls import CONNECTOR, MOST_PARTS, batch, call
from assay_bitrix24.kinds import EVENTS, OFFLINE_EVENTS, UNINSTALLED
from assay_sdk import Link, Refused
from assay_sdk.paging import chunked

_BOUND = (*EVENTS, UNINSTALLED)


def subscribe(link: Link, url: str) -> None:
    """Binds what is not bound. The portal forgets all of it when the app is updated, or removed and installed again.

    Its calls also keep the connection alive: each hour one of them finds the access token too old, and the refresh
    token, good for 180 days, is renewed with it.
    """
    info = call(link, "app.info")["result"]
    bound = {(event, handler) for event, handler, is_offline in _handlers(link) if not is_offline}
    before = str(link.notes.get("hook_url") or "")
    if before and before != url:
        _unbind(link, before, [event for event, handler in bound if handler == before])
    missing = [event for event in _BOUND if (event, url) not in bound]
    if missing and before == url:
        # The app was installed anew, perhaps with another token: it is learned again from the next event.
        link.keep(application_token="")
        link.log.info("bitrix24.handlers_vanished", count=len(missing))
    _bind(link, url, missing)
    link.note(hook_url=url, offline=_bind_offline(link))
    if isinstance(info, dict) and info.get("INSTALLED") is False:
        raise Refused(
            "The app's installation in the portal was never finished (BX24.installFinish), so Bitrix24 posts no "
            "events; lists are read all the same."
        )


def unsubscribe(link: Link) -> None:
    """The offline queue is the app's, not the connection's: it is left to whoever else reads it."""
    if url := str(link.notes.get("hook_url") or ""):
        _unbind(link, url, _BOUND)
    link.note(hook_url=None, offline=None)


def _handlers(link: Link) -> list[tuple[str, str, bool]]:
    rows = call(link, "event.get")["result"]
    return [
        (str(row.get("event") or "").upper(), str(row.get("handler") or ""), str(row.get("offline") or "0") == "1")
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    ]


def _bind(link: Link, url: str, events: Iterable[str]) -> None:
    for part in chunked(list(events), MOST_PARTS):
        for found in batch(link, [("event.bind", {"event": event, "handler": url}) for event in part]):
            if isinstance(found, Refused) and "already" not in found.reason.lower():
                raise found


def _unbind(link: Link, url: str, events: Iterable[str]) -> None:
    for part in chunked(list(events), MOST_PARTS):
        batch(link, [("event.unbind", {"event": event, "handler": url}) for event in part])


def _bind_offline(link: Link) -> bool:
    """Whether the portal's plan has a queue that is read without losing anything; otherwise lists alone make up."""
    try:
        feature = call(link, "feature.get", {"CODE": "rest_offline_extended"})["result"]
        if not isinstance(feature, dict) or feature.get("value") != "Y":
            return False
        queued = {event for event, _, is_offline in _handlers(link) if is_offline}
        for event in OFFLINE_EVENTS:
            if event not in queued:
                wanted = {"event": event, "event_type": "offline", "auth_connector": CONNECTOR}
                call(link, "event.bind", wanted)
    except Refused as error:
        link.log.info("bitrix24.no_offline_queue", reason=error.reason)
        return False
    return True
