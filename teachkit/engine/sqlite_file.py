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
from teachkit.graph.sql import quote

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
_HOLDS: dict[pa.DataType, tuple[type, ...]] = {pa.int64(): (int,), pa.float64(): (int, float), pa.binary(): (bytes,)}


def sqlite_columns(
    path: Path, *, table: str | None, query: str | None, types: Mapping[str, str], name: str, where: Where
) -> dict[str, str]:
    """Column -> DuckDB type, without reading the rows; arguments and errors are those of ``sqlite_relation``."""
    with _opened(path, name, where) as file:
        return _columns(file, _asked(table, query), types)


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
    with _opened(path, name, where) as file:
        return _load(connection, file, _columns(file, _asked(table, query), types), "sqlite." + name)


def _asked(table: str | None, query: str | None) -> str:
    return f"select * from {quote(table)}" if table else str(query).strip().rstrip(";")


@contextlib.contextmanager
def _opened(path: Path, name: str, where: Where) -> Iterator[sqlite3.Connection]:
    """The file, for reading; what goes wrong with it in our words."""
    try:
        # DuckDB asks for batches from threads of its own, one at a time.
        opened = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        with contextlib.closing(opened) as file:
            yield file
    except _Misfit as error:
        problem = f"column '{error.column}' is declared as {error.type}, and a value is not"
        advice = f"declare the column as text: columns: {{{error.column}: {{type: varchar}}}}"
        raise SourceUnreadable(where, source=name, problem=problem, advice=advice) from error
    except (sqlite3.Error, sqlite3.Warning) as error:
        advice = "check 'table:' or 'query:' (SQLite's dialect); add 'type: duckdb' if it is a DuckDB file"
        raise SourceUnreadable(where, source=name, problem=f"SQLite says: {error}", advice=advice) from error


class _Misfit(Exception):
    """A value that its column's type cannot hold."""

    def __init__(self, column: str, kind: str) -> None:
        super().__init__(column)
        self.column = column
        self.type = kind


def _columns(file: sqlite3.Connection, asked: str, types: Mapping[str, str]) -> dict[str, str]:
    """Column -> DuckDB type."""
    file.execute(f"create temp view teachkit_asked as {asked}")
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
    connection: duckdb.DuckDBPyConnection, file: sqlite3.Connection, columns: Mapping[str, str], name: str
) -> str:
    import duckdb

    rows = _Rows(file, columns)
    casts = ", ".join(f"cast({quote(column)} as {kind}) as {quote(column)}" for column, kind in columns.items())
    connection.register("teachkit_rows", pa.RecordBatchReader.from_batches(rows.schema, rows))
    try:
        connection.execute(f"create or replace temp table {quote(name)} as select {casts} from teachkit_rows")
    except duckdb.Error as error:
        if rows.misfit is not None:
            raise rows.misfit from error
        column = re.search(r"from source column (.+)", str(error))
        if column is None or column[1] not in columns:
            raise
        raise _Misfit(column[1], columns[column[1]]) from error
    finally:
        connection.unregister("teachkit_rows")
    return f"temp.main.{quote(name)}"


class _Rows:
    """The rows as Arrow batches; an error of theirs is kept, for DuckDB makes a text of it."""

    def __init__(self, file: sqlite3.Connection, columns: Mapping[str, str]) -> None:
        self.schema = pa.schema([(column, _ARROW.get(kind, pa.string())) for column, kind in columns.items()])
        self.misfit: _Misfit | None = None
        self._file = file
        self._columns = columns

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        cursor = self._file.execute("select * from temp.teachkit_asked")
        while rows := cursor.fetchmany(_BATCH):
            arrays = [self._array(v, f) for v, f in zip(zip(*rows, strict=True), self.schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, values: Sequence[Any], field: pa.Field) -> pa.Array:
        """SQLite keeps any value in any column: what the type cannot hold is an error, not a NULL."""
        allowed = _HOLDS.get(field.type, (str, int, float))
        if any(v is not None and not isinstance(v, allowed) for v in values):
            self.misfit = _Misfit(field.name, self._columns[field.name])
            raise self.misfit
        if field.type == pa.string():
            values = [v if v is None else str(v) for v in values]
        return pa.array(values, field.type)
