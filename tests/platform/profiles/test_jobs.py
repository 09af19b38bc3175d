"""Whole files and raw messages through the stage, as the workers do it."""

import gzip
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from sqlalchemy import text

from assay import facts
from assay.intake import imports
from assay.intake.imports import reading, storing
from assay.intake.imports.models import ImportChunk
from assay.profiles import jobs
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound

BANK = Path(__file__).parents[4] / "shared" / "data" / "bank-additional-full.csv.gz"


@pytest.fixture
def send(world: Any) -> Callable[..., int]:
    def send(body: str | bytes, *, kind: str = "leads", filename: str = "leads.csv", **options: str) -> int:
        raw = body.encode() if isinstance(body, str) else body
        return imports.start_import(
            world.tenant_id, kind=kind, filename=filename, stream=io.BytesIO(raw), options=options
        )

    return send


@pytest.fixture
def finish(world: Any, send: Callable[..., int]) -> Callable[..., imports.ImportReport]:
    """Sends a file and reads it to its end."""

    def finish(body: str | bytes, **how: Any) -> imports.ImportReport:
        import_id = send(body, **how)
        while jobs.drain_imports(world.tenant_id):
            pass
        return imports.get_import(world.tenant_id, import_id)

    return finish


Finish = Callable[..., imports.ImportReport]


def traits(world: Any) -> list[dict[str, Any]]:
    return sorted((lead["traits"] for lead in world.state().values()), key=str)


class TestDrainImports:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param("id;name\n1;Đặng\n2;Șerban\n".encode(), id="utf-8"),
            pytest.param("id;name\n1;Đặng\n2;Șerban\n".encode("utf-8-sig"), id="byte order mark"),
            pytest.param("id\tname\r\n1\tĐặng\r\n2\tȘerban\r\n".encode("utf-16"), id="utf-16 with tabs"),
            pytest.param("id|name\r1|Đặng\r2|Șerban".encode(), id="old line ends, bars"),
            pytest.param(gzip.compress("\n\nid,name\n\n1,Đặng\n,\n2,Șerban\n\n".encode()), id="gzip with blank lines"),
            pytest.param('{"id": 1, "name": "Đặng"}\n\n{"id": "2", "name": "Șerban"}'.encode(), id="json lines"),
        ],
    )
    def test_takes_leads_in_whatever_way_they_are_written(self, finish: Finish, world: Any, body: bytes) -> None:
        report = finish(body)
        assert (report.state, report.rows_read, report.rows_refused, report.error) == ("done", 2, 0, None)
        assert report.bytes_read == report.bytes_total
        assert traits(world) == [{"name": "Đặng"}, {"name": "Șerban"}]
        assert world.people() == {frozenset({"1"}), frozenset({"2"})}

    def test_says_when_it_guessed_the_letters(self, finish: Finish, world: Any) -> None:
        report = finish("id,name\n1,Müller\n".encode("windows-1252"))
        assert report.note is not None
        assert "Windows-1252" in report.note
        assert traits(world) == [{"name": "Müller"}]

    def test_line_breaks_in_cells_do_not_break_rows(self, finish: Finish, world: Any) -> None:
        finish('id,note\n1,"first\nsecond; ""third"""\n2,x\n')
        assert traits(world) == [{"note": 'first\nsecond; "third"'}, {"note": "x"}]

    def test_reports_refused_rows_by_the_numbers_of_a_spreadsheet(self, finish: Finish, world: Any) -> None:
        report = finish('id,updated_at,a\n1,,ok\n2,soon,x\n\n,,nobody\n3,,"two\nlines"\n4,x\n' + f"{'u' * 513},,x\n")
        assert (report.state, report.rows_read, report.rows_refused) == ("done", 6, 4)
        refused = imports.refused_rows(world.tenant_id, report.id, limit=3)
        assert [(row.row_number, row.column_name) for row in refused.items] == [(3, "updated_at"), (5, None), (7, None)]
        rest = imports.refused_rows(world.tenant_id, report.id, cursor=refused.next_cursor)
        assert [(row.row_number, row.column_name) for row in rest.items] == [(8, "user_id")]
        assert rest.next_cursor is None
        assert world.people() == {frozenset({"1"}), frozenset({"3"})}

    def test_counts_more_refused_rows_than_it_keeps(
        self, finish: Finish, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ROWS", 4)
        monkeypatch.setattr(reading, "MOST_REFUSED", 6)
        report = finish("id\n" + "a,b\n" * 10)
        assert report.rows_refused == 10
        assert len(imports.refused_rows(world.tenant_id, report.id).items) == 6

    def test_the_same_file_again_changes_nothing(self, finish: Finish, world: Any) -> None:
        leads = "name,age\nAda,40\nBo,41\nAda,40\n"
        events = "lead_id,type,occurred_at,path\n1,page.viewed,2026-03-01,/a\n1,page.viewed,2026-03-01,/b\n"
        finish(leads)
        finish(events, kind="events")
        before = world.state()
        told: list[facts.Fact] = []
        facts.listen(told.append)
        finish(leads)
        finish(events, kind="events")
        facts.stop_listening(told.append)
        after = world.state()
        assert before.keys() == after.keys()
        for ids, lead in before.items():
            for what in ("traits", "events", "name", "first_seen_at"):
                assert after[ids][what] == lead[what]
        assert facts.LeadsChanged(world.tenant_id) not in told

    def test_companies_come_with_their_people(self, finish: Finish, world: Any) -> None:
        finish("id,company.id,company.employees\n1,acme,40\n2,acme,\n3,,7\n")
        companies = sorted(str(lead["company_traits"]) for lead in world.state().values())
        assert companies == ["None", "{'id': 'acme', 'employees': 40}", "{'id': 'acme', 'employees': 40}"]
        assert {"company.employees": 7} in traits(world)

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            pytest.param("", "empty", id="empty"),
            pytest.param("\n\n", "empty", id="blank lines"),
            pytest.param("id,,,\n1,2,3,4\n", "3 of 4 columns have no name", id="heading"),
            pytest.param(b"PK\x03\x04", "Save the sheet as CSV", id="workbook"),
            pytest.param('id,"name\n1,2\n', "never closed", id="open heading"),
        ],
    )
    def test_a_file_that_can_not_be_read_fails_with_a_sentence(
        self, finish: Finish, world: Any, body: str | bytes, sentence: str
    ) -> None:
        report = finish(body)
        assert report.state == "failed"
        assert report.error is not None
        assert sentence in report.error
        assert report.finished_at is not None
        with tenant_session(world.tenant_id) as session:
            assert session.query(ImportChunk).count() == 0

    def test_an_open_quotation_mark_keeps_what_came_before(self, finish: Finish, world: Any) -> None:
        report = finish('id,a\n1,x\n2,"y\n3,z\n')
        assert report.error is not None
        assert report.error.startswith("In row 3 a quotation mark")
        assert world.people() == {frozenset({"1"})}

    def test_goes_on_where_a_killed_worker_stopped(
        self, send: Callable[..., int], world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [f'{number},"Đặng\n{number}"' if number % 3 else f"{number},x,y" for number in range(1, 31)]
        import_id = send("id,name\n" + "\n".join(rows))
        monkeypatch.setattr(reading, "ROWS", 4)
        advance = imports.advance

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        progress = []
        while True:
            # Each batch is cut off once, after its leads were written and before the commit.
            monkeypatch.setattr(imports, "advance", killed)
            try:
                taken = jobs.drain_imports(world.tenant_id)
            except KeyboardInterrupt:
                monkeypatch.setattr(imports, "advance", advance)
                taken = jobs.drain_imports(world.tenant_id)
            report = imports.get_import(world.tenant_id, import_id)
            progress.append((report.rows_read, report.bytes_read))
            if not taken:
                break
        assert progress == sorted(progress)
        assert [rows for rows, _ in progress[:3]] == [4, 8, 12]
        assert (report.state, report.rows_read, report.rows_refused) == ("done", 30, 10)
        assert len(world.people()) == 20
        refused = imports.refused_rows(world.tenant_id, import_id).items
        assert [row.row_number for row in refused] == [number + 1 for number in range(3, 31, 3)]

    def test_each_call_is_one_batch_of_the_oldest(
        self, send: Callable[..., int], world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ROWS", 2)
        first, second = send("id\n1\n2\n3\n"), send("id\n4\n")
        states = []
        while jobs.drain_imports(world.tenant_id):
            states.append([imports.get_import(world.tenant_id, each).rows_read for each in (first, second)])
        assert states == [[2, 0], [3, 0], [3, 1]]

    @pytest.mark.skipif(not BANK.exists(), reason="the real file is not part of the repository")
    def test_takes_a_real_file(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "ROWS", 10_000)
        monkeypatch.setattr(reading, "BYTES", 2**30)
        with BANK.open("rb") as stream:
            import_id = imports.start_import(world.tenant_id, kind="leads", filename=BANK.name, stream=stream)
        assert jobs.drain_imports(world.tenant_id) == 10_000
        report = imports.get_import(world.tenant_id, import_id)
        assert (report.state, report.rows_read, report.rows_refused) == ("waiting", 10_000, 0)
        rows = world.rows("SELECT count(*), min(traits ->> 'emp.var.rate') FROM profiles.leads WHERE tenant_id = :t")
        assert tuple(rows[0]) == (10_000, "1.1")


class TestStartImport:
    def test_tells_that_a_file_waits(self, send: Callable[..., int], world: Any) -> None:
        told: list[facts.Fact] = []
        facts.listen(told.append)
        import_id = send("id\n1\n", filename="C:\\Users\\ada\\lea\x00ds.csv")
        facts.stop_listening(told.append)
        assert told == [facts.ImportReceived(world.tenant_id)]
        report = imports.get_import(world.tenant_id, import_id)
        assert (report.filename, report.state, report.bytes_total) == ("leads.csv", "waiting", 5)

    def test_refuses_another_kind(self, send: Callable[..., int]) -> None:
        with pytest.raises(BadInput, match="leads or of events"):
            send("id\n", kind="cats")

    def test_an_upload_that_breaks_off_fails(self, world: Any) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                return super().read(size) or self._break_off()

            def _break_off(self) -> bytes:
                raise ConnectionResetError

        stream: IO[bytes] = Broken(b"id\n" + b"1\n" * 400_000)
        with pytest.raises(ConnectionResetError):
            imports.start_import(world.tenant_id, kind="leads", filename="a.csv", stream=stream)
        (report,) = imports.list_imports(world.tenant_id)
        assert (report.state, report.error) == (
            "failed",
            "The upload broke off before its end. Send the file again.",
        )
        assert jobs.drain_imports(world.tenant_id) == 0

    def test_gives_up_uploads_whose_receiver_died(self, send: Callable[..., int], world: Any) -> None:
        import_id = send("id\n1\n")
        with tenant_session(world.tenant_id) as session:
            session.execute(
                text("UPDATE intake.imports SET state = 'receiving', touched_at = :at WHERE tenant_id = :t"),
                {"at": datetime.now().astimezone() - storing.PATIENCE - timedelta(minutes=1), "t": world.tenant_id},
            )
        send("id\n2\n")
        report = imports.get_import(world.tenant_id, import_id)
        assert (report.state, report.error) == ("failed", "The upload never came to its end. Send the file again.")

    def test_the_neighbour_sees_no_import(self, finish: Finish, neighbour: SignedUp) -> None:
        report = finish("id\n\n1,2\n")
        assert imports.list_imports(neighbour.tenant_id) == []
        for ask in (imports.get_import, imports.refused_rows):
            with pytest.raises(NotFound):
                ask(neighbour.tenant_id, report.id)

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "٣", "9" * 30])
    def test_refuses_a_cursor_of_something_else(self, finish: Finish, world: Any, cursor: str) -> None:
        report = finish("id\n1,2\n")
        with pytest.raises(BadInput, match="next_cursor"):
            imports.refused_rows(world.tenant_id, report.id, cursor=cursor)
