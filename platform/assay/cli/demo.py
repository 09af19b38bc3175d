import os
import sys

import click

from assay.cli.entrance import enter
from assay.settings import Settings


@click.command()
@click.option("--trickle-only", is_flag=True, hidden=True)
def demo(trickle_only: bool) -> None:
    """Makes the demonstration tenant, sends its history and then a few events a minute."""
    settings = enter("demo")
    from assay.demo import traffic

    if trickle_only:
        traffic.trickle(settings.data_dir, settings.address, per_minute=settings.demo_events_per_minute)
        return
    prepare(settings)
    traffic.send_history(settings.data_dir, settings.address)
    # Begins anew without what making the tenant has loaded: the trickle runs for days.
    os.execv(sys.executable, [sys.executable, "-m", "assay.cli", "demo", "--trickle-only"])  # noqa: S606 # ourselves


def prepare(settings: Settings) -> None:
    from redis import Redis

    from assay import pipeline
    from assay.demo import account as accounts
    from assay.demo import connections
    from assay.guards import guard
    from assay.plugins import installed
    from assay_tenants import database

    guard(settings)
    database.refuse_powerful_role(database.configure(settings.database_url, pool_size=1))
    pipeline.connect(Redis.from_url(settings.redis_url))
    account = accounts.prepare(settings.data_dir, tracking_plugin=installed().tracking_source().name)
    leads = (
        "Its 200 made-up leads are there; a few events a minute keep their scores moving."
        if account.has_history
        else "200 made-up leads are being sent through the public endpoint; their scores appear within seconds."
    )
    connected = connections.connect_all(account, settings.data_dir, settings.address)
    joined = f"Stand-ins of {', '.join(connected)} are connected: {settings.address}/connections" if connected else ""

    click.echo(
        f"""
  Assay is ready:  {settings.address}

    e-mail         {account.email}
    password       {account.password}
    write key      {account.write_key}

  {leads}
  {joined}
"""
    )
