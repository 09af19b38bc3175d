"""Files from the moment they are sent until what they brought is taken back, as the workers do it."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text

from assay.intake import imports
from assay.intake.imports import event_reading, reading
from assay.intake.imports.models import ImportCheck, ImportChunk
from assay.profiles import import_previews, jobs
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict

EVENTS = "user_id,email,type,occurred_at,path,n\n"
MESSY = (
    "Mã khách hàng;Họ tên;Địa chỉ email;Ngày cập nhật;Doanh thu;Ghi chú\r\n"
    'k1;Nguyễn Văn A;a@quarry.example.test;25/05/2026;1.234,50;"dòng một\ndòng hai; ""trích"""\r\n'
    "\r\n"
    "k2;Trần Thị B;b@quarry.example.test;26/05/2026;7,5;=1+1\r\n"
    "k3;Lê C;c@quarry.example.test;32/05/2026;8;thừa\r\n"
    "k4;Phạm D;d@quarry.example.test;27/05/2026;9;thừa;ô\r\n"
)


@pytest.fixture
def send(world: Any) -> Callable[..., int]:
    def send(body: str | bytes, *, kind: str = "leads", filename: str = "a.csv", **how: Any) -> int:
        raw = body.encode() if isinstance(body, str) else body
        return imports.start_import(world.tenant_id, kind=kind, filename=filename, stream=io.BytesIO(raw), **how)

    return send


@pytest.fixture
def work(world: Any) -> Callable[[int], imports.ImportReport]:
    def work(import_id: int) -> imports.ImportReport:
        while jobs.drain_imports(world.tenant_id):
            pass
        return imports.get_import(world.tenant_id, import_id)

    return work


Send = Callable[..., int]
Work = Callable[[int], imports.ImportReport]


def parquet(frame: pl.DataFrame, **how: Any) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, **how)
    return buffer.getvalue()


def facts_of(world: Any) -> Any:
    """Who there is, and what of each of them."""
    return sorted(
        (sorted(ids), lead["traits"], sorted(map(str, lead["events"]))) for ids, lead in world.state().items()
    )


def left(world: Any, table: str) -> int:
    with tenant_session(world.tenant_id) as session:
        count: int = session.execute(
            text(f"SELECT count(*) FROM {table} WHERE tenant_id = :t"),  # of this test
            {"t": world.tenant_id},
        ).scalar_one()
    return count


class TestReview:
    def test_nothing_is_read_before_somebody_said_so(self, send: Send, work: Work, world: Any) -> None:
        import_id = send("id,name\n1,Ada\n", review=True)
        assert work(import_id).state == "ready"
        assert world.people() == set()
        imports.start(world.tenant_id, import_id)
        assert work(import_id).state == "done"
        assert world.people() == {frozenset({"1"})}

    def test_a_messy_file_is_mapped_mended_and_sent_again(self, send: Send, work: Work, world: Any) -> None:
        import_id = send(MESSY.encode("utf-8-sig"), review=True)
        found = imports.get_mapping(world.tenant_id, import_id)
        assert [(each.column, each.as_, each.name) for each in found.columns] == [
            ("Mã khách hàng", "user_id", None),
            ("Họ tên", "trait", "name"),
            ("Địa chỉ email", "email", None),
            ("Ngày cập nhật", "time", None),
            ("Doanh thu", "trait", None),
            ("Ghi chú", "trait", None),
        ]
        assert (found.mapping.dates, found.delimiter, found.is_guess, found.problems) == ("dmy", ";", True, [])
        assert any("decimal comma" in warning for warning in found.warnings)
        asked = {**found.mapping.document(), "numbers": "comma", "time_zone": "Asia/Ho_Chi_Minh"}
        asked["columns"][4] = {"column": "Doanh thu", "as": "trait", "name": "revenue"}
        told = imports.put_mapping(world.tenant_id, import_id, asked)
        assert (told.is_guess, told.problems, told.warnings) == (False, [], [])

        shown = import_previews.preview(world.tenant_id, import_id)
        assert [(row.number, row.column, row.reason is None) for row in shown.rows] == [
            (2, None, True), (4, None, True), (5, "Ngày cập nhật", False), (6, None, False),
        ]  # fmt: skip
        first = shown.rows[0].records[0]
        assert first.at == datetime(2026, 5, 24, 17, tzinfo=UTC)

        imports.start(world.tenant_id, import_id)
        report = work(import_id)
        assert (report.state, report.rows_read, report.rows_refused) == ("done", 4, 2)
        revenues = {lead["traits"]["name"]: lead["traits"]["revenue"] for lead in world.state().values()}
        assert revenues == {"Nguyễn Văn A": 1234.5, "Trần Thị B": 7.5}

        file = imports.refused_file(world.tenant_id, import_id)
        lines = b"".join(file.parts).decode("utf-8-sig")
        heading, one, other = csv.reader(io.StringIO(lines), delimiter=";")
        assert heading[:4] == ["assay:row", "assay:column", "assay:reason", "Mã khách hàng"]
        assert (one[:2], one[3:]) == (
            ["5", "Ngày cập nhật"],
            ["k3", "Lê C", "c@quarry.example.test", "32/05/2026", "8", "thừa"],
        )
        assert len(other) == 10
        mended = lines.replace("32/05/2026", "31/05/2026").replace("thừa;ô", "=thừa ô")
        again = send(mended, review=True)
        assert [each.as_ for each in imports.get_mapping(world.tenant_id, again).columns[:4]] == [
            "ignore", "ignore", "ignore", "user_id",
        ]  # fmt: skip
        imports.put_mapping(
            world.tenant_id,
            again,
            {**asked, "columns": [{"column": name, "as": "ignore"} for name in heading[:3]] + asked["columns"]},
        )
        imports.start(world.tenant_id, again)
        assert work(again).rows_refused == 0
        assert len(world.people()) == 4

    @pytest.mark.parametrize(
        ("body", "kind", "field", "sentence"),
        [
            pytest.param("id,type\n1,a\n", "events", "columns", "which column tells when", id="no time"),
            pytest.param("user_id,occurred_at\n1,2026-01-01\n", "events", "type", "one type for all", id="no type"),
            pytest.param("user_id,type,occurred_at\n1,a,05/06/2026\n", "events", "dates", "Choose how", id="day"),
            pytest.param("id,,,\n1,2,3,4\n", "leads", "columns", "3 of 4 columns have no name", id="heading"),
        ],
    )  # fmt: skip
    def test_does_not_start_with_problems(
        self, send: Send, world: Any, body: str, kind: str, field: str, sentence: str
    ) -> None:
        import_id = send(body, kind=kind, review=True)
        problems = imports.get_mapping(world.tenant_id, import_id).problems
        assert any(sentence in problem.message for problem in problems)
        for act in (imports.start, imports.check):
            with pytest.raises(BadInput, match=sentence) as refused:
                act(world.tenant_id, import_id)
            assert refused.value.field == field

    def test_another_delimiter_makes_other_columns(self, send: Send, world: Any) -> None:
        import_id = send('email|"a;b;c"\nada@quarry.example.test|1\n', review=True)
        told = imports.put_mapping(world.tenant_id, import_id, {"delimiter": ";"})
        assert [each.column for each in told.columns] == ['email|"a', "b", 'c"']
        told = imports.put_mapping(world.tenant_id, import_id, {"delimiter": None})
        assert [each.as_ for each in told.columns] == ["email", "trait"]

    @pytest.mark.parametrize(
        ("encoding", "name"),
        [("windows-1250", "Șerban".replace("Ș", "Ş")), ("windows-1258", "Đặng"), ("gb18030", "王小明")],
    )
    def test_letters_can_be_chosen(self, send: Send, work: Work, world: Any, encoding: str, name: str) -> None:
        raw = "Đă\u0323ng".encode(encoding) if encoding == "windows-1258" else name.encode(encoding)
        if encoding == "windows-1258":
            raw = "Đ".encode(encoding) + "â".encode(encoding) + b"\xf2ng"
            name = "Đậng"
        import_id = send(b"id,name\n1," + raw + b"\n", review=True)
        imports.put_mapping(world.tenant_id, import_id, {"encoding": encoding})
        imports.start(world.tenant_id, import_id)
        assert work(import_id).state == "done"
        assert [lead["traits"]["name"] for lead in world.state().values()] == [name]

    def test_only_what_waits_can_be_decided(self, send: Send, work: Work, world: Any) -> None:
        import_id = send("id\n1\n")
        work(import_id)
        for act in (imports.start, imports.check, imports.pause, imports.resume, imports.cancel):
            with pytest.raises(imports.WrongState, match="The import is done"):
                act(world.tenant_id, import_id)
        assert imports.get_mapping(world.tenant_id, import_id).mapping.column_of("user_id") == "id"


class TestCheck:
    def test_counts_without_keeping_anything(self, send: Send, work: Work, world: Any) -> None:
        before = "7,ada@quarry.example.test,page.viewed,2026-05-01,/a,1\n"
        work(send(EVENTS + before, kind="events"))
        known = facts_of(world)
        rows = (
            before
            + before.replace(",1\n", ",2\n") * 2
            + "8,bo@quarry.example.test,page.viewed,2026-05-01,/a,1\n"
            + ",bo@quarry.example.test,page.viewed,2026-05-02,/a,1\n"
            + "9,,Page Viewed,2026-05-02,/a,1\n"
        )
        import_id = send(EVENTS + rows, kind="events", review=True)
        imports.check(world.tenant_id, import_id)
        report = work(import_id)
        assert (report.state, report.check) == (
            "ready",
            {
                "rows": 6, "refused": 1, "leads_new": 1, "leads_known": 1, "events": 5, "events_new": 3,
                "events_known": 2, "error": None, "finished_at": report.check and report.check["finished_at"],
            },
        )  # fmt: skip
        assert [row.row_number for row in imports.refused_rows(world.tenant_id, import_id).items] == [7]
        assert facts_of(world) == known
        assert left(world, "intake.import_checks") == 0
        imports.start(world.tenant_id, import_id)
        report = work(import_id)
        assert (report.rows_read, report.rows_refused, report.state) == (6, 1, "done")
        assert len(world.people()) == 2

    def test_goes_on_over_batches_and_can_be_cancelled(
        self, send: Send, work: Work, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ROWS", 2)
        import_id = send(
            "id,email\n" + "".join(f"{n % 4},x{n % 4}@quarry.example.test\n" for n in range(9)), review=True
        )
        imports.check(world.tenant_id, import_id)
        jobs.drain_imports(world.tenant_id)
        jobs.drain_imports(world.tenant_id)
        assert imports.get_import(world.tenant_id, import_id).rows_read == 4
        imports.cancel(world.tenant_id, import_id)
        report = work(import_id)
        assert (report.state, report.check, report.rows_read) == ("ready", None, 0)
        assert left(world, "intake.import_checks") == 0
        imports.check(world.tenant_id, import_id)
        report = work(import_id)
        assert report.check is not None
        assert (report.check["rows"], report.check["leads_new"], report.check["leads_known"]) == (9, 4, 0)

    def test_says_what_is_wrong_with_the_whole_file(self, send: Send, work: Work, world: Any) -> None:
        import_id = send('id,a\n1,x\n2,"y\n3,z\n', review=True)
        imports.check(world.tenant_id, import_id)
        report = work(import_id)
        assert report.state == "ready"
        assert report.check is not None
        assert report.check["error"] == (
            "In row 3 a quotation mark is opened and never closed. Mend it and send the file again."
        )


class TestPauseAndCancel:
    def test_a_paused_file_goes_on_where_it_was(
        self, send: Send, work: Work, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ROWS", 2)
        import_id = send("id\n1\n2\n3\n")
        jobs.drain_imports(world.tenant_id)
        imports.pause(world.tenant_id, import_id)
        report = work(import_id)
        assert (report.state, report.rows_read) == ("paused", 2)
        imports.resume(world.tenant_id, import_id)
        report = work(import_id)
        assert (report.state, report.rows_read) == ("done", 3)
        assert len(world.people()) == 3

    def test_a_cancelled_file_is_removed_and_what_was_taken_in_stays_until_it_is_undone(
        self, send: Send, work: Work, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ROWS", 2)
        import_id = send("id\n1\n2\n3\n")
        jobs.drain_imports(world.tenant_id)
        imports.cancel(world.tenant_id, import_id)
        assert work(import_id).state == "cancelled"
        assert left(world, "intake.import_chunks") == 0
        assert len(world.people()) == 2
        imports.undo(world.tenant_id, import_id)
        assert work(import_id).state == "undone"
        assert world.people() == set()


class TestUndo:
    def test_is_as_if_it_had_never_been_and_the_file_can_come_again(self, send: Send, work: Work, world: Any) -> None:
        work(send(EVENTS + "7,ada@quarry.example.test,page.viewed,2026-05-01,/a,1\n", kind="events"))
        before = facts_of(world)
        file = EVENTS + "7,,page.viewed,2026-05-02,/b,1\n8,bo@quarry.example.test,page.viewed,2026-05-01,/a,1\n"
        import_id = send(file, kind="events")
        with pytest.raises(imports.WrongState, match="being read"):
            imports.undo(world.tenant_id, import_id)
        work(import_id)
        after = facts_of(world)
        imports.undo(world.tenant_id, import_id)
        report = work(import_id)
        assert report.state == "undone"
        assert report.undone is not None
        assert (report.undone["events"], report.undone["identities"]) == (2, 3)
        assert facts_of(world) == before
        with pytest.raises(imports.WrongState, match="The import is undone"):
            imports.undo(world.tenant_id, import_id)
        again = send(file, kind="events")
        assert work(again).rows_refused == 0
        assert facts_of(world) == after

    def test_what_was_not_kept_apart_can_not_be_taken_back(self, send: Send, work: Work, world: Any) -> None:
        import_id = send("id\n1\n")
        work(import_id)
        with tenant_session(world.tenant_id) as session:
            whose = {"t": world.tenant_id}
            session.execute(text("UPDATE intake.imports SET touched_at = NULL WHERE tenant_id = :t"), whose)
        with pytest.raises(Conflict, match="can't be taken back exactly"):
            imports.undo(world.tenant_id, import_id)
        assert world.people() == {frozenset({"1"})}


class TestEvents:
    ROWS = (
        "7,a@quarry.example.test,page.viewed,2026-05-01T10:00:00Z,/a,1\n"
        '7,,page.viewed,2026-05-01T10:00:00Z,"/a\n/b",1.50\n'
        "\n"
        "8,,Page Viewed,2026-05-01,/a,1\n"
        ",,page.viewed,2026-05-01,/a,1\n"
        "9,,page.viewed,2026-05-01,/a\n"
        ",b@quarry.example.test,page.viewed,2026-05-01,\x01,1\n"
    )

    @pytest.mark.parametrize("rows", [1, 2, 3, 40_000])
    def test_are_the_same_however_many_are_read_at_a_time(
        self, send: Send, work: Work, world: Any, monkeypatch: pytest.MonkeyPatch, rows: int
    ) -> None:
        monkeypatch.setattr(event_reading, "ROWS", rows)
        report = work(send(EVENTS + self.ROWS, kind="events"))
        assert (report.state, report.rows_read, report.rows_refused) == ("done", 6, 3)
        refused = imports.refused_rows(world.tenant_id, report.id).items
        assert [(row.row_number, row.column_name) for row in refused] == [(5, "type"), (6, None), (7, None)]
        assert report.bytes_read == report.bytes_total
        kept = world.rows("SELECT properties ->> 'path', properties ->> 'n' FROM profiles.events WHERE tenant_id = :t")
        assert {tuple(row) for row in kept} == {("/a", "1"), ("/a\n/b", "1.50"), ("\x01", "1")}

    @pytest.mark.parametrize("rows", [1, 2, 40_000])
    def test_of_json_too(self, send: Send, work: Work, world: Any, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
        monkeypatch.setattr(event_reading, "ROWS", rows)
        base = {"user_id": "7", "type": "page.viewed", "occurred_at": "2026-05-01"}
        lines = [json.dumps({**base, "properties": {"n": n, "tags": ["x"] * (n % 2)}}) for n in range(3)]
        body = "\n".join([*lines, "", "{", json.dumps({"user_id": "7"})])
        report = work(send(body, kind="events", filename="a.jsonl"))
        assert (report.state, report.rows_read, report.rows_refused) == ("done", 5, 2)
        assert [row.row_number for row in imports.refused_rows(world.tenant_id, report.id).items] == [5, 6]
        assert left(world, "profiles.events") == 3
        file = imports.refused_file(world.tenant_id, report.id)
        written = [json.loads(line) for line in b"".join(file.parts).decode().splitlines()]
        assert [line["assay:row"] for line in written] == [5, 6]
        assert (written[0]["assay:line"], written[1]["user_id"]) == ("{", "7")

    def test_rows_longer_than_what_is_read_at_a_time(
        self, send: Send, work: Work, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_reading, "BYTES", 1)
        monkeypatch.setattr("assay.intake.imports.slabs.CHUNK", 64)
        monkeypatch.setattr("assay.intake.imports.lines.CHUNK", 64)
        monkeypatch.setattr("assay.intake.imports.receiving.CHUNK", 64)
        long = "x" * 300
        body = EVENTS + f'7,,page.viewed,2026-05-01,"{long}\n{long}",1\n' + self.ROWS
        report = work(send(body, kind="events"))
        assert (report.state, report.rows_read, report.rows_refused) == ("done", 7, 3)
        assert left(world, "profiles.events") == 4

    def test_an_open_quotation_mark_keeps_what_came_before(self, send: Send, work: Work, world: Any) -> None:
        report = work(send(EVENTS + '7,,page.viewed,2026-05-01,/a,1\n7,,page.viewed,2026-05-01,"/b,1\n', kind="events"))
        assert report.error is not None
        assert report.error == (
            "In row 3 a quotation mark is opened and never closed. "
            "The rows before it were taken in; mend it and send the file again."
        )
        assert left(world, "profiles.events") == 1

    def test_of_one_type_in_local_time(self, send: Send, work: Work, world: Any) -> None:
        body = "user_id,at\n7,31/05/2026 14:00\n"
        options = {"type": "call.made", "dates": "dmy", "time_zone": "Asia/Ho_Chi_Minh"}
        work(send(body, kind="events", options=options))
        (row,) = world.rows("SELECT type, occurred_at FROM profiles.events WHERE tenant_id = :t")
        assert tuple(row) == ("call.made", datetime(2026, 5, 31, 7, tzinfo=UTC))


TYPED = pl.DataFrame(
    {
        "user_id": [7, 8, None],
        "email": pl.Series(["a@quarry.example.test", " ", None], dtype=pl.Categorical),
        "type": ["page.viewed", "page.viewed", "page.viewed"],
        "occurred_at": [datetime(2026, 5, 1, 10, tzinfo=UTC), datetime(2026, 5, 1, 11, tzinfo=UTC), None],
        "price": pl.Series([0.1, float("nan"), None], dtype=pl.Float32),
        "amount": [Decimal("12.50"), None, None],
        "day": [date(2026, 5, 1), None, None],
        "left": [timedelta(hours=2), None, None],
        "tags": [["x", None], None, None],
        "page": [{"path": "/a", "at": {"depth": 3}}, None, None],
        "raw": [b"\x00\x01", None, None],
        "void": pl.Series([None, None, None], dtype=pl.Null),
    }
)


class TestKilled:
    @pytest.mark.parametrize("how", ["csv", "jsonl", "parquet"])
    def test_goes_on_where_the_worker_stopped(
        self, send: Send, world: Any, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        rows = [
            {"user_id": str(n), "type": "page.viewed", "occurred_at": "2026-05-01", "n": "Đ\n" * n} for n in range(1, 9)
        ]
        rows[4]["type"] = "Page Viewed"
        frame = pl.DataFrame(rows)
        files = {"csv": frame.write_csv(), "jsonl": frame.write_ndjson(), "parquet": parquet(frame)}
        import_id = send(files[how], kind="events", filename=f"a.{how}")
        monkeypatch.setattr(event_reading, "ROWS", 12)
        monkeypatch.setattr("assay.intake.imports.parquet._LEAST_ROWS", 3)
        advance = imports.advance

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        progress = []
        while imports.get_import(world.tenant_id, import_id).state == "waiting":
            # Each batch is cut off once, after its events were written and before the commit.
            monkeypatch.setattr(imports, "advance", killed)
            with pytest.raises(KeyboardInterrupt):
                jobs.drain_imports(world.tenant_id)
            monkeypatch.setattr(imports, "advance", advance)
            jobs.drain_imports(world.tenant_id)
            progress.append(imports.get_import(world.tenant_id, import_id).rows_read)
        assert progress[:3] == [3, 6, 8]
        report = imports.get_import(world.tenant_id, import_id)
        assert (report.state, report.rows_refused) == ("done", 1)
        assert left(world, "profiles.events") == 7


class TestParquet:
    def test_each_type_says_what_it_means(self, send: Send, work: Work, world: Any) -> None:
        report = work(send(parquet(TYPED), kind="events", filename="a.parquet"))
        assert (report.state, report.error, report.format) == ("done", None, "parquet")
        assert (report.rows_read, report.rows_refused, report.rows_total) == (3, 1, 3)
        assert report.note is not None
        assert "'raw'" in report.note
        rows = world.rows("SELECT properties FROM profiles.events WHERE tenant_id = :t ORDER BY occurred_at")
        assert [row[0] for row in rows] == [
            {
                "price": 0.1, "amount": 12.5, "day": "2026-05-01", "left": "PT2H", "tags": ["x", None],
                "page.path": "/a", "page.at.depth": 3,
            },
            {},
        ]  # fmt: skip
        written = b"".join(imports.refused_file(world.tenant_id, report.id).parts)
        assert json.loads(written)["assay:row"] == 3

    def test_is_the_same_as_the_table_it_was_made_from(self, send: Send, work: Work, world: Any) -> None:
        work(send(EVENTS + "7,,page.viewed,2026-05-01T10:00:00Z,/a,1.5\n8,,page.viewed,2026-05-02,,2\n", kind="events"))
        before = facts_of(world)
        frame = pl.DataFrame(
            {
                "user_id": [7, 8],
                "email": ["", None],
                "type": ["page.viewed"] * 2,
                "occurred_at": ["2026-05-01T10:00", "2026-05-02"],
                "path": [" /a ", None],
                "n": [1.5, None],
            }
        )
        work(send(parquet(frame.head(1)), kind="events", filename="a.parquet"))
        assert facts_of(world) == before

    def test_leads_come_with_companies_and_lists(self, send: Send, work: Work, world: Any) -> None:
        frame = pl.DataFrame({"id": ["1"], "company": [{"id": "acme", "employees": 40}], "tags": [["a", "b"]]})
        assert work(send(parquet(frame))).state == "done"
        (lead,) = world.state().values()
        assert (lead["traits"], lead["company_traits"]) == ({"tags": ["a", "b"]}, {"id": "acme", "employees": 40})

    @pytest.mark.parametrize("rows", [1, 2, 3])
    def test_is_read_in_slices(
        self, send: Send, work: Work, world: Any, monkeypatch: pytest.MonkeyPatch, rows: int
    ) -> None:
        monkeypatch.setattr("assay.intake.imports.parquet.LEADS", rows)
        frame = pl.DataFrame({"id": ["1", "", "3", "4", "5"]})
        import_id = send(parquet(frame, row_group_size=2))
        jobs.drain_imports(world.tenant_id)
        assert imports.get_import(world.tenant_id, import_id).rows_read == rows
        report = work(import_id)
        assert (report.state, report.rows_read, report.rows_refused) == ("done", 5, 1)
        assert len(world.people()) == 4

    def test_is_looked_at_by_a_worker_before_it_is_mapped(self, send: Send, work: Work, world: Any) -> None:
        import_id = send(parquet(TYPED), kind="events", filename="a.parquet", review=True)
        assert imports.get_import(world.tenant_id, import_id).state == "looking"
        with pytest.raises(imports.WrongState):
            imports.put_mapping(world.tenant_id, import_id, {})
        assert work(import_id).state == "ready"
        found = imports.get_mapping(world.tenant_id, import_id)
        assert {each.column: each.as_ for each in found.columns}["occurred_at"] == "time"
        shown = import_previews.preview(world.tenant_id, import_id)
        assert [row.reason is None for row in shown.rows] == [True, True, False]
        imports.check(world.tenant_id, import_id)
        report = work(import_id)
        assert report.check is not None
        assert (report.check["events_new"], report.check["refused"]) == (2, 1)
        imports.start(world.tenant_id, import_id)
        assert work(import_id).state == "done"

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            pytest.param(lambda good: good[:-1], "its end is missing", id="cut off"),
            pytest.param(lambda good: b"PAR1" + b"x" * 100 + b"\x10\x00\x00\x00PAR1", "damaged", id="damaged footer"),
            pytest.param(lambda good: b"PAR1\xff\xff\xff\xffPAR1", "damaged", id="footer beyond the file"),
            pytest.param(lambda good: b"PARE" + good[4:], "encrypted", id="encrypted"),
            pytest.param(gzip.compress, "without gzip", id="gzip around it"),
            pytest.param(lambda good: parquet(TYPED.head(0)), "empty", id="no rows"),
            pytest.param(lambda good: parquet(TYPED.select("raw")), "no column that can be read", id="bytes alone"),
        ],
    )
    @pytest.mark.parametrize("review", [True, False])
    def test_a_file_that_can_not_be_read_fails_with_a_sentence(
        self, send: Send, work: Work, world: Any, body: Callable[[bytes], bytes], sentence: str, review: bool
    ) -> None:
        report = work(send(body(parquet(TYPED)), kind="events", filename="a.parquet", review=review))
        assert report.state == "failed"
        assert report.error is not None
        assert sentence in report.error
        assert left(world, ImportChunk.__table__.fullname) == 0
        assert left(world, ImportCheck.__table__.fullname) == 0


class TestWideAndNarrow:
    def test_two_hundred_columns(self, send: Send, work: Work, world: Any) -> None:
        names = [f"c{number}" for number in range(198)]
        body = ",".join(["user_id", "type", *names]) + "\n" + ",".join(["7", "a", *["1"] * 198]) + "\n"
        import_id = send(body, review=True)
        assert len(imports.get_mapping(world.tenant_id, import_id).columns) == 200
        imports.start(world.tenant_id, import_id)
        assert work(import_id).rows_refused == 0
        (lead,) = world.state().values()
        assert len(lead["traits"]) == 199

    @pytest.mark.parametrize(
        ("kind", "heading", "rest"),
        [
            pytest.param("leads", "email,title", "CFO", id="leads"),
            pytest.param("events", "email,type,occurred_at", "page.viewed,2026-01-01", id="events"),
        ],
    )
    def test_what_is_no_address_joins_nobody(
        self, send: Send, work: Work, world: Any, kind: str, heading: str, rest: str
    ) -> None:
        addresses = ("nope", "ada@acme.test", "-", "nope", "a@b@c", "zoe@acme.test")
        import_id = send("\n".join([heading, *(f"{address},{rest}" for address in addresses)]), kind=kind)
        report = work(import_id)
        assert (report.rows_read, report.rows_refused) == (6, 4)
        refused = imports.refused_rows(world.tenant_id, import_id, cursor=None, limit=10).items
        assert [row.row_number for row in refused] == [2, 4, 5, 6]
        assert "email must be an address such as ada@example.com, not 'nope'." in refused[0].reason
        assert world.people() == {frozenset({"ada@acme.test"}), frozenset({"zoe@acme.test"})}

    def test_one_row_without_line_end(self, send: Send, work: Work, world: Any) -> None:
        assert work(send("user_id,type,at\n7,a,2026-01-01", kind="events")).rows_read == 1
        assert left(world, "profiles.events") == 1

    def test_a_heading_alone(self, send: Send, work: Work, world: Any) -> None:
        report = work(send("user_id,type,at\n", kind="events"))
        assert (report.state, report.rows_read) == ("done", 0)
