"""Drills of webhooks: whose they are, that they come twice, and that their secret changes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from assay_sdk.errors import PluginError, Refused, Stale
from assay_sdk.source import Delivery, Request
from assay_sdk.testing.examination.bench import Bench, Desk, Item, events, facts, names_of, read
from assay_sdk.testing.examination.examinable import NotOffered
from assay_sdk.testing.examination.report import Checks, told

LARGEST_BODY = 1_000_000
_TELLING = 4


def signatures(bench: Bench, checks: Checks) -> None:
    """Takes what the vendor signed, and nothing else."""
    with bench.desk() as desk:
        desk.subscribe()
        for request in desk.hooks():
            _one(desk, checks, request)
        tolerance = desk.offers.tolerance
        if tolerance is None:
            checks.skipped.append(("signed too long ago", "The vendor signs no instant."))
            return
        now = desk.clock.now()
        for name, age, is_good in (
            ("signed just in time", tolerance - timedelta(seconds=1), True),
            ("signed too long ago", tolerance + timedelta(seconds=1), False),
        ):
            request = replace(desk.hooks(signed_at=now - age)[0], received_at=now)
            if is_good:
                with checks.part(name):
                    desk.source.verify(request, desk.app, desk.hook_secrets)
                    checks.holds(name, truth=True, otherwise="")
            else:
                checks.raises(name, (Stale,), partial(desk.source.verify, request, desk.app, desk.hook_secrets))


def _one(desk: Desk, checks: Checks, request: Request) -> None:
    offers, source, app, secrets = desk.offers, desk.source, desk.app, desk.hook_secrets
    with checks.part("right"):
        source.verify(request, app, secrets)
        checks.holds("right", truth=True, otherwise="")
    for name, forged in (
        ("one byte changed", offers.tampered),
        ("missing", offers.unsigned),
        ("letters that no signature has", offers.garbled),
    ):
        with checks.part(name):
            other = forged(request)
            checks.raises(name, (Refused,), partial(source.verify, other, app, secrets))
    with checks.part("another's key"):
        others_app = {name: f"x{value}" if _is_secret(desk, name) else value for name, value in app.items()}
        others = {name: f"x{value}" if isinstance(value, str) else value for name, value in secrets.items()}
        checks.raises("another's key", (Refused,), lambda: source.verify(request, others_app, others))
    with checks.part("no key at all"):
        none = {name: "" if _is_secret(desk, name) else value for name, value in app.items()}
        checks.raises("no key at all", (Refused,), lambda: source.verify(request, none, {}))


def _is_secret(desk: Desk, name: str) -> bool:
    stated = {setting.name: setting.secret for setting in desk.service.app}
    return stated.get(name, False) or "secret" in name


def splitting(bench: Bench, checks: Checks) -> None:
    """Gives each account its own part of what is posted, and nobody another's."""
    with bench.desk() as desk:
        desk.subscribe()
        accounts = list(desk.simulator.accounts()) if desk.source.shared_address else [desk.account]
        bodies: dict[str, list[bytes]] = {}
        for request in _mixed(desk, accounts):
            for part in desk.source.split(request):
                if not _is_fit(checks, part, accounts, shared=desk.source.shared_address):
                    continue
                bodies.setdefault(part.account or desk.account, []).append(part.body)
        for account in accounts:
            checks.holds("everybody's part is there", account in bodies, f"nothing came for the account {account!r}.")
        for account, parts in bodies.items():
            others = {body for other, theirs in bodies.items() if other != account for body in theirs}
            checks.holds("no body goes to two", not others & set(parts), f"{account!r} and another got the same body.")
            for other in set(accounts) - {account}:
                is_there = any(_mentions(body, other) for body in parts)
                checks.holds("no part names another", not is_there, f"{account!r} got what belongs to {other!r}.")
        for name, body in (("empty body", b""), ("no JSON", b"\xff{")):
            with checks.part("what can't be split"):
                request = Request("POST", desk.url, {}, body, desk.clock.now())
                _harmless(checks, name, partial(_split, desk, request))


def _mixed(desk: Desk, accounts: list[str]) -> list[Request]:
    requests = list(desk.offers.mixed(accounts, url=desk.url, signed_at=desk.clock.now()))
    if not requests:
        raise NotOffered("The simulator posts nothing.")
    return requests


def _is_fit(checks: Checks, part: Delivery, accounts: list[str], *, shared: bool) -> bool:
    is_known = part.account in accounts or (not shared and part.account == "")
    checks.holds("accounts are the vendor's", is_known, f"a part is said to be of the account {part.account!r}.")
    is_small = len(part.body) <= LARGEST_BODY
    checks.holds("bodies can be kept", is_small, f"a part has {len(part.body):,} bytes; at most 1,000,000 are kept.")
    return is_known


def _mentions(body: bytes, account: str) -> bool:
    """Whether an account's id stands in a body as a value of its own; short ones may be anything."""
    if len(account) < _TELLING:
        return False
    try:
        return any(str(leaf) == account for leaf in _leaves(json.loads(body)))
    except (ValueError, RecursionError):
        return account.encode() in body


def _leaves(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
    if inner is None:
        yield value
        return
    for each in inner:
        yield from _leaves(each)


def _split(desk: Desk, request: Request) -> list[Delivery]:
    return list(desk.source.split(request))


def _harmless(checks: Checks, name: str, act: Any) -> None:
    try:
        act()
    except PluginError:
        pass
    except Exception as error:  # noqa: BLE001 # whatever a plugin raises is what is being found out
        checks.holds(name, False, f"ended with {told(error)} instead of Refused.")
        return
    checks.holds(name, truth=True, otherwise="")


def duplicates(bench: Bench, checks: Checks) -> None:
    """Knows what comes twice by the same ids, whichever way it comes."""
    with bench.desk() as desk:
        with checks.part("a webhook again"):
            desk.subscribe()
            for request in desk.hooks():
                once = desk.understood(desk.accepted(request))
                again = desk.offers.redelivered(request)
                desk.clock.turn(timedelta(seconds=30))
                later = replace(again, received_at=request.received_at + timedelta(seconds=30))
                twice = desk.understood(desk.accepted(later))
                _same_ids(checks, "a webhook again", once, twice)
        with checks.part("a page again"):
            first = desk.understood(desk.load())
            desk.clock.turn(timedelta(seconds=30))
            _same_ids(checks, "a page again", first, desk.understood(desk.load()))
        with checks.part("a webhook and a page"):
            desk.subscribe()
            desk.arrived()
            desk.offers.add_someone()
            hooked = desk.understood(desk.arrived())
            desk.clock.turn(timedelta(seconds=30))
            _same_both_ways(checks, hooked, desk.understood(desk.load()))
    if not checks.passed and not checks.failed:
        raise NotOffered("Nothing came twice.")


def _same_ids(checks: Checks, name: str, once: list[Item], twice: list[Item]) -> None:
    found = {(event.type, event.sender_id) for event in events(once)}
    unnamed = sorted({type for type, sender_id in found if not sender_id})
    checks.holds("events have ids", not unnamed, f"no sender_id: {', '.join(unnamed)}.")
    more = sorted({event.type for event in events(twice) if (event.type, event.sender_id) not in found})
    checks.holds(name, not more, f"{', '.join(more)} got another sender_id the second time.")
    lost = len(found) - len(found & {(event.type, event.sender_id) for event in events(twice)})
    checks.holds(name, not lost, f"{lost} events were missing the second time.")


def _same_both_ways(checks: Checks, hooked: list[Item], pulled: list[Item]) -> None:
    """Of one person, type and instant there is one event on either side: then it is one and the same."""
    name, sides = "a webhook and a page", []
    for items in (hooked, pulled):
        side: dict[tuple[str, str, str], set[str]] = {}
        for event in events(items):
            for who in names_of(event.ids):
                side.setdefault((who, event.type, event.at.isoformat()), set()).add(event.sender_id)
        sides.append({key: ids for key, ids in side.items() if len(ids) == 1})
    shared = sides[0].keys() & sides[1].keys()
    if not shared:
        raise NotOffered("No event came both ways.")
    for key in sorted(shared):
        checks.holds(
            name, sides[0][key] == sides[1][key], f"{key[1]} has one sender_id when posted, another as pulled."
        )


def rotation(bench: Bench, checks: Checks) -> None:
    """Follows when the secret of webhooks, or a refresh token, is replaced."""
    with bench.desk() as desk:
        with checks.part("webhooks after it"):
            desk.subscribe()
            before, old_app, old_secrets = desk.hooks()[0], dict(desk.app), dict(desk.hook_secrets)
            changed = desk.offers.rotate_secret()
            if changed:
                desk.link.keep(**changed)
            after = desk.hooks()[0]
            for name, request, app, secrets, is_good in (
                ("new secret, signed with it", after, desk.app, desk.hook_secrets, True),
                ("old secret, signed with the new one", after, old_app, old_secrets, False),
                ("new secret, signed with the old one", before, desk.app, desk.hook_secrets, False),
            ):
                if is_good:
                    with checks.part(name):
                        desk.source.verify(request, app, secrets)
                        checks.holds(name, truth=True, otherwise="")
                else:
                    checks.raises(
                        name,
                        (Refused,),
                        partial(desk.source.verify, request, app, secrets),
                    )
        with checks.part("refresh tokens that are good once"):
            if not desk.simulator.rotates:
                raise NotOffered("The vendor's refresh tokens stay good.")
            for _ in range(2):
                desk.simulator.expire_access()
                desk.load()
            checks.holds("refresh tokens that are good once", truth=True, otherwise="")
    if not checks.passed and not checks.failed:
        raise NotOffered("Nothing of this vendor's is ever replaced.")


def shuffles(bench: Bench, checks: Checks) -> None:
    """Gives the same set of records in whatever order messages are read."""
    samples = bench.samples
    straight = facts(item for message in samples.messages for item in read(samples.source, message))
    again = len(straight ^ facts(samples.items))
    checks.holds("a second time", not again, f"{again} records differ from those of the first time.")
    for name, order in (("backwards", samples.messages[::-1]), ("odd ones first", _odd_first(samples.messages))):
        shuffled = facts(item for message in order for item in read(samples.source, message))
        lost = len(straight ^ shuffled)
        checks.holds(name, not lost, f"{lost} records differ from those that are read in order.")


def _odd_first(messages: list[Any]) -> list[Any]:
    return messages[1::2] + messages[::2] + messages[1::2]
