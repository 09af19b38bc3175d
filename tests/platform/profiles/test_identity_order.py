"""Who is whom is a function of links, limits and decisions, whatever the order they come in and whatever was undone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from assay.profiles import deciding, kinship, knowing, leads, limits, resettling
from assay.profiles.matching import Key
from assay.profiles.settling import Graph, Limits, Pair, crowded, pair_of, settle, standing_alone
from assay_sdk import Alias, CoreRecord, Event, Identifiers, Identify
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError
from tests.amount import examples

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LOW = Limits(value=2, device=2)
MOMENTS = st.integers(0, 5).map(lambda number: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number))
USERS = ["u1", "u2", "u3", "u4"]
ADDRESSES = ["ada@acme.test", "bo@acme.test", "test@acme.test"]
DEVICES = ["d1", "d2"]
KEYS: list[Key] = [
    *(("user_id", value) for value in USERS),
    *(("email", value) for value in ADDRESSES),
    *(("anonymous_id", value) for value in DEVICES),
    ("vendor:hubspot", "51"),
]
SOMEBODY = st.builds(
    Identifiers,
    user_id=st.none() | st.sampled_from(USERS),
    email=st.none() | st.sampled_from(ADDRESSES),
    anonymous_id=st.none() | st.sampled_from(DEVICES),
    vendor=st.sampled_from([{}, {}, {}, {"hubspot": "51"}]),
).filter(bool)
RECORDS: st.SearchStrategy[CoreRecord] = st.one_of(
    st.builds(
        Identify,
        ids=SOMEBODY,
        traits=st.dictionaries(st.sampled_from(["title", "name"]), st.sampled_from(["CFO", "Owner"]), max_size=1),
        at=MOMENTS,
    ),
    st.builds(
        Event,
        ids=SOMEBODY,
        type=st.just("page.viewed"),
        properties=st.just({}),
        at=MOMENTS,
        sender_id=st.integers(0, 9).map(str),
    ),
    st.builds(Alias, ids=SOMEBODY, previous=SOMEBODY, at=MOMENTS),
)
QUIET = settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def low_limits() -> Iterator[None]:
    before = limits.current()
    limits.use(LOW)
    yield
    limits.use(before)


@dataclass
class Told:
    """What is on record of a tenant, by which who is whom is decided."""

    links: dict[Pair, datetime] = field(default_factory=dict)
    apart: set[Pair] = field(default_factory=set)
    together: dict[Pair, datetime] = field(default_factory=dict)
    rules: dict[Key, bool] = field(default_factory=dict)


def read(world: Any) -> Told:
    told = Told()
    for row in world.rows("""
        SELECT a.kind, a.value, b.kind AS other_kind, b.value AS other_value, l.since
        FROM profiles.links l
        JOIN profiles.identities a ON a.tenant_id = :t AND a.id = l.left_id
        JOIN profiles.identities b ON b.tenant_id = :t AND b.id = l.right_id
        WHERE l.tenant_id = :t
    """):
        told.links[pair_of((row.kind, row.value), (row.other_kind, row.other_value))] = row.since
    for row in world.rows("""
        SELECT a.kind, a.value, b.kind AS other_kind, b.value AS other_value, p.apart, d.at
        FROM profiles.decided_pairs p
        JOIN profiles.decisions d ON d.tenant_id = :t AND d.id = p.decision_id
        JOIN profiles.identities a ON a.tenant_id = :t AND a.id = p.left_id
        JOIN profiles.identities b ON b.tenant_id = :t AND b.id = p.right_id
        WHERE p.tenant_id = :t ORDER BY d.at
    """):
        pair = pair_of((row.kind, row.value), (row.other_kind, row.other_value))
        if row.apart:
            told.apart.add(pair)
            told.together.pop(pair, None)
        else:
            told.together[pair] = row.at
    for row in world.rows("SELECT kind, value, blocked FROM profiles.value_rules WHERE tenant_id = :t"):
        told.rules[row.kind, row.value] = row.blocked
    return told


def partition(world: Any) -> set[frozenset[Key]]:
    found: dict[int, set[Key]] = {}
    for row in world.rows("SELECT lead_id, kind, value FROM profiles.identities WHERE tenant_id = :t"):
        found.setdefault(row.lead_id, set()).add((row.kind, row.value))
    return {frozenset(members) for members in found.values()}


def expected(world: Any) -> set[frozenset[Key]]:
    told = read(world)
    keys = {key for members in partition(world) for key in members}
    blocked = {key for key, is_blocked in told.rules.items() if is_blocked}
    alone = standing_alone(crowded(told.links, LOW), blocked, told.rules.keys() - blocked)
    return {frozenset(group) for group in settle(keys, Graph(told.links, told.apart, told.together, alone))}


def check(world: Any) -> None:
    """All that has to hold at any time."""
    assert partition(world) == expected(world)
    crowd = {
        (row.kind, row.value)
        for row in world.rows("""
            SELECT i.kind, i.value FROM profiles.crowded c
            JOIN profiles.identities i ON i.tenant_id = :t AND i.id = c.identity_id WHERE c.tenant_id = :t
        """)
    }
    told = read(world)
    blocked = {key for key, is_blocked in told.rules.items() if is_blocked}
    assert crowd - blocked == crowded(told.links, LOW).keys() - blocked
    astray = world.rows("""
        SELECT e.id FROM profiles.events e
        JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
        WHERE e.tenant_id = :t AND e.lead_id <> i.lead_id
    """)
    assert astray == []
    nobody = world.rows("""
        SELECT l.id FROM profiles.leads l WHERE l.tenant_id = :t
        AND NOT EXISTS (SELECT FROM profiles.identities i WHERE i.tenant_id = :t AND i.lead_id = l.id)
    """)
    assert nobody == []
    homeless = world.rows("""
        SELECT i.id FROM profiles.identities i WHERE i.tenant_id = :t
        AND NOT EXISTS (SELECT FROM profiles.leads l WHERE l.tenant_id = :t AND l.id = i.lead_id)
    """)
    assert homeless == []


def batches(draw: st.DrawFn, sent: list[CoreRecord]) -> list[list[CoreRecord]]:
    made: list[list[CoreRecord]] = [[]]
    for each in sent:
        made[-1].append(each)
        if draw(st.booleans()):
            made.append([])
    return made


@st.composite
def retold(draw: st.DrawFn) -> tuple[list[list[CoreRecord]], list[list[CoreRecord]], dict[Key, bool]]:
    sent = draw(st.lists(RECORDS, min_size=4, max_size=16))
    again = draw(st.permutations(sent + draw(st.lists(st.sampled_from(sent), max_size=4))))
    rules = draw(st.dictionaries(st.sampled_from(KEYS), st.booleans(), max_size=2))
    return batches(draw, sent), batches(draw, list(again)), rules


@QUIET
@given(story=retold())
def test_crowds_and_rules_do_not_depend_on_the_order(
    make_world: Callable[[], Any],
    low_limits: None,
    story: tuple[list[list[CoreRecord]], list[list[CoreRecord]], dict[Key, bool]],
) -> None:
    one, other = make_world(), make_world()
    told, shuffled, rules = story
    for key, is_blocked in rules.items():
        deciding.rule(one.tenant_id, key, blocked=is_blocked, by="Ada Example")
    for world, sent in ((one, told), (other, shuffled)):
        for batch in sent:
            world.apply(*batch)
            if world is one:
                check(world)
    for key, is_blocked in rules.items():
        deciding.rule(other.tenant_id, key, blocked=is_blocked, by="Ada Example")
    check(other)
    assert one.state() == other.state()
    assert one.links() == other.links()
    for key in rules:
        for world in (one, other):
            (rule_id,) = world.rows(
                f"SELECT id FROM profiles.value_rules WHERE tenant_id = :t AND kind = '{key[0]}' AND value = '{key[1]}'"
            )
            deciding.forget_rule(world.tenant_id, rule_id.id)
            check(world)
    assert one.state() == other.state()


STEPS = st.one_of(
    st.tuples(st.just("apply"), st.lists(RECORDS, min_size=1, max_size=5)),
    st.tuples(st.just("apply"), st.lists(RECORDS, min_size=1, max_size=5)),
    st.tuples(st.just("rule"), st.tuples(st.sampled_from(KEYS), st.booleans())),
    st.tuples(st.just("forget"), st.none()),
    st.tuples(st.just("apart"), st.tuples(st.sampled_from(KEYS), st.integers(0, 2**20))),
    st.tuples(st.just("join"), st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS))),
    st.tuples(st.just("undo"), st.integers(0, 3)),
    st.tuples(st.just("withdraw"), st.integers(0, 3)),
)


def take(world: Any, step: str, what: Any) -> None:
    """One step; people may be refused, and that changes nothing."""
    tenant_id, ids = world.tenant_id, world.lead_ids()
    if step == "apply":
        world.apply(*what)
    elif step == "rule":
        deciding.rule(tenant_id, what[0], blocked=what[1], by="Ada Example")
    elif step == "forget":
        for row in world.rows("SELECT id FROM profiles.value_rules WHERE tenant_id = :t ORDER BY id LIMIT 1"):
            deciding.forget_rule(tenant_id, row.id)
    elif step == "apart" and what[0][1] in ids:
        (members,) = (members for members in partition(world) if what[0] in members)
        going = {key for place, key in enumerate(sorted(members)) if what[1] >> place & 1}
        deciding.tell_apart(tenant_id, ids[what[0][1]], going, by="Ada Example")
    elif step == "join" and what[0][1] in ids and what[1][1] in ids:
        deciding.join(tenant_id, ids[what[0][1]], ids[what[1][1]], by="Ada Example")
    elif step == "undo":
        for merge in kinship.list_merges(tenant_id).items[what : what + 1]:
            deciding.undo(tenant_id, merge.id, by="Ada Example")
    elif step == "withdraw":
        decisions = world.rows("SELECT id FROM profiles.decisions WHERE tenant_id = :t ORDER BY id DESC")
        for row in decisions[what : what + 1]:
            deciding.withdraw(tenant_id, row.id, by="Ada Example")


def copy_decisions(told: Told, to: Any) -> None:
    """The same decisions, all at once and only now."""
    ids = {(row.kind, row.value): row.id for row in to.rows("SELECT * FROM profiles.identities WHERE tenant_id = :t")}
    with tenant_session(to.tenant_id) as session:
        known_at = knowing.learn(session, to.tenant_id)

        def run(statement: str, **values: Any) -> Any:
            return session.execute(text(statement), {"t": to.tenant_id, **values})

        for pair, at, apart in (
            *((pair, LONG_AGO, True) for pair in told.apart),
            *((pair, at, False) for pair, at in told.together.items()),
        ):
            decision_id = run(
                "INSERT INTO profiles.decisions (tenant_id, apart, at, by, reason, lead_id, other_id)"
                " VALUES (:t, :apart, :at, 'Ada Example', '', 0, 0) RETURNING id",
                apart=apart,
                at=at,
            ).scalar_one()
            left, right = sorted(ids[key] for key in pair)
            run(
                "INSERT INTO profiles.decided_pairs VALUES (:t, :left, :right, :id, :apart)",
                left=left,
                right=right,
                id=decision_id,
                apart=apart,
            )
        for key, blocked in told.rules.items():
            run(
                "INSERT INTO profiles.value_rules (tenant_id, kind, value, blocked, at, by, reason)"
                " VALUES (:t, :kind, :value, :blocked, :at, 'Ada Example', '')",
                kind=key[0],
                value=key[1],
                blocked=blocked,
                at=known_at,
            )
        settled = resettling.resettle(session, to.tenant_id, list(ids.values()), known_at)
        leads.refold(session, to.tenant_id, settled.stale, known_at)


@QUIET
@given(steps=st.lists(STEPS, min_size=3, max_size=14))
def test_whatever_was_decided_in_between(
    make_world: Callable[[], Any], low_limits: None, steps: list[tuple[str, Any]]
) -> None:
    world, fresh = make_world(), make_world()
    for step, what in steps:
        try:
            take(world, step, what)
        except AssayError as refused:
            assert refused.status in (409, 422), refused  # noqa: PT017 # most steps are not refused
        check(world)
    records = [record for step, what in steps if step == "apply" for record in what]
    if records:
        fresh.apply(*reversed(records))
        copy_decisions(read(world), fresh)
    check(fresh)
    assert world.state() == fresh.state()
