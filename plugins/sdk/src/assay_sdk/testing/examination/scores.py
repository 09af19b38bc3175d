"""Drills of what goes back, and of what must stay within: scores that are written, and secrets that are not told."""

import io
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from functools import partial
from typing import Any

from assay_sdk.destination import ScoreUpdate
from assay_sdk.errors import PluginError
from assay_sdk.records import Company, Event, Identifiers, Identify
from assay_sdk.source import Cursor
from assay_sdk.testing.examination.bench import Bench, Desk, Item, events, read
from assay_sdk.testing.examination.examinable import NotOffered
from assay_sdk.testing.examination.report import Checks
from assay_sdk.testing.simulator import RESET

_NOBODY = "987654321987"
_LONG_ENOUGH = 6


def pushing(bench: Bench, checks: Checks) -> None:
    """Writes scores so that twice is as good as once."""
    with bench.desk() as desk:
        updates = desk.updates()
        people = desk.offers.people()[: len(updates)]
        before = len(desk.offers.people())
        for _ in range(2):
            desk.patiently(lambda: desk.destination.prepare(desk.link))
        once = _pushed(desk, checks, updates, people)
        for ids, update, held in zip(people, updates, once, strict=True):
            is_there = any(_is_number(value, update.score) for value in held.values())
            checks.holds("scores are written", is_there, f"{ids} holds {dict(held)!r} instead of {update.score}.")
        desk.clock.turn(timedelta(minutes=1))
        twice = _pushed(desk, checks, updates, people)
        checks.holds("twice is once", once == twice, "the second time something else was written.")
        higher = [desk.update(ids, key=f"k{n}", score=90 + n) for n, ids in enumerate(people)]
        later = _pushed(desk, checks, higher, people)
        is_new = all(any(_is_number(v, u.score) for v in h.values()) for u, h in zip(higher, later, strict=True))
        checks.holds("a later score takes its place", is_new, "the old score is still there.")
        checks.holds("nobody new", len(desk.offers.people()) == before, "pushing scores made contacts.")
        if "vendor_id" in desk.destination.known_by:
            with checks.part("somebody who is gone"):
                _gone(desk, checks, updates[0].vendor_id, people[0])


def _pushed(
    desk: Desk, checks: Checks, updates: Sequence[ScoreUpdate], people: Sequence[Identifiers]
) -> list[dict[str, Any]]:
    receipts = desk.patiently(lambda: desk.destination.push(desk.link, updates))
    keys = sorted(receipt.key for receipt in receipts)
    checks.holds("a receipt for each", keys == sorted(u.key for u in updates), f"receipts came for {keys}.")
    errors = [receipt.error for receipt in receipts if receipt.error or receipt.gone]
    checks.holds("no errors", not errors, f"{errors[:1]}.")
    return [dict(desk.offers.pushed(ids)) for ids in people]


def _is_number(value: Any, score: int) -> bool:
    try:
        return float(str(value)) == score
    except ValueError:
        return False


def _gone(desk: Desk, checks: Checks, vendor_id: str, ids: Identifiers) -> None:
    there = desk.update(ids, key="there", score=77)
    nobody = desk.update(Identifiers(vendor={desk.service.name: _NOBODY}), key="gone", score=78)
    receipts = {r.key: r for r in desk.patiently(lambda: desk.destination.push(desk.link, [nobody, there]))}
    gone = receipts.get("gone")
    is_told = gone is not None and (gone.gone or bool(gone.error))
    checks.holds("somebody who is gone", is_told, "a contact that is not there was written without an error.")
    is_written = any(_is_number(value, 77) for value in desk.offers.pushed(ids).values())
    checks.holds("the others of the batch", is_written, f"{vendor_id} was not written beside one who is gone.")


def loops(bench: Bench, checks: Checks) -> None:
    """Takes nothing for news that it wrote itself."""
    with bench.desk() as desk:
        if desk.service.source is None:
            raise NotOffered("The service has no source.")
        updates = desk.updates()
        pulls = bool(desk.source.streams)
        cursors: dict[str, Cursor | None] = {}
        with checks.part("subscribing"):
            desk.subscribe()
        before = desk.understood(desk.load(cursors)) if pulls else []
        before += desk.understood(desk.arrived())
        known = {(event.type, event.sender_id) for event in events(before)}
        desk.clock.turn(timedelta(minutes=10))
        desk.patiently(lambda: desk.destination.prepare(desk.link))
        desk.patiently(lambda: desk.destination.push(desk.link, updates))
        posted = desk.understood(desk.arrived())
        desk.clock.turn(timedelta(minutes=10))
        pulled = desk.understood(desk.load(cursors)) if pulls else []
        if not pulls and not desk.source.has_hooks:
            raise NotOffered("Nothing comes in.")
        new = sorted({e.type for e in events([*posted, *pulled]) if (e.type, e.sender_id) not in known})
        checks.holds("no event", not new, f"our own writing came back as {', '.join(new)}.")
        own = set(desk.destination.own_fields().values())
        checks.holds("no trait", not _own(posted + pulled, own), f"{_own(posted + pulled, own)[:1]} came back.")


def _own(items: list[Item], own: set[str]) -> list[str]:
    """Names under which something of ours came back."""
    names = {name.lower() for name in own}
    found = []
    for item in items:
        said = (
            item.traits if isinstance(item, Identify | Company) else item.properties if isinstance(item, Event) else {}
        )
        found += [
            name
            for name, value in said.items()
            if name.lower().rpartition(".")[2] in names or "Examined for" in str(value)
        ]
    return found


def secrets(bench: Bench, checks: Checks) -> None:
    """Tells no secret: in logs, errors, records, bodies, cursors and notes."""
    places: dict[str, list[str]] = {name: [] for name in ("logs", "errors", "bodies", "records", "cursors and notes")}
    with bench.desk() as desk, _overhearing() as heard:
        canaries = _secrets_of(desk)
        _work(desk, places)
        canaries |= _secrets_of(desk)
        for kind in (500, 403, 401, RESET):
            desk.simulator.faults.clear()
            desk.simulator.faults.next(kind, times=-1)
            _try(places, lambda: desk.source.pull(desk.link, desk.streams[0], None))
            _try(places, lambda: desk.destination.push(desk.link, desk.updates()))
            desk.clock.turn(timedelta(minutes=5))
        canaries |= _secrets_of(desk)
        places["logs"] += [heard()]
        places["cursors and notes"] += [repr(desk.link), repr(desk.link.notes), repr(desk.link.settings)]
    for place, texts in places.items():
        told = sorted({canaries[value] for value in canaries for text in texts if value in text})
        checks.holds(place, not told, f"{', '.join(told)} can be read there.")


def _work(desk: Desk, places: dict[str, list[str]]) -> None:
    """An ordinary day, written down."""
    if desk.service.source is not None and desk.source.streams:
        cursors: dict[str, Cursor | None] = {}
        messages = desk.load(cursors)
        places["cursors and notes"].append(json.dumps(cursors, default=str))
    else:
        messages = []
    try:
        desk.subscribe()
        for request in desk.hooks():
            messages += desk.accepted(request)
            _try(places, partial(desk.source.verify, desk.offers.tampered(request), desk.app, {}))
    except NotOffered:
        pass
    for message in messages:
        places["bodies"].append(message.body.decode(errors="replace"))
        places["records"] += [repr(item) for item in read(desk.source, message)]
    _try(places, lambda: desk.destination.prepare(desk.link))
    _try(places, lambda: desk.destination.push(desk.link, desk.updates()))


def _try(places: dict[str, list[str]], act: Any) -> None:
    try:
        places["errors"].append(repr(act()))
    except NotOffered:
        pass
    except PluginError as error:
        places["errors"].append(f"{error} {error!r} {vars(error)!r}")
    except Exception as error:  # noqa: BLE001 # other drills judge it; here its text alone matters
        places["errors"].append(f"{error} {error!r}")


def _secrets_of(desk: Desk) -> dict[str, str]:
    """Every secret there is, and what it is called."""
    found = {desk.simulator.client_secret: "client_secret"}
    found |= {value: name for name, value in desk.link.secrets.items() if isinstance(value, str)} if _has(desk) else {}
    found |= {desk.app[each.name]: each.name for each in desk.service.app if each.secret and each.name in desk.app}
    for grant in desk.simulator.grants:
        found |= {grant.access_token: "access_token", grant.refresh_token: "refresh_token"}
    found |= dict.fromkeys(_plain(desk), "")
    return {
        value: name for value, name in found.items() if name and name != "expires_at" and len(value) >= _LONG_ENOUGH
    }


def _has(desk: Desk) -> bool:
    try:
        return bool(desk.link.secrets)
    except PluginError:
        return False


def _plain(desk: Desk) -> set[str]:
    """What lies among the secrets and is none: the account's id, and addresses."""
    if not _has(desk):
        return set()
    stated = {desk.link.account, *desk.link.settings.values()}
    return {v for v in desk.link.secrets.values() if isinstance(v, str) and (v in stated or v.startswith("http"))}


@contextmanager
def _overhearing() -> Iterator[Any]:
    """All that is logged or printed meanwhile."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    wires = logging.getLogger("httpcore")
    wires_level = wires.level
    # What was heard is of the plugin's making; the wire's own diary is for whoever switches it on.
    wires.setLevel(logging.WARNING)
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        with redirect_stdout(stream), redirect_stderr(stream):
            yield stream.getvalue
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        wires.setLevel(wires_level)
