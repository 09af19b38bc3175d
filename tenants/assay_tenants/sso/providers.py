"""The provider of a tenant: tried before it is kept, and who has to log in through it."""

import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay_tenants import audit, sealing
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound
from assay_tenants.models import LoginSession, Membership, Person, Role, Tenant
from assay_tenants.sso import keys
from assay_tenants.sso.discovery import Endpoints, discover, read_issuer
from assay_tenants.sso.domains import verified_domains
from assay_tenants.sso.enforcing import PROOF, domain_of
from assay_tenants.sso.errors import BadProvider, OwnersProvider, OwnersWord, ProviderAway
from assay_tenants.sso.joining import read_role
from assay_tenants.sso.models import SEALED_FOR, PendingLogin, Provider
from assay_tenants.sso.token_endpoint import ask_for_tokens, error_told

LONGEST = 500
MOST_MAPPINGS = 50


@dataclass(frozen=True)
class Wanted:
    """A provider as somebody typed it."""

    issuer: str
    client_id: str
    #: None: as it is.
    client_secret: str | None = field(repr=False)
    vouches: bool = False
    makes_members: bool = True
    default_role: str = "viewer"
    role_claim: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)


def find(tenant_id: int) -> Provider | None:
    with tenant_session(tenant_id) as session:
        return _find(session, tenant_id)


def _find(session: Session, tenant_id: int) -> Provider | None:
    return session.scalars(select(Provider).where(Provider.tenant_id == tenant_id)).one_or_none()


def secret_of(provider: Provider) -> str:
    """Empty where we have none."""
    sealed = provider.client_secret
    return sealing.unseal(provider.tenant_id, SEALED_FOR, sealed).decode() if sealed is not None else ""


def save(tenant_id: int, wanted: Wanted, *, redirect_uri: str, by: Role) -> Endpoints:
    """Tries the connection, then keeps it. Raises BadInput, which names the field, and keeps nothing then.

    ``by``: the role of whoever saves it. Raises OwnersWord where it takes an owner.

    A provider of another issuer starts anew: whom the former one meant by a subject says nothing of this one's.
    """
    values = _read(wanted)
    check_rank(tenant_id, by)
    endpoints = discover(read_issuer(wanted.issuer))
    former = find(tenant_id)
    secret = wanted.client_secret
    if secret is None:
        # The secret was entrusted to us for the issuer that it was typed with.
        if former is not None and former.client_secret is not None and former.issuer != endpoints.issuer:
            raise BadInput("Fill in the client secret again: the issuer is another one.", field="client_secret")
        secret = secret_of(former) if former is not None else ""
    _try(endpoints, values["client_id"], secret, redirect_uri)
    values |= {
        "issuer": endpoints.issuer,
        "client_secret": sealing.seal(tenant_id, SEALED_FOR, secret.encode()) if secret else None,
        "endpoints": endpoints.as_row(),
        "discovered_at": datetime.now(UTC),
        "changed_at": datetime.now(UTC),
        "by_owner": by == "owner",
    }
    is_new_secret = wanted.client_secret is not None
    with tenant_session(tenant_id) as session:
        # While the provider was asked somebody may have become an owner; from here on that waits.
        session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update())
        _check_rank(session, tenant_id, by)
        before = _find(session, tenant_id)
        is_other = before is None or before.issuer != endpoints.issuer or before.client_id != values["client_id"]
        if is_other:
            # Proven and enforced were of the other one.
            values |= {"enforced": False, "spare_person_id": None, "proven_at": None}
        told_before = _told(before) if before is not None else None
        statement = insert(Provider).values(
            tenant_id=tenant_id, created_at=datetime.now(UTC), **{"enforced": False, **values}
        )
        session.execute(statement.on_conflict_do_update(index_elements=[Provider.tenant_id], set_=values))
        session.execute(delete(PendingLogin).where(PendingLogin.tenant_id == tenant_id))
        after = {**{name: values[name] for name in _TOLD if name in values}, "new_secret": is_new_secret}
        audit.record(session, tenant_id, "sso.configured", before=told_before, after=after)
    keys.forget(tenant_id)
    return endpoints


def remove(tenant_id: int) -> None:
    """Everybody logs in with a password from here on; those who have none ask for a new one."""
    with tenant_session(tenant_id) as session:
        provider = _find(session, tenant_id)
        if provider is None:
            raise NotFound("provider")
        session.execute(delete(Provider).where(Provider.tenant_id == tenant_id))
        session.execute(delete(PendingLogin).where(PendingLogin.tenant_id == tenant_id))
        audit.record(session, tenant_id, "sso.removed", before=_told(provider))
    keys.forget(tenant_id)


def enforce(tenant_id: int, spare_person_id: int) -> None:
    """From here on nobody of the tenant's domains logs in otherwise, but for one owner, should the provider be away."""
    with directory_session() as session:
        password = session.scalars(select(Person.password_hash).where(Person.id == spare_person_id)).one_or_none()
    with tenant_session(tenant_id) as session:
        provider = _find(session, tenant_id)
        if provider is None:
            raise NotFound("provider")
        if not verified_domains(session, tenant_id):
            raise Conflict("Verify a domain first: it says who has to log in with single sign-on.")
        if provider.proven_at is None:
            raise Conflict("First log in once with single sign-on yourself, so that nobody is locked out.")
        if password is None or spare_person_id not in {owner.person_id for owner in _owners(session, tenant_id)}:
            raise BadInput("Choose an owner of the account who can log in with a password.", field="spare")
        _set(session, provider, enforced=True, spare_person_id=spare_person_id)
        _end_other_sessions(session, tenant_id, spare_person_id)


def relax(tenant_id: int) -> None:
    """Passwords are accepted again."""
    with tenant_session(tenant_id) as session:
        provider = _find(session, tenant_id)
        if provider is None:
            raise NotFound("provider")
        _set(session, provider, enforced=False, spare_person_id=None)


def list_owners(tenant_id: int) -> list[Membership]:
    """Whom to name as the one who may log in with a password."""
    with tenant_session(tenant_id) as session:
        return _owners(session, tenant_id)


def check_rank(tenant_id: int, role: Role, domain: str | None = None) -> None:
    """Before somebody of this role chooses the provider, or adds a ``domain`` to it.

    Raises OwnersWord, and OwnersProvider where an owner saves the provider first.
    """
    with tenant_session(tenant_id) as session:
        _check_rank(session, tenant_id, role, domain)


def _check_rank(session: Session, tenant_id: int, role: Role, domain: str | None = None) -> None:
    provider = _find(session, tenant_id)
    if domain is not None and provider is None:
        return
    spoken_for = {domain} if domain is not None else verified_domains(session, tenant_id)
    for owner in _owners(session, tenant_id):
        if domain_of(owner.email) in spoken_for and role != "owner":
            raise OwnersWord
        if domain_of(owner.email) == domain and provider is not None and not provider.by_owner:
            # Else the provider would let no owner in, and once it is the only way nothing would.
            raise OwnersProvider(owner.email)


def _owners(session: Session, tenant_id: int) -> list[Membership]:
    return list(
        session.scalars(
            select(Membership)
            .where(Membership.tenant_id == tenant_id, Membership.role == "owner", Membership.suspended_at.is_(None))
            .order_by(Membership.name, Membership.person_id)
        )
    )


def _set(session: Session, provider: Provider, *, enforced: bool, spare_person_id: int | None) -> None:
    before = {"enforced": provider.enforced, "spare_person_id": provider.spare_person_id}
    after = {"enforced": enforced, "spare_person_id": spare_person_id}
    session.execute(
        update(Provider).where(Provider.tenant_id == provider.tenant_id).values(**after, changed_at=datetime.now(UTC))
    )
    audit.record(session, provider.tenant_id, "sso.enforced" if enforced else "sso.relaxed", before=before, after=after)


def _end_other_sessions(session: Session, tenant_id: int, spare_person_id: int) -> None:
    """Whoever has to come through the provider from here on, and came otherwise."""
    domains = verified_domains(session, tenant_id)
    theirs = select(Membership.person_id).where(
        Membership.tenant_id == tenant_id,
        Membership.person_id != spare_person_id,
        func.split_part(Membership.email, "@", 2).in_(domains),
    )
    session.execute(
        delete(LoginSession).where(
            LoginSession.tenant_id == tenant_id,
            LoginSession.person_id.in_(theirs),
            func.array_position(LoginSession.proven_by, PROOF).is_(None),
        )
    )


_TOLD = ("issuer", "client_id", "vouches", "makes_members", "default_role", "role_claim", "roles")


def _told(provider: Provider) -> dict[str, Any]:
    return {name: getattr(provider, name) for name in _TOLD}


def _read(wanted: Wanted) -> dict[str, Any]:
    client_id = wanted.client_id.strip()
    if not 1 <= len(client_id) <= LONGEST or not client_id.isprintable():
        raise BadInput(f"The client id needs 1 to {LONGEST} characters.", field="client_id")
    if wanted.client_secret is not None and not len(wanted.client_secret) <= LONGEST:
        raise BadInput(f"The client secret has at most {LONGEST} characters.", field="client_secret")
    claim = wanted.role_claim.strip()
    if len(claim) > LONGEST:
        raise BadInput(f"The name of a claim has at most {LONGEST} characters.", field="role_claim")
    if len(wanted.roles) > MOST_MAPPINGS:
        raise BadInput(f"At most {MOST_MAPPINGS} values can be mapped to roles.", field="roles")
    if wanted.roles and not claim:
        raise BadInput("Name the claim that these values stand in.", field="role_claim")
    return {
        "client_id": client_id,
        "vouches": wanted.vouches,
        "makes_members": wanted.makes_members,
        "default_role": read_role(wanted.default_role, field="default_role"),
        "role_claim": claim,
        "roles": {value: read_role(role, field="roles") for value, role in wanted.roles.items()},
    }


def _try(endpoints: Endpoints, client_id: str, client_secret: str, redirect_uri: str) -> None:
    """Asks for the keys, and shows a made-up code: a provider that knows us refuses the code, one that doesn't, us."""
    keys.fetch_keys(endpoints.keys)
    made_up = {
        "code": random.token_urlsafe(24),
        "code_verifier": random.token_urlsafe(32),
        "redirect_uri": redirect_uri,
    }
    try:
        answer = ask_for_tokens(endpoints, client_id=client_id, client_secret=client_secret, fields=made_up)
    except ProviderAway as away:
        raise BadProvider(f"The provider's token endpoint can't be reached: {away.message}", field="issuer") from None
    told = error_told(answer)
    if answer.status_code == 401 or told.startswith(("invalid_client", "unauthorized_client")):
        raise BadInput(f"The provider does not know this client id and secret ({told}).", field="client_secret")
    if answer.status_code >= 500 or answer.status_code in (404, 405):
        raise BadProvider(f"The provider's token endpoint does not work ({told}).", field="issuer")
    if not client_secret and endpoints.authentication == ("client_secret_basic",):
        raise BadInput("The provider needs a client secret.", field="client_secret")
