"""That vendors post to us: seen to after connecting, then hourly; and what their notices taught us is confirmed."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from assay.syncing import circuits
from assay.syncing.leases import Errand
from assay.syncing.links import HOOK_TOKEN, hook_url
from assay.syncing.models import LEARNED
from assay_sdk import Link, Refused, Source
from assay_tenants import sealing
from assay_tenants.database import tenant_session

EVERY = timedelta(hours=1)
JITTER = 0.1

_LEARNED = text("SELECT learned FROM intake.links WHERE tenant_id = :tenant_id AND connection_id = :connection_id")
_DONE = text("""
    UPDATE intake.links
       SET subscribed_at = :now, subscribe_error = :error, leased_until = NULL,
           learned = CASE WHEN learned = :learned THEN NULL ELSE learned END,
           due_at = CASE WHEN learned IS NULL OR learned = :learned THEN :due_at ELSE :now END
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND leased_until = :mine
""")


def care(errand: Errand, link: Link, source: Source) -> None:
    """Raises what the plugin raises."""
    with tenant_session(errand.tenant_id) as session:
        learned = session.execute(_LEARNED, errand.mine).scalar_one_or_none()
    error = ""
    if learned is not None:
        try:
            source.confirm(link, _opened(errand, learned))
        except Refused as refused:
            # Somebody told us what is not true: it is forgotten.
            link.log.warning("notice.not_confirmed", error=refused)
    if source.has_hooks:
        token = "" if source.shared_address else str(link.secrets.get(HOOK_TOKEN, ""))
        source.subscribe(link, hook_url(errand.plugin, token))
    now = datetime.now(UTC)
    with tenant_session(errand.tenant_id) as session:
        session.execute(
            _DONE,
            {
                **errand.mine,
                "now": now,
                "error": error,
                "learned": learned,
                "due_at": now + EVERY * random.uniform(1 - JITTER, 1 + JITTER),  # noqa: S311 # no secret
            },
        )
        circuits.note_success(session, errand.tenant_id, errand.connection_id)


def sealed(tenant_id: int, connection_id: int, learned: dict[str, str]) -> bytes:
    return sealing.seal(tenant_id, LEARNED, json.dumps(learned, sort_keys=True).encode(), row=connection_id)


def _opened(errand: Errand, learned: bytes) -> dict[str, str]:
    opened: dict[str, Any] = json.loads(sealing.unseal(errand.tenant_id, LEARNED, learned, row=errand.connection_id))
    return {name: str(value) for name, value in opened.items()}
