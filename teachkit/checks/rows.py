"""Tests of rows and tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from teachkit.checks.base import SHOWN_ROWS, Check, CompileContext, Finding, Surroundings, bounds, in_bounds, need_one
from teachkit.checks.query import failing_rows
from teachkit.errors import BadValue, DuplicateKey, NullKey, UnknownColumn, counted, did_you_mean, listing
from teachkit.graph import quote
from teachkit.project.model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.errors import Where
    from teachkit.graph import Node
    from teachkit.graph.node import Reads


class Key(Check):
    """The columns identify a row: together unique, none NULL. Runs on every declared key without being asked."""

    kinds: ClassVar[tuple[str, ...]] = ("source", "transform", "enrichment")

    class Arguments(Model):
        """The columns of the key."""

        columns: list[str]

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """The key's columns, and what it takes to suggest a better key."""
        return {target.id: None}

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Say which keys repeat or lack, and what could be a key instead."""
        columns = ", ".join(quote(c) for c in arguments.columns)
        name = ", ".join(arguments.columns)
        missing = " or ".join(f"{quote(c)} is null" for c in arguments.columns)
        empty = int(around.query(f"select count(*) from {around.rows} where {missing}")[0][0])
        if empty:
            rows = around.table(f"select * from {around.rows} where {missing} limit {SHOWN_ROWS}")
            error = NullKey(
                around.target.where,
                key=name,
                rows=counted(empty, "row"),
                have="has" if empty == 1 else "have",
                advice=_advice_on_null(around, arguments.columns),
            )
            return Finding(empty, str(error), empty, rows)
        sql = f"select {columns}, count(*) as rows from {around.rows} group by all having count(*) > 1 order by all"
        found = failing_rows(around, sql, around.spec.limit or SHOWN_ROWS)
        if not found.failures or found.rows is None:
            return found
        shown = [" / ".join(repr(row[c]) for c in row if c != "rows") for row in found.rows.slice(0, 5).to_pylist()]
        more = f" and {found.failures - 5} more" if found.failures > 5 else ""
        twice = DuplicateKey(
            around.target.where,
            key=name,
            values=counted(found.failures, "value"),
            stand="stands" if found.failures == 1 else "stand",
            examples=", ".join(shown) + more,
            advice=_advice(around, arguments.columns),
        )
        return Finding(found.failures, str(twice), found.value, found.rows)


def _advice_on_null(around: Surroundings, key: Sequence[str]) -> str:
    """Where a file of the source has no such column at all, that is why."""
    for column in key:
        files = around.files_without(column)
        if files:
            have = "has" if len(files) == 1 else "have"
            advice = "name it so there, or leave what holds other rows out of 'path:'"
            return f"{listing(files, 3)} {have} no column '{column}': {advice}"
    return f"choose a key that is never NULL, or leave such rows out: where {', '.join(key)} is not null"


def _advice(around: Surroundings, key: list[str]) -> str:
    """What could be a key instead, found by trying."""
    row = around.query(f"select count(*), count(distinct t) from {around.rows} t")[0]
    if row[0] > row[1]:
        copies = counted(row[0] - row[1], "row is a whole copy", "rows are whole copies")
        copies += " of another: keep one of each in a transform (select distinct …), "
        return copies + "or number them there: row_number() over (partition by …)"
    columns = around.target.columns or ()
    for other in (c for c in columns if c not in {k.lower() for k in key}):
        pair = ", ".join(quote(c) for c in (*key, other))
        if int(around.query(f"select count(*) - count(distinct ({pair})) from {around.rows}")[0][0]) == 0:
            both = ", ".join((*key, other))
            return f"'{both}' together are unique: write 'key: [{both}]', or make one column of them in a transform"
    return "choose a key whose values differ, or make one in a transform, for example row_number() over (…)"


class RowCount(Check):
    """The number of rows lies within bounds."""

    class Arguments(Model):
        """``min`` and ``max``, each a number of rows."""

        min: int | None = None
        max: int | None = None

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """A bound is needed."""
        need_one(arguments, ("min", "max"), "row_count", where)

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Count."""
        count = int(around.query(f"select count(*) from {around.rows}")[0][0])
        good = in_bounds(count, arguments.min, arguments.max)
        return Finding(int(not good), f"{counted(count, 'row')}; {bounds(arguments.min, arguments.max)} wanted", count)


class ExpressionIsTrue(Check):
    """An SQL expression holds for every row (NULL does not)."""

    class Arguments(Model):
        """The expression, over the columns of the node."""

        expression: str
        column: str | None = None

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """Its columns must be there."""
        from teachkit.graph.sql import CONDITION, understand_expression

        if target.columns is not None:
            understand_expression(arguments.expression, target.id, target.columns, where, instead=CONDITION)

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Select the rows for which it does not hold."""
        sql = f"select * from {around.rows} where ({arguments.expression}) is not true"
        limit, rest = around.spec.limit or SHOWN_ROWS, f"for which not: {arguments.expression}"
        return failing_rows(around, sql, limit, f"row {rest}", f"rows {rest}")


_UNITS = {"minute": 1, "hour": 60, "day": 1440, "week": 10080}


class Freshness(Check):
    """The newest row is not too old. Looks at the clock, so it runs anew in every build."""

    kinds: ClassVar[tuple[str, ...]] = ("source", "transform", "enrichment")
    repeatable: ClassVar[bool] = False

    class Arguments(Model):
        """``column`` with the time of a row, ``warn_after`` and ``error_after`` such as ``7 days``."""

        column: str
        warn_after: str | None = None
        error_after: str | None = None

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """The column must be there, and a limit."""
        need_one(arguments, ("warn_after", "error_after"), "freshness", where)
        for name in ("warn_after", "error_after"):
            value = getattr(arguments, name)
            if value is not None and not re.fullmatch(r"\d+ (minute|hour|day|week)s?", value):
                problem = f"'{value}' is no length of time"
                raise BadValue(where, key=name, problem=problem, advice="write for example '12 hours' or '7 days'")
        if target.columns is not None and arguments.column.lower() not in target.columns:
            hint = did_you_mean(arguments.column, target.columns)
            owner, known = f"'{target.name}'", listing(target.columns, 30)
            raise UnknownColumn(where, column=arguments.column, owner=owner, known=known, hint=hint)

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """The column of times."""
        return {target.id: (arguments.column.lower(),)}

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare the newest time with the clock (UTC where the column has no zone)."""
        sql = f"select epoch(max(try_cast({quote(arguments.column)} as timestamptz))) from {around.rows}"
        newest = around.query(sql)[0][0]
        if newest is None:
            return Finding(
                1, f"no row has a time in {arguments.column}", severity="error" if arguments.error_after else "warn"
            )
        age = datetime.now(UTC) - datetime.fromtimestamp(newest, UTC)
        message = f"the newest row is {_words(age)} old"
        for name, severity in (("error_after", "error"), ("warn_after", "warn")):
            limit = getattr(arguments, name)
            if limit and age > _length(limit):
                return Finding(1, f"{message}; at most {limit} wanted", age.total_seconds(), severity=severity)  # type: ignore[arg-type]
        return Finding(0, message, age.total_seconds())


def _length(text: str) -> timedelta:
    count, unit = text.split()
    return timedelta(minutes=int(count) * _UNITS[unit.rstrip("s")])


def _words(age: timedelta) -> str:
    if age.days:
        return counted(age.days, "day")
    return counted(age.seconds // 3600, "hour") if age.seconds >= 3600 else counted(age.seconds // 60, "minute")
