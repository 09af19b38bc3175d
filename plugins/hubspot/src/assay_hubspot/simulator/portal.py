"""One portal of the stand-in: its records, and what happened in it."""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from assay_hubspot.simulator.people import DEFINED, FORMS

MODIFIED = {"contacts": "lastmodifieddate"}
FIRST_ID = 1001
#: Properties whose every value is kept with its instant.
_REMEMBERED = ("dealstage", "hs_meeting_outcome")


def iso(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Row:
    """A record; ``story`` makes the properties that nobody changed."""

    id: int
    created: int
    modified: int
    story: Callable[[int], Mapping[str, str | None]] | None = None
    number: int = 0
    changes: dict[str, str | None] = field(default_factory=dict)
    history: dict[str, list[tuple[int, str | None]]] = field(default_factory=dict)
    archived_at: int | None = None

    def properties(self) -> dict[str, str | None]:
        return {**(self.story(self.number) if self.story else {}), **self.changes}


class Table:
    """The records of one type, by id and by last change."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.modified_name = MODIFIED.get(kind, "hs_lastmodifieddate")
        self.rows: dict[int, Row] = {}
        self._ids: list[int] = []
        self._by_change: list[Row] | None = None

    def add(self, row: Row) -> Row:
        self.rows[row.id] = row
        if self._ids and row.id < self._ids[-1]:
            insort(self._ids, row.id)
        else:
            self._ids.append(row.id)
        self._by_change = None
        return row

    def live(self, id_: int) -> Row | None:
        row = self.rows.get(id_)
        return row if row is not None and row.archived_at is None else None

    def change(self, row: Row, properties: Mapping[str, str | None], at: int) -> None:
        for name, value in properties.items():
            row.changes[name] = value
            if name in _REMEMBERED or self.kind == "contacts":
                row.history.setdefault(name, []).append((at, value))
        self.touch(row, at)

    def touch(self, row: Row, at: int) -> None:
        row.modified = at
        self._by_change = None

    def forget(self, *ids: int) -> None:
        """As if they had never been."""
        for id_ in ids:
            self.rows.pop(id_, None)
        self._ids = [id_ for id_ in self._ids if id_ not in ids]
        self._by_change = None

    def archive(self, row: Row, at: int) -> None:
        row.archived_at = at
        self.touch(row, at)

    def restore(self, row: Row, at: int) -> None:
        row.archived_at = None
        self.touch(row, at)

    def after(self, id_: int, *, archived: bool) -> Iterator[Row]:
        for place in range(bisect_right(self._ids, id_), len(self._ids)):
            row = self.rows[self._ids[place]]
            if (row.archived_at is not None) is archived:
                yield row

    def by_change(self) -> list[Row]:
        """Those that live, the least lately changed first."""
        if self._by_change is None:
            living = [row for row in self.rows.values() if row.archived_at is None]
            self._by_change = sorted(living, key=lambda row: (row.modified, row.id))
        return self._by_change

    def shown(self, row: Row, names: list[str], *, history: list[str] | None = None) -> dict[str, Any]:
        """As the API shows it: properties that there are not are left out without a word."""
        own = row.properties()
        properties: dict[str, str | None] = {name: own[name] for name in names if name in own}
        properties |= {
            "createdate": iso(row.created),
            self.modified_name: iso(row.modified),
            "hs_object_id": str(row.id),
        }
        shown: dict[str, Any] = {
            "id": str(row.id),
            "properties": properties,
            "createdAt": iso(row.created),
            "updatedAt": iso(row.modified),
            "archived": row.archived_at is not None,
        }
        if row.archived_at is not None:
            shown["archivedAt"] = iso(row.archived_at)
        if history:
            shown["propertiesWithHistory"] = {
                name: [
                    {"value": value, "timestamp": iso(at), "sourceType": "CRM_UI"}
                    for at, value in reversed(row.history.get(name) or [(row.created, own.get(name))])
                ]
                for name in history
            }
        return shown


class Portal:
    """One customer's account at HubSpot."""

    def __init__(self, id_: int, title: str, lacks: frozenset[str] = frozenset()) -> None:
        self.id = id_
        self.title = title
        #: Scopes that it can't grant.
        self.lacks = lacks
        self.tables = {kind: Table(kind) for kind in ("contacts", "companies", "deals", "meetings")}
        #: A record's contacts, by its kind and id.
        self.contacts_of: dict[tuple[str, int], list[int]] = {}
        #: Ids that are no more, and the id that they became.
        self.merged: dict[int, int] = {}
        self.properties: dict[str, dict[str, Any]] = {
            name: {"name": name, "label": name, "type": type_, "fieldType": edited, "groupName": "contactinformation"}
            for name, (type_, edited) in DEFINED.items()
        }
        self.groups: dict[str, dict[str, Any]] = {}
        #: The newest last.
        self.submissions: dict[str, list[dict[str, Any]]] = {guid: [] for guid in FORMS}
        self.email_events: list[dict[str, Any]] = []
        self.threads: dict[int, dict[str, Any]] = {}
        self._next = FIRST_ID

    @property
    def contacts(self) -> Table:
        return self.tables["contacts"]

    @property
    def deals(self) -> Table:
        return self.tables["deals"]

    def new_id(self) -> int:
        self._next += 1
        return self._next - 1

    def add(self, kind: str, properties: Mapping[str, str | None], at: int) -> Row:
        row = Row(self.new_id(), at, at)
        self.tables[kind].add(row)
        self.tables[kind].change(row, properties, at)
        return row

    def current(self, id_: int) -> int:
        """The id that a contact has now, however often it was merged."""
        while id_ in self.merged:
            id_ = self.merged[id_]
        return id_

    def merge(self, primary: int, other: int, at: int) -> Row:
        """Two contacts become one, under a new id."""
        survivor, gone = self.contacts.rows[primary], self.contacts.rows[other]
        joined = Row(self.new_id(), min(survivor.created, gone.created), at, survivor.story, survivor.number)
        former = ";".join(str(id_) for id_ in (primary, other))
        joined.changes = {**survivor.changes, "hs_merged_object_ids": former}
        self.contacts.forget(primary, other)
        self.contacts.add(joined)
        self.merged |= {primary: joined.id, other: joined.id}
        for owner, contacts in self.contacts_of.items():
            self.contacts_of[owner] = list(dict.fromkeys(self.current(id_) for id_ in contacts))
        return joined
