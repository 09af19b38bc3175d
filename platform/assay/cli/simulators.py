import click

from assay.cli.entrance import enter


@click.command()
def simulators() -> None:
    """Stand-ins of the vendors that plugins speak with; `run` starts it for the demonstration."""
    settings = enter("simulators")
    from assay.demo import stand_ins

    stand_ins.serve(settings.data_dir, address=settings.address, per_minute=settings.demo_events_per_minute)
