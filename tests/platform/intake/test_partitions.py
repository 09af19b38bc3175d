"""Partitions: which will be needed, and that making, mending and dropping them stands in nobody's way."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from time import monotonic
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from assay import pipeline
from assay.embedded import Embedded
from assay.intake import partitions
from assay.intake.ids import message_id
from assay.intake.models import Message
from assay.intake.partitions import Partition, Width
from assay.intake.queries import find_message
from assay.intake.retention import CLASSES, KINDS, PARENTS, Kind, between
from assay.intake.writer import Received, Writer
from assay_tenants import database
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def owner(servers: Embedded) -> Iterator[psycopg.Connection]:
    with psycopg.connect(servers.places.postgres_url("postgres"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def keep(connected: None) -> Callable[..., Message]:
    """A message of a class, as if it had come at an instant."""

    def make(tenant_id: int, at: datetime, days: int, body: bytes = b"{}") -> Message:
        message = Message(
            tenant_id=tenant_id,
            received_at=at,
            id=message_id(at),
            retention=days,
            source_id=1,
            call="track",
            body=body,
        )
        with tenant_session(tenant_id) as session:
            session.add(message)
        return message

    return make


def holding(parent: str, days: int | None, at: datetime) -> Partition | None:
    found = [
        each
        for each in partitions.partitions()
        if each.parent == parent and each.retention == days and each.first <= at < each.last
    ]
    assert len(found) <= 1
    return found[0] if found else None


def place_of(owner: psycopg.Connection, message: Message) -> str:
    row = owner.execute("SELECT tableoid::regclass::text FROM intake.messages WHERE id = %s", [message.id]).fetchone()
    assert row is not None
    return str(row[0])


class TestStarts:
    @pytest.mark.parametrize(
        ("width", "at", "expected"),
        [
            pytest.param("day", "2026-02-28T23:59", ["2026-02-28", "2026-03-01"], id="days over the end of February"),
            pytest.param("week", "2026-11-22T10:00", ["2026-11-16", "2026-11-23"], id="a Sunday is of the week before"),
            pytest.param("week", "2026-11-23T00:00", ["2026-11-23", "2026-11-30"], id="a Monday begins one"),
            pytest.param("month", "2026-01-31T12:00", ["2026-01-01", "2026-02-01", "2026-03-01"], id="a long month"),
            pytest.param("month", "2026-12-31T23:59", ["2026-12-01", "2027-01-01"], id="over the year"),
        ],
    )
    def test_table(self, width: Width, at: str, expected: list[str]) -> None:
        found = partitions.starts(width, datetime.fromisoformat(at).replace(tzinfo=UTC), len(expected))
        assert [f"{start:%Y-%m-%d}" for start in found] == expected

    def test_the_database_cuts_alike(self, connected: None) -> None:
        with database.engine().connect() as connection:
            for kind, parent in PARENTS.items():
                for days in range(-1, 1100):
                    width = connection.execute(
                        text("SELECT public.assay_partition_width(:p, CAST(:d AS smallint))"), {"p": parent, "d": days}
                    ).scalar_one()
                    assert width == CLASSES[kind].get(days), (kind, days)


class TestMake:
    @pytest.mark.parametrize("days", CLASSES["messages"])
    def test_holds_its_instant_and_is_made_once(self, connected: None, days: int) -> None:
        at = NOW - 200 * DAY
        assert partitions.make("intake.messages", days, at) == "made"
        made = holding("intake.messages", days, at)
        assert made is not None
        assert made.first == partitions.starts(CLASSES["messages"][days], at, 1)[0]
        assert partitions.make("intake.messages", days, at) == "there"

    @pytest.mark.parametrize(
        ("parent", "days", "at", "said"),
        [
            pytest.param("intake.messages", 8, NOW, "there is no class 8", id="no such class"),
            pytest.param("intake.waiting", 7, NOW, "there is no class 7 of intake.waiting", id="no such table"),
            pytest.param("intake.messages; DROP TABLE x", 7, NOW, "there is no class", id="no table at all"),
            pytest.param("scoring.score_history", 0, NOW, "there is no class 0", id="history has no classes"),
            pytest.param("intake.messages", 7, datetime(1969, 1, 1, tzinfo=UTC), "is not made", id="before time"),
            pytest.param("intake.messages", 7, NOW + 5000 * DAY, "is not made", id="far ahead"),
        ],
    )
    def test_refuses(self, connected: None, parent: str, days: int, at: datetime, said: str) -> None:
        with pytest.raises(DBAPIError, match=said):
            partitions.make(parent, days, at)

    def test_what_will_be_needed_is_at_hand(self, tenant: SignedUp) -> None:
        pipeline.make_partitions()
        for at in (NOW, NOW + 28 * DAY):
            assert holding("intake.messages", 365, at)
            assert holding("intake.messages", 0, at)
            assert holding("profiles.events", 0, at)
            assert holding("scoring.score_history", None, at)

    def test_of_a_class_that_somebody_uses_too(self, tenant: SignedUp) -> None:
        with tenant_session(tenant.tenant_id) as session:
            session.execute(text("UPDATE tenancy.tenants SET keep_messages = 7 WHERE id = :t"), {"t": tenant.tenant_id})
        pipeline.make_partitions()
        assert all(holding("intake.messages", 7, NOW + step * DAY) for step in range(11))

    def test_is_made_while_somebody_reads_and_writes(
        self, tenant: SignedUp, servers: Embedded, keep: Callable[..., Message]
    ) -> None:
        keep(tenant.tenant_id, NOW, 365)
        with psycopg.connect(servers.places.postgres_url("postgres")) as busy:
            # As an insert into its own partition, and a look-up that names class and time.
            busy.execute(f"SELECT * FROM intake.messages WHERE retention = 365 AND received_at = '{NOW}'")
            busy.execute("INSERT INTO tenancy.tenants (name, created_at) VALUES ('Busy', now())")
            assert partitions.make("intake.messages", 30, NOW - 300 * DAY) == "made"
            busy.rollback()

    def test_gives_way_to_who_holds_the_default_partition(self, connected: None, servers: Embedded) -> None:
        with psycopg.connect(servers.places.postgres_url("postgres")) as busy:
            busy.execute("SELECT count(*) FROM intake.messages")
            started = monotonic()
            assert partitions.make("intake.messages", 30, NOW - 400 * DAY) == "busy"
            assert monotonic() - started < 2
            busy.rollback()
        assert holding("intake.messages", 30, NOW - 400 * DAY) is None
        assert partitions.make("intake.messages", 30, NOW - 400 * DAY) == "made"


class TestMend:
    def test_rows_that_found_none_move_to_theirs(
        self, tenant: SignedUp, owner: psycopg.Connection, keep: Callable[..., Message]
    ) -> None:
        at = NOW - 500 * DAY
        kept = [keep(tenant.tenant_id, at + timedelta(seconds=second), 90, b"%d" % second) for second in range(5)]
        assert place_of(owner, kept[0]) == "intake.messages_default"
        assert partitions.strays()["intake.messages"][0] is not None
        while partitions.mend():
            pass
        place = holding("intake.messages", 90, at)
        assert place is not None
        assert {place_of(owner, message) for message in kept} == {place.child}
        found = find_message(tenant.tenant_id, kept[3].id)
        assert found is not None
        assert found.body == b"3"

    def test_a_partition_missing_at_midnight_loses_nothing(
        self, tenant: SignedUp, owner: psycopg.Connection, keep: Callable[..., Message]
    ) -> None:
        """Rows come at full speed into a time that nobody made a partition for; it is made under them."""
        with tenant_session(tenant.tenant_id) as session:
            session.execute(
                text("UPDATE tenancy.tenants SET keep_messages = 30 WHERE id = :t"), {"t": tenant.tenant_id}
            )
        here = holding("intake.messages", 30, NOW)
        if here is not None:
            owner.execute(f"DROP TABLE {here.child}")
        writer, over, sent, failed = Writer(), Event(), [], []

        def send() -> None:
            while not over.is_set():
                now = datetime.now(UTC)
                message = Received(tenant.tenant_id, 1, message_id(now), now, "track", b"{}")
                try:
                    writer.keep(message)
                    sent.append(message.id)
                except Exception as error:  # noqa: BLE001 # counted below
                    failed.append(error)

        sender = Thread(target=send)
        sender.start()
        try:
            deadline = monotonic() + 30
            while monotonic() < deadline:
                partitions.mend()
                if len(sent) > 50 and "intake.messages" not in partitions.strays():
                    break
        finally:
            over.set()
            sender.join()
        assert failed == []
        assert "intake.messages" not in partitions.strays()
        rows = owner.execute(
            "SELECT tableoid::regclass::text, count(*) FROM intake.messages WHERE tenant_id = %s GROUP BY 1",
            [tenant.tenant_id],
        ).fetchall()
        assert sum(count for _, count in rows) == len(sent)
        assert "intake.messages_default" not in dict(rows)

    def test_very_many_move_in_portions(
        self, tenant: SignedUp, owner: psycopg.Connection, keep: Callable[..., Message]
    ) -> None:
        at = datetime(2020, 3, 1, tzinfo=UTC)
        owner.execute(
            "INSERT INTO intake.messages (tenant_id, received_at, id, retention, source_id, call, body)"
            " SELECT %s, %s::timestamptz + n * interval '1 ms', gen_random_uuid(), 365, 1, 'track', '{}'"
            " FROM generate_series(1, 120000) n",
            [tenant.tenant_id, at],
        )
        while partitions.mend():
            pass
        places = owner.execute(
            "SELECT tableoid::regclass::text, count(*) FROM intake.messages"
            " WHERE tenant_id = %s AND received_at < '2020-04-01Z' GROUP BY 1 ORDER BY 2",
            [tenant.tenant_id],
        ).fetchall()
        assert [count for _, count in places] == [20_000, 50_000, 50_000]
        bounds = sorted((each.first, each.last) for each in partitions.partitions() if each.child in dict(places))
        assert bounds[0][0] == at
        assert bounds[-1][1] == datetime(2020, 4, 1, tzinfo=UTC)
        assert [last for _, last in bounds[:-1]] == [first for first, _ in bounds[1:]]


class TestDrop:
    def test_only_what_is_past(self, connected: None, owner: psycopg.Connection) -> None:
        partitions.make("intake.messages", 7, NOW)
        young = holding("intake.messages", 7, NOW)
        assert young is not None
        with pytest.raises(DBAPIError, match="is kept until"):
            partitions.drop(young)

    @pytest.mark.parametrize(
        "child",
        [
            "intake.messages_default",
            "intake.waiting",
            "tenancy.tenants",
            "profiles.events_0_20261201",
            "x; DROP TABLE y",
        ],
    )
    def test_nothing_that_has_no_end(self, connected: None, child: str) -> None:
        with pytest.raises(DBAPIError, match="no partition that has an end"):
            partitions.drop(Partition("intake.messages", child, 7, NOW, NOW))

    def test_gives_up_before_anybody_waits_and_succeeds_later(
        self, tenant: SignedUp, servers: Embedded, keep: Callable[..., Message]
    ) -> None:
        at = NOW - 800 * DAY
        partitions.make("intake.messages", 7, at)
        old = holding("intake.messages", 7, at)
        assert old is not None
        writer = Writer()
        with psycopg.connect(servers.places.postgres_url("postgres")) as busy:
            busy.execute("SELECT count(*) FROM intake.messages")
            assert not partitions.drop(old)
            now = datetime.now(UTC)
            writer.keep(Received(tenant.tenant_id, 1, message_id(now), now, "track", b"{}"))
            busy.rollback()
        assert partitions.drop(old)
        assert holding("intake.messages", 7, at) is None

    def test_the_application_may_not_do_it_by_hand(self, tenant: SignedUp) -> None:
        with pytest.raises(ProgrammingError, match="must be owner"), tenant_session(tenant.tenant_id) as session:
            session.execute(text("DROP TABLE intake.messages_default"))

    def test_whose_rows_they_are_is_told_through_the_timetables_door_alone(
        self, tenant: SignedUp, neighbour: SignedUp, keep: Callable[..., Message]
    ) -> None:
        at = NOW - 900 * DAY
        partitions.make("intake.messages", 90, at)
        for who in (tenant, neighbour, neighbour):
            keep(who.tenant_id, at, 90)
        place = holding("intake.messages", 90, at)
        assert place is not None
        assert partitions.tenants_in(place) == sorted([tenant.tenant_id, neighbour.tenant_id])
        with pytest.raises(ProgrammingError, match="permission denied"), tenant_session(tenant.tenant_id) as session:
            session.execute(text("SELECT public.assay_tenants_in(:c)"), {"c": place.child})


class TestLookUp:
    @pytest.mark.parametrize("kind", KINDS)
    def test_by_id_and_time_few_partitions_are_opened(self, tenant: SignedUp, kind: Kind) -> None:
        for days in CLASSES[kind]:
            for age in (0, 40, 80):
                partitions.make(PARENTS[kind], days, NOW - age * DAY)
        with tenant_session(tenant.tenant_id) as session:
            plan = session.execute(
                text(f"EXPLAIN SELECT * FROM ({between(kind, '*')}) m WHERE m.id = gen_random_uuid()"),
                {"tenant_id": tenant.tenant_id, "first": NOW, "last": NOW + timedelta(milliseconds=1)},
            ).scalars()
            opened = [line for line in plan if "Scan" in line and "Bitmap Index" not in line]
        total = sum(each.parent == PARENTS[kind] for each in partitions.partitions())
        # One of each class, and the default one for each that has none.
        assert len(opened) <= 2 * len(CLASSES[kind]) < total

    @pytest.mark.parametrize("days", CLASSES["messages"])
    def test_found_in_each_class(
        self, tenant: SignedUp, neighbour: SignedUp, keep: Callable[..., Any], days: int
    ) -> None:
        message = keep(tenant.tenant_id, NOW - 3 * DAY, days, b"here")
        found = find_message(tenant.tenant_id, message.id)
        assert found is not None
        assert found.body == b"here"
        assert find_message(neighbour.tenant_id, message.id) is None
