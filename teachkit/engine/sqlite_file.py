"""SQLite files, read by Python's own sqlite3: the same rows with and without DuckDB's extension, which is a download.

A column has its declared type, as DuckDB's extension maps it; one without (an expression of a query) has that of its
values. The rows stream through Arrow into a temporary table of the connection.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from teachkit.errors import SourceUnreadable, Where
from teachkit.graph.sql import literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import duckdb

_BATCH = 20_000
_DECLARED = {
    "bool": "BOOLEAN",
    "int": "BIGINT",
    "char|clob|text|json|uuid": "VARCHAR",
    "blob": "BLOB",
    "real|floa|doub|dec|num": "DOUBLE",
    "timestamp|datetime": "TIMESTAMP",
    "date": "DATE",
    "time": "TIME",
}
_STORED = {"integer": "BIGINT", "real": "DOUBLE", "text": "VARCHAR", "blob": "BLOB"}
_ARROW = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BLOB": pa.binary()}


def sqlite_relation(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    table: str | None,
    query: str | None,
    types: Mapping[str, str],
    name: str,
    where: Where,
) -> str:
    """The SQL of a relation with the rows of a table, or of a query in SQLite's dialect.

    Args:
        connection: Where the rows are put, in a temporary table.
        path: The SQLite file; it is opened for reading only.
        table: A table or view, or
        query: a SELECT.
        types: DuckDB types that win over the declared ones.
        name: The source, and
        where: its place, for messages.

    Raises:
        SourceUnreadable: not an SQLite file, no such table, a value that its column's type cannot hold.
    """
    asked = f"select * from {quote(table)}" if table else str(query)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
            columns = _columns(file, asked, types)
            return _load(connection, file, asked, columns, "sqlite." + name)
    except _Misfit as error:
        problem = f"column '{error.column}' is declared as {error.type}, and a value is not"
        advice = f"declare the column as text: columns: {{{error.column}: {{type: varchar}}}}"
        raise SourceUnreadable(where, source=name, problem=problem, advice=advice) from error
    except (sqlite3.Error, sqlite3.Warning) as error:
        advice = "check 'table:' or 'query:' (SQLite's dialect), and that the file is an SQLite database"
        raise SourceUnreadable(where, source=name, problem=f"SQLite says: {error}", advice=advice) from error


class _Misfit(Exception):
    """A value that its column's type cannot hold."""

    def __init__(self, column: str, kind: str) -> None:
        super().__init__(column)
        self.column = column
        self.type = kind


def _columns(file: sqlite3.Connection, asked: str, types: Mapping[str, str]) -> dict[str, str]:
    """Column -> DuckDB type."""
    file.execute(f"create temp view teachkit_asked as {asked.strip().rstrip(';')}")
    wanted = {column.lower(): kind for column, kind in types.items()}
    found: dict[str, str] = {}
    for _, column, declared, *_ in file.execute("pragma temp.table_info(teachkit_asked)").fetchall():
        known = next((t for word, t in _DECLARED.items() if re.search(word, str(declared), re.IGNORECASE)), None)
        found[column] = wanted.get(column.lower()) or known or _stored_type(file, column)
    return found


def _stored_type(file: sqlite3.Connection, column: str) -> str:
    rows = file.execute(f"select distinct typeof({quote(column)}) from temp.teachkit_asked").fetchall()
    kinds = {row[0] for row in rows} - {"null"}
    if kinds == {"integer", "real"}:
        return "DOUBLE"
    return _STORED[kinds.pop()] if len(kinds) == 1 else "VARCHAR"


def _load(
    connection: duckdb.DuckDBPyConnection, file: sqlite3.Connection, asked: str, columns: Mapping[str, str], name: str
) -> str:
    import duckdb

    arrow = {column: _ARROW.get(kind, pa.string()) for column, kind in columns.items()}
    reader = pa.RecordBatchReader.from_batches(pa.schema(list(arrow.items())), _batches(file, arrow))
    casts = ", ".join(f"{_cast(column, kind)} as {quote(column)}" for column, kind in columns.items())
    relation = quote(name)
    connection.register("teachkit_rows", reader)
    try:
        connection.execute(f"create or replace temp table {relation} as select {casts} from teachkit_rows")
    except duckdb.ConversionException as error:
        column = re.search(r"column: ([^;]*);", str(error))
        raise _Misfit(column[1] if column else "?", "its type") from error
    finally:
        connection.unregister("teachkit_rows")
    return f"temp.main.{relation}"


def _cast(column: str, kind: str) -> str:
    """A value as its type; one that does not convert names its column."""
    return f"cast({quote(column)} as {kind})"


def _batches(file: sqlite3.Connection, arrow: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    cursor = file.execute("select * from temp.teachkit_asked")
    while rows := cursor.fetchmany(_BATCH):
        arrays = [
            pa.array(_values(values, kind, column), kind)
            for values, (column, kind) in zip(zip(*rows, strict=True), arrow.items(), strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, list(arrow))


def _values(values: Sequence[Any], kind: pa.DataType, column: str) -> Sequence[Any]:
    """SQLite keeps any value in any column; what a type cannot hold is an error, not a NULL."""
    if kind == pa.string():
        return [v if v is None or isinstance(v, str) else _text(v, column) for v in values]
    allowed: type | tuple[type, ...] = {pa.int64(): int, pa.float64(): (int, float)}.get(kind, bytes)
    if any(v is not None and not isinstance(v, allowed) for v in values):
        raise _Misfit(column, str(kind))
    return values


def _text(value: Any, column: str) -> str:
    if isinstance(value, bytes):
        raise _Misfit(column, "text")
    return str(value)
