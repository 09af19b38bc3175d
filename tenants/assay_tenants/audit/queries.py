"""Entries found again: by who, what, when, newest first."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import ColumnElement, Row, or_, select

from assay_tenants.audit.models import AuditEntry
from assay_tenants.context import ActorKind
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput

PAGE = 50
LARGEST_PAGE = 200
#: Entries read at once while all of them are taken along.
STEP = 1_000

_ACTION = re.compile(r"[a-z_.]{1,100}", re.ASCII)
_COLUMNS = tuple(column.key for column in AuditEntry.__table__.columns if column.key != "tenant_id")


@dataclass(frozen=True)
class Entry:
    id: int
    at: datetime
    actor_kind: ActorKind
    actor_id: str
    actor_name: str
    address: str
    door: str
    request_id: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    hash: bytes

    @property
    def actor(self) -> str:
        """As it is asked for: ``person:7``."""
        return f"{self.actor_kind}:{self.actor_id}" if self.actor_id else self.actor_kind


@dataclass(frozen=True)
class Page:
    items: list[Entry]
    next_cursor: str | None


@dataclass(frozen=True)
class Wanted:
    """Which entries; whatever is None does not matter."""

    #: A kind, or a kind with an id: ``key``, ``person:7``.
    actor: str | None = None
    #: The beginning of actions: ``model`` for all that was done to models.
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    #: Not itself.
    until: datetime | None = None
    #: Part of an actor's name or of a subject.
    text: str | None = None

    def conditions(self, tenant_id: int) -> list[ColumnElement[bool]]:
        """Raises BadInput for an actor or action that there can't be."""
        found: list[ColumnElement[bool]] = [AuditEntry.tenant_id == tenant_id]
        if self.actor is not None:
            kind, _, id_ = self.actor.partition(":")
            if kind not in get_args(ActorKind):
                accepted = ", ".join(get_args(ActorKind))
                raise BadInput(
                    f"{self.actor!r} is no actor. Accepted: {accepted}, or with an id: person:7.", field="actor"
                )
            found.append(AuditEntry.actor_kind == kind)
            if id_:
                found.append(AuditEntry.actor_id == _storable(id_))
        if self.action is not None:
            if not _ACTION.fullmatch(self.action):
                raise BadInput("An action is written like model.published, or model for all of models.", field="action")
            found.append(AuditEntry.action.startswith(self.action, autoescape=True))
        if self.subject is not None:
            found.append(AuditEntry.subject == _storable(self.subject))
        if self.since is not None:
            found.append(AuditEntry.at >= self.since)
        if self.until is not None:
            found.append(AuditEntry.at < self.until)
        if self.text is not None:
            part = _storable(self.text)
            found.append(
                or_(
                    AuditEntry.actor_name.icontains(part, autoescape=True),
                    AuditEntry.subject.icontains(part, autoescape=True),
                )
            )
        return found


def list_entries(tenant_id: int, wanted: Wanted, *, cursor: str | None = None, limit: int = PAGE) -> Page:
    """Newest first; raises BadInput for a filter or cursor that there can't be."""
    conditions = wanted.conditions(tenant_id)
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
            raise BadInput("This cursor is not one of this list; leave it out to start at the top.", field="cursor")
        conditions.append(AuditEntry.id < int(cursor))
    found = _read(tenant_id, conditions, limit + 1)
    more = str(found[limit - 1].id) if len(found) > limit else None
    return Page(found[:limit], more)


def all_entries(tenant_id: int, wanted: Wanted) -> Iterator[list[Entry]]:
    """Those that there are by now, newest first, a step at a time."""
    conditions = wanted.conditions(tenant_id)
    below = LARGEST_ID
    while found := _read(tenant_id, [*conditions, AuditEntry.id < below], STEP):
        yield found
        below = found[-1].id
        if len(found) < STEP:
            return


def _read(tenant_id: int, conditions: list[ColumnElement[bool]], limit: int) -> list[Entry]:
    query = select(*(getattr(AuditEntry, name) for name in _COLUMNS)).where(*conditions)
    with tenant_session(tenant_id) as session:
        rows = session.execute(query.order_by(AuditEntry.id.desc()).limit(limit)).all()
    return [_told(row) for row in rows]


def _told(row: Row[Any]) -> Entry:
    return Entry(**row._asdict())


def _storable(text: str) -> str:
    # No entry holds what PostgreSQL can't store.
    return text.replace("\0", "�").encode("utf-8", "replace").decode()
