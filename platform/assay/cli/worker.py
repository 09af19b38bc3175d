import os

import click

from assay.cli.entrance import enter, starting


@click.command()
@click.argument("queue")
@click.option("--with-timetable", is_flag=True, help="Also start what is due by the clock, which saves a process.")
def worker(queue: str, with_timetable: bool) -> None:
    """Works off one QUEUE: intake, scoring or sync. More speed is more processes."""
    settings = enter(f"worker {queue}")
    # Polars reads it once, when it is imported.
    os.environ.setdefault("POLARS_MAX_THREADS", str(min(4, os.cpu_count() or 1)))
    from assay.pipeline import QUEUES
    from assay.worker.service import work

    if queue not in QUEUES:
        raise click.BadParameter(f"there is no queue {queue!r}; accepted: {', '.join(QUEUES)}.", param_hint="QUEUE")
    with starting():
        work(queue, settings, keeps_time=with_timetable)
