"""Which column says what, guessed from its name and from what stands in it; its sender has the last word."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from assay.intake.imports import usual
from assay.intake.imports.cells import Dates, parse_instant
from assay.intake.imports.columns import OURS
from assay.intake.imports.errors import RowRefused
from assay.intake.imports.mapping import As, ColumnMapping, Guess, MappedColumn
from assay.intake.imports.models import Kind
from assay.intake.imports.options import Options

#: What the first rows have in each column, as text; empty cells are left away.
Samples = Mapping[str, Sequence[str]]

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SALESFORCE = re.compile(r"(?:003|00Q)[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
_WITH_COMMA = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]{3})*,[0-9]{1,9}|-?[0-9]+,[0-9]{1,2}")
_NUMERIC = re.compile(rf"{_WITH_COMMA.pattern}|-?[0-9]{{1,15}}")
_DAY_FIRST = re.compile(r"([0-9]{1,2})([./-])([0-9]{1,2})\2[0-9]{4}\b.*", re.DOTALL)
_PLAUSIBLE: dict[Dates, re.Pattern[str]] = {
    "epoch_s": re.compile(r"[0-9]{9,10}(?:\.[0-9]+)?"),
    "epoch_ms": re.compile(r"[0-9]{12,13}"),
    "epoch_us": re.compile(r"[0-9]{15,16}"),
}
_MOSTLY = 0.8
# Exports from spreadsheets have typing errors in their dates.
_MANY = 0.6


@dataclass
class _Search:
    names: Sequence[str]
    samples: Samples
    found: dict[str, MappedColumn] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def left(self) -> list[str]:
        return [name for name in self.names if name not in self.found]

    def take(self, column: str | None, as_: As, name: str | None = None) -> str | None:
        if column is not None:
            self.found[column] = MappedColumn(column, as_, None if name == column else name)
        return column

    def called(self, names: Iterable[str]) -> str | None:
        """The column with the earliest of these names."""
        spelled: dict[str, str] = {}
        for column in self.left:
            spelled.setdefault(usual.folded(column), column)
        return next((spelled[name] for name in names if name in spelled), None)

    def looking(self, pattern: re.Pattern[str]) -> str | None:
        """The first column in which most values are of this kind."""
        return next((column for column in self.left if self.share(column, pattern) >= _MOSTLY), None)

    def share(self, column: str, pattern: re.Pattern[str]) -> float:
        values = self.samples.get(column, ())
        return sum(pattern.fullmatch(value) is not None for value in values) / len(values) if values else 0.0


def guess(names: Sequence[str], kind: Kind, options: Options, samples: Samples) -> Guess:
    """What was asked for by name comes first, then usual names, then what the values look like."""
    search = _Search(names, samples)
    for column in names:
        if column in OURS:
            search.take(column, "ignore")
    _take_people(search, options)
    dates = (_take_events if kind == "events" else _take_leads)(search, options)
    _look_for_commas(search)
    rest: As = "property" if kind == "events" else "trait"
    nested = "properties." if kind == "events" else "traits."
    taken = {each.called for each in search.found.values() if each.as_ == rest}
    for column in search.left:
        name = column.removeprefix(nested)
        search.take(column, rest, column if name in taken else name)
        taken.add(name)
    mapping = ColumnMapping.read(
        {
            "columns": [
                {"column": column, "as": search.found[column].as_, "name": search.found[column].name}
                for column in names
            ],
            "delimiter": options.delimiter,
            "dates": dates,
            **options.how,
        },
        kind,
    )
    return Guess(mapping, tuple(search.warnings))


def dates_in(column: str, samples: Samples) -> Dates | None:
    """How the instants of a column are written; None when it could be in two ways."""
    return _dates_of(_Search([column], samples), column)


def _take_people(search: _Search, options: Options) -> None:
    asked = set(options.columns)
    for wanted, as_ in ((options.id_column, "user_id"), (options.email_column, "email")):
        if wanted in search.names:
            search.take(wanted, as_)  # type: ignore[arg-type] # one of the two above
    for column in search.left:
        vendor = usual.VENDORS.get(usual.folded(column))
        if vendor is None and search.share(column, _SALESFORCE) >= _MOSTLY:
            vendor = "salesforce"
        if vendor and column not in asked and not any(each.name == vendor for each in search.found.values()):
            search.take(column, "vendor_id", vendor)
    if options.id_column is None:
        search.take(search.called(usual.USER_ID), "user_id")
    if options.email_column is None:
        email = search.take(search.called(usual.EMAIL) or search.looking(_ADDRESS), "email")
        if email is not None and search.samples.get(email) and search.share(email, _ADDRESS) < _MOSTLY:
            search.warnings.append(f"Many values of {email!r} are no e-mail addresses. Is it the right column?")
    search.take(search.called(usual.ANONYMOUS_ID), "anonymous_id")


def _take_events(search: _Search, options: Options) -> Dates | None:
    if options.type is None:
        search.take(search.called(usual.TYPE), "type")
    search.take(search.called(usual.MESSAGE_ID), "message_id")
    wanted = options.time_column if options.time_column in search.names else None
    time = wanted or search.called(usual.OCCURRED) or _looks_like_time(search)
    return _dates_of(search, search.take(time, "time"))


def _take_leads(search: _Search, options: Options) -> Dates | None:
    wanted = options.time_column if options.time_column in search.names else None
    dates = _dates_of(search, search.take(wanted or search.called(usual.STATED), "time"))
    search.take(search.called(usual.COMPANY_ID), "company_id")
    for name, names in usual.COMPANY_TRAITS.items():
        search.take(search.called(names), "company_trait", name)
    for name, names in usual.TRAITS.items():
        search.take(search.called(names), "trait", name)
    for column in search.left:
        if column.startswith("company."):
            search.take(column, "company_trait", column.removeprefix("company."))
    return dates


def _looks_like_time(search: _Search) -> str | None:
    for column in search.left:
        values = search.samples.get(column, ())
        if values and any(_fitting(values, dates) >= _MOSTLY for dates in ("iso", "dmy", "mdy", "ymd")):
            return column
    return next(filter(None, (search.looking(pattern) for pattern in _PLAUSIBLE.values())), None)


def _dates_of(search: _Search, column: str | None) -> Dates | None:
    """How the instants are written; None when it could be in two ways."""
    values = search.samples.get(column or "", ())
    if not values or _fitting(values, "iso") >= _MANY:
        return "iso"
    for dates, pattern in _PLAUSIBLE.items():
        if search.share(column or "", pattern) >= _MOSTLY:
            return dates
    shares: dict[Dates, float] = {dates: _fitting(values, dates) for dates in ("dmy", "mdy", "ymd")}
    best = max(shares, key=lambda dates: shares[dates])
    if shares[best] < _MANY:
        search.warnings.append(f"{column!r} is called like a time, but {values[0][:40]!r} is not known to be one.")
        return "iso"
    # A single month of 13 shows that it is a day.
    if best != "ymd" and shares["dmy"] == shares["mdy"]:
        # With points, days come first everywhere.
        if all((match := _DAY_FIRST.fullmatch(value)) and match[2] == "." for value in values):
            return "dmy"
        return None
    return best


def _fitting(values: Sequence[str], dates: Dates) -> float:
    """The share of values that can be read so."""
    good = 0
    for value in values:
        try:
            parse_instant(value, column="", dates=dates)
            good += 1
        except RowRefused:
            continue
    return good / len(values)


def _look_for_commas(search: _Search) -> None:
    for column in search.left:
        with_comma = [value for value in search.samples.get(column, ()) if _WITH_COMMA.fullmatch(value)]
        if with_comma and search.share(column, _NUMERIC) >= _MOSTLY:
            search.warnings.append(
                f"The values of {column!r}, such as {with_comma[0]!r}, look like numbers with a decimal comma. Unless "
                "you choose the comma, they stay text."
            )
