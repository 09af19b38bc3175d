from io import BytesIO

import pytest

LEADS = b"id,email,title\nu1,ada@example.test,CFO\nu2,bob@example.test,Clerk\n,,nobody\n"
CSV = {"Content-Type": "text/csv"}


class TestStartImport:
    @pytest.mark.parametrize(
        "sent",
        [
            pytest.param({"data": LEADS, "headers": CSV}, id="as the body"),
            pytest.param({"data": LEADS, "headers": {"Content-Type": "application/octet-stream"}}, id="as bytes"),
            pytest.param({"data": {"file": (BytesIO(LEADS), "leads.csv")}}, id="as a form"),
        ],
    )
    def test_a_file_is_taken_and_waits(self, call, sent) -> None:
        answer = call("POST", "/imports?kind=leads&filename=customers.csv", **sent)
        assert answer.status_code == 202, answer.text
        found = call("GET", f"/imports/{answer.json['id']}").json
        assert (found["state"], found["kind"], found["format"]) == ("waiting", "leads", "csv")
        assert (found["filename"], found["bytes_total"]) == ("customers.csv", len(LEADS))
        assert [each["id"] for each in call("GET", "/imports").json["items"]] == [found["id"]]

    def test_once_read_it_says_which_rows_were_refused(self, call, tenant, work_off) -> None:
        sent = call("POST", "/imports?kind=leads&filename=leads.csv&id_column=id", data=LEADS, headers=CSV).json
        work_off(tenant.tenant_id)
        found = call("GET", f"/imports/{sent['id']}").json
        assert (found["state"], found["rows_read"]) == ("done", 3)
        refused = call("GET", f"/imports/{sent['id']}/refused-rows").json
        assert len(refused["items"]) == found["rows_refused"]

    @pytest.mark.parametrize(
        ("query", "sent", "status", "field"),
        [
            pytest.param("", {"data": LEADS, "headers": CSV}, 422, "kind", id="leads or events?"),
            pytest.param("kind=deals", {"data": LEADS, "headers": CSV}, 422, "kind", id="neither"),
            pytest.param("kind=leads&colour=red", {"data": LEADS, "headers": CSV}, 422, "colour", id="unknown option"),
            pytest.param("kind=leads&delimiter=x", {"data": LEADS, "headers": CSV}, 422, "delimiter", id="delimiter"),
            pytest.param("kind=leads", {"data": LEADS}, 415, None, id="no type"),
            pytest.param("kind=leads", {"json": {}}, 415, None, id="JSON"),
            pytest.param(
                "kind=leads", {"data": {"other": (BytesIO(LEADS), "leads.csv")}}, 422, "file", id="another form field"
            ),
        ],
    )
    def test_refuses(self, call, query, sent, status, field) -> None:
        answer = call("POST", f"/imports?{query}", **sent)
        problem = answer.get_json(force=True)
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
        assert field in [error["field"] for error in problem.get("errors", [])] or field is None
        assert call("GET", "/imports").json["items"] == []


@pytest.fixture
def ready(call) -> str:
    """The path of an import that waits to be decided about."""
    sent = call("POST", "/imports?kind=leads&filename=leads.csv&review=true", data=LEADS, headers=CSV).json
    assert sent["state"] == "ready"
    return f"/imports/{sent['id']}"


class TestParts:
    def test_a_file_comes_in_parts_and_goes_on_after_a_break(self, call) -> None:
        sent = call("POST", f"/imports?kind=leads&filename=a.csv&size={len(LEADS)}")
        assert (sent.status_code, sent.json["state"], sent.json["bytes_expected"]) == (202, "receiving", len(LEADS))
        content = f"/imports/{sent.json['id']}/content"
        kind = {"Content-Type": "application/offset+octet-stream"}
        first = call("PATCH", content, data=LEADS[:20], headers={**kind, "Upload-Offset": "0"})
        assert (first.status_code, first.json) == (200, {"offset": 20, "size": len(LEADS), "is_over": False})
        wrong = call("PATCH", content, data=LEADS[5:], headers={**kind, "Upload-Offset": "5"})
        assert (wrong.status_code, wrong.get_json(force=True)["code"]) == (409, "wrong_offset")
        asked = call("HEAD", content)
        assert (asked.headers["Upload-Offset"], asked.data) == ("20", b"")
        last = call("PATCH", content, data=LEADS[20:], headers={**kind, "Upload-Offset": "20"})
        assert last.json["is_over"]
        assert call("GET", f"/imports/{sent.json['id']}").json["state"] == "waiting"

    @pytest.mark.parametrize(
        ("headers", "status", "field"),
        [
            pytest.param({"Content-Type": "application/octet-stream"}, 422, "Upload-Offset", id="no offset"),
            pytest.param(
                {"Content-Type": "application/octet-stream", "Upload-Offset": "-1"}, 422, "Upload-Offset", id="negative"
            ),
            pytest.param({"Content-Type": "text/plain", "Upload-Offset": "0"}, 415, None, id="another kind"),
        ],
    )
    def test_refuses_parts(self, call, headers, status, field) -> None:
        import_id = call("POST", "/imports?kind=leads&size=100").json["id"]
        answer = call("PATCH", f"/imports/{import_id}/content", data=b"x" * 20, headers=headers)
        assert answer.status_code == status
        assert [error["field"] for error in answer.get_json(force=True).get("errors", [])] == ([field] if field else [])

    @pytest.mark.parametrize("size", ["0", "-1", "x", str(3 * 1024**3)])
    def test_refuses_sizes(self, call, size) -> None:
        answer = call("POST", f"/imports?kind=leads&size={size}")
        assert answer.status_code == 422
        assert call("GET", "/imports").json["items"] == []

    def test_a_file_is_sent_either_at_once_or_in_parts(self, call) -> None:
        answer = call("POST", "/imports?kind=leads&size=10", data=LEADS, headers=CSV)
        assert answer.status_code == 422

    def test_a_file_sent_at_once_has_no_upload_to_go_on_with(self, call, ready) -> None:
        assert call("GET", f"{ready}/content").status_code == 404


class TestReview:
    def test_mapped_previewed_checked_read_and_undone(self, call, tenant, work_off, ready) -> None:
        found = call("GET", f"{ready}/mapping").json
        assert [(each["column"], each["as"], each["examples"][0]) for each in found["columns"]] == [
            ("id", "user_id", "u1"),
            ("email", "email", "ada@example.test"),
            ("title", "trait", "CFO"),
        ]
        assert (found["is_guess"], found["problems"], found["delimiter"]) == (True, [], ",")
        columns = [
            {"column": "id", "as": "vendor_id", "name": "hubspot"},
            {"column": "email", "as": "email"},
            {"column": "title", "as": "trait", "name": "job"},
        ]
        told = call("PUT", f"{ready}/mapping", json={"columns": columns})
        assert (told.status_code, told.json["is_guess"]) == (200, False)
        rows = call("GET", f"{ready}/preview").json["rows"]
        (record,) = rows[0]["records"]
        assert (record["record"], record["ids"]) == ("identify", {"email": "ada@example.test", "hubspot": "u1"})
        assert record["values"] == {"job": "CFO", "email": "ada@example.test"}
        assert [(row["row_number"], row["reason"] is None) for row in rows] == [(2, True), (3, True), (4, False)]

        assert call("POST", f"{ready}/check").status_code == 202
        work_off(tenant.tenant_id)
        check = call("GET", ready).json["check"]
        assert (check["rows"], check["refused"], check["leads_new"], check["leads_known"]) == (3, 1, 2, 0)
        assert call("GET", "/leads").json["items"] == []

        assert call("POST", f"{ready}/start").json["state"] == "waiting"
        assert call("POST", f"{ready}/undo").get_json(force=True)["code"] == "wrong_state"
        work_off(tenant.tenant_id)
        assert len(call("GET", "/leads").json["items"]) == 2
        file = call("GET", f"{ready}/refused-rows/file")
        assert (file.mimetype, file.headers["Content-Disposition"]) == (
            "text/csv",
            "attachment; filename=leads-refused.csv",
        )
        heading, row = file.get_data().decode("utf-8-sig").splitlines()
        assert heading == "assay:row,assay:column,assay:reason,id,email,title"
        assert row.startswith("4,,")
        assert row.endswith(",,nobody")

        assert call("POST", f"{ready}/undo").json["state"] == "undoing"
        work_off(tenant.tenant_id)
        report = call("GET", ready).json
        assert (report["state"], report["undone"]["identities"]) == ("undone", 4)
        assert call("GET", "/leads").json["items"] == []

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            pytest.param({"columns": [{"column": "id", "as": "type"}]}, "columns[0].as", id="of events"),
            pytest.param({"columns": [{"as": "email"}]}, "columns[0].column", id="no column"),
            pytest.param({"columns": 5}, "columns", id="no list"),
            pytest.param({"time_zone": "Mars"}, "time_zone", id="time zone"),
            pytest.param({"dates": "us"}, "dates", id="dates"),
            pytest.param({"colour": "red"}, "colour", id="unknown"),
        ],
    )
    def test_names_what_is_wrong(self, call, ready, body, field) -> None:
        answer = call("PUT", f"{ready}/mapping", json=body)
        assert answer.status_code == 422
        assert field in [error["field"] for error in answer.get_json(force=True)["errors"]]

    def test_problems_keep_it_from_being_read(self, call, ready) -> None:
        columns = [{"column": "nr", "as": "user_id"}]
        told = call("PUT", f"{ready}/mapping", json={"columns": columns}).json
        assert [problem["column"] for problem in told["problems"]] == ["nr"]
        answer = call("POST", f"{ready}/start")
        assert answer.status_code == 422
        assert "no column 'nr'" in answer.get_json(force=True)["detail"]

    def test_pause_resume_and_cancel(self, call, ready) -> None:
        states = [call("POST", f"{ready}/{verb}").json["state"] for verb in ("start", "pause", "resume", "cancel")]
        assert states == ["waiting", "paused", "waiting", "cancelled"]

    def test_said_in_brief_when_it_is_sent(self, call, tenant, work_off) -> None:
        body = b"user_id;at;n\nu1;31/05/2026 14:00;1,5\n"
        query = "kind=events&type=call.made&dates=dmy&time_zone=Asia/Ho_Chi_Minh&numbers=comma"
        sent = call("POST", f"/imports?{query}", data=body, headers=CSV).json
        work_off(tenant.tenant_id)
        assert call("GET", f"/imports/{sent['id']}").json["rows_refused"] == 0
        lead = call("GET", "/leads").json["items"][0]
        event = call("GET", f"/leads/{lead['id']}/events").json["items"][0]
        assert (event["type"], event["properties"]) == ("call.made", {"n": 1.5})

    @pytest.mark.parametrize(
        ("query", "field"), [("dates=us", "dates"), ("time_zone=Mars", "time_zone"), ("type=A B", "type")]
    )
    def test_said_in_brief_and_wrong(self, call, query, field) -> None:
        answer = call("POST", f"/imports?kind=events&{query}", data=LEADS, headers=CSV)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.get_json(force=True)["errors"]] == [field]
