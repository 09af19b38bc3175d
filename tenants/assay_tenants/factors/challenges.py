"""What authenticators are asked to sign: kept here, good once, for five minutes, for whom it was made."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, insert
from webauthn.helpers import parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException

from assay_tenants.database import directory_session
from assay_tenants.factors.errors import WrongFactor
from assay_tenants.factors.models import Challenge, Purpose
from assay_tenants.secrets import digest

LIFETIME = timedelta(minutes=5)
_BYTES = 32


class Taken(NamedTuple):
    challenge: bytes
    user_handle: bytes | None


def make(purpose: Purpose, *, bound_to: str, user_handle: bytes | None = None) -> bytes:
    """``bound_to`` says for whom: a person, or the browser of somebody who is not known yet."""
    challenge = secrets.token_bytes(_BYTES)
    now = datetime.now(UTC)
    with directory_session() as session:
        session.execute(delete(Challenge).where(Challenge.expires_at < now))
        session.execute(
            insert(Challenge).values(
                hash=_hash(challenge),
                purpose=purpose,
                bound_to=bound_to,
                user_handle=user_handle,
                expires_at=now + LIFETIME,
            )
        )
    return challenge


def take(client_data: bytes, purpose: Purpose, *, bound_to: str) -> Taken:
    """The challenge that was signed, which is used up from now on, whatever the signature turns out to be.

    Raises WrongFactor for one that is unknown, used, past, or was made for somebody or something else.
    """
    try:
        challenge = parse_client_data_json(client_data).challenge
    except (WebAuthnException, ValueError, TypeError, RecursionError) as error:
        raise WrongFactor("The browser's answer can't be read. Try again.", field="credential") from error
    # In a transaction of its own: what refuses the signature afterwards must not bring the challenge back.
    with directory_session() as session:
        taken = session.execute(
            delete(Challenge)
            .where(
                Challenge.hash == _hash(challenge),
                Challenge.purpose == purpose,
                Challenge.bound_to == bound_to,
                Challenge.expires_at > datetime.now(UTC),
            )
            .returning(Challenge.user_handle)
        ).one_or_none()
    if taken is None:
        raise WrongFactor("That took longer than five minutes, or was sent twice. Try again.", field="credential")
    return Taken(challenge, taken.user_handle)


def _hash(challenge: bytes) -> bytes:
    return digest(challenge.hex())
