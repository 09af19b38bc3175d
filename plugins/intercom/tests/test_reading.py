"""What messages say, as records."""

import json
import random
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_intercom.notices import TOPICS
from assay_intercom.service import Intercom
from assay_intercom.simulator import IntercomSimulator
from assay_intercom.values import slug
from assay_sdk import Company, Deletion, Event, Fetch, Identify, Message, Misunderstood, Record
from assay_sdk.testing import SetClock

NOW = datetime(2026, 9, 21, 12, 5, tzinfo=UTC)
SAID = 1790000000
SAID_AT = datetime.fromtimestamp(SAID, UTC)
CONTACT: dict[str, Any] = {
    "type": "contact",
    "id": "67a",
    "external_id": "u-1",
    "role": "user",
    "email": "Ada@Example.test",
    "name": "Ada",
    "phone": None,
    "unsubscribed_from_emails": False,
    "created_at": "2026-09-21T11:59:58.000+00:00",
    "updated_at": "2026-09-21T12:00:00.000+00:00",
    "custom_attributes": {"plan": "trial", "assay_score": 87, "Annual Spend": 12.5, "order": {"id": 1}},
    "companies": {"type": "list", "data": [{"type": "company", "id": "c1"}], "total_count": 1, "has_more": False},
}
REST = {**CONTACT, "created_at": 1789991998, "updated_at": 1789992000}
SOURCE = Intercom.source
assert SOURCE is not None


def notice(topic: str, item: dict[str, Any], **beside: Any) -> bytes:
    body = {"type": "notification_event", "app_id": "a1b2c3d4", "topic": topic, "created_at": SAID, "id": "notif_1"}
    return json.dumps({**body, "data": {"item": item}, **beside}).encode()


def read(body: bytes, call: str = "hook") -> list[Record | Misunderstood]:
    return list(SOURCE.normalise(Message(call, body, NOW)))


def pulled(*records: dict[str, Any]) -> list[Record | Misunderstood]:
    return read(json.dumps({"records": records}).encode(), "pull/contacts")


def events(records: Iterable[Record | Misunderstood]) -> list[tuple[str, str]]:
    return [(record.type, record.sender_id) for record in records if isinstance(record, Event)]


class TestContacts:
    def test_traits(self) -> None:
        [identify, company] = read(notice("contact.user.updated", CONTACT))
        assert isinstance(identify, Identify)
        assert (identify.ids.email, identify.ids.user_id, identify.ids.vendor) == (
            "ada@example.test",
            "u-1",
            {"intercom": "67a"},
        )
        assert identify.traits == {
            "email": "Ada@Example.test",
            "name": "Ada",
            "phone": None,
            "unsubscribed": False,
            "intercom.role": "user",
            "created_at": "2026-09-21T11:59:58+00:00",
            "intercom.annual_spend": 12.5,
            "intercom.plan": "trial",
        }
        assert isinstance(company, Company)
        assert (company.company_id, company.vendor) == ("c1", "intercom")

    def test_instants_as_text_and_as_numbers_are_the_same(self) -> None:
        posted = read(notice("contact.user.created", CONTACT))
        listed = pulled(REST)
        assert posted == listed
        assert events(posted) == [("contact.created", "created/67a")]

    def test_a_reference_is_fetched(self) -> None:
        [fetch] = read(notice("contact.unarchive", {"type": "contact", "id": "67a"}))[1:]
        assert isinstance(fetch, Fetch)
        assert (fetch.kind, fetch.id) == ("contact", "67a")

    def test_only_ten_companies_are_embedded_so_the_rest_is_fetched(self) -> None:
        more = {**CONTACT, "companies": {**CONTACT["companies"], "has_more": True}}
        assert [(r.kind, r.id) for r in read(notice("contact.user.updated", more)) if isinstance(r, Fetch)] == [
            ("contact", "67a")
        ]

    def test_deletion_names_only_the_id(self) -> None:
        [gone] = read(notice("contact.deleted", {"type": "contact", "id": "67a", "external_id": None}))
        assert isinstance(gone, Deletion)
        assert (gone.vendor, gone.at, gone.erased) == ("intercom", SAID_AT, False)

    @pytest.mark.parametrize(
        ("field", "event"),
        [
            pytest.param("last_email_opened_at", ("email.opened", "email.opened/67a/29833333"), id="opened"),
            pytest.param("last_email_clicked_at", ("email.clicked", "email.clicked/67a/29833333"), id="clicked"),
            pytest.param("signed_up_at", ("signup.completed", "signed_up/67a"), id="signed up"),
        ],
    )
    def test_fields_tell_what_lost_notifications_would_have(self, field: str, event: tuple[str, str]) -> None:
        assert events(pulled({**REST, field: SAID}))[1:] == [event]

    def test_notification_of_a_change_holds_no_event(self) -> None:
        engaged = {**CONTACT, "last_email_opened_at": SAID, "signed_up_at": SAID}
        assert events(read(notice("contact.user.updated", engaged))) == []


STATS = [
    pytest.param("email", "open", "email.opened", id="open"),
    pytest.param("email", "click", "email.clicked", id="click"),
    pytest.param("email", "reply", "email.replied", id="reply"),
    pytest.param("email", "hard_bounce", "email.bounced", id="hard bounce"),
    pytest.param("email", "soft_bounce", "email.bounced", id="soft bounce"),
    pytest.param("email", "spam_complaint", "email.complained", id="complaint"),
    pytest.param("email", "unsubscribe", None, id="unsubscribe: told by the contact"),
    pytest.param("chat", "open", "message.opened", id="in the app"),
    pytest.param("post", "click", "message.clicked", id="clicked in the app"),
    pytest.param("email", "receipt", None, id="receipt: nobody did anything"),
    pytest.param("email", "goal_success", None, id="goal: told by what reached it"),
    pytest.param("chat", "reply", None, id="reply in the app: told by the conversation"),
]


class TestStatistics:
    @pytest.mark.parametrize(("kind", "did", "type_"), STATS)
    def test_kinds(self, kind: str, did: str, type_: str | None) -> None:
        stat = {"id": "s1", "content_type": kind, "content_id": 7, "stat_type": did, "content_title": "News"}
        contact = {**CONTACT, "last_email_opened_at": SAID, "last_email_clicked_at": SAID}
        item = {"type": f"content_stat.{kind}", "created_at": SAID, "content_stat": stat, "contact": contact}
        found = events(read(notice(f"content_stat.{kind}", item)))
        assert [name for name, _ in found] == ([type_] if type_ else [])

    @pytest.mark.parametrize(
        ("contact", "is_told"),
        [
            pytest.param({**CONTACT, "last_email_opened_at": SAID}, True, id="at the same instant"),
            pytest.param({**CONTACT, "last_email_opened_at": SAID - 30}, True, id="in the minute before"),
            pytest.param({**CONTACT, "last_email_opened_at": SAID + 45}, True, id="in the minute after"),
            pytest.param({**CONTACT, "last_email_opened_at": SAID - 3600}, False, id="the contact as it was before"),
            pytest.param({**CONTACT, "last_email_opened_at": SAID + 3600}, False, id="the contact as it is later"),
            pytest.param({**CONTACT, "last_email_opened_at": None}, False, id="not yet"),
            pytest.param({"type": "contact", "id": "67a"}, False, id="a reference"),
        ],
    )
    def test_a_mail_is_opened_when_the_contacts_field_says(self, contact: dict[str, Any], is_told: bool) -> None:
        """As the list says later; a contact that does not say yet is looked up."""
        stat = {"id": "s1", "content_type": "email", "stat_type": "open", "content_title": "News"}
        item = {"type": "content_stat.email", "created_at": SAID, "content_stat": stat, "contact": contact}
        found = read(notice("content_stat.email", item))
        told = [one for one in events(found) if one[0] == "email.opened"]
        assert bool(told) is is_told
        assert told == [one for one in events(pulled({**REST, **contact})) if is_told and one[0] == "email.opened"]
        assert [one.id for one in found if isinstance(one, Fetch)] == ([] if is_told else ["67a"])

    @pytest.mark.parametrize(
        ("merged_at", "counts"),
        [
            pytest.param(SAID - 60, True, id="merged before"),
            pytest.param(SAID + 60, False, id="merged later: it may have been the other's"),
            pytest.param(None, True, id="merged at no instant that is known"),
        ],
    )
    def test_a_mail_that_was_opened_before_a_merge(self, merged_at: int | None, counts: bool) -> None:
        merges = [{"type": "merge_history", "source_contact_id": "67b", "merged_at": merged_at}]
        found = events(pulled({**REST, "last_email_opened_at": SAID, "merge_history": merges}))
        assert ("email.opened" in dict(found)) is counts


class TestSigningUp:
    @pytest.mark.parametrize("topic", ["contact.lead.signed_up", "visitor.signed_up"])
    def test_of_a_user(self, topic: str) -> None:
        assert ("signup.completed", "signed_up/67a") in events(read(notice(topic, CONTACT)))

    def test_of_a_lead_leads_to_the_user_that_it_becomes(self) -> None:
        lead = {**CONTACT, "role": "lead", "signed_up_at": SAID}
        found = read(notice("contact.lead.signed_up", lead))
        assert [one.id for one in found if isinstance(one, Fetch)] == ["67a"]
        assert "signup.completed" not in dict(events([*found, *pulled(lead)]))

    def test_of_a_user_as_old_versions_showed_one(self) -> None:
        old = {"type": "user", "id": "67a", "user_id": "u-1", "email": "ada@example.test", "signed_up_at": SAID}
        event = read(notice("visitor.signed_up", old))[-1]
        assert isinstance(event, Event)
        assert (event.sender_id, event.ids.user_id) == ("signed_up/67a", "u-1")


class TestProductEvents:
    @pytest.mark.parametrize(
        ("name", "type_"),
        [
            pytest.param("invited-friend", "product.invited_friend", id="dashes"),
            pytest.param("Placed Order", "product.placed_order", id="words"),
            pytest.param("Cerere Ofertă", "product.cerere_oferta", id="accents"),
            pytest.param("预约", "product.u9884_u7ea6", id="another script"),
            pytest.param("x" * 500, "product." + "x" * 120, id="long"),
        ],
    )
    def test_type(self, name: str, type_: str) -> None:
        item = {"type": "event", "event_name": name, "id": "e1", "intercom_user_id": "67a", "created_at": SAID}
        [event] = read(notice("event.created", {**item, "metadata": {"price": {"amount": 5, "currency": "eur"}}}))
        assert isinstance(event, Event)
        assert (event.type, event.sender_id) == (type_, "event/e1")
        assert event.properties == {"price.amount": 5, "price.currency": "eur", "event_name": name}

    def test_without_an_id_it_has_one_made_of_what_it_says(self) -> None:
        item = {"type": "event", "event_name": "a", "id": None, "user_id": "u-1", "created_at": SAID}
        first, again = (read(notice("event.created", item, id=id_))[0] for id_ in ("notif_1", "notif_2"))
        assert isinstance(first, Event)
        assert first == again
        assert first.sender_id


def conversation(**fields: Any) -> dict[str, Any]:
    return {
        "type": "conversation",
        "id": "515",
        "created_at": SAID,
        "updated_at": SAID + 60,
        "source": {
            "type": "conversation",
            "delivered_as": "customer_initiated",
            "author": {"type": "lead", "id": "67a"},
        },
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "67a", "external_id": "u-1"}]},
        **fields,
    }


def part(id_: str, author: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "part_type": "comment",
        "created_at": SAID + 5,
        "author": {"type": author, "id": "67a"},
        **fields,
    }


class TestConversations:
    def test_started(self) -> None:
        [event] = read(notice("conversation.user.created", conversation()))
        assert isinstance(event, Event)
        assert (event.type, event.sender_id, event.at) == ("chat.started", "conversation/515", SAID_AT)
        assert (event.ids.user_id, event.ids.vendor) == ("u-1", {"intercom": "67a"})

    def test_what_a_colleague_began_is_nothing_the_contact_did(self) -> None:
        source = {"delivered_as": "admin_initiated", "author": {"type": "admin", "id": "9"}}
        assert pulled(conversation(source=source)) == []

    def test_replies_of_contacts_alone(self) -> None:
        parts = [
            part("1", "user"),
            part("2", "admin"),
            part("3", "bot"),
            part("4", "user", part_type="close"),
            part("5", "lead", part_type="open", body="<p>Again</p>"),
        ]
        told = conversation(conversation_parts={"conversation_parts": parts})
        found = events(read(notice("conversation.user.replied", told)))
        assert found[1:] == [("chat.replied", "reply/515/1"), ("chat.replied", "reply/515/5")]

    def test_reply_without_its_part_is_fetched(self) -> None:
        [fetch] = read(notice("conversation.user.replied", conversation()))[1:]
        assert isinstance(fetch, Fetch)
        assert (fetch.kind, fetch.id) == ("conversation", "515")

    @pytest.mark.parametrize(
        ("rating", "rated"),
        [
            pytest.param({"rating": 5, "created_at": SAID}, ["rated/515/5"], id="rated"),
            pytest.param({"rating": None, "created_at": SAID}, [], id="only invited to"),
            pytest.param(None, [], id="no rating"),
        ],
    )
    def test_rating(self, rating: Any, rated: list[str]) -> None:
        found = events(read(notice("conversation.rating.added", conversation(conversation_rating=rating))))
        assert [id_ for type_, id_ in found if type_ == "chat.rated"] == rated


_NAMES = st.sampled_from(["id", "contact", "contacts", "created_at", "author", "source", "data", "type"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner),
    max_leaves=12,
)


class TestFaults:
    @pytest.mark.parametrize(
        ("topic", "item", "field"),
        [
            pytest.param("contact.user.updated", {"name": "x"}, "id", id="a contact without an id"),
            pytest.param("contact.user.updated", {}, "data.item", id="no item"),
            pytest.param("contact.user.created", {**CONTACT, "created_at": "soon"}, "created_at", id="no instant"),
            pytest.param("contact.user.updated", {**CONTACT, "updated_at": [1]}, "updated_at", id="a list"),
            pytest.param("event.created", {"event_name": "a"}, "data.item.intercom_user_id", id="nobody's event"),
            pytest.param(
                "event.created", {"event_name": "!", "user_id": "u"}, "data.item.event_name", id="a name of no letters"
            ),
            pytest.param("conversation.user.created", {"id": "1", "created_at": 1}, "contacts", id="with nobody"),
        ],
    )
    def test_named(self, topic: str, item: dict[str, Any], field: str) -> None:
        with pytest.raises(Misunderstood) as caught:
            read(notice(topic, item))
        assert caught.value.field == field

    def test_one_record_takes_no_other_with_it(self) -> None:
        found = pulled({"type": "contact"}, REST, {"type": "planet", "id": "1"})
        faults = [record for record in found if isinstance(record, Misunderstood)]
        assert [fault.position for fault in faults] == [0, 2]
        assert len(found) == 5

    @pytest.mark.parametrize("topic", ["conversation.deleted", "ticket.created", "content_stat.carousel", "", "ping"])
    def test_other_topics_say_nothing(self, topic: str) -> None:
        assert read(notice(topic, {"id": "1", "contact": {"id": "67a"}})) == []

    @settings(deadline=None)
    @given(ANYTHING, st.sampled_from(TOPICS))
    def test_whatever_comes_is_read_or_named(self, item: Any, topic: str) -> None:
        with suppress(Misunderstood):
            read(notice(topic, item))

    def test_one_that_is_nested_too_deeply_takes_no_other_with_it(self) -> None:
        deep = '{"type":"contact","id":' + "[" * 5000 + "]" * 5000 + "}"
        fault, *others = read(f'{{"records":[{deep},{json.dumps(REST)}]}}'.encode(), "pull/contacts")
        assert isinstance(fault, Misunderstood)
        assert others == pulled(REST)

    def test_numbers_of_letters_stay_apart(self) -> None:
        assert slug("a b") == slug("A-B") != slug("预")


class TestOrder:
    @staticmethod
    @cache
    def _messages() -> tuple[Message, ...]:
        clock = SetClock()
        simulator = IntercomSimulator(clock=clock)
        requests = simulator.hooks("a1b2c3d4", url="https://a.example.test/hooks/intercom", signed_at=clock.now())
        here = simulator.workspaces["a1b2c3d4"]
        listed = {"records": [here.contact(id_, merge_history=True) for id_ in here.contacts]}
        talks = {"records": list(here.conversations.values())}
        return (
            *(Message("hook", request.body, request.received_at) for request in requests),
            Message("pull/contacts", json.dumps(listed).encode(), clock.now()),
            Message("pull/conversations", json.dumps(talks).encode(), clock.now()),
        )

    @settings(deadline=None, max_examples=40)
    @given(st.randoms(use_true_random=False), st.integers(0, 5))
    def test_neither_order_nor_doubles_matter(self, dice: random.Random, doubled: int) -> None:
        messages = self._messages()
        shuffled = [*messages, *dice.sample(messages, doubled)]
        dice.shuffle(shuffled)

        def facts(of: Iterable[Message]) -> set[str]:
            return {repr(record) for message in of for record in SOURCE.normalise(message)}

        def counted(of: Iterable[Message]) -> dict[str, tuple[str, datetime]]:
            found = [record for message in of for record in SOURCE.normalise(message) if isinstance(record, Event)]
            return {event.sender_id: (event.type, event.at) for event in found}

        assert facts(shuffled) == facts(messages)
        assert counted(shuffled) == counted(messages)
