"""Which column of a file says what, for one set of columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count
from typing import Self

from assay.intake.imports.cells import cell_value
from assay.intake.imports.errors import FileRefused
from assay.intake.imports.mapping import As, ColumnMapping, MappedColumn
from assay.intake.imports.models import Kind
from assay.intake.imports.options import Options
from assay.intake.imports.refusals import unescaped

COMPANY = "company."
#: What the columns of a file of refused rows are called that say why each was refused.
ROW, COLUMN, REASON = OURS = ("assay:row", "assay:column", "assay:reason")
#: Under this name stands a line that was no JSON; whoever mends it puts an object in its place.
LINE = "assay:line"

_IDS = ("lead_id", "user_id", "id")
_EMAILS = ("email", "e_mail", "email_address")
_ANONYMOUS = ("anonymous_id",)
_COMPANY_KEYS = ("company.id", "company_id", "company.domain", "company_domain")
_STATED = ("updated_at", "at")
_OCCURRED = ("occurred_at", "timestamp", "at")
_NESTED: dict[Kind, str] = {"leads": "traits.", "events": "properties."}
_MOST = 2_000
_LONGEST = 200


@dataclass(frozen=True)
class Columns:
    """Names of columns, as the file spells them."""

    id: str | None
    email: str | None
    anonymous_id: str | None
    time: str | None
    type: str | None
    message_id: str | None
    company_key: str | None
    #: A vendor's name and the column with its ids of people, in the vendors' order.
    vendors: tuple[tuple[str, str], ...]
    #: Column and what its trait or property is called; of two columns called the same, the later one stands.
    named: tuple[tuple[str, str], ...]
    mapping: ColumnMapping
    #: The file is one of refused rows that was mended, and its cells are written as we write them.
    is_ours: bool

    @classmethod
    def of(cls, names: Sequence[str], kind: Kind, options: Options) -> Self:
        """By their names alone. Raises FileRefused when one that was asked for, or that events need, is not there."""
        return cls.mapped(names, kind, by_names(names, kind, options))

    @classmethod
    def mapped(cls, names: Sequence[str], kind: Kind, mapping: ColumnMapping) -> Self:
        """Columns that the mapping names and this set has not are empty."""
        by_column = {each.column: each for each in mapping.columns}
        single = {each.as_: each.column for each in by_column.values()}
        events = kind == "events"
        return cls(
            id=single.get("user_id"),
            email=single.get("email"),
            anonymous_id=single.get("anonymous_id"),
            time=single.get("time"),
            type=single.get("type"),
            message_id=single.get("message_id"),
            company_key=None if events else single.get("company_id"),
            vendors=tuple(sorted((each.called, each.column) for each in by_column.values() if each.as_ == "vendor_id")),
            named=_named(names, kind, mapping, by_column),
            mapping=mapping,
            is_ours=REASON in names,
        )

    @cached_property
    def identifying(self) -> tuple[str, ...]:
        return (
            *(name for name in (self.id, self.email, self.anonymous_id) if name),
            *(column for _, column in self.vendors),
        )

    @cached_property
    def texts(self) -> frozenset[str]:
        """Columns whose text is never a number."""
        taken = (self.time, self.type, self.message_id, self.company_key)
        return frozenset(self.identifying).union(name for name in taken if name)


@lru_cache(maxsize=1_000)
def of_line(names: tuple[str, ...], kind: Kind, options: Options) -> Columns:
    """Lines of JSON have columns of their own each, yet mostly the same ones."""
    return Columns.of(names, kind, options)


@lru_cache(maxsize=1_000)
def of_mapped_line(names: tuple[str, ...], kind: Kind, mapping: ColumnMapping) -> Columns:
    return Columns.mapped(names, kind, mapping)


def by_names(names: Sequence[str], kind: Kind, options: Options) -> ColumnMapping:
    """The usual names; all other columns are kept. Raises FileRefused as ``Columns.of`` does."""
    events = kind == "events"
    found: dict[As, str | None] = {
        "user_id": _chosen(names, options.id_column, _IDS),
        "email": _chosen(names, options.email_column, _EMAILS),
        "anonymous_id": _find(names, _ANONYMOUS),
        "time": _chosen(names, options.time_column, _OCCURRED if events else _STATED),
        "type": _find(names, ("type",)) if events and options.type is None else None,
        "message_id": _find(names, ("message_id",)) if events else None,
        "company_id": None if events else _find(names, _COMPANY_KEYS),
    }
    if events:
        _check_events(names, found, options)
    columns = [MappedColumn(column, as_) for as_, column in found.items() if column and as_ != "company_id"]
    if key := found["company_id"]:
        # The company keeps its id as a trait, where the column is called as one.
        columns.append(MappedColumn(key, "company_id", key))
    return ColumnMapping.read(
        {
            "columns": [{"column": each.column, "as": each.as_, "name": each.name} for each in columns],
            **options.how,
        },
        kind,
    )


def _check_events(names: Sequence[str], found: Mapping[As, str | None], options: Options) -> None:
    missing = [
        what
        for what, is_there in (
            ("type", found["type"] or options.type),
            ("occurred_at", found["time"]),
            (
                "lead_id, user_id, email or anonymous_id",
                found["user_id"] or found["email"] or found["anonymous_id"],
            ),
        )
        if not is_there
    ]
    if missing:
        raise FileRefused(
            f"A file of events needs the columns type, occurred_at, and lead_id, user_id, email or anonymous_id; "
            f"missing: {'; '.join(missing)}. Its columns are {listed(names)}."
        )


def _named(
    names: Sequence[str], kind: Kind, mapping: ColumnMapping, by_column: Mapping[str, MappedColumn]
) -> tuple[tuple[str, str], ...]:
    """Traits and properties; what stands inside of a JSON object gives way to what stands beside it."""
    nested = _NESTED[kind]
    inner: list[tuple[str, str]] = []
    outer: list[tuple[str, str]] = []
    for column in names:
        if column in OURS:
            continue
        entry = by_column.get(column)
        if entry is None:
            if mapping.others == "keep":
                (inner if column.startswith(nested) else outer).append((column, column.removeprefix(nested)))
        elif entry.as_ in ("trait", "property"):
            outer.append((column, entry.name or column.removeprefix(nested)))
        elif entry.as_ == "company_trait":
            outer.append((column, COMPANY + entry.called.removeprefix(COMPANY)))
        elif entry.as_ == "company_id" and entry.name:
            outer.append((column, entry.name))
    return (*inner, *outer)


def heading_of(cells: Sequence[str]) -> list[str]:
    """The names of the columns; raises FileRefused when the first row does not name them."""
    names = [cell.strip() for cell in cells]
    if REASON in names:
        names = [unescaped(name) for name in names]
    if len(names) > _MOST:
        raise FileRefused(f"The file has {len(names):,} columns; at most {_MOST:,} are accepted.")
    unnamed = names.count("")
    if unnamed * 2 > len(names):
        raise FileRefused(f"{unnamed} of {len(names)} columns have no name. The first row must name the columns.")
    for number, name in enumerate(names, start=1):
        if len(name) > _LONGEST:
            raise FileRefused(f"The name of column {number} has more than {_LONGEST} characters: {name[:40]!r}…")
    if all(not isinstance(cell_value(name), str) for name in names) or any("@" in name for name in names):
        raise FileRefused(f"The first row must name the columns; this one looks like a lead: {listed(names)}.")
    return _told_apart(names)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Columns without a name get one from their place; of two that share one the second is told by a number."""
    told: dict[str, None] = {}
    for number, given in enumerate(names, start=1):
        name = given or f"Column {number}"
        if name in told or (not given and name in names):
            name = next(each for each in (f"{name} ({n})" for n in count(2)) if each not in told and each not in names)
        told[name] = None
    return list(told)


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:30])
    return f"{shown} and {len(names) - 30} more" if len(names) > 30 else shown


def _chosen(names: Sequence[str], wanted: str | None, usual: Iterable[str]) -> str | None:
    if wanted is None:
        return _find(names, usual)
    if wanted not in names:
        raise FileRefused(f"There is no column {wanted!r}. The columns are {listed(names)}.")
    return wanted


def _find(names: Iterable[str], usual: Iterable[str]) -> str | None:
    spelled = {name.lower().replace(" ", "_").replace("-", "_"): name for name in names}
    return next((spelled[name] for name in usual if name in spelled), None)
