import click

from assay.cli.entrance import enter


@click.command()
def timetable() -> None:
    """Starts what is due by the clock. One is enough; several don't harm."""
    settings = enter("timetable")
    from assay.worker.timetable import keep_time

    keep_time(settings)
