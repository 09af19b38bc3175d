"""Lines of JSON that are surely good events become columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from assay.canonical import canonical
from assay.intake.imports.columns import LINE, Columns
from assay.intake.imports.errors import FileRefused
from assay.intake.imports.event_columns import CONTROL, Draft, Origin, Split, completed
from assay.intake.imports.mapping import MappedColumn
from assay.intake.imports.rows import Reader

if TYPE_CHECKING:
    import polars as pl

_INNER = "properties"
_DOTTED = "properties."
_NOTHING = type(None)
# How the one letter begins that can't be kept, and others that are read as single rows too.
_PERHAPS_ZERO = "\\u"
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()


@dataclass(frozen=True)
class Plan:
    """How objects with one set of names are read."""

    columns: Columns
    #: Where each text stands, in the order of ``Gathered.texts``; None: nowhere.
    places: tuple[str | None, ...]
    #: Names outside of ``properties`` and what they are called.
    outer: tuple[tuple[str, str], ...]


@dataclass
class Gathered:
    """Columns while they grow."""

    vendors: tuple[str, ...]
    numbers: list[int] = field(default_factory=list)
    #: User id, e-mail, anonymous id, time, type, message id, then the vendors'; as they came.
    texts: tuple[list[Any], ...] = ()
    properties: list[dict[str, Any]] = field(default_factory=list)
    #: Places of properties with numbers that are written otherwise than we write them.
    odd: list[int] = field(default_factory=list)
    width: int = 0

    def __post_init__(self) -> None:
        self.texts = tuple([] for _ in range(6 + len(self.vendors)))


class LineReader:
    """Reads objects by the names they have, remembering what those mean."""

    def __init__(self, reader: Reader, vendors: tuple[str, ...]) -> None:
        self._reader = reader
        self._plans: dict[tuple[str, ...], Plan | None] = {}
        self._told = _told_inside(reader)
        self._inner = _renaming(reader, self._told)
        self._found = Gathered(vendors)

    def take(self, number: int, document: object) -> bool:
        """False where it is left to be read as a single row."""
        if type(document) is not dict:
            return False
        names = tuple(document)
        if None in document.values():
            names = tuple(name for name, value in document.items() if value is not None)
        plan = self._plans.get(names) if names in self._plans else self._plan(names)
        if plan is None:
            return False
        properties = self._properties(document, plan)
        if properties is None:
            return False
        found = self._found
        odd = False
        for value in properties.values():
            kind = type(value)
            if kind is int:
                if not _SMALLEST <= value <= _LARGEST:
                    return False
            elif kind is float:
                odd = odd or not 1e-4 <= value < 1e15
            elif kind is not str and kind is not bool:
                return False
        if odd:
            found.odd.append(len(found.numbers))
        found.numbers.append(number)
        found.properties.append(properties)
        if len(properties) > found.width:
            found.width = len(properties)
        for column, place in zip(found.texts, plan.places, strict=True):
            column.append(document.get(place) if place is not None else None)
        return True

    def finish(self, origin: Origin) -> Split:
        """Also the numbers of rows that were taken, yet turn out not to be plain."""
        found = self._found
        if not found.numbers:
            return None, set()
        said = self._json()
        plain = ~said.str.contains(_PERHAPS_ZERO, literal=True)
        texts = []
        for values in found.texts:
            text, is_plain = _texts(values)
            plain &= is_plain
            texts.append(text)
        user_id, email, anonymous_id, time, type_, sender, *vendors = texts
        if origin.mapping.type is not None and origin.mapping.column_of("type") is None:
            type_ = type_.fill_null(origin.mapping.type)
        draft = Draft(
            row_number=found.numbers,
            user_id=user_id,
            email=email,
            anonymous_id=anonymous_id,
            vendors=dict(zip(found.vendors, vendors, strict=True)),
            type=type_,
            time=time,
            sender_id=sender,
            properties=said,
            width=found.width,
            plain=plain,
        )
        return completed(draft, origin)

    def _json(self) -> pl.Series:
        import polars as pl

        found = self._found
        # No line end stands inside of JSON.
        lines = _encoder.encode_lines(found.properties).decode().split("\n")[: len(found.numbers)]
        for place in found.odd:
            lines[place] = canonical(found.properties[place])
        return pl.Series(lines, dtype=pl.String)

    def _plan(self, names: tuple[str, ...]) -> Plan | None:
        plan = None
        inside_are_plain = all(each.as_ in ("property", "ignore") for each in self._told.values())
        if inside_are_plain and LINE not in names and not any(name.startswith(_DOTTED) for name in names):
            try:
                columns = self._reader.columns_of(
                    [*names, *(name for name in self._reader.options.columns if name not in names)]
                )
                plan = self._of(columns)
            except FileRefused:
                plan = None
        if len(self._plans) < 10_000:
            self._plans[names] = plan
        return plan

    def _of(self, columns: Columns) -> Plan | None:
        by_vendor = dict(columns.vendors)
        roles = (columns.id, columns.email, columns.anonymous_id, columns.time, columns.type, columns.message_id)
        places = (*roles, *(by_vendor.get(vendor) for vendor in self._found.vendors))
        outer = tuple((column, name) for column, name in columns.named if column != _INNER)
        if any(place is not None and (place == _INNER or place.startswith(_DOTTED)) for place in places):
            return None
        return Plan(columns, places, outer)

    def _properties(self, document: Mapping[str, Any], plan: Plan) -> dict[str, Any] | None:
        """None where they are not surely plain."""
        inner = document.get(_INNER)
        if inner is None:
            properties: dict[str, Any] = {}
        elif type(inner) is dict:
            properties = inner if self._inner is None else self._inner(inner)
            if None in properties.values():
                properties = {name: value for name, value in properties.items() if value is not None}
        else:
            return None
        if plan.outer:
            beside = {name: document[column] for column, name in plan.outer if document.get(column) is not None}
            # Which of two values called the same stands depends on their order then.
            if self._reader.mapping is not None and not properties.keys().isdisjoint(beside):
                return None
            if beside:
                properties = {**properties, **beside}
        return properties


def _texts(values: list[Any]) -> tuple[pl.Series, pl.Series]:
    """As ``rows`` reads them, and where that is surely so."""
    import polars as pl

    plain = pl.repeat(True, len(values), dtype=pl.Boolean, eager=True)
    kinds = set(map(type, values)) - {str, _NOTHING}
    if kinds:
        plain = pl.Series([type(value) in (str, int, _NOTHING) for value in values], dtype=pl.Boolean)
        values = [value if type(value) is str else str(value) if type(value) is int else None for value in values]
    series = pl.Series(values, dtype=pl.String)
    plain &= ~series.str.contains(CONTROL).fill_null(False)
    series = series.str.strip_chars()
    return series, plain & (series != "").fill_null(True)


def _told_inside(reader: Reader) -> dict[str, MappedColumn]:
    """What the mapping says of names inside of ``properties``."""
    listed = reader.mapping.columns if reader.mapping else ()
    return {each.column.removeprefix(_DOTTED): each for each in listed if each.column.startswith(_DOTTED)}


def _renaming(reader: Reader, told: Mapping[str, MappedColumn]) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """None where all names inside stay as they are."""
    keeps = reader.mapping is None or reader.mapping.others == "keep"
    if keeps and all(each.as_ == "property" and each.name in (None, name) for name, each in told.items()):
        return None

    def renamed(inner: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in inner.items() if keeps and name not in told}
        for name, value in inner.items():
            entry = told.get(name)
            if entry is not None and entry.as_ == "property" and value is not None:
                kept[entry.name or name] = value
        return kept

    return renamed


def objects_of(body: bytes, lines: Sequence[bytes]) -> list[object]:
    """The object of each line; None where a line has none, or one to be looked at more closely."""
    try:
        found: list[object] = _decoder.decode_lines(body)
        if len(found) == len(lines):
            return found
    except (msgspec.MsgspecError, RecursionError):
        pass
    return [_object(line) for line in lines]


def _object(line: bytes) -> object:
    try:
        found: object = _decoder.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found
