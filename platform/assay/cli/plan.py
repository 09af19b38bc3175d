import click

from assay.cli.entrance import as_operator, enter, starting


@click.group()
def plan() -> None:
    """Which plan a tenant is on, and which there are."""


@plan.command("list")
def list_plans() -> None:
    """The plans of this installation."""
    settings = enter("plan")
    from rich.console import Console
    from rich.table import Table

    from assay.guards import offer_plans
    from assay_tenants import plans

    offer_plans(settings)
    columns = ("events_per_month", "events_at_most", "leads", "leads_at_most", "models", "members", "trial_days")
    table = Table("plan", *(name.replace("_", " ") for name in columns), "offered")
    for each in plans.plans():
        values = (getattr(each, name) for name in columns)
        shown = ("no limit" if value is None else f"{value:,}" for value in values)
        table.add_row(each.name, *shown, "yes" if each.offered else "no")
    Console(width=140).print(table)


@plan.command("set")
@click.option("--tenant", "tenant_id", type=click.IntRange(1), required=True, help="The tenant's number.")
@click.option("--by", help="Who asks; default: this machine's user. The tenant reads it.")
@click.argument("name")
def set_plan(tenant_id: int, name: str, by: str | None) -> None:
    """Puts a tenant on the plan NAME; a trial begins anew."""
    settings = enter("plan")
    from assay.guards import offer_plans
    from assay_tenants import database, plans
    from assay_tenants.errors import AssayError

    offer_plans(settings)
    with starting():
        database.refuse_powerful_role(database.configure(settings.database_url, pool_size=1))
        as_operator(by)
        try:
            plans.get_standing(tenant_id)
            changed = plans.change_plan(tenant_id, name)
        except AssayError as error:
            raise click.ClickException(error.message) from None
    click.echo(f"Tenant {tenant_id} is on the plan {changed.title}.")
