"""Imports that are taken back: scores are those of what is left, and past ones come out as they were recorded."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from assay import pipeline
from assay.normalise import Normalised, event_id
from assay.profiles import service as profiles
from assay.profiles import undoing
from assay.scoring import asking, jobs, queries, service
from assay_sdk import Alias, Company, Event, Identifiers, Identify, Record
from assay_tenants.database import tenant_session

MODEL = """
model: sample
dimensions: {fit: {}, interest: {max: 60}}
rules:
  - {id: owner, dimension: fit, when: {trait: title, in: [CFO, Owner]}, points: 20}
  - {id: small, dimension: fit, when: {trait: company.employees, lt: 50}, points: 7}
  - {id: visits, dimension: interest, on: page.viewed, points: 3}
  - {id: price, dimension: interest, on: page.viewed, where: {property: path, is: /pricing}, points: 9, count: once}
stages: [{name: Warm, from: 10}, {name: Hot, from: 30}]
"""
UNDONE = 7
# Registers that leads with news are due.
assert pipeline.make_due


def a_record(dice: random.Random) -> Record:
    who = Identifiers(
        user_id=dice.choice([None, "u1", "u2", "u3"]),
        email=dice.choice([None, "ana@example.test", "minh@example.test"]),
        anonymous_id=dice.choice([None, "device 1"]),
    )
    if not (who.user_id or who.email or who.anonymous_id):
        who = Identifiers(user_id="u1")
    at = datetime.now(UTC) - timedelta(days=dice.randrange(5))
    kind = dice.randrange(10)
    if kind < 3:
        return Identify(ids=who, traits={"title": dice.choice(["CFO", "Clerk", "Owner"])}, at=at)
    if kind < 5:
        traits = {"employees": dice.choice([5, 500])}
        return Company(ids=who, company_id=dice.choice(["onyx", "lotus"]), traits=traits, at=at)
    if kind < 6:
        return Alias(ids=Identifiers(user_id="u1"), previous=Identifiers(user_id=dice.choice(["u2", "u3"])), at=at)
    path = {"path": dice.choice(["/pricing", "/"])}
    # Few ids: some are used twice, for different events.
    return Event(ids=who, type="page.viewed", properties=path, at=at, sender_id=str(dice.randrange(12)))


def learn(tenant_id: int, records: list[Record], import_id: int) -> None:
    source_id = 9 if import_id else 1
    batch = [
        Normalised(
            record,
            source_id,
            None,
            datetime.now(UTC),
            event_id(source_id, record.sender_id) if isinstance(record, Event) else None,
        )
        for record in records
    ]
    with tenant_session(tenant_id) as session:
        profiles.apply(session, tenant_id, batch, import_id=import_id)


def undo_some(tenant_id: int) -> bool:
    with tenant_session(tenant_id) as session:
        return undoing.undo(session, tenant_id, UNDONE, limit=2).done


def work(tenant_id: int) -> None:
    while jobs.drain_due(tenant_id):
        pass


def publish(tenant_id: int) -> None:
    service.create_model(tenant_id, MODEL)
    service.publish(tenant_id, "sample", by="Ada Example")


def rows(tenant_id: int, query: str) -> list[Any]:
    with tenant_session(tenant_id) as session:
        return list(session.execute(text(query), {"t": tenant_id}))


def scores(tenant_id: int) -> dict[frozenset[str], tuple[Any, ...]]:
    """As they are stored, by all identifiers of the lead."""
    found = rows(
        tenant_id,
        """
        SELECT array_agg(i.kind || ' ' || i.value) AS who, s.total, s.raw, CAST(s.dimensions AS text), s.stage
        FROM profiles.identities i
        LEFT JOIN scoring.scores s ON s.tenant_id = :t AND s.lead_id = i.lead_id
        WHERE i.tenant_id = :t GROUP BY i.lead_id, s.total, s.raw, CAST(s.dimensions AS text), s.stage
        """,
    )
    return {frozenset(row[0]): tuple(row)[1:] for row in found}


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_what_is_left(make_tenant, seed: int) -> None:
    dice = random.Random(seed)
    tenant_id, other_id = (make_tenant().tenant_id for _ in range(2))
    publish(tenant_id)
    publish(other_id)
    done = None
    for turn in range(16):
        import_id = dice.choice([0, 8, UNDONE, UNDONE])
        records = [a_record(dice) for _ in range(dice.randrange(1, 5))]
        if turn > 9 and not done:
            done = undo_some(tenant_id)
        if import_id != UNDONE or turn <= 9:
            learn(tenant_id, records, import_id)
        if import_id != UNDONE:
            learn(other_id, records, import_id)
        if dice.random() < 0.6:
            work(tenant_id)
    while not done:
        done = undo_some(tenant_id)
        work(tenant_id)
    work(tenant_id)
    work(other_id)
    assert scores(tenant_id) == scores(other_id)
    assert rows(tenant_id, "SELECT 1 FROM scoring.scores WHERE tenant_id = :t") != []
    gone = """
        SELECT s.lead_id FROM scoring.scores s LEFT JOIN profiles.leads l ON l.tenant_id = :t AND l.id = s.lead_id
        WHERE s.tenant_id = :t AND l.id IS NULL
    """
    assert rows(tenant_id, gone) == []

    compared = 0
    ever = """
        SELECT id FROM profiles.leads WHERE tenant_id = :t
        UNION SELECT lead_id FROM profiles.past_leads WHERE tenant_id = :t
    """
    for (lead_id,) in rows(tenant_id, ever):
        for row in queries.history(tenant_id, lead_id, "sample").items:
            (found,) = asking.scores_at(tenant_id, lead_id, at=row.at, model="sample").items
            assert (found.total, found.raw, found.dimensions) == (row.total, row.raw, row.dimensions), (lead_id, row)
            compared += 1
    assert compared > 5
