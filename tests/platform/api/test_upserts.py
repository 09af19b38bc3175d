"""Leads stated by our own API: traits by name, cleared by null, the later statement over the earlier."""

import json
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.normalise.queries import list_dead_letters
from assay_tenants.access.service import SignedUp
from tests.amount import examples

JSON = {"Content-Type": "application/json"}
Find = Callable[..., Any]


@pytest.fixture
def state(call: Any, tenant: SignedUp, work_off: Callable[[int], int]) -> Callable[..., Any]:
    """Sends each record in a request of its own, and has them worked off together."""

    def state(*records: dict[str, Any], **whole: Any) -> Any:
        for record in records:
            answer = call("POST", "/leads", json={"leads": [record]})
        work_off(tenant.tenant_id)
        return answer

    return state


@pytest.fixture
def find(call: Any) -> Find:
    def find(**identity: str) -> Any:
        page = call("GET", "/leads", query_string=identity).json
        return call("GET", f"/leads/{page['items'][0]['id']}").json if page["items"] else None

    return find


def test_a_lead_is_made_and_found(state: Any, find: Find) -> None:
    traits = {"title": "CFO", "seats": 40, "score": 12.5, "active": True, "tags": ["a", 1], "address": {"city": "Huế"}}
    answer = state({"user_id": "u1", "email": "Ada@Quartz.example.test", "traits": traits})
    assert (answer.status_code, answer.json["accepted"]) == (200, 1)
    lead = find(email="ada@quartz.example.test")
    assert lead == find(user_id="u1")
    assert {name: lead["traits"][name] for name in ("title", "seats", "score", "active", "tags", "address.city")} == {
        "title": "CFO", "seats": 40, "score": 12.5, "active": True, "tags": ["a", 1], "address.city": "Huế",
    }  # fmt: skip
    assert lead["email"] == "ada@quartz.example.test"


def test_what_is_left_out_stays_and_null_clears(state: Any, find: Find) -> None:
    state({"user_id": "u1", "traits": {"title": "CFO", "seats": 40, "note": {"a": 1, "b": 2}}})
    state({"user_id": "u1", "traits": {"seats": None, "note": {"a": None}}})
    traits = find(user_id="u1")["traits"]
    assert traits == {"title": "CFO", "note.b": 2}


def test_cleared_trait_can_be_stated_again(state: Any, find: Find) -> None:
    for value in (1, None, 2):
        state({"user_id": "u1", "traits": {"seats": value}})
    assert find(user_id="u1")["traits"] == {"seats": 2}


def test_a_cleared_address_falls_back_to_the_identity(state: Any, find: Find) -> None:
    state({"user_id": "u1", "email": "ada@quartz.example.test"})
    state({"user_id": "u1", "traits": {"email": None}})
    lead = find(user_id="u1")
    assert (lead["email"], lead["traits"]["email"]) == ("ada@quartz.example.test",) * 2


def test_a_new_address_takes_the_place_of_the_earlier(state: Any, find: Find) -> None:
    state({"user_id": "u1", "email": "ada@quartz.example.test"}, {"user_id": "u1", "email": "ada@onyx.example.test"})
    lead = find(user_id="u1")
    assert lead["email"] == "ada@onyx.example.test"
    assert find(email="ada@quartz.example.test")["id"] == lead["id"]


STATEMENTS = [
    {"stated_at": "2026-01-01T00:00:00Z", "traits": {"title": "CFO", "seats": 1}},
    {"stated_at": "2026-01-02T00:00:00Z", "traits": {"title": None}},
    {"stated_at": "2026-01-03T00:00:00Z", "traits": {"seats": None}},
    {"stated_at": "2026-01-03T00:00:00+01:00", "traits": {"seats": 7}},
]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=lambda order: "".join(map(str, order)))
def test_order_makes_no_difference(state: Any, find: Find, order: tuple[int, ...]) -> None:
    state({"user_id": "u1", "traits": {"kept": True}}, *({"user_id": "u1", **STATEMENTS[place]} for place in order))
    assert find(user_id="u1")["traits"] == {"kept": True}


class TestCompany:
    def test_by_id(self, state: Any, find: Find) -> None:
        state({"user_id": "u1", "company": {"id": "c1", "traits": {"name": "Quartz", "employees": 40}}})
        state({"user_id": "u1", "company": {"id": "c1", "traits": {"employees": None}}})
        lead = find(user_id="u1")
        assert (lead["company"], lead["traits"]["company.name"]) == ("Quartz", "Quartz")
        assert "company.employees" not in lead["traits"]

    def test_by_domain(self, state: Any, find: Find) -> None:
        state({"user_id": "u1", "company": {"domain": "www.Quartz.example"}})
        state({"user_id": "u2", "company": {"domain": "quartz.example", "traits": {"employees": 40}}})
        assert find(user_id="u1")["traits"]["company.employees"] == 40
        assert find(user_id="u1")["traits"]["company.domain"] == "quartz.example"


@pytest.mark.parametrize(("record", "field", "code"), [
    pytest.param({"traits": {}}, None, "nobody", id="nobody"),
    pytest.param({"user_id": "u", "trait": {}}, "trait", "unknown_field", id="misspelt"),
    pytest.param({"user_id": "u", "traits": []}, "traits", "wrong_type", id="a list for traits"),
    pytest.param({"user_id": "u", "traits": {"a": {"b": "\0"}}}, "traits.a.b", "bad_character", id="null character"),
    pytest.param({"user_id": "u", "stated_at": "noon"}, "stated_at", "bad_instant", id="noon"),
    pytest.param({"user_id": "u", "company": {}}, "company", "missing", id="no company"),
    pytest.param({"user_id": "u", "company": {"name": "x"}}, "company.name", "unknown_field", id="company's field"),
    pytest.param({"user_id": "u", "company": {"id": ""}}, "company.id", "empty", id="company's empty id"),
    pytest.param({"user_id": "u", "company": {"id": " "}}, "company.id", "empty", id="company's blank id"),
    pytest.param({"user_id": "u", "company": {"id": 7}}, "company.id", "wrong_type", id="company's number"),
    pytest.param({"user_id": "u", "company": {"domain": "https://x.y/"}}, "company.domain", "bad_format", id="address"),
    pytest.param({"user_id": "u", "company": {"domain": "x"}}, "company.domain", "bad_format", id="no dot"),
    pytest.param({"user_id": "u", "company": {"id": "c", "traits": {"n": 2**70}}}, "company.traits.n", "bad_number",
                 id="company's large number"),
])  # fmt: skip
def test_refused(call: Any, record: dict[str, Any], field: str | None, code: str) -> None:
    answer = call("POST", "/leads", json={"leads": [{"user_id": "good"}, record]})
    (refused,) = answer.json["refused"]
    assert (answer.status_code, refused["index"], refused["field"], refused["code"]) == (207, 1, field, code), refused


class TestLookUp:
    @pytest.mark.parametrize("identity", [
        {"user_id": "u1"}, {"email": "ADA@quartz.example.test"}, {"anonymous_id": "d1"}, {"vendor_id": "hubspot:51"},
    ], ids=lambda identity: next(iter(identity)))  # fmt: skip
    def test_by_each_identity(self, state: Any, call: Any, identity: dict[str, str]) -> None:
        who = {"user_id": "u1", "email": "ada@quartz.example.test", "anonymous_id": "d1"}
        state({**who, "vendor_ids": {"hubspot": "51"}}, {"user_id": "u2"})
        (item,) = call("GET", "/leads", query_string=identity).json["items"]
        assert item["email"] == "ada@quartz.example.test"

    def test_comes_with_its_score_once_there_is_one(
        self, state: Any, call: Any, publish: Any, tenant: SignedUp, work_off: Callable[[int], int]
    ) -> None:
        state({"user_id": "u1", "traits": {"title": "CFO"}})
        assert call("GET", "/leads?user_id=u1").json["items"][0]["total"] is None
        publish(tenant.tenant_id)
        work_off(tenant.tenant_id)
        page = call("GET", "/leads?user_id=u1").json
        assert (page["items"][0]["total"], page["next_cursor"]) == (20, None)

    def test_nobody(self, call: Any) -> None:
        assert call("GET", "/leads?user_id=nobody").json == {"items": [], "next_cursor": None, "model": None}

    @pytest.mark.parametrize(("query", "field"), [
        ("email=a@b.c&user_id=u", "email"), ("user_id=u&text=x", "text"), ("user_id=u&stage=x", "stage"),
        ("user_id=u&cursor=x", "cursor"), ("vendor_id=51", "vendor_id"), ("user_id=%00", "user_id"),
    ])  # fmt: skip
    def test_refuses_what_does_not_go_together(self, call: Any, query: str, field: str) -> None:
        answer = call("GET", f"/leads?{query}")
        assert answer.status_code == 422, answer.text
        assert answer.get_json(force=True)["errors"][0]["field"] == field


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=4), st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
)  # fmt: skip


@given(traits=st.dictionaries(st.text(max_size=5), VALUES, max_size=4), user_id=st.text(max_size=6))
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_accepted_is_understood(
    call: Any, tenant: SignedUp, work_off: Callable[[int], int], traits: dict[str, Any], user_id: str
) -> None:
    body = json.dumps({"leads": [{"user_id": user_id, "traits": traits}, {"user_id": "good"}]})
    answer = call("POST", "/leads", data=body, headers=JSON)
    assert answer.status_code in (200, 207), answer.text
    work_off(tenant.tenant_id)
    assert list_dead_letters(tenant.tenant_id, 10).letters == []
