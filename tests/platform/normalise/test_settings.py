"""A plugin reads a message by what its connection's people filled in, as it is when the message is read."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from assay import plugins
from assay.intake.ids import message_id
from assay.intake.models import Message, Waiting
from assay.normalise import take
from assay.normalise.service import replay
from assay_sdk import Event, Identifiers, Record, Source
from assay_sdk import Message as RawMessage
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.models import Source as SourceRow


class Named(Source):
    name = "named"
    title = "Named"

    def normalise(self, message: RawMessage) -> Iterator[Record]:
        said = json.loads(message.body)
        yield Event(
            Identifiers(user_id="u1"), message.settings.get(said, "unknown.done"), {}, message.received_at, said
        )


def types(tenant_id: int) -> list[str]:
    with tenant_session(tenant_id) as session:
        records = [normalised.record for normalised in take(session, tenant_id, 10)]
    return [record.type for record in records if isinstance(record, Event)]


def test_settings_are_the_present_ones_of_the_messages_own_connection(
    tenant: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins.installed(), "sources", plugins.installed().sources | {"named": Named()})
    connection_id = connections.create(
        tenant.tenant_id, plugin="named", name="One", credentials={"key": "k"}, settings={"a": "demo.requested"}
    )
    now = datetime.now(UTC)
    with tenant_session(tenant.tenant_id) as session:
        made = SourceRow(tenant_id=tenant.tenant_id, name="One", plugin="named", created_at=now)
        other = SourceRow(tenant_id=tenant.tenant_id, name="Other", plugin="named", created_at=now)
        session.add_all([made, other])
        session.flush()
        of_it = (SourceRow.tenant_id == tenant.tenant_id, SourceRow.id == made.id)
        session.execute(update(SourceRow).where(*of_it).values(connection_id=connection_id))
        for source in (made.id, other.id):
            id_ = message_id(now)
            kept = {"tenant_id": tenant.tenant_id, "received_at": now}
            session.add(Message(**kept, id=id_, source_id=source, call="hook", body=b'"a"'))
            session.add(Waiting(**kept, message_id=id_))
            if source == made.id:
                mine = id_
    assert sorted(types(tenant.tenant_id)) == ["demo.requested", "unknown.done"]

    connections.change(tenant.tenant_id, connection_id, version=1, settings={"a": "meeting.booked"})
    assert replay(tenant.tenant_id, [mine]) == 1
    assert types(tenant.tenant_id) == ["meeting.booked"]
