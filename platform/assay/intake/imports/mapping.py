"""What each column of a file says, as its sender decided or as it was guessed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Self, cast, get_args
from zoneinfo import ZoneInfo

from assay.intake.imports.cells import Dates, Numbers
from assay.intake.imports.models import Kind
from assay.intake.imports.options import delimiter_named
from assay_tenants.errors import BadInput

As = Literal[
    "user_id",
    "email",
    "anonymous_id",
    "vendor_id",
    "time",
    "type",
    "message_id",
    "company_id",
    "trait",
    "company_trait",
    "property",
    "ignore",
]
Others = Literal["keep", "ignore"]
#: None: found out, which is UTF-8 or else Windows-1252.
Encoding = Literal["utf-8", "windows-1252", "windows-1250", "windows-1258", "gb18030"]

WORDS: dict[As, str] = {
    "user_id": "your own id of the person",
    "email": "the e-mail address",
    "anonymous_id": "the id of a browser or device",
    "vendor_id": "another system's id of the person",
    "time": "the time",
    "type": "the type of the event",
    "message_id": "the id of the event",
    "company_id": "the id of the company",
    "trait": "a trait",
    "company_trait": "a trait of the company",
    "property": "a property",
    "ignore": "ignored",
}
#: At most one column each.
SINGLE: frozenset[As] = frozenset(("user_id", "email", "anonymous_id", "time", "type", "message_id", "company_id"))
#: Those that have a name: the vendor's, the trait's, the property's.
NAMED: frozenset[As] = frozenset(("vendor_id", "trait", "company_trait", "property", "company_id"))
IDENTIFYING: frozenset[As] = frozenset(("user_id", "email", "anonymous_id", "vendor_id"))
OF_KIND: dict[Kind, tuple[As, ...]] = {
    "leads": (
        "user_id", "email", "anonymous_id", "vendor_id", "time", "company_id", "trait", "company_trait", "ignore",
    ),
    "events": (
        "user_id", "email", "anonymous_id", "vendor_id", "time", "type", "message_id", "property", "ignore",
    ),
}  # fmt: skip
_LONGEST = 200
_MOST = 2_000
_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_VENDOR = re.compile(r"[a-z0-9_]{1,40}")
# Such names say which rows have no identifier at all.
_OURS = "import"
_FIELDS = ("columns", "others", "type", "dates", "time_zone", "numbers", "delimiter", "encoding")


@dataclass(frozen=True)
class Problem:
    """Why a file can't be read like this; ``column`` is the one to look at, if it is one."""

    message: str
    column: str | None = None
    field: str = "columns"


@dataclass(frozen=True)
class MappedColumn:
    column: str
    as_: As
    #: Of the trait, the property or the vendor; None: the column's own.
    name: str | None = None

    @property
    def called(self) -> str:
        return self.name or self.column


@dataclass(frozen=True)
class ColumnMapping:
    columns: tuple[MappedColumn, ...] = ()
    #: Columns that are not listed: traits or properties under their own names, or nothing.
    others: Others = "keep"
    #: Of all events, where no column says it.
    type: str | None = None
    #: None: it could be read in two ways, and nobody chose yet.
    dates: Dates | None = "iso"
    #: Of instants that don't say theirs.
    time_zone: str = "UTC"
    numbers: Numbers = "point"
    #: None: found out.
    delimiter: str | None = None
    encoding: Encoding | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any], kind: Kind) -> Self:
        """Raises BadInput that names the field. What may be missing for now is told by ``problems``."""
        for name in given:
            if name not in _FIELDS:
                raise BadInput(f"There is no field {name!r}. Accepted: {', '.join(_FIELDS)}.", field=str(name))
        columns = given.get("columns") or []
        if not isinstance(columns, Sequence) or isinstance(columns, str) or len(columns) > _MOST:
            raise BadInput(f"This must be a list of at most {_MOST:,} columns.", field="columns")
        zone = _text(given.get("time_zone"), "time_zone") or "UTC"
        if _zone(zone) is None:
            raise BadInput(
                f"There is no time zone {zone!r}. Accepted are names such as UTC or Asia/Ho_Chi_Minh.",
                field="time_zone",
            )
        type_ = _text(given.get("type"), "type")
        if type_ is not None and not _TYPE.fullmatch(type_):
            raise BadInput(f"A type is dotted lower-case words, such as page.viewed; not {type_!r}.", field="type")
        return cls(
            columns=tuple(_column(each, kind, f"columns[{number}]") for number, each in enumerate(columns)),
            others=cast(Others, _one_of(given, "others", get_args(Others)) or "keep"),
            type=type_,
            dates=cast(Dates | None, _one_of(given, "dates", get_args(Dates))) if "dates" in given else "iso",
            time_zone=zone,
            numbers=cast(Numbers, _one_of(given, "numbers", get_args(Numbers)) or "point"),
            delimiter=delimiter_named(_text(given.get("delimiter"), "delimiter")),
            encoding=cast(Encoding | None, _one_of(given, "encoding", get_args(Encoding))),
        )

    def document(self) -> dict[str, Any]:
        """What ``read`` takes."""
        columns = [{"column": each.column, "as": each.as_, "name": each.name} for each in self.columns]
        rest = {name: getattr(self, name) for name in _FIELDS if name != "columns"}
        return {"columns": columns, **rest}

    @property
    def zone(self) -> ZoneInfo:
        zone = _zone(self.time_zone)
        if zone is None:
            raise BadInput(f"There is no time zone {self.time_zone!r}.", field="time_zone")
        return zone

    def column_of(self, as_: As) -> str | None:
        return next((each.column for each in self.columns if each.as_ == as_), None)

    def problems(self, kind: Kind, names: Sequence[str] | None) -> list[Problem]:
        """What keeps the file from being read; ``names`` are its columns, None where each row has its own."""
        found = [*self._strangers(names), *self._twice()]
        found += [
            Problem(f"Say whose id the column {each.column!r} is, such as hubspot.", each.column)
            for each in self.columns
            if each.as_ == "vendor_id" and each.name is None
        ]
        has = {each.as_ for each in self.columns}
        if kind == "events":
            if not has & IDENTIFYING:
                found.append(Problem("Say which column tells who did it: an id or an e-mail address."))
            if "type" not in has and self.type is None:
                found.append(
                    Problem("Say which column has the type of the events, or give one type for all.", field="type")
                )
            if "time" not in has:
                found.append(Problem("Say which column tells when the events happened."))
        if self.dates is None and "time" in has:
            column = self.column_of("time")
            found.append(
                Problem(
                    f"The dates in {column!r} can be read as day/month or as month/day. Choose how they are written.",
                    column,
                    field="dates",
                )
            )
        return found

    def _strangers(self, names: Sequence[str] | None) -> list[Problem]:
        known = set(names or ())
        return [
            Problem(f"There is no column {each.column!r}.", each.column)
            for each in self.columns
            if names is not None and each.column not in known
        ]

    def _twice(self) -> list[Problem]:
        found = []
        listed: set[str] = set()
        taken: dict[tuple[str, str], str] = {}
        for each in self.columns:
            if each.column in listed:
                found.append(Problem(f"The column {each.column!r} is listed twice.", each.column))
            listed.add(each.column)
            if each.as_ == "ignore":
                continue
            key = (each.as_, "" if each.as_ in SINGLE else each.called)
            if key in taken:
                what = WORDS[each.as_] + (f" {key[1]!r}" if key[1] else "")
                found.append(
                    Problem(f"Both {taken[key]!r} and {each.column!r} are {what}; only one can be.", each.column)
                )
            taken.setdefault(key, each.column)
        return found


@dataclass(frozen=True)
class Guess:
    """A mapping that was guessed, and what its reader should have a look at."""

    mapping: ColumnMapping
    warnings: tuple[str, ...] = field(default=())


@cache
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None


def _column(given: object, kind: Kind, path: str) -> MappedColumn:
    if not isinstance(given, Mapping):
        raise BadInput("This must be an object with column, as and perhaps name.", field=path)
    for key in given:
        if key not in ("column", "as", "name"):
            raise BadInput(f"There is no field {key!r}. Accepted: column, as, name.", field=f"{path}.{key}")
    column = _text(given.get("column"), f"{path}.column")
    if column is None:
        raise BadInput("This is needed: the column's name, as the file spells it.", field=f"{path}.column")
    as_ = given.get("as")
    if as_ not in OF_KIND[kind]:
        raise BadInput(
            f"The column {column!r} can't be {as_!r} in a file of {kind}. Accepted: {', '.join(OF_KIND[kind])}.",
            field=f"{path}.as",
        )
    name = _text(given.get("name"), f"{path}.name")
    if name is not None and as_ not in NAMED:
        raise BadInput(f"The column {column!r} has no name: it is {WORDS[as_]}.", field=f"{path}.name")
    if as_ == "vendor_id" and name is not None and (name == _OURS or not _VENDOR.fullmatch(name)):
        raise BadInput(
            f"Say whose id the column {column!r} is: a short name of small letters, digits and _, such as hubspot.",
            field=f"{path}.name",
        )
    return MappedColumn(column, as_, name)


def _text(given: object, path: str) -> str | None:
    """Empty texts count as not given, as forms send them."""
    if given is None or given == "":
        return None
    if not isinstance(given, str) or len(given) > _LONGEST or "\0" in given:
        raise BadInput(f"This must be a text of at most {_LONGEST} characters.", field=path)
    return given


def _one_of(given: Mapping[str, Any], name: str, accepted: Sequence[str]) -> str | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    if value not in accepted:
        raise BadInput(f"This can't be {value!r}. Accepted: {', '.join(accepted)}.", field=name)
    return str(value)
