"""Takes mails where they go. Several couriers don't harm: each mail is leased to one of them at a time.

A mail counts as delivered once the server has taken it and that is written down. A courier that dies in between leaves
it to be sent again, under the same Message-ID; no mail is lost, and none is sent by halves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from assay_tenants.database import directory_session
from assay_tenants.mailing.models import Mail, MailState
from assay_tenants.mailing.post import NotNow, Undeliverable, current_post, hand_over, link_to

ROUND = timedelta(seconds=1)
#: What a courier that died had in hand is free again after this; longer than a server may take to answer.
LEASE = timedelta(minutes=2)
FIRST_PAUSE = timedelta(seconds=20)
LONGEST_PAUSE = timedelta(hours=1)
#: Nobody wants a mail that old.
GIVEN_UP_AFTER = timedelta(days=2)
KEPT = timedelta(days=14)

log = structlog.get_logger()


@dataclass(frozen=True)
class Parcel:
    tenant_id: int
    id: int
    recipient: str
    subject: str
    body: str
    created_at: datetime
    attempts: int


def rounds(wait: Callable[[float], bool], *also: Callable[[], object]) -> None:
    """Goes round until ``wait(seconds)`` says that it is over; ``also`` is done each time as well."""
    prune_at = datetime.now(UTC)
    while True:
        try:
            for step in also:
                step()
            while deliver_one():
                pass
            if datetime.now(UTC) >= prune_at:
                prune()
                prune_at = datetime.now(UTC) + timedelta(hours=1)
        except SQLAlchemyError as error:
            log.warning("mail.delayed", error=str(error))
        if wait(ROUND.total_seconds()):
            return


def deliver_one() -> bool:
    """Tries the mail that has been due longest; whether there was one."""
    parcel = _take()
    if parcel is None:
        return False
    way = current_post()
    if not way.smtp_url:
        # Logs hold no secrets, so the line leads to the page that shows the mail, where there is one.
        told = {"read_it_at": link_to("/outbox")} if way.is_private else {}
        log.info("mail.not_sent", to=parcel.recipient, subject=parcel.subject, **told)
        _end(parcel, "shown")
        return True
    try:
        hand_over(
            way,
            mail_id=f"assay-{parcel.tenant_id}-{parcel.id}",
            to=parcel.recipient,
            subject=parcel.subject,
            text=parcel.body,
            written_at=parcel.created_at,
        )
    except Undeliverable as refusal:
        log.warning("mail.given_up", mail_id=parcel.id, reason=str(refusal))
        _end(parcel, "given_up", str(refusal))
    except NotNow as delay:
        _later(parcel, str(delay))
    else:
        _end(parcel, "sent")
    return True


def _take() -> Parcel | None:
    now = datetime.now(UTC)
    with directory_session() as session:
        mail = session.scalars(
            select(Mail)
            .where(Mail.state == "waiting", Mail.due_at <= now)
            .order_by(Mail.due_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if mail is None:
            return None
        mail.attempts += 1
        mail.due_at = now + LEASE
        return Parcel(mail.tenant_id, mail.id, mail.recipient, mail.subject, mail.body, mail.created_at, mail.attempts)


def _later(parcel: Parcel, reason: str) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(parcel.attempts - 1, 20), LONGEST_PAUSE)
    if datetime.now(UTC) + pause > parcel.created_at + GIVEN_UP_AFTER:
        log.warning("mail.given_up", mail_id=parcel.id, attempts=parcel.attempts, reason=reason)
        _end(parcel, "given_up", f"Tried {parcel.attempts} times in {GIVEN_UP_AFTER.days} days. {reason}")
        return
    log.warning("mail.delayed", mail_id=parcel.id, attempts=parcel.attempts, reason=reason)
    with directory_session() as session:
        session.execute(
            update(Mail)
            .where(Mail.tenant_id == parcel.tenant_id, Mail.id == parcel.id)
            .values(due_at=datetime.now(UTC) + pause, error=reason)
        )


def _end(parcel: Parcel, state: MailState, error: str = "") -> None:
    values = {"state": state, "ended_at": datetime.now(UTC), "error": error}
    if state != "shown":
        values["body"] = ""
    with directory_session() as session:
        session.execute(update(Mail).where(Mail.tenant_id == parcel.tenant_id, Mail.id == parcel.id).values(**values))


def prune() -> None:
    """Forgets mails that ended long ago: whom we wrote to is nobody's business for ever."""
    with directory_session() as session:
        session.execute(delete(Mail).where(Mail.state != "waiting", Mail.created_at < datetime.now(UTC) - KEPT))


def list_shown(limit: int = 50) -> list[Mail]:
    """Mails that nobody sends, newest first."""
    with directory_session() as session:
        return list(
            session.scalars(select(Mail).where(Mail.state == "shown").order_by(Mail.created_at.desc()).limit(limit))
        )
