"""Notifications as Intercom sends them: signed, tried again once, then dropped."""

import json
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from assay_sdk import egress
from assay_sdk.clock import Clock
from assay_sdk.signatures import sign
from assay_sdk.testing import Posted

RETRY_AFTER = timedelta(minutes=1)


def iso_contact(contact: Mapping[str, Any]) -> dict[str, Any]:
    """A contact as notifications show it: its instants are text there."""
    return {
        name: _iso(value) if name.endswith("_at") and isinstance(value, int) else value
        for name, value in contact.items()
    }


def _iso(value: int) -> str:
    return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")


@dataclass
class _Waiting:
    notice: dict[str, Any]
    due: datetime


class Notifier:
    """The app's one subscription, for all workspaces that have installed it."""

    def __init__(self, clock: Clock, secret: Callable[[], str], post: Callable[..., Posted]) -> None:
        self._clock = clock
        self._secret = secret
        self._post = post
        self._waiting: list[_Waiting] = []
        self._number = 0
        self._last: dict[str, Any] | None = None
        self.url = ""
        #: None: all of them.
        self.topics: Collection[str] | None = None
        #: How many of the next are lost on their way.
        self.losing = 0
        #: Those that failed twice, or were lost.
        self.dropped: deque[str] = deque(maxlen=1000)
        #: A 410 ends the subscription, for everybody.
        self.disabled = False

    def listen(self, url: str, topics: Collection[str] | None = None) -> None:
        """As the Developer Hub does: asks with HEAD whether there is somebody, then sends a ping."""
        with egress.client() as client:
            answer = client.head(url)
        if not answer.is_success:
            raise httpx.HTTPStatusError("The address did not answer HEAD.", request=answer.request, response=answer)
        self.url, self.topics, self.disabled = url, topics, False
        item = {"type": "ping", "message": "Hello"}
        ping = self._notice("", "ping", item)
        self._send({**ping, "id": None, "app_id": None})

    def notify(self, workspace_id: str, topic: str, item: Mapping[str, Any]) -> None:
        if not self.url or self.disabled or (self.topics is not None and topic not in self.topics):
            return
        notice = self._notice(workspace_id, topic, item)
        if self.losing > 0:
            self.losing -= 1
            self.dropped.append(notice["id"])
            return
        if not self._send(notice):
            self._waiting.append(_Waiting(notice, self._clock.now() + RETRY_AFTER))

    def retry(self) -> None:
        """Sends again what failed a minute ago, once and for the last time."""
        now = self._clock.now()
        due = [one for one in self._waiting if one.due <= now]
        self._waiting = [one for one in self._waiting if one.due > now]
        for one in due:
            if not self._send({**one.notice, "delivery_attempts": 2}):
                self.dropped.append(one.notice["id"])

    def again(self) -> None:
        """Sends the last notification once more, as it was: nothing promises that each comes once."""
        if self._last is not None:
            self._send(self._last)

    def _notice(self, workspace_id: str, topic: str, item: Mapping[str, Any]) -> dict[str, Any]:
        self._number += 1
        now = int(self._clock.now().timestamp())
        return {
            "type": "notification_event",
            "app_id": workspace_id,
            "data": {"type": "notification_event_data", "item": dict(item)},
            "links": {},
            "id": f"notif_{self._number:08x}",
            "topic": topic,
            "delivery_status": "pending",
            "delivery_attempts": 1,
            "delivered_at": 0,
            "first_sent_at": now,
            "created_at": now,
            "self": None,
        }

    def _send(self, notice: dict[str, Any]) -> bool:
        self._last = notice
        body, headers = signed(notice, self._secret())
        status = self._post(self.url, body, headers).status
        self.disabled |= status == 410
        return 200 <= status < 300


def signed(notice: Mapping[str, Any], secret: str) -> tuple[bytes, dict[str, str]]:
    """A notification as it is posted: its body and headers."""
    body = json.dumps(notice, ensure_ascii=False, separators=(",", ":")).encode()
    return body, {
        "Content-Type": "application/json",
        "User-Agent": "intercom-parrot-service-client/1.0",
        "X-Hub-Signature": "sha1=" + sign(secret, body, digest="sha1"),
    }
