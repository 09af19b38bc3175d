"""Who is billed for what: a provider of payments, as Assay asks it and hears from it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class Account:
    """A tenant, as somebody who pays."""

    tenant_id: int
    company: str
    #: The name of its present plan, as in the installation's catalogue.
    plan: str
    #: Of the owner who asks, or of the first one.
    email: str


@dataclass(frozen=True)
class UsageReport:
    """What a tenant used of a month so far, in all: a later report takes the place of an earlier one."""

    #: The same when the same report is sent again.
    id: str
    account: Account
    #: The month's first day, in UTC.
    month: date
    #: Kept in this month, each counted once.
    events: int
    #: As last counted.
    leads: int
    at: datetime


@dataclass(frozen=True)
class PlanChange:
    """The provider says that a tenant has another plan from now on."""

    tenant_id: int
    plan: str


class Billing(ABC):
    """A provider of payments. At most one is installed."""

    #: Lower-case letters, digits and dashes; unique among installed plugins.
    name: str

    @abstractmethod
    def address_for(self, account: Account, plan: str) -> str:
        """The https page at which the owner pays for ``plan``; whatever it raises is shown as "try again later"."""

    @abstractmethod
    def read_notice(self, headers: Mapping[str, str], body: bytes) -> Sequence[PlanChange]:
        """What a request to ``/hooks/billing`` says; header names are in lower case, the body as it came.

        Verify the signature first, in constant time. Raise Refused for anything that is not the provider's own. The
        same notice may come twice.
        """

    @abstractmethod
    def report(self, usage: UsageReport) -> None:
        """Takes one report; each is sent once a day and again after whatever this raises."""
