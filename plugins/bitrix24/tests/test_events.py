"""Events that a portal posts: unsigned, sent once, ids only."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from assay_bitrix24 import forms
from assay_bitrix24.kinds import EVENTS
from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_sdk import Deletion, Delivery, Event, Fetch, Identify, Link, Message, Misunderstood, Refused, Request
from assay_sdk.testing import SetClock

URL = "https://assay.example.test/hooks/bitrix24/c1"
VECTORS = Path(__file__).parents[3] / ".." / "shared" / "vendors" / "fixtures" / "signature_vectors.json"
Deliver = Callable[[bytes], list[Delivery]]


@pytest.fixture
def token(link: Link, simulator: Bitrix24Simulator) -> str:
    link.keep(application_token=simulator.portal.application_token)
    return simulator.portal.application_token


class TestForms:
    def test_php_brackets(self) -> None:
        body = b"event=X&data%5BFIELDS%5D%5BID%5D=1148&auth[member_id]=a&list[]=1&list[]=2"
        assert forms.nested(forms.pairs(body)) == {
            "event": "X",
            "data": {"FIELDS": {"ID": "1148"}},
            "auth": {"member_id": "a"},
            "list": {"0": "1", "1": "2"},
        }

    @pytest.mark.parametrize("body", [b"a[b=1", b"a=1&a[b]=2", b"[x]=1", b"\xff\xfe", b"a" + b"[b]" * 100 + b"=1"])
    def test_what_fits_nowhere_harms_nobody(self, body: bytes) -> None:
        assert isinstance(forms.nested(forms.pairs(body)), dict)

    def test_what_query_writes_nested_reads(self) -> None:
        given = {"id": 5, "fields": {"UF_A": "x & y=[z]", "B": None}, "list": ["a", "b"]}
        assert forms.nested(forms.pairs(forms.query(given).encode())) == {
            "id": "5",
            "fields": {"UF_A": "x & y=[z]", "B": ""},
            "list": {"0": "a", "1": "b"},
        }


class TestVerify:
    @pytest.mark.skipif(not VECTORS.exists(), reason="the vendors' vectors are not here")
    def test_the_vendors_vector(self, service: Bitrix24, clock: SetClock) -> None:
        (vector,) = [row for row in json.loads(VECTORS.read_text()) if row["vendor"] == "bitrix24"]
        request = Request("POST", URL, {}, vector["body"].encode(), clock.now())
        secrets = {"member_id": "a223c6b3710f85df22e9377d6c4f7553"}
        service.source.verify(request, {}, {**secrets, "application_token": vector["stored_application_token"]})
        with pytest.raises(Refused):
            service.source.verify(request, {}, {**secrets, "application_token": "another"})

    @pytest.mark.parametrize("event", [*EVENTS, "ONAPPUNINSTALL"])
    def test_the_known_token_opens_for_all_events(
        self, simulator: Bitrix24Simulator, deliver: Deliver, clock: SetClock, token: str, event: str
    ) -> None:
        assert len(deliver(simulator.portal.form(event, 5, clock.now()))) == 1
        with pytest.raises(Refused):
            deliver(simulator.portal.form(event, 5, clock.now(), token="another"))

    @pytest.mark.parametrize("event", ["ONCRMLEADDELETE", "ONAPPUNINSTALL"])
    def test_while_the_token_is_unknown_nothing_is_believed_that_does_more_than_ask(
        self, simulator: Bitrix24Simulator, deliver: Deliver, clock: SetClock, event: str
    ) -> None:
        with pytest.raises(Refused):
            deliver(simulator.portal.form(event, 5, clock.now()))
        assert deliver(simulator.portal.form("ONCRMLEADUPDATE", 5, clock.now()))

    def test_another_portals_event_is_refused(
        self, simulator: Bitrix24Simulator, deliver: Deliver, clock: SetClock, token: str
    ) -> None:
        neighbour = simulator.portals["portal-2"]
        with pytest.raises(Refused, match="another portal"):
            deliver(neighbour.form("ONCRMLEADADD", 5, clock.now(), token=token))

    def test_too_many_fields(self, deliver: Deliver) -> None:
        with pytest.raises(Refused):
            deliver(urlencode([(f"f{n}", "1") for n in range(2000)]).encode())


class TestLearning:
    def learn(self, service: Bitrix24, link: Link, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.learned:
                service.source.confirm(link, delivery.learned)

    def test_the_token_is_learned_from_an_event_that_carries_real_access(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, deliver: Deliver, clock: SetClock
    ) -> None:
        access = simulator.somebodys_token()
        form = simulator.portal.form("ONCRMLEADADD", 5, clock.now(), access_token=access)
        self.learn(service, link, deliver(form))
        assert link.secrets["application_token"] == simulator.portal.application_token
        assert deliver(simulator.portal.form("ONCRMLEADDELETE", 5, clock.now()))

    def test_made_up_access_teaches_nothing_and_is_asked_about_only_at_the_known_portal(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, deliver: Deliver, clock: SetClock
    ) -> None:
        form = simulator.portal.form("ONCRMLEADADD", 5, clock.now(), access_token="made-up", token="made-up-too")
        assert b"elsewhere.example.test" in form
        self.learn(service, link, deliver(form))
        assert not link.secrets.get("application_token")
        assert simulator.calls[-1] == "POST /portal-1/rest/app.info"

    def test_tokens_are_absent_when_automation_caused_the_event(
        self, simulator: Bitrix24Simulator, deliver: Deliver, clock: SetClock
    ) -> None:
        (delivery,) = deliver(simulator.portal.form("ONCRMLEADADD", 5, clock.now()))
        assert delivery.learned is None

    def test_a_known_token_is_not_learned_again(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, token: str
    ) -> None:
        service.source.confirm(link, {"application_token": "b", "access_token": simulator.somebodys_token()})
        assert link.secrets["application_token"] == token

    def test_tokens_are_masked_in_what_is_kept(
        self, simulator: Bitrix24Simulator, deliver: Deliver, clock: SetClock
    ) -> None:
        access = simulator.somebodys_token()
        (delivery,) = deliver(simulator.portal.form("ONCRMLEADADD", 5, clock.now(), access_token=access))
        kept = parse_qs(delivery.body.decode())
        assert kept["auth[access_token]"] == kept["auth[application_token]"] == ["masked"]
        assert kept["data[FIELDS][ID]"] == ["5"]
        assert access.encode() not in delivery.body

    @pytest.mark.parametrize("name", ["AUTH_ID", "access_token", "auth[ACCESS_TOKEN]", "a[b][refresh_token]"])
    def test_so_are_tokens_that_stand_elsewhere(self, name: str) -> None:
        assert forms.masked([(name, "l1ve"), ("ts", "5")]).endswith(b"=masked&ts=5")


class TestNormalise:
    def read(self, service: Bitrix24, clock: SetClock, **fields: str) -> list[Any]:
        body = urlencode({"event": fields["event"], "data[FIELDS][ID]": fields["id"], "ts": "1790000000"}).encode()
        return list(service.source.normalise(Message("hook", body, clock.now())))

    @pytest.mark.parametrize(
        ("event", "kind"),
        [
            ("ONCRMLEADADD", "lead"),
            ("ONCRMCONTACTUPDATE", "contact"),
            ("ONCRMCOMPANYUPDATE", "company"),
            ("ONCRMDEALUPDATE", "deal"),
            ("ONCRMDEALMOVETOCATEGORY", "deal"),
            ("ONCRMACTIVITYADD", "activity"),
            ("oncrmleadupdate", "lead"),
        ],
    )
    def test_id_only_events_are_fetched(self, service: Bitrix24, clock: SetClock, event: str, kind: str) -> None:
        (found,) = self.read(service, clock, event=event, id="1148")
        assert isinstance(found, Fetch)
        assert (found.kind, found.id) == (kind, "1148")

    def test_bulk_edits_name_each_record_once_for_the_platform_to_collect(
        self, service: Bitrix24, clock: SetClock
    ) -> None:
        found = [record for n in range(1000) for record in self.read(service, clock, event="ONCRMLEADUPDATE", id="7")]
        assert len(set(map(repr, found))) == 1

    def test_deletions(self, service: Bitrix24, clock: SetClock) -> None:
        (found,) = self.read(service, clock, event="ONCRMCONTACTDELETE", id="7")
        assert isinstance(found, Deletion)
        assert (found.ids.vendor, found.at.timestamp()) == ({"bitrix24": "contact:7"}, 1790000000)
        assert self.read(service, clock, event="ONCRMDEALDELETE", id="7") == []

    def test_removing_the_app_says_nothing_of_people(self, service: Bitrix24, clock: SetClock) -> None:
        assert self.read(service, clock, event="ONAPPUNINSTALL", id="") == []

    @pytest.mark.parametrize("id_", ["", "x", "-5", "0"])
    def test_no_id(self, service: Bitrix24, clock: SetClock, id_: str) -> None:
        with pytest.raises(Misunderstood):
            self.read(service, clock, event="ONCRMLEADADD", id=id_)


class TestSubscribing:
    def test_is_idempotent(self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator) -> None:
        service.source.subscribe(link, URL)
        bound = set(simulator.portal.bound)
        assert {event for event, _ in bound} == {*EVENTS, "ONAPPUNINSTALL"}
        simulator.requests.clear()
        service.source.subscribe(link, URL)
        assert simulator.portal.bound == bound
        assert not [method for method, _ in simulator.requests if method == "event.bind"]

    def test_vanished_handlers_are_bound_again_and_the_token_is_learned_anew(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, token: str
    ) -> None:
        service.source.subscribe(link, URL)
        simulator.portal.bound.clear()
        service.source.subscribe(link, URL)
        assert simulator.portal.bound
        assert not link.secrets["application_token"]

    def test_a_new_address_replaces_the_old_and_leaves_other_handlers(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator
    ) -> None:
        simulator.portal.bound.add(("ONCRMLEADADD", "https://elsewhere.example.test/"))
        service.source.subscribe(link, URL)
        service.source.subscribe(link, f"{URL}-new")
        handlers = {handler for _, handler in simulator.portal.bound}
        assert handlers == {f"{URL}-new", "https://elsewhere.example.test/"}
        service.source.unsubscribe(link)
        assert {handler for _, handler in simulator.portal.bound} == {"https://elsewhere.example.test/"}

    def test_an_installation_that_was_never_finished_is_told(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator
    ) -> None:
        simulator.portal.installed = False
        with pytest.raises(Refused, match="installFinish"):
            service.source.subscribe(link, URL)


def test_our_own_update_coming_back_scores_nothing(
    service: Bitrix24, link: Link, simulator: Bitrix24Simulator, deliver: Deliver, clock: SetClock, understood: Any
) -> None:
    simulator.fill(12)
    service.source.subscribe(link, URL)
    before = understood(service.source.fetch(link, "lead", ["1"]))
    service.destination.prepare(link)
    clock.turn(timedelta(minutes=1))
    fields = {"UF_CRM_ASSAY_SCORE": "87", "UF_CRM_ASSAY_REASONS": "Booked a meeting"}
    link.http.post("/crm.item.update", json={"entityTypeId": 1, "id": 1, "useOriginalUfNames": "Y", "fields": fields})
    _, form = simulator.portal.outbox.popleft()
    (delivery,) = deliver(form)
    (notice,) = service.source.normalise(Message(delivery.call, delivery.body, clock.now()))
    assert isinstance(notice, Fetch)
    after = understood(service.source.fetch(link, notice.kind, [notice.id]))
    assert [record for record in after if isinstance(record, Event)] == [
        record for record in before if isinstance(record, Event)
    ]
    traits = [[dict(record.traits) for record in found if isinstance(record, Identify)] for found in (before, after)]
    assert traits[0] == traits[1]
    assert after[0].at > before[0].at
