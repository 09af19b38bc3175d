import csv
import io
import json
from typing import Any

import pytest

MODEL = "{model: sample, rules: [{id: pricing, on: page.viewed, points: 1}]}"
YAML = {"Content-Type": "application/yaml"}


def test_lists_who_did_what_newest_first(call: Any) -> None:
    assert call("POST", "/models", data=MODEL, headers=YAML).status_code == 201
    assert call("POST", "/models/sample/publish").status_code == 200
    page = call("GET", "/audit?action=model").json
    assert [entry["action"] for entry in page["items"]] == ["model.published", "model.created"]
    published = page["items"][0]
    assert (published["actor_kind"], published["door"]) == ("key", "api")
    assert (published["before"], published["after"]) == ({"version": None}, {"version": 1})
    assert published["sentence"].endswith("published version 1 of the model sample")
    assert len(published["hash"]) == 64
    assert page["next_cursor"] is None


def test_what_a_version_changes_is_told_by_names(call: Any) -> None:
    call("POST", "/models", data=MODEL, headers=YAML)
    call("POST", "/models/sample/publish")
    call("PUT", "/models/sample/draft", data=MODEL.replace("points: 1", "points: 7"), headers=YAML)
    call("POST", "/models/sample/publish")
    published, saved = call("GET", "/audit?subject=sample&limit=2").json["items"]
    assert published["after"] == {"version": 2, "changes": ["changed rule pricing"]}
    assert saved["after"] == {"revision": 2, "changes": ["changed rule pricing"]}


def test_goes_on_by_cursor_and_by_instant(call: Any) -> None:
    for number in range(3):
        call("POST", "/models", data=MODEL.replace("sample", f"sample-{number}"), headers=YAML)
    first = call("GET", "/audit?action=model&limit=2").json
    rest = call("GET", f"/audit?action=model&limit=2&cursor={first['next_cursor']}").json
    assert [entry["subject"] for entry in first["items"] + rest["items"]] == ["sample-2", "sample-1", "sample-0"]
    middle = first["items"][1]["at"]
    assert [entry["subject"] for entry in call("GET", f"/audit?action=model&since={middle}").json["items"]] == [
        "sample-2", "sample-1",
    ]  # fmt: skip
    assert [entry["subject"] for entry in call("GET", f"/audit?action=model&until={middle}").json["items"]] == [
        "sample-0"
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        pytest.param("actor=burglar", "actor", id="actor"),
        pytest.param("action=Model!", "action", id="action"),
        pytest.param("since=soon", "since", id="instant"),
        pytest.param("cursor=x", "cursor", id="cursor"),
        pytest.param("actr=key", "actr", id="no such filter"),
    ],
)
def test_what_can_not_be_is_told(call: Any, query: str, field: str) -> None:
    answer = call("GET", f"/audit?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field


def test_export_is_whole_and_written_down(call: Any) -> None:
    call("POST", "/models", data=MODEL, headers=YAML)
    lines = [json.loads(line) for line in call("GET", "/audit/export").text.splitlines()]
    assert [line["id"] for line in lines] == list(range(len(lines), 0, -1))
    assert lines[0]["after"] == {"format": "jsonl"}
    rows = list(csv.DictReader(io.StringIO(call("GET", "/audit/export?format=csv&action=model").text)))
    assert [row["subject"] for row in rows] == ["sample"]
    assert call("GET", "/audit/export?format=xlsx").status_code == 422


def test_the_neighbour_reads_its_own_alone(call: Any, neighbour: Any, make_caller: Any) -> None:
    call("POST", "/models", data=MODEL, headers=YAML)
    next_door = make_caller(neighbour.tenant_id)
    assert "sample" not in next_door("GET", "/audit").text
    assert "sample" not in next_door("GET", "/audit/export").text
