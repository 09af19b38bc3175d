"""Messages sent as the doors keep them, persons erased as the workers do it, and all that a tenant's tables hold."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text

from assay import pipeline
from assay.intake.ids import message_id
from assay.intake.models import Message, Waiting
from assay.privacy import jobs, service
from assay.privacy.needles import Needles
from assay.privacy.steps import Erasing
from assay.privacy.verifying import tables
from assay.profiles.erasing.models import Erasure
from assay.profiles.matching import Key
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.models import Source

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class House:
    """One tenant."""

    tenant_id: int
    sent: int = 0

    def send(self, body: Any, *, call: str = "batch", plugin: str = "segment") -> UUID:
        """As intake keeps it; it waits to be read."""
        self.sent += 1
        at = T0 + timedelta(seconds=self.sent)
        id_ = message_id(at)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        with tenant_session(self.tenant_id) as session:
            source_id = self._source(session, plugin)
            row = {"tenant_id": self.tenant_id, "received_at": at}
            session.execute(insert(Message).values(**row, id=id_, source_id=source_id, call=call, body=raw))
            session.execute(insert(Waiting).values(**row, message_id=id_))
        return id_

    def _source(self, session: Any, plugin: str) -> int:
        query = select(Source.id).where(Source.tenant_id == self.tenant_id, Source.plugin == plugin)
        found = session.scalars(query).first()
        if found is None:
            source = Source(tenant_id=self.tenant_id, name=plugin, plugin=plugin, created_at=T0)
            session.add(source)
            session.flush()
            found = source.id
        return int(found)

    def work(self) -> None:
        """What the workers do."""
        while sum(pipeline.turn(stage, self.tenant_id) for stage in pipeline.STAGES):
            pass

    def rows(self, query: str, **asked: Any) -> Sequence[Any]:
        with tenant_session(self.tenant_id) as session:
            return session.execute(text(query), {"t": self.tenant_id, **asked}).all()

    def lead_of(self, kind: str, value: str) -> int | None:
        found = self.rows(
            "SELECT lead_id FROM profiles.identities WHERE tenant_id = :t AND kind = :k AND value = :v", k=kind, v=value
        )
        return found[0].lead_id if found else None

    def body(self, id_: UUID) -> bytes | None:
        found = self.rows("SELECT body FROM intake.messages WHERE tenant_id = :t AND id = :id", id=id_)
        return bytes(found[0].body) if found else None

    def erase(self, lead_id: int | None = None, keys: Sequence[Key] = ()) -> service.Certificate:
        asked = service.request(self.tenant_id, by="Ada", lead_id=lead_id, keys=keys, confirmed=True)
        while jobs.drain_erasures(self.tenant_id):
            pass
        return service.get_erasure(self.tenant_id, asked.id)

    def everything(self) -> str:
        """All texts of all tables, as one."""
        with tenant_session(self.tenant_id) as session:
            erasing = Erasing(session, Erasure(tenant_id=self.tenant_id))
            told = []
            for table in tables(erasing):
                if not table.readable:
                    continue
                columns = [
                    f"encode(t.{name}, 'escape')" if table.types[name] == "bytea" else f"CAST(t.{name} AS text)"
                    for name in table.told
                ]
                if columns:
                    query = f"SELECT {', '.join(columns)} FROM {table.name} t WHERE t.tenant_id = :t"
                    told += [f"{table.name}: {row}" for row in session.execute(text(query), {"t": self.tenant_id})]
        return "\n".join(told)

    def names(self, *keys: Key) -> list[str]:
        needles = Needles(frozenset(keys))
        return [line for line in self.everything().splitlines() if needles.names(line)]


@pytest.fixture
def make_house(make_tenant: Callable[[], SignedUp]) -> Callable[[], House]:
    return lambda: House(make_tenant().tenant_id)


@pytest.fixture
def house(make_house: Callable[[], House]) -> House:
    return make_house()


def track(event: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "timestamp": "2026-03-01T11:00:00Z", **more}


def identify(user_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user_id, "timestamp": "2026-03-01T10:00:00Z", **more}
