"""What `assay score` reads: leads, events, a model and an instant, with every mistake told at its place."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import polars as pl

from assay.profiles import machines
from assay.scoring.engine import CompiledModel, compile_model
from assay.scoring.language import (
    InvalidModel,
    Model,
    find_cycle,
    missing_dimensions,
    missing_stages,
    parse,
    references,
)
from assay.scoring.language.computed import sources
from assay_sdk.flatten import as_text, flatten

_INSTANT = pl.Datetime("us", "UTC")
_MOST_PROBLEMS = 50
_MOST_LETTERS = 1000
_LONGEST_NUMBER = 1000
#: What a hostile file could steer a terminal with.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass
class Problems:
    """Mistakes in the input, told all at once, a line each."""

    found: list[str] = field(default_factory=list)

    def add(self, path: Path | str, message: str) -> None:
        self.found.append(f"{path}: {message}")

    def stop(self) -> NoReturn:
        for problem in self.found[:_MOST_PROBLEMS]:
            click.echo(f"error: {visible(' '.join(problem.split()))}", err=True)
        if len(self.found) > _MOST_PROBLEMS:
            click.echo(f"error: and {len(self.found) - _MOST_PROBLEMS:,} more", err=True)
        sys.exit(2)


def visible(text: str) -> str:
    """Text for a terminal, of a length a person reads."""
    shown = _CONTROLS.sub("\ufffd", text)
    return shown if len(shown) <= _MOST_LETTERS else f"{shown[: _MOST_LETTERS - 1]}…"


@dataclass(frozen=True, slots=True)
class Lead:
    lead_id: str
    first_seen_at: datetime | None
    traits: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    lead_id: str
    message_id: str
    type: str
    occurred_at: datetime
    properties: Mapping[str, str | None]
    #: Why it counts nothing; None: it counts.
    discounted: str | None = None

    @property
    def order(self) -> tuple[datetime, str, str, str]:
        return (self.occurred_at, self.lead_id, self.type, json.dumps(self.properties, sort_keys=True))


def _read_text(path: Path, problems: Problems) -> str | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        problems.add(path, "there is no such file")
    except IsADirectoryError:
        problems.add(path, "is a folder, not a file")
    except OSError as error:
        problems.add(path, f"cannot be read: {error.strerror}")
    else:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            problems.add(path, f"line {line}: is not UTF-8 text")
    return None


def read_models(paths: Sequence[Path], problems: Problems) -> list[CompiledModel]:
    """Each compiled with those it refers to, in the order given; none when anything is wrong with one."""
    parsed: dict[str, Model] = {}
    places: dict[str, Path] = {}
    for path in paths:
        model = _parsed(path, problems)
        if model is None:
            continue
        if model.name in parsed:
            problems.add(path, f"model: {model.name!r} is what {places[model.name]} calls its model already")
        parsed[model.name], places[model.name] = model, path
    if problems.found:
        return []
    asked = {name: references(model) for name, model in parsed.items()}
    for name, others in asked.items():
        for other in sorted(others - parsed.keys()):
            problems.add(places[name], f"refers to the model {other!r}; give its file with another --model")
        if (cycle := find_cycle(name, asked)) is not None:
            problems.add(places[name], f"the models refer to one another in a circle: {' → '.join(cycle)}")
    if problems.found:
        return []
    for name, model in parsed.items():
        for problem in [*missing_dimensions(model, parsed), *missing_stages(model, parsed)]:
            problems.add(places[name], str(problem))
    if problems.found:
        return []
    compiled: dict[str, CompiledModel] = {}
    return [_compiled(name, parsed, compiled) for name in parsed]


def _parsed(path: Path, problems: Problems) -> Model | None:
    text = _read_text(path, problems)
    if text is None:
        return None
    try:
        return parse(text)
    except InvalidModel as error:
        for problem in error.problems:
            problems.add(path, str(problem))
    return None


def _compiled(name: str, parsed: Mapping[str, Model], compiled: dict[str, CompiledModel]) -> CompiledModel:
    if name not in compiled:
        others = {other: _compiled(other, parsed, compiled) for other in sorted(references(parsed[name]))}
        compiled[name] = compile_model(parsed[name], others)
    return compiled[name]


def read_at(text: str | None, problems: Problems) -> datetime:
    if text is not None:
        try:
            return _instant(text)
        except ValueError as error:
            problems.add("--at", str(error))
    return datetime.now(UTC)


def _instant(value: object) -> datetime:
    """An ISO 8601 instant in UTC; without an offset it is taken as UTC, a day alone as its midnight."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"{_quoted(value)} is not an instant such as 2026-03-01T09:30:00Z")


def _quoted(value: object) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}…"


def read_leads(path: Path, problems: Problems) -> dict[str, Lead]:
    text = _read_text(path, problems)
    if text is None:
        return {}
    rows = _rows(path, text, problems)
    header = next(rows, None)
    if header is None:
        if not problems.found:
            problems.add(path, "is empty; the first line must name the columns, lead_id among them")
        return {}
    columns = [name.strip() for name in header[1]]
    twice = {name for name in columns if name and columns.count(name) > 1}
    if "lead_id" not in columns or twice:
        for name in sorted(twice):
            problems.add(path, f"line 1: the column {name!r} is given twice")
        if "lead_id" not in columns:
            problems.add(path, f"line 1: has no column lead_id; found: {', '.join(columns)}")
        return {}
    found: dict[str, Lead] = {}
    lines: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != len(columns):
            cells_here = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
            problems.add(path, f"line {line}: has {cells_here} where the first line names {len(columns)} columns")
            continue
        lead = _lead(path, line, dict(zip(columns, cells, strict=True)), problems)
        if lead is None:
            continue
        if lead.lead_id in found:
            before = lines[lead.lead_id]
            problems.add(path, f"line {line}, column lead_id: {lead.lead_id!r} stands on line {before} already")
        found[lead.lead_id] = lead
        lines[lead.lead_id] = line
    return found


def _rows(path: Path, text: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """(line the row begins on, cells); blank lines are passed over."""
    # Quoted text may hold any delimiter, so only what stands outside quotes is counted.
    first = re.sub(r'"[^"]*"', "", next((line for line in text.splitlines() if line.strip()), ""))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        problems.add(path, f"line {line}: {error}")


def _lead(path: Path, line: int, cells: Mapping[str, str], problems: Problems) -> Lead | None:
    lead_id = cells["lead_id"].strip()
    if not lead_id:
        problems.add(path, f"line {line}, column lead_id: is empty")
        return None
    first_seen_at = None
    if cells.get("first_seen_at", "").strip():
        try:
            first_seen_at = _instant(cells["first_seen_at"])
        except ValueError as error:
            problems.add(path, f"line {line}, column first_seen_at: {error}")
            return None
    traits = {name: cell for name, cell in cells.items() if name not in ("lead_id", "first_seen_at", "")}
    return Lead(lead_id, first_seen_at, traits)


def read_events(path: Path, problems: Problems) -> list[Event]:
    text = _read_text(path, problems)
    if text is None:
        return []
    found: list[Event] = []
    # Only "\n" ends a line: JSON text may hold the other separators that splitlines knows.
    for place, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(_event(line))
        except ValueError as error:
            problems.add(path, f"line {place}{error}")
    return found


def _event(line: str) -> Event:
    """One event; raises ValueError with the rest of a sentence that begins with the line."""
    try:
        record = json.loads(line, parse_constant=_no_constant, parse_int=_whole)
        json.dumps(record, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f", column {error.colno}: is not JSON: {error.msg}") from None
    except UnicodeEncodeError:
        raise ValueError(": holds half of a surrogate pair, which is not text") from None
    except RecursionError:
        raise ValueError(": is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(': must be an object such as {"lead_id": …, "message_id": …, "type": …, "occurred_at": …}')
    try:
        occurred_at = _instant(record["occurred_at"]) if "occurred_at" in record else None
    except ValueError as error:
        raise ValueError(f", occurred_at: {error}") from None
    if occurred_at is None:
        raise ValueError(", occurred_at: is missing")
    properties = record.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise ValueError(f", properties: must be an object, not {_quoted(properties)}")
    event_type = record.get("type")
    if not isinstance(event_type, str) or not event_type.strip():
        raise ValueError(", type: must be the event's type, such as page.viewed")
    return Event(
        lead_id=_id(record, "lead_id"),
        message_id=_id(record, "message_id"),
        type=event_type.strip(),
        occurred_at=occurred_at,
        properties={name: as_text(value) for name, value in flatten(properties or {}).items()},
    )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f": is not JSON: {name} is no number")


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f": holds a number of {len(digits):,} digits; write it as text")
    return int(digits)


def _id(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()
    problem = "is missing" if value is None else f"must be text or a whole number, not {_quoted(value)}"
    raise ValueError(f", {name}: {problem}")


def of_known_leads(events: Sequence[Event], people: Mapping[str, Lead], notes: list[str]) -> list[Event]:
    """Each message once, of the leads in the file; which of two messages with one id stays depends on no order."""
    once: dict[str, Event] = {}
    differing = set()
    for event in events:
        other = once.setdefault(event.message_id, event)
        if event != other:
            differing.add(event.message_id)
            once[event.message_id] = min(event, other, key=lambda one: one.order)
    if differing:
        notes.append(f"{len(differing):,} message_id came with different contents; of each the earliest was kept")
    known = [event for event in once.values() if event.lead_id in people]
    if len(known) < len(once):
        notes.append(f"{len(once) - len(known):,} events of unknown leads were skipped")
    return _judged(known, notes)


def _judged(events: list[Event], notes: list[str]) -> list[Event]:
    """With why those that a machine did count nothing, as on the server."""
    mails = [event for event in events if event.type in machines.LOOKED_AT]
    if not mails:
        return events
    facts = pl.DataFrame(
        {
            "lead_id": [event.lead_id for event in mails],
            "type": [event.type for event in mails],
            "occurred_at": pl.Series([event.occurred_at for event in mails], dtype=_INSTANT),
        }
    )
    told = pl.Series([machines.told(event.properties) for event in mails], dtype=pl.String)
    reasons = machines.discounted(facts, told).to_list()
    why = {event.message_id: reason for event, reason in zip(mails, reasons, strict=True) if reason}
    if why:
        notes.append(f"opens and clicks by machines, which count nothing: {len(why):,}")
    return [replace(event, discounted=why[event.message_id]) if event.message_id in why else event for event in events]


def note_missing_columns(models: Sequence[CompiledModel], people: Mapping[str, Lead], notes: list[str]) -> None:
    first = next(iter(people.values()), None)
    if first is None:
        return
    for model in models:
        # A computed trait is told by any of those it is worked out of.
        missing = sorted(name for name in model.asked if sources([name]).isdisjoint(first.traits))
        if missing:
            which = "the model" if len(models) == 1 else f"the model {model.name}"
            notes.append(f"no column for {', '.join(missing)}, which {which} reads")


def lead_frame(people: Mapping[str, Lead], models: Sequence[CompiledModel]) -> pl.DataFrame:
    leads = list(people.values())
    columns: dict[str, pl.Series] = {
        "lead_id": pl.Series([lead.lead_id for lead in leads], dtype=pl.String),
        "first_seen_at": pl.Series([lead.first_seen_at for lead in leads], dtype=_INSTANT),
    }
    for name in sorted({name for model in models for name in model.traits}):
        columns[f"trait:{name}"] = pl.Series([lead.traits.get(name) for lead in leads], dtype=pl.String)
    return pl.DataFrame(columns)


def event_frame(events: Sequence[Event], models: Sequence[CompiledModel]) -> pl.DataFrame:
    columns: dict[str, pl.Series] = {
        "lead_id": pl.Series([event.lead_id for event in events], dtype=pl.String),
        "event_id": pl.Series([event.message_id for event in events], dtype=pl.String),
        "type": pl.Series([event.type for event in events], dtype=pl.String),
        "occurred_at": pl.Series([event.occurred_at for event in events], dtype=_INSTANT),
        machines.DISCOUNTED: pl.Series([event.discounted for event in events], dtype=pl.String),
    }
    for name in sorted({name for model in models for name in model.properties}):
        columns[f"property:{name}"] = pl.Series([event.properties.get(name) for event in events], dtype=pl.String)
    return pl.DataFrame(columns)
