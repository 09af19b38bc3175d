"""What a tenant keeps out of scoring and out of sight, and which signs of machines it does not look for."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from assay_tenants.database import Base, tenant_session

_DISTRIBUTED = {"schema": "profiles", "info": {"citus": "distributed"}}

_NAMING = frozenset(("name", "key", "field", "property", "propertyName", "label"))

#: Stands where a value is not shown.
MASK = "•••"


class SensitiveField(Base):
    """A name of traits and properties, or the beginning of names with `*` after it."""

    __tablename__ = "sensitive_fields"
    __table_args__ = _DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    pattern: Mapped[str] = mapped_column(Text, primary_key=True)
    marked_by: Mapped[str] = mapped_column(Text)
    marked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class UnwatchedSignal(Base):
    """A sign of machines that is not looked for."""

    __tablename__ = "unwatched_signals"
    __table_args__ = _DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    signal: Mapped[str] = mapped_column(Text, primary_key=True)


class Reveal(Base):
    """Somebody looked at what is kept out of sight."""

    __tablename__ = "reveals"
    __table_args__ = (Index("reveals_by_lead", "tenant_id", "lead_id"), _DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    lead_id: Mapped[int] = mapped_column(BigInteger)
    names: Mapped[list[str]] = mapped_column(JSONB)
    by: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True)
class Marks:
    """Names that are kept out; letter case makes no difference, and what is nested below a name is kept out with it."""

    patterns: tuple[str, ...] = ()

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(pattern.casefold() for pattern in self.patterns if not pattern.endswith("*"))

    @cached_property
    def _begins(self) -> tuple[str, ...]:
        begins = [pattern[:-1].casefold() for pattern in self.patterns if pattern.endswith("*")]
        return (*begins, *(f"{name}." for name in self._exact))

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def hides(self, name: str) -> bool:
        """A company's own trait is also known by its bare name."""
        folded = name.casefold()
        bare = folded.removeprefix("company.")
        return any(each in self._exact or each.startswith(self._begins) for each in (folded, bare))

    def hidden(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(name for name in names if self.hides(name))

    def masked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Flat traits or properties, as anybody may see them."""
        if not self:
            return dict(values)
        return {name: MASK if self.hides(name) else value for name, value in values.items()}

    def masked_tree(self, tree: Any) -> Any:
        """Nested JSON: a value is masked where its own name, or the way to it from any level, is kept out."""
        return self._masked(tree, ()) if self else tree

    def _masked(self, tree: Any, above: tuple[str, ...]) -> Any:
        if isinstance(tree, list):
            return [self._masked(value, above) for value in tree]
        if not isinstance(tree, dict):
            return tree
        # A message wraps the sender's names in names of its own, of which nobody knows where they end.
        ways = (*(f"{way}." for way in above), "")
        # Forms come as lists of {"name": …, "value": …}.
        named = any(isinstance(text, str) and word in _NAMING and self.hides(text) for word, text in tree.items())
        return {
            key: MASK
            if value is not None and (self._is_way_hidden(key, ways) or (named and "value" in key.casefold()))
            else self._masked(value, tuple(f"{way}{key}" for way in ways))
            for key, value in tree.items()
        }

    def _is_way_hidden(self, key: str, ways: Iterable[str]) -> bool:
        return any(self.hides(f"{way}{key}") or self.hides(f"company.{way}{key}") for way in ways)


NONE = Marks()


def read_marks(session: Session, tenant_id: int) -> Marks:
    rows = session.scalars(
        select(SensitiveField.pattern).where(SensitiveField.tenant_id == tenant_id).order_by(SensitiveField.pattern)
    )
    return Marks(tuple(rows))


def marks_of(tenant_id: int) -> Marks:
    with tenant_session(tenant_id) as session:
        return read_marks(session, tenant_id)


def read_unwatched(session: Session, tenant_id: int) -> frozenset[str]:
    return frozenset(session.scalars(select(UnwatchedSignal.signal).where(UnwatchedSignal.tenant_id == tenant_id)))


#: In the order of columns: kind ("field" or "signal") and the pattern or name.
READ = (
    "SELECT 'field', pattern FROM profiles.sensitive_fields WHERE tenant_id = {tenant}"
    " UNION ALL SELECT 'signal', signal FROM profiles.unwatched_signals WHERE tenant_id = {tenant}"
)


def as_read(rows: Collection[tuple[str, str]]) -> tuple[Marks, frozenset[str]]:
    """Of the rows that READ finds."""
    return (
        Marks(tuple(sorted(text for kind, text in rows if kind == "field"))),
        frozenset(text for kind, text in rows if kind == "signal"),
    )
