"""Mails to those who can mend a connection: once for each time that it breaks."""

from datetime import UTC, datetime

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from assay.syncing.models import BLAMELESS, LinkRow
from assay_tenants.connections.models import Connection
from assay_tenants.database import tenant_session
from assay_tenants.mailing import link_to, send
from assay_tenants.models import Membership, Tenant
from assay_tenants.permissions import may

# It answered, whatever it was told of before: that it fails is over, and another thing is to be told.
_ANSWERED = text(f"""
    UPDATE intake.links SET {BLAMELESS}
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND failing_since IS NOT NULL
""")  # noqa: S608 # of a constant
_SIGNED = "\n\nAssay\n"


def tell_of_reconnect(tenant_id: int, connection_id: int) -> None:
    """Of a connection whose credentials the vendor takes no more, where that is still so."""
    with tenant_session(tenant_id) as session:
        connection = session.get(Connection, (tenant_id, connection_id))
        if connection is None or connection.state != "needs_reconnect":
            return
        session.execute(_ANSWERED, {"tenant_id": tenant_id, "connection_id": connection_id})
        subject = f"{connection.name} has to be connected again"
        _tell(
            session,
            tenant_id,
            connection_id,
            subject,
            f"""\
{connection.error or "The other service no longer accepts what it was given."}

Until somebody connects it again, nothing comes in through it and no scores go back. Nothing is lost: it goes on where
it stopped.""",
        )


def tell_of_failure(session: Session, link: LinkRow) -> None:
    """Of a vendor that has failed for a while, in the transaction that finds it out."""
    name = session.scalars(
        select(Connection.name).where(Connection.tenant_id == link.tenant_id, Connection.id == link.connection_id)
    ).one_or_none()
    session.flush()
    _tell(
        session,
        link.tenant_id,
        link.connection_id,
        f"{name or link.plugin} has been failing for a while",
        f"""\
{link.error}

It is tried again by itself, ever more rarely, at the latest each quarter of an hour. Nothing is lost: it goes on where
it stopped.""",
    )


def _tell(session: Session, tenant_id: int, connection_id: int, subject: str, told: str) -> None:
    """At most once until the connection works again."""
    first = session.execute(
        update(LinkRow)
        .where(LinkRow.tenant_id == tenant_id, LinkRow.connection_id == connection_id, LinkRow.told_at.is_(None))
        .values(told_at=datetime.now(UTC))
        .execution_options(synchronize_session="evaluate")
        .returning(LinkRow.connection_id)
    ).one_or_none()
    if first is None:
        return
    company = session.scalars(select(Tenant.name).where(Tenant.id == tenant_id)).one()
    page = link_to(f"/connections/{connection_id}")
    members = select(Membership).where(
        Membership.tenant_id == tenant_id, Membership.verified, Membership.suspended_at.is_(None)
    )
    for member in session.scalars(members):
        if may(member.role, "connections:manage"):
            body = f"""\
Hello {member.name},

a connection of {company} needs you:

{told}

{page}

You get this mail because you may connect tools for {company}.{_SIGNED}"""
            send(session, to=member.email, subject=subject, text=body)
