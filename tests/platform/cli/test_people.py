"""`assay people`: the last owner of a company has lost phone, passkeys and recovery codes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update

from assay.cli import main
from assay.settings import Settings
from assay_tenants import database, factors
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.queries import Wanted, list_entries
from assay_tenants.context import depart
from assay_tenants.database import directory_session
from assay_tenants.factors import totp
from assay_tenants.factors.models import Totp
from assay_tenants.models import Person


@pytest.fixture
def run(settings: Settings, connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("ASSAY_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("ASSAY_REDIS_URL", settings.redis_url)

    def call(*words: str, typed: str = "") -> Result:
        return CliRunner().invoke(main, ("people", "reset-factors", *words), input=typed)

    yield call
    # The command connected this process anew, with a pool of one.
    database.configure(settings.database_url)
    depart()


@pytest.fixture
def email(tenant: SignedUp) -> str:
    """Of an owner who has an authenticator app."""
    totp.start(tenant.person_id)
    with directory_session() as session:
        session.execute(update(Totp).where(Totp.person_id == tenant.person_id).values(confirmed_at=datetime.now(UTC)))
        return session.scalars(select(Person.email).where(Person.id == tenant.person_id)).one()


def test_takes_them_away_and_says_so_in_the_log(run: Any, tenant: SignedUp, email: str) -> None:
    assert run(email, typed="n\n").exit_code == 1
    assert factors.list_methods(tenant.person_id) == ("totp",)
    answer = run(email, "--by", "Otto", typed="y\n")
    assert answer.exit_code == 0, answer.output
    assert "Ada Example has no second factor any more" in answer.output
    assert factors.list_methods(tenant.person_id) == ()
    (entry,) = list_entries(tenant.tenant_id, Wanted(actor="operator")).items
    assert (entry.actor_name, entry.door, entry.action) == ("Otto", "command", "second_factors.reset")
    again = run(email, "--yes")
    assert (again.exit_code, "there is nothing to reset" in again.output) == (1, True)


def test_nobody_of_that_address(run: Any) -> None:
    answer = run("nobody@example.test", "--yes")
    assert (answer.exit_code, answer.output) == (1, "Error: There is no such person.\n")
