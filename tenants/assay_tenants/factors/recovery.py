"""Recovery codes: ten, each good for one login, for whoever has lost everything else.

A code carries 120 random bits, so a fast hash keeps it.
"""

import secrets
from datetime import UTC, datetime

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from assay_tenants.database import directory_session
from assay_tenants.errors import Conflict
from assay_tenants.factors.errors import WrongFactor
from assay_tenants.factors.models import RecoveryCode
from assay_tenants.factors.queries import lock_person, methods_of, person_of
from assay_tenants.factors.telling import tell
from assay_tenants.secrets import digest

COUNT = 10
# Crockford's alphabet: no I, L, O and U, so that none is read for another.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("ILO", "110")
_LENGTH = 24
_GROUP = 6


def regenerate(person_id: int) -> tuple[str, ...]:
    """Ten new codes, to be shown once; the old ones are worth nothing from now on."""
    with directory_session() as session:
        person = lock_person(session, person_id)
        if not methods_of(session, person_id):
            raise Conflict("Recovery codes stand in for a second factor: add an authenticator app or a passkey first.")
        codes = make(session, person_id)
        tell(session, person, "recovery_codes.made", "New recovery codes were made for your login to Assay.")
    return codes


def make(session: Session, person_id: int) -> tuple[str, ...]:
    """In the transaction of whoever holds the person's lock."""
    now = datetime.now(UTC)
    codes = tuple(_new_code() for _ in range(COUNT))
    forget(session, person_id)
    session.execute(
        insert(RecoveryCode),
        [{"person_id": person_id, "hash": digest(_plain(code)), "made_at": now} for code in codes],
    )
    return codes


def forget(session: Session, person_id: int) -> None:
    session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person_id))


def prove(person_id: int, code: str) -> None:
    """Uses the code up; raises WrongFactor for any that is not this person's, or was used before."""
    with directory_session() as session:
        used = session.execute(
            update(RecoveryCode)
            .where(
                RecoveryCode.person_id == person_id,
                RecoveryCode.hash == digest(_plain(code)),
                RecoveryCode.used_at.is_(None),
            )
            .values(used_at=datetime.now(UTC))
            .returning(RecoveryCode.person_id)
        ).one_or_none()
        if used is None:
            raise WrongFactor(
                "This is no recovery code of yours that is still good. Each works once.", field="recovery"
            )
        person = person_of(session, person_id)
        tell(session, person, "recovery_code.used", "A recovery code was used to log in to Assay as you.")


def _new_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(letters[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def _plain(code: str) -> str:
    """As it was made, however somebody has typed it."""
    return "".join(code[:200].upper().split()).replace("-", "").translate(_MISREAD)
