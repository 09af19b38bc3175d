"""Refused messages read again after a mend, or dismissed."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select

from assay import plugins
from assay.intake.ids import message_id
from assay.intake.models import Message, Waiting
from assay.normalise import queries, replaying
from assay.normalise.models import DeadLetter, LetterRound
from assay.normalise.queries import Wanted, list_dead_letters, list_kinds
from assay.normalise.replaying import MessageGone, drain_rounds
from assay.profiles.models import KeptEvent
from assay_sdk import Event, Identifiers, Misunderstood, Record, Source
from assay_sdk import Message as RawMessage
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.errors import Conflict, NotFound
from assay_tenants.models import Source as SourceRow

ADA = "Ada Example"
NOW = datetime.now(UTC)
KIND = "plugin_failed/KeyError"


class Fragile(Source):
    """Fails on bodies that begin with a word of ``broken``, until it is mended."""

    name = "fragile"
    title = "Fragile"

    def __init__(self) -> None:
        self.broken = {b"dark"}

    def normalise(self, message: RawMessage) -> Iterator[Record | Misunderstood]:
        words = message.body.split()
        ids = Identifiers(user_id="u1")
        yield Event(ids, "came.first", {}, message.received_at, f"{words[1].decode()}-first")
        if words[0] in self.broken:
            raise KeyError(words[0].decode())
        if words[0] == b"vague":
            yield Misunderstood("It is vague.", field="all", position=1)
        yield Event(ids, "came.last", {}, message.received_at, f"{words[1].decode()}-last")


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> Fragile:
    source = Fragile()
    monkeypatch.setitem(plugins.installed().sources, "fragile", source)
    return source


Keep = Callable[..., list[UUID]]


@pytest.fixture
def keep(tenant: SignedUp, fragile: Fragile, work_off: Callable[[int], int]) -> Keep:
    """Messages with these words, a second apart from an hour ago on, and read."""
    with tenant_session(tenant.tenant_id) as session:
        row = SourceRow(tenant_id=tenant.tenant_id, name="Fragile", plugin="fragile", created_at=NOW)
        session.add(row)
        session.flush()
        source_id = row.id

    def keep(*words: str) -> list[UUID]:
        ids = []
        with tenant_session(tenant.tenant_id) as session:
            for number, word in enumerate(words):
                at = NOW - timedelta(hours=1) + timedelta(seconds=number)
                id_ = message_id(at)
                body = f"{word} {id_}".encode()
                what = {"tenant_id": tenant.tenant_id, "received_at": at}
                session.add(Message(**what, id=id_, source_id=source_id, call="note", body=body))
                session.add(Waiting(**what, message_id=id_))
                ids.append(id_)
        work_off(tenant.tenant_id)
        return ids

    return keep


def count(tenant: SignedUp, table: type[DeadLetter | KeptEvent | LetterRound]) -> int:
    with tenant_session(tenant.tenant_id) as session:
        query = select(func.count()).select_from(table).where(table.tenant_id == tenant.tenant_id)
        return session.execute(query).scalar_one()


def forget(tenant: SignedUp, id_: UUID) -> None:
    """As retention does."""
    with tenant_session(tenant.tenant_id) as session:
        session.execute(delete(Message).where(Message.tenant_id == tenant.tenant_id, Message.id == id_))


class TestAfterAMend:
    def test_all_of_a_kind_are_understood_and_gone_from_the_list(
        self, tenant: SignedUp, keep: Keep, fragile: Fragile, work_off: Callable[[int], int]
    ) -> None:
        keep("dark", "light", "dark", "dark", "vague")
        assert count(tenant, KeptEvent) == 5 + 2
        fragile.broken = set()
        id_ = replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND)
        work_off(tenant.tenant_id)
        row = queries.get_round(tenant.tenant_id, id_)
        assert (row.state, row.total, row.letters, row.messages, row.gone) == ("done", 3, 3, 3, 0)
        assert (row.started_by, row.finished_at is not None) == (ADA, True)
        assert [letter.kind for letter in list_dead_letters(tenant.tenant_id, 10).letters] == ["field:all/it_is_vague"]
        # What was understood before the failure counts once.
        assert count(tenant, KeptEvent) == 10

    def test_what_still_fails_stays_with_its_new_reason(
        self, tenant: SignedUp, keep: Keep, fragile: Fragile, work_off: Callable[[int], int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        keep("dark", "dark")

        def worse(self: Fragile, message: RawMessage) -> Iterator[Record | Misunderstood]:
            raise RuntimeError("now this")
            yield

        monkeypatch.setattr(Fragile, "normalise", worse)
        replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND)
        work_off(tenant.tenant_id)
        letters = list_dead_letters(tenant.tenant_id, 10).letters
        assert [letter.kind for letter in letters] == ["plugin_failed/RuntimeError"] * 2
        assert "now this" in letters[0].reason

    def test_what_fails_for_the_same_reason_is_read_once_a_round(
        self, tenant: SignedUp, keep: Keep, work_off: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replaying, "MESSAGES", 2)
        keep(*["dark"] * 5)
        id_ = replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND)
        work_off(tenant.tenant_id)
        assert queries.get_round(tenant.tenant_id, id_).messages == 5
        assert list_kinds(tenant.tenant_id)[0].count == 5

    def test_goes_on_where_it_was(
        self, tenant: SignedUp, keep: Keep, fragile: Fragile, work_off: Callable[[int], int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(replaying, "MESSAGES", 2)
        keep(*["dark"] * 5)
        fragile.broken = set()
        id_ = replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND)
        with pytest.raises(ZeroDivisionError), monkeypatch.context() as dying:
            dying.setattr(replaying, "_hand_over", lambda *_: 1 / 0)
            drain_rounds(tenant.tenant_id)
        assert drain_rounds(tenant.tenant_id) == 2
        assert queries.get_round(tenant.tenant_id, id_).messages == 2
        work_off(tenant.tenant_id)
        assert queries.get_round(tenant.tenant_id, id_).messages == 5
        assert count(tenant, KeptEvent) == 10

    def test_waits_while_many_messages_wait(
        self, tenant: SignedUp, keep: Keep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keep("dark", "dark")
        monkeypatch.setattr(replaying, "MESSAGES", 1)
        monkeypatch.setattr(replaying, "MOST_WAITING", 1)
        id_ = replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND)
        assert [drain_rounds(tenant.tenant_id) for _ in range(3)] == [1, 0, 0]
        assert queries.get_round(tenant.tenant_id, id_).state == "running"

    def test_is_not_done_before_the_last_message_is_read(self, tenant: SignedUp, keep: Keep) -> None:
        keep("dark")
        id_ = replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND)
        for _ in range(3):
            drain_rounds(tenant.tenant_id)
        assert queries.get_round(tenant.tenant_id, id_).state == "reading"

    def test_what_is_no_longer_kept_is_told(
        self, tenant: SignedUp, keep: Keep, fragile: Fragile, work_off: Callable[[int], int]
    ) -> None:
        gone, _ = keep("dark", "dark")
        forget(tenant, gone)
        fragile.broken = set()
        id_ = replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND)
        work_off(tenant.tenant_id)
        row = queries.get_round(tenant.tenant_id, id_)
        assert (row.state, row.letters, row.messages, row.gone) == ("done", 2, 1, 1)
        assert [letter.message_id for letter in list_dead_letters(tenant.tenant_id, 10).letters] == [gone]

    def test_the_same_round_is_not_begun_twice(self, tenant: SignedUp, keep: Keep) -> None:
        keep("dark")
        ids = {replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND) for _ in range(2)}
        assert len(ids) == 1

    @pytest.mark.parametrize("kind", ["nothing", "\0"])
    def test_no_such_kind(self, tenant: SignedUp, kind: str) -> None:
        with pytest.raises(NotFound):
            replaying.start(tenant.tenant_id, "replay", by=ADA, kind=kind)

    def test_of_another_source_nothing_happens(self, tenant: SignedUp, keep: Keep) -> None:
        keep("dark")
        with pytest.raises(NotFound):
            replaying.start(tenant.tenant_id, "replay", by=ADA, kind=KIND, source_id=999)


class TestOneMessage:
    def test_is_read_again(
        self, tenant: SignedUp, keep: Keep, fragile: Fragile, work_off: Callable[[int], int]
    ) -> None:
        one, other = keep("dark", "dark")
        fragile.broken = set()
        row = replaying.replay_message(tenant.tenant_id, one, by=ADA)
        work_off(tenant.tenant_id)
        assert queries.get_round(tenant.tenant_id, row.id).state == "done"
        assert [letter.message_id for letter in list_dead_letters(tenant.tenant_id, 10).letters] == [other]
        assert count(tenant, KeptEvent) == 3

    def test_no_longer_kept(self, tenant: SignedUp, keep: Keep) -> None:
        (one,) = keep("dark")
        forget(tenant, one)
        with pytest.raises(MessageGone):
            replaying.replay_message(tenant.tenant_id, one, by=ADA)
        assert count(tenant, LetterRound) == 0

    def test_one_that_was_understood_is_none_of_them(self, tenant: SignedUp, keep: Keep) -> None:
        (one,) = keep("light")
        for act in (replaying.replay_message, replaying.dismiss_message):
            with pytest.raises(NotFound):
                act(tenant.tenant_id, one, by=ADA)

    def test_is_dismissed_and_that_is_on_record(self, tenant: SignedUp, keep: Keep) -> None:
        one, _ = keep("dark", "dark")
        replaying.dismiss_message(tenant.tenant_id, one, by=ADA)
        (row,) = queries.list_rounds(tenant.tenant_id)
        assert (row.action, row.message_id, row.letters, row.started_by) == ("dismiss", one, 1, ADA)
        assert count(tenant, DeadLetter) == 1

    def test_one_item_is_dismissed(self, tenant: SignedUp, keep: Keep) -> None:
        (one,) = keep("vague")
        with pytest.raises(NotFound):
            replaying.dismiss_message(tenant.tenant_id, one, by=ADA, position=7)
        replaying.dismiss_message(tenant.tenant_id, one, by=ADA, position=1)
        assert count(tenant, DeadLetter) == 0

    def test_neighbours_are_out_of_reach(self, tenant: SignedUp, neighbour: SignedUp, keep: Keep) -> None:
        (one,) = keep("dark")
        for act in (replaying.replay_message, replaying.dismiss_message):
            with pytest.raises(NotFound):
                act(neighbour.tenant_id, one, by=ADA)
        assert count(tenant, DeadLetter) == 1


class TestDismissing:
    def test_all_of_a_kind_in_batches(
        self, tenant: SignedUp, keep: Keep, work_off: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replaying, "LETTERS", 2)
        keep(*["dark"] * 5, "vague")
        id_ = replaying.start(tenant.tenant_id, "dismiss", by=ADA, kind=KIND)
        assert drain_rounds(tenant.tenant_id) == 2
        work_off(tenant.tenant_id)
        row = queries.get_round(tenant.tenant_id, id_)
        assert (row.state, row.letters, row.total) == ("done", 5, 5)
        assert count(tenant, DeadLetter) == 1

    def test_can_be_stopped(self, tenant: SignedUp, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replaying, "LETTERS", 2)
        keep(*["dark"] * 5)
        id_ = replaying.start(tenant.tenant_id, "dismiss", by=ADA, kind=KIND)
        drain_rounds(tenant.tenant_id)
        assert replaying.cancel(tenant.tenant_id, id_).state == "cancelled"
        assert drain_rounds(tenant.tenant_id) == 0
        assert count(tenant, DeadLetter) == 3
        with pytest.raises(Conflict):
            replaying.cancel(tenant.tenant_id, id_)


class TestKinds:
    def test_are_counted_the_most_frequent_first(
        self, tenant: SignedUp, keep: Keep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queries, "MOST_COUNTED", 2)
        keep("vague", "dark", "dark", "dark")
        kinds = [(each.kind, each.count, each.has_more) for each in list_kinds(tenant.tenant_id)]
        assert kinds == [(KIND, 2, True), ("field:all/it_is_vague", 1, False)]

    def test_of_a_tenant_without_any(self, tenant: SignedUp, neighbour: SignedUp, keep: Keep) -> None:
        keep("dark")
        assert list_kinds(neighbour.tenant_id) == []

    def test_the_count_of_all_is_bounded(self, tenant: SignedUp, keep: Keep) -> None:
        keep("dark", "dark", "dark")
        assert [queries.count_dead_letters(tenant.tenant_id, most=most) for most in (2, 9)] == [2, 3]

    @pytest.mark.parametrize(("wanted", "found"), [
        pytest.param(Wanted(KIND), 2, id="kind"),
        pytest.param(Wanted("nothing"), 0, id="no such kind"),
        pytest.param(Wanted(source_id=999), 0, id="no such source"),
        pytest.param(Wanted(source_id=2**70), 0, id="beyond bigint"),
        pytest.param(Wanted(since=NOW - timedelta(hours=1) + timedelta(seconds=1)), 2, id="since"),
        pytest.param(Wanted(until=NOW - timedelta(hours=1) + timedelta(seconds=1)), 1, id="until"),
    ])  # fmt: skip
    def test_filters(self, tenant: SignedUp, keep: Keep, wanted: Wanted, found: int) -> None:
        keep("dark", "dark", "vague")
        assert len(list_dead_letters(tenant.tenant_id, 10, wanted=wanted).letters) == found
