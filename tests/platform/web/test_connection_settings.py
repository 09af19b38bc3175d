"""The settings of a connection: changed, refused, found changed by somebody else; secrets are never shown."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from assay import connecting
from assay_tenants import connections
from tests.platform.connecting.desk import acme_installed
from tests.platform.web.acme_pages import PAGE, connected_page, id_in, version_in


@pytest.fixture
def connect(connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    with acme_installed(monkeypatch):
        yield connected_page


class TestSettings:
    def test_are_changed_without_connecting_again(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person, signing="very-secret")
        form = person.opens(f"{page}/settings").text
        assert "We have one, sealed" in form
        fields = {
            "connection_version": version_in(form),
            "connection_name": "Renamed",
            "folder": "Support",
            "drafts": "yes",
        }
        assert person.sends(f"{page}/settings", on=f"{page}/settings", **fields).status_code == 303
        assert "Renamed" in person.opens(page).text
        wrong = person.sends(f"{page}/settings", on=f"{page}/settings", **{**fields, "folder": ""})
        assert wrong.status_code == 422
        assert "Fill this in." in wrong.text

    def test_what_somebody_else_changed_meanwhile_stands_beside_what_was_typed(
        self, person: Any, connect: Callable[..., str]
    ) -> None:
        page = connect(person, region="eu", since="2")
        settings = f"{page}/settings"
        version = version_in(person.opens(settings).text)
        theirs = {"connection_name": "Theirs", "folder": "Support", "region": "us", "since": "2", "drafts": "yes"}
        assert person.sends(settings, on=settings, **theirs, connection_version=version).status_code == 303
        mine = {"connection_name": "Mine", "folder": "Sales", "region": "eu", "since": "2", "signing": "very-secret"}
        late = person.sends(settings, on=settings, **mine, connection_version=version)
        assert late.status_code == 409
        assert "Somebody changed this connection meanwhile" in late.text
        for typed in ('value="Mine"', 'value="Sales"', '<option value="eu" selected>'):
            assert typed in late.text, typed
        told = dict(re.findall(r'<p class="wrong" id="(\w+)-wrong">([^<]*)</p>', late.text))
        assert told == {
            "connection_name": "Stored now: Theirs",
            "folder": "Stored now: Support",
            "region": "Stored now: United States",
            "drafts": "Stored now: ticked",
            "signing": "Type this once more: it is not saved yet, and is never shown.",
        }
        assert "very-secret" not in late.text
        kept = connections.get_connection(person.tenant_id, id_in(page))
        assert (kept.name, kept.settings["folder"]) == ("Theirs", "Support")
        again = person.sends(settings, on=settings, **mine, connection_version=version_in(late.text))
        assert again.status_code == 303
        assert connections.get_connection(person.tenant_id, id_in(page)).name == "Mine"

    def test_a_secret_that_was_typed_is_asked_for_again_when_another_field_was_wrong(
        self, person: Any, connect: Callable[..., str]
    ) -> None:
        settings = f"{connect(person)}/settings"
        for path in (PAGE, settings):
            wrong = person.sends(path, on=path, folder="", signing="very-secret")
            assert wrong.status_code == 422
            assert 'id="signing-wrong">Type this once more' in wrong.text, path
            assert "very-secret" not in wrong.text

    @pytest.mark.parametrize(
        ("secret", "said"),
        [
            pytest.param("very-secret", "We have one, sealed; leave this empty to keep it.", id="one"),
            pytest.param("", "It is kept sealed and never shown again.", id="none"),
        ],
    )
    def test_say_whether_a_secret_is_there(
        self, person: Any, connect: Callable[..., str], secret: str, said: str
    ) -> None:
        page = connect(person, signing=secret)
        for path in (f"{page}/settings", f"{page}/reconnect"):
            assert said in person.opens(path).text, path

    def test_a_secret_of_an_access_that_is_refused_is_taken_by_connecting_again(
        self, person: Any, connect: Callable[..., str]
    ) -> None:
        page = connect(person)
        renewal = connections.credentials_of(person.tenant_id, id_in(page)).renewal
        connections.needs_reconnect(person.tenant_id, id_in(page), "It was revoked.", since=renewal)
        settings = f"{page}/settings"
        fields = {"connection_version": version_in(person.opens(settings).text), "connection_name": "Mine"}
        refused = person.sends(settings, on=settings, **fields, folder="Support", signing="very-secret")
        assert refused.status_code == 409
        assert 'id="signing-wrong">Nothing was saved. Connect again, and fill this in there.' in refused.text
        assert "very-secret" not in refused.text
        assert connections.get_connection(person.tenant_id, id_in(page)).name != "Mine"
        assert person.sends(settings, on=settings, **fields, folder="Support").status_code == 303

    def test_of_what_is_disconnected_there_are_none(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        connecting.disconnect(person.tenant_id, id_in(page))
        asked = person.opens(f"{page}/settings")
        assert (asked.status_code, asked.location) == (303, page)
        assert "is disconnected and has no settings any more" in person.opens(page).text
        sent = person.sends(f"{page}/settings", on="/settings", connection_name="Mine", folder="Support")
        assert (sent.status_code, sent.location) == (303, page)
        assert "is disconnected and has no settings any more" in person.opens(page).text
