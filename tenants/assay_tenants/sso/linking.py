"""Whom a provider means: found by what it calls them, by a proven address the first time, or made a member."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay_tenants import audit
from assay_tenants.access import people
from assay_tenants.context import Actor, acting
from assay_tenants.database import directory_session, enter_directory, enter_tenant
from assay_tenants.models import Invitation, Membership, Role
from assay_tenants.sso.domains import verified_domains
from assay_tenants.sso.enforcing import domain_of
from assay_tenants.sso.errors import LoginRefused
from assay_tenants.sso.joining import GRANTABLE, give_role, join
from assay_tenants.sso.models import LinkedIdentity, Provider


@dataclass(frozen=True)
class Known:
    """What a provider told of whoever logged in, all of it checked but whether they may."""

    subject: str
    email: str
    #: The provider says that the address is theirs.
    is_verified: bool
    name: str
    claims: Mapping[str, Any]


#: However they became one: their address may have moved into the domain since the provider was saved.
_NO_OWNERS = (
    "You are an owner of your company's account, and its single sign-on was last saved by somebody who is not. Log in "
    "with your password, and save the provider once more under Settings, Single sign-on."
)


def admit(provider: Provider, known: Known, *, address: str) -> int:
    """The id of the person, who is a member from here on; raises LoginRefused with what is missing."""
    try:
        return _admit(provider, known, address)
    except IntegrityError:
        # Somebody made the same person, or link, at this very moment: now it is there.
        return _admit(provider, known, address)


def _admit(provider: Provider, known: Known, address: str) -> int:
    tenant_id = provider.tenant_id
    with directory_session() as session:
        person = people.find_person(session, known.email)
        enter_tenant(session, tenant_id)
        _check_address(session, provider, known)
        person_id = _linked(session, provider, known)
        is_linked = person_id is not None
        if person_id is None and person is not None:
            person_id = person.id
        member = session.get(Membership, (tenant_id, person_id)) if person_id is not None else None
        if member is not None and member.suspended_at is not None:
            raise LoginRefused("Your company has switched your account off. Ask an owner or admin of its account.")
        role = _role_to_give(session, provider, known, is_member=member is not None)
        if (member.role if member is not None else role) == "owner" and not provider.by_owner:
            raise LoginRefused(_NO_OWNERS)
        if not is_linked:
            enter_directory(session)
            person_id = people.find_or_make(session, email=known.email, name=known.name).id
            enter_tenant(session, tenant_id)
        assert person_id is not None  # noqa: S101 # found or made above
        with acting(Actor("person", str(person_id), known.name, address)):
            if member is None and role is not None:
                by = {"name": known.name, "email": known.email, "by": "single sign-on"}
                join(session, tenant_id, person_id, role=role, active=True, **by)
            elif role is not None:
                give_role(session, tenant_id, person_id, role, by="single sign-on")
            _note_link(session, provider, person_id, known, is_new=not is_linked)
        return person_id


def _check_address(session: Session, provider: Provider, known: Known) -> None:
    if domain_of(known.email) not in verified_domains(session, provider.tenant_id):
        raise LoginRefused(
            f"Your company's login service says that you are {known.email}, and the domain of that address is none "
            "that your company has proven to be its own."
        )
    if not (known.is_verified or provider.vouches):
        raise LoginRefused(
            f"Your company's login service does not say that it has verified your address {known.email}. Whoever set "
            "up single sign-on can state there that all its addresses are."
        )


def _linked(session: Session, provider: Provider, known: Known) -> int | None:
    return session.scalars(
        select(LinkedIdentity.person_id).where(
            LinkedIdentity.tenant_id == provider.tenant_id,
            LinkedIdentity.issuer == provider.issuer,
            LinkedIdentity.subject == known.subject,
        )
    ).one_or_none()


def _role_to_give(session: Session, provider: Provider, known: Known, *, is_member: bool) -> Role | None:
    """None: the one they have. Raises LoginRefused when they are no member and nothing makes them one."""
    told = role_told(provider, known.claims)
    if is_member:
        return told
    invited = session.scalars(
        select(Invitation.role).where(
            Invitation.tenant_id == provider.tenant_id,
            Invitation.email == known.email,
            Invitation.expires_at > datetime.now(UTC),
        )
    ).one_or_none()
    if invited is None and not provider.makes_members:
        raise LoginRefused(
            f"Nobody has made {known.email} a member yet. Ask an owner or admin of the account to invite you."
        )
    return told or invited or provider.default_role


def role_told(provider: Provider, claims: Mapping[str, Any]) -> Role | None:
    """The highest role that the claim grants, the default one when it grants none; None when it was not sent."""
    if not provider.role_claim:
        return None
    told: Any = claims.get(provider.role_claim)
    if told is None:
        told = claims
        for step in provider.role_claim.split("."):
            told = told.get(step) if isinstance(told, Mapping) else None
    if told is None:
        return None
    words = {word for word in (told if isinstance(told, list) else [told]) if isinstance(word, str)}
    granted = {role for value, role in provider.roles.items() if value in words}
    return next((role for role in GRANTABLE if role in granted), provider.default_role)


def _note_link(session: Session, provider: Provider, person_id: int, known: Known, *, is_new: bool) -> None:
    now = datetime.now(UTC)
    tenant_id = provider.tenant_id
    if is_new:
        session.execute(
            insert(LinkedIdentity).values(
                tenant_id=tenant_id,
                issuer=provider.issuer,
                subject=known.subject,
                person_id=person_id,
                created_at=now,
                used_at=now,
            )
        )
        audit.record(session, tenant_id, "member.linked", person_id, after={"issuer": provider.issuer})
    else:
        session.execute(
            update(LinkedIdentity)
            .where(
                LinkedIdentity.tenant_id == tenant_id,
                LinkedIdentity.issuer == provider.issuer,
                LinkedIdentity.subject == known.subject,
            )
            .values(used_at=now)
        )
    session.execute(update(Provider).where(Provider.tenant_id == tenant_id).values(proven_at=now))
