"""Whether a message is let in, before it is kept: what was accepted is never dropped, so too much is refused in time.

A tenant has a rate and a backlog of its own, which are its own fault (429). The machine has a disk and a queue, which
are ours (503). Both say how long to wait.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address

from assay import roles
from assay.intake.calls import MAX_ITEMS
from assay.intake.errors import Backlog, NoRoom, PlanUsedUp, TooFast
from assay.intake.pace import LEASE, Lender, Pace, Rate, Visitors
from assay.intake.refusals import Refusals
from assay.intake.room import Limits, Room, Sight
from assay.places import Places
from assay.settings import Settings
from assay_tenants.errors import AssayError

LONGEST_WAIT = 300
# Queues are drained in seconds, disks by people.
BACKLOG_WAIT = timedelta(seconds=30)
ROOM_WAIT = timedelta(seconds=60)
# Somebody has to decide.
PLAN_WAIT = timedelta(seconds=LONGEST_WAIT)
VISITORS_BURST = timedelta(seconds=10)
# Seconds' worth of requests that may come at once; one of them is kept back for leases.
REQUESTS_BURST = 3

_MB = 1024**2
_GB = 1024**3


class TooManyRequests(AssayError):
    """More requests to the API than the account's plan holds."""

    status = 429
    code = "too_many_requests"

    def __init__(self, per_second: int, plan: str, *, after: timedelta) -> None:
        self.after = after
        super().__init__(
            f"The plan {plan} holds {per_second:,} requests a second. Nothing was done; ask again in "
            f"{after.total_seconds():.0f} seconds."
        )


class Admission:
    """Of one process; its limits are those of all processes together."""

    def __init__(
        self, rates: "Rates", pace: Pace, visitors: Visitors | None, room: Room, refusals: Refusals, requests: Pace
    ) -> None:
        self.rates = rates
        self.pace = pace
        self.visitors = visitors
        self.room = room
        self.refusals = refusals
        self.requests = requests

    @classmethod
    def of(cls, settings: Settings) -> "Admission":
        refusals = Refusals(settings.redis_url)
        visitor = settings.visitor_events_per_second
        visitors = Visitors(Rate(visitor, int(visitor * VISITORS_BURST.total_seconds()))) if visitor else None
        return cls(
            Rates(settings.tenant_events_per_second, settings.tenant_burst_seconds),
            Pace(Lender(settings.redis_url)),
            visitors,
            Room(limits_of(settings), also=refusals.write),
            refusals,
            Pace(Lender(settings.redis_url, name="requests")),
        )

    def admit(self, tenant_id: int, items: int, size: int, *, people: bool = False) -> None:
        """Raises TooFast or PlanUsedUp when the tenant sends more than it may, NoRoom when we can take no more at all.

        ``items`` are records, ``size`` is in bytes; ``people`` are records that each make or change a lead. Who is
        let in is counted, whatever becomes of the message.
        """
        sight = self.room.seen()
        reason = self.room.reason(sight, size)
        if reason is not None:
            self.refusals.add(tenant_id, NoRoom.code)
            raise NoRoom(reason, after=ROOM_WAIT)
        most = self.room.limits.backlog_of_one
        if most and sight.waiting.get(tenant_id, 0) >= most:
            self.refusals.add(tenant_id, Backlog.code)
            raise Backlog(most, after=BACKLOG_WAIT)
        self._need_plan(tenant_id, sight, people)
        rate = self.rates.of(tenant_id, sight.rates)
        if rate is None:
            return
        wait = self.pace.take(tenant_id, max(items, 1), rate)
        if wait > 0:
            self.refusals.add(tenant_id, TooFast.code)
            raise TooFast(_limit(rate), after=_whole(wait))

    def need_room(self, tenant_id: int, size: int) -> None:
        """Of a file: raises NoRoom when so many bytes more are too many. Files do not wait among the messages."""
        reason = self.room.scarcity(self.room.seen(), size)
        if reason is not None:
            self.refusals.add(tenant_id, NoRoom.code)
            raise NoRoom(reason, after=ROOM_WAIT)

    def _need_plan(self, tenant_id: int, sight: Sight, people: bool) -> None:
        plan = sight.plans.get(tenant_id)
        if plan is None:
            return
        used_up = plan.refuses_people if people else plan.refuses_events
        if used_up:
            self.refusals.add(tenant_id, PlanUsedUp.code)
            raise PlanUsedUp(used_up, after=PLAN_WAIT)

    def admit_request(self, tenant_id: int) -> None:
        """Raises TooManyRequests when the tenant asks the API more often than its plan holds."""
        standing = self.room.seen().plans.get(tenant_id)
        per_second = standing.plan.requests_per_second if standing else None
        if standing is None or per_second is None:
            return
        wait = self.requests.take(tenant_id, 1, Rate(per_second, REQUESTS_BURST * per_second)) if per_second else 60.0
        if wait > 0:
            self.refusals.add(tenant_id, TooManyRequests.code)
            raise TooManyRequests(per_second, standing.plan.title, after=_whole(wait))

    def standing(self, tenant_id: int) -> "Standing":
        """The limits of a tenant, and how often it was refused."""
        sight = self.room.seen()
        rate = self.rates.of(tenant_id, sight.rates)
        return Standing(
            events_per_second=rate.per_second if rate else None,
            at_once=rate.burst if rate else None,
            messages_waiting=sight.waiting.get(tenant_id, 0),
            messages_waiting_at_most=self.room.limits.backlog_of_one or None,
            refused_today=self.refusals.of(tenant_id),
            refused_in_a_week=self.refusals.of(tenant_id, days=7),
        )

    def admit_visitor(self, tenant_id: int, key_id: int, address: str, items: int) -> None:
        """Raises TooFast when one visitor of a page sends more than one may with the page's public key."""
        if self.visitors is None:
            return
        wait = self.visitors.take((tenant_id, key_id, network(address)), max(items, 1))
        if wait > 0:
            self.refusals.add(tenant_id, TooFast.code)
            raise TooFast("One visitor may not send so many events", after=_whole(wait))


@dataclass(frozen=True)
class Standing:
    """None for no limit; refusals by their codes."""

    events_per_second: int | None
    at_once: int | None
    messages_waiting: int
    messages_waiting_at_most: int | None
    refused_today: dict[str, int]
    refused_in_a_week: dict[str, int]


class Rates:
    """What each tenant may send."""

    def __init__(self, per_second: int, burst_seconds: int) -> None:
        self._per_second = per_second
        self._burst_seconds = burst_seconds

    def of(self, tenant_id: int, own: Mapping[int, int]) -> Rate | None:
        """None for no limit."""
        per_second = own.get(tenant_id, self._per_second)
        if not per_second:
            return None
        # The largest batch must fit, beside what is kept back for leases.
        least = MAX_ITEMS + math.ceil(per_second * LEASE.total_seconds())
        return Rate(per_second, max(per_second * self._burst_seconds, least))


def limits_of(settings: Settings) -> Limits:
    is_embedded = settings.database_url == Places(settings.data_dir).postgres_url(roles.APPLICATION)
    return Limits(
        folder=settings.data_dir if is_embedded else None,
        free=settings.disk_free_mb * _MB,
        database=settings.database_max_gb * _GB,
        backlog=settings.backlog,
        backlog_of_one=settings.tenant_backlog,
    )


def network(address: str) -> str:
    """Whom an address stands for: a household has a whole network of the newer kind."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or parsed.packed[:8].hex())
    return str(parsed)


def _limit(rate: Rate) -> str:
    return f"This account may send {rate.per_second:,} events a second, and {rate.burst:,} at once"


def _whole(seconds: float) -> timedelta:
    return timedelta(seconds=min(max(math.ceil(seconds), 1), LONGEST_WAIT))
