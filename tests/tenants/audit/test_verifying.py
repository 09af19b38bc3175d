"""A log that was tampered with tells so, by somebody stronger than the application too."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_tenants import audit
from assay_tenants.audit import verifying
from assay_tenants.audit.sealing import NOTHING, Sealed, seal
from assay_tenants.audit.verifying import check
from assay_tenants.database import tenant_session


@pytest.fixture
def log(tenant) -> int:
    """A tenant whose log holds some entries, the odd value among them."""
    with tenant_session(tenant.tenant_id) as session:
        for number in range(12):
            values = {"Grüße": [number, 1e22, None, True], "\u2028": "\x1f", "far": 1e300}
            audit.record(session, tenant.tenant_id, "model.created", f"Ünï {number}", after=values)
    return int(tenant.tenant_id)


@pytest.fixture
def tamper(servers) -> Callable[[str, int], None]:
    def do(statement: str, tenant_id: int) -> None:
        with psycopg.connect(servers.places.postgres_url("postgres")) as superuser:
            superuser.execute(statement, {"t": tenant_id})

    return do


def test_a_whole_log_is_whole_in_steps_too(log: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = check(log)
    assert whole.broken_at is None
    assert whole.entries >= 12
    monkeypatch.setattr(verifying, "STEP", 5)
    assert check(log) == whole


def test_goes_on_from_what_was_kept_elsewhere(log: int) -> None:
    kept = check(log)
    with tenant_session(log) as session:
        audit.record(session, log, "model.created")
    assert check(log, since=kept.entries, sealed_to=kept.hash).entries == kept.entries + 1
    assert check(log, since=kept.entries, sealed_to=NOTHING).broken_at == kept.entries + 1


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE tenancy.audit_log SET actor_name = 'Eve' WHERE tenant_id = %(t)s AND id = 5", id="who"),
        pytest.param("UPDATE tenancy.audit_log SET at = at + '1 second' WHERE tenant_id = %(t)s AND id = 5", id="when"),
        pytest.param("UPDATE tenancy.audit_log SET after = '{}' WHERE tenant_id = %(t)s AND id = 5", id="what"),
        pytest.param("UPDATE tenancy.audit_log SET after = NULL WHERE tenant_id = %(t)s AND id = 5", id="nothing"),
        pytest.param("DELETE FROM tenancy.audit_log WHERE tenant_id = %(t)s AND id = 5", id="gone"),
    ],
)
def test_tells_which_entry_is_not_what_was_written(log: int, tamper, statement: str) -> None:
    tamper(statement, log)
    assert check(log).broken_at == 5


@given(st.lists(st.text(max_size=20), min_size=8, max_size=8), st.integers(0, 7), st.text(min_size=1, max_size=5))
def test_no_letter_can_move_from_one_word_to_the_next(words: list[str], place: int, more: str) -> None:
    kind, *rest = words
    one = Sealed(1, 1, datetime.now(UTC), kind, *rest, None, None)
    other = one._replace(**{Sealed._fields[3 + place]: words[place] + more})
    assert seal(one, NOTHING) != seal(other, NOTHING)
    assert seal(one, b"\1" * 32) != seal(one, NOTHING)
