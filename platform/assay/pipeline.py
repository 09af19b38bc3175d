"""Which fact wakes which stage: the product on one screen.

Rows in PostgreSQL are the truth and RQ jobs are nudges: a nudge says «tenant 42 has work for normalise», at most one
waits per tenant and stage, and the stage drains its table in batches. Losing a nudge costs at most one sweep's time.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from time import monotonic

import structlog
from redis import Redis, RedisError
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import text
from sqlalchemy.orm import Session

from assay import facts
from assay.delivery import outbox
from assay.intake import partitions
from assay.profiles import dropping
from assay.profiles.service import on_leads_changed
from assay.scoring.due import mark_due
from assay.scoring.news import on_scores_changed
from assay.syncing.circuits import on_going_on
from assay_tenants.context import acting_by_itself
from assay_tenants.database import tenant_session, timetable_session

log = structlog.get_logger()

TURN = timedelta(seconds=0.2)
LONGEST_TURN = timedelta(seconds=30)
# Who came within this time is expected again.
LATELY = timedelta(seconds=10)
# Should Redis lose the job but keep its mark, a sweep nudges again after this.
MARK_LIFETIME = timedelta(seconds=20)
JOB_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True)
class Stage:
    name: str
    queue: str
    #: ``module:function``: takes a tenant, works off one batch in one transaction, tells how many rows it took. Unless
    #: the stage is wide it is also told whether the tenant is ``alone``: then a batch may be longer.
    drain: str
    #: Takes an instant, gives the tenants with rows waiting then: one column, through the timetable's door.
    waiting: str
    turn: timedelta = TURN
    #: Several workers may be at it for one tenant.
    wide: bool = False


NORMALISE = Stage(
    name="normalise",
    queue="intake",
    drain="assay.profiles.jobs:drain_messages",
    waiting="SELECT DISTINCT tenant_id FROM intake.waiting WHERE received_at < :at - interval '1 second'",
)
IMPORT = Stage(
    name="import",
    queue="intake",
    drain="assay.profiles.jobs:drain_imports",
    waiting="SELECT DISTINCT tenant_id FROM intake.imports "
    "WHERE state IN ('waiting', 'looking', 'checking', 'undoing')",
)
REFOLD = Stage(
    name="refold",
    queue="intake",
    drain="assay.profiles.unfolding:drain_unfolded",
    waiting="SELECT DISTINCT tenant_id FROM profiles.unfolded",
)
SCORE = Stage(
    name="score",
    queue="scoring",
    drain="assay.scoring.jobs:drain_due",
    waiting="SELECT DISTINCT tenant_id FROM scoring.due WHERE due_at <= :at",
)

RESCORE = Stage(
    name="rescore",
    queue="scoring",
    drain="assay.scoring.rescore_jobs:drain_rescores",
    waiting="SELECT DISTINCT tenant_id FROM scoring.rescore_ranges WHERE open",
    # Whoever waits for a single score should not notice that all the others are done anew.
    turn=timedelta(seconds=0.5),
    wide=True,
)

STUDY = Stage(
    name="study",
    queue="scoring",
    drain="assay.scoring.studies.service:drain_studies",
    waiting="SELECT DISTINCT tenant_id FROM scoring.studies WHERE state = 'running'",
    turn=timedelta(seconds=0.5),
    wide=True,
)

RETAIN = Stage(
    name="retain",
    queue="scoring",
    drain="assay.profiles.moving:drain_moves",
    waiting="SELECT DISTINCT tenant_id FROM intake.retention_moves WHERE due_at <= :at",
)

LETTERS = Stage(
    name="letters",
    queue="intake",
    drain="assay.normalise.replaying:drain_rounds",
    waiting="SELECT DISTINCT tenant_id FROM intake.letter_rounds WHERE state IN ('running', 'reading')",
)

ERASE = Stage(
    name="erase",
    queue="scoring",
    drain="assay.privacy.jobs:drain_erasures",
    waiting="SELECT DISTINCT tenant_id FROM profiles.erasures WHERE due_at <= :at",
)

SYNC = Stage(
    name="sync",
    queue="sync",
    drain="assay.syncing.jobs:drain_links",
    # What is under way is due when its lease ends.
    waiting="SELECT DISTINCT tenant_id FROM intake.streams WHERE due_at <= :at"
    " UNION SELECT DISTINCT tenant_id FROM intake.wanted WHERE due_at <= :at"
    " UNION SELECT DISTINCT tenant_id FROM intake.links WHERE due_at <= :at",
)

DELIVER = Stage(
    name="deliver",
    queue="sync",
    drain="assay.delivery.jobs:drain_targets",
    waiting="SELECT DISTINCT tenant_id FROM delivery.targets WHERE due_at <= :at",
    # One connection each.
    wide=True,
)

STAGES = {
    stage.name: stage
    for stage in (NORMALISE, IMPORT, REFOLD, SCORE, RESCORE, STUDY, LETTERS, RETAIN, ERASE, SYNC, DELIVER)
}
QUEUES = ("intake", "scoring", "sync")

FOLLOWS: dict[type[facts.Fact], Stage] = {
    facts.MessagesKept: NORMALISE,
    facts.ImportReceived: IMPORT,
    facts.LeadsChanged: SCORE,
    facts.RescoreStarted: RESCORE,
    facts.StudyStarted: STUDY,
    facts.LetterRoundStarted: LETTERS,
    facts.ErasureRequested: ERASE,
    facts.SyncDue: SYNC,
}

_WAITING = " UNION ALL ".join(
    f"SELECT '{stage.name}', waiting.tenant_id FROM ({stage.waiting}) waiting"  # noqa: S608 # of the stages above
    for stage in STAGES.values()
)
_ATTEMPTS_OVER = text("SELECT DISTINCT tenant_id FROM tenancy.connect_attempts WHERE expires_at <= :at")
_PRUNE_ATTEMPTS = text("DELETE FROM tenancy.connect_attempts WHERE tenant_id = :tenant_id AND expires_at <= :at")


@on_leads_changed
def make_due(session: Session, tenant_id: int, lead_ids: Collection[int]) -> None:
    """Part of the transaction that changes leads: whoever sees their news sees them due."""
    mark_due(session, tenant_id, lead_ids)
    outbox.follow(session, tenant_id, lead_ids)


@on_scores_changed
def have_told(session: Session, tenant_id: int, lead_ids: Collection[int]) -> None:
    """Part of the transaction that changes scores: they go back to where people work."""
    outbox.renew(session, tenant_id, lead_ids)


@on_going_on
def send_on(session: Session, tenant_id: int, connection_id: int) -> None:
    """Part of the transaction that ends a connection's pause: its scores have waited too."""
    outbox.go_on(session, tenant_id, connection_id)


@dataclass(frozen=True)
class Every:
    every: timedelta
    job: str
    #: None: the timetable does it itself, for it costs less than a job.
    queue: str | None


TIMETABLE = [
    Every(timedelta(seconds=1), "assay.pipeline.sweep", queue=None),
    Every(timedelta(minutes=5), "assay.pipeline.make_partitions", queue="scoring"),
    Every(timedelta(minutes=10), "assay.pipeline.drop_partitions", queue="scoring"),
    Every(timedelta(minutes=10), "assay.intake.idempotency.prune", queue="intake"),
    Every(timedelta(minutes=10), "assay.connecting.attempts.prune", queue="intake"),
    Every(timedelta(hours=1), "assay_tenants.oauth.upkeep.run", queue="intake"),
    Every(timedelta(minutes=10), "assay.measuring.measure", queue="intake"),
    Every(timedelta(minutes=1), "assay_tenants.resealing.reseal", queue="intake"),
    Every(timedelta(minutes=10), "assay.pipeline.prune_attempts", queue="sync"),
]


_redis: Redis | None = None
#: When each tenant had its last turn in this process, by queue.
_served: dict[str, dict[int, float]] = {}


def connect(redis: Redis) -> None:
    """From here on this process nudges the stage that follows each fact."""
    global _redis
    _redis = redis
    facts.listen(_follow)


def _follow(fact: facts.Fact) -> None:
    nudge(FOLLOWS[type(fact)], fact.tenant_id)


def nudge(stage: Stage, tenant_id: int) -> None:
    """At most one nudge per stage and tenant waits at a time. Redis being away only delays the work to a sweep."""
    if _redis is None:
        return
    try:
        if _redis.set(_mark(stage, tenant_id), 1, nx=True, ex=MARK_LIFETIME):
            Queue(stage.queue, connection=_redis, serializer=JSONSerializer).enqueue(
                "assay.pipeline.turn",
                stage.name,
                tenant_id,
                job_timeout=int(JOB_TIMEOUT.total_seconds()),
                result_ttl=0,
                failure_ttl=int(timedelta(days=3).total_seconds()),
            )
    except RedisError as error:
        log.warning("nudge.lost", stage=stage.name, tenant_id=tenant_id, error=str(error))


def _mark(stage: Stage, tenant_id: int) -> str:
    return f"assay:nudged:{stage.name}:{tenant_id}"


@acting_by_itself()
def turn(stage_name: str, tenant_id: int) -> int:
    """One tenant's turn at one stage: batches for about a second, then others' turn; tells how many rows it took."""
    stage = STAGES[stage_name]
    if _redis is not None:
        # Before the rows are looked at: whoever adds one from here on nudges again.
        _redis.delete(_mark(stage, tenant_id))
    drain = _function(stage.drain)
    until = monotonic() + stage.turn.total_seconds()
    rows = 0
    while taken := drain(tenant_id) if stage.wide else drain(tenant_id, alone=_is_alone(stage, tenant_id)):
        if stage.wide and not rows:
            nudge(stage, tenant_id)
        rows += taken
        if monotonic() >= until and _must_yield(stage, monotonic() - until):
            nudge(stage, tenant_id)
            break
    return rows


def _must_yield(stage: Stage, over: float) -> bool:
    """Who works with others keeps in memory what the next turn needs, so it stops only for somebody who waits."""
    return not stage.wide or over > LONGEST_TURN.total_seconds() or _waits(stage)


def _is_alone(stage: Stage, tenant_id: int) -> bool:
    """Whether a long batch would keep nobody waiting: none of the others had a turn lately, or waits for one."""
    now = monotonic()
    lately = {one: at for one, at in _served.get(stage.queue, {}).items() if now - at < LATELY.total_seconds()}
    _served[stage.queue] = lately | {tenant_id: now}
    return not lately.keys() - {tenant_id} and not _waits(stage)


def _waits(stage: Stage) -> bool:
    """Whether somebody does at this stage; when that can't be told, too."""
    if _redis is None:
        return True
    try:
        return Queue(stage.queue, connection=_redis, serializer=JSONSerializer).count > 0
    except RedisError:
        return True


def _function(path: str) -> Callable[..., int]:
    module, _, name = path.partition(":")
    function: Callable[..., int] = getattr(import_module(module), name)
    return function


def sweep() -> int:
    """Nudges for all rows that wait, whatever became of their own nudge; tells how many there were.

    Scores that change by themselves are found by nobody else, so it is done every second, in one statement.
    """
    with timetable_session() as session:
        waiting = session.execute(text(_WAITING), {"at": datetime.now(UTC)}).all()
    for name, tenant_id in waiting:
        nudge(STAGES[name], tenant_id)
    return len(waiting)


def prune_attempts() -> int:
    """Forgets attempts to connect from which nobody came back in time; tells how many."""
    now = {"at": datetime.now(UTC)}
    with timetable_session() as session:
        tenants = session.scalars(_ATTEMPTS_OVER, now).all()
    pruned = 0
    for tenant_id in tenants:
        with tenant_session(tenant_id) as session:
            gone = session.execute(_PRUNE_ATTEMPTS, {"tenant_id": tenant_id, **now})
            pruned += gone.rowcount  # type: ignore[attr-defined] # a DELETE has a cursor
    return pruned


def make_partitions() -> int:
    """Keeps the partitions of the next days and weeks at hand, mends where one was missing; how many were new."""
    return partitions.make_ahead(datetime.now(UTC)) + partitions.mend()


def drop_partitions() -> int:
    """Drops the partitions in which everything is past what its tenants keep; tells how many."""
    return dropping.drop_past()
