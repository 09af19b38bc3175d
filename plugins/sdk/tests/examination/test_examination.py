"""The examination gives a good plugin full marks, and finds out a bad one by the drill that is about its fault."""

import hmac
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from assay_sdk import (
    Delivery,
    Event,
    Identify,
    Message,
    Page,
    Refused,
    Service,
    TokenExpired,
    TryLater,
    VendorAccount,
    addresses,
)
from assay_sdk.testing import Simulator, examine
from assay_sdk.testing.examination import DRILLS, NotOffered, simulator_of

Overrides = dict[str, Any]


def variant(acme: SimpleNamespace, **overrides: Overrides) -> tuple[Service, type[Simulator]]:
    """The good plugin with members of its classes replaced: ``source={"verify": …}``."""
    source = type("BadSource", (acme.source.AcmeSource,), overrides.get("source", {}))()
    destination = type("BadDestination", (acme.destination.AcmeDestination,), overrides.get("destination", {}))()
    members = {"source": source, "destination": destination, **overrides.get("service", {})}
    simulator = type("OtherSimulator", (acme.simulator.AcmeSimulator,), overrides.get("simulator", {}))
    return type("Bad", (acme.service.Acme,), members)(), simulator


def test_a_new_plugin_gets_full_marks(acme: SimpleNamespace) -> None:
    report = examine(acme.service.Acme(), acme.simulator.AcmeSimulator)
    assert report.complete, report
    assert report.as_json()["passed"]
    assert f"{len(DRILLS)} passed, 0 failed, 0 not applicable" in str(report)


# Faults of sources.


def _nothing(self: Any, request: Any, app: Any, secrets: Any) -> None:
    return


def _carelessly(self: Any, request: Any, app: Mapping[str, str], secrets: Any) -> None:
    stamp = request.headers.get("x-timestamp", "")
    mac = hmac.new(app["signing_secret"].encode(), stamp.encode() + b"." + request.body, "sha256").hexdigest()
    # Compares texts, which raises TypeError for letters that are not ASCII; and looks at no clock.
    if not hmac.compare_digest(request.headers.get("x-signature", ""), mac):
        raise Refused("No.")


def _all_to_each(self: Any, request: Any) -> Iterator[Delivery]:
    for part in json.loads(request.body):
        yield Delivery(part["account"], request.body)


def _changing_ids(acme: SimpleNamespace) -> Callable[..., Any]:
    def normalise(self: Any, message: Message) -> Iterator[Any]:
        for item in acme.source.AcmeSource.normalise(self, message):
            if isinstance(item, Event):
                yield Event(item.ids, item.type, {}, item.at, f"{item.sender_id}/{message.received_at}")
            else:
                yield item

    return normalise


def _only_new_ones(acme: SimpleNamespace) -> Callable[..., Any]:
    seen: set[str] = set()

    def normalise(self: Any, message: Message) -> Iterator[Any]:
        for item in acme.source.AcmeSource.normalise(self, message):
            if isinstance(item, Event) and message.body.decode()[:200] not in seen:
                seen.add(message.body.decode()[:200])
                continue
            yield item

    return normalise


def _first_secret(acme: SimpleNamespace) -> Callable[..., Any]:
    kept: dict[str, str] = {}

    def verify(self: Any, request: Any, app: Mapping[str, str], secrets: Any) -> None:
        kept.setdefault("signing_secret", app["signing_secret"])
        acme.source.AcmeSource.verify(self, request, kept, secrets)

    return verify


def _skipping(acme: SimpleNamespace) -> Callable[..., Any]:
    def pull(self: Any, link: Any, stream: str, cursor: Any) -> Page:
        page = acme.source.AcmeSource.pull(self, link, stream, cursor)
        return Page(page.bodies, {"after": page.cursor["after"] + 1}, page.more)

    return pull


def _own_cursor(acme: SimpleNamespace) -> Callable[..., Any]:
    def pull(self: Any, link: Any, stream: str, cursor: Any) -> Page:
        at = getattr(self, "_at", None) if cursor else None
        page = acme.source.AcmeSource.pull(self, link, stream, at)
        self._at = page.cursor if page.more else None
        return Page(page.bodies, {"page": len(page.bodies)}, page.more)

    return pull


def _unkept_cursor(acme: SimpleNamespace) -> Callable[..., Any]:
    def pull(self: Any, link: Any, stream: str, cursor: Any) -> Page:
        page = acme.source.AcmeSource.pull(self, link, stream, cursor)
        return Page(page.bodies, {**page.cursor, "at": datetime.now(UTC)}, page.more)

    return pull


def _forgiving(acme: SimpleNamespace) -> Callable[..., Any]:
    def pull(self: Any, link: Any, stream: str, cursor: Any) -> Page:
        try:
            return acme.source.AcmeSource.pull(self, link, stream, cursor)
        except TryLater:
            return Page()

    return pull


def _raw(self: Any, message: Message) -> Iterator[Any]:
    for record in json.loads(message.body)["records"]:
        yield Identify(record["contact"]["id"], {}, record["contact"]["updated_at"])


def _clock(acme: SimpleNamespace) -> Callable[..., Any]:
    def normalise(self: Any, message: Message) -> Iterator[Any]:
        for item in acme.source.AcmeSource.normalise(self, message):
            if isinstance(item, Identify):
                yield Identify(item.ids, {**item.traits, "is_late": item.at < datetime.now(UTC)}, item.at)
            else:
                yield item

    return normalise


def _everything_is_news(self: Any, message: Message) -> Iterator[Any]:
    for record in json.loads(message.body)["records"]:
        from assay_sdk import Identifiers
        from assay_sdk.paging import digest

        ids = Identifiers(vendor={"acme": record["contact"]["id"]})
        at = datetime.fromisoformat(record["contact"]["updated_at"])
        yield Identify(ids, record["contact"], at)
        yield Event(ids, "contact.created", {}, at, digest(record["contact"]))


def _talkative(acme: SimpleNamespace) -> Callable[..., Any]:
    def pull(self: Any, link: Any, stream: str, cursor: Any) -> Page:
        logging.getLogger("acme").info("asking with %s", link.secrets["access_token"])
        return acme.source.AcmeSource.pull(self, link, stream, cursor)

    return pull


# Faults of services and destinations.


def _judging(acme: SimpleNamespace, **verdicts: Any) -> Callable[..., Any]:
    def judge(self: Any, answer: Any) -> Any:
        verdict = verdicts.get(f"on{answer.status_code}")
        return verdict() if verdict else acme.service.Acme.__mro__[1].judge(self, answer)

    return judge


def _adding(acme: SimpleNamespace) -> Callable[..., Any]:
    def push(self: Any, link: Any, updates: Any) -> Any:
        from dataclasses import replace

        self._pushes = getattr(self, "_pushes", 0) + 1
        return acme.destination.AcmeDestination.push(
            self, link, [replace(u, score=u.score * self._pushes) for u in updates]
        )

    return push


BAD: list[Any] = [
    pytest.param(
        "connecting", lambda a: {"service": {"account": lambda s, link: VendorAccount("?", "")}}, id="account"
    ),
    pytest.param("signatures", lambda a: {"source": {"verify": _nothing}}, id="takes everything"),
    pytest.param("signatures", lambda a: {"source": {"verify": _carelessly}}, id="compares texts, looks at no clock"),
    pytest.param("splitting", lambda a: {"source": {"split": _all_to_each}}, id="gives everything to everybody"),
    pytest.param("duplicates", lambda a: {"source": {"normalise": _changing_ids(a)}}, id="ids by the time of receipt"),
    pytest.param("shuffles", lambda a: {"source": {"normalise": _only_new_ones(a)}}, id="remembers what it has read"),
    pytest.param("rotation", lambda a: {"source": {"verify": _first_secret(a)}}, id="keeps the first secret"),
    pytest.param("paging", lambda a: {"source": {"pull": _skipping(a)}}, id="skips one a page"),
    pytest.param("cursors", lambda a: {"source": {"pull": _own_cursor(a)}}, id="keeps its place in itself"),
    pytest.param("cursors", lambda a: {"source": {"pull": _unkept_cursor(a)}}, id="cursor that is no JSON"),
    pytest.param(
        "expiry",
        lambda a: {"service": {"judge": _judging(a, on401=lambda: Refused("No."))}},
        id="takes old for refused",
    ),
    pytest.param(
        "refusals", lambda a: {"service": {"judge": _judging(a, on403=lambda: TryLater("No."))}}, id="tries for ever"
    ),
    pytest.param(
        "throttling",
        lambda a: {"service": {"judge": _judging(a, on429=lambda: TryLater("Busy.", after=timedelta(seconds=1)))}},
        id="waits as long as it likes",
    ),
    pytest.param(
        "outages", lambda a: {"service": {"judge": _judging(a, on500=lambda: TokenExpired("Old."))}}, id="gives up"
    ),
    pytest.param("nonsense", lambda a: {"source": {"pull": _forgiving(a)}}, id="takes nonsense for nothing"),
    pytest.param("poison", lambda a: {"source": {"normalise": _raw}}, id="trusts every message"),
    pytest.param("purity", lambda a: {"source": {"normalise": _clock(a)}}, id="looks at the clock"),
    pytest.param("vocabulary", lambda a: {"service": {"vocabulary": ()}}, id="tells of no event"),
    pytest.param("pushing", lambda a: {"destination": {"push": _adding(a)}}, id="adds up"),
    pytest.param("loops", lambda a: {"source": {"normalise": _everything_is_news}}, id="takes its own for news"),
    pytest.param("secrets", lambda a: {"source": {"pull": _talkative(a)}}, id="logs a token"),
]


@pytest.mark.parametrize(("drill", "fault"), BAD)
def test_a_bad_plugin_fails(acme: SimpleNamespace, drill: str, fault: Callable[[Any], dict[str, Overrides]]) -> None:
    service, simulator = variant(acme, **fault(acme))
    report = examine(service, simulator, only=[drill])
    assert report.outcome(drill).state == "failed", report
    assert "FAILED" in str(report)


def test_every_drill_has_a_plugin_that_fails_it() -> None:
    assert {row.values[0] for row in BAD} == {drill.__name__ for drill in DRILLS}


def test_what_a_simulator_does_not_offer_is_not_applicable(acme: SimpleNamespace) -> None:
    class Plain(acme.simulator.AcmeSimulator):  # type: ignore[misc, name-defined] # its class is known at run time alone
        def people(self) -> Any:
            raise NotOffered("Nobody is known.")

    report = examine(acme.service.Acme(), Plain, only=["pushing"])
    assert report.outcome("pushing").state == "not applicable"
    assert report.passed
    assert not report.complete
    assert "Nobody is known." in str(report)


def test_a_drill_that_breaks_is_a_drill_that_fails(acme: SimpleNamespace) -> None:
    service, simulator = variant(acme, simulator={"fill": lambda self, people: 1 / 0})
    report = examine(service, simulator, only=["paging"])
    assert "ZeroDivisionError" in str(report)
    assert not report.passed


def test_this_machine_may_be_called_for_the_examination_alone(acme: SimpleNamespace, loopback: None) -> None:
    addresses.configure(["10.1.0.0/16"])
    before = addresses._allowed
    examine(acme.service.Acme(), acme.simulator.AcmeSimulator, only=["connecting"])
    assert addresses._allowed == before


@pytest.mark.parametrize(
    ("named", "words"),
    [
        pytest.param("", "names no simulator", id="none"),
        pytest.param("nowhere.at:All", "can't be loaded", id="no module"),
        pytest.param("json:dumps", "is no Simulator", id="something else"),
    ],
)
def test_a_simulator_is_found_by_its_name(acme: SimpleNamespace, named: str, words: str) -> None:
    service, _ = variant(acme, service={"simulator": named})
    with pytest.raises(NotOffered, match=words):
        simulator_of(service)


def test_an_unknown_drill_is_named(acme: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="no drill"):
        examine(acme.service.Acme(), only=["dancing"])
