"""Properties of events in as few columns as can be: each column read costs as much again as the instant of the event.

Two properties that are read of different types of events share a column. Those of events of ours come as one JSON text
in a column that others use: they are few, and their properties many.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from assay.normalise import OURS
from assay.profiles.quoting import literal, literals

#: Names of properties; a mapping tells the types of events that each is read of, None for all.
Properties = Collection[str] | Mapping[str, frozenset[str] | None]

# No name of a property holds it, for PostgreSQL's text can't.
_BESIDE = "\0"


@dataclass
class _Column:
    #: Of which types it holds which property, or other text; empty with a property of all types.
    shared: dict[str, frozenset[str]] = field(default_factory=dict)
    alone: str | None = None

    def has_room(self, types: frozenset[str]) -> bool:
        return self.alone is None and all(types.isdisjoint(others) for others in self.shared.values())


class Packing:
    """Which properties share which columns.

    ``beside`` is a column of its own name beside the properties: an expression in SQL, and the types it is read of.
    """

    def __init__(self, properties: Properties, beside: Mapping[str, tuple[str, frozenset[str]]] | None = None) -> None:
        self._names = list(dict.fromkeys(properties))
        self._beside = beside or {}
        self._columns: list[_Column] = []
        self._of_ours: set[str] = set()
        for name in self._names:
            self._place(name, properties.get(name) if isinstance(properties, Mapping) else None)
        for name, (_, types) in self._beside.items():
            self._share(f"{_BESIDE}{name}", types)
        self._ours = next((column for column in self._columns if column.alone is None), None)
        if self._of_ours and self._ours is None:
            self._ours = _Column()
            self._columns.append(self._ours)

    def _place(self, name: str, types: frozenset[str] | None) -> None:
        if types is None:
            self._columns.append(_Column(alone=name))
            return
        outside = frozenset(kind for kind in types if not kind.startswith(OURS))
        if outside != types:
            self._of_ours.add(name)
        if outside:
            self._share(name, outside)

    def _share(self, name: str, types: frozenset[str]) -> None:
        column = next((column for column in self._columns if column.has_room(types)), None)
        if column is None:
            column = _Column()
            self._columns.append(column)
        column.shared[name] = types

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Of the columns as they are read."""
        return {f"packed:{place}": pl.String() for place in range(len(self._columns))}

    def expressions(self) -> list[str]:
        """The columns, in SQL over events named `e`."""
        return [self._expression(column) for column in self._columns]

    def _expression(self, column: _Column) -> str:
        if column.alone is not None:
            return f"e.properties ->> {literal(column.alone)}"
        # Taking JSON apart costs more than all the rest: only where somebody asks for it.
        cases = [
            f"WHEN e.type = ANY ({literals(sorted(types))}) THEN {self._value(name)}"
            for name, types in column.shared.items()
        ]
        if column is self._ours and self._of_ours:
            cases.append(f"WHEN starts_with(e.type, {literal(OURS)}) THEN e.properties::text")
        return f"CASE {' '.join(cases)} END"

    def _value(self, name: str) -> str:
        if name.startswith(_BESIDE):
            return f"({self._beside[name.removeprefix(_BESIDE)][0]})"
        return f"e.properties ->> {literal(name)}"

    def unpacked(self, events: pl.DataFrame) -> pl.DataFrame:
        """With a column `property:<name>` for each, in place of those that were read."""
        ours = self._texts_of_ours(events)
        frame = events.with_columns(
            *(self._unpacked(name, ours).alias(f"property:{name}") for name in self._names),
            *(self._unpacked(f"{_BESIDE}{name}", None).alias(name) for name in self._beside),
        )
        return frame.drop(self.schema)

    def _texts_of_ours(self, events: pl.DataFrame) -> pl.Series | None:
        """The JSON texts of events of ours, null elsewhere; None while there are none."""
        if self._ours is None or not self._of_ours:
            return None
        is_ours = events["type"].str.starts_with(OURS)
        if not is_ours.any():
            return None
        name = f"packed:{self._columns.index(self._ours)}"
        return events.select(pl.when(is_ours).then(name)).to_series()

    def _unpacked(self, name: str, ours: pl.Series | None) -> pl.Expr:
        found = pl.lit(None, pl.String)
        for place, column in enumerate(self._columns):
            if column.alone == name:
                return pl.col(f"packed:{place}")
            if name in column.shared:
                found = pl.when(pl.col("type").is_in(sorted(column.shared[name]))).then(f"packed:{place}")
        if ours is None or name not in self._of_ours:
            return found
        return pl.coalesce(found, pl.lit(ours).str.json_path_match(f"$['{name}']"))
