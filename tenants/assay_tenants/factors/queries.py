"""Every SELECT about factors."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from assay_tenants.database import directory_session
from assay_tenants.errors import NotFound
from assay_tenants.factors.models import Passkey, RecoveryCode, Totp
from assay_tenants.models import Membership, Person, Role

Method = Literal["totp", "passkey", "recovery"]


@dataclass(frozen=True)
class PasskeyRow:
    """What its owner sees of a passkey."""

    id: int
    name: str
    synced: bool
    created_at: datetime
    last_used_at: datetime | None
    copied_at: datetime | None


@dataclass(frozen=True)
class Overview:
    """The factors of one person."""

    totp_since: datetime | None
    totp_used_at: datetime | None
    passkeys: tuple[PasskeyRow, ...]
    codes_left: int
    codes_made_at: datetime | None

    @property
    def any(self) -> bool:
        return self.totp_since is not None or bool(self.passkeys)


@dataclass(frozen=True)
class MemberRow:
    """What owners and admins see of a member's factors: how many, and never which."""

    person_id: int
    name: str
    email: str
    role: Role
    has_app: bool
    passkeys: int
    codes_left: int

    @property
    def any(self) -> bool:
        return self.has_app or self.passkeys > 0


def methods_of(session: Session, person_id: int) -> tuple[Method, ...]:
    """What this person can prove a login with beside the password; none: the password is enough.

    A passkey that opens nothing any more still counts: whoever copied it must not get in by the password alone.
    """
    passkey = select(Passkey.id).where(Passkey.person_id == person_id).exists()
    totp = select(Totp.person_id).where(Totp.person_id == person_id, Totp.confirmed_at.is_not(None)).exists()
    has_passkey, has_totp, codes = session.execute(select(passkey, totp, _codes_left(person_id))).one()
    if not (has_passkey or has_totp):
        return ()
    found: list[Method] = []
    if has_passkey:
        found.append("passkey")
    if has_totp:
        found.append("totp")
    if codes:
        found.append("recovery")
    return tuple(found)


def list_methods(person_id: int) -> tuple[Method, ...]:
    """As ``methods_of``, through a door of its own."""
    with directory_session() as session:
        return methods_of(session, person_id)


def overview(person_id: int) -> Overview:
    with directory_session() as session:
        totp = session.scalars(
            select(Totp).where(Totp.person_id == person_id, Totp.confirmed_at.is_not(None))
        ).one_or_none()
        passkeys = session.scalars(select(Passkey).where(Passkey.person_id == person_id).order_by(Passkey.id)).all()
        left, made_at = session.execute(
            select(_codes_left(person_id), func.max(RecoveryCode.made_at)).where(RecoveryCode.person_id == person_id)
        ).one()
    return Overview(
        totp_since=totp.confirmed_at if totp else None,
        totp_used_at=totp.last_used_at if totp else None,
        passkeys=tuple(
            PasskeyRow(key.id, key.name, key.synced, key.created_at, key.last_used_at, key.copied_at)
            for key in passkeys
        ),
        codes_left=left,
        codes_made_at=made_at,
    )


def members_of(tenant_id: int) -> list[MemberRow]:
    """Each member with what they have, by name."""
    app = select(Totp.person_id).where(Totp.person_id == Membership.person_id, Totp.confirmed_at.is_not(None)).exists()
    passkeys = select(func.count()).where(Passkey.person_id == Membership.person_id).scalar_subquery()
    codes = (
        select(func.count())
        .where(RecoveryCode.person_id == Membership.person_id, RecoveryCode.used_at.is_(None))
        .scalar_subquery()
    )
    with directory_session() as session:
        rows = session.execute(
            select(
                Membership.person_id,
                Membership.name,
                Membership.email,
                Membership.role,
                app.label("app"),
                passkeys.label("passkeys"),
                codes.label("codes"),
            )
            .where(Membership.tenant_id == tenant_id)
            .order_by(Membership.name, Membership.person_id)
        ).all()
    return [MemberRow(row.person_id, row.name, row.email, row.role, row.app, row.passkeys, row.codes) for row in rows]


def lock_person(session: Session, person_id: int) -> Person:
    """The person, for one change of factors at a time."""
    person = session.scalars(select(Person).where(Person.id == person_id).with_for_update()).one_or_none()
    if person is None:
        raise NotFound("person")
    return person


def person_of(session: Session, person_id: int) -> Person:
    return session.scalars(select(Person).where(Person.id == person_id)).one()


def tenants_of(session: Session, person_id: int) -> list[int]:
    return list(
        session.scalars(
            select(Membership.tenant_id).where(Membership.person_id == person_id).order_by(Membership.tenant_id)
        )
    )


def role_in(session: Session, tenant_id: int, person_id: int) -> Role:
    """Raises NotFound for whoever is no member."""
    role = session.scalars(
        select(Membership.role).where(Membership.tenant_id == tenant_id, Membership.person_id == person_id)
    ).one_or_none()
    if role is None:
        raise NotFound("member")
    return role


def _codes_left(person_id: int):  # type: ignore[no-untyped-def] # a scalar subquery of int has no short name
    return (
        select(func.count())
        .where(RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None))
        .scalar_subquery()
    )
