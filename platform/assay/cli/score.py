"""`assay score`: files in, a ranked list out, with the engine the server uses and no server."""

import csv
import errno
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    read_models,
    visible,
)
from assay.scoring.engine import Adjustment, CompiledModel, Explanation, Part, explain
from assay.scoring.language import number
from assay.scoring.phrases import LANGUAGES
from assay.scoring.sentences import say

_REASONS = 3
#: Nobody reads further, and laying out more takes longer than scoring them.
_MOST_ROWS = 1000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Ranking:
    """Leads as one model ranks them."""

    model: CompiledModel
    leads: list[Explanation]


@click.command()
@click.argument("leads", type=click.Path(path_type=Path))
@click.option("--events", type=click.Path(path_type=Path), help="JSON lines, one event a line.")
@click.option(
    "--model",
    "models",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A model, YAML or JSON; several times for several, which may refer to one another.",
)
@click.option("--at", "instant", help="The instant to score at, ISO 8601; now when left away.")
@click.option("--format", "shape", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option("--language", type=click.Choice(LANGUAGES), help="Adds a sentence in this language to each part in JSON.")
def score(
    leads: Path, events: Path | None, models: tuple[Path, ...], instant: str | None, shape: str, language: str | None
) -> None:
    """Rank the LEADS of a CSV file by a model, with the reasons.

    LEADS has a column lead_id, one column a trait (company.employees for a company's) and, if known, first_seen_at.
    A line of the events file is {"lead_id", "message_id", "type", "occurred_at", "properties"}.
    """
    problems = Problems()
    compiled = read_models(models, problems)
    at = read_at(instant, problems)
    people = read_leads(leads, problems)
    happened = read_events(events, problems) if events is not None else []
    if problems.found:
        problems.stop()
    notes: list[str] = []
    known = of_known_leads(happened, people, notes)
    note_missing_columns(compiled, people, notes)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    lead_facts, event_facts = lead_frame(people, compiled), event_frame(known, compiled)
    rankings = [
        Ranking(model, _ranked(explain(model, lead_facts, event_facts, at), people, known, at)) for model in compiled
    ]
    try:
        if shape == "json":
            _show_json(rankings, at, language)
        elif shape == "csv":
            _show_csv(rankings)
        else:
            _show_tables(rankings, at)
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
    """Highest total first, then the latest activity, then lead_id; whom the model does not score, last."""
    latest = {lead.lead_id: lead.first_seen_at for lead in people.values()}
    for event in events:
        before = latest[event.lead_id]
        if event.discounted is not None:
            continue
        if event.occurred_at <= at and (before is None or before < event.occurred_at):
            latest[event.lead_id] = event.occurred_at

    def place(one: Explanation) -> tuple[bool, int, timedelta, str]:
        activity = latest[str(one.lead_id)] or _LONG_AGO
        return one.total is None, -(one.total or 0), _LONG_AGO - activity, str(one.lead_id)

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


def _number(points: int | None) -> int | float | None:
    return None if points is None else number(points)


def _show_json(rankings: Sequence[Ranking], at: datetime, language: str | None) -> None:
    found = [
        {"model": ranking.model.name, "leads": [_as_object(one, language) for one in ranking.leads]}
        for ranking in rankings
    ]
    document = {"at": _shown_instant(at), **(found[0] if len(found) == 1 else {"models": found})}
    _print(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _as_object(one: Explanation, language: str | None) -> dict[str, object]:
    def told(part: Part | Adjustment) -> dict[str, str]:
        return {"why": part.why} if language is None else {"why": part.why, "sentence": say(part, language)}

    return {
        "lead_id": one.lead_id,
        "applies": one.applies,
        "total": _number(one.total),
        "raw": _number(one.raw),
        "stage": one.stage,
        "grade": one.grade,
        "override": one.override,
        "disqualified": one.disqualified,
        "dimensions": {name: number(points) for name, points in one.dimensions.items()},
        "next_change": _shown_instant(one.next_change),
        "parts": [
            {
                "rule": part.rule,
                "points": number(part.points),
                "counted": part.counted,
                **told(part),
                "events": list(part.events),
            }
            for part in one.parts
        ],
        "adjustments": [{"kind": each.kind, "points": number(each.points), **told(each)} for each in one.adjustments],
    }


def _print(text: str) -> None:
    """For programs: UTF-8, whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    click.echo(text, nl=False)


def _show_csv(rankings: Sequence[Ranking]) -> None:
    """Of several models one below the other, told apart by a first column."""
    several = len(rankings) > 1
    dimensions = list(
        dict.fromkeys(dimension.name for ranking in rankings for dimension in ranking.model.model.dimensions)
    )
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    words = ["rank", "lead_id", "total", "raw", "stage", "grade", "override", "disqualified"]
    writer.writerow([*(["model"] if several else []), *words, *dimensions, "next_change", "reasons"])
    for ranking in rankings:
        for rank, one in enumerate(ranking.leads, start=1):
            writer.writerow(
                [
                    *([ranking.model.name] if several else []),
                    *(rank if one.applies else None, one.lead_id, _number(one.total), _number(one.raw)),
                    *(one.stage, one.grade, one.override, one.disqualified),
                    *(_number(one.dimensions.get(name)) for name in dimensions),
                    *(_shown_instant(one.next_change), "; ".join(_reasons(one))),
                ]
            )
    _print(rows.getvalue())


def _show_tables(rankings: Sequence[Ranking], at: datetime) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 120)
    for ranking in rankings:
        console.print(_table(ranking, at))
        if len(ranking.leads) > _MOST_ROWS:
            more = len(ranking.leads) - _MOST_ROWS
            click.echo(f"note: and {more:,} more; --format csv and json list all", err=True)


def _table(ranking: Ranking, at: datetime) -> Table:
    model, leads = ranking.model.model, ranking.leads[:_MOST_ROWS]
    # Text, not markup: a model or a lead may be called [red].
    title = Text(visible(f"{model.title or model.name}, {_shown_instant(at)}"), style="table.title")
    table = Table(title=title, title_justify="left")
    table.add_column("#", justify="right")
    table.add_column("lead", overflow="fold")
    table.add_column("total", justify="right")
    table.add_column("stage")
    table.add_column("grade")
    overridden = bool(model.overrides)
    if overridden:
        table.add_column("override")
        table.add_column("disqualified")
    table.add_column("top reasons", overflow="fold")
    for rank, one in enumerate(leads, start=1):
        reasons = ", ".join(_reasons(one)[:_REASONS]) if one.applies else "not in the audience"
        cells = [str(rank) if one.applies else "", str(one.lead_id)]
        cells += [str(number(one.total)) if one.total is not None else "", one.stage or "", one.grade or ""]
        cells += [one.override or "", one.disqualified or ""] if overridden else []
        table.add_row(*(Text(visible(cell)) for cell in (*cells, reasons)))
    return table
