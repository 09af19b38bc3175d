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
