"""What the timetable does for the authorization server."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from assay_tenants.database import directory_session, tenant_session, timetable_session
from assay_tenants.oauth import signing
from assay_tenants.oauth.models import AuthorizationCode, ClientAssertion, DeviceCode, RefreshToken, TokenFamily

#: What is past stays this long, so that a late second use is still recognised as one.
KEPT = timedelta(days=1)
_BATCH = 10_000


def run() -> int:
    """Turns signing keys that were long enough in use, and deletes codes and tokens that are past; tells how many."""
    signing.rotate()
    past = datetime.now(UTC) - KEPT
    with directory_session() as session:
        rows = session.execute(delete(DeviceCode).where(DeviceCode.expires_at < past).returning(DeviceCode.client_id))
        deleted = len(rows.all())
    return deleted + sum(_prune(tenant_id, past) for tenant_id in _with_past(past))


def _with_past(past: datetime) -> list[int]:
    found: set[int] = set()
    with timetable_session() as session:
        found.update(
            session.scalars(
                select(RefreshToken.tenant_id).where(RefreshToken.expires_at < past).distinct().limit(_BATCH)
            )
        )
        found.update(
            session.scalars(
                select(AuthorizationCode.tenant_id).where(AuthorizationCode.expires_at < past).distinct().limit(_BATCH)
            )
        )
        found.update(
            session.scalars(select(TokenFamily.tenant_id).where(TokenFamily.ends_at < past).distinct().limit(_BATCH))
        )
        found.update(
            session.scalars(
                select(ClientAssertion.tenant_id).where(ClientAssertion.expires_at < past).distinct().limit(_BATCH)
            )
        )
    return sorted(found)


def _prune(tenant_id: int, past: datetime) -> int:
    with tenant_session(tenant_id) as session:
        deleted = 0
        for statement in (
            delete(AuthorizationCode)
            .where(AuthorizationCode.tenant_id == tenant_id, AuthorizationCode.expires_at < past)
            .returning(AuthorizationCode.tenant_id),
            # Used ones stay until they could not be used anyway: a second use of one is still recognised.
            delete(RefreshToken)
            .where(RefreshToken.tenant_id == tenant_id, RefreshToken.expires_at < past)
            .returning(RefreshToken.tenant_id),
            delete(TokenFamily)
            .where(TokenFamily.tenant_id == tenant_id, TokenFamily.ends_at < past)
            .returning(TokenFamily.tenant_id),
            delete(ClientAssertion)
            .where(ClientAssertion.tenant_id == tenant_id, ClientAssertion.expires_at < past)
            .returning(ClientAssertion.tenant_id),
        ):
            deleted += len(session.execute(statement).all())
    return deleted
