"""What a tenant keeps, and for how long: chosen, told before it happens, and done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay.intake import partitions
from assay.intake.retention import (
    CLASSES,
    FOREVER,
    KINDS,
    PARENTS,
    WIDEST,
    Kind,
    RetentionMove,
    is_longer,
    keeping_of,
)
from assay.profiles import knowing
from assay_tenants import audit
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict
from assay_tenants.models import Tenant

# More are not counted: it is told that there are more.
MOST_COUNTED = 100_000

_NAMES: Mapping[Kind, str] = {"messages": "raw messages", "events": "events"}
_PAST = """SELECT count(*) FROM (SELECT FROM {parent} m
    WHERE m.tenant_id = :tenant_id AND m.received_at <= :edge LIMIT :most) counted"""


@dataclass(frozen=True)
class Progress:
    """Rows on their way into the class that was chosen."""

    started_at: datetime
    moved: int
    deleted: int
    finished_at: datetime | None


@dataclass(frozen=True)
class Kept:
    """``days`` is None for what is kept for ever; so is one of ``choices``, the last."""

    kind: Kind
    days: int | None
    choices: list[int | None]
    #: A partition goes as a whole: by then the last of it has gone.
    gone_after_days: int | None
    progress: Progress | None


@dataclass(frozen=True)
class Loss:
    """What a shorter time would delete of what is there now: all that was received up to ``before``."""

    kind: Kind
    days: int
    before: datetime
    count: int

    @property
    def sentence(self) -> str:
        many = f"more than {MOST_COUNTED:,}" if self.count > MOST_COUNTED else f"{self.count:,}"
        last = gone_after(self.kind, self.days)
        rescored = " Their leads are scored anew without them." if self.kind == "events" else ""
        return (
            f"Keeping {_NAMES[self.kind]} for {self.days} days deletes those received until"
            f" {self.before:%Y-%m-%d %H:%M} UTC, beginning at once: at present {many}.{rescored} From then on each goes"
            f" between {self.days} and {last} days after its receipt. This can't be undone."
        )


class NotConfirmed(Conflict):
    code = "confirmation_needed"

    def __init__(self, losses: list[Loss]) -> None:
        self.losses = losses
        super().__init__(" ".join(loss.sentence for loss in losses), field="confirm")


def gone_after(kind: Kind, days: int) -> int:
    """Days after its receipt by which a thing has gone for sure, if nobody is in the way."""
    return days + WIDEST[CLASSES[kind][days]].days


def get_retention(tenant_id: int) -> dict[Kind, Kept]:
    with tenant_session(tenant_id) as session:
        keeping = keeping_of(session, tenant_id)
        moves = {kind: session.get(RetentionMove, (tenant_id, kind)) for kind in KINDS}
    return {kind: _kept(kind, keeping.of(kind), moves[kind]) for kind in KINDS}


def _kept(kind: Kind, days: int, move: RetentionMove | None) -> Kept:
    progress = Progress(move.started_at, move.moved, move.deleted, move.finished_at) if move else None
    ends = days != FOREVER
    choices = sorted(each for each in CLASSES[kind] if each != FOREVER)
    return Kept(kind, days if ends else None, [*choices, None], gone_after(kind, days) if ends else None, progress)


def change_retention(
    tenant_id: int, choice: Mapping[Kind, int | None], *, confirmed: bool, now: datetime | None = None
) -> dict[Kind, Kept]:
    """From here on what comes is kept so; what is there follows in the background.

    Raises BadInput for a class that there is not, and NotConfirmed before anything is to be deleted: it tells what.
    """
    wanted = {kind: _days(kind, days) for kind, days in choice.items()}
    with tenant_session(tenant_id) as session:
        keeping = keeping_of(session, tenant_id)
        new = {kind: days for kind, days in wanted.items() if days != keeping.of(kind)}
        shorter = [kind for kind, days in new.items() if is_longer(keeping.of(kind), days)]
        if shorter and not confirmed:
            raise NotConfirmed([_loss(session, tenant_id, kind, new[kind], now) for kind in shorter])
    # Ahead of the first row; should somebody be in the way, rows wait in the default partition for it.
    for kind, days in new.items():
        for start in partitions.starts(CLASSES[kind][days], datetime.now(UTC), 2):
            partitions.make(PARENTS[kind], days, start)
    with tenant_session(tenant_id) as session:
        for kind, days in sorted(new.items()):
            _begin(session, tenant_id, kind, days)
        if new:
            values = {f"keep_{kind}": days for kind, days in new.items()}
            session.execute(update(Tenant).where(Tenant.id == tenant_id).values(**values))
            before = {f"{kind}_days": keeping.of(kind) or None for kind in new}
            after = {f"{kind}_days": days or None for kind, days in new.items()}
            audit.record(session, tenant_id, "retention.changed", before=before, after=after)
        if "events" in new:
            # Whoever is applying records has read the class before; nobody adds rows of it after this.
            knowing.learn(session, tenant_id)
    return get_retention(tenant_id)


def _days(kind: Kind, days: int | None) -> int:
    if days is not None and (days == FOREVER or days not in CLASSES[kind]):
        accepted = ", ".join(str(each) for each in sorted(CLASSES[kind]) if each != FOREVER)
        raise BadInput(
            f"{_NAMES[kind].capitalize()} can't be kept for {days} days. Accepted: {accepted}, or null for ever.",
            field=f"{kind}_days",
        )
    return FOREVER if days is None else days


def _loss(session: Session, tenant_id: int, kind: Kind, days: int, now: datetime | None) -> Loss:
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    count: int = session.execute(
        text(_PAST.format(parent=PARENTS[kind])),
        {"tenant_id": tenant_id, "edge": before, "most": MOST_COUNTED + 1},
    ).scalar_one()
    return Loss(kind, days, before, count)


def _begin(session: Session, tenant_id: int, kind: Kind, days: int) -> None:
    now = datetime.now(UTC)
    news = {"into_days": days, "started_at": now, "due_at": now, "moved": 0, "deleted": 0, "finished_at": None}
    statement = insert(RetentionMove).values(tenant_id=tenant_id, kind=kind, **news)
    session.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "kind"], set_=news))
