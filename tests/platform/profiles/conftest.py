"""Records applied as the stage applies them, and what they amount to without any number we drew ourselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from assay.normalise import Normalised, event_id
from assay.profiles import service
from assay_sdk import CoreRecord, Event
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)

#: A lead's identifiers, and all that is known of it.
State = dict[frozenset[tuple[str, str]], dict[str, Any]]

_LEADS = """
    SELECT l.id, l.name, l.email, l.search_key, l.traits, l.first_seen_at, l.last_seen_at, c.key AS company,
        c.traits AS company_traits
    FROM profiles.leads l LEFT JOIN profiles.companies c ON c.tenant_id = :t AND c.id = l.company_id
    WHERE l.tenant_id = :t
"""
_IDENTITIES = "SELECT * FROM profiles.identities WHERE tenant_id = :t"
_EVENTS = """
    SELECT e.lead_id, e.sender_id, e.source_id, e.type, e.occurred_at, e.properties, i.kind, i.value
    FROM profiles.events e JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
    WHERE e.tenant_id = :t
"""


@dataclass(frozen=True)
class World:
    """One tenant's leads."""

    tenant_id: int

    def normalised(self, record: CoreRecord, *, source_id: int = 1, received_at: datetime = T0) -> Normalised:
        id_ = event_id(source_id, record.sender_id) if isinstance(record, Event) else None
        return Normalised(record, source_id, None, received_at, id_)

    def apply(self, *records: CoreRecord | Normalised) -> set[int]:
        batch = [each if isinstance(each, Normalised) else self.normalised(each) for each in records]
        with tenant_session(self.tenant_id) as session:
            return service.apply(session, self.tenant_id, batch)

    def rows(self, query: str) -> Sequence[Any]:
        with tenant_session(self.tenant_id) as session:
            return session.execute(text(query), {"t": self.tenant_id}).all()

    def state(self) -> State:
        leads = {row.id: row._asdict() for row in self.rows(_LEADS)}
        for lead in leads.values():
            lead.update(identities={}, events=[])
            del lead["id"]
        for row in self.rows(_IDENTITIES):
            leads[row.lead_id]["identities"][row.kind, row.value] = (
                row.traits,
                row.stated,
                row.first_seen_at,
                row.last_seen_at,
            )
        for row in self.rows(_EVENTS):
            leads[row.lead_id]["events"].append(tuple(row)[1:])
        for lead in leads.values():
            lead["events"].sort(key=lambda event: event[:2])
        return {frozenset(lead["identities"]): lead for lead in leads.values()}

    def companies(self) -> set[tuple[str, ...]]:
        """Without domains' companies that nobody belongs to."""
        rows = self.rows("""
            SELECT c.key, c.traits, c.stated, c.live, c.domain, c.search_key, h.key AS home
            FROM profiles.companies c LEFT JOIN profiles.companies h ON h.tenant_id = :t AND h.id = c.home_id
            WHERE c.tenant_id = :t AND (c.key NOT LIKE 'domain:%'
                OR EXISTS (SELECT FROM profiles.companies m WHERE m.tenant_id = :t AND m.home_id = c.id)
                OR EXISTS (SELECT FROM profiles.leads l WHERE l.tenant_id = :t AND l.company_id = c.id))
        """)
        return {(row.key, *map(str, row[1:])) for row in rows}

    def links(self) -> set[tuple[frozenset[str], datetime]]:
        rows = self.rows("""
            SELECT l.since, a.kind || a.value AS one, b.kind || b.value AS other
            FROM profiles.links l
            JOIN profiles.identities a ON a.tenant_id = :t AND a.id = l.left_id
            JOIN profiles.identities b ON b.tenant_id = :t AND b.id = l.right_id
            WHERE l.tenant_id = :t
        """)
        return {(frozenset((row.one, row.other)), row.since) for row in rows}

    def people(self) -> set[frozenset[str]]:
        """The values of each lead's identifiers."""
        return {frozenset(value for _, value in identifiers) for identifiers in self.state()}

    def lead_ids(self) -> dict[str, int]:
        """By any value of an identifier."""
        rows = self.rows("SELECT value, lead_id FROM profiles.identities WHERE tenant_id = :t")
        return {row.value: row.lead_id for row in rows}


@pytest.fixture
def make_world(make_tenant: Callable[[], SignedUp]) -> Callable[[], World]:
    return lambda: World(make_tenant().tenant_id)


@pytest.fixture
def world(make_world: Callable[[], World]) -> World:
    return make_world()


@pytest.fixture
def minutes() -> Callable[[int], datetime]:
    return lambda number: T0 + timedelta(minutes=number)
