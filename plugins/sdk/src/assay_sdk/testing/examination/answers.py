"""Drills of answers: refusals, being asked to wait, outages, and answers that are none."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from assay_sdk import egress
from assay_sdk.errors import NeedsReconnect, PluginError, Refused, TryLater
from assay_sdk.testing.examination.bench import Bench, Desk
from assay_sdk.testing.examination.examinable import NotOffered
from assay_sdk.testing.examination.report import Checks, told
from assay_sdk.testing.simulator import BROKEN, DRIP, HANG, HUGE, RESET

#: The token endpoint is another matter: what it says about an app is no answer to a call.
_NOT_LOGIN = r"^(?!/oauth/(v\d+/)?token|/oauth2?/)"
_SHORT = timedelta(seconds=0.12)
_LARGEST = 2_000_000
_MOST_TRIES = 3


@dataclass(frozen=True)
class Act:
    """Something that asks the vendor."""

    name: str
    do: Callable[[], object]


def _acts(desk: Desk) -> list[Act]:
    """One of each: what is asked first after connecting, a page, a batch of scores."""
    found = []
    if desk.service.source is not None and desk.service.source.streams:
        stream = desk.streams[0]
        found.append(Act("pull", lambda: desk.source.pull(desk.link, stream, None)))
    if desk.service.destination is not None:
        try:
            updates = desk.updates()
        except NotOffered:
            pass
        else:
            desk.patiently(lambda: desk.destination.prepare(desk.link))
            found.append(Act("push", lambda: desk.destination.push(desk.link, updates)))
    if not found:
        raise NotOffered("The plugin asks the vendor for nothing that the examination can ask for.")
    return found


def _failing(desk: Desk, kind: int | str, *, times: int = -1, headers: dict[str, str] | None = None) -> None:
    desk.simulator.faults.clear()
    desk.simulator.faults.next(kind, times=times, path=_NOT_LOGIN, headers=headers, seconds=0.4)
    desk.calls.clear()
    desk.calls.at.clear()


def _well_again(desk: Desk) -> None:
    desk.simulator.faults.clear()
    desk.clock.turn(timedelta(minutes=3))


def _raises(checks: Checks, name: str, wanted: tuple[type[PluginError], ...], act: Act) -> PluginError | None:
    """As ``Checks.raises``; a push may also say in its receipts that it wrote nothing."""
    if act.name != "push" or TryLater in wanted or NeedsReconnect in wanted[:1]:
        return checks.raises(name, wanted, act.do)
    try:
        receipts = act.do()
    except wanted as error:
        checks.holds(name, truth=True, otherwise="")
        return error
    except Exception as error:  # noqa: BLE001 # whatever a plugin raises is what is being found out
        checks.holds(name, False, f"raised {told(error)} instead of {wanted[0].__name__}.")
        return None
    all_failed = isinstance(receipts, list | tuple) and receipts and all(each.error or each.gone for each in receipts)
    checks.holds(name, all_failed, "its receipts say that it was written.")
    return None


def refusals(bench: Bench, checks: Checks) -> None:
    """Tells who has to act when the vendor answers 401, 403, 404 or 410, and asks no second time."""
    with bench.desk() as desk:
        for act in _acts(desk):
            for status, wanted in (
                (401, (NeedsReconnect,)),
                (403, (Refused, NeedsReconnect)),
                (404, (Refused, NeedsReconnect)),
                (410, (Refused, NeedsReconnect)),
            ):
                name = f"{act.name}: {status}"
                began = desk.link.vault.read().renewal
                _failing(desk, status)
                error = _raises(checks, name, wanted, act)
                if error is not None:
                    is_sentence = str(error).strip()[-1:] in (".", "!", "?")
                    checks.holds("sentences", is_sentence, f"{name}: {str(error)[:80]!r} is no sentence for a person.")
                    asked = len(desk.calls)
                    most = 4 if status == 401 else 1 + len(_acts_of(act))
                    checks.holds(f"{name}: once", asked <= most, f"the vendor was asked {asked} times.")
                renewed = desk.link.vault.read().renewal - began
                checks.holds("renewed at most once", renewed <= 1, f"{name}: the token was renewed {renewed} times.")
                _well_again(desk)


def _acts_of(act: Act) -> range:
    """Further calls that one refusal may cost: each of a batch is refused by itself."""
    return range(3 if act.name == "push" else 0)


def throttling(bench: Bench, checks: Checks) -> None:
    """Leaves a vendor alone for as long as it says, and goes on by itself."""
    with bench.desk() as desk:
        for act in _acts(desk):
            with checks.part(act.name):
                _long_wait(desk, checks, act)
                _short_wait(desk, checks, act)
                _no_time_stated(desk, checks, act)


def _long_wait(desk: Desk, checks: Checks, act: Act) -> None:
    name = f"{act.name}: 429 for 30 seconds"
    _failing(desk, 429, times=1, headers={"Retry-After": "30"})
    error = checks.raises(name, (TryLater,), act.do)
    if isinstance(error, TryLater):
        says_when = error.after is not None and error.after >= timedelta(seconds=29)
        checks.holds(name, says_when, f"TryLater.after is {error.after}, not the 30 seconds that were asked for.")
    asked = len(desk.calls)
    checks.holds(f"{name}: silence", asked == 1, f"the vendor was asked {asked - 1} times more, at once.")
    if any(limit.name == "api" for limit in desk.service.limits):
        desk.calls.clear()
        checks.raises(f"{name}: silence for all", (TryLater,), act.do)
        checks.holds(f"{name}: silence for all", not desk.calls, "the next piece of work asked during the pause.")
    _recovers(desk, checks, act)


def _short_wait(desk: Desk, checks: Checks, act: Act) -> None:
    name = f"{act.name}: 429 for a second"
    _failing(desk, 429, times=1, headers={"Retry-After": "1"})
    with suppress(TryLater):
        act.do()
    gaps = [later - earlier for earlier, later in zip(desk.calls.at, desk.calls.at[1:], strict=False)][:1]
    has_waited = all(gap >= timedelta(seconds=1) for gap in gaps)
    checks.holds(name, has_waited, "the vendor was asked again within the second.")
    _recovers(desk, checks, act)


def _no_time_stated(desk: Desk, checks: Checks, act: Act) -> None:
    name = f"{act.name}: 429 without a time"
    _failing(desk, 429)
    error = checks.raises(name, (TryLater,), act.do)
    checks.holds(name, getattr(error, "overloaded", False), "TryLater does not say that we ask too often.")
    asked = len(desk.calls)
    checks.holds(name, asked <= _MOST_TRIES, f"the vendor was asked {asked} times.")
    _recovers(desk, checks, act)


def _recovers(desk: Desk, checks: Checks, act: Act) -> None:
    _well_again(desk)
    with checks.part(f"{act.name}: goes on"):
        act.do()
        checks.holds(f"{act.name}: goes on", truth=True, otherwise="")


def outages(bench: Bench, checks: Checks) -> None:
    """Tries again later when the vendor fails, hangs, cuts off, or sends without end."""
    with bench.desk() as desk:
        for act in _acts(desk):
            with checks.part(act.name):
                desk.use(egress.client())
                if act.name == "pull":
                    _failing(desk, 500, times=1)
                    act.do()
                    checks.holds("one failure is survived", truth=True, otherwise="")
                for kind in _kinds(act):
                    desk.use(
                        egress.client(deadline=_SHORT if kind in (HANG, DRIP) else egress.DEADLINE, largest=_LARGEST)
                    )
                    _failing(desk, kind)
                    checks.raises(f"{act.name}: {kind}", (TryLater,), act.do)
                    asked = len(desk.calls)
                    checks.holds("patience", asked <= _MOST_TRIES + 1, f"{kind}: the vendor was asked {asked} times.")
                    _well_again(desk)
                desk.use(egress.client())
                _recovers(desk, checks, act)


def _kinds(act: Act) -> Iterator[int | str]:
    yield from (500, 502, 503, 504, HANG, RESET)
    if act.name == "pull":
        yield from (DRIP, HUGE)


def nonsense(bench: Bench, checks: Checks) -> None:
    """Takes an answer that is no JSON for a failure of the vendor's, and nothing worse."""
    with bench.desk(bench.enough) as desk:
        for act in _acts(desk):
            _failing(desk, BROKEN)
            checks.raises(f"{act.name}: broken JSON", (TryLater,), act.do)
            _well_again(desk)
        for stream in desk.streams if desk.service.source and desk.service.source.streams else ():
            with checks.part(f"{stream}: later pages"):
                page = desk.pull(stream, None)
                if not page.more:
                    raise NotOffered("There is one page alone.")
                _failing(desk, BROKEN)
                checks.raises(
                    f"{stream}: later pages",
                    (TryLater,),
                    partial(desk.source.pull, desk.link, stream, page.cursor),
                )
                _well_again(desk)
