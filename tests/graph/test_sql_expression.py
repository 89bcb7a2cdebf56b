"""What an expression means: DuckDB runs the user's own text, and must find in it what the compiler found."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teachkit.errors import BadSql, TeachkitError, UnknownColumn, UnknownLabel, Where
from teachkit.graph.names import fold, quote
from teachkit.graph.sql import Expression, check_labels, trimmed, understand_expression, understand_select
from teachkit.graph.sql.refusals import _AGGREGATES, _NOT_FIXED, _TABLE_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

WHERE = Where("labeling_functions/spam/x.sql", 1)
TABLE = """
    select * from (values
      (1, 'Hello World 10%', 7, 2, 3.5, date '2024-01-31', timestamp '2024-01-31 10:20:30', [1, 2, 3],
       {'a': 1, 'b': 'x'}, map {'k': 1}, true, 'x', '{"a": {"b": [1, 2]}}'),
      (2, NULL, -7, 2, -3.5, date '2023-02-28', timestamp '2023-02-28 00:00:00', [],
       {'a': NULL, 'b': 'Y'}, map {'k': 2}, false, 'y', '{"a": "x"}'),
      (3, 'straße ' || chr(304) || '12.5', 0, 3, 0.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
      (4, '42', 5, -3, 1e10, date '1999-12-31', timestamp '1999-12-31 23:59:59.5', [5, NULL],
       {'a': 9, 'b': ''}, map {'z': 1}, true, '', '[]'),
      (5, 'a.b_c%d''e"f\\g', 100, 7, 2.5, date '2024-03-31', timestamp '2024-03-31 12:00:00', [1]::int[],
       {'a': 9, 'b': ''}, map {'z': 1}, true, 'x', '1')
    ) v(id, text, a, b, f, d, ts, l, s, m, flag, "Order", j)"""
OTHER_VALUE = {
    "INTEGER": "coalesce({c}, 5) * 3 + 1",
    "VARCHAR": "coalesce(reverse({c}), '?') || 'z'",
    "DATE": "coalesce({c}, date '2020-01-01') + 40",
    "TIMESTAMP": "coalesce({c}, timestamp '2020-01-01') + interval 40 day",
    "BOOLEAN": "{c} is not true",
    "INTEGER[]": "list_append({c}, 77)",
    "STRUCT(a INTEGER, b VARCHAR)": "{{'a': coalesce({c}.a, 0) + 5, 'b': 'q'}}",
    "MAP(VARCHAR, INTEGER)": "map {{'k': 99}}",
}


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"create table t as {TABLE}")
    return connection


@cache
def _types() -> dict[str, str]:
    return {row[0]: row[1] for row in _connection().execute("describe t").fetchall()}


def _understood(sql: str) -> Expression:
    return understand_expression(sql, "transform.t", tuple(fold(c) for c in _types()), WHERE)


def _values(expression: str, rows: str = "t") -> list[str] | str:
    try:
        return list(map(repr, _connection().execute(f"select {expression} as v from {rows} order by t.id").fetchall()))
    except duckdb.Error as error:
        return str(error).split("\n")[0][:60]


ALL = (Path(__file__).parent / "fixtures" / "expressions.sql").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("sql", ALL, ids=range(len(ALL)))
def test_the_text_that_runs_means_what_was_written(sql: str) -> None:
    wanted = _values(f"({sql}\n)")
    found = _understood(sql)
    assert _values(found.sql) == wanted
    if isinstance(wanted, list):
        assert _values(found.canonical) == wanted


NO_CONDITIONS = {
    "length(text)": True,
    "-length(text) * 2 + 1": True,
    "(7)": True,
    "case when flag then 1 end": True,
    "case when flag then 1 else false end": True,
    "coalesce(flag, 1)": True,
    "if(flag, 1, text = 'x')": True,
    "a": False,  # only DuckDB knows its type
    "length(text) > 3": False,
    "nullif(flag, 1)": False,
    "case when flag then 'true' else false end": False,
    "d - 1": False,
    "null": False,
    "1::boolean": False,
}


@pytest.mark.parametrize("sql", NO_CONDITIONS)
def test_what_is_surely_a_number_is_no_condition(sql: str) -> None:
    assert _understood(sql).is_number is NO_CONDITIONS[sql]


@pytest.mark.parametrize("sql", [*ALL, *NO_CONDITIONS])
def test_what_is_called_a_number_is_no_condition_for_duckdb_either(sql: str) -> None:
    if _understood(sql).is_number:
        [(_, kind, *_)] = _connection().execute(f"describe select ({sql}\n) as v from t").fetchall()
        assert kind not in ("BOOLEAN", '"NULL"')


def _with_other_values(read: Sequence[str]) -> str:
    """The table with other values in all columns but those that are read."""
    others = [
        f"{OTHER_VALUE.get(kind, 'coalesce({c}, 1) * 3 + 1').format(c=quote(c))} as {quote(c)}"
        for c, kind in _types().items()
        if fold(c) not in read and c != "id"
    ]
    return f"(select * replace ({', '.join(others)}) from t) t" if others else "t"


@pytest.mark.parametrize("sql", ALL, ids=range(len(ALL)))
def test_a_column_that_is_not_read_cannot_change_the_value(sql: str) -> None:
    assert _values(f"({sql}\n)", _with_other_values(_understood(sql).columns)) == _values(f"({sql}\n)")


def test_expressions_stand_side_by_side_in_one_scan() -> None:
    good = [sql for sql in ALL if isinstance(_values(f"({sql}\n)"), list)]
    columns = ",\n".join(
        f"case when {_understood(sql).sql} is null then 1 else 0 end as c{i}" for i, sql in enumerate(good)
    )
    row = _connection().execute(f"select\n{columns}\nfrom t where id = 1").fetchall()[0]
    alone = [_values(f"(case when ({sql}\n) is null then 1 else 0 end)")[0] for sql in good]
    assert [repr((v,)) for v in row] == alone


NUMBERS = st.sampled_from(["a", "b", "7", "2", "-3", "l[1]", "s.a", "length(text)", "m['k']", "text::varchar[1]::int"])
TEXTS = st.sampled_from(
    [
        "text",
        "'it''s'",
        r"E'a\'\\\x41'",  # a quote, a backslash, an A
        "$$a'b$$",
        "$x$c;--d$x$",
        "s.b",
        '"Order"',
        "text[1]",
        "text[2:3]",
        "j ->> '$.a'",
        "'/* x */'",
    ]
)
TRUTHS = st.sampled_from(["flag", "true", "NULL", "a in (1, 7)", "text is not null", "list_contains(l, 1)"])


def _grow(one: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    """Larger expressions of smaller ones: (kind, SQL), kind being n(umber), t(ext) or b(oolean)."""

    @st.composite
    def grown(draw: st.DrawFn) -> tuple[str, str]:
        def part(kind: str) -> str:
            of_kind = {"n": NUMBERS, "t": TEXTS, "b": TRUTHS}[kind]
            found, sql = draw(one)
            return sql if found == kind else draw(of_kind)

        kind, shape = draw(st.sampled_from(SHAPES))
        parts = re.split(r"([NTB])", shape)
        return kind, "".join(part(p.lower()) if p in ("N", "T", "B") else p for p in parts)

    return grown()


SHAPES = [
    *(("n", f"N {sign} N") for sign in ("+", "-", "*", "/", "//", "%", "&", "|", "<<", "^", "**")),
    ("n", "- N"),
    ("n", "(N)"),
    ("n", "N::double::int"),
    ("n", "try_cast(T as int)"),
    ("n", "case when B then N else N end"),
    ("n", "case N when 7 then N end"),
    ("n", "list_sum(list_transform([N, N], lambda x: x + N))"),
    ("n", "len(list_filter([N, N], lambda x: x > N))"),
    ("n", "[N, N][2]"),
    ("n", "{'k': N}.k"),
    ("n", "[x * 2 for x in [N, N] if x > 1][1]"),
    ("n", "coalesce(N, N)"),
    ("t", "T || T"),
    ("t", "N::varchar"),
    ("t", "T::varchar[1]"),
    ("t", "(T).upper()"),
    ("t", "(T || T).replace(T, T).lower()"),
    ("t", "(case when B then T end).trim()"),
    ("n", "(T).replace('a', T).length()"),
    ("n", "[N, N].list_transform(lambda x: x + N)[1]"),
    ("n", "([N, N])[N]"),
    ("t", "({'a': N, 'k': T}).k.upper()"),
    ("t", "regexp_replace(T, '([a-z])', '<\1>', 'gi')"),
    ("t", "/* a comment */ T"),
    ("b", "B and B"),
    ("b", "B or B"),
    ("b", "not B"),
    ("b", "N < N"),
    ("b", "N <> N"),
    ("b", "N == N"),
    ("b", "N between N and N"),
    ("b", "N is distinct from N"),
    ("b", "N not in (N, N)"),
    ("b", "T ilike '%e%'"),
    ("b", "T not like T"),
    ("b", "T similar to '[a-z ]+'"),
    ("b", "T ~ '^.a'"),
    ("b", "T !~~* T"),
    ("b", "regexp_matches(T, 'h.*o', 'is')"),
    ("b", "regexp_full_match(T, E'[\\w ]+')"),
    ("b", "T ^@ T"),
    ("b", "B is not true"),
    ("b", "-- a comment\nB"),
]
GROWN = st.recursive(
    NUMBERS.map(lambda n: ("n", n)) | TEXTS.map(lambda t: ("t", t)) | TRUTHS.map(lambda b: ("b", b)),
    _grow,
    max_leaves=6,
)


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(GROWN)
def test_whatever_is_composed_runs_as_it_is_written_and_reads_what_it_says(case: tuple[str, str]) -> None:
    sql = case[1]
    wanted = _values(f"({sql}\n)")
    try:
        found = _understood(sql)
    except BadSql:
        assert "text[" in sql  # sqlglot takes it for a type, and the error says what to write
        return
    assert _values(found.sql) == wanted
    if isinstance(wanted, list):
        assert _values(found.canonical) == wanted
        assert _values(f"({sql}\n)", _with_other_values(found.columns)) == wanted


REFUSED: dict[str, str | None] = {
    "count(*) > 1": "an expression sees one row",
    "sum(a)": "an expression sees one row",
    "any_value(a)": "an expression sees one row",
    "histogram(a) is null": "an expression sees one row",
    "a.sum() > 1": "an expression sees one row",
    "string_agg(text)": "an expression sees one row",
    "row_number() over ()": "an expression sees one row",
    "lag(a) over (order by id) > 1": "an expression sees one row",
    "exists (select 1)": "an expression sees one row",
    "a in (select 1)": "an expression sees one row",
    "select 1": "an expression sees one row",
    "unnest([1])": "several rows",
    "generate_subscripts(l, 1)": "several rows",
    "columns('a') > 1": "no '*'",
    "*": "an expression belongs here",
    "a > 1 as x": "a name ('x') behind it",
    "drop table x": "an expression belongs here, not DROP",
    "set x = 1": "an expression belongs here",
    "insert into t values (1)": "an expression belongs here, not INSERT",
    "a > 1; a < 1": "2 statements stand here",
    "": "there is no SQL here",
    "a >": "cannot be parsed",
    "(a": "cannot be parsed",
    "text[1] = 'H'": "'text[1]' is read as a type",
    "try_cast(text[1] as int) = 1": "'text[1]' is read as a type",
    "random() < 0.5": "gives another result each time",
    "current_date > d": "gives another result each time",
    "CURRENT_TIMESTAMP > ts": "gives another result each time",
    "age(d) > interval 1 day": "looks at the clock",
    "d > today()": "gives another result each time",
    "d.today()": "gives another result each time",
    "$1 = a": "is a parameter",
    "a = ?": "is a parameter",
    "#1 = 1": "names a column by its place",
    "d.text = 'x'": None,
    "t.text = 'x'": "'t.text' names a table",
    "(" * 3000 + "1" + ")" * 3000: "nested too deeply",
}


@pytest.mark.parametrize("sql", REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_an_expression_over_one_row_is_refused(sql: str) -> None:
    wanted = REFUSED[sql]
    if wanted is None:
        assert _understood(sql).columns == ("d",)  # a field of column d: DuckDB knows its type
        return
    with pytest.raises(BadSql) as caught:
        _understood(sql)
    assert wanted in caught.value.message


def test_a_select_that_is_misspelt_is_not_taken_for_an_expression() -> None:
    with pytest.raises(BadSql, match=r"not 'selct'(.|\n)*Did you mean 'select'"):
        _understood("selct * from x")
    with pytest.raises(BadSql, match="something is missing near '>'"):
        _understood("text >")


def test_where_only_an_expression_belongs_no_select_is_advised() -> None:
    for sql in ("select 1", "count(*) > 1", "a > 1 as x"):
        with pytest.raises(BadSql) as caught:
            understand_expression(sql, "transform.t", ["a"], WHERE, instead="write a condition")
        assert caught.value.advice == "write a condition"


def test_a_slice_that_sqlglot_reads_otherwise_comes_with_the_way_to_write_it() -> None:
    for sql, advice in {"text[:3] = 'x'": '"text"[:…]', "l[:a] = l": "[1:…]", "a = :b": "var("}.items():
        with pytest.raises(BadSql) as caught:
            _understood(sql)
        assert advice in caught.value.advice


@cache
def _functions(condition: str) -> frozenset[str]:
    sql = f"select distinct function_name from duckdb_functions() where {condition} and function_name ~ '^[a-z_0-9]+$'"
    return frozenset(row[0] for row in _connection().execute(sql).fetchall())


# DuckDB marks them because a time zone's rules are looked up, or because they raise; the session's zone is fixed.
STEADY = frozenset(
    """
    age century date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname dayofmonth
    dayofweek dayofyear decade epoch era error generate_series hour isodow isoyear julian last_day make_timestamptz
    microsecond millennium millisecond minute month monthname quarter range second strftime time_bucket timezone
    timezone_hour timezone_minute week weekday weekofyear year yearweek
    """.split()  # noqa: SIM905 - a page of names is easier to read than a list of strings
)


def test_every_function_that_duckdb_calls_volatile_is_refused_or_known_to_be_steady() -> None:
    volatile = _functions("function_type = 'scalar' and stability <> 'CONSISTENT'")
    assert volatile - STEADY <= _NOT_FIXED
    assert not STEADY & _NOT_FIXED


@pytest.mark.parametrize("name", sorted(_NOT_FIXED))
def test_a_function_that_is_not_fixed_is_refused_however_it_is_written(name: str) -> None:
    for written in (f"{name}()", f"{name.upper()}('x')", f"('x').{name}()", f"coalesce(a, {name}())"):
        with pytest.raises(TeachkitError) as caught:
            _understood(written)
        assert caught.value.slug == "bad-sql"


@pytest.mark.parametrize("name", ["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"])
def test_the_clock_is_refused_without_parentheses_too(name: str) -> None:
    with pytest.raises(BadSql, match="gives another result each time"):
        _understood(f"{name} is null")


def test_every_aggregate_of_duckdb_is_known() -> None:
    assert _functions("function_type = 'aggregate'") <= _AGGREGATES
    uses_one = "macro_definition ~ '\\b(sum|list|avg|string_agg)\\(' and function_name not like 'list_%'"
    macros = _functions(f"function_type = 'macro' and {uses_one} and macro_definition not like '%list_aggr%'")
    assert macros <= _AGGREGATES


def test_no_table_function_that_looks_outside_is_allowed() -> None:
    outside = _functions("function_type like 'table%'")
    assert not {n for n in outside & _TABLE_FUNCTIONS if n.startswith(("read_", "duckdb_", "pragma_", "parquet_"))}
    assert outside | _functions("function_type like '%macro'") >= _TABLE_FUNCTIONS


UNKNOWN = {
    "^nope > 1": (1, 1),
    "a > 1 and ^nope": (1, 11),
    "a > 1\n  and ^nope = 'größe'": (2, 7),
    "'größe 日本' = ^nope": (1, 14),
    "list_filter(l, lambda x: x > ^nope)": (1, 30),
    "^nope.upper() = 'X'": (1, 1),
    "-- a comment\n\n  ^nope": (3, 3),
}


@pytest.mark.parametrize("marked", UNKNOWN)
def test_an_unknown_column_is_reported_at_its_place(marked: str) -> None:
    line, column = UNKNOWN[marked]
    wanted = {
        Where("x.sql", 1): (line, column),
        Where("x.sql", 7, 9, 20): (line + 6, column + 8 if line == 1 else column),
        Where("x.yml", 7, 9): (line + 6, column + 8),  # a block of YAML: all its lines are indented
    }
    for start, place in wanted.items():
        with pytest.raises(UnknownColumn) as caught:
            understand_expression(marked.replace("^", ""), "transform.t", ("a", "l"), start)
        where = caught.value.where
        assert where is not None
        assert (where.path, where.line, where.column) == (start.path, *place)


def test_where_the_columns_are_unknown_every_name_is_one() -> None:
    assert understand_expression("x > 1 and y.z = 2", "transform.t", (), WHERE).columns == ("x", "y")


SAME = {
    "layout": ("a>1 and text like 'x'", "a > 1\n  AND text LIKE 'x'"),
    "comments": ("a > 1", "/* x */ a > 1 -- y"),
    "case of names and functions": ("lower(text) = 'x'", "LOWER(TEXT) = 'x'"),
    "quotes around names": ('"a" > 1', "a > 1"),
    "semicolon": ("a > 1", "a > 1;"),
    "two ways to write an operator": ("a <> 1 and b = 1", "a != 1 AND b == 1"),
    "no space around a sign": ("a > -1 and a*-1 < 3", "a>-1 and a * -1 < 3"),
    "quotes around a name that is a type": ("text = 'x'", "\"Text\" = 'x'"),
}
DIFFERENT = {
    "where NOT stands": ("not a in (2) = flag", "a not in (2) = flag"),
    "how -> binds": ("j ->> 'a' || 'b' = 'x'", "(j ->> 'a') || 'b' = 'x'"),
    "a type before a text": ("date '2024-01-01'::varchar = 'x'", "'2024-01-01'::varchar::date = 'x'"),
    "a constant": ("a > 1", "a > 2"),
    "case of a text": ("text = 'x'", "text = 'X'"),
    "an operator": ("a > 1", "a >= 1"),
    "a column": ("a > 1", "b > 1"),
    "and, or": ("a > 1 and b > 1", "a > 1 or b > 1"),
    "division": ("a / 2 > 1", "a // 2 > 1"),
    "parentheses": ("a > 1 or b > 1 and flag", "(a > 1 or b > 1) and flag"),
    "not": ("flag", "not flag"),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_what_does_not_matter_leaves_the_canonical_text_alone(pair: tuple[str, str]) -> None:
    assert _understood(pair[0]).canonical == _understood(pair[1]).canonical


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_what_matters_changes_the_canonical_text(pair: tuple[str, str]) -> None:
    assert _understood(pair[0]).canonical != _understood(pair[1]).canonical


def test_different_expressions_have_different_canonical_texts() -> None:
    texts: dict[str, tuple[str, ...]] = {}
    for sql in ALL:
        value = tuple(_values(f"({sql}\n)"))
        assert texts.setdefault(_understood(sql).canonical, value) == value


TRIMMED = {
    "x = ';' ;": "x = ';'",
    "  'a' -- c": "'a'",
    "e'a\\n' ; ; --x": "e'a\\n'",
    "$$a;b$$ ; ": "$$a;b$$",
    "/* x */ \"größe\" = 'ß' /* ö */;": "\"größe\" = 'ß'",
    "a -- ü; \n + 1 -- z": "a -- ü; \n + 1",
    "'日本' || '😀' ; -- 😀": "'日本' || '😀'",
    "/* /* nested */ */ a /* /* x */ y */ ": "a",
    ";": "",
}


@pytest.mark.parametrize("sql", TRIMMED)
def test_what_stands_around_an_expression_does_not_run(sql: str) -> None:
    assert trimmed(sql) == TRIMMED[sql]


LISTS = {
    "['a', 'b']": True,
    "(['a'])": True,
    "case when a > 1 then ['a'] end": True,
    "coalesce([text], ['b'])": True,
    "case when list_contains(['x', 'y'], text) then 'a' end": False,
    "case when a in (1, 2) then 'a' else 'b' end": False,
    "text": None,
    "string_split(text, '|')": None,
    "null": False,
}


@pytest.mark.parametrize("sql", LISTS)
def test_only_a_list_as_result_is_a_list(sql: str) -> None:
    assert _understood(sql).is_list is LISTS[sql]


LABELS: dict[str, tuple[int, int] | None] = {
    "case when a = 1 then 'spam' else 'ham' end": None,
    "case when a = 1 then 'spam' when text = 'spma' then NULL end": None,
    "case when a = 1 then\n 'spma' end": (2, 2),
    "if(a = 1, 'spma', 'ham')": (1, 11),
    "coalesce(text, ('spma'))": (1, 17),
    "['ham', 'spma']": (1, 9),
    "case when a = 1 then ['spma'] else ['ham'] end": (1, 23),
    "nullif('spma', text)": (1, 8),
    "case when a = 1 then case when b = 1 then 'it''s' end end": (1, 43),
}


@pytest.mark.parametrize("sql", LABELS)
def test_a_label_that_the_task_does_not_have_is_found_where_it_stands(sql: str) -> None:
    wanted = LABELS[sql]
    if wanted is None:
        check_labels(sql, ("ham", "spam"), "spam", WHERE)
        return
    with pytest.raises(UnknownLabel) as caught:
        check_labels(sql, ("ham", "spam"), "spam", WHERE)
    where: Any = caught.value.where
    assert (where.line, where.column) == wanted


@pytest.mark.parametrize("sql", ALL, ids=range(len(ALL)))
def test_a_select_reads_what_the_expression_in_it_reads(sql: str) -> None:
    columns = tuple(fold(c) for c in _types())
    query = f'select v.x from (select (\n{sql}\n) as x from "transform.t" where id > 0) as v'
    found = understand_select(query, {"transform.t": columns}, WHERE)
    assert found.reads == {"transform.t": tuple(sorted({"id", *_understood(sql).columns}))}
    assert {c for _, c in found.lineage["x"]} == set(_understood(sql).columns)
