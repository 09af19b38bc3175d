"""A record that slips through the checks and that the database refuses takes only itself along."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from assay.intake import imports
from assay.normalise import understanding
from assay.normalise.queries import list_dead_letters
from assay.profiles import importing, jobs, service
from assay_sdk import Identifiers, Identify
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that miss everything: the danger that remains once they miss something."""
    for module in (understanding, importing):
        monkeypatch.setattr(module, "find_fault", lambda *_, **__: None)


def named(world: Any, number: int, name: str, minutes: Any) -> Any:
    return world.normalised(Identify(Identifiers(user_id=f"u{number}"), {"name": name}, minutes(number)))


def apply_each(world: Any, records: list[Any]) -> service.Outcome:
    with tenant_session(world.tenant_id) as session:
        return service.apply_each(session, world.tenant_id, records)


@pytest.mark.parametrize("places", [{0}, {36}, {5, 6}, {7, 8}, {0, 1}, {0, 17, 18, 36}, {*range(36)}], ids=str)
def test_the_others_of_its_batch_are_kept(world: Any, minutes: Any, places: set[int]) -> None:
    records = [named(world, n, "\0" if n in places else "Ada", minutes) for n in range(37)]
    outcome = apply_each(world, records)
    assert [records.index(record) for record, _ in outcome.refused] == sorted(places)
    assert all("could not be kept" in reason for _, reason in outcome.refused)
    assert len(world.people()) == len(outcome.changed) == 37 - len(places)


def test_what_the_database_refuses_never_blocks_what_waits_behind_it(world: Any, minutes: Any) -> None:
    outcome = apply_each(world, [named(world, n, "\0", minutes) for n in range(4)])
    assert (len(outcome.refused), outcome.changed) == (4, set())


def test_for_a_mistake_of_ours_the_records_are_not_blamed(
    world: Any, minutes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(*_: Any, **__: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(service, "gather", mistake)
    with pytest.raises(RuntimeError, match="ours"):
        apply_each(world, [named(world, n, "Ada", minutes) for n in range(4)])


def test_the_log_tells_the_reason_and_not_the_lead(
    world: Any, minutes: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    apply_each(world, [named(world, 0, "Ada Secretive \0", minutes)])
    logged = "".join(capsys.readouterr())
    assert "record_refused" in logged
    assert "Secretive" not in logged


def test_a_message_leaves_a_dead_letter_beside_its_neighbours(
    client: FlaskClient, tenant: SignedUp, unchecked: None, work_off: Callable[[int], int]
) -> None:
    batch = [{"type": "identify", "userId": f"u{n}", "traits": {"name": "\0" if n == 2 else "Ada"}} for n in range(5)]
    answer = client.post("/v1/batch", json={"batch": batch}, auth=(tenant.write_key, ""))
    assert answer.status_code == 200
    work_off(tenant.tenant_id)
    (letter,) = list_dead_letters(tenant.tenant_id, limit=10).letters
    assert "could not be kept" in letter.reason
    assert "u2" in letter.excerpt


def test_a_row_of_a_file_is_refused_and_the_file_goes_on(world: Any, unchecked: None) -> None:
    lines = b"".join(b'{"id": %d, "name": "%s"}\n' % row for row in ((1, b"Ada"), (2, rb"\u0000"), (3, b"Zoe")))
    import_id = imports.start_import(world.tenant_id, kind="leads", filename="leads.jsonl", stream=io.BytesIO(lines))
    while jobs.drain_imports(world.tenant_id):
        pass
    report = imports.get_import(world.tenant_id, import_id)
    assert (report.state, report.rows_read, report.rows_refused) == ("done", 3, 1)
    (row,) = imports.refused_rows(world.tenant_id, import_id, cursor=None, limit=10).items
    assert (row.row_number, "could not be kept" in row.reason) == (2, True)
