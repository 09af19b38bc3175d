"""The watch itself: what it lets pass and what it does not; then the background work, under watch."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from assay import pipeline
from assay.intake import idempotency, partitions
from assay.intake.models import Message
from assay.intake.retention import PARENTS
from assay.normalise import queries as queries_of_letters
from assay.normalise import replaying
from assay.profiles.dropping import drop_past
from assay.profiles.models import KeptEvent
from assay.profiles.moving import drain_moves
from assay.profiles.retention import change_retention
from assay.scoring import jobs, queries, rescore_jobs, service, studies
from assay.scoring.overlaps import find_overlaps
from assay.scoring.studies.service import drain_studies
from assay_tenants.database import directory_session, tenant_session, timetable_session
from assay_tenants.errors import NotFound


@pytest.mark.parametrize(
    ("statement", "passes"),
    [
        pytest.param("SELECT 1", True, id="no table"),
        pytest.param("SELECT * FROM profiles.leads WHERE tenant_id = %(t)s", True, id="filtered"),
        pytest.param("SELECT * FROM profiles.leads l WHERE l.tenant_id = %(t)s AND l.id = 1", True, id="by alias"),
        pytest.param("SELECT * FROM profiles.leads", False, id="unfiltered"),
        pytest.param("SELECT tenant_id FROM profiles.leads WHERE id = %(i)s", False, id="only selected"),
        pytest.param("DELETE FROM scoring.due WHERE lead_id = %(i)s", False, id="delete"),
        pytest.param("UPDATE scoring.due d SET due_at = %(x)s WHERE d.lead_id = %(i)s", False, id="update"),
        pytest.param(
            "SELECT * FROM scoring.scores s JOIN profiles.leads l ON l.id = s.lead_id WHERE s.tenant_id = %(t)s",
            False,
            id="a joined table without its tenant",
        ),
        pytest.param(
            "SELECT * FROM scoring.scores s JOIN profiles.leads l ON l.tenant_id = s.tenant_id AND l.id = s.lead_id",
            False,
            id="joined by tenant, but no tenant named",
        ),
        pytest.param(
            "SELECT * FROM scoring.scores s JOIN profiles.leads l ON l.tenant_id = s.tenant_id"
            " WHERE s.tenant_id = %(t)s",
            True,
            id="joined by tenant",
        ),
        pytest.param(
            "INSERT INTO scoring.due (tenant_id, lead_id) SELECT %(t)s, id FROM profiles.leads",
            False,
            id="insert from an unfiltered select",
        ),
        pytest.param("INSERT INTO scoring.due (tenant_id, lead_id) VALUES (%(t)s, 1)", True, id="insert"),
    ],
)
def test_tells_filtered_from_unfiltered(tenant, watch, statement, passes) -> None:
    watch.look(statement)
    assert (watch.unfiltered == []) == passes


def test_sees_what_a_session_does(tenant, watch) -> None:
    with tenant_session(tenant.tenant_id) as session:
        session.execute(text("SELECT count(*) FROM profiles.leads"))
    assert watch.unfiltered == ["SELECT count(*) FROM profiles.leads"]


def test_the_named_doors_may_look_across_tenants(connected, watch) -> None:
    with timetable_session() as session:
        session.execute(text("SELECT tenant_id FROM scoring.due"))
    with directory_session() as session:
        session.execute(text("SELECT tenant_id FROM tenancy.memberships"))
    pipeline.sweep()
    assert watch.unfiltered == []


def test_scoring_names_its_tenant_in_every_statement(victim, watch) -> None:
    service.save_draft(victim.tenant_id, victim.model, "{model: secret-model, rules: [{id: a, on: x.y, points: 3}]}")
    service.publish(victim.tenant_id, victim.model, by="Ada Example")
    assert rescore_jobs.drain_rescores(victim.tenant_id) == 1
    with tenant_session(victim.tenant_id) as session:
        service.mark_due(session, victim.tenant_id, [victim.lead_id, victim.lead_id + 10**9])
    jobs.drain_due(victim.tenant_id)
    queries.stage_counts(victim.tenant_id, victim.model)
    queries.history(victim.tenant_id, victim.lead_id, victim.model)
    assert watch.seen > 10
    assert watch.unfiltered == []


def test_studies_name_their_tenant_in_every_statement(victim, watch) -> None:
    chosen = studies.ReplayChoice(sample=1, won="deal.won")
    studies.start_preview(victim.tenant_id, victim.model, by="Ada Example", sample=1)
    id_ = studies.start_replay(victim.tenant_id, victim.model, chosen, by="Ada Example")
    while drain_studies(victim.tenant_id):
        pass
    assert studies.get_study(victim.tenant_id, victim.model, "replay", id_).state == "done"
    assert "secret" not in "".join(studies.changes_file(victim.tenant_id, victim.model, victim.preview_id))
    find_overlaps(victim.tenant_id)
    assert watch.seen > 20
    assert watch.unfiltered == []


def test_taking_in_names_its_tenant_in_every_statement(client, tenant, work_off, watch) -> None:
    batch = [
        {"type": "identify", "userId": "u1", "traits": {"email": "ada@example.test", "title": "CFO"}},
        {"type": "track", "userId": "u1", "event": "page.viewed", "properties": {"path": "/pricing"}},
        {"type": "track", "anonymousId": "a1", "event": "offer.downloaded"},
        {"type": "identify", "anonymousId": "a1", "userId": "u1"},
        {"type": "group", "userId": "u1", "groupId": "c1", "traits": {"name": "Quartz"}},
    ]
    answer = client.post("/v1/batch", json={"batch": batch}, auth=(tenant.write_key, ""))
    assert answer.status_code == 200, answer.text
    assert work_off(tenant.tenant_id) > 0
    assert watch.seen > 10
    assert watch.unfiltered == []


def test_dead_letters_name_their_tenant_in_every_statement(victim, watch, work_off) -> None:
    work_off(victim.tenant_id)
    queries_of_letters.list_kinds(victim.tenant_id)
    queries_of_letters.list_dead_letters(victim.tenant_id, 5, wanted=queries_of_letters.Wanted("x", 1))
    queries_of_letters.count_dead_letters(victim.tenant_id, most=5)
    with suppress(NotFound):
        replaying.dismiss_message(victim.tenant_id, victim.message_id, by="Ada Example")
    claim = idempotency.claim(victim.tenant_id, "key", b"print")
    claim.remember(idempotency.Answer(200, [], b""))
    idempotency.claim(victim.tenant_id, "key", b"print")
    idempotency.prune()
    assert watch.seen > 20
    assert watch.unfiltered == []


def test_keeping_names_its_tenant_in_every_statement(victim, watch, servers) -> None:
    with psycopg.connect(servers.places.postgres_url("postgres")) as superuser:
        # Whoever is on the way into a longer class holds a drop up.
        superuser.execute("DELETE FROM intake.retention_moves")
    change_retention(victim.tenant_id, {"messages": 7, "events": 365}, confirmed=True)
    assert drain_moves(victim.tenant_id) > 1
    at = datetime.now(UTC) - timedelta(days=600)
    for kind, days in (("messages", 7), ("events", 365)):
        partitions.make(PARENTS[kind], days, at)
    with tenant_session(victim.tenant_id) as session:
        one = {"tenant_id": victim.tenant_id, "received_at": at, "source_id": 1}
        session.add(Message(**one, id=uuid4(), retention=7, call="batch", body=b"{}"))
        session.add(
            KeptEvent(**one, id=uuid4(), retention=365, lead_id=victim.lead_id, identity_id=1, type="page.viewed",
                      occurred_at=at, properties={}, sender_id="old")
        )  # fmt: skip
    # What SQLAlchemy wrote for this test.
    watch.unfiltered = [each for each in watch.unfiltered if not each.startswith("INSERT INTO profiles.events (")]
    assert drop_past() >= 2
    assert watch.seen > 20
    assert watch.unfiltered == []
