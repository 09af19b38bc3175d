"""A representative's insight as a fact: it counts, expires, is withdrawn, and goes where the lead goes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from assay import facts
from assay.normalise import Normalised, event_id, find_fault
from assay.normalise.queries import list_dead_letters
from assay.profiles import queries as profiles
from assay.profiles import service as profiles_service
from assay.scoring import jobs, judgements, queries, rescore_jobs, service
from assay.scoring.errors import NoSuchJudgement
from assay_sdk import Alias, Event, Identifiers, Identify
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
#: 94 points for an owner.
MODEL = """
model: {name}
{more}
rules: [{{id: owner, when: {{trait: title, is: Owner}}, points: 94}}]
"""


@pytest.fixture
def publish_model(tenant) -> Callable[..., None]:
    def make(name: str = "sample", more: str = "") -> None:
        service.create_model(tenant.tenant_id, MODEL.format(name=name, more=more))
        service.publish(tenant.tenant_id, name, by="Ada Example")

    return make


@pytest.fixture
def owner(tenant, make_lead) -> int:
    return make_lead(tenant.tenant_id, traits={"title": "Owner"})


@pytest.fixture
def judge(tenant, owner) -> Callable[..., judgements.Judgement]:
    def record(points: int = 15_000, **options: object) -> judgements.Judgement:
        options = {"reason": "They called me", "by": "Rita Example", **options}
        return judgements.record(tenant.tenant_id, owner, points=points, **options)

    return record


def totals(tenant_id: int, lead_id: int) -> dict[str, int]:
    """As stored, once everything due is scored."""
    while jobs.drain_due(tenant_id) or rescore_jobs.drain_rescores(tenant_id):
        pass
    return {score.model: score.total for score in queries.scores_of(tenant_id, lead_id)}


class TestRecord:
    def test_counts_until_it_is_withdrawn(self, tenant, owner, publish_model, judge) -> None:
        publish_model()
        assert totals(tenant.tenant_id, owner) == {"sample": 94_000}
        made = judge(15_000)
        assert totals(tenant.tenant_id, owner) == {"sample": 109_000}
        why = service.explain_lead(tenant.tenant_id, owner, "sample")
        assert sum(part.points for part in why.parts) == why.raw == 109_000
        judgements.withdraw(tenant.tenant_id, owner, made.key, by="Rita Example")
        assert totals(tenant.tenant_id, owner) == {"sample": 94_000}

    def test_of_one_model_counts_there_alone(self, tenant, owner, publish_model, judge) -> None:
        publish_model("one")
        publish_model("other")
        publish_model("deaf", "judgements: false")
        judge(5_000)
        judge(-1_500, model="one")
        assert totals(tenant.tenant_id, owner) == {"one": 97_500, "other": 99_000, "deaf": 94_000}

    def test_expires_at_its_instant(self, tenant, owner, publish_model, judge) -> None:
        publish_model()
        until = datetime.now(UTC) + 3 * DAY
        judge(15_000, expires_at=until)
        totals(tenant.tenant_id, owner)
        (score,) = queries.scores_of(tenant.tenant_id, owner)
        assert (score.total, score.next_change) == (109_000, until)
        for at, total in ((until - timedelta(microseconds=1), 109_000), (until, 94_000)):
            assert service.explain_lead(tenant.tenant_id, owner, "sample", at=at).total == total

    def test_is_no_activity_of_the_person(self, tenant, owner, judge) -> None:
        before = profiles.get_lead(tenant.tenant_id, owner)
        judge()
        after = profiles.get_lead(tenant.tenant_id, owner)
        assert (before.last_seen_at, before.identities) == (after.last_seen_at, after.identities)

    def test_tells_that_the_lead_changed(self, tenant, judge) -> None:
        heard: list[facts.Fact] = []
        facts.listen(heard.append)
        try:
            judge()
        finally:
            facts.stop_listening(heard.append)
        assert heard == [facts.LeadsChanged(tenant.tenant_id)]

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            pytest.param({"points": 0}, "points", id="nought"),
            pytest.param({"points": 1_000_001}, "points", id="too many"),
            pytest.param({"points": -1_000_001}, "points", id="too few"),
            pytest.param({"reason": "  "}, "reason", id="no reason"),
            pytest.param({"reason": "x" * 501}, "reason", id="a long reason"),
            pytest.param({"reason": "a\x00b"}, "reason", id="NUL"),
            pytest.param({"reason": "a\ud800b"}, "reason", id="half a character"),
            pytest.param({"model": "missing"}, "model", id="no such model"),
            pytest.param({"model": "sam\x00ple"}, "model", id="a name that can't be stored"),
            pytest.param({"expires_at": T0}, "expires_at", id="in the past"),
        ],
    )
    def test_refuses(self, tenant, owner, judge, options, field) -> None:
        with pytest.raises(BadInput) as refused:
            judge(**options)
        assert refused.value.field == field
        assert judgements.list_judgements(tenant.tenant_id, owner) == []

    @pytest.mark.parametrize("points", [1_000_000, -1_000_000, 1, -6_667])
    def test_takes_what_is_allowed_to_the_thousandth(self, tenant, owner, publish_model, judge, points) -> None:
        publish_model()
        judge(points)
        assert judgements.list_judgements(tenant.tenant_id, owner)[0].points == points
        assert totals(tenant.tenant_id, owner) == {"sample": 94_000 + points}

    def test_a_lead_must_be_there(self, tenant, neighbour, owner) -> None:
        for tenant_id, lead_id in ((tenant.tenant_id, 2**62), (neighbour.tenant_id, owner)):
            with pytest.raises(NotFound):
                judgements.record(tenant_id, lead_id, points=1_000, reason="x", by="Eve Example")


class TestWithdraw:
    def test_stays_on_record(self, tenant, owner, judge) -> None:
        made = judge()
        gone = judgements.withdraw(tenant.tenant_id, owner, made.key, by="Grace Example")
        again = judgements.withdraw(tenant.tenant_id, owner, made.key, by="Eve Example")
        assert again == gone
        (kept,) = judgements.list_judgements(tenant.tenant_id, owner)
        assert (kept.withdrawn_by, kept.state(datetime.now(UTC))) == ("Grace Example", "withdrawn")

    def test_only_what_is_there(self, tenant, owner, judge) -> None:
        with pytest.raises(NoSuchJudgement):
            judgements.withdraw(tenant.tenant_id, owner, "none", by="Ada Example")

    def test_the_past_keeps_what_counted_then(self, tenant, owner, publish_model, judge) -> None:
        publish_model()
        made = judge()
        between = datetime.now(UTC)
        judgements.withdraw(tenant.tenant_id, owner, made.key, by="Ada Example")
        assert service.explain_lead(tenant.tenant_id, owner, "sample", at=between).total == 109_000
        assert service.explain_lead(tenant.tenant_id, owner, "sample").total == 94_000


class TestReadPoints:
    @pytest.mark.parametrize(
        ("written", "points"),
        [("15", 15_000), (" -7.5 ", -7_500), ("−2", -2_000), (0.001, 1), (6.667, 6_667), (1e2, 100_000)],
    )
    def test_takes_numbers(self, written, points) -> None:
        assert judgements.read_points(written) == points

    @pytest.mark.parametrize(
        "written",
        ["", "ten", "1.2345", True, None, [], float("nan"), float("inf"), "1e999999999", "1e999999999999999999999"],
    )
    def test_refuses_what_is_none(self, written) -> None:
        with pytest.raises(BadInput):
            judgements.read_points(written)


class TestMerging:
    def test_goes_where_the_lead_goes(self, tenant, publish_model) -> None:
        publish_model()

        def apply(*records) -> set[int]:
            with tenant_session(tenant.tenant_id) as session:
                return profiles_service.apply(
                    session,
                    tenant.tenant_id,
                    [Normalised(record, 1, None, T0, event_id(1, str(index))) for index, record in enumerate(records)],
                )

        one, other = Identifiers(user_id="u-1"), Identifiers(user_id="u-2")
        (first,) = apply(Identify(one, {"title": "Owner"}, T0))
        (second,) = apply(Identify(other, {"title": "Clerk"}, T0 - DAY))
        made = judgements.record(tenant.tenant_id, second, points=15_000, reason="Met them", by="Rita Example")
        apply(Alias(one, other, T0))
        (merged,) = (lead_id for lead_id in (first, second) if _is_there(tenant.tenant_id, lead_id))
        assert totals(tenant.tenant_id, merged) == {"sample": 109_000}
        judgements.withdraw(tenant.tenant_id, merged, made.key, by="Rita Example")
        assert totals(tenant.tenant_id, merged) == {"sample": 94_000}


def _is_there(tenant_id: int, lead_id: int) -> bool:
    try:
        profiles.get_lead(tenant_id, lead_id)
    except NotFound:
        return False
    return True


@pytest.mark.parametrize("type_", ["assay.judgement", "assay.judgement_withdrawn", "assay.anything"])
def test_nobody_outside_states_facts_of_ours(type_) -> None:
    fault = find_fault(Event(Identifiers(user_id="u-1"), type_, {}, T0, "1"), received_at=T0)
    assert fault is not None
    assert (fault.field, fault.message) == (
        "type",
        "Only Assay states events of types beginning with assay.; rename it.",
    )


def test_words_that_only_begin_alike_are_free() -> None:
    assert find_fault(Event(Identifiers(user_id="u-1"), "assayed.ore", {}, T0, "1"), received_at=T0) is None


def test_what_outsiders_send_as_ours_is_a_dead_letter(client, tenant, work_off) -> None:
    forged = {"judgement": "x", "points": 500, "reason": "Trust me", "by": "Ada Example"}
    batch = [
        {"type": "track", "messageId": "m1", "userId": "u1", "event": "assay.judgement", "properties": forged},
        {"type": "track", "messageId": "m2", "userId": "u1", "event": "Demo Requested"},
    ]
    answer = client.post("/v1/batch", json={"batch": batch}, auth=(tenant.write_key, ""))
    assert answer.status_code == 200
    work_off(tenant.tenant_id)
    (letter,) = list_dead_letters(tenant.tenant_id, 10).letters
    assert (letter.position, letter.reason) == (
        0,
        "Only Assay states events of types beginning with assay.; rename it.",
    )
