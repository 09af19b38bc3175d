import json
import re
import shlex
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from assay_tenants import keys
from assay_tenants.access.service import SignedUp


def secret_in(text: str) -> str:
    found = re.search(r'id="new-key">([^<]+)<', text)
    assert found
    return found[1]


def test_a_new_key_is_shown_once(person: Any) -> None:
    answer = person.sends("/settings/keys/write", on="/settings", name="Warehouse <b>")
    secret = secret_in(answer.text)
    caller = keys.find_caller(secret, kind="write")
    assert caller is not None
    assert caller.tenant_id == person.tenant_id
    again = person.opens("/settings").text
    assert secret not in again
    assert secret[-4:] in again
    assert "Warehouse &lt;b&gt;" in again


def test_a_key_needs_a_name(person: Any) -> None:
    answer = person.sends("/settings/keys/write", on="/settings", name=" ")
    assert answer.status_code == 422
    assert "Give the key a name" in answer.text


def test_keys_of_other_kinds_are_not_made_here(person: Any) -> None:
    assert person.sends("/settings/keys/api", on="/settings", name="x").status_code == 404


def test_a_rotated_key_keeps_working_for_a_day(person: Any, tenant: SignedUp) -> None:
    (old,) = keys.list_keys(person.tenant_id, kind="write")
    answer = person.sends(f"/settings/keys/{old.id}/rotate", on="/settings")
    assert keys.find_caller(secret_in(answer.text), kind="write") is not None
    assert keys.find_caller(tenant.write_key, kind="write") is not None


def test_a_revoked_key_opens_nothing(person: Any, tenant: SignedUp) -> None:
    (key,) = keys.list_keys(person.tenant_id, kind="write")
    answer = person.sends(f"/settings/keys/{key.id}/revoke", on="/settings")
    assert answer.status_code == 303
    assert keys.find_caller(tenant.write_key, kind="write") is None


class TestOrigins:
    @pytest.fixture
    def key_id(self, person: Any) -> int:
        (key,) = keys.list_keys(person.tenant_id, kind="write")
        return key.id

    def test_saved_as_browsers_state_them(self, person: Any, key_id: int) -> None:
        typed = "HTTPS://www.Example.com/\r\nhttps://*.example.org"
        answer = person.sends(f"/settings/keys/{key_id}/origins", on="/settings", origins=typed)
        assert answer.status_code == 303
        assert keys.list_keys(person.tenant_id, kind="write")[0].origins == [
            "https://www.example.com",
            "https://*.example.org",
        ]
        page = person.opens("/settings").text
        assert "Pages of these origins alone may use the key" in page
        assert "for pages of https://www.example.com, https://*.example.org only" in page

    def test_an_empty_list_lets_any_page_in(self, person: Any, key_id: int) -> None:
        keys.restrict_key(person.tenant_id, key_id, "https://a.test")
        person.sends(f"/settings/keys/{key_id}/origins", on="/settings", origins=" ")
        assert keys.list_keys(person.tenant_id, kind="write")[0].origins == []
        assert "for pages of any origin" in person.opens("/settings").text

    def test_a_bad_one_is_told_beside_what_was_typed(self, person: Any, key_id: int) -> None:
        typed = "https://a.test\nexample.com<b>"
        answer = person.sends(f"/settings/keys/{key_id}/origins", on="/settings", origins=typed)
        assert answer.status_code == 422
        assert "“example.com&lt;b&gt;” is no origin: it needs its scheme" in answer.text
        assert ">https://a.test\nexample.com&lt;b&gt;</textarea>" in answer.text
        assert keys.list_keys(person.tenant_id, kind="write")[0].origins == []

    def test_an_api_key_has_none(self, person: Any) -> None:
        key = keys.issue_key(person.tenant_id, kind="api", name="Reports")
        answer = person.sends(f"/settings/keys/{key.id}/origins", on="/settings", origins="https://a.test")
        assert answer.status_code == 404
        assert f"/settings/keys/{key.id}/origins" not in person.opens("/settings").text


@pytest.mark.parametrize("deed", ["rotate", "revoke", "origins"])
def test_the_neighbours_keys_are_not_there(
    person: Any, neighbour: SignedUp, person_of: Callable[[SignedUp], Any], deed: str
) -> None:
    (theirs,) = keys.list_keys(neighbour.tenant_id, kind="write")
    assert person.sends(f"/settings/keys/{theirs.id}/{deed}", on="/settings").status_code == 404
    assert keys.find_caller(neighbour.write_key, kind="write") is not None


def example(page: str, name: str) -> str:
    found = re.search(rf'<code id="example-{name}">(.*?)</code>', page, re.DOTALL)
    assert found
    return unescape(found[1])


def test_the_curl_example_does_what_it_says(person: Any, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
    command = shlex.split(example(person.opens("/settings").text, "curl"))
    assert command[:4] == ["curl", "http://localhost/v1/batch", "-u", "YOUR_WRITE_KEY:"]
    body = json.loads(command[command.index("-d") + 1])
    answer = person.client.post("/v1/batch", json=body, auth=(tenant.write_key, ""))
    assert answer.status_code == 200
    work_off(tenant.tenant_id)
    assert "ada@example.com" in person.opens("/leads").text


def test_a_new_write_key_stands_in_the_examples(person: Any) -> None:
    page = person.sends("/settings/keys/write", on="/settings", name="Website").text
    secret = secret_in(page)
    for name in ("curl", "python", "node", "browser"):
        assert secret in example(page, name)
