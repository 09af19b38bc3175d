"""What a tenant keeps: chosen with its consequences told, followed by what is there, and gone when it is past."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import func, select, text

from assay import pipeline
from assay.embedded import Embedded
from assay.intake import partitions
from assay.intake.ids import message_id
from assay.intake.models import Message, Waiting
from assay.intake.queries import find_message
from assay.intake.retention import CLASSES, FOREVER, Kind, RetentionMove, is_longer, is_past
from assay.intake.writer import Received, Writer
from assay.normalise.models import DeadLetter
from assay.profiles import dropping, moving
from assay.profiles.dropping import Forgetting, drop_past
from assay.profiles.models import KeptEvent, KnownAs, SeenEvent
from assay.profiles.moving import AFTERGLOW, drain_moves
from assay.profiles.retention import NotConfirmed, change_retention, get_retention, gone_after
from assay.scoring.models import Due
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def superuser(servers: Embedded) -> Iterator[psycopg.Connection]:
    with psycopg.connect(servers.places.postgres_url("postgres"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def keep_message(connected: None) -> Callable[..., UUID]:
    def make(tenant_id: int, age: timedelta, days: int, *, waits: bool = False, refused: bool = False) -> UUID:
        at = NOW - age
        message = Message(
            tenant_id=tenant_id,
            received_at=at,
            id=message_id(at),
            retention=days,
            source_id=1,
            call="track",
            body=b'{"userId": "u1", "event": "Late"}',
        )
        partitions.make("intake.messages", days, at)
        with tenant_session(tenant_id) as session:
            session.add(message)
            if waits:
                session.add(Waiting(tenant_id=tenant_id, received_at=at, message_id=message.id))
            if refused:
                session.add(
                    DeadLetter(
                        tenant_id=tenant_id,
                        message_id=message.id,
                        position=0,
                        received_at=at,
                        source_id=1,
                        reason="Strange.",
                        excerpt="",
                    )
                )
        return message.id

    return make


@pytest.fixture
def keep_event(make_lead: Callable[..., int]) -> Callable[..., UUID]:
    """An event of a lead; a new one where none is given."""

    def make(tenant_id: int, age: timedelta, days: int, *, lead_id: int | None = None) -> UUID:
        at, id_ = NOW - age, uuid4()
        partitions.make("profiles.events", days, at)
        lead_id = lead_id or make_lead(tenant_id)
        with tenant_session(tenant_id) as session:
            identity_id = session.scalars(
                select(KnownAs.id).where(KnownAs.tenant_id == tenant_id, KnownAs.lead_id == lead_id)
            ).one()
            session.add(
                KeptEvent(
                    tenant_id=tenant_id,
                    id=id_,
                    received_at=at,
                    retention=days,
                    lead_id=lead_id,
                    identity_id=identity_id,
                    type="page.viewed",
                    occurred_at=at,
                    properties={},
                    source_id=1,
                    sender_id=str(id_),
                    known_at=at,
                )
            )
            session.add(SeenEvent(tenant_id=tenant_id, event_id=id_, received_at=at))
        return id_

    return make


def classes_of(tenant_id: int, table: type[Message] | type[KeptEvent]) -> dict[UUID, int]:
    with tenant_session(tenant_id) as session:
        return {
            row.id: row.retention
            for row in session.execute(select(table.id, table.retention).where(table.tenant_id == tenant_id))
        }


def due(tenant_id: int) -> set[int]:
    with tenant_session(tenant_id) as session:
        return set(session.scalars(select(Due.lead_id).where(Due.tenant_id == tenant_id)))


def move_all(tenant_id: int) -> int:
    moved = 0
    while taken := drain_moves(tenant_id):
        moved += taken
    return moved


def later(tenant_id: int, superuser: psycopg.Connection) -> None:
    """As if the last choice had been made a while ago."""
    superuser.execute(
        "UPDATE intake.retention_moves SET started_at = started_at - %s, due_at = now() WHERE tenant_id = %s"
        " AND due_at IS NOT NULL",
        [AFTERGLOW, tenant_id],
    )


@pytest.fixture
def only(superuser: psycopg.Connection) -> None:
    """Nobody else's moves are under way, and nothing is overdue."""
    superuser.execute("DELETE FROM intake.retention_moves")
    for partition in partitions.overdue(datetime.now(UTC)):
        superuser.execute(f"DROP TABLE {partition.child}")


class TestWords:
    @pytest.mark.parametrize(
        ("age", "days", "expected"),
        [
            pytest.param(7 * DAY, 7, True, id="at its end"),
            pytest.param(7 * DAY - timedelta(microseconds=1), 7, False, id="just before"),
            pytest.param(10_000 * DAY, FOREVER, False, id="for ever"),
        ],
    )
    def test_past(self, age: timedelta, days: int, expected: bool) -> None:
        assert is_past(NOW - age, days, NOW) is expected

    @pytest.mark.parametrize(
        ("days", "than", "expected"),
        [(30, 7, True), (7, 30, False), (7, 7, False), (0, 365, True), (365, 0, False), (0, 0, False)],
    )
    def test_longer(self, days: int, than: int, expected: bool) -> None:
        assert is_longer(days, than) is expected

    @pytest.mark.parametrize(
        ("kind", "days", "expected"),
        [("messages", 7, 8), ("messages", 30, 37), ("messages", 90, 97), ("messages", 365, 396), ("events", 365, 396)],
    )
    def test_gone_after(self, kind: Kind, days: int, expected: int) -> None:
        assert gone_after(kind, days) == expected


class TestChange:
    def test_a_new_tenant_keeps_messages_for_a_year_and_events_for_ever(self, tenant: SignedUp) -> None:
        kept = get_retention(tenant.tenant_id)
        assert (kept["messages"].days, kept["messages"].gone_after_days) == (365, 396)
        assert (kept["events"].days, kept["events"].gone_after_days) == (None, None)
        assert kept["messages"].choices == [7, 30, 90, 365, None]
        assert kept["events"].choices == [365, 730, 1095, None]
        assert kept["messages"].progress is None

    @pytest.mark.parametrize(
        ("choice", "field", "accepted"),
        [
            pytest.param({"messages": 8}, "messages_days", "7, 30, 90, 365, or null for ever", id="messages"),
            pytest.param({"events": 7}, "events_days", "365, 730, 1095, or null for ever", id="events"),
            pytest.param({"events": 0}, "events_days", "365, 730, 1095, or null for ever", id="zero"),
            pytest.param({"messages": -7}, "messages_days", "7, 30, 90, 365, or null for ever", id="negative"),
        ],
    )
    def test_no_such_class(self, tenant: SignedUp, choice: dict[Kind, int], field: str, accepted: str) -> None:
        with pytest.raises(BadInput, match=accepted) as caught:
            change_retention(tenant.tenant_id, choice, confirmed=True)
        assert caught.value.field == field

    def test_what_would_be_deleted_is_told_first(
        self, tenant: SignedUp, neighbour: SignedUp, keep_message: Callable[..., UUID], keep_event: Callable[..., UUID]
    ) -> None:
        for age in (1, 40, 50):
            keep_message(tenant.tenant_id, age * DAY, 365)
        keep_message(neighbour.tenant_id, 50 * DAY, 365)
        keep_event(tenant.tenant_id, 400 * DAY, FOREVER)
        with pytest.raises(NotConfirmed) as caught:
            change_retention(tenant.tenant_id, {"messages": 30, "events": 365}, confirmed=False, now=NOW)
        told = caught.value.message
        assert caught.value.code == "confirmation_needed"
        assert (
            f"deletes those received until {NOW - 30 * DAY:%Y-%m-%d %H:%M} UTC, beginning at once: at present 2."
            in told
        )
        assert "between 30 and 37 days after its receipt" in told
        assert "at present 1. Their leads are scored anew without them." in told
        assert get_retention(tenant.tenant_id)["messages"].days == 365

    def test_longer_needs_no_word(self, tenant: SignedUp) -> None:
        change_retention(tenant.tenant_id, {"messages": None}, confirmed=False)
        assert get_retention(tenant.tenant_id)["messages"].days is None

    def test_the_same_moves_nothing(self, tenant: SignedUp) -> None:
        change_retention(tenant.tenant_id, {"messages": 365, "events": None}, confirmed=False)
        assert get_retention(tenant.tenant_id)["messages"].progress is None

    def test_what_comes_is_kept_so_at_once(
        self, tenant: SignedUp, client: object, work_off: Callable[[int], int]
    ) -> None:
        change_retention(tenant.tenant_id, {"messages": 30, "events": 730}, confirmed=True)
        now = datetime.now(UTC)
        id_ = message_id(now)
        body = b'{"userId": "u1", "event": "New", "messageId": "m-new"}'
        Writer().keep(Received(tenant.tenant_id, tenant_source(tenant.tenant_id), id_, now, "track", body))
        work_off(tenant.tenant_id)
        assert classes_of(tenant.tenant_id, Message) == {id_: 30}
        assert list(classes_of(tenant.tenant_id, KeptEvent).values()) == [730]
        assert not any(parent in partitions.strays() and partitions.strays()[parent][0] in (30, 730)
                       for parent in ("intake.messages", "profiles.events"))  # fmt: skip


def tenant_source(tenant_id: int) -> int:
    with tenant_session(tenant_id) as session:
        return int(
            session.execute(
                text("SELECT min(id) FROM tenancy.sources WHERE tenant_id = :t"), {"t": tenant_id}
            ).scalar_one()
        )


class TestMove:
    @pytest.mark.parametrize("days", [days for days in CLASSES["messages"] if days != 365])
    def test_messages_follow_or_go(
        self, tenant: SignedUp, neighbour: SignedUp, keep_message: Callable[..., UUID], days: int
    ) -> None:
        ages = {age: keep_message(tenant.tenant_id, age * DAY, 365, refused=True) for age in (1, 10, 40, 100)}
        theirs = keep_message(neighbour.tenant_id, 100 * DAY, 365)
        change_retention(tenant.tenant_id, {"messages": days or None}, confirmed=True)
        assert move_all(tenant.tenant_id) == 4
        left = {id_ for age, id_ in ages.items() if not is_past(NOW - age * DAY, days, NOW)}
        assert classes_of(tenant.tenant_id, Message) == dict.fromkeys(left, days)
        assert classes_of(neighbour.tenant_id, Message) == {theirs: 365}
        with tenant_session(tenant.tenant_id) as session:
            letters = select(DeadLetter.message_id).where(DeadLetter.tenant_id == tenant.tenant_id)
            assert set(session.scalars(letters)) == left
        progress = get_retention(tenant.tenant_id)["messages"].progress
        assert progress is not None
        assert (progress.moved, progress.deleted) == (len(left), 4 - len(left))

    def test_events_follow_or_go_and_their_leads_are_scored_anew(
        self, tenant: SignedUp, neighbour: SignedUp, make_lead: Callable[..., int], keep_event: Callable[..., UUID]
    ) -> None:
        loses, keeps = make_lead(tenant.tenant_id), make_lead(tenant.tenant_id)
        keep_event(tenant.tenant_id, 500 * DAY, FOREVER, lead_id=loses)
        young = keep_event(tenant.tenant_id, 100 * DAY, FOREVER, lead_id=keeps)
        theirs = keep_event(neighbour.tenant_id, 500 * DAY, FOREVER)
        with tenant_session(tenant.tenant_id) as session:
            session.execute(text("DELETE FROM scoring.due WHERE tenant_id = :t"), {"t": tenant.tenant_id})
        change_retention(tenant.tenant_id, {"events": 365}, confirmed=True)
        assert move_all(tenant.tenant_id) == 2
        assert classes_of(tenant.tenant_id, KeptEvent) == {young: 365}
        assert classes_of(neighbour.tenant_id, KeptEvent) == {theirs: FOREVER}
        assert due(tenant.tenant_id) == {loses}
        with tenant_session(tenant.tenant_id) as session:
            seen = select(func.count()).select_from(SeenEvent).where(SeenEvent.tenant_id == tenant.tenant_id)
            assert session.execute(seen).scalar_one() == 2

    def test_in_small_batches_that_can_be_taken_up_again(
        self, tenant: SignedUp, keep_message: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = {keep_message(tenant.tenant_id, timedelta(hours=hour), 365) for hour in range(7)}
        change_retention(tenant.tenant_id, {"messages": 90}, confirmed=True)
        monkeypatch.setattr(moving, "ROWS", 3)
        assert drain_moves(tenant.tenant_id) == 3
        with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
            broken.setattr(moving, "_delete", lambda *_: 1 / 0)
            drain_moves(tenant.tenant_id)
        assert sorted(classes_of(tenant.tenant_id, Message).values()) == [90] * 3 + [365] * 4
        assert move_all(tenant.tenant_id) == 4
        assert classes_of(tenant.tenant_id, Message) == dict.fromkeys(ids, 90)

    def test_is_over_once_nobody_can_add_to_the_class_before(
        self, tenant: SignedUp, superuser: psycopg.Connection, keep_message: Callable[..., UUID]
    ) -> None:
        change_retention(tenant.tenant_id, {"messages": 90}, confirmed=True)
        assert move_all(tenant.tenant_id) == 0
        progress = get_retention(tenant.tenant_id)["messages"].progress
        assert progress is not None
        assert progress.finished_at is None
        # By a process that had not heard of it yet.
        straggler = keep_message(tenant.tenant_id, timedelta(0), 365)
        later(tenant.tenant_id, superuser)
        assert move_all(tenant.tenant_id) == 1
        assert classes_of(tenant.tenant_id, Message) == {straggler: 90}
        progress = get_retention(tenant.tenant_id)["messages"].progress
        assert progress is not None
        assert progress.finished_at is not None
        with pipeline.timetable_session() as session:
            waiting = session.execute(text(pipeline.RETAIN.waiting), {"at": datetime.now(UTC)}).scalars()
            assert tenant.tenant_id not in set(waiting)

    def test_another_choice_meanwhile_takes_over(self, tenant: SignedUp, keep_message: Callable[..., UUID]) -> None:
        id_ = keep_message(tenant.tenant_id, 60 * DAY, 365)
        change_retention(tenant.tenant_id, {"messages": 90}, confirmed=True)
        drain_moves(tenant.tenant_id)
        change_retention(tenant.tenant_id, {"messages": None}, confirmed=True)
        move_all(tenant.tenant_id)
        assert classes_of(tenant.tenant_id, Message) == {id_: FOREVER}

    def test_what_waits_to_be_understood_stays_until_it_was(
        self,
        tenant: SignedUp,
        superuser: psycopg.Connection,
        keep_message: Callable[..., UUID],
        work_off: Callable[[int], int],
    ) -> None:
        id_ = keep_message(tenant.tenant_id, 60 * DAY, 365, waits=True)
        change_retention(tenant.tenant_id, {"messages": 7}, confirmed=True)
        move_all(tenant.tenant_id)
        assert set(classes_of(tenant.tenant_id, Message)) == {id_}
        later(tenant.tenant_id, superuser)
        move_all(tenant.tenant_id)
        progress = get_retention(tenant.tenant_id)["messages"].progress
        assert progress is not None
        assert progress.finished_at is None
        pipeline.turn("normalise", tenant.tenant_id)
        later(tenant.tenant_id, superuser)
        move_all(tenant.tenant_id)
        assert classes_of(tenant.tenant_id, Message) == {}


class TestDrop:
    def test_messages_go_with_their_dead_letters_and_nothing_else(
        self, only: None, tenant: SignedUp, neighbour: SignedUp, keep_message: Callable[..., UUID]
    ) -> None:
        old = keep_message(tenant.tenant_id, 20 * DAY, 7, refused=True)
        young = keep_message(tenant.tenant_id, 3 * DAY, 7, refused=True)
        theirs = keep_message(neighbour.tenant_id, 20 * DAY, 365, refused=True)
        assert drop_past() >= 1
        assert find_message(tenant.tenant_id, old) is None
        assert classes_of(tenant.tenant_id, Message) == {young: 7}
        assert classes_of(neighbour.tenant_id, Message) == {theirs: 365}
        for who, left in ((tenant, young), (neighbour, theirs)):
            with tenant_session(who.tenant_id) as session:
                letters = select(DeadLetter.message_id).where(DeadLetter.tenant_id == who.tenant_id)
                assert list(session.scalars(letters)) == [left]

    def test_events_go_and_their_leads_are_scored_anew_after_it(
        self,
        only: None,
        tenant: SignedUp,
        neighbour: SignedUp,
        make_lead: Callable[..., int],
        keep_event: Callable[..., UUID],
        superuser: psycopg.Connection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        leads = [make_lead(tenant.tenant_id) for _ in range(3)]
        theirs = make_lead(neighbour.tenant_id)
        for lead in leads[:2]:
            keep_event(tenant.tenant_id, 500 * DAY, 365, lead_id=lead)
        young = keep_event(tenant.tenant_id, 100 * DAY, 365, lead_id=leads[2])
        keep_event(neighbour.tenant_id, 500 * DAY, 365, lead_id=theirs)
        superuser.execute("DELETE FROM scoring.due")
        # While somebody is in the way, nobody is scored anew: the events are still there.
        monkeypatch.setattr(dropping, "TRIES", 1)
        with superuser.transaction():
            superuser.execute("SELECT count(*) FROM profiles.events")
            assert drop_past() == 0
        assert due(tenant.tenant_id) == set()
        monkeypatch.setattr(dropping, "LEADS", 1)
        assert drop_past() >= 1
        assert classes_of(tenant.tenant_id, KeptEvent) == {young: 365}
        assert classes_of(neighbour.tenant_id, KeptEvent) == {}
        assert due(tenant.tenant_id) == set(leads[:2])
        assert due(neighbour.tenant_id) == {theirs}
        with tenant_session(tenant.tenant_id) as session:
            left = select(func.count()).select_from(Forgetting).where(Forgetting.tenant_id == tenant.tenant_id)
            assert session.execute(left).scalar_one() == 0

    def test_an_event_that_is_gone_is_not_counted_anew(
        self, only: None, tenant: SignedUp, work_off: Callable[[int], int], superuser: psycopg.Connection
    ) -> None:
        body = b'{"userId": "u1", "event": "Once", "messageId": "m-once"}'
        writer, source = Writer(), tenant_source(tenant.tenant_id)

        def come() -> None:
            now = datetime.now(UTC)
            writer.keep(Received(tenant.tenant_id, source, message_id(now), now, "track", body))
            work_off(tenant.tenant_id)

        come()
        with superuser.transaction():
            superuser.execute("DELETE FROM profiles.events WHERE tenant_id = %s", [tenant.tenant_id])
        come()
        assert classes_of(tenant.tenant_id, KeptEvent) == {}

    def test_an_event_found_in_a_message_from_before_its_time_is_not_kept(
        self, tenant: SignedUp, work_off: Callable[[int], int], superuser: psycopg.Connection
    ) -> None:
        change_retention(tenant.tenant_id, {"messages": None, "events": 365}, confirmed=True)
        source = tenant_source(tenant.tenant_id)
        for age in (100, 500):
            at = NOW - age * DAY
            with tenant_session(tenant.tenant_id) as session:
                session.add(
                    Message(
                        tenant_id=tenant.tenant_id,
                        received_at=at,
                        id=message_id(at),
                        source_id=source,
                        call="track",
                        body=b'{"userId": "u1", "event": "Late", "messageId": "m-%d"}' % age,
                    )
                )
                session.flush()
                session.execute(
                    text(
                        "INSERT INTO intake.waiting SELECT tenant_id, received_at, id FROM intake.messages"
                        " WHERE tenant_id = :t AND received_at = :at"
                    ),
                    {"t": tenant.tenant_id, "at": at},
                )
        work_off(tenant.tenant_id)
        with tenant_session(tenant.tenant_id) as session:
            kept = session.scalars(select(KeptEvent.sender_id).where(KeptEvent.tenant_id == tenant.tenant_id)).all()
        assert kept == ["m-100"]

    def test_waits_for_who_chose_to_keep_it_longer(
        self, only: None, tenant: SignedUp, neighbour: SignedUp, keep_message: Callable[..., UUID]
    ) -> None:
        for who in (tenant, neighbour):
            change_retention(who.tenant_id, {"messages": 7}, confirmed=True)
            move_all(who.tenant_id)
        saved = keep_message(tenant.tenant_id, 20 * DAY, 7)
        keep_message(neighbour.tenant_id, 20 * DAY, 7)
        change_retention(tenant.tenant_id, {"messages": 90}, confirmed=False)
        drop_past()
        assert find_message(tenant.tenant_id, saved) is not None
        move_all(tenant.tenant_id)
        with tenant_session(tenant.tenant_id) as session:
            move = session.get_one(RetentionMove, (tenant.tenant_id, "messages"))
            move.due_at = None
        drop_past()
        assert classes_of(tenant.tenant_id, Message) == {saved: 90}
        assert classes_of(neighbour.tenant_id, Message) == {}

    def test_what_was_never_understood_is_not_dropped(
        self,
        only: None,
        tenant: SignedUp,
        superuser: psycopg.Connection,
        keep_message: Callable[..., UUID],
    ) -> None:
        change_retention(tenant.tenant_id, {"messages": 7}, confirmed=True)
        waits = keep_message(tenant.tenant_id, 20 * DAY, 7, waits=True)
        keep_message(tenant.tenant_id, 20 * DAY, 7)
        drop_past()
        assert classes_of(tenant.tenant_id, Message) == {waits: FOREVER}
        pipeline.turn("normalise", tenant.tenant_id)
        later(tenant.tenant_id, superuser)
        move_all(tenant.tenant_id)
        assert classes_of(tenant.tenant_id, Message) == {}

    def test_under_concurrent_inserts_nothing_is_lost_but_what_is_past(
        self, only: None, tenant: SignedUp, keep_message: Callable[..., UUID]
    ) -> None:
        change_retention(tenant.tenant_id, {"messages": 7}, confirmed=True)
        for age in range(10, 22, 2):
            keep_message(tenant.tenant_id, age * DAY, 7)
        young = keep_message(tenant.tenant_id, 5 * DAY, 7)
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

        senders = [Thread(target=send) for _ in range(3)]
        for sender in senders:
            sender.start()
        try:
            dropped = 0
            for _ in range(20):
                dropped += drop_past()
                if dropped >= 6 and len(sent) > 20:
                    break
        finally:
            over.set()
            for sender in senders:
                sender.join()
        assert failed == []
        assert dropped >= 6
        assert set(classes_of(tenant.tenant_id, Message)) == {young, *sent}
