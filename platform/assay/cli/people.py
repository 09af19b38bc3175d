"""`assay people`: what only whoever operates the installation can do for a person."""

import click

from assay.cli.entrance import as_operator, enter, starting


@click.group()
def people() -> None:
    """Helps persons who are locked out."""


@people.command("reset-factors")
@click.argument("email")
@click.option("--by", help="Who you are; default: this machine's user. The person's companies read it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset_factors(email: str, by: str | None, yes: bool) -> None:
    """Takes all second factors of the person with this address away.

    They are logged out everywhere, log in by the password alone, and are told by mail. The audit logs of their
    companies say who did it. Make sure that it is they who ask: for whoever stole a password this opens the door.
    """
    settings = enter("people")
    from assay.cli.score_input import visible
    from assay_tenants import database, factors
    from assay_tenants.errors import AssayError

    if not yes:
        click.confirm(f"Take all second factors of {visible(email)} away?", abort=True)
    with starting():
        database.refuse_powerful_role(database.configure(settings.database_url, pool_size=1))
        as_operator(by)
        try:
            name = factors.reset_person(email)
        except AssayError as error:
            raise click.ClickException(visible(error.message)) from None
    click.echo(f"{visible(name)} has no second factor any more, and is told by mail.")
