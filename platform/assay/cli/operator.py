"""`assay operator`: the door of those who run Assay, and whether the log of who used it is whole."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from assay.cli.entrance import as_operator, enter, starting
from assay.cli.score_input import visible
from assay_tenants import database, operators
from assay_tenants.audit.verifying import Checked, check
from assay_tenants.database import directory_session
from assay_tenants.errors import AssayError

TENANT = click.option("--tenant", "tenant_id", type=click.IntRange(1, database.LARGEST_ID), required=True)
BY = click.option("--by", help="Who you are; default: this machine's user. The tenant reads it.")
BROKEN = 3


@click.group()
def operator() -> None:
    """Look at a tenant's pages, in the tenant's sight; check audit logs."""


@operator.command("open")
@TENANT
@click.option("--reason", required=True, help="Why, such as a ticket's number. The tenant reads it.")
@click.option("--minutes", default=30, show_default=True, help=f"How long; at most {operators.LONGEST}.")
@click.option("--role", type=click.Choice(["viewer", "editor", "admin"]), default="viewer", show_default=True)
@click.option("--write", "may_write", is_flag=True, help="Let changes through too, as far as the role allows.")
@BY
def open_(tenant_id: int, reason: str, minutes: int, role: str, may_write: bool, by: str | None) -> None:
    """Opens a tenant's pages and prints a link that works once."""
    settings = enter("operator")
    with _connected(settings.database_url):
        name = as_operator(by)
        opened = operators.open_access(
            tenant_id,
            by=name,
            reason=reason,
            minutes=minutes,
            role=role,  # type: ignore[arg-type] # click lets these three through
            may_write=may_write,
        )
    access = opened.access
    click.echo(f"Access {access.reference}: {_words(access)}")
    if access.state == "waiting":
        click.echo("The tenant lets operators look only when it allows it. The link works as soon as it has.")
    click.echo(f"{(settings.public_url or settings.address).rstrip('/')}/operators/{opened.secret}")


@operator.command("list")
@TENANT
def list_(tenant_id: int) -> None:
    """Lists a tenant's accesses, newest first."""
    settings = enter("operator")
    with _connected(settings.database_url):
        found = operators.list_accesses(tenant_id)
    for access in found:
        click.echo(
            visible(f"{access.reference}  {access.state:8} {access.operator}: {access.reason} ({_words(access)})")
        )
    if not found:
        click.echo("None.")


@operator.command()
@click.argument("reference")
@BY
def close(reference: str, by: str | None) -> None:
    """Ends an access, such as 42-7, at once."""
    settings = enter("operator")
    tenant_id, _, access_id = reference.partition("-")
    if not (tenant_id.isdecimal() and access_id.isdecimal()):
        raise click.BadParameter(f"{reference!r} is no access: they look like 42-7.", param_hint="REFERENCE")
    with _connected(settings.database_url):
        as_operator(by)
        access = operators.end(min(int(tenant_id), database.LARGEST_ID), int(access_id))
    click.echo(f"Access {access.reference} is {'ended' if access.state == 'ended' else 'over'}.")


@operator.command("verify-audit")
@click.option("--tenant", "tenant_id", type=click.IntRange(1, database.LARGEST_ID), help="One tenant; default: all.")
def verify_audit(tenant_id: int | None) -> None:
    """Checks that no entry of the audit logs was changed or removed.

    Prints each log's newest entry and its hash: kept elsewhere, they tell whether a log was cut or written anew. Exits
    with 3 when a log is broken.
    """
    settings = enter("operator")
    broken = False
    with _connected(settings.database_url):
        for each in [tenant_id] if tenant_id is not None else _tenants():
            checked = check(each)
            broken |= checked.broken_at is not None
            click.echo(_told(each, checked))
    sys.exit(BROKEN if broken else 0)


def _tenants() -> Iterator[int]:
    from sqlalchemy import select

    from assay_tenants.models import Tenant

    with directory_session() as session:
        ids = session.scalars(select(Tenant.id).order_by(Tenant.id)).all()
    yield from ids


def _told(tenant_id: int, checked: Checked) -> str:
    if checked.broken_at is not None:
        return f"tenant {tenant_id}: BROKEN at entry {checked.broken_at}: {checked.wrong}"
    return (
        f"tenant {tenant_id}: {checked.entries} entries, newest hash {checked.hash.hex() if checked.entries else '-'}"
    )


def _words(access: operators.Access) -> str:
    what = "may write" if access.may_write else "looks only"
    return f"{what}, as {access.role}, {access.minutes} minutes, until {access.expires_at:%Y-%m-%d %H:%M} UTC"


@contextmanager
def _connected(url: str) -> Iterator[None]:
    """At the database, with whatever is refused told in a sentence."""
    with starting():
        database.refuse_powerful_role(database.configure(url, pool_size=1))
        try:
            yield
        except AssayError as error:
            raise click.ClickException(visible(error.message)) from None
