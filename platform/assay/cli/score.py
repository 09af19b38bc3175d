"""`assay score`: files in, a ranked list out, with the engine the server uses and no server."""

import csv
import errno
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assay.cli.score_input import (
    Event,
    Lead,
    Problems,
    event_frame,
    lead_frame,
    note_missing_columns,
    of_known_leads,
    read_at,
    read_events,
    read_leads,
    read_model,
    visible,
)
from assay.scoring.engine import CompiledModel, Explanation, explain
from assay.scoring.language import number

_REASONS = 3
#: Nobody reads further, and laying out more takes longer than scoring them.
_MOST_ROWS = 1000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@click.command()
@click.argument("leads", type=click.Path(path_type=Path))
@click.option("--events", type=click.Path(path_type=Path), help="JSON lines, one event a line.")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model, YAML or JSON.")
@click.option("--at", "instant", help="The instant to score at, ISO 8601; now when left away.")
@click.option("--format", "shape", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def score(leads: Path, events: Path | None, model: Path, instant: str | None, shape: str) -> None:
    """Rank the LEADS of a CSV file by a model, with the reasons.

    LEADS has a column lead_id, one column a trait (company.employees for a company's) and, if known, first_seen_at.
    A line of the events file is {"lead_id", "message_id", "type", "occurred_at", "properties"}.
    """
    problems = Problems()
    compiled = read_model(model, problems)
    at = read_at(instant, problems)
    people = read_leads(leads, problems)
    happened = read_events(events, problems) if events is not None else []
    if problems.found or compiled is None:
        problems.stop()
    notes: list[str] = []
    known = of_known_leads(happened, people, notes)
    note_missing_columns(compiled, people, notes)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    explained = explain(compiled, lead_frame(people, compiled), event_frame(known, compiled), at)
    ranked = _ranked(explained, people, known, at)
    try:
        {"table": _show_table, "json": _show_json, "csv": _show_csv}[shape](compiled, ranked, at)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        click.echo(f"error: the answer cannot be written: {error.strerror}", err=True)
        # Python flushes once more at the end, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _ranked(
    explained: Sequence[Explanation], people: Mapping[str, Lead], events: Sequence[Event], at: datetime
) -> list[Explanation]:
    """Highest total first, then the latest activity, then lead_id."""
    latest = {lead.lead_id: lead.first_seen_at for lead in people.values()}
    for event in events:
        before = latest[event.lead_id]
        if event.occurred_at <= at and (before is None or before < event.occurred_at):
            latest[event.lead_id] = event.occurred_at

    def place(one: Explanation) -> tuple[int, timedelta, str]:
        activity = latest[str(one.lead_id)] or _LONG_AGO
        return -one.total, _LONG_AGO - activity, str(one.lead_id)

    return sorted(explained, key=place)


def _shown_instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _reasons(one: Explanation) -> list[str]:
    """The rules that moved the score most, largest first."""
    by_rule: dict[str, int] = {}
    for part in one.parts:
        by_rule[part.rule] = by_rule.get(part.rule, 0) + part.points
    largest = sorted((rule for rule in by_rule if by_rule[rule]), key=lambda rule: -abs(by_rule[rule]))
    return [f"{number(by_rule[rule]):+} {rule}" for rule in largest]


def _show_json(model: CompiledModel, ranked: Sequence[Explanation], at: datetime) -> None:
    leads = [
        {
            "lead_id": one.lead_id,
            "total": number(one.total),
            "raw": number(one.raw),
            "stage": one.stage,
            "grade": one.grade,
            "dimensions": {name: number(points) for name, points in one.dimensions.items()},
            "next_change": _shown_instant(one.next_change),
            "parts": [
                {
                    "rule": part.rule,
                    "points": number(part.points),
                    "counted": part.counted,
                    "why": part.why,
                    "events": list(part.events),
                }
                for part in one.parts
            ],
        }
        for one in ranked
    ]
    document = {"at": _shown_instant(at), "model": model.name, "leads": leads}
    _print(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _print(text: str) -> None:
    """For programs: UTF-8, whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    click.echo(text, nl=False)


def _show_csv(model: CompiledModel, ranked: Sequence[Explanation], at: datetime) -> None:
    dimensions = [dimension.name for dimension in model.model.dimensions]
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["rank", "lead_id", "total", "raw", "stage", "grade", *dimensions, "next_change", "reasons"])
    for rank, one in enumerate(ranked, start=1):
        points = [number(one.dimensions[name]) for name in dimensions]
        change = _shown_instant(one.next_change)
        reasons = "; ".join(_reasons(one))
        writer.writerow(
            [rank, one.lead_id, number(one.total), number(one.raw), one.stage, one.grade, *points, change, reasons]
        )
    _print(rows.getvalue())


def _show_table(model: CompiledModel, ranked: Sequence[Explanation], at: datetime) -> None:
    # Text, not markup: a model or a lead may be called [red].
    title = Text(visible(f"{model.model.title or model.name}, {_shown_instant(at)}"), style="table.title")
    table = Table(title=title, title_justify="left")
    table.add_column("#", justify="right")
    table.add_column("lead", overflow="fold")
    table.add_column("total", justify="right")
    table.add_column("stage")
    table.add_column("grade")
    table.add_column("top reasons", overflow="fold")
    for rank, one in enumerate(ranked[:_MOST_ROWS], start=1):
        reasons = ", ".join(_reasons(one)[:_REASONS])
        cells = [str(rank), str(one.lead_id), str(number(one.total)), one.stage or "", one.grade or "", reasons]
        table.add_row(*(Text(visible(cell)) for cell in cells))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 120)
    console.print(table)
    if len(ranked) > _MOST_ROWS:
        click.echo(f"note: and {len(ranked) - _MOST_ROWS:,} more; --format csv and json list all", err=True)
