"""Scores at an instant: what was recorded then comes out again, whatever was learned since."""

import random
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from assay import pipeline
from assay.normalise import Normalised, event_id
from assay.profiles import service as profiles
from assay.scoring import asking, jobs, queries, rescore_jobs, rescoring, service
from assay.scoring.errors import NoSuchVersion, NotKnownThen
from assay_sdk import Alias, Company, CoreRecord, Event, Identifiers, Identify
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound

HOUR = timedelta(hours=1)
MODEL = """
model: {name}
dimensions: {{fit: {{}}, interest: {{max: 60}}}}
rules:
  - {{id: owner, dimension: fit, when: {{trait: title, in: [CFO, Owner]}}, points: {points}}}
  - {{id: small, dimension: fit, when: {{trait: company.employees, lt: 50}}, points: 7}}
  - {{id: visits, dimension: interest, on: page.viewed, points: 3, fades: {{after: 1h}}}}
  - {{id: price, dimension: interest, on: page.viewed, where: {{property: path, is: /pricing}}, points: 9, count: once}}
  - {{id: offers, dimension: interest, on: offer.downloaded, points: 5, count: {{once_per: offer_id}}}}
  - {{id: quiet, idle: {{for: 1h}}, points: -2}}
stages: [{{name: Warm, from: 10}}, {{name: Hot, from: 30}}]
"""
# Registers that leads with news are due.
assert pipeline.make_due


def publish(tenant_id: int, name: str, points: int) -> None:
    document = MODEL.format(name=name, points=points)
    if name in [row.name for row in queries.list_models(tenant_id)]:
        service.save_draft(tenant_id, name, document)
    else:
        service.create_model(tenant_id, document)
    service.publish(tenant_id, name, by="Ada Example")


def a_record(dice: random.Random) -> Identify | Event | Company | Alias:
    who = Identifiers(
        user_id=dice.choice([None, "u1", "u2", "u3"]),
        email=dice.choice([None, None, "ana@example.test", "minh@example.test"]),
        anonymous_id=dice.choice([None, "device 1", "device 2"]),
    )
    if not (who.user_id or who.email or who.anonymous_id):
        who = Identifiers(user_id="u1")
    now = datetime.now(UTC)
    # Late ones, too, and some that fade or fall silent within the test.
    at = now - dice.choice([timedelta(0), timedelta(days=3), HOUR - timedelta(seconds=dice.uniform(0.1, 2))])
    kind = dice.randrange(10)
    if kind < 3:
        return Identify(ids=who, traits={"title": dice.choice(["CFO", "Clerk", "Owner"])}, at=at)
    if kind < 4:
        traits = {"employees": dice.choice([5, 500])}
        return Company(ids=who, company_id=dice.choice(["onyx", "lotus"]), traits=traits, at=at)
    if kind < 5:
        return Alias(ids=Identifiers(user_id="u1"), previous=Identifiers(user_id=dice.choice(["u2", "u3"])), at=at)
    type_, properties = dice.choice(
        [
            ("page.viewed", {"path": dice.choice(["/pricing", "/"])}),
            ("offer.downloaded", {"offer_id": dice.choice(["a", "b"])}),
        ]
    )
    # Few ids: some are used twice, for different events.
    return Event(ids=who, type=type_, properties=properties, at=at, sender_id=str(dice.randrange(25)))


def learn(tenant_id: int, dice: random.Random) -> None:
    records = [a_record(dice) for _ in range(dice.randrange(1, 4))]
    with tenant_session(tenant_id) as session:
        profiles.apply(session, tenant_id, [normalised(record) for record in records])


def normalised(record: CoreRecord) -> Normalised:
    id_ = event_id(1, record.sender_id) if isinstance(record, Event) else None
    return Normalised(record, 1, None, datetime.now(UTC), id_)


def work(tenant_id: int) -> None:
    while jobs.drain_due(tenant_id) or rescore_jobs.drain_rescores(tenant_id):
        pass


def everybody(tenant_id: int) -> list[int]:
    """Those that were merged into others, too."""
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            text(
                "SELECT id FROM profiles.leads WHERE tenant_id = :t"
                " UNION SELECT lead_id FROM profiles.past_leads WHERE tenant_id = :t"
            ),
            {"t": tenant_id},
        )
        return sorted(row[0] for row in rows)


@pytest.mark.parametrize("seed", range(6))
def test_what_was_recorded_comes_out_again(tenant, seed: int) -> None:
    dice = random.Random(seed)
    publish(tenant.tenant_id, "one", 20)
    publish(tenant.tenant_id, "other", 4)
    for turn in range(14):
        learn(tenant.tenant_id, dice)
        if turn == 6:
            publish(tenant.tenant_id, "one", 25)
        if turn == 9:
            rescoring.start_all(tenant.tenant_id, reason="by hand", by="Ada Example")
        if dice.random() < 0.7:
            work(tenant.tenant_id)
        time.sleep(dice.choice([0, 0.2]))
    time.sleep(1)
    work(tenant.tenant_id)
    compared = 0
    for lead_id in everybody(tenant.tenant_id):
        for name in ("one", "other"):
            for row in queries.history(tenant.tenant_id, lead_id, name).items:
                (found,) = asking.scores_at(tenant.tenant_id, lead_id, at=row.at, model=name).items
                for field in ("version", "total", "raw", "dimensions", "stage"):
                    assert getattr(found, field) == getattr(row, field), (lead_id, row)
                compared += 1
    assert compared > 5


class TestScoresAt:
    @pytest.fixture
    def lead(self, tenant) -> int:
        """Learned of in three steps, with a moment between any two; ``moments`` are after each."""
        publish(tenant.tenant_id, "one", 20)
        self.moments = []
        now = datetime.now(UTC)
        who = Identifiers(user_id="u1")
        for record in (
            Identify(ids=who, traits={"title": "CFO"}, at=now),
            Event(ids=who, type="offer.downloaded", properties={"offer_id": "a"}, at=now - HOUR / 2, sender_id="1"),
            Identify(ids=who, traits={"title": "Clerk"}, at=now + timedelta(seconds=1)),
        ):
            with tenant_session(tenant.tenant_id) as session:
                (lead_id,) = profiles.apply(session, tenant.tenant_id, [normalised(record)])
            self.moments.append(datetime.now(UTC))
        return lead_id

    def totals(self, tenant, lead, **question) -> list[int]:
        return [score.total for score in asking.scores_at(tenant.tenant_id, lead, **question).items]

    def test_a_past_instant_rests_on_what_was_known_then(self, tenant, lead) -> None:
        assert [self.totals(tenant, lead, at=at) for at in self.moments] == [[20_000], [25_000], [5_000]]

    def test_or_on_all_that_is_known_today(self, tenant, lead) -> None:
        assert self.totals(tenant, lead, at=self.moments[0], known="now") == [5_000]

    def test_a_future_instant_on_what_is_known_now(self, tenant, lead) -> None:
        assert self.totals(tenant, lead, at=self.moments[-1] + 2 * HOUR) == [3_000]

    def test_without_an_instant_it_is_now(self, tenant, lead) -> None:
        assert self.totals(tenant, lead) == [5_000]

    def test_under_any_version(self, tenant, lead) -> None:
        old = queries.get_version(tenant.tenant_id, "one", 1).hash
        publish(tenant.tenant_id, "one", 30)
        assert self.totals(tenant, lead, at=self.moments[0]) == [20_000]
        new = queries.get_version(tenant.tenant_id, "one", 2).hash
        assert self.totals(tenant, lead, at=self.moments[0], version=new) == [30_000]
        assert self.totals(tenant, lead, version=old) == [5_000]

    @pytest.mark.parametrize("version", ["0" * 64, "nonsense", "\0", "x" * 9_999])
    def test_an_unknown_version(self, tenant, lead, version) -> None:
        with pytest.raises(NoSuchVersion):
            asking.scores_at(tenant.tenant_id, lead, version=version)

    def test_the_neighbours_version_is_unknown(self, tenant, neighbour, lead) -> None:
        publish(neighbour.tenant_id, "theirs", 3)
        theirs = queries.get_version(neighbour.tenant_id, "theirs", 1).hash
        with pytest.raises(NoSuchVersion):
            asking.scores_at(tenant.tenant_id, lead, version=theirs)

    def test_a_lead_that_was_not_known_yet(self, tenant, lead) -> None:
        with pytest.raises(NotKnownThen, match="not known yet"):
            asking.scores_at(tenant.tenant_id, lead, at=self.moments[0] - HOUR)

    def test_nobodys_lead(self, tenant, neighbour, lead) -> None:
        for lead_id in (lead, 2**70):
            with pytest.raises(NotFound, match="There is no such lead"):
                asking.scores_at(neighbour.tenant_id, lead_id)

    def test_an_instant_out_of_reach(self, tenant, lead) -> None:
        with pytest.raises(BadInput, match="between 1970-01-02 and 2200-01-01"):
            asking.scores_at(tenant.tenant_id, lead, at=datetime(2201, 1, 1, tzinfo=UTC))


class TestThisMoment:
    def test_what_expired_a_moment_ago_is_not_shown_any_more(self, tenant, make_lead) -> None:
        publish(tenant.tenant_id, "one", 20)
        soon = datetime.now(UTC) + timedelta(seconds=0.7)
        lead = make_lead(tenant.tenant_id, events=[("page.viewed", soon - HOUR, {"path": "/"})], seen=soon)
        work(tenant.tenant_id)
        assert [score.total for score in asking.scores_now(tenant.tenant_id, lead)] == [3_000]
        time.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()))
        (stored,) = queries.scores_of(tenant.tenant_id, lead)
        (score,) = asking.scores_now(tenant.tenant_id, lead)
        (line,) = asking.list_leads(tenant.tenant_id).items
        assert (stored.total, score.total, score.scored_at, line.total) == (3_000, -2_000, stored.next_change, -2_000)

    def test_what_fades_smoothly_is_of_this_moment(self, tenant, make_lead) -> None:
        document = "{model: smooth, rules: [{id: a, on: page.viewed, points: 1000, fades: {linear: 1h}}]}"
        service.create_model(tenant.tenant_id, document)
        service.publish(tenant.tenant_id, "smooth", by="Ada Example")
        lead = make_lead(tenant.tenant_id, events=[("page.viewed", datetime.now(UTC) - HOUR / 2, {"n": str(uuid4())})])
        work(tenant.tenant_id)
        time.sleep(0.1)
        (stored,) = queries.scores_of(tenant.tenant_id, lead)
        (score,) = asking.scores_now(tenant.tenant_id, lead)
        (line,) = asking.list_leads(tenant.tenant_id).items
        assert stored.total > score.total >= line.total > 0
