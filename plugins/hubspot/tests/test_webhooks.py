"""What HubSpot posts: verified, divided by portal, understood."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assay_hubspot.notices import signed_url
from assay_hubspot.service import HubSpot
from assay_sdk import (
    Alias,
    Deletion,
    Fetch,
    Identify,
    Message,
    Misunderstood,
    Refused,
    Request,
    Restoration,
    Stale,
)
from assay_sdk.paging import from_milliseconds
from assay_sdk.testing import Posted

VECTORS = Path(__file__).parents[4] / "shared" / "vendors" / "fixtures" / "signature_vectors.json"
URL = "https://hooks.scoring.example/v1/hooks/hubspot"
SECRET = "hs-made-up-client-secret-0001"
AT = 1790000001000
BODY = (
    b'[{"eventId":3816279480,"subscriptionId":22,"portalId":33,"appId":1160452,"occurredAt":1790000000123,'
    b'"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":1148,"propertyName":"lifecyclestage",'
    b'"propertyValue":"opportunity","changeSource":"CRM_UI","sourceId":"userId:76023669","isSensitive":false}]'
)
SIGNED = "t0W45Oz6RiRDP26W/lQFHMxvtpvDDK3EMxtZ0VOirlM="
SOURCE = HubSpot.source
RECEIVED = datetime(2026, 9, 21, 12, tzinfo=UTC)


def request(**changes) -> Request:
    headers = {"x-hubspot-signature-v3": SIGNED, "x-hubspot-request-timestamp": str(AT)}
    return replace(Request("POST", URL, headers, BODY, from_milliseconds(AT + 1000)), **changes)


def read(*events):
    body = json.dumps(events).encode()
    return list(SOURCE.normalise(Message("hook", body, RECEIVED)))


def event(kind, **beside):
    common = {"eventId": 7, "portalId": 33, "occurredAt": 1790000000456, "attemptNumber": 0, "objectId": 1148}
    return {**common, "subscriptionType": kind, **beside}


class TestVerify:
    def test_the_worked_example_is_accepted(self):
        SOURCE.verify(request(), {"client_secret": SECRET}, {})

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            pytest.param({"body": BODY + b" "}, Refused, id="another body"),
            pytest.param({"url": URL + "/"}, Refused, id="another address"),
            pytest.param({"method": "PUT"}, Refused, id="another method"),
            pytest.param({"headers": {}}, Refused, id="no signature"),
            pytest.param(
                {"headers": {"x-hubspot-signature-v3": "é€", "x-hubspot-request-timestamp": str(AT)}},
                Refused,
                id="letters that no signature has",
            ),
            pytest.param(
                {"headers": {"x-hubspot-signature-v3": SIGNED, "x-hubspot-signature-timestamp": str(AT)}},
                Refused,
                id="the wrong name of the timestamp",
            ),
            pytest.param({"received_at": from_milliseconds(AT + 300_001)}, Stale, id="older than five minutes"),
            pytest.param({"received_at": from_milliseconds(AT - 61_000)}, Stale, id="from the future"),
        ],
    )
    def test_anything_else_is_refused(self, changes, expected):
        with pytest.raises(expected):
            SOURCE.verify(request(**changes), {"client_secret": SECRET}, {})

    @pytest.mark.parametrize("seconds", [300, -60])
    def test_up_to_the_edge_it_is_recent(self, seconds):
        SOURCE.verify(request(received_at=from_milliseconds(AT + seconds * 1000)), {"client_secret": SECRET}, {})

    def test_without_a_secret_nothing_is_genuine(self):
        with pytest.raises(Refused):
            SOURCE.verify(request(), {"client_secret": ""}, {})

    def test_an_address_is_decoded_as_hubspot_decodes_it(self):
        encoded, plain = "%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B", ":/?@!$'()*,;"
        assert signed_url(f"https://a.test/{encoded}%7B%20%2B") == f"https://a.test/{plain}%7B%20%2B"

    def test_all_vectors(self):
        if not VECTORS.exists():
            pytest.skip("The vectors lie outside the repository.")
        vectors = [found for found in json.loads(VECTORS.read_text()) if found["vendor"] == "hubspot"]
        tried = [found for found in vectors if "X-HubSpot-Signature-v3" in found["headers"]]
        assert len(tried) >= 4
        for vector in tried:
            headers = {name.lower(): value for name, value in vector["headers"].items()}
            received = from_milliseconds(vector["verify_at_ms"])
            made = Request(vector["method"], vector["uri"], headers, vector["body"].encode(), received)
            if vector["expect"] == "accept":
                SOURCE.verify(made, {"client_secret": vector["secret"]}, {})
            else:
                with pytest.raises(Refused):
                    SOURCE.verify(made, {"client_secret": vector["secret"]}, {})


class TestSplit:
    def test_shared_url_is_divided_by_portal(self):
        body = json.dumps([event("contact.creation"), event("contact.creation", portalId=44)]).encode()
        parts = list(SOURCE.split(request(body=body)))
        assert [part.account for part in parts] == ["33", "44"]
        assert [[found["portalId"] for found in json.loads(part.body)] for part in parts] == [[33], [44]]

    def test_a_batch_of_one_portal_stays_as_it_came(self):
        [part] = SOURCE.split(request())
        assert (part.account, part.body) == ("33", BODY)

    @pytest.mark.parametrize("body", [b"[]", b"[{}]", b"[1, null]", b"3"])
    def test_what_names_no_portal_is_nobodys(self, body):
        assert list(SOURCE.split(request(body=body))) == []

    def test_no_json_is_refused(self):
        with pytest.raises(Refused):
            list(SOURCE.split(request(body=b"{")))


class TestNormalise:
    def test_a_known_property_is_a_trait_at_its_instant(self):
        identify, fetch = read(event("contact.propertyChange", propertyName="lifecyclestage", propertyValue="lead"))
        assert identify.traits == {"lifecycle_stage": "lead"}
        assert identify.at == from_milliseconds(1790000000456)
        assert fetch == Fetch("contact", "1148", identify.ids)

    def test_an_emptied_property_clears_its_trait(self):
        identify, _ = read(event("contact.propertyChange", propertyName="phone", propertyValue=""))
        assert identify.traits == {"phone": None}

    def test_a_new_address_identifies(self):
        identify, _ = read(event("contact.propertyChange", propertyName="email", propertyValue="Ada@Example.test"))
        assert identify.ids.email == identify.traits["email"] == "ada@example.test"

    @pytest.mark.parametrize("name", ["assay_score", "assay_grade", "assay_scored_at"])
    def test_our_own_properties_say_nothing(self, name):
        assert read(event("contact.propertyChange", propertyName=name, propertyValue="87")) == []

    def test_event_id_is_not_unique(self):
        records = read(
            event("contact.propertyChange", propertyName="city", propertyValue="Cluj"),
            event("contact.propertyChange", propertyName="country", propertyValue="RO"),
        )
        assert [found.traits for found in records if isinstance(found, Identify)] == [
            {"city": "Cluj"},
            {"country": "RO"},
        ]

    def test_attempt_number_changes_nothing(self):
        assert read(event("contact.deletion")) == read(event("contact.deletion", attemptNumber=3))

    def test_event_type_may_be_called_either(self):
        renamed = event("contact.deletion")
        renamed["eventType"] = renamed.pop("subscriptionType")
        assert read(renamed) == read(event("contact.deletion"))

    def test_a_privacy_deletion_erases_in_whatever_order(self):
        told = [event("contact.deletion"), event("contact.privacyDeletion")]
        for order in (told, told[::-1]):
            assert [found.erased for found in read(*order) if isinstance(found, Deletion)] == [True]

    def test_a_deletion_is_looked_into_since_a_merged_contact_is_told_as_deleted_too(self):
        [fetch] = read(event("contact.deletion"))
        assert (fetch.kind, fetch.id) == ("contact", "1148")

    @pytest.mark.parametrize("beside", [{}, {"propertyValue": None}], ids=["left out", "null"])
    def test_a_value_that_is_not_told_clears_nothing(self, beside):
        [fetch] = read(event("contact.propertyChange", propertyName="phone", isSensitive=True, **beside))
        assert isinstance(fetch, Fetch)

    @pytest.mark.parametrize("stated", ["n/a", "-", "@", "none@", "a b@example.test"])
    def test_strangers_without_an_address_are_not_one_person(self, stated):
        identify, _ = read(event("contact.propertyChange", propertyName="email", propertyValue=stated))
        assert identify.ids.email is None

    def test_a_restored_contact_is_back(self):
        restored, fetch = read(event("contact.restore"))
        assert isinstance(restored, Restoration)
        assert fetch.id == "1148"

    def test_a_merge_joins_all_its_ids(self):
        told = {"primaryObjectId": 1148, "mergedObjectIds": [1151], "newObjectId": 1190}
        records = read(event("contact.merge", **told))
        joined = {(found.ids.vendor["hubspot"], found.previous.vendor["hubspot"]) for found in records[:-1]}
        assert joined == {("1190", "1148"), ("1190", "1151")}
        assert records[-1].id == "1190"

    def test_a_merge_without_a_new_id_keeps_the_first(self):
        [alias, fetch] = read(event("contact.merge", primaryObjectId=1148, mergedObjectIds=[1151]))
        assert isinstance(alias, Alias)
        assert fetch.id == "1148"

    @pytest.mark.parametrize(
        ("told", "fetched"),
        [
            pytest.param(event("contact.creation"), [("contact", "1148")], id="contact created"),
            pytest.param(event("deal.creation", objectId=501), [("deal", "501")], id="deal created"),
            pytest.param(
                event("deal.propertyChange", objectId=501, propertyName="dealstage", propertyValue="x"),
                [("deal", "501")],
                id="deal moved",
            ),
            pytest.param(
                event("deal.associationChange", associationType="DEAL_TO_CONTACT", fromObjectId=501, toObjectId=1148),
                [("deal", "501")],
                id="deal associated",
            ),
            pytest.param(
                event("contact.associationChange", associationType="CONTACT_TO_DEAL", fromObjectId=1, toObjectId=501),
                [("deal", "501")],
                id="contact associated with a deal",
            ),
            pytest.param(
                event("company.associationChange", associationType="COMPANY_TO_CONTACT", fromObjectId=9, toObjectId=1),
                [("contact", "1")],
                id="company associated with a contact",
            ),
            pytest.param(event("object.creation", objectTypeId="0-47"), [("meeting", "1148")], id="meeting booked"),
            pytest.param(event("object.creation", objectTypeId="0-49"), [], id="an e-mail object"),
            pytest.param(event("conversation.creation", objectId=77), [("conversation", "77")], id="chat started"),
            pytest.param(
                event("conversation.newMessage", objectId=77, messageId="m1", messageType="MESSAGE"),
                [("conversation", "77/m1")],
                id="a message",
            ),
            pytest.param(
                event("conversation.newMessage", objectId=77, messageId="m1", messageType="COMMENT"), [], id="a comment"
            ),
            pytest.param(event("deal.deletion"), [], id="deal deleted"),
            pytest.param(event("ticket.creation"), [], id="what nobody wants to know"),
        ],
    )
    def test_what_is_to_be_fetched(self, told, fetched):
        assert [(found.kind, found.id) for found in read(told)] == fetched

    @pytest.mark.parametrize(
        "told",
        [
            pytest.param({"subscriptionType": "contact.deletion"}, id="nothing else"),
            pytest.param(event("contact.deletion", occurredAt="soon"), id="no instant"),
            pytest.param(event("contact.deletion", occurredAt=10**30), id="beyond the calendar"),
            pytest.param(event("contact.creation", objectId={"a": 1}), id="no id"),
            pytest.param([], id="no object"),
            pytest.param(None, id="null"),
        ],
    )
    def test_one_bad_event_sinks_no_other(self, told):
        bad, good = read(told, event("contact.privacyDeletion"))
        assert isinstance(bad, Misunderstood)
        assert isinstance(good, Deletion)

    @pytest.mark.parametrize("body", [b"", b"{", b"3", b"null", b'"x"', b"[" * 100_000])
    def test_what_is_no_list_is_misunderstood(self, body):
        with pytest.raises(Misunderstood):
            list(SOURCE.normalise(Message("hook", body, RECEIVED)))


def test_the_stand_ins_webhooks_are_accepted(simulator, clock):
    simulator.fill(3)
    app, url = simulator.app_settings(), "https://assay.example.test/hooks/hubspot"
    for hook in simulator.hooks("62515", url=url, signed_at=clock.now()):
        SOURCE.verify(hook, app, {})
        again = simulator.redelivered(hook)
        SOURCE.verify(again, app, {})
        [one], [other] = SOURCE.split(hook), SOURCE.split(again)
        assert list(SOURCE.normalise(Message("hook", one.body, hook.received_at))) == list(
            SOURCE.normalise(Message("hook", other.body, hook.received_at))
        )
    [mixed] = simulator.mixed(["62515", "62516"], url=url, signed_at=clock.now())
    assert {part.account for part in SOURCE.split(mixed)} == {"62515", "62516"}
    simulator.rotate_secret()
    with pytest.raises(Refused):
        SOURCE.verify(mixed, simulator.app_settings(), {})
    with pytest.raises(Stale):
        SOURCE.verify(replace(mixed, received_at=clock.now() + timedelta(minutes=6)), app, {})


class TestSending:
    def test_at_most_100_events_at_once_and_again_until_somebody_takes_them(self, simulator):
        simulator.fill(130)
        simulator.point_hooks_at("https://assay.example.test/hooks/hubspot")
        sent = []

        def post(url, body, headers):
            sent.append(json.loads(body))
            return Posted(url, body, headers, 500 if len(sent) < 3 else 200, 0.0)

        simulator.post = post
        for row in list(simulator.first.contacts.rows.values()):
            simulator.change(simulator.first, row, {"jobtitle": "CFO of all"})
        simulator.settle()
        assert [len(events) for events in sent] == [100, 30, 100, 30]
        assert [events[0]["attemptNumber"] for events in sent] == [0, 0, 1, 1]
        assert len({found["eventId"] for found in sent[0]}) < 100

    def test_both_portals_share_a_request(self, simulator):
        simulator.point_hooks_at("https://assay.example.test/hooks/hubspot")
        bodies = []
        simulator.post = lambda url, body, headers: bodies.append(body) or Posted(url, body, headers, 200, 0.0)
        for portal in simulator.portals.values():
            simulator.create(portal, "contacts", {"email": "ada@example.test"})
        simulator.deliver()
        assert [part.account for part in SOURCE.split(request(body=bodies[0]))] == ["62515", "62516"]

    def test_a_working_day(self, simulator, clock):
        simulator.fill(60)
        for _ in range(40):
            clock.turn(timedelta(minutes=3))
            simulator.live()
        told = {found["subscriptionType"] for found in simulator.pending}
        assert told == set()
        assert len(simulator.first.contacts.rows) > 60
