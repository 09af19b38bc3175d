"""Drills of loading: pages while people change, cursors, and tokens that end in the middle."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from assay_sdk.auth import OAuth
from assay_sdk.errors import NeedsReconnect
from assay_sdk.limits import LocalLimiter
from assay_sdk.link import Link
from assay_sdk.records import Identifiers
from assay_sdk.source import Cursor, Message
from assay_sdk.testing.examination.bench import Bench, Desk, Item, at_once, fact, facts, names_of, read
from assay_sdk.testing.examination.examinable import NotOffered
from assay_sdk.testing.examination.report import Checks, Impossible
from assay_sdk.testing.local import local_link

#: How often each stream is looked at again after the first load.
_ROUNDS = 2
_HAPPENINGS = 9
_BEGAN = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)


def paging(bench: Bench, checks: Checks) -> None:
    """Loses nobody while people come, change and go between pages."""
    with bench.desk(bench.enough) as desk:
        story = _Story(desk)
        cursors: dict[str, Cursor | None] = {}
        found: list[Item] = []
        pages = 0
        for stream in desk.streams:
            for page in desk.pages(stream):
                pages += 1
                found += desk.understood(desk.messages(page, stream))
                cursors[stream] = page.cursor
                story.happen()
        if not pages:
            raise NotOffered("The source pulls nothing.")
        several = pages > len(desk.streams)
        checks.holds("there are pages", several, f"{bench.enough} people came on one page: raise enough_people.")
        for _ in range(_ROUNDS):
            desk.clock.turn(max(stream.every for stream in desk.source.streams) + timedelta(seconds=1))
            found += desk.understood(desk.load(cursors))
        told = _told(found)
        lost = [ids for ids in desk.offers.people() if not any(name in told for name in names_of(ids))]
        checks.holds("nobody is lost", not lost, f"{len(lost)} people never came, such as {lost[:1]}.")
        if not story.changed:
            checks.skipped.append(("changes arrive", "Nobody can be changed in the simulator."))
        for ids, text in story.changed:
            said = any(text in record for name in names_of(ids) for record in told.get(name, ()))
            checks.holds("changes arrive", said, f"a change to {text!r} was never seen.")


def _told(items: list[Item]) -> dict[str, list[str]]:
    """What is known of each, by every name they go by."""
    told: dict[str, list[str]] = {}
    for item in items:
        ids = getattr(item, "ids", None)
        if isinstance(ids, Identifiers):
            for name in names_of(ids):
                told.setdefault(name, []).append(fact(item))
    return told


class _Story:
    """What happens at the vendor's meanwhile: somebody changes, comes, goes, in turns."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.changed: list[tuple[Identifiers, str]] = []
        self._turns = 0

    def happen(self) -> None:
        if self._turns >= _HAPPENINGS:
            return
        self._turns += 1
        for happening in (self._change, self.desk.offers.add_someone, self._remove):
            try:
                happening()
            except NotOffered:
                continue
        # Now and then two happenings share an instant.
        if self._turns % 2:
            self.desk.clock.turn(timedelta(seconds=1))

    def _change(self) -> None:
        self.changed.append(self.desk.offers.change_someone())

    def _remove(self) -> None:
        gone = names_of(self.desk.offers.remove_someone())
        self.changed = [(ids, text) for ids, text in self.changed if not names_of(ids) & gone]


def cursors(bench: Bench, checks: Checks) -> None:
    """Goes on from any cursor, kept as JSON, in another process, after any crash."""
    with bench.desk(bench.enough) as desk:
        for stream in desk.streams:
            _cursors_of(desk, checks, stream)


def _cursors_of(desk: Desk, checks: Checks, stream: str) -> None:
    whole = _facts(desk, [m for page in desk.pages(stream) for m in desk.messages(page, stream)])
    resumed: set[str] = set()
    cursor: Cursor | None = None
    page = None
    for _ in range(500):
        again = None if page is None else desk.pull(stream, cursor)
        desk.link = _reopened(desk)
        page = desk.pull(stream, cursor)
        found = _facts(desk, desk.messages(page, stream))
        if again is not None:
            before = _facts(desk, desk.messages(again, stream))
            checks.holds("a page again", before == found, f"{stream}: the same cursor gave other records.")
        resumed |= found
        kept = _kept(checks, page.cursor, stream)
        checks.holds("cursors move", kept != cursor or not page.more, f"{stream}: the cursor of a page is its own.")
        if not page.more or (kept == cursor and not page.bodies):
            break
        cursor = kept
    lost = len(whole - resumed)
    checks.holds("nothing is lost by crashes", not lost, f"{stream}: {lost} records of {len(whole)} were lost.")


def _kept(checks: Checks, cursor: Cursor, stream: str) -> Cursor:
    """As the platform keeps it."""
    try:
        kept: Cursor = json.loads(json.dumps(dict(cursor), allow_nan=False))
    except (TypeError, ValueError) as error:
        checks.holds("cursors are JSON", False, f"{stream}: {error}.")
        raise Impossible from None
    checks.holds("cursors are JSON", kept == cursor, f"{stream}: a cursor comes back from JSON as another one.")
    return kept


def _facts(desk: Desk, messages: list[Message]) -> set[str]:
    return facts(item for message in messages for item in read(desk.source, at_once(message, _BEGAN)))


def _reopened(desk: Desk) -> Link:
    """The same connection in another process."""
    other = local_link(
        desk.service,
        desk.app,
        settings=desk.link.settings,
        account=desk.link.account,
        clock=desk.clock,
        # By the desk's clock, which stands still: by the machine's own a pause would never end.
        limiter=LocalLimiter(desk.clock.seconds),
    )
    other.vault = desk.link.vault
    other.note(**desk.link.notes)
    desk.link.http.close()
    return other


def expiry(bench: Bench, checks: Checks) -> None:
    """Renews a token that ends in the middle, once, and loses nothing."""
    auth = bench.service.auth
    if not isinstance(auth, OAuth) or not auth.refreshes:
        raise NotOffered("Its access has no end.")
    with bench.desk(bench.enough) as desk:
        whole = _facts(desk, desk.load())
        for name, ends in (
            ("refused in the middle", desk.simulator.expire_access),
            ("renewed in time", _grow_old(desk)),
        ):
            with checks.part(name):
                _ends(desk, checks, name, ends, whole)
        for grant in desk.simulator.grants:
            grant.revoked = True
        desk.simulator.expire_access()
        checks.raises("taken back", (NeedsReconnect,), lambda: desk.source.pull(desk.link, desk.streams[0], None))


def _grow_old(desk: Desk) -> Callable[[], None]:
    def turn() -> None:
        until = desk.link.vault.read().expires_at
        if until is None:
            raise NotOffered("The vendor doesn't say when a token ends.")
        auth = desk.service.auth
        is_early = isinstance(auth, OAuth) and auth.early is not None
        desk.clock.turn(until - desk.clock.now() + timedelta(seconds=-1 if is_early else 1))

    return turn


def _ends(desk: Desk, checks: Checks, name: str, ends: Callable[[], None], whole: set[str]) -> None:
    began = desk.link.vault.read().renewal
    found: set[str] = set()
    is_over = False
    for stream in desk.streams:
        for page in desk.pages(stream):
            found |= _facts(desk, desk.messages(page, stream))
            if not is_over:
                ends()
                is_over = True
    # Where everything came on the page before.
    desk.pull(desk.streams[0], None)
    renewals = desk.link.vault.read().renewal - began
    checks.holds(name, renewals == 1, f"the token was renewed {renewals} times, not once.")
    lost = len(whole - found)
    checks.holds(f"{name}: nothing lost", not lost, f"{lost} records of {len(whole)} were lost.")
