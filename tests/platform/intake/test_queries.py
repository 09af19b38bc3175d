from datetime import UTC, datetime

from assay.intake.ids import message_id
from assay.intake.queries import find_message
from assay.intake.writer import Received, Writer
from assay_tenants.access.service import SignedUp


def test_found_by_its_tenant_alone(tenant: SignedUp, neighbour: SignedUp) -> None:
    now = datetime.now(UTC)
    received = Received(tenant.tenant_id, 1, message_id(now), now, "track", b"{}")
    Writer().keep(received)
    found = find_message(tenant.tenant_id, received.id)
    assert found is not None
    assert (found.body, found.received_at) == (b"{}", now)
    assert find_message(neighbour.tenant_id, received.id) is None
    assert find_message(tenant.tenant_id, message_id(now)) is None
