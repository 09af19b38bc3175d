import time

import click

from assay.cli.entrance import as_operator, enter, starting


@click.command()
@click.option("--tenant", "tenant_id", type=int, required=True, help="The tenant's number.")
@click.option("--wait", is_flag=True, help="Wait until it is done, and say how fast it was.")
@click.option("--by", help="Who asks; default: this machine's user. The tenant reads it.")
def rescore(tenant_id: int, wait: bool, by: str | None) -> None:
    """Scores all leads of a tenant anew under all its published models; the workers do it."""
    settings = enter("rescore")
    from redis import Redis

    from assay import pipeline
    from assay.scoring import rescoring
    from assay_tenants import database

    with starting():
        database.refuse_powerful_role(database.configure(settings.database_url, pool_size=1))
        pipeline.connect(Redis.from_url(settings.redis_url))
        rescore_id = rescoring.start_all(tenant_id, reason="Asked for on the command line", by=as_operator(by))
    progress = rescoring.get_rescore(tenant_id, rescore_id)
    click.echo(f"Rescore {rescore_id}: {progress.leads} leads under {', '.join(progress.models) or 'no model'}.")
    while wait and progress.state in ("waiting", "running"):
        time.sleep(0.2)
        progress = rescoring.get_rescore(tenant_id, rescore_id)
    if wait:
        pace = f", {progress.leads_per_second:,.0f} leads a second" if progress.leads_per_second else ""
        click.echo(f"{progress.state.capitalize()}: {progress.written} scores changed{pace}.")
