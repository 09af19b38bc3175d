"""Plans as somebody pays for them: the installed provider is asked, heard and told. Without one, owners choose freely
among the plans that are offered."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from assay import plugins
from assay_sdk import Account, Billing, Refused, UsageReport
from assay_tenants import plans
from assay_tenants.context import Actor, acting
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError, BadInput, NotFound
from assay_tenants.models import Membership, Tenant
from assay_tenants.plans.metering import note_report
from assay_tenants.plans.models import Usage

REPORT_EVERY = timedelta(days=1)
# A month is reported once more after its end, and then no longer.
MONTHS_REPORTED = 2
# What was begun before a month's end counts in it, and is committed later.
AFTERMATH = timedelta(hours=1)

log = structlog.get_logger()


class ProviderAway(AssayError):
    status = 503
    code = "billing_away"

    def __init__(self) -> None:
        super().__init__("The provider of payments does not answer at this moment. Nothing was changed; try again.")


class NoticeRefused(AssayError):
    status = 401
    code = "notice_refused"


def choose(tenant_id: int, plan: str, *, email: str) -> str | None:
    """Puts the tenant on a plan that is offered; gives the provider's page where it has to be paid for first."""
    wanted = plans.find_plan(plan)
    provider = plugins.installed().billing
    if provider is None or wanted is None or not wanted.offered:
        plans.change_plan(tenant_id, plan, chosen_by_owner=True)
        return None
    try:
        address = provider.address_for(_account(tenant_id, email), plan)
    except Exception as error:  # whatever a partner's plugin does, the page has to answer
        log.exception("billing.failed", provider=provider.name, tenant_id=tenant_id)
        raise ProviderAway from error
    if urlsplit(address).scheme != "https":
        log.error("billing.wrong_address", provider=provider.name, tenant_id=tenant_id)
        raise ProviderAway
    return address


def hear(headers: Mapping[str, str], body: bytes) -> int:
    """Applies what the provider says; tells how many plans it was about. Raises NotFound without a provider."""
    provider = plugins.installed().billing
    if provider is None:
        raise NotFound("provider of payments")
    try:
        changes = provider.read_notice({name.lower(): value for name, value in headers.items()}, body)
    except Refused as refused:
        raise NoticeRefused(str(refused)) from refused
    with acting(Actor("system", provider.name, f"Billing by {provider.name}")):
        for change in changes:
            if not _exists(change.tenant_id):
                raise BadInput(f"There is no tenant {change.tenant_id}.", field="tenant_id")
            plans.change_plan(change.tenant_id, change.plan, renews_trial=False)
    return len(changes)


def report(tenant_id: int, at: datetime) -> int:
    """Tells the provider what was used, where it was not told for a day; how many months it was told of."""
    provider = plugins.installed().billing
    if provider is None:
        return 0
    with tenant_session(tenant_id) as session:
        rows = session.scalars(
            select(Usage).where(Usage.tenant_id == tenant_id).order_by(Usage.month.desc()).limit(MONTHS_REPORTED)
        ).all()
        due = [row for row in rows if _is_due(row, at)]
        account = _account_in(session, tenant_id, None) if due else None
    for row in due:
        if account is None or not _send(provider, account, row, at):
            return 0
        with tenant_session(tenant_id) as session:
            note_report(session, tenant_id, row.month, at)
    return len(due)


def _is_due(row: Usage, at: datetime) -> bool:
    if row.reported_at is None:
        return True
    end = (row.month.replace(day=28) + timedelta(days=4)).replace(day=1)
    final_at = datetime(end.year, end.month, end.day, tzinfo=UTC) + AFTERMATH
    return row.reported_at < final_at and (at - row.reported_at >= REPORT_EVERY or at >= final_at)


def _send(provider: Billing, account: Account, row: Usage, at: datetime) -> bool:
    id_ = f"{account.tenant_id}-{row.month:%Y-%m}-{at:%Y%m%d}"
    try:
        provider.report(UsageReport(id_, account, row.month, row.events, row.leads, at))
    except Exception:  # it is sent again in the next round
        log.exception("billing.not_reported", provider=provider.name, tenant_id=account.tenant_id)
        return False
    return True


def _account(tenant_id: int, email: str | None) -> Account:
    with tenant_session(tenant_id) as session:
        return _account_in(session, tenant_id, email)


def _account_in(session: Session, tenant_id: int, email: str | None) -> Account:
    tenant = session.execute(select(Tenant.name, Tenant.plan).where(Tenant.id == tenant_id)).one()
    if email is None:
        email = session.scalars(
            select(Membership.email)
            .where(Membership.tenant_id == tenant_id, Membership.role == "owner")
            .order_by(Membership.created_at)
            .limit(1)
        ).one_or_none()
    return Account(tenant_id, tenant.name, tenant.plan, email or "")


def _exists(tenant_id: int) -> bool:
    with tenant_session(tenant_id) as session:
        return session.scalars(select(Tenant.id).where(Tenant.id == tenant_id)).one_or_none() is not None
