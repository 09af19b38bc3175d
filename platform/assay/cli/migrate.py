import click

from assay.cli.entrance import enter, starting
from assay.roles import statements
from assay.settings import BadSetting


@click.command()
@click.option("--print-roles", is_flag=True, help="Only print the SQL that makes the database and its roles.")
def migrate(print_roles: bool) -> None:
    """Brings the database to this version's tables. Safe to run again.

    On a PostgreSQL of your own an administrator runs `assay migrate --print-roles | psql ADDRESS` once before, and then
    gives assay_owner and assay_app passwords with psql's \\password.
    """
    if print_roles:
        click.echo(statements(), nl=False)
        return
    settings = enter("migrate")
    if not settings.migration_database_url:
        raise BadSetting("migration_database_url", "is not set", "the database's address with the role assay_owner")
    from assay.migrating import upgrade

    with starting():
        upgrade(settings.migration_database_url)
