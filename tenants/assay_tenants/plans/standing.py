"""How a tenant stands to its plan, and what that refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from assay_tenants.database import tenant_session
from assay_tenants.errors import Forbidden, NotFound
from assay_tenants.models import Tenant
from assay_tenants.plans.catalogue import Plan, plan_of
from assay_tenants.plans.metering import month_of
from assay_tenants.plans.models import Usage

#: What is counted where it is made.
Counted = Literal["models", "members"]
_WORDS: dict[Counted, tuple[str, str]] = {
    "models": ("model", "Archive one, or choose a larger plan"),
    "members": ("member", "Remove one or withdraw an invitation, or choose a larger plan"),
}


class PlanLimit(Forbidden):
    """The plan does not hold so much."""

    code = "plan_limit"


@dataclass(frozen=True)
class Standing:
    """What a plan holds and what was used, as seen at one moment."""

    plan: Plan
    #: In this month, and as last counted.
    events: int
    leads: int
    trial_ends_at: datetime | None
    at: datetime

    @property
    def trial_is_over(self) -> bool:
        return self.trial_ends_at is not None and self.trial_ends_at <= self.at

    @property
    def refuses_events(self) -> str | None:
        """Why no more events are accepted; None when they are."""
        if self.trial_is_over and self.trial_ends_at:
            return f"The trial of this account ended on {self.trial_ends_at:%d %B %Y}"
        most = self.plan.events_at_most
        if most is not None and self.events >= most:
            return f"This account has used the {most:,} events that its plan {self.plan.title} holds for a month"
        return None

    @property
    def refuses_people(self) -> str | None:
        """Why no file and no record may bring people; None when they may."""
        most = self.plan.leads_at_most
        if most is not None and self.leads >= most:
            return f"This account has {self.leads:,} leads, and its plan {self.plan.title} holds {most:,}"
        return self.refuses_events


def standing_of(
    plan: str, trial_ends_at: datetime | None, events: int | None, leads: int | None, at: datetime
) -> Standing:
    return Standing(plan_of(plan), events or 0, leads or 0, trial_ends_at, at)


def get_standing(tenant_id: int) -> Standing:
    with tenant_session(tenant_id) as session:
        return read_standing(session, tenant_id)


def require_place(session: Session, tenant_id: int, kind: Counted, *, count: Callable[[], int]) -> None:
    """Raises PlanLimit when one more would be too many; holds others who ask until this transaction ends.

    ``count`` tells how many there are. It is asked once the others are held: two who come at once don't count the same.
    """
    if not _limits(read_standing(session, tenant_id), kind):
        return
    standing = read_standing(session, tenant_id, lock=True)
    one, instead = _WORDS[kind]
    if standing.trial_is_over:
        raise PlanLimit(f"{standing.refuses_events}: no {one} can be added. Choose a plan under Settings.")
    most, have = getattr(standing.plan, kind), count()
    if most is not None and have >= most:
        raise PlanLimit(
            f"The plan {standing.plan.title} holds {most:,} {one if most == 1 else kind}, and there are {have:,}. "
            f"{instead}."
        )


def _limits(standing: Standing, kind: Counted) -> bool:
    return standing.trial_ends_at is not None or getattr(standing.plan, kind) is not None


def require_people(session: Session, tenant_id: int) -> None:
    """Raises PlanLimit when the plan holds no more leads than there are, or nothing is accepted at all."""
    refusal = read_standing(session, tenant_id).refuses_people
    if refusal:
        raise PlanLimit(f"{refusal}. Nothing was accepted. Choose a larger plan under Settings.")


def read_standing(session: Session, tenant_id: int, *, lock: bool = False) -> Standing:
    now = datetime.now(UTC)
    query = select(Tenant.plan, Tenant.trial_ends_at).where(Tenant.id == tenant_id)
    tenant = session.execute(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if tenant is None:
        raise NotFound("tenant")
    month = month_of(now)
    used = session.execute(
        select(Usage.month, Usage.events, Usage.leads)
        .where(Usage.tenant_id == tenant_id, Usage.month <= month)
        .order_by(Usage.month.desc())
        .limit(1)
    ).one_or_none()
    # Leads stay when a month begins.
    events, leads = (used.events if used.month == month else 0, used.leads) if used else (0, 0)
    return standing_of(tenant.plan, tenant.trial_ends_at, events, leads, now)
