"""One portal's data, kept and listed as Bitrix24 does."""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

#: The portal's own offset, which stands in all its dates.
OFFSET = timezone(timedelta(hours=3))
PAGE = 50
LEAD, DEAL, CONTACT, COMPANY, ACTIVITY = 1, 2, 3, 4, 0
NAMES = {LEAD: "LEAD", DEAL: "DEAL", CONTACT: "CONTACT", COMPANY: "COMPANY", ACTIVITY: "ACTIVITY"}
_STATUSES = (
    ("STATUS", "NEW", "New", None),
    ("STATUS", "IN_PROCESS", "In work", None),
    ("STATUS", "CONVERTED", "Good lead", "S"),
    ("STATUS", "JUNK", "Junk lead", "F"),
    ("DEAL_STAGE", "NEW", "New deal", None),
    ("DEAL_STAGE", "EXECUTING", "In work", None),
    ("DEAL_STAGE", "WON", "Deal won", "S"),
    ("DEAL_STAGE", "LOSE", "Deal lost", "F"),
    ("DEAL_STAGE_9", "C9:NEW", "Partner deal", None),
    ("DEAL_STAGE_9", "C9:WON", "Partner deal won", "S"),
    ("SOURCE", "WEB", "Web site", None),
    ("SOURCE", "CALL", "Call", None),
    ("INDUSTRY", "IT", "Information technology", None),
)


class RestError(Exception):
    """An answer that is an error."""

    def __init__(self, code: str, description: str = "", status: int = 400, **beside: Any) -> None:
        self.status = status
        self.body = {"error": code, "error_description": description, **beside}
        super().__init__(code)


def written(at: datetime) -> str:
    return at.astimezone(OFFSET).isoformat(timespec="seconds")


def camel(name: str) -> str:
    """``UF_CRM_ASSAY_SCORE`` as ``ufCrmAssayScore``."""
    first, *rest = name.lower().split("_")
    return first + "".join(word.title() for word in rest)


@dataclass
class Portal:
    member_id: str
    path: str
    title: str
    application_token: str
    #: By kind; each by id.
    rows: dict[int, dict[int, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in NAMES})
    ids: dict[int, list[int]] = field(default_factory=lambda: {kind: [] for kind in NAMES})
    deal_contacts: dict[int, list[int]] = field(default_factory=dict)
    user_fields: dict[str, dict[str, str]] = field(default_factory=lambda: {"lead": {}, "contact": {}})
    statuses: list[tuple[str, str, str, str | None]] = field(default_factory=lambda: list(_STATUSES))
    #: (event, handler): online.
    bound: set[tuple[str, str]] = field(default_factory=set)
    bound_offline: set[str] = field(default_factory=set)
    queue: list[dict[str, Any]] = field(default_factory=list)
    #: Events on their way: (url, form). Sent once, by ``Bitrix24Simulator.deliver``.
    outbox: deque[tuple[str, bytes]] = field(default_factory=deque)
    features: set[str] = field(default_factory=lambda: {"rest_offline_extended", "rest_auth_connector"})
    installed: bool = True
    #: Where it moved to: a host, with its port.
    host: str = ""
    #: Methods whose time budget is used up, and until when.
    spent: dict[str, datetime] = field(default_factory=dict)
    level: float = 0.0
    leaked_at: datetime | None = None
    sent: int = 0

    def add(self, kind: int, at: datetime, **values: Any) -> int:
        """A new record; gives its id."""
        id_ = int(values.get("id") or (self.ids[kind][-1] + 1 if self.ids[kind] else 1))
        row = {"ID": str(id_), "CREATED": at, "LAST_UPDATED": at} if kind == ACTIVITY else _new(kind, id_, at)
        row.update(values)
        self.rows[kind][id_] = row
        insort(self.ids[kind], id_)
        return id_

    def change(self, kind: int, id_: int, at: datetime, values: Mapping[str, Any]) -> bool:
        """Writes what differs; gives whether anything did."""
        row = self.rows[kind][id_]
        differing = {name: value for name, value in values.items() if row.get(name) != value}
        if not differing:
            return False
        row.update(differing)
        row["LAST_UPDATED" if kind == ACTIVITY else "updatedTime"] = at
        if "stageId" in differing:
            row["movedTime"] = at
            row["stageSemanticId"] = self.semantics(kind, row)
        return True

    def remove(self, kind: int, id_: int) -> None:
        del self.rows[kind][id_]
        self.ids[kind].remove(id_)

    def semantics(self, kind: int, row: Mapping[str, Any]) -> str:
        category = row.get("categoryId") or 0
        group = "STATUS" if kind == LEAD else f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"
        found = {stage: meaning for entity, stage, _, meaning in self.statuses if entity == group}
        return found.get(str(row.get("stageId"))) or "P"

    def listed(self, kind: int, asked: Mapping[str, Any], *, start: int) -> tuple[list[dict[str, Any]], int]:
        """A page in the order of ids, and how many there are in all (asked for by ``start`` from 0 on)."""
        found = self._matching(kind, asked)
        if start < 0:
            page = []
            for row in found:
                page.append(row)
                if len(page) == PAGE:
                    break
            return page, -1
        rows = list(found)
        return rows[start : start + PAGE], len(rows)

    def _matching(self, kind: int, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        ids, rest, begin = self.ids[kind], dict(asked), 0
        for name in (">id", ">ID"):
            if name in rest:
                begin = bisect_right(ids, int(rest.pop(name)))
        for name in ("@id", "@ID"):
            if name in rest:
                wanted = rest.pop(name)
                values = wanted.values() if isinstance(wanted, dict) else wanted
                ids, begin = sorted({int(one) for one in values} & self.rows[kind].keys()), 0
        bounds = [(name[2:], datetime.fromisoformat(text)) for name, text in rest.items() if name.startswith(">=")]
        exact = {name: value for name, value in rest.items() if not name.startswith(">=")}
        for place in range(begin, len(ids)):
            row = self.rows[kind][ids[place]]
            if all(row[name] >= bound for name, bound in bounds) and all(
                str(row.get(name)) == str(value) for name, value in exact.items()
            ):
                yield row

    def shown(self, kind: int, row: Mapping[str, Any], *, original: bool) -> dict[str, Any]:
        """A record as it is answered: dates in the portal's time, its own fields under the asked kind of name."""
        shown = {name: written(value) if isinstance(value, datetime) else value for name, value in row.items()}
        if kind == ACTIVITY:
            return shown
        for name in self.user_fields.get(NAMES[kind].lower(), {}):
            shown.setdefault(name, None)
        if original:
            return shown
        return {camel(name) if name.startswith("UF_") else name: value for name, value in shown.items()}

    # Events.

    def happened(self, event: str, id_: int, at: datetime, *, by_person: bool = True, access_token: str = "") -> None:
        """Puts an event on its way to its handlers, and into the offline queue, where it replaces the one before."""
        for name, handler in sorted(self.bound):
            if name == event:
                form = self.form(event, id_, at, access_token=access_token if by_person else "")
                self.outbox.append((handler, form))
        if event in self.bound_offline:
            data = {"FIELDS": {"ID": str(id_)}}
            self.queue = [
                row
                for row in self.queue
                if row["PROCESS_ID"] or (row["EVENT_NAME"], row["EVENT_DATA"]) != (event, data)
            ]
            self.sent += 1
            self.queue.append(
                {"ID": str(self.sent), "TIMESTAMP_X": written(at), "EVENT_NAME": event, "EVENT_DATA": data}
                | {"EVENT_ADDITIONAL": False, "MESSAGE_ID": str(self.sent), "PROCESS_ID": ""}
            )

    def form(self, event: str, id_: int, at: datetime, *, access_token: str = "", token: str | None = None) -> bytes:
        """An event as it is posted; without tokens where the portal's automation caused it."""
        fields = [("event", event), ("event_handler_id", "58")]
        if event.startswith("ONCRM"):
            fields.append(("data[FIELDS][ID]", str(id_)))
        fields.append(("ts", str(int(at.timestamp()))))
        if access_token:
            fields += [("auth[access_token]", access_token), ("auth[expires_in]", "3600"), ("auth[scope]", "crm")]
        fields += [
            ("auth[domain]", "demo.bitrix24.test"),
            ("auth[client_endpoint]", "https://elsewhere.example.test/rest/"),
            ("auth[member_id]", self.member_id),
            ("auth[application_token]", self.application_token if token is None else token),
        ]
        return urlencode(fields).encode()


def _new(kind: int, id_: int, at: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {"id": id_, "createdTime": at, "updatedTime": at, "assignedById": 1, "entityTypeId": kind}
    if kind in (LEAD, DEAL):
        row |= {"stageId": "NEW", "stageSemanticId": "P", "movedTime": at, "contactId": 0, "companyId": 0}
    if kind == DEAL:
        row |= {"categoryId": 0, "leadId": None, "closedate": at, "opportunity": 0, "currencyId": "EUR"}
    if kind in (LEAD, CONTACT):
        row |= {"name": None, "lastName": None, "post": None, "sourceId": "WEB", "fm": []}
    if kind == CONTACT:
        row |= {"companyId": 0, "leadId": None}
    return row


def reached(**values: str) -> list[dict[str, Any]]:
    """Phones and addresses as ``fm``."""
    return [
        {"id": place + 1, "valueType": "WORK", "value": value, "typeId": type_.upper()}
        for place, (type_, value) in enumerate(values.items())
    ]
