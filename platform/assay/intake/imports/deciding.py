"""What a sender decides about a file: how it is read, and when; and to take it all back."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from assay.facts import ImportReceived, tell_after_commit
from assay.intake.imports import parquet, progress
from assay.intake.imports.cells import Dates
from assay.intake.imports.errors import FileRefused
from assay.intake.imports.guessing import dates_in
from assay.intake.imports.mapping import As, ColumnMapping, MappedColumn, Problem
from assay.intake.imports.models import Import, State
from assay.intake.imports.queries import import_of
from assay.intake.imports.reading import mapping_of, start_over
from assay.intake.imports.sampling import Sample, guess_of, sample_of
from assay.intake.imports.service import locked
from assay.intake.imports.storing import drop_chunks
from assay_tenants import audit
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound
from assay_tenants.plans import require_people
from assay_tenants.plans.standing import read_standing

_EXAMPLES = 3
_READY: tuple[State, ...] = ("ready",)
#: A check keeps nothing.
_RECORDED = frozenset(("started", "paused", "resumed", "cancelled", "undone"))
_WORDS: dict[State, str] = {
    "receiving": "still being received",
    "looking": "still being looked at",
    "ready": "waiting for your decision",
    "checking": "being checked",
    "waiting": "being read",
    "paused": "paused",
    "cancelled": "cancelled",
    "done": "done",
    "failed": "stopped by an error",
    "undoing": "being undone",
    "undone": "undone",
}


class Undone(Protocol):
    """What one step of undoing took back."""

    @property
    def done(self) -> bool: ...
    @property
    def identities(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def companies(self) -> int: ...


class WrongState(Conflict):
    code = "wrong_state"

    def __init__(self, state: State, what: str, accepted: Collection[State]) -> None:
        self.state = state
        when = " or ".join(_WORDS[each] for each in accepted)
        super().__init__(f"The import is {_WORDS[state]}; it can be {what} only while it is {when}.")


class TooOld(Conflict):
    code = "too_old"

    def __init__(self) -> None:
        super().__init__(
            "This file was imported by a version of Assay that did not keep apart what each file stated: it can't be "
            "taken back exactly."
        )


@dataclass(frozen=True)
class ColumnReport:
    column: str
    as_: str
    name: str | None
    examples: list[str]


@dataclass(frozen=True)
class MappingReport:
    """How a file would be read, and what is in the way."""

    mapping: ColumnMapping
    columns: list[ColumnReport]
    #: Nobody has changed it yet.
    is_guess: bool
    #: What separates the cells, whether chosen or found out; None for other files than CSV.
    delimiter: str | None
    problems: list[Problem]
    warnings: list[str]


def get_mapping(tenant_id: int, import_id: int) -> MappingReport:
    """Raises NotFound, and WrongState where there is none yet."""
    with tenant_session(tenant_id) as session:
        row = import_of(session, tenant_id, import_id)
        if row.state == "ready":
            return report_of(session, row)[0]
        mapping = mapping_of(row)
        if mapping is None:
            raise WrongState(row.state, "mapped", _READY)
        columns = [ColumnReport(each.column, each.as_, each.name, []) for each in mapping.columns]
        return MappingReport(mapping, columns, False, row.options["reading"].get("delimiter"), [], [])


def put_mapping(tenant_id: int, import_id: int, given: Mapping[str, Any]) -> MappingReport:
    """Raises BadInput, NotFound, WrongState.

    Without ``columns`` they are guessed anew, without ``dates`` these are: from what stands in the column.
    """
    with tenant_session(tenant_id) as session:
        row = decidable(session, tenant_id, import_id)
        mapping = ColumnMapping.read(given, row.kind)
        if not mapping.columns:
            mapping = _guessed_anew(session, row, given, mapping)
        elif "dates" not in given and (column := mapping.column_of("time")):
            mapping = replace(mapping, dates=_guessed_dates(session, row, mapping, column))
        row.mapping = mapping.document()
        row.report = None
        row.touched_at = datetime.now(UTC)
        return report_of(session, row)[0]


def start(tenant_id: int, import_id: int) -> None:
    """Has a file read that was looked at.

    Raises BadInput while its mapping has problems, NotFound, WrongState, and PlanLimit.
    """
    _begin(tenant_id, import_id, "waiting", "started")


def check(tenant_id: int, import_id: int) -> None:
    """Has the whole file read without keeping anything. Raises what ``start`` does."""
    _begin(tenant_id, import_id, "checking", "checked")


def pause(tenant_id: int, import_id: int) -> None:
    def paused(_: Session, row: Import) -> None:
        row.state = "paused"
        row.options = {**row.options, "reading": progress.rested(row.options["reading"])}

    _change(tenant_id, import_id, "paused", ("waiting",), paused)


def hold(session: Session, row: Import) -> bool:
    """Pauses it, part of the transaction, where the plan holds no more than was taken in; tells whether it did."""
    standing = read_standing(session, row.tenant_id)
    why = standing.refuses_events if row.kind == "events" else standing.refuses_people
    if why is None:
        return False
    row.state = "paused"
    row.error = f"{why}. What was read so far was taken in; choose a larger plan under Settings, then go on."
    row.options = {**row.options, "reading": progress.rested(row.options["reading"])}
    row.touched_at = datetime.now(UTC)
    return True


def resume(tenant_id: int, import_id: int) -> None:
    """Raises PlanLimit too."""

    def resumed(session: Session, row: Import) -> None:
        require_people(session, tenant_id)
        row.state, row.error = "waiting", None
        tell_after_commit(session, ImportReceived(tenant_id))

    _change(tenant_id, import_id, "resumed", ("paused",), resumed)


def cancel(tenant_id: int, import_id: int) -> None:
    """What was taken in stays, and can be undone; a check that is cancelled leaves the file as it was."""

    def cancelled(session: Session, row: Import) -> None:
        if row.state == "checking":
            start_over(session, row)
            row.state, row.report = "ready", None
            return
        row.state, row.finished_at = "cancelled", datetime.now(UTC)
        drop_chunks(session, tenant_id, import_id)
        parquet.forget(row)

    accepted: tuple[State, ...] = ("receiving", "looking", "ready", "checking", "waiting", "paused")
    _change(tenant_id, import_id, "cancelled", accepted, cancelled)


def undo(tenant_id: int, import_id: int) -> None:
    """Has all that it brought taken back, in the background. Raises NotFound, WrongState and TooOld."""

    def undone(session: Session, row: Import) -> None:
        if row.touched_at is None:
            raise TooOld
        drop_chunks(session, tenant_id, import_id)
        row.state, row.finished_at = "undoing", None
        row.report = {**(row.report or {}), "undone": {}}
        tell_after_commit(session, ImportReceived(tenant_id))

    _change(tenant_id, import_id, "undone", ("done", "failed", "cancelled", "paused"), undone)


def note_undone(row: Import, step: Undone) -> None:
    """A step of taking it back was made in this transaction."""
    before = (row.report or {}).get("undone", {})
    counts = {name: before.get(name, 0) + getattr(step, name) for name in ("identities", "events", "companies")}
    row.report = {**(row.report or {}), "undone": counts}
    if step.done:
        row.state, row.finished_at = "undone", datetime.now(UTC)


def look(session: Session, row: Import) -> None:
    """A worker's part in receiving a file that is no text."""
    try:
        parquet.look(session, row)
    except FileRefused as refused:
        row.state, row.error, row.finished_at = "failed", str(refused), datetime.now(UTC)
        drop_chunks(session, row.tenant_id, row.id)
        parquet.forget(row)
    else:
        row.state = "ready"


def report_of(session: Session, row: Import) -> tuple[MappingReport, Sample | None]:
    """Also the first rows; None when the file can't be read like this."""
    chosen = mapping_of(row)
    try:
        sample = sample_of(session, row, chosen)
    except FileRefused as refused:
        mapping = chosen or ColumnMapping()
        report = MappingReport(mapping, [], chosen is None, None, [Problem(str(refused))], [])
        return report, None
    guessed = guess_of(row, sample)
    mapping = chosen or guessed.mapping
    strict = row.format != "jsonl"
    problems = mapping.problems(row.kind, sample.names if strict else None)
    warnings = list(guessed.warnings) if chosen is None else _still_true(guessed.warnings, mapping)
    columns = _columns(row, mapping, sample)
    report = MappingReport(mapping, columns, chosen is None, sample.delimiter, problems, warnings)
    return report, sample


def _columns(row: Import, mapping: ColumnMapping, sample: Sample) -> list[ColumnReport]:
    listed = {each.column: each for each in mapping.columns}
    rest: As = "ignore" if mapping.others == "ignore" else "property" if row.kind == "events" else "trait"
    found = []
    for name in dict.fromkeys([*sample.names, *listed]):
        entry = listed.get(name) or MappedColumn(name, rest)
        found.append(ColumnReport(name, entry.as_, entry.name, sample.values.get(name, [])[:_EXAMPLES]))
    return found


def _still_true(warnings: tuple[str, ...], mapping: ColumnMapping) -> list[str]:
    """Once somebody decided, only what decisions can't settle is repeated."""
    return [each for each in warnings if mapping.numbers != "comma" or "decimal comma" not in each]


def _guessed_anew(session: Session, row: Import, given: Mapping[str, Any], mapping: ColumnMapping) -> ColumnMapping:
    try:
        sample = sample_of(session, row, mapping)
    except FileRefused:
        return mapping
    guessed = guess_of(row, sample).mapping.document()
    said = {name: value for name, value in mapping.document().items() if name in given and name != "columns"}
    return ColumnMapping.read({**guessed, **said}, row.kind)


def _guessed_dates(session: Session, row: Import, mapping: ColumnMapping, column: str) -> Dates | None:
    try:
        return dates_in(column, sample_of(session, row, mapping).values)
    except FileRefused:
        return "iso"


def _begin(tenant_id: int, import_id: int, state: State, what: str) -> None:
    def begun(session: Session, row: Import) -> None:
        report, _ = report_of(session, row)
        if report.problems:
            problem = report.problems[0]
            raise BadInput(" ".join(each.message for each in report.problems), field=problem.field)
        if state == "waiting":
            # The plan held it when the file was sent, which may be long ago.
            require_people(session, tenant_id)
        start_over(session, row)
        row.mapping = report.mapping.document()
        row.report = None
        row.state = state
        tell_after_commit(session, ImportReceived(tenant_id))

    _change(tenant_id, import_id, what, ("ready",), begun)


def decidable(session: Session, tenant_id: int, import_id: int) -> Import:
    """An import that waits for a decision, locked. Raises NotFound and WrongState."""
    row = locked(session, tenant_id, min(import_id, LARGEST_ID))
    if row is None:
        raise NotFound("import")
    if row.state != "ready":
        raise WrongState(row.state, "mapped", _READY)
    return row


def _change(
    tenant_id: int,
    import_id: int,
    what: str,
    accepted: tuple[State, ...],
    change: Callable[[Session, Import], None],
) -> None:
    with tenant_session(tenant_id) as session:
        row = locked(session, tenant_id, min(import_id, LARGEST_ID))
        if row is None:
            raise NotFound("import")
        if row.state not in accepted:
            raise WrongState(row.state, what, accepted)
        before = row.state
        change(session, row)
        row.touched_at = datetime.now(UTC)
        if what in _RECORDED:
            told = ({"state": state} for state in (before, row.state))
            audit.record(session, tenant_id, f"import.{what}", import_id, before=next(told), after=next(told))
