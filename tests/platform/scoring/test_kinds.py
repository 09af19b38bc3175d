"""A plugin's kind of rule in a published model: scored by the worker, told on the receipt, and gone with its plugin."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import text

from assay import pipeline
from assay.normalise import Normalised, event_id
from assay.profiles import service as profiles
from assay.scoring import compiled, jobs, service
from assay.scoring.language import kinds
from assay_sdk import Event, Identifiers
from assay_tenants.database import tenant_session

MODEL = """
model: seasons
rules:
  - {id: now, kind: acme.seasonal, with: {months: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}, points: 5, max: 8}
"""
# Registers that leads with news are due.
assert pipeline.make_due


def visit(number: int) -> Normalised:
    at = datetime.now(UTC) - timedelta(hours=number)
    event = Event(Identifiers(user_id="u1"), "page.viewed", {"path": "/"}, at, sender_id=str(number))
    return Normalised(event, 1, uuid4(), at, event_id(1, str(number)))


def apply(tenant_id: int, *records: Normalised) -> None:
    with tenant_session(tenant_id) as session:
        profiles.apply(session, tenant_id, records)
    while jobs.drain_due(tenant_id):
        pass


def scores(tenant_id: int) -> list[tuple[int, int]]:
    with tenant_session(tenant_id) as session:
        query = text("SELECT lead_id, total FROM scoring.scores WHERE tenant_id = :t")
        return [(row.lead_id, row.total) for row in session.execute(query, {"t": tenant_id})]


def test_scored_explained_and_kept_without_the_plugin(tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    service.create_model(tenant.tenant_id, MODEL)
    service.publish(tenant.tenant_id, "seasons", by="Ada Example")
    apply(tenant.tenant_id, visit(1))
    [(lead_id, total)] = scores(tenant.tenant_id)
    assert total == 5_000
    apply(tenant.tenant_id, visit(2))
    assert scores(tenant.tenant_id) == [(lead_id, 8_000)]
    parts = service.explain_lead(tenant.tenant_id, lead_id, "seasons").parts
    assert sum(part.points for part in parts) == 8_000
    assert all(len(part.events) == 1 for part in parts)

    monkeypatch.setattr(kinds, "installed", lambda: SimpleNamespace(rule_kinds={}))
    compiled._kept.clear()
    apply(tenant.tenant_id, visit(3))
    assert scores(tenant.tenant_id) == [(lead_id, 8_000)]
