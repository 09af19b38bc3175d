"""An upgrade that tells companies by their domains finds people and companies of before it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from assay.profiles import unfolding
from assay_sdk import Company, Event, Identifiers, Identify
from assay_tenants.database import tenant_session

# As the migration leaves what the version before has written.
BEFORE = """
UPDATE profiles.leads l SET company_id = (
    SELECT min(i.company_id) FROM profiles.identities i WHERE i.tenant_id = :t AND i.lead_id = l.id
) WHERE l.tenant_id = :t;
DELETE FROM profiles.companies WHERE tenant_id = :t AND key LIKE 'domain:%';
UPDATE profiles.companies SET domain = NULL, home_id = NULL, search_key = '' WHERE tenant_id = :t;
INSERT INTO profiles.unfolded (tenant_id, kind, id)
SELECT :t, 'company', id FROM profiles.companies WHERE tenant_id = :t;
INSERT INTO profiles.unfolded (tenant_id, kind, id)
SELECT :t, 'lead', id FROM profiles.leads WHERE tenant_id = :t AND company_id IS NULL;
DELETE FROM scoring.due WHERE tenant_id = :t;
"""


@pytest.fixture
def grown(world: Any, minutes: Callable[[int], datetime]) -> Any:
    def user(name: str, email: str | None = None) -> Identifiers:
        return Identifiers(user_id=name, email=email)

    world.apply(
        Identify(user("u1", "ann@acme.test"), {}, minutes(0)),
        Company(user("u2"), "51", {"website": "www.acme.test", "employees": 40}, minutes(1)),
        Company(user("u3"), "52", {"domain": "acme.test", "name": "Acme"}, minutes(1)),
        Company(user("u4"), "53", {"name": "Alone"}, minutes(1)),
        Event(Identifiers(anonymous_id="d1"), "page.viewed", {}, minutes(1), "m1"),
    )
    return world


@pytest.mark.parametrize("most", [1, 1000])
def test_they_come_out_as_if_they_came_after_it(grown: Any, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(unfolding, "COMPANIES", most)
    monkeypatch.setattr(unfolding, "LEADS", most)
    wanted = grown.state(), grown.companies()
    with tenant_session(grown.tenant_id) as session:
        for statement in BEFORE.split(";\n"):
            if statement.strip():
                session.execute(text(statement), {"t": grown.tenant_id})
    assert (grown.state(), grown.companies()) != wanted
    while unfolding.drain_unfolded(grown.tenant_id):
        pass
    assert (grown.state(), grown.companies()) == wanted
    due = {row.lead_id for row in grown.rows("SELECT lead_id FROM scoring.due WHERE tenant_id = :t")}
    ids = grown.lead_ids()
    assert {ids["u1"], ids["u2"], ids["u3"]} <= due
    assert ids["d1"] not in due
