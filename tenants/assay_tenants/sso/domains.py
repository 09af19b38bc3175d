"""Domains of addresses: claimed by a tenant, proven by a record in their DNS or a file on their website."""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import httpx
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay_sdk import egress
from assay_tenants import audit
from assay_tenants.context import SYSTEM, acting
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound
from assay_tenants.sso.models import Domain, Method

#: The label, in front of the domain, at which its TXT record stands.
LABEL: Final = "_assay"
FILE: Final = "/.well-known/assay-domain.txt"
MOST = 50
PATIENCE_SECONDS = 5.0
_LARGEST_FILE = 10_000
_NAME = re.compile(r"(?=.{4,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII)

#: Says why nobody may claim a domain; None: its owner may.
Objection = Callable[[str], str | None]

_nameserver: tuple[str, int] | None = None


class NotProven(BadInput):
    """The proof was looked for and is not there, or could not be looked for."""

    code = "domain_not_proven"

    def __init__(self, message: str, *, is_absent: bool) -> None:
        #: It was looked for and is certainly not there.
        self.is_absent = is_absent
        super().__init__(message, field="domain")


def configure(nameserver: str = "") -> None:
    """From here on this name server, ``address`` or ``address:port``, is asked instead of the machine's own."""
    global _nameserver
    host, _, port = nameserver.partition(":")
    _nameserver = (host, int(port or 53)) if host else None


def read_domain(typed: str) -> str:
    """The domain in lower case and ASCII; raises BadInput."""
    import idna  # here: its tables take 2 MB, and few processes ever meet such a name

    name = typed.strip().rpartition("@")[2].rstrip(".").lower()
    try:
        name = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        name = ""
    if not _NAME.fullmatch(name):
        raise BadInput(f"“{typed.strip()[:100]}” is no domain; accepted is something like example.com.", field="domain")
    return name


def list_domains(tenant_id: int) -> list[Domain]:
    with tenant_session(tenant_id) as session:
        return list(session.scalars(select(Domain).where(Domain.tenant_id == tenant_id).order_by(Domain.domain)))


def verified_domains(session: Session, tenant_id: int) -> frozenset[str]:
    return frozenset(
        session.scalars(select(Domain.domain).where(Domain.tenant_id == tenant_id, Domain.verified_at.is_not(None)))
    )


def tenant_of(domain: str) -> int | None:
    """Whose verified domain this is."""
    with directory_session() as session:
        return session.scalars(
            select(Domain.tenant_id).where(Domain.domain == domain, Domain.verified_at.is_not(None))
        ).one_or_none()


def claim(tenant_id: int, typed: str, *, objection: Objection) -> str:
    """Notes that the tenant says a domain is its own, and makes what will prove it; tells the domain.

    Claimed twice it stays as it was. Raises BadInput.
    """
    domain = read_domain(typed)
    if (why := objection(domain)) is not None:
        raise BadInput(f"{domain} can't be claimed: {why}", field="domain")
    with tenant_session(tenant_id) as session:
        held = set(session.scalars(select(Domain.domain).where(Domain.tenant_id == tenant_id)))
        if domain in held:
            return domain
        if len(held) >= MOST:
            raise BadInput(f"An account has at most {MOST} domains; remove one that you no longer use.", field="domain")
        session.execute(
            insert(Domain).values(
                tenant_id=tenant_id,
                domain=domain,
                proof=f"assay-domain={secrets.token_urlsafe(24)}",
                created_at=datetime.now(UTC),
            )
        )
        audit.record(session, tenant_id, "sso_domain.claimed", domain)
    return domain


def verify(tenant_id: int, domain: str, method: Method) -> None:
    """Looks for the proof, and makes the domain the tenant's.

    Raises NotProven when the proof can't be found, Conflict while another tenant's proof is there too.
    """
    proof = _claimed(tenant_id, domain).proof
    look_for(domain, proof, method)
    _take_from_former_owner(tenant_id, domain)
    try:
        with tenant_session(tenant_id) as session:
            session.execute(
                update(Domain)
                .where(Domain.tenant_id == tenant_id, Domain.domain == domain)
                .values(verified_at=datetime.now(UTC), method=method)
            )
            audit.record(session, tenant_id, "sso_domain.verified", domain, after={"method": method})
    except IntegrityError:
        raise _taken(domain) from None


def remove(tenant_id: int, domain: str) -> None:
    """From here on its people log in with their passwords, and SCIM can't reach them."""
    claimed = _claimed(tenant_id, domain)
    with tenant_session(tenant_id) as session:
        session.execute(delete(Domain).where(Domain.tenant_id == tenant_id, Domain.domain == domain))
        audit.record(
            session, tenant_id, "sso_domain.removed", domain, before={"verified": claimed.verified_at is not None}
        )


def look_for(domain: str, proof: str, method: Method) -> None:
    """Raises NotProven unless ``proof`` stands where ``method`` puts it."""
    if method == "dns":
        _look_in_dns(domain, proof)
    else:
        look_in_file(domain, proof, f"https://{domain}{FILE}")


def _look_in_dns(domain: str, proof: str) -> None:
    import dns.exception  # here: most processes never ask
    import dns.resolver

    name = f"{LABEL}.{domain}"
    resolver = dns.resolver.Resolver(configure=_nameserver is None)
    if _nameserver is not None:
        resolver.nameservers, resolver.port = [_nameserver[0]], _nameserver[1]
    try:
        answer = resolver.resolve(f"{name}.", "TXT", lifetime=PATIENCE_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        raise NotProven(
            f"There is no TXT record at {name} yet. New records may take minutes to be seen everywhere.", is_absent=True
        ) from None
    except dns.exception.DNSException as error:
        raise NotProven(
            f"The DNS of {domain} could not be asked ({type(error).__name__}). Try again in a minute.", is_absent=False
        ) from None
    found = [b"".join(record.strings).decode("utf-8", "replace").strip() for record in answer]
    if proof not in found:
        shown = "; ".join(text[:80] for text in found[:3])
        raise NotProven(f"The TXT record at {name} holds something else: {shown}.", is_absent=True)


def look_in_file(domain: str, proof: str, url: str) -> None:
    """Raises NotProven unless a line of the file at ``url`` is ``proof``."""
    try:
        # No redirects: whoever can lay one on a site need not be its owner.
        with egress.client(largest=_LARGEST_FILE) as client:
            answer = client.get(url)
    except httpx.HTTPError as error:
        said = str(error) if isinstance(error, egress.AddressRefused) else "It does not answer as it should."
        raise NotProven(f"{url} could not be read. {said}", is_absent=False) from None
    if answer.status_code != 200:
        moved = " Redirects are not followed." if answer.is_redirect else ""
        gone = answer.status_code in (404, 410)
        raise NotProven(f"{url} answers {answer.status_code} instead of 200.{moved}", is_absent=gone)
    if proof not in (line.strip() for line in answer.text.splitlines()):
        raise NotProven(f"The file at {url} does not hold the line that proves {domain}.", is_absent=True)


def _claimed(tenant_id: int, domain: str) -> Domain:
    with tenant_session(tenant_id) as session:
        claimed = session.scalars(
            select(Domain).where(Domain.tenant_id == tenant_id, Domain.domain == domain)
        ).one_or_none()
    if claimed is None:
        raise NotFound("domain")
    return claimed


def _take_from_former_owner(tenant_id: int, domain: str) -> None:
    """A domain goes over to whoever proves it once the former owner's proof is certainly gone."""
    owner = tenant_of(domain)
    if owner is None or owner == tenant_id:
        return
    former = _claimed(owner, domain)
    try:
        look_for(domain, former.proof, former.method or "dns")
    except NotProven as gone:
        if not gone.is_absent:
            raise _taken(domain) from None
    else:
        raise _taken(domain)
    with acting(SYSTEM), tenant_session(owner) as session:
        session.execute(
            update(Domain)
            .where(Domain.tenant_id == owner, Domain.domain == domain, Domain.verified_at.is_not(None))
            .values(verified_at=None, method=None)
        )
        audit.record(session, owner, "sso_domain.lost", domain, after={"reason": "proven by another account"})


def _taken(domain: str) -> Conflict:
    return Conflict(
        f"{domain} is verified for another Assay account, and that account's proof is still there. Remove its record "
        "or file from the domain, then try again.",
        field="domain",
    )
