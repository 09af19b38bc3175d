"""A change of factors is told: to the person by mail, and to each of the person's companies in its audit log."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from assay_tenants import audit, mailing
from assay_tenants.context import actor
from assay_tenants.factors.queries import tenants_of
from assay_tenants.models import Person

_NOT_YOU = (
    "If this was not you, log in, change your password, end all other sessions, and look at your second factors; "
    "or ask an owner of your company to reset them."
)


def tell(
    session: Session,
    person: Person,
    action: str,
    sentence: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """In a transaction of the directory, together with the change."""
    mailing.send(
        session,
        to=person.email,
        subject=sentence.rstrip("."),
        text=f"Hello,\n\n{sentence}{_from_where()}\n\n{_NOT_YOU}\n",
    )
    note(session, person, action, before=before, after=after)


def note(
    session: Session,
    person: Person,
    action: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """As ``tell``, without a mail."""
    # Entries are written last of all, when the transaction has left the directory: what is its own goes before.
    session.flush()
    for tenant_id in tenants_of(session, person.id):
        audit.record(session, tenant_id, action, person.id, before=before, after=after)


def _from_where() -> str:
    address = actor().address
    return f" It was done from the network address {address}." if address else ""
