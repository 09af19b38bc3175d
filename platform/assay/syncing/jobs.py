"""Work at connections, from what is due to what became of it. One stream's failure is never another's."""

import random
import traceback
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from assay import facts
from assay.intake.admission import Admission
from assay.settings import Settings
from assay.syncing import breakers, circuits, fetching, leases, limiter, links, pulling, subscribing
from assay.syncing.keeping import keep
from assay.syncing.leases import RESTING, Errand, LeaseLost
from assay.syncing.slots import Alone, Pool
from assay_sdk import Link, NeedsReconnect, Page, Refused, Service, Source, TryLater
from assay_tenants.context import acting_by_itself
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError

#: Of a stream that fails by itself: grows with each failure.
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
#: Of work that was refused for want of room, where it was not said for how long.
USUAL_WAIT = timedelta(minutes=1)

_SOURCE = text("SELECT source_id FROM intake.links WHERE tenant_id = :tenant_id AND connection_id = :connection_id")
_FAILURES = text("""
    SELECT failures FROM intake.streams
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND name = :name
""")

log = structlog.get_logger()

_pool: Pool | None = None


def configure(settings: Settings) -> Pool:
    """From here on this process works with threads, which others' limits and breakers are shared with."""
    global _pool
    limiter.configure(settings.redis_url)
    breakers.configure(limiter.impatient(settings.redis_url))
    pulling.configure(Admission.of(settings))
    _pool = Pool(run, has_room=lambda tenant_id: facts.tell(facts.SyncDue(tenant_id)))
    return _pool


def threads() -> Pool | None:
    """Those of this process, for others who ask vendors too; None where whoever works does it himself."""
    return _pool


def drain_links(tenant_id: int, *, alone: bool = False) -> int:
    """Hands what is due at a tenant's connections to the threads, or does one piece of it; how many there were."""
    slots = _pool or Alone()
    errands = leases.claim(tenant_id, slots)
    for errand in errands:
        if _pool is None:
            run(errand)
        else:
            _pool.start(errand)
    return len(errands)


@acting_by_itself()
def run(errand: Errand) -> None:
    """Does it, and notes what became of it. Raises nothing: what can't be noted is due again when its lease ends."""
    try:
        _try(errand)
    except LeaseLost:
        log.info("syncing.lease_lost", tenant_id=errand.tenant_id, connection_id=errand.connection_id)
    except OperationalError as error:
        log.warning("syncing.database_away", tenant_id=errand.tenant_id, error=type(error).__name__)
    except Exception:
        log.exception("syncing.failed", tenant_id=errand.tenant_id, connection_id=errand.connection_id)
        _note_trouble(errand)


def _try(errand: Errand) -> None:
    key = errand.plugin
    link: Link | None = None
    try:
        with links.opened(errand.tenant_id, errand.connection_id, before_call=lambda: leases.renew(errand)) as link:
            service = links.service_of(errand.plugin)
            key = breakers.key_of(service, link)
            wait = breakers.current().wait(key)
            if wait:
                _put_off(errand, datetime.now(UTC) + wait * random.uniform(1.0, 1.5))  # noqa: S311 # no secret
                return
            try:
                _do(errand, link, service)
            except (AssayError, LeaseLost, NeedsReconnect, Refused, TryLater, SQLAlchemyError):
                raise
            except Exception as error:  # noqa: BLE001 # whatever a plugin does, the others go on
                _note_fault(errand, link, error)
                return
        breakers.current().succeeded(key)
    except NeedsReconnect as error:
        _note(errand, error.reason, datetime.now(UTC) + RESTING, is_counted=False)
    except TryLater as error:
        _note_outage(errand, key, error, links.renewal_of(link))
    except Refused as error:
        _note_refusal(errand, error)
    except AssayError as error:
        after: timedelta = getattr(error, "after", USUAL_WAIT)
        wait = after * random.uniform(1.0, 1.2)  # noqa: S311 # no secret
        _note(errand, error.message, datetime.now(UTC) + wait, is_counted=False)


def _do(errand: Errand, link: Link, service: Service) -> None:
    source = service.source
    if source is None:
        raise LookupError("There is nothing to bring in any more.")
    if errand.kind == "pull":
        pulling.pull(errand, link, source)
    elif errand.kind == "fetch":
        _fetch(errand, link, source)
    else:
        subscribing.care(errand, link, source)


def _fetch(errand: Errand, link: Link, source: Source) -> None:
    pulling.need_room(errand.tenant_id)
    page = source.fetch(link, errand.name, list(errand.wanted))
    if not isinstance(page, Page):
        raise TypeError("fetch() gives a Page.")
    with tenant_session(errand.tenant_id) as session:
        circuits.note_success(session, errand.tenant_id, errand.connection_id)
        source_id = session.execute(_SOURCE, errand.mine).scalar_one_or_none()
        if source_id is None:
            raise LeaseLost
        if not fetching.finish(
            session, errand.tenant_id, errand.connection_id, errand.name, errand.wanted, errand.leased_until
        ):
            raise LeaseLost
        keep(session, errand.tenant_id, source_id, f"fetch/{errand.name}", page.bodies)
    # There may be more of them.
    facts.tell(facts.SyncDue(errand.tenant_id))


def _put_off(errand: Errand, due_at: datetime) -> None:
    with tenant_session(errand.tenant_id) as session:
        _leave_probe(session, errand)
        leases.give_back(session, errand, due_at)


def _note(errand: Errand, reason: str, due_at: datetime, *, is_counted: bool = True) -> None:
    with tenant_session(errand.tenant_id) as session:
        if not is_counted:
            _leave_probe(session, errand)
        leases.note_failure(session, errand, reason, due_at, most=fetching.TRIES, is_counted=is_counted)


def _leave_probe(session: Session, errand: Errand) -> None:
    """The vendor was not asked: should that be what all others wait for, another one tries."""
    if errand.probe is not None:
        circuits.not_tried(session, errand.tenant_id, errand.connection_id, errand.probe)


def _note_trouble(errand: Errand) -> None:
    """Something of ours is at fault: it is shown, and tried ever more rarely, as any other failure is."""
    try:
        _note(errand, "Something went wrong on our side; it is tried again.", _next_try(errand))
    except SQLAlchemyError as error:
        log.warning("syncing.not_noted", tenant_id=errand.tenant_id, error=type(error).__name__)


def _note_outage(errand: Errand, key: str, error: TryLater, renewal: int) -> None:
    """The vendor is at fault, or busy: all that its connection does waits."""
    if not error.overloaded:
        breakers.current().failed(key, errand.tenant_id, errand.connection_id)
    with tenant_session(errand.tenant_id) as session:
        until = circuits.note_failure(
            session, errand.tenant_id, errand.connection_id, error, probe=errand.probe, renewal=renewal
        )
        if error.overloaded:
            leases.give_back(session, errand, until)
            return
        leases.note_failure(session, errand, error.reason, until, most=fetching.TRIES_OF_FAILING)


def _note_refusal(errand: Errand, error: Refused) -> None:
    """The vendor answers, and won't: of this stream or record alone."""
    if error.status is not None:
        circuits.succeeded(errand.tenant_id, errand.connection_id)
    _note(errand, error.reason, _next_try(errand))


def _note_fault(errand: Errand, link: Link, error: Exception) -> None:
    """The plugin is at fault. Its error's text may hold anything: it is for the log, which masks what it knows."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    link.log.error("plugin.failed", kind=errand.kind, name=errand.name, error=error, place=place)
    what = {"pull": f"reading {errand.name}", "fetch": f"fetching {errand.name}", "care": "subscribing"}[errand.kind]
    reason = f"The plugin {errand.plugin} failed at {what}: {type(error).__name__} ({place}). Others go on."
    _note(errand, reason, _next_try(errand))


def _next_try(errand: Errand) -> datetime:
    with tenant_session(errand.tenant_id) as session:
        failures = session.execute(_FAILURES, errand.mine).scalar_one_or_none() or 0
    wait: timedelta = min(FIRST_WAIT * 2 ** min(failures, 10), LONGEST_WAIT)
    return datetime.now(UTC) + wait * random.uniform(0.8, 1.2)  # noqa: S311 # no secret
