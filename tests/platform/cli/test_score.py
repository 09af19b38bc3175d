"""`assay score`: files in, a ranked list out, and every bad input told in a line."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assay.cli.score import score

MODEL = """
model: m
title: A model
dimensions: {fit: {max: 30}, interest: {groups: {email: {max: 2}}}}
rules:
  - {id: owner, dimension: fit, when: {trait: title, in: [CFO, Owner]}, points: 20}
  - {id: size, dimension: fit, when: {trait: company.employees, gte: 50}, points: 15}
  - {id: pricing, dimension: interest, on: page.viewed, where: {property: path, starts_with: /pricing}, points: 15,
     count: once}
  - {id: offer, dimension: interest, on: offer.downloaded, count: {once_per: offer.id}, points: 6.667,
     fades: {after: 60d}}
  - {id: opens, dimension: interest, group: email, on: email.opened, points: 1}
scale: {min: 0, max: 100}
stages: [{name: Prospect, from: 10}, {name: Lead, above: 40}]
grades: {fit: {A: 30, D: 0}, interest: {1: 15, 4: 0}}
"""
LEADS = "lead_id,title,company.employees\nada,CFO,120\nbob,Clerk,3\ncy,,\n"


def event(
    message_id: str,
    lead_id: str = "ada",
    kind: str = "page.viewed",
    at: str = "2026-03-01T00:00:00Z",
    **properties: Any,
) -> dict[str, Any]:
    return {"lead_id": lead_id, "message_id": message_id, "type": kind, "occurred_at": at, "properties": properties}


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Writes what is given into files and runs the command on them."""

    def one(
        *,
        leads: str | bytes = LEADS,
        events: str | list[dict[str, Any]] | None = None,
        model: str = MODEL,
        at: str | None = "2026-03-02T00:00:00Z",
        shape: str = "json",
    ) -> Result:
        (tmp_path / "leads.csv").write_bytes(leads if isinstance(leads, bytes) else leads.encode())
        (tmp_path / "model.yaml").write_text(model, "utf-8")
        arguments = [str(tmp_path / "leads.csv"), "--model", str(tmp_path / "model.yaml"), "--format", shape]
        if at is not None:
            arguments += ["--at", at]
        if events is not None:
            text = events if isinstance(events, str) else "".join(json.dumps(one) + "\n" for one in events)
            (tmp_path / "events.jsonl").write_text(text, "utf-8")
            arguments += ["--events", str(tmp_path / "events.jsonl")]
        return CliRunner().invoke(score, arguments)

    return one


def leads_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return {lead["lead_id"]: lead for lead in json.loads(result.stdout)["leads"]}


class TestJson:
    def test_the_whole_answer(self, run: Run) -> None:
        events = [
            event("m1", path="/pricing"),
            event("m2", at="2026-03-01T01:00:00+01:00", path="/pricing"),
            event("m3", kind="offer.downloaded", at="2026-03-01T00:00:00.5Z", offer={"id": 7}),
            event("m4", kind="email.opened"),
        ]
        result = run(leads="lead_id,title,company.employees\nada,CFO,120\n", events=events)
        assert result.stderr == ""
        assert json.loads(result.stdout) == {
            "at": "2026-03-02T00:00:00Z",
            "model": "m",
            "leads": [
                {
                    "lead_id": "ada",
                    "applies": True,
                    "total": 52.667,
                    "raw": 52.667,
                    "stage": "Lead",
                    "grade": "A1",
                    "override": None,
                    "disqualified": None,
                    "dimensions": {"fit": 30, "interest": 22.667},
                    "next_change": "2026-04-30T00:00:00.500000Z",
                    "parts": [
                        {"rule": "owner", "points": 20, "counted": True, "why": "title is CFO or Owner", "events": []},
                        {
                            "rule": "size",
                            "points": 10,
                            "counted": True,
                            "why": "company.employees is at least 50; 10 of 15 points, "
                            "the rest is over the cap of 30 for dimension fit",
                            "events": [],
                        },
                        {
                            "rule": "pricing",
                            "points": 15,
                            "counted": True,
                            "why": "page.viewed on 2026-03-01 00:00 UTC",
                            "events": ["m1"],
                        },
                        {
                            "rule": "pricing",
                            "points": 0,
                            "counted": False,
                            "why": "page.viewed on 2026-03-01 00:00 UTC; counted once already",
                            "events": ["m2"],
                        },
                        {
                            "rule": "offer",
                            "points": 6.667,
                            "counted": True,
                            "why": "offer.downloaded on 2026-03-01 00:00 UTC",
                            "events": ["m3"],
                        },
                        {
                            "rule": "opens",
                            "points": 1,
                            "counted": True,
                            "why": "email.opened on 2026-03-01 00:00 UTC",
                            "events": ["m4"],
                        },
                    ],
                    "adjustments": [],
                }
            ],
        }

    def test_points_carry_no_float_noise(self, run: Run) -> None:
        events = [event(f"m{n}", kind="offer.downloaded", offer={"id": n}) for n in range(3)]
        assert leads_of(run(events=events))["ada"]["dimensions"]["interest"] == 20.001

    def test_parts_sum_to_raw(self, run: Run) -> None:
        events = [event(f"m{n}", kind="email.opened", at=f"2026-03-01T0{n}:00:00Z") for n in range(5)]
        lead = leads_of(run(events=events))["ada"]
        assert sum(part["points"] for part in lead["parts"]) == lead["raw"] == 32

    def test_ranked_by_total_then_activity_then_id(self, run: Run) -> None:
        leads = "lead_id,title,first_seen_at\nold,,2026-01-01\nnew,,2026-02-01\nb,,\na,,\ntop,Owner,\nbusy,,\n"
        events = [event("m", lead_id="busy", kind="page.viewed", path="/")]
        document = json.loads(run(leads=leads, events=events).stdout)
        assert [lead["lead_id"] for lead in document["leads"]] == ["top", "busy", "new", "old", "a", "b"]

    def test_a_list_in_a_cell_is_a_list(self, run: Run) -> None:
        assert leads_of(run(leads='lead_id,title\na,"[""Clerk"",""owner""]"\n'))["a"]["total"] == 20

    def test_events_after_the_instant_are_not_there_yet(self, run: Run) -> None:
        lead = leads_of(run(events=[event("m", at="2026-03-05T00:00:00Z", path="/pricing")]))["ada"]
        assert (lead["dimensions"]["interest"], lead["next_change"]) == (0, "2026-03-05T00:00:00Z")
        assert lead["parts"][-1]["why"].endswith("counts from 2026-03-05 00:00 UTC")

    def test_now_when_no_instant_is_given(self, run: Run) -> None:
        assert json.loads(run(at=None).stdout)["at"].endswith("Z")


BASE = """
model: base
rules: [{id: owner, when: {trait: title, is: CFO}, points: 20}]
stages: [{name: Warm, from: 10}]
"""
FOLLOWING = """
model: following
audience: {trait: title, exists: true}
rules:
  - {id: warm, title: Warm by base, when: {model: base, stage: {is: Warm}}, points: 5}
  - {id: visit, on: page.viewed, points: 1}
judgements: {max: 10}
overrides:
  - {id: never, when: {trait: title, is: Clerk}, set: 0, reason: no buyer}
  - {id: out, when: {trait: title, is: Clerk}, disqualify: true, reason: no buyer}
"""


class TestSeveralModels:
    @pytest.fixture
    def score_models(self, tmp_path: Path) -> Callable[..., Result]:
        def one(*models: str, shape: str = "json", events: Sequence[dict[str, Any]] = (), **options: str) -> Result:
            (tmp_path / "leads.csv").write_text(LEADS, "utf-8")
            (tmp_path / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in events), "utf-8")
            arguments = [str(tmp_path / "leads.csv"), "--events", str(tmp_path / "events.jsonl"), "--format", shape]
            arguments += ["--at", "2026-03-02T00:00:00Z"]
            for place, model in enumerate(models):
                (tmp_path / f"{place}.yaml").write_text(model, "utf-8")
                arguments += ["--model", str(tmp_path / f"{place}.yaml")]
            for name, value in options.items():
                arguments += [f"--{name}", value]
            return CliRunner().invoke(score, arguments)

        return one

    def test_one_asks_the_other(self, score_models: Callable[..., Result]) -> None:
        document = json.loads(score_models(FOLLOWING, BASE).stdout)
        assert [found["model"] for found in document["models"]] == ["following", "base"]
        first = document["models"][0]["leads"]
        assert [(lead["lead_id"], lead["total"]) for lead in first] == [("ada", 5), ("bob", 0), ("cy", None)]
        assert (first[1]["override"], first[1]["disqualified"]) == ("never", "out")
        assert (first[2]["applies"], first[2]["parts"][0]["why"]) == (
            False,
            "this model is only for leads where title is known",
        )

    def test_cells_of_whom_a_model_does_not_score_are_empty(self, score_models: Callable[..., Result]) -> None:
        rows = list(csv.DictReader(io.StringIO(score_models(FOLLOWING, BASE, shape="csv").stdout)))
        assert [(row["model"], row["rank"], row["lead_id"], row["total"], row["override"]) for row in rows[:3]] == [
            ("following", "1", "ada", "5", ""),
            ("following", "2", "bob", "0", "never"),
            ("following", "", "cy", "", ""),
        ]
        table = score_models(FOLLOWING, BASE, shape="table").stdout
        assert "not in the audience" in table
        assert "base, 2026-03-02T00:00:00Z" in table

    def test_judgements_are_events(self, score_models: Callable[..., Result]) -> None:
        judged = event("j", kind="assay.judgement", judgement="k", points=25, by="Ana", reason="budget confirmed")
        document = json.loads(score_models(FOLLOWING, BASE, events=[judged], language="ro").stdout)
        ada = document["models"][0]["leads"][0]
        assert ada["total"] == 15
        assert ada["parts"][-1]["why"] == (
            "judged by Ana on 2026-03-01 00:00 UTC: budget confirmed; "
            "10 of 25 points, the rest is over the cap of 10 for judgements"
        )
        assert ada["parts"][-1]["sentence"] == (
            "„Apreciere” adaugă 10 puncte: apreciere făcută de Ana la 1 mar. 2026 00:00 UTC: budget confirmed; "
            "10 din 25 de puncte, restul este peste plafonul de 10 al aprecierilor."
        )

    @pytest.mark.parametrize(
        ("models", "message"),
        [
            pytest.param((FOLLOWING,), "refers to the model 'base'; give its file with another --model", id="missing"),
            pytest.param((BASE, BASE), "1.yaml: model: 'base' is what ", id="twice"),
            pytest.param(
                (
                    BASE.replace("trait: title, is: CFO", "model: following, applies: true"),
                    FOLLOWING,
                ),
                "the models refer to one another in a circle: base → following → base",
                id="a circle",
            ),
            pytest.param(
                (
                    BASE,
                    "{model: x, rules: [{id: a, when: {model: base, dimension: fti, score: {gt: 0}}, points: 1}]}",
                ),
                "1.yaml: rules[0].when.dimension: of the model 'base': the dimension 'fti' is not declared",
                id="no such dimension",
            ),
            pytest.param(
                (BASE, "{model: x, rules: [{id: a, when: {model: base, stage: Nope}, points: 1}]}"),
                "1.yaml: rules[0].when.stage: of the model 'base': the stage 'Nope' is not declared",
                id="no such stage",
            ),
        ],
    )
    def test_refusals(self, score_models: Callable[..., Result], models: tuple[str, ...], message: str) -> None:
        result = score_models(*models)
        assert result.exit_code == 2
        assert message in result.stderr


class TestReading:
    @pytest.mark.parametrize(
        "leads",
        [
            pytest.param("lead_id;title\nx;CFO\n", id="semicolons"),
            pytest.param("lead_id\ttitle\nx\tCFO\n", id="tabs"),
            pytest.param("lead_id,title\r\nx,CFO\r\n", id="CRLF"),
            pytest.param(b"\xef\xbb\xbflead_id,title\nx,CFO\n", id="BOM"),
            pytest.param('"lead_id","title"\n"x","CFO"\n', id="quoted"),
            pytest.param('lead_id;title;"a, b, c"\nx;CFO;"1; 2"\n', id="other delimiters in quotes"),
            pytest.param('lead_id,note,title\nx,"two\nlines",CFO\n', id="a line break in quotes"),
            pytest.param("\nlead_id,title\n\nx,CFO\n,\n", id="blank lines"),
            pytest.param(" lead_id , title \n x ,CFO\n", id="spaces around names and ids"),
        ],
    )
    def test_spellings_of_csv(self, run: Run, leads: str | bytes) -> None:
        assert leads_of(run(leads=leads))["x"]["total"] == 20

    def test_ids_are_compared_as_text(self, run: Run) -> None:
        events = [event("m1", path="/pricing") | {"lead_id": 7}, event("m2", lead_id="07", path="/pricing")]
        found = leads_of(run(leads="lead_id,title\n7,\n07,\n", events=events))
        assert [found["7"]["total"], found["07"]["total"]] == [15, 15]

    def test_a_repeated_message_counts_once(self, run: Run) -> None:
        events = [event("m", kind="email.opened")] * 3
        result = run(events=events)
        assert leads_of(result)["ada"]["dimensions"]["interest"] == 1
        assert result.stderr == ""

    @pytest.mark.parametrize("turned", [False, True])
    def test_one_message_id_with_different_contents(self, run: Run, turned: bool) -> None:
        events = [
            event("m", path="/pricing", at="2026-03-01T00:00:00Z"),
            event("m", path="/", at="2026-02-01T00:00:00Z"),
        ]
        result = run(events=events[::-1] if turned else events)
        assert leads_of(result)["ada"]["dimensions"]["interest"] == 0
        assert "1 message_id came with different contents" in result.stderr

    def test_events_of_unknown_leads_are_told(self, run: Run) -> None:
        result = run(events=[event("m", lead_id="stranger"), event("n", lead_id="other")])
        assert result.exit_code == 0
        assert "note: 2 events of unknown leads were skipped" in result.stderr

    def test_traits_without_a_column_are_told(self, run: Run) -> None:
        assert "note: no column for company.employees, title" in run(leads="lead_id\nx\n").stderr

    def test_blank_lines_and_missing_properties(self, run: Run) -> None:
        line = '{"lead_id": "ada", "message_id": 1, "type": "email.opened", "occurred_at": "2026-03-01T00:00:00Z"}'
        lead = leads_of(run(events=f"\n{line}\n\n"))["ada"]
        assert lead["parts"][-1]["events"] == ["1"]

    def test_no_leads(self, run: Run) -> None:
        assert json.loads(run(leads="lead_id,title\n").stdout)["leads"] == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            pytest.param({"leads": ""}, "leads.csv: is empty", id="no leads file content"),
            pytest.param(
                {"leads": "id,title\n1,CFO\n"},
                "leads.csv: line 1: has no column lead_id; found: id, title",
                id="no lead_id",
            ),
            pytest.param({"leads": "lead_id,x,x\n1,2,3\n"}, "line 1: the column 'x' is given twice", id="column twice"),
            pytest.param(
                {"leads": "lead_id,t\na,1\nb,2\na,3\n"},
                "line 4, column lead_id: 'a' stands on line 2 already",
                id="lead twice",
            ),
            pytest.param({"leads": "lead_id,t\n,1\n"}, "line 2, column lead_id: is empty", id="lead_id empty"),
            pytest.param(
                {"leads": "lead_id,t\na\n"}, "line 2: has 1 cell where the first line names 2 columns", id="short row"
            ),
            pytest.param({"leads": 'lead_id,t\na,"x\n'}, "line 2: unexpected end of data", id="open quote"),
            pytest.param(
                {"leads": "lead_id,first_seen_at\na,soon\n"},
                "line 2, column first_seen_at: 'soon' is not an instant such as 2026-03-01T09:30:00Z",
                id="first_seen_at",
            ),
            pytest.param({"leads": b"lead_id,t\na,\xff\n"}, "leads.csv: line 2: is not UTF-8 text", id="not UTF-8"),
            pytest.param(
                {"events": '{"lead_id": 1}\n{"a": \n'}, "events.jsonl: line 2, column 7: is not JSON", id="not JSON"
            ),
            pytest.param({"events": "[1]"}, "line 1: must be an object", id="a list"),
            pytest.param({"events": '{"a": NaN}'}, "line 1: is not JSON: NaN is no number", id="NaN"),
            pytest.param(
                {"events": [event("m") | {"occurred_at": "yesterday"}]},
                "line 1, occurred_at: 'yesterday' is not an instant",
                id="instant",
            ),
            pytest.param(
                {"events": [event("m") | {"occurred_at": 1}]},
                "line 1, occurred_at: 1 is not an instant",
                id="instant a number",
            ),
            pytest.param(
                {"events": [event("m", at="0001-01-01T00:00:00+10:00")]}, "is not an instant", id="instant before time"
            ),
            pytest.param(
                {"events": [event("m"), event("")]}, "line 2, message_id: must be text", id="message_id empty"
            ),
            pytest.param(
                {"events": [event("m") | {"lead_id": None}]}, "line 1, lead_id: is missing", id="no lead_id in an event"
            ),
            pytest.param(
                {"events": [event("m") | {"lead_id": [1]}]},
                "line 1, lead_id: must be text or a whole number, not [1]",
                id="lead_id a list",
            ),
            pytest.param({"events": [event("m") | {"type": 3}]}, "line 1, type: must be the event's type", id="type"),
            pytest.param(
                {"events": [event("m") | {"properties": [1]}]},
                "line 1, properties: must be an object, not [1]",
                id="properties",
            ),
            pytest.param(
                {"events": '{"lead_id": "\\ud800"}'}, "line 1: holds half of a surrogate pair", id="surrogate"
            ),
            pytest.param(
                {"events": '{"a": ' + "1" * 5000 + "}"},
                "line 1: holds a number of 5,000 digits; write it as text",
                id="a number too long",
            ),
            pytest.param({"leads": "x" * 5000 + "\n"}, "x" * 500, id="a long column name"),
            pytest.param({"leads": "\x1b[2J\n"}, "found: \ufffd[2J", id="control characters"),
            pytest.param({"events": '{"a":' * 100_000}, "line 1: is nested too deeply", id="deep"),
            pytest.param({"at": "tomorrow"}, "--at: 'tomorrow' is not an instant", id="at"),
            pytest.param({"model": "model: m"}, "model.yaml: rules: is missing", id="model"),
            pytest.param({"model": "model: ["}, "model.yaml: line 2, column 1: this is not YAML", id="model syntax"),
        ],
    )
    def test_bad_input(self, run: Run, given: dict[str, Any], message: str) -> None:
        result = run(**given)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert message in result.stderr
        assert all(line.startswith("error: ") and len(line) < 1050 for line in result.stderr.splitlines())
        assert "Traceback" not in result.output

    def test_every_mistake_at_once(self, run: Run) -> None:
        result = run(leads="lead_id,t\n,1\n", events="x\n", model="model: m", at="never")
        assert len(result.stderr.splitlines()) == 4

    def test_very_many_mistakes_are_counted(self, run: Run) -> None:
        lines = run(events="x\n" * 120).stderr.splitlines()
        assert len(lines) == 51
        assert lines[-1] == "error: and 70 more"

    @pytest.mark.parametrize("missing", ["leads", "events", "model"])
    def test_missing_files(self, tmp_path: Path, missing: str) -> None:
        paths = {"leads": tmp_path / "leads.csv", "events": tmp_path / "events.jsonl", "model": tmp_path / "model.yaml"}
        contents = {"leads": LEADS, "events": "", "model": MODEL}
        for name, path in paths.items():
            if name != missing:
                path.write_text(contents[name], "utf-8")
        arguments = [str(paths["leads"]), "--events", str(paths["events"]), "--model", str(paths["model"])]
        result = CliRunner().invoke(score, arguments)
        assert (result.exit_code, result.stderr) == (2, f"error: {paths[missing]}: there is no such file\n")

    def test_a_folder(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(score, [str(tmp_path), "--model", str(tmp_path)])
        assert result.exit_code == 2
        assert "is a folder, not a file" in result.stderr


class TestOtherShapes:
    def test_csv(self, run: Run) -> None:
        rows = list(csv.DictReader(io.StringIO(run(events=[event("m", path="/pricing")], shape="csv").stdout)))
        assert rows[0] == {
            "rank": "1",
            "lead_id": "ada",
            "total": "45",
            "raw": "45",
            "stage": "Lead",
            "grade": "A1",
            "override": "",
            "disqualified": "",
            "fit": "30",
            "interest": "15",
            "next_change": "",
            "reasons": "+20 owner; +15 pricing; +10 size",
        }
        assert [row["lead_id"] for row in rows] == ["ada", "bob", "cy"]

    def test_table(self, run: Run) -> None:
        output = run(leads="lead_id,title\n[red]x,CFO\n", shape="table").stdout
        assert "A model, 2026-03-02T00:00:00Z" in output
        row = next(line for line in output.splitlines() if "[red]x" in line)
        assert [cell.strip() for cell in row.strip("│").split("│")] == [
            "1",
            "[red]x",
            "20",
            "Prospect",
            "D4",
            "+20 owner",
        ]

    def test_a_table_ends_where_nobody_reads_on(self, run: Run) -> None:
        result = run(leads="lead_id,title\n" + "".join(f"{n},CFO\n" for n in range(1005)), shape="table")
        assert "note: and 5 more; --format csv and json list all" in result.stderr
        assert "1000" in result.stdout

    def test_nothing_in_a_table_steers_the_terminal(self, run: Run) -> None:
        model = MODEL.replace("title: A model", 'title: "[/b] [red]A model"')
        output = run(leads="lead_id,title\n\x1b[2Jx,CFO\n", model=model, shape="table").stdout
        assert "[/b] [red]A model, 2026" in output
        assert "\ufffd[2Jx" in output
        assert "\x1b" not in output


class TestWriting:
    @pytest.fixture
    def command(self, tmp_path: Path) -> list[str]:
        (tmp_path / "leads.csv").write_text("lead_id,title,company.employees\nNguyễn 👋,CFO,1\n", "utf-8")
        (tmp_path / "model.yaml").write_text(MODEL, "utf-8")
        arguments = ["score", str(tmp_path / "leads.csv"), "--model", str(tmp_path / "model.yaml"), "--format"]
        return [sys.executable, "-m", "assay.cli", *arguments]

    @pytest.mark.parametrize(("shape", "shown"), [("json", "Nguyễn 👋"), ("csv", "Nguyễn 👋"), ("table", "Nguy?n ?")])
    def test_a_terminal_that_knows_ascii_alone(self, command: list[str], shape: str, shown: str) -> None:
        environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = subprocess.run([*command, shape], env=environ, capture_output=True, check=True)
        assert shown in done.stdout.decode()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
    @pytest.mark.parametrize("shape", ["json", "csv", "table"])
    def test_a_full_disk(self, command: list[str], shape: str) -> None:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run([*command, shape], stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 1
        assert done.stderr.decode().startswith("error: the answer cannot be written: No space left")
        assert b"Traceback" not in done.stderr


class TestAsOnTheServer:
    QUALITY = """
    model: m
    rules:
      - {id: free, when: {trait: quality.free_email, is: true}, points: -5}
      - {id: fake, when: {trait: quality.fake_company, is: true}, points: -20}
    """

    def test_computed_traits_are_worked_out_of_the_columns(self, run: Run) -> None:
        leads = "lead_id,email,company_name,quality.free_email\nada,a@gmail.com,3M,false\nbob,b@acme.example,n/a,true\n"
        done = run(leads=leads, model=self.QUALITY)
        assert {lead["lead_id"]: lead["total"] for lead in json.loads(done.stdout)["leads"]} == {"ada": -5, "bob": -20}
        assert "no column" not in done.stderr

    def test_one_without_any_of_its_columns_is_told(self, run: Run) -> None:
        done = run(leads="lead_id,email\nada,a@gmail.com\n", model=self.QUALITY)
        assert "note: no column for quality.fake_company, which the model reads" in done.stderr

    def test_what_a_machine_did_counts_nothing_and_is_told(self, run: Run) -> None:
        opened = [
            event("m1", kind="email.delivered", email_id="a"),
            event("m2", kind="email.opened", at="2026-03-01T00:00:03Z", email_id="a"),
            event("m3", kind="email.opened", at="2026-03-01T09:00:00Z", email_id="a"),
        ]
        done = run(events=opened, leads="lead_id,title,company.employees\nada,,\n")
        (ada,) = json.loads(done.stdout)["leads"]
        machine, person = (part for part in ada["parts"] if part["rule"] == "opens")
        assert (machine["events"], machine["points"], machine["counted"]) == (["m2"], 0, False)
        assert (person["events"], person["points"], person["counted"]) == (["m3"], 1, True)
        assert machine["why"].endswith("by a machine: 3 seconds after it was delivered")
        assert "note: opens and clicks by machines, which count nothing: 1" in done.stderr
