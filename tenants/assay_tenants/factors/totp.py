"""One-time codes of an authenticator app (RFC 6238): six digits, thirty seconds, each taken once."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay_tenants.database import directory_session
from assay_tenants.errors import Conflict, NotFound
from assay_tenants.factors import firsts
from assay_tenants.factors.errors import WrongFactor
from assay_tenants.factors.models import Totp
from assay_tenants.factors.queries import lock_person
from assay_tenants.factors.telling import tell
from assay_tenants.sealing import INSTALLATION, seal, unseal

ISSUER = "Assay"
PURPOSE = "totp"
#: Steps of thirty seconds that a phone's clock may be off, to either side.
STEPS_OFF = 1
#: How long an app that was not confirmed yet is waited for.
PATIENCE = timedelta(minutes=30)

_ALREADY = "There is an authenticator app already. Remove it first, then add another."


@dataclass(frozen=True)
class Enrolment:
    """A secret on its way into an app."""

    secret: str = field(repr=False)
    #: What the QR code says.
    uri: str = field(repr=False)


def start(person_id: int) -> None:
    """Makes a secret for an app. It opens nothing before it is confirmed, and takes an unconfirmed one's place."""
    secret = pyotp.random_base32()
    row = {
        "sealed": seal(INSTALLATION, PURPOSE, secret.encode(), row=person_id),
        "created_at": datetime.now(UTC),
    }
    with directory_session() as session:
        firsts.refuse_unverified(lock_person(session, person_id))
        made = session.execute(
            insert(Totp)
            .values(person_id=person_id, **row)
            .on_conflict_do_update(index_elements=[Totp.person_id], set_=row, where=Totp.confirmed_at.is_(None))
            .returning(Totp.person_id)
        ).one_or_none()
        if made is None:
            raise Conflict(_ALREADY)


def enrolment(person_id: int) -> Enrolment | None:
    """What is being enrolled; None when nothing is, or for too long already."""
    with directory_session() as session:
        person = lock_person(session, person_id)
        row = _pending(session, person_id)
        if row is None:
            return None
        app = _app(row)
        return Enrolment(app.secret, app.provisioning_uri(name=person.email, issuer_name=ISSUER))


def confirm(person_id: int, code: str, *, token: str) -> tuple[str, ...]:
    """From now on the app counts. Returns recovery codes to be shown once, none when there were some before.

    ``token`` is the session's in which this happens: with a first factor the person's other sessions end.
    """
    with directory_session() as session:
        person = lock_person(session, person_id)
        row = _pending(session, person_id)
        if row is None:
            raise Conflict("No authenticator app is being added, or it took longer than half an hour. Start again.")
        step = _step_of(row, code)
        codes = firsts.welcome(session, person, token)
        now = datetime.now(UTC)
        row.confirmed_at, row.last_step, row.last_used_at = now, step, now
        tell(
            session,
            person,
            "second_factor.added",
            "An authenticator app was added to your login to Assay.",
            after={"kind": "totp"},
        )
    return codes


def prove(person_id: int, code: str) -> None:
    """Uses the code up; raises WrongFactor for a wrong one and for one that was used before."""
    with directory_session() as session:
        row = session.scalars(
            select(Totp).where(Totp.person_id == person_id, Totp.confirmed_at.is_not(None))
        ).one_or_none()
        if row is None:
            raise WrongFactor("There is no authenticator app. Prove it is you in another way.")
        step = _step_of(row, code)
        # Compared by the database itself: of two who bring the same code at once, one finds it used.
        taken = session.execute(
            update(Totp)
            .where(Totp.person_id == person_id, Totp.confirmed_at.is_not(None), Totp.last_step < step)
            .values(last_step=step, last_used_at=datetime.now(UTC))
            .returning(Totp.person_id)
        ).one_or_none()
        if taken is None:
            raise WrongFactor("This code was used already. Wait for the next one, half a minute at most.")


def remove(person_id: int) -> None:
    with directory_session() as session:
        person = lock_person(session, person_id)
        gone = session.execute(
            delete(Totp).where(Totp.person_id == person_id, Totp.confirmed_at.is_not(None)).returning(Totp.person_id)
        ).one_or_none()
        if gone is None:
            raise NotFound("authenticator app")
        firsts.part(session, person)
        tell(
            session,
            person,
            "second_factor.removed",
            "The authenticator app was removed from your login to Assay.",
            before={"kind": "totp"},
        )


def _pending(session: Session, person_id: int) -> Totp | None:
    return session.scalars(
        select(Totp).where(
            Totp.person_id == person_id,
            Totp.confirmed_at.is_(None),
            Totp.created_at > datetime.now(UTC) - PATIENCE,
        )
    ).one_or_none()


def _app(row: Totp) -> pyotp.TOTP:
    return pyotp.TOTP(unseal(INSTALLATION, PURPOSE, row.sealed, row=row.person_id).decode())


def _step_of(row: Totp, code: str) -> int:
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
        raise WrongFactor("The app shows a code of six digits, such as 123 456.")
    try:
        return _app(row).verify_and_get_timecode(digits, for_time=datetime.now(UTC).timestamp(), valid_window=STEPS_OFF)
    except OTPVerificationError:
        raise WrongFactor(
            "This code is not right. Type the one that the app shows now; if it goes on, look whether the clock of "
            "your phone is right."
        ) from None
