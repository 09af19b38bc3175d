"""Leads and models whose numbers can be worked out by hand, and a real server."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, update

from assay.profiles.models import KeptEvent, KnownAs, Lead
from assay.profiles.naming import folded
from assay.scoring import queries, service
from assay.scoring.service import mark_due
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SentEvent = tuple[str, datetime, dict[str, Any]]

MODEL = """
model: {name}
rules:
  - {{id: owner, when: {{trait: title, in: [CFO, Owner]}}, points: {owner}}}
  - {{id: pricing, on: page.viewed, where: {{property: path, starts_with: /pricing}}, points: 15, count: once}}
  - {{id: offers, on: offer.downloaded, count: {{once_per: offer_id}}, points: 10, fades: {{after: 60d}}}}
stages: [{{name: Prospect, from: 10}}, {{name: Lead, from: 40}}]
"""


@pytest.fixture
def model_text() -> Callable[..., str]:
    def text(name: str = "sample", *, owner: int = 20) -> str:
        return MODEL.format(name=name, owner=owner)

    return text


@pytest.fixture
def publish(model_text: Callable[..., str]) -> Callable[..., int]:
    """Makes and publishes the sample model; publishes anew when it is there."""

    def make(tenant_id: int, name: str = "sample", *, owner: int = 20) -> int:
        text = model_text(name, owner=owner)
        if name in [row.name for row in queries.list_models(tenant_id)]:
            service.save_draft(tenant_id, name, text)
        else:
            service.create_model(tenant_id, text)
        return service.publish(tenant_id, name, by="Ada Example")

    return make


@pytest.fixture
def make_lead(connected: None, add_events: Callable[..., None]) -> Callable[..., int]:
    """A lead as profiles keep it, with its events, due for scoring."""

    def make(
        tenant_id: int,
        *,
        name: str | None = None,
        email: str | None = None,
        traits: dict[str, Any] | None = None,
        events: Sequence[SentEvent] = (),
        seen: datetime = T0,
        due: datetime = T0,
    ) -> int:
        with tenant_session(tenant_id) as session:
            lead = Lead(
                tenant_id=tenant_id,
                name=name,
                email=email,
                search_key=" ".join(folded(word) for word in (name, email) if word),
                traits=traits or {},
                first_seen_at=seen,
                last_seen_at=seen,
                known_at=seen,
            )
            session.add(lead)
            session.flush()
            identity = KnownAs(
                tenant_id=tenant_id,
                kind="user_id",
                value=f"user-{lead.id}",
                lead_id=lead.id,
                first_seen_at=seen,
                last_seen_at=seen,
                known_at=seen,
            )
            session.add(identity)
        add_events(tenant_id, lead.id, events, due=due)
        return lead.id

    return make


@pytest.fixture
def add_events(connected: None) -> Callable[..., None]:
    """Events of a lead that is there, which make it due."""

    def add(tenant_id: int, lead_id: int, events: Sequence[SentEvent], *, due: datetime = T0) -> None:
        with tenant_session(tenant_id) as session:
            identity_id = session.scalars(
                select(KnownAs.id).where(KnownAs.tenant_id == tenant_id, KnownAs.lead_id == lead_id)
            ).first()
            for type_, at, properties in events:
                session.add(
                    KeptEvent(
                        tenant_id=tenant_id,
                        id=uuid4(),
                        received_at=at,
                        lead_id=lead_id,
                        identity_id=identity_id,
                        type=type_,
                        occurred_at=at,
                        properties=properties,
                        source_id=1,
                        sender_id=str(uuid4()),
                        known_at=at,
                    )
                )
            session.flush()
            mark_due(session, tenant_id, [lead_id], due)

    return add


@pytest.fixture
def remove_lead(connected: None) -> Callable[[int, int], None]:
    def remove(tenant_id: int, lead_id: int) -> None:
        with tenant_session(tenant_id) as session:
            session.execute(delete(Lead).where(Lead.tenant_id == tenant_id, Lead.id == lead_id))

    return remove


@pytest.fixture
def merge_leads(remove_lead: Callable[[int, int], None]) -> Callable[..., None]:
    def merge(tenant_id: int, lead_id: int, *, into: int) -> None:
        with tenant_session(tenant_id) as session:
            for table in (KeptEvent, KnownAs):
                session.execute(
                    update(table).where(table.tenant_id == tenant_id, table.lead_id == lead_id).values(lead_id=into)
                )
        remove_lead(tenant_id, lead_id)

    return merge


@pytest.fixture(scope="module")
def port(serve: Callable[..., AbstractContextManager[int]]) -> Iterator[int]:
    """Of a real web server over the tests' own database."""
    with serve() as port:
        yield port
