"""One DuckDB connection for a build: node ids are its views, files of the store its tables."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import duckdb

from teachkit.engine.sources import local_files, names_file, open_source, unreadable
from teachkit.errors import NodeFailed, StoreUnwritable, TeachkitError
from teachkit.graph.sql import literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from teachkit.graph.node import Node


class Session:
    """A connection with the target's threads and memory; views by node id."""

    def __init__(self, *, threads: int, memory: str, scratch: Path) -> None:
        """Temporary files that do not fit in memory go below ``scratch``."""
        self.connection = duckdb.connect(
            config={
                "threads": str(threads),
                "memory_limit": memory.replace(" ", ""),
                "temp_directory": str(scratch),
                "autoinstall_known_extensions": "false",
            }
        )
        self.rows("set preserve_insertion_order = true")
        self.threads = threads
        self._read_by: dict[str, Node] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def table(self, sql: str) -> pa.Table:
        """Run a query; its rows as Arrow."""
        with _interruptible():
            return self.connection.sql(sql).to_arrow_table()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement; all its rows (a result that is left half read would block the connection)."""
        with _interruptible():
            return self.connection.execute(sql).fetchall()

    def types(self, expressions: Mapping[str, str], relation: str) -> dict[str, str]:
        """The type of each of these expressions (by a name) over a relation."""
        if not expressions:
            return {}
        columns = ", ".join(f"{sql} as {quote(name)}" for name, sql in expressions.items())
        return {row[0]: row[1] for row in self.rows(f"describe select {columns} from {relation}")}

    def view(self, name: str, relation: str) -> None:
        """Make a relation known under a node's id."""
        self.rows(f"create or replace temp view {quote(name)} as select * from {relation}")

    def source(self, node: Node, root: Path) -> None:
        """Make the rows of a source known under its id, as they lie in its files; relative paths start at ``root``."""
        relation = open_source(self.connection, node.spec, root, node.name, node.where)
        self._read_by |= dict.fromkeys([*map(str, local_files(node.spec, root)), *node.spec.paths], node)
        self.view(node.id, relation)

    def failure(self, error: duckdb.Error, node: Node) -> TeachkitError:
        """A DuckDB error while a node ran, in our words; what is wrong with a source's file is said of the source."""
        source = self._read_by.get(names_file(error) or "")
        return _failure(error, node) if source is None else unreadable(error, source.name, source.where)

    def serially(self, sql: str) -> None:
        """Run a statement with one thread: sums of floating-point numbers come out the same each time."""
        self.rows("set threads = 1")
        try:
            self.rows(sql)
        finally:
            self.rows(f"set threads = {self.threads}")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C while DuckDB runs a query is Ctrl-C, not an error of whoever asked."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def parquet(paths: Sequence[Path], *, row_number: bool = False, union_by_name: bool = False) -> str:
    """A relation over Parquet files, in their order."""
    files = "[" + ", ".join(literal(str(p)) for p in paths) + "]"
    numbers = ", file_row_number = true" if row_number else ""
    return f"read_parquet({files}{numbers}, union_by_name = {str(union_by_name).lower()})"


def _failure(error: duckdb.Error, node: Node) -> TeachkitError:
    """A DuckDB error while a node ran, in our words: its first line, without the data.

    Its own line is one of the statement that was run, not of the file: the place is the node's.
    """
    text = str(error)
    if "No space left" in text or ("Disk" in text and "full" in text):
        return StoreUnwritable(path=node.id, problem="no space left on the disk", advice="make room, then build again")
    first = re.sub(r"\s+", " ", text.splitlines()[0])
    if isinstance(error, duckdb.ConversionException):
        first = re.sub(r"'[^']*'", "'…'", re.sub(r'"[^"]*"', '"…"', first))
    advice = (
        "use try_cast() where a value may not convert"
        if isinstance(error, duckdb.ConversionException)
        else "check the SQL"
    )
    if isinstance(error, duckdb.OutOfMemoryException):
        advice = "raise 'memory:' in profiles.yml"
    return NodeFailed(node.where, problem=f"DuckDB: {first}", advice=advice)
