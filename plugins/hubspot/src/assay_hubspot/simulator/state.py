"""What the stand-in is made of: its portals, what happens in them, and the webhooks that tell of it."""

import json
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from werkzeug.wrappers import Request, Response

from assay_hubspot.notices import signed_url
from assay_hubspot.simulator.answers import error, too_many
from assay_hubspot.simulator.portal import Portal, Row
from assay_hubspot.subscriptions import WANTED
from assay_sdk.clock import Clock
from assay_sdk.paging import to_milliseconds
from assay_sdk.signatures import sign
from assay_sdk.testing import Posted, Simulator
from assay_sdk.testing.simulator import Grant

APP_ID = 1160452
BATCH, TRIES = 100, 10
_SINGULAR = {"contacts": "contact", "companies": "company", "deals": "deal"}
MEETING_TYPE = "0-47"


class State(Simulator):
    """Portals, limits and webhooks; the views stand in the subclasses."""

    name = "hubspot"
    access_lifetime: ClassVar[timedelta | None] = timedelta(minutes=30)

    def __init__(self, *, clock: Clock | None = None, seed: int = 7) -> None:
        super().__init__(clock=clock, seed=seed)
        self.portals = {
            "62515": Portal(62515, "Demonstration"),
            "62516": Portal(62516, "A portal without forms and marketing", frozenset({"forms", "content"})),
        }
        #: How long a change takes to be found by searches.
        self.search_lag = timedelta(0)
        self.associations_page = 100
        #: Contacts whose updates the portal's own rules refuse.
        self.refused_rows: set[str] = set()
        #: A contact with which a whole batch is refused, as some refusals of HubSpot's name no row.
        self.spoils = ""
        #: Whether more calls than HubSpot allows are refused.
        self.limited = True
        self.developer_key = "developer-key-of-the-stand-in"
        self.hook_url = ""
        # Our own property is among them, as an app might subscribe to it by mistake: that must not go round for ever.
        self.subscriptions: dict[int, dict[str, Any]] = {}
        for event, name in (*WANTED, ("contact.propertyChange", "assay_score"), ("object.creation", None)):
            self.add_subscription(event, name)
        self.pending: deque[dict[str, Any]] = deque()
        self._taken: dict[tuple[str, str], deque[float]] = {}
        self._event_id = 3816279340

    def accounts(self) -> Mapping[str, str]:
        return {id_: portal.title for id_, portal in self.portals.items()}

    def portal_of(self, grant: Grant) -> Portal:
        return self.portals[grant.account]

    @property
    def first(self) -> Portal:
        return next(iter(self.portals.values()))

    def now(self) -> int:
        return to_milliseconds(self.clock.now())

    def limit(self, request: Request, grant: Grant) -> Response | None:
        """110 in 10 seconds for each portal; 5 searches in a second besides."""
        if not self.limited:
            return None
        is_search = request.path.endswith("/search")
        most, seconds = (5, 1.0) if is_search else (110, 10.0)
        now = self.clock.now().timestamp()
        with self.lock:
            taken = self._taken.setdefault((grant.account, "search" if is_search else "api"), deque())
            while taken and taken[0] <= now - seconds:
                taken.popleft()
            if len(taken) >= most:
                return (
                    too_many("SECONDLY", "secondly")
                    if is_search
                    else too_many("TEN_SECONDLY_ROLLING", "ten_secondly_rolling")
                )
            taken.append(now)
        return None

    def refuse_unauthorised(self) -> Response:
        return error(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired.")

    # What happens in a portal, and is told.

    def change(self, portal: Portal, row: Row, properties: Mapping[str, str | None], *, source: str = "CRM_UI") -> None:
        """A record's properties get these values; each that is new is told."""
        kind = next(kind for kind, table in portal.tables.items() if table.rows.get(row.id) is row)
        before = row.properties()
        with self.lock:
            portal.tables[kind].change(row, properties, self.now())
        for name, value in properties.items():
            if before.get(name) != value and kind in _SINGULAR:
                told = {"propertyName": name, "propertyValue": value or "", "isSensitive": False}
                self.tell(portal, f"{_SINGULAR[kind]}.propertyChange", row.id, changeSource=source, **told)

    def create(self, portal: Portal, kind: str, properties: Mapping[str, str | None]) -> Row:
        with self.lock:
            row = portal.add(kind, properties, self.now())
        if kind in _SINGULAR:
            self.tell(portal, f"{_SINGULAR[kind]}.creation", row.id, changeFlag="NEW")
        else:
            self.tell(portal, "object.creation", row.id, objectTypeId=MEETING_TYPE, changeFlag="NEW")
        return row

    def associate(self, portal: Portal, kind: str, row: Row, contact: int) -> None:
        with self.lock:
            portal.contacts_of.setdefault((kind, row.id), []).append(contact)
        if kind == "deals":
            told = {"associationType": "DEAL_TO_CONTACT", "fromObjectId": row.id, "toObjectId": contact}
            self.tell(portal, "deal.associationChange", None, associationRemoved=False, **told)

    def archive(self, portal: Portal, row: Row) -> None:
        with self.lock:
            portal.contacts.archive(row, self.now())
        self.tell(portal, "contact.deletion", row.id)

    def erase(self, portal: Portal, row: Row) -> None:
        """For good: the person wished it. It is told twice, as HubSpot does."""
        with self.lock:
            portal.contacts.forget(row.id)
        self.tell(portal, "contact.privacyDeletion", row.id)
        self.tell(portal, "contact.deletion", row.id)

    def restore(self, portal: Portal, row: Row) -> None:
        with self.lock:
            portal.contacts.restore(row, self.now())
        self.tell(portal, "contact.restore", row.id)

    def merge(self, portal: Portal, primary: Row, other: Row) -> Row:
        with self.lock:
            joined = portal.merge(primary.id, other.id, self.now())
        told = {"primaryObjectId": primary.id, "mergedObjectIds": [other.id], "newObjectId": joined.id}
        self.tell(portal, "contact.merge", primary.id, numberOfPropertiesMoved=3, **told)
        return joined

    def edit_pipeline(self, portal: Portal) -> None:
        """Somebody renames a stage: every deal counts as changed, and none is."""
        with self.lock:
            for row in portal.deals.rows.values():
                portal.deals.touch(row, self.now())

    # Webhooks.

    def add_subscription(self, event: str, name: str | None) -> dict[str, Any]:
        subscription: dict[str, Any] = {"id": str(len(self.subscriptions) + 1), "eventType": event, "active": True}
        if name:
            subscription["propertyName"] = name
        self.subscriptions[len(self.subscriptions) + 1] = subscription
        return subscription

    def tell(self, portal: Portal, event: str, object_id: int | None, **beside: Any) -> None:
        """Puts an event among those to be posted, if the app subscribes to it."""
        name = beside.get("propertyName")
        for number, wanted in self.subscriptions.items():
            if wanted["active"] and wanted["eventType"] == event and wanted.get("propertyName") == name:
                self.pending.append(self.event(portal, event, object_id, subscription=number, **beside))
                return

    def event(
        self, portal: Portal, event: str, object_id: int | None, *, subscription: int = 1, **beside: Any
    ) -> dict[str, Any]:
        with self.lock:
            self._event_id += 1
            told: dict[str, Any] = {
                # Not unique, as HubSpot says: two happenings share each number.
                "eventId": self._event_id // 2,
                "subscriptionId": subscription,
                "portalId": portal.id,
                "appId": APP_ID,
                "occurredAt": self.now(),
                "subscriptionType": event,
                "attemptNumber": 0,
                "changeSource": "CRM_UI",
            }
        return {**told, **({} if object_id is None else {"objectId": object_id}), **beside}

    def signed(self, url: str, body: bytes, milliseconds: int) -> dict[str, str]:
        """The headers of a webhook, names in lower case."""
        message = f"POST{signed_url(url)}".encode() + body + str(milliseconds).encode()
        return {
            "content-type": "application/json",
            "x-hubspot-signature-v3": sign(self.client_secret, message, encoding="base64"),
            "x-hubspot-request-timestamp": str(milliseconds),
        }

    def deliver(self) -> list[Posted]:
        """Posts what is waiting, at most 100 events at once; what nobody took stays, with its next attempt's number."""
        posted: list[Posted] = []
        with self.lock:
            waiting = [self.pending.popleft() for _ in range(len(self.pending))]
        if not self.hook_url:
            return posted
        for start in range(0, len(waiting), BATCH):
            events = waiting[start : start + BATCH]
            body = json.dumps(events, separators=(",", ":")).encode()
            sent = self.post(self.hook_url, body, self.signed(self.hook_url, body, self.now()))
            posted.append(sent)
            if not 200 <= sent.status < 300:
                again = [{**event, "attemptNumber": event["attemptNumber"] + 1} for event in events]
                self.pending.extend(event for event in again if event["attemptNumber"] < TRIES)
        return posted
