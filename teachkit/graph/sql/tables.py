"""What can stand in the FROM of a query, and what its columns are made of.

``value`` is what a value is computed from. ``influence`` is all that can change it, also by choosing rows: the
conditions of joins, and under aggregates and windows those of the whole query. A pair (relation, ``""``) stands for
which rows the relation has, (relation, ``"*"``) for all of its columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from teachkit.errors import TeachkitError, Where

Columns = Sequence[str] | None
Pairs = frozenset[tuple[str, str]]
NONE: Pairs = frozenset()
ROWS = ""
ALL = "*"


@dataclass(slots=True)
class Reading:
    """What resolving a query has found so far."""

    sql: str
    where: Where
    schemas: Mapping[str, Columns]
    reads: dict[str, set[str] | None] = field(default_factory=dict)
    errors: list[TeachkitError] = field(default_factory=list)

    def read(self, relation: str, column: str) -> None:
        """Note that a column of a relation is read (``*``: all)."""
        found = self.reads.setdefault(relation, set())
        if column == ALL or self.schemas.get(relation) is None:
            self.reads[relation] = None
        elif found is not None:
            found.add(column)


class Table(ABC):
    """Something in FROM: its alias, its columns (None: unknown), what they are made of."""

    def __init__(self, alias: str, columns: Columns) -> None:
        """``columns`` are folded names."""
        self.alias = alias
        self.columns = columns
        self.joined: Pairs = NONE
        """What chooses the row that is joined; empty for the first relation of a FROM."""

    def has(self, name: str) -> bool:
        """Whether it may have a column of this name."""
        return self.columns is None or name in self.columns

    @abstractmethod
    def value(self, name: str) -> Pairs:
        """What a column is computed from."""

    @abstractmethod
    def influence(self, name: str) -> Pairs:
        """All that can change a column."""

    @abstractmethod
    def rows(self) -> Pairs:
        """What chooses its rows."""

    def names(self) -> Sequence[str]:
        """Its columns as far as they are known, else ``*``."""
        return self.columns if self.columns is not None else (ALL,)


class Relation(Table):
    """A node of the project."""

    def __init__(self, alias: str, columns: Columns, node: str, original: Columns, reading: Reading) -> None:
        """``columns`` may be renamed ``original`` ones."""
        super().__init__(alias, columns)
        self.node = node
        self._original = original
        self._reading = reading

    def value(self, name: str) -> Pairs:
        """The column itself."""
        if name != ALL and self.columns is not None and self._original is not None:
            name = self._original[self.columns.index(name)] if name in self.columns else name
        self._reading.read(self.node, name)
        return frozenset({(self.node, name)})

    def influence(self, name: str) -> Pairs:
        """The column itself."""
        return self.value(name)

    def rows(self) -> Pairs:
        """The relation's rows."""
        self._reading.reads.setdefault(self.node, set())
        return frozenset({(self.node, ROWS)})


class Inner(Table):
    """A query in FROM: a subquery, or a CTE by its name."""

    def __init__(self, alias: str, query: Query, renamed: Sequence[str]) -> None:
        """``renamed`` are the names in ``alias(a, b)``, for the first columns."""
        names = query.names
        super().__init__(alias, None if names is None else [*renamed, *names[len(renamed) :]])
        self.query = query

    def value(self, name: str) -> Pairs:
        """What the query's column is computed from."""
        return self._of(name, self.query.value, self.query.all_values)

    def influence(self, name: str) -> Pairs:
        """All that can change the query's column."""
        return self._of(name, self.query.influence, self.query.everything)

    def rows(self) -> Pairs:
        """What chooses the query's rows."""
        return self.query.rows

    def _of(self, name: str, one: Callable[[int], Pairs], everything: Callable[[], Pairs]) -> Pairs:
        if name == ALL or self.columns is None or name not in self.columns:
            return everything()
        return NONE.union(*(one(i) for i, column in enumerate(self.columns) if column == name))


class Computed(Table):
    """A table function, unnest, VALUES, or a pivoted relation: any of its columns may come of anything it is given."""

    def __init__(self, alias: str, columns: Columns, given: Pairs, rows: Pairs = NONE) -> None:
        """``given`` is what its arguments are made of."""
        super().__init__(alias, columns)
        self._given = given
        self._rows = rows

    def value(self, name: str) -> Pairs:
        """Its arguments."""
        return self._given

    def influence(self, name: str) -> Pairs:
        """Its arguments, and what chooses their rows."""
        return self._given | self._rows

    def rows(self) -> Pairs:
        """Its arguments too: they decide how many rows there are."""
        return self._given | self._rows


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a query: its name (empty where DuckDB makes one up), its value, all that can change it."""

    name: str
    value: Pairs
    influence: Pairs


class Query:
    """A query, resolved. ``outputs`` is None where only DuckDB knows the columns."""

    def __init__(self, outputs: Sequence[Output] | None, rows: Pairs, everything: Pairs) -> None:
        """``everything`` is all that any of its columns, or the choice of its rows, can depend on."""
        self.outputs = outputs
        self.rows = rows
        self._everything = everything

    @property
    def names(self) -> list[str] | None:
        """Its columns' names."""
        return None if self.outputs is None else [o.name for o in self.outputs]

    def value(self, index: int) -> Pairs:
        """What one column is computed from."""
        return self.outputs[index].value if self.outputs is not None else self._everything

    def influence(self, index: int) -> Pairs:
        """All that can change one column."""
        return self.outputs[index].influence if self.outputs is not None else self._everything

    def all_values(self) -> Pairs:
        """What any column is computed from."""
        return self._everything if self.outputs is None else NONE.union(*(o.value for o in self.outputs))

    def everything(self) -> Pairs:
        """All that any column, or the choice of rows, can depend on."""
        return self._everything
