"""Connections on their pages: the way to the vendor and back, health, what goes back, who may."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask
from sqlalchemy import text, update

from assay import connecting, plugins
from assay.delivery.models import Target
from assay.scoring.service import archive
from assay.syncing.models import LinkRow, StreamRow
from assay.web.connections import lasting
from assay_tenants import connections, operators
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.queries import Wanted, list_entries
from assay_tenants.connections.models import Connection
from assay_tenants.database import directory_session, tenant_session
from tests.platform.connecting.acme import AcmeSimulator, AcmeSource
from tests.platform.connecting.desk import FORM, acme_installed, answer_at, refuse
from tests.platform.web.acme_pages import CALLBACK, PAGE, connected_page, id_in, leave


@pytest.fixture
def acme(connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AcmeSimulator]:
    with acme_installed(monkeypatch) as stand_in:
        yield stand_in


@pytest.fixture
def connect(acme: AcmeSimulator) -> Callable[..., str]:
    return connected_page


def become(person: Any, role: str) -> None:
    with directory_session() as session:
        session.execute(
            text("UPDATE tenancy.memberships SET role = :role WHERE tenant_id = :t"),
            {"role": role, "t": person.tenant_id},
        )


def change_link(tenant_id: int, **values: Any) -> None:
    with tenant_session(tenant_id) as session:
        session.execute(update(LinkRow).where(LinkRow.tenant_id == tenant_id).values(**values))


def change_stream(tenant_id: int, **values: Any) -> None:
    with tenant_session(tenant_id) as session:
        session.execute(
            update(StreamRow).where(StreamRow.tenant_id == tenant_id, StreamRow.name == "contacts").values(**values)
        )


class TestCatalogue:
    def test_offers_what_is_installed(self, person: Any, acme: AcmeSimulator) -> None:
        page = person.opens("/connections").text
        assert "Contacts and orders come in; scores go back." in page
        assert f'href="{PAGE}"' in page
        assert 'aria-current="page">Connections' in page

    def test_names_what_the_installation_lacks_to_those_who_can_tell_somebody(
        self, person: Any, acme: AcmeSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("ASSAY_PLUGIN_ACME_CLIENT_ID")
        page = person.opens("/connections").text
        assert "ASSAY_PLUGIN_ACME_CLIENT_ID" in page
        assert "http://localhost/connections/callback/acme" in page
        assert acme.client_secret not in page
        answer = person.sends(PAGE, on=PAGE, **FORM)
        assert answer.status_code == 409
        assert "Acme can&#39;t be connected yet" in answer.text
        become(person, "editor")
        page = person.opens("/connections").text
        assert "ASSAY_PLUGIN_ACME_CLIENT_ID" not in page
        assert "Not set up on this installation yet." in page

    def test_without_any_plugin_it_says_so(
        self, person: Any, acme: AcmeSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plugins.installed(), "services", {})
        assert "No plugin is installed that could be connected." in person.opens("/connections").text


class TestConnect:
    def test_says_beforehand_what_it_is_about(self, person: Any, acme: AcmeSimulator) -> None:
        page = person.opens(PAGE).text
        for said in (
            "To read contacts",
            "To read orders",
            "done without",
            "Booked a meeting",
            # Long types break, so that a phone need not scroll sideways.
            '<div class="lead-cell"><code class="small faint">meeting.booked</code></div>',
            "+25",
            "−20",
            "Assay score",
            '<code class="small faint">assay_score</code>',
            "Which folder is read.",
        ):
            assert said in page, said
        assert 'type="password"' in page
        assert '<option value="eu" selected>Europe</option>' in page
        assert '<label for="region">Region</label>' in page

    def test_there_and_back(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person, connection_name="Our Acme", signing="very-secret")
        shown = person.opens(page).text
        assert "Our Acme is connected" in shown
        assert "First load" in shown
        for path in ("/connections", page, f"{page}/settings", f"{page}/reconnect", "/settings/audit"):
            assert "very-secret" not in person.opens(path).text, path

    def test_the_page_that_leads_there_asks_for_nothing_that_its_policy_forbids(
        self, person: Any, acme: AcmeSimulator
    ) -> None:
        answer = person.sends(PAGE, on=PAGE, **FORM)
        assert "form-action 'self';" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert "<script" not in answer.text.partition("</head>")[2]

    def test_a_wrong_form_is_told_by_field_and_keeps_the_rest(self, person: Any, acme: AcmeSimulator) -> None:
        answer = person.sends(PAGE, on=PAGE, folder="", region="us", since="many", signing="very-secret")
        assert answer.status_code == 422
        assert '<p class="wrong" id="folder-wrong">Fill this in.</p>' in answer.text
        assert 'id="since-wrong">This must be a whole number.' in answer.text
        assert '<option value="us" selected>' in answer.text
        assert 'value="many"' in answer.text
        assert "very-secret" not in answer.text

    def test_an_address_that_is_no_web_page_is_not_gone_to(
        self, person: Any, acme: AcmeSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ASSAY_PLUGIN_ACME_AUTHORIZE", "javascript:alert(1)//")
        answer = person.sends(PAGE, on=PAGE, **FORM)
        assert answer.status_code == 422
        assert "javascript:" not in answer.text

    def test_what_the_vendor_calls_itself_is_text(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        for path in (page, "/connections", f"{page}/disconnect", f"{page}/settings"):
            shown = person.opens(path).text
            assert "<script>alert" not in shown
            assert "&lt;script&gt;alert(&#39;acme&#39;)&lt;/script&gt;" in shown, path


class TestComeBack:
    @pytest.mark.parametrize(
        ("query", "status", "said"),
        [
            pytest.param("", 410, "belongs to nothing that you have begun", id="nothing"),
            pytest.param("state=x&code=y", 410, "belongs to nothing that you have begun", id="a made-up state"),
            pytest.param("state=STATE&error=access_denied", 422, "Access was refused at Acme", id="refused there"),
            pytest.param(
                "state=STATE&error=x&error_description=%3Cscript%3Ealert(1)", 422, "&lt;script&gt;alert(1)", id="script"
            ),
            pytest.param("state=STATE", 422, "without a code", id="no code"),
        ],
    )
    def test_whatever_goes_wrong_is_said_on_a_page(
        self, person: Any, acme: AcmeSimulator, query: str, status: int, said: str
    ) -> None:
        state = dict(parse_qsl(urlsplit(leave(person)).query))["state"]
        answer = person.opens(f"{CALLBACK}?{query.replace('STATE', state)}")
        assert answer.status_code == status
        assert said in answer.text
        assert "<script>alert" not in answer.text
        assert connections.list_connections(person.tenant_id) == []

    def test_twice_is_refused(self, person: Any, acme: AcmeSimulator) -> None:
        back = f"{CALLBACK}?{urlencode(answer_at(leave(person)))}"
        assert person.opens(back).status_code == 303
        assert person.opens(back).status_code == 410

    def test_by_another_person_it_is_refused(
        self, person: Any, neighbour: SignedUp, person_of: Any, acme: AcmeSimulator
    ) -> None:
        back = f"{CALLBACK}?{urlencode(answer_at(leave(person)))}"
        answer = person_of(neighbour).opens(back)
        assert answer.status_code == 410
        assert "another company" in answer.text
        assert connections.list_connections(neighbour.tenant_id) == []

    def test_whoever_was_logged_out_meanwhile_logs_in_and_goes_on(
        self, person: Any, stranger: Any, acme: AcmeSimulator
    ) -> None:
        answer = stranger.opens(f"{CALLBACK}?state=s&code=c")
        assert answer.status_code == 303
        assert answer.location.startswith("/log-in?next=/connections/callback/acme")

    def test_an_unknown_service_is_not_there(self, person: Any, acme: AcmeSimulator) -> None:
        assert person.opens("/connections/callback/nobodys?state=x").status_code == 404


class TestHealth:
    def test_the_first_load_shows_how_far_it_is(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        now = datetime.now(UTC)
        change_stream(person.tenant_id, records=50, total=200, last_run_at=now)
        shown = person.opens(page, HX_Target="div#health").text
        assert '<progress max="100" value="25"' in shown
        assert 'hx-trigger="every 2s"' in shown
        assert "50 of 200" in shown
        assert "<html" not in shown
        change_stream(
            person.tenant_id,
            records=200,
            loaded_at=now,
            last_success_at=now,
            newest_at=now,
            due_at=now + timedelta(minutes=5),
        )
        # A score waits to be sent: the page looks again soon.
        assert 'hx-trigger="every 2s"' in person.opens(page, HX_Target="div#health").text
        with tenant_session(person.tenant_id) as session:
            session.execute(update(Target).where(Target.tenant_id == person.tenant_id).values(due_at=None))
        shown = person.opens(page, HX_Target="div#health").text
        assert "Everything is read" in shown
        assert 'hx-trigger="every 15s"' in shown
        assert "the permission orders was not granted" in shown

    @pytest.mark.parametrize(
        ("link", "said"),
        [
            pytest.param({"paused_at": datetime.now(UTC)}, "Nothing is read, and no score goes back", id="paused"),
            pytest.param(
                {"failures": 6, "open_until": datetime.now(UTC) + timedelta(minutes=5), "error": "It is <b>down</b>."},
                "Acme failed 6 times in a row, and is tried again by itself. It is &lt;b&gt;down&lt;/b&gt;.",
                id="left alone",
            ),
            pytest.param({"subscribe_error": "It lets nobody."}, "Notices: It lets nobody.", id="no subscription"),
        ],
    )
    def test_its_state_is_said_in_words(
        self, person: Any, connect: Callable[..., str], link: dict[str, Any], said: str
    ) -> None:
        page = connect(person)
        change_link(person.tenant_id, **link)
        assert said in person.opens(page).text
        assert said in person.opens("/connections").text

    @pytest.mark.parametrize(
        ("behind", "said"),
        [
            pytest.param(timedelta(seconds=0), "under a minute", id="nothing"),
            pytest.param(timedelta(seconds=59), "under a minute", id="seconds"),
            pytest.param(timedelta(seconds=119), "1 minute", id="a minute"),
            pytest.param(timedelta(hours=30), "1 day", id="a day"),
            pytest.param(timedelta(days=9), "9 days", id="days"),
        ],
    )
    def test_how_far_it_is_behind(self, behind: timedelta, said: str) -> None:
        assert lasting(behind) == said

    @pytest.mark.parametrize(
        ("account", "name", "shown"),
        [
            pytest.param("62515", "Sales", True, id="a number"),
            pytest.param("62515", "Portal 62515", False, id="in the name already"),
            pytest.param("a223c6b3710f85df22e9377d6c4f7553", "Sales", False, id="no person ever saw it"),
        ],
    )
    def test_an_account_is_named_by_what_people_know(
        self, person: Any, connect: Callable[..., str], account: str, name: str, shown: bool
    ) -> None:
        page = connect(person, connection_name=name)
        with tenant_session(person.tenant_id) as session:
            session.execute(update(Connection).where(Connection.tenant_id == person.tenant_id).values(account=account))
        assert (f", account {account}" in person.opens(page).text) is shown

    def test_when_it_has_to_be_connected_again_there_is_a_button(
        self, person: Any, connect: Callable[..., str]
    ) -> None:
        page = connect(person)
        renewal = connections.credentials_of(person.tenant_id, id_in(page)).renewal
        connections.needs_reconnect(person.tenant_id, id_in(page), "It was <b>revoked</b>.", since=renewal)
        shown = person.opens(page).text
        assert "It was &lt;b&gt;revoked&lt;/b&gt;." in shown
        assert f'<a class="button button-small" href="{page}/reconnect">Connect again</a>' in shown
        assert "Load all again" not in shown
        form = person.opens(f"{page}/reconnect").text
        assert 'value="Sales"' in form
        assert "It stays the same connection" in form
        going = person.sends(f"{page}/reconnect", on=f"{page}/reconnect", **FORM)
        url = re.search(r'content="0;url=([^"]+)"', going.text)
        assert url
        wrong = person.opens(f"{CALLBACK}?{urlencode(answer_at(url[1].replace('&amp;', '&'), account='a2'))}")
        assert wrong.status_code == 409
        assert "you allowed Other Acme" in wrong.text

    def test_what_is_connected_again_begins_no_first_load(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        person.opens(page)
        with tenant_session(person.tenant_id) as session:
            session.execute(update(StreamRow).values(loaded_at=datetime.now(UTC)))
        assert "is connected. It goes on where it was." in person.opens(connect(person)).text

    @pytest.mark.parametrize(
        ("deed", "action"),
        [
            pytest.param("sync", "connection.synced", id="sync now"),
            pytest.param("pause", "connection.paused", id="pause"),
            pytest.param("reload", "connection.reloaded", id="load again"),
            pytest.param("send-all", "delivery.repeated", id="send all again"),
        ],
    )
    def test_what_a_person_has_it_do_is_on_record(
        self, person: Any, connect: Callable[..., str], deed: str, action: str
    ) -> None:
        page = connect(person)
        assert person.sends(f"{page}/{deed}", on=page).status_code == 303
        assert list_entries(person.tenant_id, Wanted()).items[0].action == action

    def test_paused_and_gone_on(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        person.sends(f"{page}/pause", on=page)
        shown = person.opens(page).text
        assert ">Go on</button>" in shown
        assert "Sync now" not in shown
        person.sends(f"{page}/resume", on=page)
        assert "Sync now" in person.opens(page).text

    def test_what_may_be_loaded_again_is_named_in_the_question(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        change_stream(person.tenant_id, loaded_at=datetime.now(UTC))
        shown = person.opens(page).text
        assert 'Load again<span class="unseen"> (Contacts)</span>' in shown
        assert "Load all again" in shown


class TestPostedAlone:
    """A service without lists: it tells us, and we ask for nothing."""

    def test_nothing_is_said_of_a_first_load(self, person: Any, acme: AcmeSimulator) -> None:
        form = "/connections/connect/told"
        page = person.opens(person.sends(form, on=form).location).text
        assert "Told is connected. Told tells us when something happens." in page
        assert "first load" not in page.lower()
        assert "Sync now" not in page

    def test_it_is_connected_again_though_its_account_has_no_name(self, person: Any, acme: AcmeSimulator) -> None:
        form = "/connections/connect/told"
        page = person.sends(form, on=form).location
        again = person.sends(f"{page}/reconnect", on=f"{page}/reconnect")
        assert (again.status_code, again.location) == (303, page)

    def test_says_who_has_to_set_it_up(
        self, person: Any, acme: AcmeSimulator, connect: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        form = "/connections/connect/told"
        by_hand = person.sends(form, on=form).location
        change_link(person.tenant_id, subscribed_at=datetime.now(UTC))
        for headers in ({}, {"HX_Target": "div#health"}):
            shown = person.opens(by_hand, **headers).text
            assert "Somebody has to set this up at Told" in shown
            assert "We last made sure" not in shown
        page = connect(person)
        assert "We subscribe by ourselves, and there is nothing to do for you." in person.opens(page).text
        monkeypatch.setattr(AcmeSource, "shared_address", True)
        assert "whoever sets up our app at Acme enters this address there" in person.opens(page).text

    def test_its_last_notice_is_its_last_news(self, person: Any, acme: AcmeSimulator) -> None:
        form = "/connections/connect/told"
        person.sends(form, on=form)
        assert "not yet" in person.opens("/connections").text
        change_link(person.tenant_id, last_hook_at=datetime.now(UTC))
        assert "not yet" not in person.opens("/connections").text


class TestPush:
    def test_is_switched_off_and_on(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        person.sends(f"{page}/push", on=page)
        shown = person.opens(page).text
        assert "No score goes back from now on." in shown
        assert "Send all again" not in shown
        person.sends(f"{page}/push", on=page, enabled="yes", model="nobodys")
        assert "There is no published model of this name." in person.opens(page).text
        person.sends(f"{page}/push", on=page, enabled="yes")
        assert "Send all again" in person.opens(page).text

    def test_a_model_that_scores_nobody_any_more_is_told(
        self, person: Any, connect: Callable[..., str], publish: Callable[..., int]
    ) -> None:
        page = connect(person)
        publish(person.tenant_id, "sample")
        person.sends(f"{page}/push", on=page, enabled="yes", model="sample")
        assert "which scores nobody any more" not in person.opens(page).text
        archive(person.tenant_id, "sample", by="Ada")
        assert "which scores nobody any more: no score goes back." in person.opens(page).text

    def test_what_was_refused_is_told_sent_again_and_dismissed(
        self, person: Any, connect: Callable[..., str], make_lead: Callable[..., int]
    ) -> None:
        page = connect(person)
        leads = [make_lead(person.tenant_id, name=f"Lead <i>{number}") for number in range(30)]
        refuse(person.tenant_id, id_in(page), leads)
        shown = person.opens(page).text
        assert "No such &lt;b&gt;field" in shown
        assert "Lead &lt;i&gt;29" in shown
        more = re.search(r'id="more">.*?href="([^"]+)"', shown)
        assert more
        further = person.opens(more[1].replace("&amp;", "&"), HX_Target="tr#more").text
        assert further.count("<tr>") == 5
        assert "Show more" not in further
        person.sends(f"{page}/replay-dead", on=page)
        assert "No such" not in person.opens(page).text
        refuse(person.tenant_id, id_in(page), leads)
        person.sends(f"{page}/dismiss-dead", on=page)
        assert "No such" not in person.opens(page).text
        assert person.opens(f"{page}?cursor=forged", HX_Target="tr#more").status_code == 422


class TestAddress:
    def test_is_no_part_of_any_page_until_somebody_asks(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        token = connections.credentials_of(person.tenant_id, id_in(page)).values["hook_token"]
        assert token not in person.opens(page).text
        shown = person.sends(f"{page}/address", on=page)
        assert f"/hooks/acme/{token}" in shown.text
        assert "Paste it where Acme asks for a webhook" in shown.text
        assert shown.headers["Cache-Control"] == "no-store"
        assert token not in person.opens("/settings/audit").text


class TestDisconnect:
    def test_says_first_what_will_happen_then_what_did(
        self, person: Any, connect: Callable[..., str], acme: AcmeSimulator
    ) -> None:
        page = connect(person)
        asked = person.opens(f"{page}/disconnect").text
        assert "Everything that came in stays" in asked
        acme.faults.next(503, times=-1)
        answer = person.sends(f"{page}/disconnect", on=f"{page}/disconnect")
        assert answer.status_code == 303
        shown = person.opens("/connections").text
        assert "is disconnected, and our access to it is wiped" in shown
        assert "Acme could not be asked to" in shown
        ended = person.opens(page).text
        assert "no score goes back" in ended
        assert "hx-trigger" not in ended
        assert "· disconnected <time" in ended
        assert f'href="{PAGE}">Connect Acme</a>' in ended


class TestWho:
    def test_an_editor_sees_and_changes_nothing(self, person: Any, connect: Callable[..., str]) -> None:
        page = connect(person)
        become(person, "editor")
        shown = person.opens(page).text
        assert "First load" in shown
        for hidden in ("Sync now", "Disconnect", "Show the address", '<form method="post" action="/connections'):
            assert hidden not in shown
        assert PAGE not in person.opens("/connections").text
        for path in (PAGE, f"{page}/settings", f"{page}/reconnect", f"{page}/disconnect"):
            assert person.opens(path).status_code == 403, path
        become(person, "viewer")
        assert person.opens(page).status_code == 403
        assert "/connections" not in person.opens("/leads").text

    def test_the_neighbour_finds_nothing(
        self, person: Any, neighbour: SignedUp, person_of: Any, connect: Callable[..., str]
    ) -> None:
        page = connect(person)
        other = person_of(neighbour)
        assert other.opens(page).status_code == 404
        for deed in ("sync", "pause", "disconnect", "address", "push", "reload", "settings", "reconnect"):
            assert other.sends(f"{page}/{deed}", on="/settings").status_code == 404, deed
        assert connections.get_connection(person.tenant_id, id_in(page)).state == "connected"

    @pytest.mark.parametrize("may_write", [False, True], ids=["looking", "writing"])
    def test_operators_look_at_the_health_and_no_further(
        self, person: Any, app: Flask, connect: Callable[..., str], may_write: bool
    ) -> None:
        page = connect(person)
        how: Any = {"by": "Ines", "reason": "ticket 4711", "role": "admin", "may_write": may_write}
        opened = operators.open_access(person.tenant_id, **how)
        browser = app.test_client()
        link = f"/operators/{opened.secret}"
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(link).text)
        assert token
        assert browser.post(link, data={"csrf_token": token[1]}).status_code == 303
        shown = browser.get(page)
        assert shown.status_code == 200
        assert "Sync now" not in shown.text
        for path in (PAGE, f"{page}/settings", f"{page}/reconnect", f"{page}/disconnect", CALLBACK):
            assert browser.get(path).status_code == 403, path
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(page).text)
        assert token
        for deed in ("sync", "address", "disconnect", "push"):
            assert browser.post(f"{page}/{deed}", data={"csrf_token": token[1]}).status_code == 403, deed
        assert connecting.overview(person.tenant_id, id_in(page)).condition == "loading"
