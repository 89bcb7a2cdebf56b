"""Tests of one column, as in dbt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from teachkit.checks.base import SHOWN_ROWS, Check, CompileContext, Finding, Surroundings
from teachkit.checks.query import failing_rows
from teachkit.errors import UnknownColumn, did_you_mean, listing, shown_key
from teachkit.graph import literal, quote
from teachkit.project.model import Model

if TYPE_CHECKING:
    from teachkit.errors import Where
    from teachkit.graph import Node
    from teachkit.graph.node import Reads

_WIDTH = 40


class ColumnCheck(Check):
    """A test of a column: declared under ``columns: <name>: tests:``, or with ``column:``."""

    needs_column: ClassVar[bool] = True

    class Arguments(Model):
        """Where the test is not declared under a column, it names one."""

        column: str | None = None


class NotNull(ColumnCheck):
    """The column is never NULL."""

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Select the rows without a value."""
        name = around.spec.column or ""
        sql = f"select * from {around.rows} where {quote(name)} is null"
        limit = around.spec.limit or SHOWN_ROWS
        return failing_rows(around, sql, limit, f"row has no {name}", f"rows have no {name}")


class Unique(ColumnCheck):
    """No value stands in two rows; NULL may."""

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Select the values that stand twice."""
        name = around.spec.column or ""
        column, limit = quote(name), around.spec.limit or SHOWN_ROWS
        groups = f"select {column}, count(*) as rows from {around.rows} where {column} is not null group by 1"
        sql = f"{groups} having count(*) > 1 order by 2 desc, 1"
        one, many = f"value of {name} stands", f"values of {name} stand"
        return failing_rows(around, sql, limit, f"{one} in more than one row", f"{many} in more than one row")


class AcceptedValues(ColumnCheck):
    """Every value is one of a list; NULL may stand."""

    class Arguments(Model):
        """The list; ``quote: false`` compares the values as they are, not as text."""

        column: str | None = None
        values: list[str | int | float | bool]
        quote: bool = True

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Select the other values."""
        column = quote(around.spec.column or "")
        value = f"cast({column} as varchar)" if arguments.quote else column
        known = ", ".join(literal(_text(v)) if arguments.quote else _literal(v) for v in arguments.values) or "NULL"
        found = f"select {column}, count(*) as rows from {around.rows}"
        sql = f"{found} where {column} is not null and {value} not in ({known}) group by 1 order by 2 desc, 1"
        limit = around.spec.limit or SHOWN_ROWS
        one, many = f"other value of {around.spec.column}", f"other values of {around.spec.column}"
        finding = failing_rows(around, sql, limit, one, many)
        if finding.rows is None:
            return finding
        values = finding.rows.column(0).slice(0, 3).to_pylist()
        more = f" and {finding.failures - 3:,} more" if finding.failures > 3 else ""
        return replace(finding, message=f"{finding.message}: {', '.join(map(_shown, values))}{more}")


class Relationships(ColumnCheck):
    """Every value stands in a column of another node; NULL may stand."""

    class Arguments(Model):
        """``to: ref('…')`` or ``source('…', '…')``, ``field``: a column there."""

        column: str | None = None
        to: str
        field: str

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """The other node and its column must be there."""
        other = context.nodes[context.reference(arguments.to, where)]
        if other.columns is not None and arguments.field.lower() not in other.columns:
            hint = did_you_mean(arguments.field, other.columns)
            owner, known = f"'{other.name}'", listing(other.columns, 30)
            raise UnknownColumn(where, column=arguments.field, owner=owner, known=known, hint=hint)

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """The column here and the one there."""
        other = context.reference(arguments.to, target.where)
        if other == target.id:
            return {target.id: tuple(sorted({column or "", arguments.field.lower()}))}
        return {target.id: (column or "",), other: (arguments.field.lower(),)}

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Select the values that are not there."""
        column, other = quote(around.spec.column or ""), quote((*around.others, around.target.id)[0])
        there = f"select 1 from {other} o where o.{quote(arguments.field)} = t.{column}"
        rows = f"{around.rows} t where t.{column} is not null and not exists ({there})"
        sql = f"select t.{column}, count(*) as rows from {rows} group by 1 order by 2 desc, 1"
        name, there = around.spec.column, f"in {arguments.to}.{arguments.field}"
        limit = around.spec.limit or SHOWN_ROWS
        return failing_rows(around, sql, limit, f"value of {name} is not {there}", f"values of {name} are not {there}")


def _shown(value: object) -> str:
    """A value as a message has it: a long text by its beginning."""
    text = _text(value)
    return shown_key(text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…") if isinstance(value, str) else text


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _literal(value: object) -> str:
    return literal(value) if isinstance(value, str) else _text(value)
