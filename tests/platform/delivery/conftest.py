"""A vendor over real HTTP whose contacts take scores, leads that are contacts there, and the work of both stages."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from sqlalchemy import text
from werkzeug.wrappers import Request, Response

from assay import pipeline, plugins
from assay.delivery import jobs, service
from assay.normalise import Normalised, event_id
from assay.profiles import service as profiles
from assay.scoring import jobs as scoring
from assay_sdk import (
    CoreRecord,
    Destination,
    Event,
    Field,
    Identifiers,
    Identify,
    Link,
    RateLimit,
    Receipt,
    ScoreUpdate,
    Service,
    egress,
)
from assay_sdk.limits import LocalLimiter
from assay_sdk.testing import Simulator, answer_json, route, running
from assay_sdk.testing.simulator import Grant
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "a key of the vendor's"


class Vendor(Simulator):
    """Contacts by id, each with what it was told last and how often it was written to."""

    name = "crm"

    def __init__(self) -> None:
        super().__init__()
        self.key = KEY
        self.grants.append(Grant("1", (), access_token=KEY))
        self.contacts: dict[str, dict[str, Any]] = {}
        self.writes: dict[str, int] = {}
        self.poison: set[str] = set()
        self.gone: set[str] = set()
        self.moved: dict[str, str] = {}
        self.has_fields = False
        #: Called before contacts are written, while the worker waits.
        self.meanwhile: Callable[[], None] = lambda: None

    def app_settings(self) -> dict[str, str]:
        return {"api": self.address}

    @route("POST", "/fields")
    def fields(self, request: Request, grant: Grant) -> Response:
        self.has_fields = True
        return answer_json({})

    @route("POST", "/scores")
    def scores(self, request: Request, grant: Grant) -> Response:
        updates = json.loads(request.get_data())
        if not self.has_fields:
            return answer_json({"message": "there is no such field"}, 400)
        if self.poison & {each["contact"] for each in updates}:
            return answer_json({"message": "one of these is wrong"}, 400)
        self.meanwhile()
        return answer_json([self._write(each) for each in updates])

    def _write(self, update: dict[str, Any]) -> dict[str, Any]:
        id_ = update.pop("contact")
        answer: dict[str, Any] = {}
        while id_ in self.moved:
            id_ = answer["moved_to"] = self.moved[id_]
        if id_ in self.gone:
            return answer | {"gone": True}
        self.contacts[id_] = update
        self.writes[id_] = self.writes.get(id_, 0) + 1
        return answer


class Scores(Destination):
    batch: ClassVar[int] = 10
    fields: ClassVar[Sequence[Field]] = (Field("assay_score", "Score", "score"),)

    def prepare(self, link: Link) -> None:
        link.http.post("/fields", safe=True)

    def push(self, link: Link, updates: Sequence[ScoreUpdate]) -> Sequence[Receipt]:
        told = [
            {
                "contact": each.vendor_id or f"{each.user_id or each.email or each.anonymous_id}",
                "score": each.score,
                "grade": each.grade,
                "stage": each.stage,
                "reasons": list(each.reasons),
                "model": each.model,
                "url": each.url,
                "version": each.version,
            }
            for each in updates
        ]
        assert len({each["contact"] for each in told}) == len(told)
        answers = link.http.post("/scores", json=told, safe=True).json()
        return [
            Receipt(update.key, gone=answer.get("gone", False), moved_to=answer.get("moved_to", ""))
            for update, answer in zip(updates, answers, strict=True)
        ]


class Crm(Service):
    name = "crm"
    title = "CRM"
    limits = (RateLimit("api", 100_000, 1.0, "connection"),)
    destination = Scores()

    def authorise(self, call: Any, secrets: Any) -> None:
        call.headers["Authorization"] = f"Bearer {secrets['key']}"


class Loose(Scores):
    known_by = ("user_id", "email", "anonymous_id")


class Cdp(Crm):
    """Knows people by the tenant's own ids."""

    name = "cdp"
    title = "CDP"
    destination = Loose()


@dataclass
class House:
    """One tenant, connected to the vendor."""

    tenant_id: int
    vendor: Vendor
    connection_id: int = 0
    sent: int = 0
    plugin: str = "crm"
    at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=1))

    def connect(self) -> None:
        self.connection_id = connections.create(
            self.tenant_id, plugin=self.plugin, name="CRM", credentials={"key": KEY}, account="1"
        )
        with tenant_session(self.tenant_id) as session:
            session.execute(
                text("""INSERT INTO intake.links (tenant_id, connection_id, plugin, account, source_id, notes,
                    created_at) VALUES (:t, :c, :p, '1', 1, '{}', now())"""),
                {"t": self.tenant_id, "c": self.connection_id, "p": self.plugin},
            )
        service.establish(self.tenant_id, self.connection_id, self.plugin)

    def learn(self, *records: CoreRecord) -> None:
        batch = [
            Normalised(each, 1, None, self.at, event_id(1, each.sender_id) if isinstance(each, Event) else None)
            for each in records
        ]
        with tenant_session(self.tenant_id) as session:
            profiles.apply(session, self.tenant_id, batch)

    def contact(self, id_: str, **ids: Any) -> Identifiers:
        return Identifiers(vendor={"crm": id_}, **ids)

    def know(self, id_: str, *, title: str = "CFO", **ids: Any) -> None:
        """A contact at the vendor; a CFO has 20 points."""
        self.sent += 1
        traits = {"title": title}
        self.learn(Identify(self.contact(id_, **ids), traits, self.at + timedelta(seconds=self.sent)))

    def act(self, id_: str, type_: str = "offer.downloaded", **properties: Any) -> None:
        """Ten points for each other offer; 15 for the first view of prices."""
        self.sent += 1
        at = self.at + timedelta(seconds=self.sent)
        self.learn(Event(self.contact(id_), type_, properties or {"offer_id": f"{self.sent}"}, at, f"e{self.sent}"))

    def score(self) -> None:
        while scoring.drain_due(self.tenant_id):
            pass

    def deliver(self) -> int:
        """What is due now; tells how many leads were looked at."""
        rows = 0
        while taken := jobs.drain_targets(self.tenant_id):
            rows += taken
        return rows

    def wait(self) -> None:
        """All pauses are over, and so are leases of workers that were killed."""
        for statement in (
            "UPDATE delivery.pushes SET due_at = now() WHERE tenant_id = :t AND state = 'waiting'",
            "UPDATE delivery.targets SET due_at = now(), leased_until = NULL WHERE tenant_id = :t AND enabled",
            "UPDATE intake.links SET open_until = now() WHERE tenant_id = :t AND open_until IS NOT NULL",
        ):
            with tenant_session(self.tenant_id) as session:
                session.execute(text(statement), {"t": self.tenant_id})

    def work(self) -> None:
        self.score()
        self.deliver()

    def lead(self, id_: str) -> int:
        (row,) = self.rows(
            "SELECT lead_id FROM profiles.identities WHERE tenant_id = :t AND kind = 'vendor:crm' AND value = :v", v=id_
        )
        return int(row.lead_id)

    def rows(self, query: str, **asked: Any) -> Sequence[Any]:
        with tenant_session(self.tenant_id) as session:
            return session.execute(text(query), {"t": self.tenant_id, **asked}).all()

    def push(self, id_: str) -> Any:
        found = self.rows("SELECT * FROM delivery.pushes WHERE tenant_id = :t AND lead_id = :l", l=self.lead(id_))
        return found[0] if found else None

    def target(self) -> Any:
        return self.rows("SELECT * FROM delivery.targets WHERE tenant_id = :t")[0]

    def told(self, id_: str) -> int | None:
        contact = self.vendor.contacts.get(id_)
        return None if contact is None else int(contact["score"])


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    vendor = Vendor()
    found = plugins.installed()
    services = {each.name: each for each in (Crm(), Cdp())}
    installed = SimpleNamespace(**{**vars(found), "services": services}, source=found.source)
    monkeypatch.setattr(plugins, "installed", lambda: installed)
    monkeypatch.setattr(plugins, "app_settings", lambda service: vendor.app_settings(), raising=False)
    monkeypatch.setattr("assay.syncing.limiter.current", LocalLimiter)
    monkeypatch.setattr("assay_sdk.http.BACKOFF", timedelta(0))
    egress.configure(["127.0.0.1"])
    with running(vendor):
        yield vendor
    egress.configure([])


@pytest.fixture
def make_house(
    connected: None, vendor: Vendor, make_tenant: Callable[[], SignedUp], publish: Callable[..., int]
) -> Callable[..., House]:
    assert pipeline.DELIVER.wide

    def make(*, is_connected: bool = True, plugin: str = "crm") -> House:
        house = House(make_tenant().tenant_id, vendor, plugin=plugin)
        publish(house.tenant_id)
        if is_connected:
            house.connect()
        return house

    return make


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()
