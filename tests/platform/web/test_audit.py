"""The page of the audit log, its search, its files; and that a thread forgets who it served."""

import csv
import io
import json
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from assay.scoring import service
from assay_tenants import audit
from assay_tenants.context import STRANGER, SYSTEM, Actor, acting, actor, arrival
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.models import Membership

MODEL = "{model: sample, rules: [{id: pricing, on: page.viewed, points: 1}]}"


@pytest.fixture
def become(person: Any) -> Callable[[str], None]:
    """Gives the person another role."""

    def change(role: str) -> None:
        with directory_session() as session:
            session.execute(update(Membership).where(Membership.tenant_id == person.tenant_id).values(role=role))

    return change


def note(tenant_id: int, action: str, subject: object = "", **changes: Any) -> None:
    with tenant_session(tenant_id) as session:
        audit.record(session, tenant_id, action, subject, **changes)


class TestPage:
    def test_tells_in_words_who_did_what_and_what_changed(self, person: Any) -> None:
        person.sends("/new-model", on="/new-model", source=MODEL)
        service.save_draft(person.tenant_id, "sample", MODEL.replace("points: 1", "points: 2"))
        page = person.opens("/settings/audit").text
        assert "Ada Example made the model sample" in page
        assert "Assay saved the draft of the model sample" in page
        assert "changed rule pricing" in page
        assert "on the pages" in page
        assert "/settings/audit" in person.opens("/settings").text

    @pytest.mark.parametrize(
        ("query", "shown", "hidden"),
        [
            pytest.param("action=fields", "sensitive", "retention", id="the beginning of an action"),
            pytest.param("actor=key:7", "retention", "sensitive", id="who"),
            pytest.param("actor=key", "retention", "sensitive", id="a kind of who"),
            pytest.param("text=robot", "retention", "sensitive", id="part of a name"),
            pytest.param("subject=41", "retention", "sensitive", id="what it was about"),
            pytest.param("text=100%25", "No entry fits", "sensitive", id="signs are no wildcards"),
            pytest.param("until=2020-01-01", "No entry fits", "sensitive", id="until a day"),
            pytest.param("since=2020-01-01&until=2999-12-31", "retention", "No entry fits", id="from a day"),
            pytest.param("until=9999-12-31", "retention", "No entry fits", id="the last day there is"),
        ],
    )
    def test_is_searched(self, person: Any, query: str, shown: str, hidden: str) -> None:
        note(person.tenant_id, "fields.kept_out", after={"sensitive": ["salary"]})
        with acting(Actor("key", "7", "Robot of the warehouse")):
            note(person.tenant_id, "retention.changed", 41)
        page = person.opens(f"/settings/audit?{query}")
        assert page.status_code == 200
        entries = page.text.split("Newest first")[1]
        assert shown in entries
        assert hidden not in entries

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            pytest.param("actor=burglar", "is no actor", id="actor"),
            pytest.param("action=Model!", "An action is written like", id="action"),
            pytest.param("since=soon", "Write the day as", id="day"),
            pytest.param("cursor=x", "not one of this list", id="cursor"),
        ],
    )
    def test_what_can_not_be_is_told(self, person: Any, query: str, said: str) -> None:
        answer = person.opens(f"/settings/audit?{query}")
        assert answer.status_code == 422
        assert said in answer.text

    def test_goes_on_page_by_page(self, person: Any) -> None:
        with tenant_session(person.tenant_id) as session:
            for number in range(60):
                audit.record(session, person.tenant_id, "model.created", f"model-{number}")
        page = person.opens("/settings/audit").text
        assert "model-59" in page
        assert "made the model model-9<" not in page
        cursor = page.split("cursor=")[1].split('"')[0].split("&")[0]
        rest = person.opens(f"/settings/audit?cursor={cursor}", HX_Target="li#more").text
        assert "made the model model-9<" in rest
        assert "<html" not in rest

    def test_shows_what_people_typed_as_text(self, person: Any) -> None:
        with acting(Actor("person", "1", "<script>alert(1)</script>")):
            note(person.tenant_id, "no.words", "<b>", after={"<i>": "<u>"})
        page = person.opens("/settings/audit").text
        assert "<script>alert" not in page
        assert "<u>" not in page

    def test_is_not_for_everybody(self, person: Any, become: Any) -> None:
        become("editor")
        assert person.opens("/settings/audit").status_code == 403
        assert person.opens("/settings/audit/export?format=csv").status_code == 403


class TestExport:
    def test_csv_holds_everything_and_no_formula(self, person: Any) -> None:
        with acting(Actor("person", "1", "=HYPERLINK(1)")):
            note(person.tenant_id, "model.created", "@sum", after={"a": "b"})
        answer = person.opens("/settings/audit/export?format=csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert answer.headers["Content-Disposition"].startswith("attachment")
        made = next(row for row in rows if row["action"] == "model.created")
        assert (made["actor_name"], made["subject"], made["sentence"]) == (
            "'=HYPERLINK(1)", "'@sum", "'=HYPERLINK(1) made the model @sum",
        )  # fmt: skip
        assert json.loads(made["after"]) == {"a": "b"}
        assert rows[0]["action"] == "audit.exported"

    def test_json_lines_in_steps_keep_order_and_filters(self, person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("assay_tenants.audit.queries.STEP", 7)
        with tenant_session(person.tenant_id) as session:
            for number in range(21):
                audit.record(session, person.tenant_id, "model.created", number)
        lines = person.opens("/settings/audit/export?format=jsonl&action=model").text.splitlines()
        assert [json.loads(line)["subject"] for line in lines] == [str(number) for number in range(20, -1, -1)]

    def test_there_is_no_other_format(self, person: Any) -> None:
        assert person.opens("/settings/audit/export?format=xlsx").status_code == 404


def test_a_thread_forgets_whom_it_served(app: Flask, person: Any) -> None:
    seen: list[object] = []

    def serve() -> None:
        person.opens("/leads")
        seen.append((actor(), arrival().door))
        with app.test_request_context("/log-in"):
            app.preprocess_request()
            seen.append((actor(), arrival().door))
        seen.append((actor(), arrival().door))

    thread = Thread(target=serve)
    thread.start()
    thread.join()
    assert seen == [(SYSTEM, ""), (STRANGER, "web"), (SYSTEM, "")]


def test_a_request_keeps_its_name_from_the_proxy(person: Any) -> None:
    assert person.opens("/log-in", X_Request_Id="proxy-12345").headers["X-Request-Id"] == "proxy-12345"
    assert len(person.opens("/log-in", X_Request_Id="a b").headers["X-Request-Id"]) == 32
