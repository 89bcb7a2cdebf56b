"""What SQL of a project may not do: change anything, read from outside, or come out otherwise the next time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from teachkit.errors import BadSql, Where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import exp

_NOT_FIXED = frozenset(
    """
    ago current_catalog current_connection_id current_database current_date current_localtime current_localtimestamp
    current_query current_query_id current_role current_schema current_schemas current_setting current_time
    current_timestamp current_transaction_id current_user currval gen_random_uuid get_block_size get_current_time
    get_current_timestamp getenv getvariable in_search_path inet_client_addr inet_client_port inet_server_addr
    inet_server_port localtime localtimestamp nextval now pg_conf_load_time pg_postmaster_start_time pg_sleep random
    reservoir_quantile session_user setseed setval sleep_ms stats today transaction_timestamp txid_current user uuid
    uuidv4 uuidv7 vector_type version write_log
    """.split()  # noqa: SIM905 - a page of names is easier to read than a list of strings
)
"""Functions of DuckDB whose result depends on the clock, on chance, or on where they run."""

_TABLE_FUNCTIONS = frozenset(
    {"generate_series", "generate_subscripts", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"}
)
"""Table functions that only look at their arguments."""

_AGGREGATES = frozenset(
    """
    any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null
    arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or
    bit_xor bitstring_agg bool_and bool_or combine_aggr corr count count_if count_star countif covar_pop
    covar_samp decimal_average entropy favg first fsum geomean geometric_mean group_concat histogram
    histogram_exact json_group_array json_group_object json_group_structure kahan_sum kurtosis kurtosis_pop last
    list listagg lttb mad max max_by mean median min min_by mode product quantile quantile_cont quantile_disc
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
    reservoir_quantile sem skewness stddev stddev_pop stddev_samp string_agg sum sum_no_overflow sumkahan
    var_pop var_samp variance variant_group_array variant_group_object wavg weighted_avg
    """.split()  # noqa: SIM905 - a page of names is easier to read than a list of strings
)
"""Aggregates of DuckDB: sqlglot takes some for plain functions, and all where they are called as ``x.sum()``."""


def refuse(tree: exp.Expr, sql: str, where: Where) -> None:
    """Refuse what only a statement that changes or guesses something holds.

    Raises:
        BadSql: with the place.
    """
    from sqlglot import exp

    for node in tree.walk():
        match node:
            case exp.Placeholder() | exp.Parameter():
                problem = f"{node.sql('duckdb')} is a parameter, and nothing gives it a value"
                in_brackets = isinstance(node.parent, exp.Bracket | exp.Slice)
                advice = "write the start too: [1:…]" if in_brackets else "write {{ var('…') }}"
                raise BadSql(place(node, where), problem=problem, advice=advice)
            case exp.PositionalColumn():
                raise BadSql(where, problem="'#' names a column by its place", advice="write the column's name")
            case exp.DML() | exp.DDL() if not isinstance(node, exp.Query):
                raise BadSql(where, problem=f"{node.key.upper()} changes something", advice=ONLY_READS)
            case exp.Lock() | exp.Into():
                raise BadSql(where, problem="this SELECT does more than read", advice=ONLY_READS)
            case exp.Pivot() if not _is_listed(node):
                problem = "the columns of this PIVOT depend on the data"
                advice = "list them: from … pivot (sum(x) for y in ('a', 'b'))"
                raise BadSql(_word(sql, "pivot", where), problem=problem, advice=advice)
            case exp.DataType() if not _names_a_type(node):
                name = node.sql("duckdb").lower()
                problem = f"'{name}' is read as a type"
                advice = f'if it is a column, put its name in quotes: "{name.partition("[")[0]}"[…]'
                raise BadSql(_word(sql, re.escape(name.partition("[")[0]), where), problem=problem, advice=advice)
    check_fixed(tree, sql, where)


def check_fixed(tree: exp.Expr, sql: str, where: Where) -> None:
    """Refuse what comes out otherwise the next time: chance, the clock, where it runs.

    Raises:
        BadSql: with the place.
    """
    from sqlglot import exp

    for node in tree.walk():
        match node:
            case exp.TableSample():
                problem = "a sample is another one each time"
                advice = f"choose rows by a hash of the key: where {_HASH} % 100 < 10"
                raise BadSql(_word(sql, "(?:using sample|tablesample)", where), problem=problem, advice=advice)
            case exp.Func():
                _check_function(node, sql, where)


def _names_a_type(node: exp.DataType) -> bool:
    from sqlglot import exp

    if isinstance(node.parent, exp.Cast):
        return node.arg_key == "to"
    return isinstance(node.parent, exp.DataType | exp.ColumnDef)


ONLY_READS = "teachkit only reads: write one SELECT statement"
_HASH = "md5_number_lower(key::varchar)"


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node makes one value of many rows."""
    from sqlglot import exp

    return isinstance(node, exp.AggFunc) or (isinstance(node, exp.Func) and bool(_names(node) & _AGGREGATES))


def makes_rows(node: exp.Expr) -> bool:
    """Whether a node of an expression makes several rows of one."""
    from sqlglot import exp

    if isinstance(node, exp.Explode | exp.Unnest):
        return True
    return isinstance(node, exp.Anonymous) and str(node.this).lower() in _ROWS_OF_ONE


_ROWS_OF_ONE = ("generate_subscripts", "regexp_split_to_table", "unnest")


def check_table_function(table: exp.Table, sql: str, where: Where) -> None:
    """Refuse table functions that look at anything but their arguments."""
    from sqlglot import exp

    inner = table.this
    names = _names(inner) if isinstance(inner, exp.Func) else {str(inner.name or inner.key).lower()}
    if not names & _TABLE_FUNCTIONS:
        name = inner.sql_name().lower() if type(inner) not in (exp.Anonymous, exp.Identifier) else min(names)
        raise BadSql(
            _word(sql, re.escape(name), where),
            problem=f"{name}() reads from outside the project",
            advice="declare the data in sources/*.yml and write source('…', '…')",
        )


def place(node: exp.Expr, where: Where) -> Where:
    """Where a node stands in its file; as near as is known."""
    found = next((n.meta for n in _named(node) if "line" in n.meta), None)
    if found is None:
        return where
    width = found["end"] - found["start"] + 1
    column = max(1, found["col"] - width + 1)
    return at(where, found["line"], column, column + width)


def at(where: Where, line: int, column: int, end: int | None = None) -> Where:
    """A place inside a text that starts at ``where`` (all its lines in that column if ``where`` has no end)."""
    moved = where.column is not None and (line == 1 or where.end_column is None)
    shift = (where.column or 1) - 1 if moved else 0
    return Where(where.path, (where.line or 1) + line - 1, column + shift, end + shift if end is not None else None)


def _named(node: exp.Expr) -> Iterator[exp.Expr]:
    from sqlglot import exp

    yield node
    if isinstance(node.this, exp.Expr):
        yield node.this
    parts = getattr(node, "parts", None)
    yield from parts if isinstance(parts, list) else ()


def _word(sql: str, pattern: str, where: Where) -> Where:
    """The place of the first word of the text that matches."""
    match = re.search(rf"\b(?:{pattern})\b", sql, re.IGNORECASE)
    if match is None:
        return where
    line = sql.count("\n", 0, match.start())
    start = match.start() - (sql.rfind("\n", 0, match.start()) + 1)
    return at(where, line + 1, start + 1, start + 1 + len(match[0].partition("\n")[0]))


def _names(node: exp.Expr) -> set[str]:
    from sqlglot import exp

    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return {str(node.this).lower()}
    return {node.key, *(name.lower() for name in getattr(type(node), "sql_names", list)())}


def _check_function(node: exp.Func, sql: str, where: Where) -> None:
    names = _names(node)
    one_argument = "age" in names and len(node.expressions) == 1
    if not one_argument and not names & (_NOT_FIXED | _SQLGLOT_NOT_FIXED):
        return
    shown = node.sql("duckdb")
    problem = f"{shown} looks at the clock" if one_argument else f"{shown} gives another result each time"
    advice = "labels must come out the same again: pass a value with var() instead"
    found = place(node, where)
    written = _word(sql, re.escape(shown.partition("(")[0]), where) if found == where else found
    raise BadSql(written, problem=problem, advice="give age() two dates" if one_argument else advice)


_SQLGLOT_NOT_FIXED = frozenset(
    """
    currentcatalog currentdatabase currentdate currentdatetime currentrole currentschema currentschemas currenttime
    currenttimestamp currentuser currentversion generateuuid rand randn sessionuser
    """.split()  # noqa: SIM905 - a page of names is easier to read than a list of strings
)
"""The same under the names of sqlglot's nodes."""


def _is_listed(pivot: exp.Pivot) -> bool:
    """Whether the columns of a (UN)PIVOT are those that it lists."""
    from sqlglot import exp

    if pivot.args.get("unpivot"):
        return True
    fields = pivot.args.get("fields") or []
    return bool(fields) and all(isinstance(f, exp.In) and f.expressions for f in fields)
