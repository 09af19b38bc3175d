"""`assay operator`, and commands that act on a tenant as an operator."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assay.cli import main
from assay.settings import Settings
from assay_tenants import database
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.queries import Wanted, list_entries
from assay_tenants.context import depart


@pytest.fixture
def run(settings: Settings, connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("ASSAY_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("ASSAY_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("ASSAY_PUBLIC_URL", "https://assay.example.test")

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    yield call
    # The commands connected this process anew, with a pool of one.
    database.configure(settings.database_url)
    depart()


def test_an_access_from_its_opening_to_its_end(run: Any, tenant: SignedUp) -> None:
    of = ("--tenant", str(tenant.tenant_id))
    opened = run("operator", "open", *of, "--reason", "ticket 4711", "--minutes", "5", "--by", "Ines")
    assert opened.exit_code == 0, opened.output
    reference = re.search(r"Access (\d+-\d+): looks only, as viewer, 5 minutes", opened.output)
    assert reference
    assert re.search(r"https://assay\.example\.test/operators/ol_[0-9a-f]+_\w{44}", opened.output)
    assert re.search(rf"{reference[1]}  open     Ines: ticket 4711", run("operator", "list", *of).output)
    assert "is ended" in run("operator", "close", reference[1], "--by", "Otto").output
    assert "ended" in run("operator", "list", *of).output
    told = [
        (each.actor_name, each.door, each.action)
        for each in list_entries(tenant.tenant_id, Wanted(actor="operator")).items
    ]
    assert told == [("Otto", "command", "operator.ended"), ("Ines", "command", "operator.opened")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("open", "--tenant", "1099511627776", "--reason", "ticket 1"), "tenant", id="no such tenant"),
        pytest.param(("open", "--tenant", "1", "--reason", "why"), "Say why", id="no reason"),
        pytest.param(("close", "abc"), "is no access", id="no access"),
        pytest.param(("close", "1-99999999999999999999999"), "access", id="nobody's access"),
    ],
)
def test_refuses_in_a_sentence(run: Any, words: tuple[str, ...], said: str) -> None:
    answer = run("operator", *words)
    assert answer.exit_code != 0
    assert said in answer.output
    assert "Traceback" not in answer.output


def test_checks_the_log_of_one_and_of_all(run: Any, tenant: SignedUp) -> None:
    one = run("operator", "verify-audit", "--tenant", str(tenant.tenant_id))
    assert one.exit_code == 0, one.output
    assert re.search(rf"tenant {tenant.tenant_id}: \d+ entries, newest hash [0-9a-f]{{64}}", one.output)


def test_a_rescore_is_the_operators(run: Any, tenant: SignedUp) -> None:
    answer = run("rescore", "--tenant", str(tenant.tenant_id), "--by", "Ines")
    assert answer.exit_code == 0, answer.output
    (entry,) = list_entries(tenant.tenant_id, Wanted(action="rescore.started")).items
    assert (entry.actor_kind, entry.actor_name, entry.door) == ("operator", "Ines", "command")
