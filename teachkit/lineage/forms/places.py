"""Where data outside teachkit lies, named as OpenLineage's naming specification has it: a namespace and a name.

Local files are ``file`` and their full path, objects ``s3://bucket`` and their key, tables of Postgres
``postgres://host:port`` and ``database.schema.table``. The specification names no files of SQLite and DuckDB; here
they are ``sqlite://`` or ``duckdb://`` with the path, and ``database.schema.table``, as dbt's integration has them. A
password never gets into a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from teachkit.graph.node import SourceSpec

_SCHEMES = {"gcs": "gs", "postgresql": "postgres", "az": "abfss", "azure": "abfss"}
_SCHEMA = {"postgres": "public", "duckdb": "main", "sqlite": "main"}


@dataclass(frozen=True, slots=True)
class Place:
    """One dataset outside: ``version`` is the sha256 of a file's bytes, None where nobody worked it out."""

    namespace: str
    name: str
    version: str | None = None


def file_place(path: str, root: Path, version: str | None = None) -> Place:
    """A file, its path relative to the project's folder or full."""
    return Place("file", (root / path).resolve().as_posix(), version)


def source_places(spec: SourceSpec, files: Mapping[str, str], root: Path) -> list[Place]:
    """What a source reads: ``files`` are the digests of its local files by path, as the run recorded them."""
    if spec.table.database is not None:
        return _tables(spec, files, root)
    remote = [p for p in spec.paths if re.match(r"^[a-z0-9]+://", p)]
    return [file_place(p, root, found) for p, found in sorted(files.items())] + [url_place(p) for p in remote]


def url_place(url: str) -> Place:
    """An object of a store, or a page: what is asked after ``?``, and who asks, is no part of its name."""
    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    authority = parts.netloc.rpartition("@")[2]
    return Place(f"{scheme}://{authority}", unquote(parts.path).strip("/") or "/")


def _tables(spec: SourceSpec, files: Mapping[str, str], root: Path) -> list[Place]:
    database, kind = spec.table.database or "", spec.database_kind or "duckdb"
    names = [spec.table.table] if spec.table.table else _tables_of_query(spec, kind)
    full = [n if "." in n else f"{_SCHEMA[kind]}.{n}" for n in names]
    if kind == "postgres":
        namespace, name = _postgres(database)
        return [Place(namespace, ".".join(p for p in (name, table) if p)) for table in full]
    file = file_place(database, root)
    version = files.get(database) or next(iter(files.values()), None)
    stem = file.name.rpartition("/")[2].partition(".")[0]
    return [Place(f"{kind}://{file.name}", f"{stem}.{table}", version) for table in full]


def _tables_of_query(spec: SourceSpec, kind: str) -> list[str]:
    """The tables that a query of a database reads; the source's own name where it cannot be parsed, or reads none."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(spec.table.query or "", dialect=kind)
    except SqlglotError:
        return [spec.table.name]
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = {".".join(p.name for p in t.parts) for t in tree.find_all(exp.Table) if t.name and t.name not in own}
    return sorted(tables) or [spec.table.name]


def _postgres(connection: str) -> tuple[str, str]:
    """The namespace and the database of a connection string: a URL, or words ``key=value``."""
    if "://" in connection:
        parts = urlsplit(connection)
        host, _, port = parts.netloc.rpartition("@")[2].partition(":")
        database = unquote(parts.path.strip("/"))
    else:
        found = re.findall(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", connection)
        words = {key: re.sub(r"\\(.)", r"\1", value.strip("'")) for key, value in found}
        host, port, database = words.get("host", ""), words.get("port", ""), words.get("dbname", "")
    return f"postgres://{host or 'localhost'}:{port or '5432'}", database
