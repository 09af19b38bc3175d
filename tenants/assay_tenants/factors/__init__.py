"""Second factors: one-time codes, passkeys, recovery codes."""

from typing import Literal

from sqlalchemy.orm import Session

Method = Literal["totp", "passkey", "recovery"]


def methods_of(session: Session, person_id: int) -> tuple[Method, ...]:
    """What this person can prove a login with beside the password; none: the password is enough."""
    return ()
