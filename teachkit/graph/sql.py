"""What a piece of SQL means: its canonical form, the columns that it reads and offers, and where each comes from.

Relations are named by node ids in double quotes (``"transform.comments"``): that is what ``ref()`` and
``source()`` render to, and what the engine calls its views.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadSql, TeachkitError, UnknownColumn, UnknownLabel, Where, did_you_mean, listing

if TYPE_CHECKING:
    from sqlglot import exp

Columns = Sequence[str] | None
_NOT_FIXED = {
    "random",
    "uuid",
    "gen_random_uuid",
    "uuidv4",
    "uuidv7",
    "now",
    "today",
    "current_timestamp",
    "get_current_time",
    "current_date",
    "current_time",
    "get_current_timestamp",
    "transaction_timestamp",
    "setseed",
    "nextval",
    "currval",
    "getenv",
    "current_setting",
    "rand",
    "currentdate",
    "currenttimestamp",
    "currenttime",
    "localtimestamp",
    "localtime",
    "rands",
    "generateuuid",
}
_FROM_OUTSIDE = re.compile(
    r"^(read_|parquet_|sniff_|glob$|sqlite_|postgres_|mysql_|duckdb_|pragma_|query|query_table$)"
)


@dataclass(frozen=True, slots=True)
class Select:
    """A SELECT, understood.

    ``columns`` is None where only DuckDB can tell. ``reads`` maps each relation to the columns read of it, None for
    all. ``lineage`` maps each output column to the (relation, column) pairs that its value is made of.
    """

    canonical: str
    columns: tuple[str, ...] | None
    reads: dict[str, tuple[str, ...] | None]
    lineage: dict[str, tuple[tuple[str, str], ...]]
    keeps_order: bool
    aggregates: bool

    def plain(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, value: dict[str, Any]) -> Select:
        """The inverse of ``plain`` after a trip through JSON."""
        columns = None if value["columns"] is None else tuple(value["columns"])
        reads = {k: None if v is None else tuple(v) for k, v in value["reads"].items()}
        lineage = {k: tuple((r, c) for r, c in v) for k, v in value["lineage"].items()}
        return cls(value["canonical"], columns, reads, lineage, value["keeps_order"], value["aggregates"])


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression over one relation, understood; ``sql`` names columns with quotes and no table."""

    canonical: str
    sql: str
    columns: tuple[str, ...]
    row_local: bool
    is_list: bool

    def plain(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, value: dict[str, Any]) -> Expression:
        """The inverse of ``plain`` after a trip through JSON."""
        return cls(**{**value, "columns": tuple(value["columns"])})


def quote(identifier: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def parse_one(sql: str, where: Where) -> exp.Expression:
    """Parse exactly one statement or expression of DuckDB's dialect.

    Raises:
        BadSql: with file and line.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        parsed = [tree for tree in sqlglot.parse(sql, dialect="duckdb") if tree is not None]
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        line = details[0].get("line")
        problem = details[0].get("description") or re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()[0]
        near = f" near '{details[0].get('highlight')}'" if details[0].get("highlight") else ""
        place = Where(where.path, (where.line or 1) + line - 1 if line else where.line)
        raise BadSql(
            place, problem=f"this SQL cannot be parsed: {problem}{near}", advice="check the syntax (DuckDB's dialect)"
        ) from error
    if not parsed:
        raise BadSql(where, problem="there is no SQL here", advice="write one SELECT, or one expression")
    if len(parsed) > 1:
        raise BadSql(where, problem=f"{len(parsed)} statements stand here", advice="write one; remove the others")
    return parsed[0]


def is_select(tree: exp.Expression) -> bool:
    """Whether a parsed tree is a query."""
    from sqlglot import exp

    return isinstance(tree, exp.Query)


def understand_select(sql: str, schemas: Mapping[str, Columns], where: Where) -> Select:
    """Understand a SELECT whose relations are among ``schemas`` (id -> columns, None where unknown).

    Raises:
        BadSql: not one SELECT, a relation named without ref() or source(), a function that is not fixed.
        UnknownColumn: a column that no relation in reach has.
    """
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import traverse_scope

    tree = parse_one(sql, where)
    if not is_select(tree):
        kind = tree.key.upper() if isinstance(tree, exp.DDL | exp.DML | exp.Command | exp.Drop) else "an expression"
        raise BadSql(
            where,
            problem=f"a SELECT belongs here, not {kind}",
            advice="teachkit only reads: write one SELECT statement",
        )
    _check_functions(tree, where)
    _check_relations(tree, schemas, where)
    known = {quote(name): dict.fromkeys(columns, "unknown") for name, columns in schemas.items() if columns is not None}
    complete = all(schemas.get(t.name) is not None for t in tree.find_all(exp.Table) if t.name in schemas)
    try:
        tree = qualify(tree, dialect="duckdb", schema=known, validate_qualify_columns=False)
        scopes = list(traverse_scope(tree))
    except (SqlglotError, RecursionError, KeyError, ValueError, AttributeError):
        reads: dict[str, tuple[str, ...] | None] = {t.name: None for t in tree.find_all(exp.Table) if t.name in schemas}
        return Select(_text(tree), None, reads, {}, keeps_order=False, aggregates=True)
    if complete:
        for scope in scopes:
            _check_columns(scope, schemas, where)
    columns = None if tree.is_star or not complete else tuple(name.lower() for name in tree.named_selects)
    return Select(
        _text(tree),
        columns,
        _reads(tree, scopes, schemas),
        _lineage(scopes[-1], schemas) if scopes else {},
        _keeps_order(tree),
        any(True for _ in tree.find_all(exp.AggFunc)),
    )


def understand_expression(sql: str, relation: str, columns: Sequence[str], where: Where) -> Expression:
    """Understand one expression over the columns of ``relation``."""
    from sqlglot import exp
    from sqlglot.optimizer.qualify import qualify

    tree = parse_one(sql, where)
    _check_functions(tree, where)
    row_local = not any(True for _ in tree.find_all(exp.Window, exp.AggFunc, exp.Query, exp.Subquery))
    if not row_local:
        problem = "an expression sees one row: no window, aggregate or subquery"
        raise BadSql(where, problem=problem, advice="write a SELECT of (key, label) instead")
    is_list = isinstance(tree.unnest(), exp.Array) or any(True for _ in tree.find_all(exp.Array, exp.List))
    known = {c.lower() for c in columns}
    select = exp.select(exp.alias_(exp.paren(tree), "v")).from_(
        exp.alias_(exp.to_table(quote(relation), dialect="duckdb"), "d", table=True)
    )
    schema = {quote(relation): dict.fromkeys(columns, "unknown")}
    select = qualify(select, dialect="duckdb", schema=schema, validate_qualify_columns=False)
    value = select.expressions[0].this
    read: set[str] = set()
    for column in value.find_all(exp.Column):
        if column.name.lower() not in known or column.table not in ("d",):
            if column.table in ("", "d"):
                raise _unknown_column(column, f"'{relation.partition('.')[2]}'", columns, where)
            problem = f"'{column.table}.{column.name}' names a table"
            raise BadSql(_at(column, where), problem=problem, advice="write the column's name alone")
        read.add(column.name.lower())
        column.set("table", None)
    return Expression(_text(value), _text(value), tuple(sorted(read)), row_local, is_list)


def result_literals(sql: str, where: Where) -> Iterator[tuple[str, Where]]:
    """The string literals that an expression may result in, with their places: what a label-valued LF can say."""
    from sqlglot import exp

    def results(tree: Any) -> Iterator[exp.Literal]:
        match tree:
            case exp.Paren():
                yield from results(tree.this)
            case exp.Case():
                for branch in tree.args["ifs"]:
                    yield from results(branch.args["true"])
                yield from results(tree.args.get("default"))
            case exp.If():
                yield from results(tree.args.get("true"))
                yield from results(tree.args.get("false"))
            case exp.Coalesce():
                for part in (tree.this, *tree.expressions):
                    yield from results(part)
            case exp.Array():
                for part in tree.expressions:
                    yield from results(part)
            case exp.Literal() if tree.is_string:
                yield tree

    for found in results(parse_one(sql, where)):
        yield str(found.this), _locate(sql, str(found), where)


def check_labels(sql: str, labels: Sequence[str], task: str, where: Where) -> None:
    """Raise ``UnknownLabel`` if an expression can result in a string that is no label of the task."""
    for label, place in result_literals(sql, where):
        if label not in labels:
            raise UnknownLabel(
                place, label=label, task=task, known=listing(labels, 30), hint=did_you_mean(label, labels)
            )


def pretty(sql: str) -> str:
    """SQL laid out for reading; as it stands where sqlglot cannot."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.parse_one(sql, dialect="duckdb").sql("duckdb", pretty=True) + "\n"
    except SqlglotError:
        return sql


def _text(tree: exp.Expression) -> str:
    return tree.sql("duckdb", comments=False, normalize_functions="upper")


def _at(node: exp.Expression, where: Where) -> Where:
    meta = next(
        (n.meta for n in (node, node.this, *node.find_all(type(node.this))) if hasattr(n, "meta") and "line" in n.meta),
        None,
    )
    if meta is None:
        return where
    width = meta["end"] - meta["start"] + 1
    return Where(where.path, (where.line or 1) + meta["line"] - 1, max(1, meta["col"] - width + 1), meta["col"] + 1)


def _locate(sql: str, text: str, where: Where) -> Where:
    offset = sql.find(f"'{text}'")
    return where if offset < 0 else Where(where.path, (where.line or 1) + sql.count("\n", 0, offset))


def _unknown_column(column: exp.Column, owner: str, known: Sequence[str], where: Where) -> TeachkitError:
    return UnknownColumn(
        _at(column, where),
        column=column.name,
        owner=owner,
        known=listing(known, 30),
        hint=did_you_mean(column.name, known),
    )


def _check_functions(tree: exp.Expression, where: Where) -> None:
    from sqlglot import exp

    for node in tree.find_all(exp.Func):
        name = (node.name if isinstance(node, exp.Anonymous) else node.key).lower()
        if name in _NOT_FIXED:
            problem = f"{node.sql('duckdb')} gives another result each time"
            raise BadSql(
                _at(node, where),
                problem=problem,
                advice="labels must come out the same again: pass a value with var() instead",
            )
        if _FROM_OUTSIDE.match(name):
            problem = f"{name}() reads from outside the project"
            raise BadSql(
                _at(node, where), problem=problem, advice="declare the data in sources/*.yml and write source('…', '…')"
            )


def _check_relations(tree: exp.Expression, schemas: Mapping[str, Columns], where: Where) -> None:
    from sqlglot import exp

    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            name = (table.this.name or table.this.key or "").lower()
            if name and _FROM_OUTSIDE.match(name):
                problem = f"{name}() reads from outside the project"
                raise BadSql(
                    where, problem=problem, advice="declare the data in sources/*.yml and write source('…', '…')"
                )
            continue
        if table.name not in schemas and table.name.lower() not in ctes:
            advice = f"write ref('{table.name}') for a transform, or source('…', '{table.name}') for a table of a source, in {{{{ }}}}"
            raise BadSql(_at(table, where), problem=f"'{table.name}' is no relation of this project", advice=advice)


def _check_columns(scope: Any, schemas: Mapping[str, Columns], where: Where) -> None:
    from sqlglot import exp

    aliases = {name.lower() for name in getattr(scope.expression, "named_selects", [])}
    reach = [c for source in scope.sources.values() for c in _source_columns(source, schemas)]
    opaque = any(_is_opaque(source, schemas) for source in scope.sources.values())
    for column in scope.columns:
        source = scope.sources.get(column.table)
        if column.table and isinstance(source, exp.Table) and schemas.get(source.name) is not None:
            known = list(schemas[source.name] or ())
            if column.name.lower() not in {c.lower() for c in known} and not isinstance(column.this, exp.Star):
                raise _unknown_column(column, f"'{source.name.partition('.')[2]}'", known, where)
        elif not column.table and not opaque and scope.sources and column.name.lower() not in aliases:
            if column.find_ancestor(exp.Lambda):
                continue
            owner = " and ".join(sorted(f"'{_name(s, key)}'" for key, s in scope.sources.items()))
            raise _unknown_column(column, owner, reach, where)


def _name(source: Any, alias: str) -> str:
    return str(getattr(source, "name", "")).partition(".")[2] or alias


def _source_columns(source: Any, schemas: Mapping[str, Columns]) -> list[str]:
    from sqlglot import exp

    if isinstance(source, exp.Table):
        return list(schemas.get(source.name) or ())
    return list(getattr(source.expression, "named_selects", []))


def _is_opaque(source: Any, schemas: Mapping[str, Columns]) -> bool:
    """Whether the columns of a source cannot be known here (a table function, unnest, pivot, a star left)."""
    from sqlglot import exp

    if isinstance(source, exp.Table):
        return schemas.get(source.name) is None or bool(source.args.get("pivots"))
    return not isinstance(source.expression, exp.Query) or source.expression.is_star or bool(source.pivots)


def _reads(
    tree: exp.Expression, scopes: Sequence[Any], schemas: Mapping[str, Columns]
) -> dict[str, tuple[str, ...] | None]:
    from sqlglot import exp

    reads: dict[str, set[str] | None] = {t.name: set() for t in tree.find_all(exp.Table) if t.name in schemas}
    for scope in scopes:
        for source in scope.sources.values():
            if (
                isinstance(source, exp.Table)
                and source.name in reads
                and (schemas[source.name] is None or scope.expression.is_star)
            ):
                reads[source.name] = None
        for column in scope.columns:
            source = scope.sources.get(column.table)
            names = (
                [source] if isinstance(source, exp.Table) else list(scope.sources.values()) if not column.table else []
            )
            for table in names:
                if isinstance(table, exp.Table):
                    found = reads.get(table.name)
                    if found is not None:
                        found.add(column.name.lower())
    return {name: None if found is None else tuple(sorted(found)) for name, found in sorted(reads.items())}


def _lineage(scope: Any, schemas: Mapping[str, Columns]) -> dict[str, tuple[tuple[str, str], ...]]:
    from sqlglot import exp

    memo: dict[tuple[int, str], frozenset[tuple[str, str]]] = {}

    def of_output(scope: Any, name: str) -> frozenset[tuple[str, str]]:
        memo_key = (id(scope), name)
        if memo_key in memo:
            return memo[memo_key]
        memo[memo_key] = frozenset()  # recursive CTEs end here
        found: set[tuple[str, str]] = set()
        for branch in scope.set_operation_scopes or [scope]:
            selects = getattr(branch.expression, "selects", [])
            names = [n.lower() for n in getattr(branch.expression, "named_selects", [])]
            position = names.index(name) if name in names else None
            if branch is not scope and position is None:
                outer = [n.lower() for n in scope.expression.named_selects]
                position = outer.index(name) if name in outer else None
            if position is not None and position < len(selects):
                for column in selects[position].find_all(exp.Column):
                    found |= of_column(branch, column)
        memo[memo_key] = frozenset(found)
        return memo[memo_key]

    def of_column(scope: Any, column: exp.Column) -> frozenset[tuple[str, str]]:
        source = scope.sources.get(column.table)
        if isinstance(source, exp.Table):
            return frozenset({(source.name, column.name.lower())}) if source.name in schemas else frozenset()
        if source is None:
            names = [s.name for s in scope.sources.values() if isinstance(s, exp.Table) and s.name in schemas]
            return frozenset((n, column.name.lower()) for n in names)
        return of_output(source, column.name.lower())

    return {name.lower(): tuple(sorted(of_output(scope, name.lower()))) for name in scope.expression.named_selects}


def _keeps_order(tree: exp.Expression) -> bool:
    """Whether DuckDB gives the rows in the order of the one relation read: a plain projection and filter."""
    from sqlglot import exp

    if not isinstance(tree, exp.Select) or any(
        tree.args.get(k)
        for k in ("group", "distinct", "having", "qualify", "joins", "laterals", "order", "limit", "offset", "sample")
    ):
        return False
    return not any(
        True
        for _ in tree.find_all(exp.AggFunc, exp.Window, exp.Subquery, exp.SetOperation, exp.Unnest, exp.Join, exp.With)
    )
