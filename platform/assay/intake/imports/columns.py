"""Which column of a file says what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from assay.intake.imports.cells import cell_value
from assay.intake.imports.errors import FileRefused
from assay.intake.imports.models import Kind
from assay.intake.imports.options import Options

COMPANY = "company."

_IDS = ("lead_id", "user_id", "id")
_EMAILS = ("email", "e_mail", "email_address")
_ANONYMOUS = ("anonymous_id",)
_COMPANY_KEYS = ("company.id", "company_id", "company.domain", "company_domain")
_STATED = ("updated_at", "at")
_OCCURRED = ("occurred_at", "timestamp", "at")
_MOST = 2_000
_LONGEST = 200


@dataclass(frozen=True)
class Columns:
    """Names of columns, as the file spells them; those left over are traits or properties."""

    id: str | None
    email: str | None
    anonymous_id: str | None
    time: str | None
    type: str | None
    message_id: str | None
    company_key: str | None

    @classmethod
    def of(cls, names: Sequence[str], kind: Kind, options: Options) -> Self:
        """Raises FileRefused when a column that was asked for, or that events need, is not there."""
        events = kind == "events"
        columns = cls(
            id=_chosen(names, options.id_column, _IDS),
            email=_chosen(names, options.email_column, _EMAILS),
            anonymous_id=_find(names, _ANONYMOUS),
            time=_chosen(names, options.time_column, _OCCURRED if events else _STATED),
            type=_find(names, ("type",)) if events else None,
            message_id=_find(names, ("message_id",)) if events else None,
            company_key=None if events else _find(names, _COMPANY_KEYS),
        )
        if events:
            columns.check_events(names)
        return columns

    def check_events(self, names: Sequence[str]) -> None:
        missing = [
            what
            for what, column in (
                ("type", self.type),
                ("occurred_at", self.time),
                ("lead_id, user_id, email or anonymous_id", self.id or self.email or self.anonymous_id),
            )
            if column is None
        ]
        if missing:
            raise FileRefused(
                f"A file of events needs the columns type, occurred_at, and lead_id, user_id, email or anonymous_id; "
                f"missing: {'; '.join(missing)}. Its columns are {_listed(names)}."
            )

    @cached_property
    def identifying(self) -> tuple[str, ...]:
        return tuple(name for name in (self.id, self.email, self.anonymous_id) if name)

    @cached_property
    def reserved(self) -> frozenset[str]:
        """Columns that are neither trait nor property under their own name."""
        taken = (self.id, self.email, self.anonymous_id, self.time, self.type, self.message_id)
        return frozenset(name for name in taken if name)

    @cached_property
    def texts(self) -> frozenset[str]:
        """Columns whose text is never a number."""
        return self.reserved.union(self.identifying, [self.company_key] if self.company_key else [])


def heading_of(cells: Sequence[str]) -> list[str]:
    """The names of the columns; raises FileRefused when the first row does not name them."""
    names = [cell.strip() for cell in cells]
    if len(names) > _MOST:
        raise FileRefused(f"The file has {len(names):,} columns; at most {_MOST:,} are accepted.")
    for number, name in enumerate(names, start=1):
        if not name:
            raise FileRefused(f"Column {number} has no name. The first row must name every column.")
        if len(name) > _LONGEST:
            raise FileRefused(f"The name of column {number} has more than {_LONGEST} characters: {name[:40]!r}…")
    if all(not isinstance(cell_value(name), str) for name in names) or any("@" in name for name in names):
        raise FileRefused(f"The first row must name the columns; this one looks like a lead: {_listed(names)}.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FileRefused(f"Two columns are named {twice!r}. Give each column a name of its own.")
    return names


def _chosen(names: Sequence[str], wanted: str | None, usual: Iterable[str]) -> str | None:
    if wanted is None:
        return _find(names, usual)
    if wanted not in names:
        raise FileRefused(f"There is no column {wanted!r}. The columns are {_listed(names)}.")
    return wanted


def _find(names: Iterable[str], usual: Iterable[str]) -> str | None:
    spelled = {name.lower().replace(" ", "_").replace("-", "_"): name for name in names}
    return next((spelled[name] for name in usual if name in spelled), None)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:30])
    return f"{shown} and {len(names) - 30} more" if len(names) > 30 else shown
