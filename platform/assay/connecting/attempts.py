"""On the way to a vendor's consent page and back: who began what, known by a state that is good once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, insert, select

from assay.connecting.errors import ReturnUnknown
from assay.connecting.models import PURPOSE, ConnectAttempt
from assay_tenants import sealing, secrets
from assay_tenants.database import tenant_session, timetable_session

STATE_PREFIX: Final = "cs"
LIFETIME: Final = timedelta(minutes=15)

_NOT_YOURS = (
    "This return from {title} belongs to nothing that you have begun here, or it was used already. Nothing was "
    "changed: begin again on the page of connections."
)
_ELSEWHERE = (
    "You began this in another company's account. Nothing was changed: go to that company at the top of the page, and "
    "connect again."
)
_LATE = (
    "You were away for more than 15 minutes, so this return from {title} is no longer good. Nothing was changed: "
    "connect again."
)


@dataclass(frozen=True)
class Attempt:
    """What somebody is about to connect."""

    plugin: str
    person_id: int
    connection_id: int | None
    name: str
    settings: Mapping[str, Any]
    redirect_uri: str
    #: What was filled in as a secret.
    secrets: Mapping[str, Any] = field(repr=False)
    #: Of PKCE.
    verifier: str = field(repr=False)


def keep(tenant_id: int, state: str, attempt: Attempt) -> None:
    """Kept for 15 minutes; ``state`` is known by its hash alone."""
    now, hashed = datetime.now(UTC), secrets.digest(state)
    hidden = {"verifier": attempt.verifier, "redirect_uri": attempt.redirect_uri, "secrets": dict(attempt.secrets)}
    with tenant_session(tenant_id) as session:
        _forget(session, tenant_id, now)
        session.execute(
            insert(ConnectAttempt).values(
                tenant_id=tenant_id,
                state_hash=hashed,
                plugin=attempt.plugin,
                person_id=attempt.person_id,
                connection_id=attempt.connection_id,
                name=attempt.name,
                settings=dict(attempt.settings),
                sealed=sealing.seal(tenant_id, PURPOSE, json.dumps(hidden).encode(), row=hashed),
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )


def new_state(tenant_id: int) -> str:
    """262 random bits, and whose it is."""
    return secrets.issue(STATE_PREFIX, tenant_id)


def take(tenant_id: int, person_id: int, plugin: str, state: str, *, title: str) -> Attempt:
    """What this person began; from here on it is over, whatever comes of it. Raises ReturnUnknown."""
    parsed = secrets.parse(state)
    if parsed is None or parsed.prefix != STATE_PREFIX:
        raise ReturnUnknown(_NOT_YOURS.format(title=title))
    if parsed.tenant_id != tenant_id:
        raise ReturnUnknown(_ELSEWHERE)
    with tenant_session(tenant_id) as session:
        row = session.scalars(
            delete(ConnectAttempt)
            .where(
                ConnectAttempt.tenant_id == tenant_id,
                ConnectAttempt.state_hash == parsed.hash,
                # Of another person, or come back by another vendor's address: it stays whose it is.
                ConnectAttempt.person_id == person_id,
                ConnectAttempt.plugin == plugin,
            )
            .returning(ConnectAttempt)
        ).one_or_none()
    if row is None:
        raise ReturnUnknown(_NOT_YOURS.format(title=title))
    if row.expires_at <= datetime.now(UTC):
        raise ReturnUnknown(_LATE.format(title=title))
    hidden = json.loads(sealing.unseal(tenant_id, PURPOSE, row.sealed, row=row.state_hash))
    return Attempt(
        plugin=row.plugin,
        person_id=row.person_id,
        connection_id=row.connection_id,
        name=row.name,
        settings=row.settings,
        redirect_uri=hidden["redirect_uri"],
        secrets=hidden["secrets"],
        verifier=hidden["verifier"],
    )


def prune() -> int:
    """Takes away those that nobody came back from, with what was filled in; tells how many tenants had any."""
    now = datetime.now(UTC)
    with timetable_session() as session:
        tenants = session.scalars(
            select(ConnectAttempt.tenant_id).where(ConnectAttempt.expires_at <= now).distinct()
        ).all()
    for tenant_id in tenants:
        with tenant_session(tenant_id) as session:
            _forget(session, tenant_id, now)
    return len(tenants)


def _forget(session: Any, tenant_id: int, now: datetime) -> None:
    session.execute(
        delete(ConnectAttempt).where(ConnectAttempt.tenant_id == tenant_id, ConnectAttempt.expires_at <= now)
    )
