import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select

from assay import plugins
from assay.intake.ids import message_id
from assay.intake.models import Message, Waiting
from assay.normalise import Normalised, event_id, service, take
from assay.normalise.queries import list_dead_letters
from assay.normalise.service import replay
from assay_sdk import Event, Identifiers, Misunderstood, Record, Source
from assay_sdk import Message as RawMessage
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.models import Source as SourceRow

Keep = Callable[..., UUID]


@pytest.fixture
def source_id(tenant: SignedUp) -> int:
    with tenant_session(tenant.tenant_id) as session:
        return session.scalars(select(SourceRow.id).where(SourceRow.tenant_id == tenant.tenant_id)).one()


@pytest.fixture
def keep(tenant: SignedUp, source_id: int) -> Keep:
    def keep(items: Sequence[Any] = (), *, body: bytes | None = None, call: str = "batch", source: int = 0) -> UUID:
        now = datetime.now(UTC)
        id_ = message_id(now)
        body = json.dumps({"batch": list(items)}).encode() if body is None else body
        with tenant_session(tenant.tenant_id) as session:
            session.add(
                Message(
                    tenant_id=tenant.tenant_id,
                    received_at=now,
                    id=id_,
                    source_id=source or source_id,
                    call=call,
                    body=body,
                )
            )
            session.add(Waiting(tenant_id=tenant.tenant_id, received_at=now, message_id=id_))
        return id_

    return keep


def track(event: str, **fields: Any) -> dict[str, Any]:
    return {"type": "track", "userId": "u1", "event": event, "messageId": f"m-{event}", **fields}


def taken(tenant: SignedUp, limit: int = 100, **options: int) -> list[Normalised]:
    with tenant_session(tenant.tenant_id) as session:
        return take(session, tenant.tenant_id, limit, **options)


def types(found: list[Normalised]) -> list[str]:
    return [one.record.type for one in found if isinstance(one.record, Event)]


def waiting(tenant: SignedUp) -> int:
    with tenant_session(tenant.tenant_id) as session:
        query = select(func.count()).select_from(Waiting).where(Waiting.tenant_id == tenant.tenant_id)
        return session.execute(query).scalar_one()


class TestTake:
    def test_records_come_with_where_they_came_from(self, tenant: SignedUp, source_id: int, keep: Keep) -> None:
        id_ = keep([track("a"), {"type": "identify", "userId": "u1"}])
        event, identify = taken(tenant)
        assert (event.source_id, event.message_id, event.event_id) == (source_id, id_, event_id(source_id, "m-a"))
        assert identify.event_id is None
        assert event.received_at.tzinfo is not None
        assert waiting(tenant) == 0
        assert taken(tenant) == []

    def test_what_rolls_back_waits_on(self, tenant: SignedUp, keep: Keep) -> None:
        keep([track("a"), {"type": "nonsense"}])
        with pytest.raises(ZeroDivisionError), tenant_session(tenant.tenant_id) as session:
            assert take(session, tenant.tenant_id, 10)
            raise ZeroDivisionError
        assert list_dead_letters(tenant.tenant_id, 10).letters == []
        assert types(taken(tenant)) == ["a"]

    def test_limit_counts_messages_and_the_oldest_come_first(self, tenant: SignedUp, keep: Keep) -> None:
        for name in "abc":
            keep([track(name)])
        assert [types(taken(tenant, 2)), types(taken(tenant, 2)), types(taken(tenant, 2))] == [["a", "b"], ["c"], []]

    def test_bytes_are_bounded_whatever_the_limit(self, tenant: SignedUp, keep: Keep) -> None:
        for name in "abcdef":
            keep([track(name, properties={"text": "x" * 1000})])
        batches = [types(taken(tenant, max_bytes=3000)) for _ in range(2)]
        assert batches == [["a", "b", "c"], ["d", "e", "f"]]

    def test_message_over_the_bytes_still_comes(self, tenant: SignedUp, keep: Keep) -> None:
        keep([track("a")])
        keep([track("b")])
        assert [types(taken(tenant, max_bytes=10)) for _ in range(2)] == [["a"], ["b"]]

    def test_many_small_ones_come_together(self, tenant: SignedUp, keep: Keep) -> None:
        names = [f"e{number:03}" for number in range(service.FIRST_LOOK + 40)]
        for name in names:
            keep([track(name)])
        assert types(taken(tenant, len(names) - 1)) == names[:-1]
        assert types(taken(tenant)) == names[-1:]

    def test_two_at_once_get_different_messages(self, tenant: SignedUp, keep: Keep) -> None:
        for name in "abcd":
            keep([track(name)])
        with tenant_session(tenant.tenant_id) as one, tenant_session(tenant.tenant_id) as other:
            assert types(take(one, tenant.tenant_id, 2)) == ["a", "b"]
            assert types(take(other, tenant.tenant_id, 3)) == ["c", "d"]

    def test_neighbour_gets_nothing(self, tenant: SignedUp, neighbour: SignedUp, keep: Keep) -> None:
        keep([track("a"), 7])
        assert taken(neighbour) == []
        with tenant_session(neighbour.tenant_id) as session:
            assert take(session, tenant.tenant_id, 10) == []
        taken(tenant)
        assert list_dead_letters(neighbour.tenant_id, 10).letters == []

    def test_same_event_in_two_messages_has_one_id(self, tenant: SignedUp, keep: Keep) -> None:
        keep([track("a")])
        keep([track("b"), track("a")])
        ids = [one.event_id for one in taken(tenant)]
        assert ids[0] == ids[2] != ids[1]

    def test_event_without_an_id_gets_the_same_one_each_time(self, tenant: SignedUp, keep: Keep) -> None:
        id_ = keep([track("a", messageId=None), track("b", messageId="")])
        first = taken(tenant)
        replay(tenant.tenant_id, [id_])
        assert taken(tenant) == first
        assert [one.record.sender_id for one in first if isinstance(one.record, Event)] == [f"{id_}/0", f"{id_}/1"]

    def test_dead_letters_alone_do_not_look_like_nothing_waits(self, tenant: SignedUp, keep: Keep) -> None:
        for _ in range(3):
            keep([{"type": "nonsense"}])
        keep([track("a")])
        assert types(taken(tenant, 1)) == ["a"]
        assert len(list_dead_letters(tenant.tenant_id, 10).letters) == 3

    def test_message_whose_partition_was_dropped_is_forgotten(self, tenant: SignedUp, keep: Keep) -> None:
        id_ = keep([track("a")])
        keep([track("b")])
        with tenant_session(tenant.tenant_id) as session:
            session.execute(delete(Message).where(Message.tenant_id == tenant.tenant_id, Message.id == id_))
        assert types(taken(tenant)) == ["b"]
        assert waiting(tenant) == 0


class Clumsy(Source):
    """A partner's plugin on a bad day."""

    name = "clumsy"
    title = "Clumsy"

    def normalise(self, message: RawMessage) -> Iterator[Record | Misunderstood]:
        ids = Identifiers(user_id="u1")
        yield Event(ids, "first", {}, message.received_at, "1")
        match message.body:
            case b"raises":
                raise RuntimeError("it was Monday")
            case b"loops":
                yield from self.normalise(message)
            case b"gives up":
                raise Misunderstood("It makes no sense.", field="all")
            case b"yields a dict":
                yield {}  # type: ignore[misc] # the mistake
            case b"same place":
                yield Misunderstood("one", position=0)
                yield Misunderstood("two", position=0)
            case b"naive":
                yield Event(ids, "second", {}, datetime(2026, 1, 1), "2")  # noqa: DTZ001 # a plugin's mistake
        yield Event(ids, "last", {}, message.received_at, "3")


@pytest.fixture
def clumsy(tenant: SignedUp, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(plugins.installed().sources, "clumsy", Clumsy())
    return add_source(tenant, "clumsy")


def add_source(tenant: SignedUp, plugin: str) -> int:
    with tenant_session(tenant.tenant_id) as session:
        row = SourceRow(tenant_id=tenant.tenant_id, name=plugin, plugin=plugin, created_at=datetime.now(UTC))
        session.add(row)
        session.flush()
        return row.id


class TestPluginFails:
    @pytest.mark.parametrize(
        ("body", "reasons", "records"),
        [
            pytest.param(b"", [], ["first", "last"], id="a good day"),
            pytest.param(
                b"raises",
                [
                    "The plugin clumsy failed on this message, after 1 items: RuntimeError: it was Monday. "
                    "Its author has to mend it; the message is kept."
                ],
                ["first"],
                id="raises",
            ),
            pytest.param(b"gives up", ["It makes no sense."], ["first"], id="gives up"),
            pytest.param(
                b"yields a dict", ["The plugin clumsy gave dict instead of a record."], ["first", "last"], id="a dict"
            ),
            pytest.param(b"same place", ["two", "one"], ["first", "last"], id="two letters of one place"),
            pytest.param(b"naive", ["The instant has no time zone."], ["first", "last"], id="naive instant"),
        ],
    )
    def test_rest_goes_on(
        self, tenant: SignedUp, keep: Keep, clumsy: int, body: bytes, reasons: list[str], records: list[str]
    ) -> None:
        keep(body=body, source=clumsy)
        keep([track("neighbour")])
        assert types(taken(tenant)) == [*records, "neighbour"]
        assert [letter.reason for letter in list_dead_letters(tenant.tenant_id, 10).letters] == reasons

    def test_endless_recursion(self, tenant: SignedUp, keep: Keep, clumsy: int) -> None:
        keep(body=b"loops", source=clumsy)
        keep([track("neighbour")])
        assert types(taken(tenant))[-1] == "neighbour"
        [letter] = list_dead_letters(tenant.tenant_id, 10).letters
        assert "RecursionError" in letter.reason

    def test_plugin_that_is_not_installed(self, tenant: SignedUp, keep: Keep) -> None:
        id_ = keep(body=b"{}", source=add_source(tenant, "absent"))
        assert taken(tenant) == []
        [letter] = list_dead_letters(tenant.tenant_id, 10).letters
        assert letter.reason.startswith("No installed plugin provides the source 'absent'.")
        assert (letter.message_id, letter.excerpt) == (id_, "{}")


class TestReplay:
    def test_mended_message_leaves_no_letter(
        self, tenant: SignedUp, keep: Keep, clumsy: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        id_ = keep(body=b"raises", source=clumsy)
        taken(tenant)
        assert len(list_dead_letters(tenant.tenant_id, 10).letters) == 1
        monkeypatch.setattr(Clumsy, "normalise", lambda self, message: iter(()))
        assert replay(tenant.tenant_id, [id_, message_id(datetime.now(UTC))]) == 1
        taken(tenant)
        assert list_dead_letters(tenant.tenant_id, 10).letters == []

    def test_neighbours_message_is_not_found(self, tenant: SignedUp, neighbour: SignedUp, keep: Keep) -> None:
        assert replay(neighbour.tenant_id, [keep([track("a")])]) == 0


class TestDeadLetters:
    def test_pages_newest_first(self, tenant: SignedUp, keep: Keep) -> None:
        for _ in range(3):
            keep([{"type": "x"}, {"type": "y"}])
        taken(tenant)
        every = list_dead_letters(tenant.tenant_id, 100)
        assert every.next_cursor is None
        assert len(every.letters) == 6
        assert [letter.received_at for letter in every.letters] == sorted(
            (letter.received_at for letter in every.letters), reverse=True
        )
        paged, cursor = [], None
        while True:
            page = list_dead_letters(tenant.tenant_id, 4, cursor)
            paged += page.letters
            cursor = page.next_cursor
            if cursor is None:
                break
        key = [(letter.message_id, letter.position) for letter in every.letters]
        assert [(letter.message_id, letter.position) for letter in paged] == key

    @pytest.mark.parametrize("cursor", ["", "x", "1_2_3", "2026-01-01_00000000-0000-0000-0000-000000000000_1"])
    def test_cursor_of_somebody_else(self, tenant: SignedUp, cursor: str) -> None:
        with pytest.raises(BadInput) as refused:
            list_dead_letters(tenant.tenant_id, 10, cursor)
        assert refused.value.field == "cursor"
