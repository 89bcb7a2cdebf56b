"""Sources: where their rows are, and how DuckDB reads them."""

from __future__ import annotations

import dataclasses
import glob
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.engine.broken_csv import UNKNOWN_FORM, misfit, mixed_ends
from teachkit.errors import MissingExtension, SourceNotFound, SourceUnreadable, TeachkitError, Where, listing
from teachkit.graph.sql import literal, names_in, not_fixed, quote
from teachkit.hashing import digest, digest_file
from teachkit.project.root import name_below
from teachkit.store.files import signature

if TYPE_CHECKING:
    import duckdb

    from teachkit.graph.node import SourceSpec
    from teachkit.store import Store

_SMALL_BYTES, _FEW_FILES = 1 << 20, 20
_REMOTE = re.compile(r"^(s3|gs|gcs|r2|https?|hf|az|azure|abfss)://")
_EXTENSION = {
    "s3": "httpfs",
    "gs": "httpfs",
    "gcs": "httpfs",
    "r2": "httpfs",
    "http": "httpfs",
    "https": "httpfs",
    "hf": "httpfs",
}


def is_remote(spec: SourceSpec) -> bool:
    """Whether the source cannot be hashed as local files: it is read again in each build."""
    return any(_REMOTE.match(path) for path in spec.paths) or spec.table.type == "postgres"


def local_files(spec: SourceSpec, root: Path) -> list[Path]:
    """The source's local files in the order in which they are read."""
    if spec.table.database is not None:
        found = [] if spec.table.type == "postgres" else [root / spec.table.database]
    else:
        found = [path for pattern in spec.paths if not _REMOTE.match(pattern) for path in _files_of(pattern, root)]
    return [path for path in dict.fromkeys(found) if path.is_file()]


def check_there(spec: SourceSpec, root: Path, name: str, where: Where) -> list[Path]:
    """The source's local files.

    Raises:
        SourceNotFound: a path or glob has none.
        SourceUnreadable: they are all empty, so that nothing tells the columns.
    """
    files = local_files(spec, root)
    for pattern in spec.paths:
        if not _REMOTE.match(pattern) and not any(path.is_file() for path in _files_of(pattern, root)):
            raise SourceNotFound(where, source=name, path=pattern)
    if spec.table.database and spec.table.type != "postgres" and not files:
        raise SourceNotFound(where, source=name, path=spec.table.database)
    if files and spec.format in ("csv", "jsonl") and _is_empty(spec, root) and not _declares_columns(spec):
        problem = f"'{files[0].name}' is empty"
        advice = "declare what it will hold: columns: {name: {type: varchar}}"
        if spec.format == "csv":
            advice = "write its header line; a file with a header alone has no rows, and that is fine"
        raise SourceUnreadable(where, source=name, problem=problem, advice=advice)
    return files


def files_of_content(spec: SourceSpec, root: Path) -> list[Path]:
    """The local files that hold a source's rows; of a database also what was written and lies beside it yet."""
    files = local_files(spec, root)
    return files + [log for file in files for log in _logs(file, spec.database_kind)]


SQLITE_LOG = "-wal"
_LOGS: Mapping[str | None, Sequence[str]] = {
    "duckdb": (".wal", ".wal.checkpoint", ".wal.recovery"),
    "sqlite": (SQLITE_LOG,),
}
"""The ends of the names of write-ahead logs."""


def _logs(file: Path, kind: str | None) -> list[Path]:
    """The write-ahead logs of a database that hold something: SQLite leaves an empty one when a file is read."""
    real = file.resolve() if file.is_symlink() else file
    logs = [Path(f"{real}{end}") for end in _LOGS.get(kind, ())]
    return [log for log in logs if log.is_file() and log.stat().st_size]


def _files_of(pattern: str, root: Path) -> list[Path]:
    full = root / pattern
    if not glob.has_magic(str(full)):
        return [full]
    return [Path(found) for found in sorted(glob.glob(str(full), recursive=True))]


def _is_empty(spec: SourceSpec, root: Path) -> bool:
    """Whether there is not one byte to read."""
    remote = any(_REMOTE.match(path) for path in spec.paths)
    return not remote and all(path.stat().st_size == 0 for path in local_files(spec, root))


def _declares_columns(spec: SourceSpec) -> bool:
    return spec.format == "jsonl" and bool(spec.types)


class SourceReader:
    """Describes sources for the compiler; what was described is remembered while the files stay as they are."""

    def __init__(self, root: Path, store: Store) -> None:
        """``root`` is what relative paths start from."""
        self._root = root
        self._store = store

    def describe(self, spec: SourceSpec, node_id: str, where: Where) -> Mapping[str, str]:
        """Column -> DuckDB type."""
        name = node_id.partition(".")[2]
        files = check_there(spec, self._root, name, where)
        if not files or (spec.database_kind == "duckdb" and spec.table.version is not None):  # views may read elsewhere
            return self._ask(spec, name, where)
        key = self._key(spec)
        found = self._store.cache.get_many([key]).get(key)
        if found is not None:
            return dict(json.loads(found))
        schema = self._ask(spec, name, where)
        if self._key(spec) == key:  # else files changed meanwhile, and nobody knows which ones were described
            self._store.cache.put_many({key: json.dumps(schema)})
        return schema

    def _key(self, spec: SourceSpec) -> str:
        known_by = _known_by(files_of_content(spec, self._root), self._root)
        return "describe 3:" + digest([spec.format, spec.table.model_dump(mode="json"), dict(spec.types), known_by])

    def _ask(self, spec: SourceSpec, name: str, where: Where) -> dict[str, str]:
        import duckdb

        table = spec.table
        if table.database is not None and spec.database_kind == "sqlite":
            from teachkit.engine.sqlite_file import sqlite_columns

            file = self._root / table.database
            return sqlite_columns(file, table=table.table, query=table.query, types=spec.types, name=name, where=where)
        with duckdb.connect() as connection:
            relation = open_source(connection, spec, self._root, name, where)
            try:
                rows = connection.execute(f"describe select * from {relation}").fetchall()
                if spec.database_kind == "duckdb" and table.version is None:
                    _check_views(connection, relation, spec, name, where)
            except duckdb.Error as error:
                raise self._explained(connection, spec, error, name, where) from error
            if spec.format == "parquet":
                _check_key(spec, self._root, name, where)
            if spec.format == "csv":
                found = misfit(connection, spec, local_files(spec, self._root), [row[0] for row in rows])
                if found is not None:
                    raise unreadable(found, name, where) from found
        return {row[0]: row[1] for row in rows}

    def _explained(
        self, connection: duckdb.DuckDBPyConnection, spec: SourceSpec, error: duckdb.Error, name: str, where: Where
    ) -> TeachkitError:
        """Why DuckDB cannot read a source; of a CSV file that it cannot make out, what is the matter with it."""
        if spec.format != "csv" or UNKNOWN_FORM not in str(error):
            return unreadable(error, name, where)
        files = local_files(spec, self._root)
        mixed = mixed_ends(files)
        if mixed is not None:
            problem = f"its lines end in two ways, \\n and \\r\\n (line {mixed[1]} of {mixed[0].name})"
            advice = "write all ends of lines alike, or 'options: {strict_mode: false}'"
            return SourceUnreadable(where, source=name, problem=problem, advice=advice)
        return unreadable(misfit(connection, spec, files) or error, name, where)


def _check_key(spec: SourceSpec, root: Path, name: str, where: Where) -> None:
    """Refuse Parquet files of which some lack a column of the key: DuckDB would, once it comes to read them."""
    key = spec.table.key or ()
    for column in () if spec.table.options.get("union_by_name") else [key] if isinstance(key, str) else key:
        files = [name_below(file, root) for file in files_without(spec, root, column)]
        if files:
            have = "has" if len(files) == 1 else "have"
            problem = f"{listing(files, 3)} {have} no column '{column}', which is its key, and other files have"
            advice = "name it so there, or leave what holds other rows out of 'path:'"
            raise SourceUnreadable(where, source=name, problem=problem, advice=advice)


def files_without(spec: SourceSpec, root: Path, column: str) -> list[Path]:
    """The local files of a source that lack a column which others of them have."""
    import duckdb

    files = [file for file in local_files(spec, root) if file.stat().st_size]
    if len(files) < 2:
        return []
    with duckdb.connect(config={"threads": "1"}) as connection:
        found = [file for file in files if column.lower() not in _columns(connection, spec, file)]
    return found if len(found) < len(files) else []


def _columns(connection: duckdb.DuckDBPyConnection, spec: SourceSpec, file: Path) -> list[str]:
    """The columns of one file of a source, in small letters."""
    relation = _reader(dataclasses.replace(spec, paths=(str(file),), types={}), file.parent)
    return [row[0].lower() for row in connection.execute(f"describe select * from {relation}").fetchall()]


def _check_views(
    connection: duckdb.DuckDBPyConnection, relation: str, spec: SourceSpec, name: str, where: Where
) -> None:
    """Refuse a relation of a DuckDB file whose views read files, or come out otherwise the next time.

    The file stays the same then, and what was read of it would count as unchanged.
    """
    import duckdb

    advice = "write a table instead, or say when it changes: 'version:', a query with another result by then"
    for view, problem in _not_fixed(connection, spec, name):
        raise SourceUnreadable(where, source=name, problem=f"in '{view}' {problem}", advice=advice)
    try:
        connection.execute("set enable_external_access = false")
        connection.execute(f"describe select * from {relation}")
    except duckdb.PermissionException as error:
        file = re.search(r'"([^"]*)"', str(error))
        read = f"'{file[1].rpartition('/')[2]}', which is" if file else "from"
        problem = f"a view of the database reads {read} outside of it"
        raise SourceUnreadable(where, source=name, problem=problem, advice=advice) from error


def _not_fixed(connection: duckdb.DuckDBPyConnection, spec: SourceSpec, name: str) -> Iterator[tuple[str, str]]:
    """Views and macros that a relation of a database is made of, each with what is wrong with it."""
    database = f"database_name = {literal('db.' + name)}"
    found = connection.execute(
        f"select view_name, sql from duckdb_views() where {database} union all "
        f"select function_name, macro_definition from duckdb_functions() where {database}"
    ).fetchall()
    made_of: dict[str, list[str]] = {}
    for defined, sql in found:
        made_of.setdefault(defined.lower(), []).append(sql)
    todo = list(names_in(str(spec.table.query))) if spec.table.query else [str(spec.table.table).rpartition(".")[2]]
    seen: set[str] = set()
    while todo:
        one = todo.pop().lower()
        for sql in made_of.get(one, []) if one not in seen else []:
            problem = not_fixed(sql)
            if problem is not None:
                yield one, problem
            todo += names_in(sql)
        seen.add(one)


def _known_by(files: Sequence[Path], root: Path) -> list[Any]:
    """What tells that files are as they were: their content where they are small, so that a checkout knows them too."""
    stats = [f.stat() for f in files]
    if sum(stat.st_size for stat in stats) <= _SMALL_BYTES and len(files) <= _FEW_FILES:
        return [(name_below(f, root), digest_file(f)) for f in files]
    return [signature(f) for f in files]


def open_source(connection: duckdb.DuckDBPyConnection, spec: SourceSpec, root: Path, name: str, where: Where) -> str:
    """The SQL of a relation with the source's rows; attaches its database if it lies in one."""
    import duckdb

    table = spec.table
    if table.database is None:
        for path in spec.paths:
            remote = _REMOTE.match(path)
            if remote and remote[1] in _EXTENSION:
                _load(connection, _EXTENSION[remote[1]], name, where)
        if spec.format == "xlsx":
            _load(connection, "excel", name, where)
        return _reader(spec, root)
    kind = spec.database_kind
    if kind == "sqlite":
        from teachkit.engine.sqlite_file import sqlite_relation

        file = root / table.database
        return sqlite_relation(
            connection, file, table=table.table, query=table.query, types=spec.types, name=name, where=where
        )
    if kind == "postgres":
        _load(connection, kind, name, where)
    place = table.database if kind == "postgres" else str(root / table.database)
    alias = quote("db." + name)
    try:
        attached = {row[0] for row in connection.execute("select database_name from duckdb_databases()").fetchall()}
        if "db." + name not in attached:
            connection.execute(f"attach {literal(place)} as {alias} (type {kind}, read_only)")
    except duckdb.Error as error:
        raise unreadable(error, name, where) from error
    if table.query is None:
        return ".".join([alias, *(quote(part) for part in str(table.table).split("."))])
    if kind == "duckdb":
        return f"({_in_database(table.query, alias)})"
    return f"{kind}_query({literal('db.' + name)}, {literal(table.query)})"


def _in_database(query: str, alias: str) -> str:
    """A query of a DuckDB file with its tables named within the attached database; all else stays as it is written."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(query, dialect="duckdb")
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    prefixes: dict[int, str] = {}
    for found in tree.find_all(exp.Table):
        if isinstance(found.this, exp.Identifier) and found.name not in ctes and not found.catalog:
            first = found.args.get("db") or found.this
            prefixes[first.meta["start"]] = f"{alias}." if found.db else f'{alias}."main".'
    for start, prefix in sorted(prefixes.items(), reverse=True):
        query = query[:start] + prefix + query[start:]
    return query.strip().rstrip(";") + "\n"


def _load(connection: duckdb.DuckDBPyConnection, extension: str, name: str, where: Where) -> None:
    import duckdb

    try:
        connection.execute(f"load {extension}")
    except duckdb.Error:
        try:
            connection.execute(f"install {extension}")
            connection.execute(f"load {extension}")
        except duckdb.Error as error:
            problem = str(error).splitlines()[0]
            raise MissingExtension(where, source=name, extension=extension, problem=problem) from error


def _reader(spec: SourceSpec, root: Path) -> str:
    paths = [path if _REMOTE.match(path) else str(root / path) for path in spec.paths]
    options: dict[str, Any] = dict(spec.table.options)
    if spec.format in ("csv", "jsonl"):
        options.setdefault("union_by_name", True)
        files = local_files(spec, root)
        full = [str(path) for path in files if path.stat().st_size]
        if not full and _declares_columns(spec):
            return (
                "(select "
                + ", ".join(f"cast(NULL as {t}) as {quote(c)}" for c, t in spec.types.items())
                + " where false)"
            )
        if 0 < len(full) < len(files):  # an empty file would bring a column of its own
            paths = [path for path in paths if _REMOTE.match(path)] + full
    if spec.format == "csv":
        options.setdefault("skip", 0)  # else DuckDB passes over lines at the top that do not fit the others
    function = {"csv": "read_csv", "jsonl": "read_json", "parquet": "read_parquet", "xlsx": "read_xlsx"}[spec.format]
    if spec.format == "jsonl":
        options.setdefault("format", "newline_delimited")
    arguments = [
        "[" + ", ".join(literal(p) for p in paths) + "]",
        *(f"{k} = {_option(v)}" for k, v in sorted(options.items())),
    ]
    if spec.types and spec.format == "csv":
        arguments.append("types = " + _option(dict(spec.types)))
    relation = f"{function}({', '.join(arguments)})"
    if spec.types and spec.format != "csv":
        casts = ", ".join(f"cast({quote(c)} as {t}) as {quote(c)}" for c, t in spec.types.items())
        relation = f"(select * replace ({casts}) from {relation})"
    return relation


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(str(k))}: {_option(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_option(v) for v in value) + "]"
    return literal(str(value))


def names_file(error: BaseException) -> str | None:
    """The file that a reader of CSV or JSON could not read; None of an error of SQL."""
    found = re.search(r'^\s*file = (.*)$|(?:JSON.*?|sniffing )(?:in )?file "([^"]*)"', str(error), re.MULTILINE)
    return found and (found[1] or found[2])


def unreadable(error: BaseException, name: str, where: Where) -> TeachkitError:
    """A DuckDB error while reading a source, in our words, without row text."""
    text = str(error)
    first = text.splitlines()[0]
    advice = "check the file, 'format:' and 'options:'"
    if UNKNOWN_FORM in first:
        advice = "say what parts its columns, and what quotes: options: {delim: ';', quote: '\"'}"
    elif "Expected Number of Columns" in text:
        advice = "mend this line, or say what parts the columns: options: {delim: ';'}"
    elif "not utf-8 encoded" in text or re.search(r"utf-?8|unicode|encod", first, re.IGNORECASE):
        advice = "save the file as UTF-8, or name its encoding: options: {encoding: latin-1}"
    elif "onver" in text or "cast" in text.lower():
        column = re.search(r'column (?:name )?"?(\w+)"?', text, re.IGNORECASE)
        advice = f"declare the column as text: columns: {{{column[1] if column else 'name'}: {{type: varchar}}}}"
    return SourceUnreadable(where, source=name, problem=_problem(text), advice=advice)


_CSV_PROBLEMS = {
    "not utf-8": "it is not UTF-8",
    "Expected Number of Columns": "a row has another number of columns than the header",
    "unterminated quote": "a quote is never closed",
    "Error when converting": "a value does not convert to its column's type",
    "Maximum line size": "a line is longer than DuckDB's reader allows (options: {max_line_size: …})",
}


def _problem(text: str) -> str:
    """What DuckDB says, on one line: no row's text, no folder of this machine, no password."""
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if line is not None:
        told = next((told for mark, told in _CSV_PROBLEMS.items() if mark.lower() in text.lower()), "it does not parse")
        file = re.search(r"^\s*file = (.*)$", text, re.MULTILINE)
        return f"{told} (line {line[1]} of {file[1].rpartition('/')[2] if file else 'the file'})"
    first = re.sub(r"\s+", " ", text.splitlines()[0].removeprefix("Invalid Input Error: ")).strip()
    if UNKNOWN_FORM in first:
        first = f"DuckDB cannot make out {first.partition(UNKNOWN_FORM)[2].strip(' .')}: its lines are of no one form"
    first = re.sub(r'(JSON transform error.*?): ".*', r"\1", first)  # a value of the row
    first = re.sub(r"(?<=[\"'\s])/(?:[^\"'\s/]+/)+(?=[^\"'\s/]+)", "", first)
    return re.sub(r"(://)[^/@\s]+@|(password=)\S+", r"\1\2…", first)


def find_records(spec: SourceSpec, path: Path, column: str, values: Sequence[str]) -> dict[str, int]:
    """For each of some values of ``column`` the number, from 1, of the first record of one file that has it.

    What no record has is not in the answer.
    """
    import duckdb

    if not values:
        return {}
    one = dataclasses.replace(spec, paths=(str(path),))
    with duckdb.connect(config={"threads": "1"}) as connection:
        rows = f"select row_number() over () as record, {quote(column)} as value from {_reader(one, path.parent)}"
        wanted = ", ".join(literal(value) for value in dict.fromkeys(values))
        text = "cast(value as varchar)"
        query = f"select {text}, min(record) from ({rows}) where {text} in ({wanted}) group by 1"
        return {value: int(record) for value, record in connection.execute(query).fetchall()}
