"""What a piece of SQL means: its canonical form, the columns that it reads and offers, and where each comes from.

Relations are named by node ids in double quotes (``"transform.comments"``): that is what ``ref()`` and ``source()``
render to, and what the engine calls its views. What runs is the user's own text, without what stands around it:
sqlglot reads DuckDB's dialect well, but writes some of it otherwise than DuckDB meant it.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadSql, ProjectErrors, UnknownLabel, Where, did_you_mean, listing
from teachkit.graph.names import fold, literal, quote
from teachkit.graph.sql.leaves import leaves, unknown_column
from teachkit.graph.sql.queries import resolve
from teachkit.graph.sql.refusals import (
    ONLY_READS,
    at,
    check_fixed,
    check_table_function,
    is_aggregate,
    makes_rows,
    place,
    refuse,
)
from teachkit.graph.sql.tables import ROWS, Columns, Query, Reading
from teachkit.graph.sql.text import canonical, trimmed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlglot import exp

Pairs = dict[str, tuple[tuple[str, str], ...]]


DEEPEST = 100
"""How deep SQL may be nested."""

CONDITION = "write a condition over the columns of one row"
"""What to write where an expression chooses rows and a SELECT does not belong."""

NO_CONDITION = "compare it with something: a condition is true for the rows that get the label"
"""What to do about an expression that is not true or false."""

_NESTED_WORD = re.compile(r"\b(?:case|not)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Select:
    """A SELECT, understood.

    ``sql`` is what to run. ``columns`` is None where only DuckDB can tell; a column without a name of its own is
    ``""``. ``reads`` maps each relation to the columns read of it, None for all. ``lineage`` maps each output column
    to the (relation, column) pairs that its value is made of, ``influences`` to all that can change it, ``""`` being
    the choice of rows (see ``tables``). ``aggregates`` says that the result may depend on the order in which
    threads deliver rows.
    """

    canonical: str
    sql: str
    columns: tuple[str, ...] | None
    reads: dict[str, tuple[str, ...] | None]
    lineage: Pairs
    influences: Pairs
    keeps_order: bool
    aggregates: bool

    def plain(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, value: dict[str, Any]) -> Select:
        """The inverse of ``plain`` after a trip through JSON."""
        changes = {
            "columns": None if value["columns"] is None else tuple(value["columns"]),
            "reads": {k: None if v is None else tuple(v) for k, v in value["reads"].items()},
            "lineage": {k: tuple((r, c) for r, c in v) for k, v in value["lineage"].items()},
            "influences": {k: tuple((r, c) for r, c in v) for k, v in value["influences"].items()},
        }
        return cls(**{**value, **changes})


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression over the columns of one relation, understood; ``sql`` is the text to run, in parentheses.

    ``is_list``: whether it results in lists; None where only DuckDB can tell. ``is_number``: whether it surely results
    in numbers.
    """

    canonical: str
    sql: str
    columns: tuple[str, ...]
    is_list: bool | None
    is_number: bool = False

    def plain(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, value: dict[str, Any]) -> Expression:
        """The inverse of ``plain`` after a trip through JSON."""
        return cls(**{**value, "columns": tuple(value["columns"])})


def parse_one(sql: str, where: Where, *, query: bool = False) -> exp.Expr:
    """Parse exactly one statement or expression of DuckDB's dialect; ``query`` says that only a SELECT belongs here.

    Raises:
        BadSql: with file and line.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        with _quiet():
            if _nesting(sql) > DEEPEST:
                raise _too_deep(where)
            parsed = [t for t in sqlglot.parse(sql, dialect="duckdb") if t is not None]
    except SqlglotError as error:
        raise _cannot_parse(error, sql, where, query=query) from error
    except RecursionError as error:
        raise _too_deep(where) from error
    parsed = [t for t in parsed if not isinstance(t, exp.Semicolon)]
    if not parsed:
        raise BadSql(where, problem="there is no SQL here", advice="write one SELECT, or one expression")
    if len(parsed) > 1:
        raise BadSql(where, problem=f"{len(parsed)} statements stand here", advice="write one; remove the others")
    if any(not s.expressions for s in parsed[0].find_all(exp.Select)):
        raise BadSql(where, problem="this SELECT selects nothing", advice="write what: columns, or *")
    return parsed[0]


def is_select(tree: exp.Expr) -> bool:
    """Whether a parsed tree is a query."""
    from sqlglot import exp

    return isinstance(tree, exp.Query)


def understand_select(sql: str, schemas: Mapping[str, Columns], where: Where) -> Select:
    """Understand a SELECT whose relations are among ``schemas`` (id -> columns, None where unknown).

    Raises:
        BadSql: not one SELECT, a relation named without ref() or source(), a function that is not fixed.
        UnknownColumn: a column that no relation in reach has.
    """
    tree = parse_one(sql, where, query=True)
    if not is_select(tree):
        misspelt = _misspelt_start(sql, where, query=True) if tree.key == "alias" else None  # fro x is read as fro AS x
        if misspelt is not None:
            raise misspelt
        raise BadSql(where, problem=f"a SELECT belongs here, not {_noun(tree)}", advice=ONLY_READS)
    reading = Reading(sql, where, schemas)
    try:
        refuse(tree, sql, where)
        query = resolve(tree, reading)
        meaning = canonical(sql) + _with_stars(tree, schemas)
    except RecursionError as error:
        raise _too_deep(where) from error
    _raise_all(reading)
    names = query.names
    return Select(
        meaning,
        trimmed(sql),
        None if names is None else tuple(names),
        {name: None if found is None else tuple(sorted(found)) for name, found in sorted(reading.reads.items())},
        _pairs(query, "value"),
        {**_pairs(query, "influence"), ROWS: tuple(sorted(query.rows if names is not None else query.everything()))},
        keeps_order=_keeps_order(tree, schemas),
        aggregates=_needs_one_thread(tree),
    )


def understand_expression(
    sql: str, relation: str, columns: Sequence[str], where: Where, *, instead: str = ""
) -> Expression:
    """Understand one expression over the columns of ``relation``.

    ``instead`` says what to write where the expression is no labeling function, which may be a SELECT as well.
    """
    from sqlglot import exp

    tree = parse_one(sql, where)
    values = exp.Condition | exp.Func | exp.Query | exp.AtTimeZone | exp.DataType | exp.IgnoreNulls
    no_value = isinstance(tree, exp.DDL | exp.DML | exp.Command | exp.Alias) or not isinstance(tree, values)
    if no_value or (instead and is_select(tree)):
        advice = instead or "write an expression over the columns, true for the rows that get the label"
        raise BadSql(where, problem=f"an expression belongs here, not {_noun(tree)}", advice=advice)
    try:
        refuse(tree, sql, where)
        _check_row_local(tree, where, instead or "write a SELECT of (key, label) instead")
        read = _columns_of(tree, relation, columns, where)
    except RecursionError as error:
        raise _too_deep(where) from error
    leaves = [leaf for leaf in _results(tree) if not isinstance(leaf, exp.Null)]
    lists = any(isinstance(leaf, exp.Array | exp.List) for leaf in leaves)
    is_list = lists if lists or all(isinstance(leaf, exp.Literal) for leaf in leaves) else None
    return Expression(canonical(sql), f"(\n{trimmed(sql)}\n)", read, is_list, any(map(_is_number, leaves)))


def check_source(sql: str, where: Where) -> None:
    """Refuse a query of a database whose rows depend on more than the database.

    Raises:
        BadSql: it cannot be parsed, reads from outside, or comes out otherwise the next time.
    """
    from sqlglot import exp

    tree = parse_one(sql, where)
    try:
        check_fixed(tree, sql, where)
        for table in tree.find_all(exp.Table):
            if not isinstance(table.this, exp.Identifier):
                check_table_function(table, sql, where)
    except RecursionError as error:
        raise _too_deep(where) from error


def not_fixed(sql: str) -> str | None:
    """What lets a view or macro of a database come out otherwise the next time, None if nothing is seen to."""
    tree = _parsed(sql)
    try:
        if tree is not None:
            check_fixed(tree, sql, _NOWHERE)
    except BadSql as error:
        return str(error.facts["problem"])
    return None


def names_in(sql: str) -> set[str]:
    """The names of tables and functions in a piece of SQL."""
    from sqlglot import exp

    tree = _parsed(sql)
    if tree is None:
        return set()
    functions = {str(call.this) for call in tree.find_all(exp.Anonymous)}
    return functions | {table.name for table in tree.find_all(exp.Table) if isinstance(table.this, exp.Identifier)}


_NOWHERE = Where("")


def _parsed(sql: str) -> exp.Expr | None:
    """SQL that others wrote; None where only DuckDB can read it."""
    try:
        return parse_one(sql, _NOWHERE)
    except BadSql:
        return None


def check_labels(sql: str, labels: Sequence[str], task: str, where: Where) -> bool:
    """Raise ``UnknownLabel`` if an expression can result in a string that is no label of the task; else True."""
    check_results(parse_one(sql, where), sql, labels, task, where)
    return True


def check_results(tree: exp.Expr, sql: str, labels: Sequence[str], task: str, where: Where) -> None:
    """The same for a tree that is a part of ``sql``."""
    from sqlglot import exp

    for leaf in _results(tree):
        for node in leaf.expressions if isinstance(leaf, exp.Array) else [leaf]:
            if isinstance(node, exp.Literal) and node.is_string and node.this not in labels:
                known, hint = listing(labels, 30), did_you_mean(node.this, labels)
                raise UnknownLabel(_locate(sql, node.this, where), label=node.this, task=task, known=known, hint=hint)


def pretty(sql: str) -> str:
    """SQL laid out for reading; as it stands where sqlglot cannot."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.parse_one(sql, dialect="duckdb").sql("duckdb", pretty=True) + "\n"
    except (SqlglotError, RecursionError):
        return sql.strip() + "\n"


# ---------------------------------------------------------------------------- parsing


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings: sqlglot gives them where it does not know a statement; the error that follows says it better."""
    logger = logging.getLogger("sqlglot")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _cannot_parse(error: Exception, sql: str, where: Where, *, query: bool) -> BadSql:
    misspelt = _misspelt_start(sql, where, query=query)
    if misspelt is not None:
        return misspelt
    details = (getattr(error, "errors", None) or [{}])[0]
    problem = details.get("description") or re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()[0]
    problem = re.sub(r"^Required keyword: .*", "something is missing", problem)
    problem = re.sub(r" *<class '[^']*'>", "", problem)
    word = details.get("highlight")
    if details.get("line"):
        column = max(1, details["col"] - len(word or "") + 1)
        where = at(where, details["line"], column, details["col"] + 1)
    near = f" near '{word}'" if word else ""
    sliced = re.search(r"\b([A-Za-z]\w*)\s*\[\s*:", sql) if word == ":" else None
    advice = "check the syntax (DuckDB's dialect)"
    if sliced is not None:  # text[:3], where sqlglot takes text for a type
        advice = f'put the column\'s name in quotes: "{sliced[1]}"[:…]'
    return BadSql(where, problem=f"this SQL cannot be parsed: {problem}{near}", advice=advice)


def _misspelt_start(sql: str, where: Where, *, query: bool) -> BadSql | None:
    """What is wrong with the first word of a SELECT, if that is what is wrong.

    An expression may start with any word; it is taken for a SELECT if there is a FROM and the word is close to one.
    """
    from sqlglot import TokenType as T
    from sqlglot import tokenize
    from sqlglot.errors import SqlglotError

    try:
        tokens = tokenize(sql, dialect="duckdb")
    except SqlglotError:
        return None
    if not tokens or tokens[0].token_type != T.VAR:
        return None
    first = tokens[0]
    hint = did_you_mean(first.text.lower(), ("select", "with", "from"))
    if not query and not (hint and any(t.token_type == T.FROM for t in tokens)):
        return None
    place = at(where, first.line, first.col - len(first.text) + 1, first.col + 1)
    problem = f"a query starts with SELECT, WITH or FROM, not '{first.text}'"
    return BadSql(place, problem=problem, advice=f"write one SELECT statement.{hint}")


def _nesting(sql: str) -> int:
    """How deep parentheses, brackets, CASE and prefix operators are nested: how deep a parser must recurse.

    Python's own limit differs between versions, and within sqlglot's compiled parts there is none.
    """
    from sqlglot import TokenType as T
    from sqlglot import tokenize

    if sum(sql.count(c) for c in "([{-+~") + len(_NESTED_WORD.findall(sql)) <= DEEPEST:
        return 0
    opens, closes = {T.L_PAREN, T.L_BRACKET, T.L_BRACE, T.CASE}, {T.R_PAREN, T.R_BRACKET, T.R_BRACE, T.END}
    depth = prefixes = deepest = 0
    for token in tokenize(sql, dialect="duckdb"):
        kind = token.token_type
        depth += (kind in opens) - (kind in closes)
        prefixes = prefixes + 1 if kind in (T.NOT, T.DASH, T.PLUS, T.TILDE) else 0
        deepest = max(deepest, depth + prefixes)
    return deepest


def _too_deep(where: Where) -> BadSql:
    advice = "write it flat: in (…), a list of words in YAML, or several transforms"
    return BadSql(where, problem="this SQL is nested too deeply", advice=advice)


def _noun(tree: exp.Expr) -> str:
    from sqlglot import exp

    match tree:
        case exp.Pivot():
            return "a PIVOT (write: select * from … pivot (sum(x) for y in ('a', 'b')))"
        case exp.Query():
            return "a SELECT"
        case exp.Alias():
            return f"a name ('{tree.alias}') behind it"
        case exp.Command():
            return str(tree.this).upper()
        case exp.Condition() | exp.Func():
            return "an expression"
    return tree.key.upper()


def _raise_all(reading: Reading) -> None:
    errors = list({str(e): e for e in reading.errors}.values())
    errors.sort(key=lambda e: (e.where.line or 0, e.where.column or 0) if e.where else (0, 0))
    if errors:
        raise errors[0] if len(errors) == 1 else ProjectErrors(errors)


def _with_stars(tree: exp.Expr, schemas: Mapping[str, Columns]) -> str:
    """What a star stands for, in order; the same for a join that finds its columns itself."""
    from sqlglot import exp

    stars = any(not isinstance(s.parent, exp.Count) for s in tree.find_all(exp.Star))
    if not stars and not any(str(j.args.get("method") or "") == "NATURAL" for j in tree.find_all(exp.Join)):
        return ""
    used = sorted({t.name for t in tree.find_all(exp.Table)} & schemas.keys())
    return "".join(f"\n{quote(name)} ({', '.join(map(quote, schemas[name] or ('?',)))})" for name in used)


# ---------------------------------------------------------------------------- selects


def _pairs(query: Query, kind: str) -> Pairs:
    outputs: dict[str, set[tuple[str, str]]] = {}
    for output in query.outputs or ():
        if output.name:
            outputs.setdefault(output.name, set()).update(getattr(output, kind))
    return {name: tuple(sorted(found)) for name, found in outputs.items()}


_ORDERED = frozenset({"expressions", "from_", "where", "kind", "hint"})


def _keeps_order(tree: exp.Expr, schemas: Mapping[str, Columns]) -> bool:
    """Whether DuckDB gives the rows in the order of the one relation read: a plain projection and filter of it."""
    from sqlglot import exp

    if not isinstance(tree, exp.Select) or any(v for k, v in tree.args.items() if k not in _ORDERED):
        return False
    clause = tree.args.get("from_")
    relation = clause.this if clause is not None else None
    if not isinstance(relation, exp.Table) or relation.name not in schemas or _decorated(relation):
        return False
    loose = (exp.Query, exp.Window, exp.Pivot)
    return not any(isinstance(n, loose) or _is_long_list(n) or is_aggregate(n) or makes_rows(n) for n in _below(tree))


def _decorated(relation: exp.Table) -> bool:
    return any(v for k, v in relation.args.items() if k not in ("this", "alias"))


def _below(tree: exp.Expr) -> Iterator[exp.Expr]:
    return (n for n in tree.walk() if n is not tree)


def _is_long_list(node: exp.Expr) -> bool:
    """DuckDB joins with the values of a long IN list; then threads may mix the rows."""
    from sqlglot import exp

    return isinstance(node, exp.In) and len(node.expressions) > 1


def _needs_one_thread(tree: exp.Expr) -> bool:
    """Whether ties, or sums of floating-point numbers, come out as the threads happen to run."""
    from sqlglot import exp

    for node in tree.walk():
        if isinstance(node, exp.Window | exp.Limit | exp.Offset | exp.Fetch | exp.Pivot) or is_aggregate(node):
            return True
        if isinstance(node, exp.Distinct) and node.args.get("on"):
            return True
        if isinstance(node, exp.Join) and str(node.args.get("method") or "") in ("ASOF", "POSITIONAL"):
            return True
    return False


# ---------------------------------------------------------------------------- expressions


def _check_row_local(tree: exp.Expr, where: Where, instead: str) -> None:
    from sqlglot import exp

    for node in tree.walk():
        if isinstance(node, exp.Window | exp.Query) or is_aggregate(node):
            problem, advice = "no window, aggregate or subquery", instead
        elif makes_rows(node):
            problem, advice = "nothing that makes several rows of it", "use list_contains, list_filter and the like"
        elif isinstance(node, exp.Star | exp.Columns):
            problem, advice = "no '*'", "name the columns"
        else:
            continue
        raise BadSql(place(node, where), problem=f"an expression sees one row: {problem}", advice=advice)


def _columns_of(tree: exp.Expr, relation: str, columns: Sequence[str], where: Where) -> tuple[str, ...]:
    """The columns of ``relation`` that an expression reads; ``columns`` is empty where they are unknown."""
    known = {fold(c) for c in columns}
    reading = Reading("", where, {})
    read: set[str] = set()
    for node, local in leaves(tree):
        parts = [fold(p.name) for p in node.parts]
        if parts[0] in local:
            continue
        if parts[0] in known or not columns:
            read.add(parts[0])
        elif len(parts) > 1 and parts[1] in known:
            problem = f"'{node.sql('duckdb')}' names a table"
            raise BadSql(place(node, where), problem=problem, advice=f"write the column's name alone: {parts[1]}")
        else:
            owner = f"'{relation.partition('.')[2]}'"
            reading.errors.append(unknown_column(node, owner, columns, where, name=parts[0]))
    _raise_all(reading)
    return tuple(sorted(read))


def _results(tree: Any) -> Iterator[exp.Expr]:
    """The expressions that an expression may result in, as far as they can be told: the branches of CASE and such."""
    from sqlglot import exp

    match tree:
        case exp.Paren():
            yield from _results(tree.this)
        case exp.Case():
            for branch in tree.args["ifs"]:
                yield from _results(branch.args["true"])
            yield from _results(tree.args.get("default"))
        case exp.If():
            yield from _results(tree.args.get("true"))
            yield from _results(tree.args.get("false"))
        case exp.Coalesce():
            for part in (tree.this, *tree.expressions):
                yield from _results(part)
        case exp.Nullif():
            yield from _results(tree.this)
        case exp.Expr():
            yield tree


def _is_number(node: exp.Expr) -> bool:
    """Whether a result is a number: where one of several is, DuckDB makes numbers of all, or texts."""
    from sqlglot import exp

    match node:
        case exp.Literal():
            return not node.is_string
        case exp.Neg() | exp.Paren():
            return _is_number(node.this)
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div() | exp.Mod():
            return _is_number(node.this) and _is_number(node.expression)
    return isinstance(node, exp.Length)


def _locate(sql: str, text: str, where: Where) -> Where:
    """The place of a string literal."""
    written = literal(text)
    offset = sql.find(written)
    if offset < 0:
        return where
    line, start = sql.count("\n", 0, offset), offset - (sql.rfind("\n", 0, offset) + 1)
    return at(where, line + 1, start + 1, start + 1 + len(written))
