"""`assay import` against the real server and its workers' work."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assay.cli import imports as command
from assay.cli import main
from assay.intake import imports
from assay.profiles import jobs
from assay_tenants.keys import issue_key

LEADS = "id,email,title\nu1,ada@example.test,CFO\nu2,bob@example.test,Clerk\n,,nobody\n"


@pytest.fixture
def working(tenant: Any) -> Iterator[None]:
    """A worker beside the command."""
    stopped = Event()

    def work() -> None:
        while not stopped.wait(0.05):
            while jobs.drain_imports(tenant.tenant_id):
                pass

    thread = Thread(target=work)
    thread.start()
    yield
    stopped.set()
    thread.join()


@pytest.fixture
def run(tmp_path: Path, port: int, tenant: Any, working: None) -> Callable[..., Result]:
    key = issue_key(tenant.tenant_id, kind="api", name="CI").secret

    def run(body: str, *options: str, key: str = key) -> Result:
        file = tmp_path / "leads.csv"
        file.write_text(body)
        given = ["import", str(file), "--url", f"http://127.0.0.1:{port}", *options]
        return CliRunner().invoke(main, given, env={"ASSAY_API_KEY": key})

    return run


Run = Callable[..., Result]


class TestImport:
    def test_a_file_is_sent_in_parts_and_read(self, run: Run, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "PART", 20)
        answer = run(LEADS, "--kind", "leads")
        assert (answer.exit_code, answer.stdout) == (
            3,
            f"Import {self.newest(tenant).id}: 2 rows taken in, 1 refused.\n",
        )
        assert self.newest(tenant).state == "done"

    def test_a_check_keeps_nothing(self, run: Run, tenant: Any) -> None:
        answer = run(LEADS.replace(",,nobody\n", ""), "--kind", "leads", "--check")
        assert (answer.exit_code, answer.stdout) == (0, "2 rows, 0 would be refused.\nLeads: 2 new, 0 known.\n")
        assert self.newest(tenant).state == "cancelled"

    def test_what_columns_do_not_say_can_be_said(self, run: Run, tenant: Any) -> None:
        said = ("--type", "call.made", "--dates", "dmy", "--time-zone", "Asia/Ho_Chi_Minh")
        assert run("user_id,at\n1,31/05/2026\n", "--kind", "events", *said).exit_code == 0
        assert self.newest(tenant).rows_refused == 0

    @pytest.mark.parametrize(
        ("body", "options", "sentence"),
        [
            pytest.param("id,,,\n1,2,3,4\n", ("--kind", "leads"), "3 of 4 columns have no name", id="heading"),
            pytest.param("PK\x03\x04", ("--kind", "leads"), "Save the sheet as CSV", id="workbook"),
            pytest.param("", ("--kind", "leads"), "size", id="empty"),
            pytest.param("a,b\n1,2\n", ("--kind", "events"), "who did it", id="problems"),
            pytest.param(LEADS, ("--kind", "leads", "--dates", "us"), "dates", id="option"),
        ],
    )
    def test_says_what_is_wrong(self, run: Run, body: str, options: tuple[str, ...], sentence: str) -> None:
        answer = run(body, *options)
        assert answer.exit_code == 1
        assert sentence in answer.stderr

    def test_says_that_the_key_is_wrong(self, run: Run) -> None:
        answer = run(LEADS, "--kind", "leads", key="ak_nobodys")
        assert answer.exit_code == 1
        assert "API key" in answer.stderr

    def newest(self, tenant: Any) -> imports.ImportReport:
        return imports.list_imports(tenant.tenant_id)[0]
