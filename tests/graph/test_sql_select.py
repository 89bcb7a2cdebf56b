"""What a SELECT means: every query is also run by DuckDB, and what is said of it must hold there."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from teachkit.errors import BadSql, ProjectErrors, TeachkitError, UnknownColumn, Where
from teachkit.graph.names import fold, quote
from teachkit.graph.sql import Select, understand_select

if TYPE_CHECKING:
    from collections.abc import Iterator

WHERE = Where("transforms/x.sql", 1)
T, U, W = '"transform.t"', '"transform.u"', '"source.raw.w"'
TABLES = {
    "transform.t": """
        select * from (values
          (1, 'Hello World 10%', 7, 2, 3.5, date '2024-01-31', [1, 2, 3], {'a': 1, 'b': 'x'}, true, 'x'),
          (2, NULL, -7, 2, -3.5, date '2023-02-28', [], {'a': NULL, 'b': 'Y'}, false, 'y'),
          (3, 'straße', 0, 3, 0.0, NULL, NULL, NULL, NULL, NULL),
          (4, '42', 5, -3, 1e10, date '1999-12-31', [5, NULL], {'a': 9, 'b': ''}, true, ''),
          (5, 'ann', 10, 7, 2.5, date '2024-03-31', [1]::int[], {'a': 9, 'b': ''}, true, 'x')
        ) v(id, text, a, b, f, d, l, s, flag, "order")""",
    "transform.u": """
        select * from (values (1, 'ann', 10), (2, 'bob', 20), (2, 'cy', 30), (9, 'dee', NULL))
        v(id, author, score)""",
    "source.raw.w": """
        select * from (values (1, 'x', 1.5), (2, 'y', 2.5)) v("Id", "My Col", "größe")""",
}
OTHER_VALUE = {
    "INTEGER": "coalesce({c}, 5) * 3 + 1",
    "VARCHAR": "coalesce(reverse({c}), '?') || 'z'",
    "DATE": "coalesce({c}, date '2020-01-01') + 40",
    "BOOLEAN": "{c} is not true",
    "INTEGER[]": "list_append({c}, 77)",
    "STRUCT(a INTEGER, b VARCHAR)": "{{'a': coalesce({c}.a, 0) + 5, 'b': 'q'}}",
}


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, sql in TABLES.items():
        connection.execute(f"create table {quote('kept ' + name)} as {sql}")
        connection.execute(f"create view {quote(name)} as from {quote('kept ' + name)}")
    return connection


@cache
def _types() -> dict[str, dict[str, str]]:
    found = {n: _connection().execute(f"describe {quote(n)}").fetchall() for n in TABLES}
    return {n: {fold(row[0]): row[1] for row in rows} for n, rows in found.items()}


SCHEMAS = {name: tuple(columns) for name, columns in _types().items()}


def _rows(sql: str) -> list[tuple[Any, ...]]:
    return _connection().execute(sql).fetchall()


def _bag(rows: list[tuple[Any, ...]]) -> Counter[str]:
    return Counter(map(repr, rows))


def _understood(sql: str) -> Select:
    return understand_select(sql, SCHEMAS, WHERE)


QUERIES: dict[str, tuple[str | None, dict[str, str | None]]] = {
    # query: (its columns, None where only DuckDB knows; what it reads of each relation, None for all)
    f"select id, text from {T}": ("id text", {"t": "id text"}),
    f"select * from {U}": ("id author score", {"u": "author id score"}),
    f"from {U}": ("id author score", {"u": "author id score"}),
    f"table {U}": ("id author score", {"u": "author id score"}),
    f"from {U} select author where id = 1": ("author", {"u": "author id"}),
    f"SELECT t.ID, lower(T.text) AS Text FROM {T} AS t WHERE length(TEXT) > 0": ("id text", {"t": "id text"}),
    f"select id::int as id, text::varchar t2 from {T}": ("id t2", {"t": "id text"}),
    f"select x: id, y: upper(text) from {T}": ("x y", {"t": "id text"}),
    f"select ((id)), (((a))) from {T}": ("id a", {"t": "a id"}),
    f'select "order" from {T}': ("order", {"t": "order"}),
    f"select 1 as one from {T}": ("one", {"t": ""}),
    f"select count(*) as n from {T}": ("n", {"t": ""}),
    # stars
    f"select * exclude (l, s, d) from {T}": ("id text a b f flag order", {"t": "a b f flag id order text"}),
    f"select * exclude author from {U}": ("id score", {"u": "id score"}),
    f"select * replace (upper(author) as author) from {U}": ("id author score", {"u": "author id score"}),
    f"select * replace (score + id as score) from {U}": ("id author score", {"u": "author id score"}),
    f"select * rename (author as who) from {U}": ("id who score", {"u": "author id score"}),
    f"select u.*, t.text from {U} u join {T} t on t.id = u.id": (
        "id author score text",
        {"u": "author id score", "t": "id text"},
    ),
    f"select u.* exclude (id) from {U} u": ("author score", {"u": "author score"}),
    f"select columns('i.*') from {U}": (None, {"u": "author id score"}),
    f"select columns(lambda c: c like 'a%') from {U}": (None, {"u": "author id score"}),
    f"select min(columns(*)) from {U}": (None, {"u": "author id score"}),
    f"select * like 'a%' from {U}": (None, {"u": "author id score"}),
    f"select id from {U} where columns(*) is not null": ("id", {"u": "author id score"}),
    f"select u from {U} u": ("u", {"u": "author id score"}),
    f"select count(u.*) as n from {U} u": (None, {"u": "author id score"}),
    # structs, lists, lambdas, methods
    f"select id, s.a as sa, s['b'] as sb from {T}": ("id sa sb", {"t": "id s"}),
    f"select s.a from {T}": ("a", {"t": "s"}),
    f"select t.s.b from {T} t": ("b", {"t": "s"}),
    f"select s.* from {T}": (None, {"t": "s"}),
    f"select st.* from (select {{'a': id, 'b': author}} as st from {U})": (None, {"u": "author id"}),
    f"select list_transform(l, lambda x: x + 1) as y from {T}": ("y", {"t": "l"}),
    f"select list_transform(l, lambda x: x + a) as y from {T}": ("y", {"t": "a l"}),
    f"select list_transform(l, lambda text: text + 1) as y from {T}": ("y", {"t": "l"}),
    f"select list_filter([s], lambda x: x.a > b) as y from {T}": ("y", {"t": "b s"}),
    f"select list_reduce([1, a], lambda x, y: x + y + b) as y from {T}": ("y", {"t": "a b"}),
    f"select [x + a for x in l if x > 1] as y from {T}": ("y", {"t": "a l"}),
    f"select author.upper().lower() as x, score.abs() as y from {U}": ("x y", {"u": "author score"}),
    f"select u.author.replace('a', id::varchar) as x from {U} u": ("x", {"u": "author id"}),
    f"select l[1] as x, text[1:2] as y from {T}": ("x y", {"t": "l text"}),
    f"select struct_pack(text := id, x := a) as p from {T}": ("p", {"t": "a id"}),
    f"select (id, author) as pair, {{'a': id}} as st, [id, score] as li from {U}": (
        "pair st li",
        {"u": "author id score"},
    ),
    f"select case when score > 10 then 'x' end as c from {U}": ("c", {"u": "score"}),
    f"select if(score is null, 0, id) as c, coalesce(score, id) as d from {U}": ("c d", {"u": "id score"}),
    # unnest, laterals
    f"select id, unnest(l) as x from {T}": ("id x", {"t": "id l"}),
    f"select unnest(s) from {T}": (None, {"t": "s"}),
    f"select id, u.x from {T}, unnest(l) as u(x)": ("id x", {"t": "id l"}),
    f"select t.id, u.x from {T} t cross join unnest(t.l) as u(x)": ("id x", {"t": "id l"}),
    f"select t.id, u.x from {T} t, lateral (select t.a + 1 as x) u": ("id x", {"t": "a id"}),
    f"select t.id, u.x from {T} t, (select t.a + 1 as x) u": ("id x", {"t": "a id"}),
    f"select t.id, u.x from {T} t left join lateral (select max(score) as x from {U} where id = t.id) u on true": (
        "id x",
        {"t": "id", "u": "id score"},
    ),
    f"select id, i from {U}, range(3) r(i)": ("id i", {"u": "id"}),
    "select * from (values (1, 'a')) v(id, name)": ("id name", {}),
    # CTEs and subqueries
    f"with c as (select id, text from {T}) select id, upper(text) as x from c": ("id x", {"t": "id text"}),
    f"with c as materialized (select * from {U}) select author from c": ("author", {"u": "author id score"}),
    f"with c(x, y, z) as (select * from {U}) select x, z from c": ("x z", {"u": "author id score"}),
    f"with a as (select id, text as b from {T}), c as (select id, b as d from a) select d from c": (
        "d",
        {"t": "id text"},
    ),
    f"with t as (select author as id from {U}) select id from t": ("id", {"u": "author"}),
    f"with recursive r as (select id, 1 as n from {T} union all select id, n + 1 from r where n < 3) select * from r": (
        "id n",
        {"t": "id"},
    ),
    f"with recursive r(p, q) as (select a, b from {T} union select q, p from r) select p from r": ("p", {"t": "a b"}),
    f"select x, y from (select id, author from {U}) v(x, y)": ("x y", {"u": "author id"}),
    f"select id, score from {U} where score > (select avg(score) from {U})": ("id score", {"u": "id score"}),
    f"select t.id, (select max(score) from {U} u where u.id = t.id) as m from {T} t": (
        "id m",
        {"t": "id", "u": "id score"},
    ),
    f"select id from {T} t where exists (select 1 from {U} u where u.id = t.id and u.score > 10)": (
        "id",
        {"t": "id", "u": "id score"},
    ),
    f"select id from {T} where id in (select id from {U})": ("id", {"t": "id", "u": "id"}),
    f"select id from {U} where id not in (select id from {T} where a > 0)": ("id", {"t": "a id", "u": "id"}),
    f"select id from {U} where (id, author) in (select id, text from {T})": ("id", {"u": "author id", "t": "id text"}),
    f"select id from {U} where id = any (select id from {T})": ("id", {"u": "id", "t": "id"}),
    f"select id, (from {T} select max(a)) as mx from {U}": ("id mx", {"u": "id", "t": "a"}),
    f"select id from {U} where exists (from {T} where a = score)": (
        "id",
        {"u": "id score", "t": "a b d f flag id l order s text"},
    ),
    # joins
    f"select t.id, u.author from {T} t left join {U} u on t.id = u.id": ("id author", {"t": "id", "u": "author id"}),
    f"select u.author, t.a from {U} u right join {T} t on t.a = u.score": ("author a", {"t": "a", "u": "author score"}),
    f"select t.a, u.author from {T} t full join {U} u using (id)": ("a author", {"t": "a id", "u": "author id"}),
    f"select id, author from {T} join {U} using (id)": ("id author", {"t": "id", "u": "author id"}),
    f'select * exclude (l, s, d, f, flag, "order") from {T} join {U} using (id)': (
        "id text a b author score",
        {"t": "a b id text", "u": "author id score"},
    ),
    f"select * from {U} natural join (select id, a from {T})": (
        "id author score a",
        {"t": "a id", "u": "author id score"},
    ),
    f"select t.a, u.author from {T} t, {U} u where t.id = u.id": ("a author", {"t": "a id", "u": "author id"}),
    f"select t.id, u.author from {T} t positional join {U} u": ("id author", {"t": "id", "u": "author"}),
    f"select t.id, u.author from {T} t asof join {U} u on t.id >= u.id": ("id author", {"t": "id", "u": "author id"}),
    f"select t.a from {T} t semi join {U} u on t.id = u.id": ("a", {"t": "a id", "u": "id"}),
    f"select t.a from {T} t anti join {U} u on t.id = u.id": ("a", {"t": "a id", "u": "id"}),
    f"select x.author from ({T} t join {U} x on t.id = x.id)": ("author", {"t": "id", "u": "author id"}),
    # unions
    f"select id, author from {U} union all select id, text from {T}": ("id author", {"u": "author id", "t": "id text"}),
    f"select id, author from {U} union all by name select text as author, id from {T}": (
        "id author",
        {"u": "author id", "t": "id text"},
    ),
    f"select id from {U} union by name select a from {T}": ("id a", {"u": "id", "t": "a"}),
    f"(select id from {U}) union (select id from {T}) order by id limit 2": ("id", {"u": "id", "t": "id"}),
    f"select id from {U} except select id from {T}": ("id", {"u": "id", "t": "id"}),
    f"select id from {U} intersect select id from {T}": ("id", {"u": "id", "t": "id"}),
    f"select id as k from {U} union all select a from {T} union all select b from {T}": ("k", {"u": "id", "t": "a b"}),
    # grouping, windows, ordering
    f"select author, count(*) as n, sum(score) as s from {U} group by all": ("author n s", {"u": "author score"}),
    f"select author, count(*) as n from {U} group by 1 having count(*) > 0 order by 2": ("author n", {"u": "author"}),
    f"select upper(author) as who, count(*) as n from {U} group by who": ("who n", {"u": "author"}),
    f"select id, count(*) as n from {U} group by grouping sets ((id), ())": ("id n", {"u": "id"}),
    f"select id, count(*) as n from {U} group by rollup (id)": ("id n", {"u": "id"}),
    f"select string_agg(author, ',' order by id) filter (where score > 10) as x from {U}": (
        "x",
        {"u": "author id score"},
    ),
    f"select id, sum(score) over w as s from {U} window w as (partition by id)": ("id s", {"u": "id score"}),
    f"select a, row_number() over (partition by b order by id) as n from {T}": ("a n", {"t": "a b id"}),
    f"select text from {T} qualify row_number() over (partition by b order by id) = 1": ("text", {"t": "b id text"}),
    f"select distinct author from {U}": ("author", {"u": "author"}),
    f"select distinct on (id) author from {U} order by id, score": ("author", {"u": "author id score"}),
    f"select author from {U} order by score limit 2": ("author", {"u": "author score"}),
    f"select author, score from {U} order by 2 limit 2": ("author score", {"u": "author score"}),
    f"select author from {U} limit 2 offset 1": ("author", {"u": "author"}),
    f"select author from {U} order by all": ("author", {"u": "author"}),
    # aliases that shadow
    f"select author as a, a || 'x' as b, b || 'y' as c from {U}": ("a b c", {"u": "author"}),
    f"select score + 1 as id, id as z from {U}": ("id z", {"u": "id score"}),
    f"select id as x from {U} where x > 1": ("x", {"u": "id"}),
    f"select -score as k, author from {U} group by k, author having k < 0": ("k author", {"u": "author score"}),
    f"select author as score from {U} order by score limit 1": ("score", {"u": "author score"}),
    # names
    f'select "Id", "My Col", "größe" from {W}': ("id my col größe", {"w": "größe id my col"}),
    f'select "ID" as "Öl", "my col" as "Select" from {W}': ("Öl select", {"w": "id my col"}),
    f'select w."My Col" from {W} as w': ("my col", {"w": "my col"}),
    f'select {W}."My Col" from {W}': ("my col", {"w": "my col"}),
    f'select "source.raw.w"."größe" as "größe", 1 as "a""b" from {W}': ('größe a"b', {"w": "größe"}),
    # comments and texts
    f"-- it's; \"a\" comment\nselect id /* not; 'this' */ from {U} -- end;": ("id", {"u": "id"}),
    f"select 'it''s {{{{ x }}}} -- no; comment' as s, $$a;'b$$ as d, e'a\\tb' as e from {U};": ("s d e", {"u": ""}),
    f"select id from {U} /* a /* nested */ one */ where author <> ';' ; -- end": ("id", {"u": "author id"}),
    # pivots
    f"select * from (select id, author, score from {U}) pivot (sum(score) for author in ('ann', 'bob'))": (
        None,
        {"u": "author id score"},
    ),
    f"select k, v from {U} unpivot (v for k in (score))": ("k v", {"u": None}),
}
NAMES = {"t": "transform.t", "u": "transform.u", "w": "source.raw.w"}


def _split(columns: str) -> tuple[str, ...]:
    return tuple(columns.replace("my col", "my_col").split()) if columns else ()


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_columns_and_reads_are_found(sql: str) -> None:
    columns, reads = QUERIES[sql]
    found = _understood(sql)
    wanted = None if columns is None else tuple(c.replace("my_col", "my col") for c in _split(columns))
    assert found.columns == wanted
    assert found.reads == {
        NAMES[name]: None if read is None else tuple(sorted(c.replace("my_col", "my col") for c in _split(read)))
        for name, read in reads.items()
    }


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_the_text_to_run_and_the_canonical_text_mean_what_was_written(sql: str) -> None:
    found = _understood(sql)
    wanted = _bag(_rows(sql))
    assert _bag(_rows(f"select * from (\n{found.sql}\n)")) == wanted
    assert _bag(_rows(found.canonical.split("\n")[0])) == wanted


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_the_columns_are_those_that_duckdb_gives(sql: str) -> None:
    found = _understood(sql)
    if found.columns is not None:
        assert found.columns == tuple(fold(row[0]) for row in _rows(f"describe {sql}"))


@contextmanager
def _changed(table: str, column: str) -> Iterator[None]:
    """A context in which a column of a table has other values."""
    kind = _types()[table][column]
    other = OTHER_VALUE.get(kind, "coalesce({c}, 1) * 3 + 1").format(c=quote(column))
    view = f"create or replace view {quote(table)} as select * "
    _rows(f"{view} replace ({other} as {quote(column)}) from {quote('kept ' + table)}")
    try:
        yield
    finally:
        _rows(f"{view} from {quote('kept ' + table)}")


def _left_out(found: Select) -> Iterator[tuple[str, str]]:
    for table, columns in found.reads.items():
        for column in SCHEMAS[table]:
            if columns is not None and column not in columns:
                yield table, column


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_a_column_that_is_not_read_cannot_change_the_result(sql: str) -> None:
    found = _understood(sql)
    before = _bag(_rows(sql))
    for table, column in _left_out(found):
        with _changed(table, column):
            assert _bag(_rows(sql)) == before, (table, column)


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_what_does_not_influence_a_column_cannot_change_it(sql: str) -> None:
    found = _understood(sql)
    if found.columns is None:
        return
    before = _rows(sql)
    everything = [(t, c) for t in found.reads for c in SCHEMAS[t]]
    for table, column in everything:
        harmless = [
            i
            for i, name in enumerate(found.columns)
            if not {(table, column), (table, "*")} & {*found.influences[name], *found.influences[""]}
        ]
        if harmless:
            with _changed(table, column):
                after = _rows(sql)
                for i in harmless:
                    assert _bag([(r[i],) for r in after]) == _bag([(r[i],) for r in before]), (table, column, i)


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_everything_that_influences_is_read(sql: str) -> None:
    found = _understood(sql)
    for pairs in (*found.influences.values(), *found.lineage.values()):
        for table, column in pairs:
            columns = found.reads[table]
            assert columns is None or column == "" or column in columns


def test_a_select_survives_a_trip_through_json() -> None:
    import json

    for sql in QUERIES:
        found = _understood(sql)
        assert Select.from_plain(json.loads(json.dumps(found.plain()))) == found


LINEAGE = {
    f"select id, lower(text) as text, a + b as c, 1 as one from {T}": {
        "id": "t.id",
        "text": "t.text",
        "c": "t.a t.b",
        "one": "",
    },
    f"with c as (select id, text as x from {T}) select x || id as y from c": {"y": "t.id t.text"},
    f"select v.q from (select author || score as q, id from {U}) v where id > 1": {"q": "u.author u.score"},
    f"select id, author from {U} union all select a, text from {T}": {"id": "t.a u.id", "author": "t.text u.author"},
    f"select id from {U} union all by name select a as id, text as z from {T}": {"id": "t.a u.id", "z": "t.text"},
    f"select t.text, u.author from {T} t join {U} u on t.a = u.score": {"text": "t.text", "author": "u.author"},
    f"select id from {T} join {U} using (id)": {"id": "t.id u.id"},
    f"select * exclude (score) from {U}": {"id": "u.id", "author": "u.author"},
    f"select (select max(score) from {U} u where u.id = t.id) as m from {T} t": {"m": "u.score"},
    f"select author, count(*) as n, max(score) as m from {U} where id > 0 group by author": {
        "author": "u.author",
        "n": "",
        "m": "u.score",
    },
    f"select case when score > 1 then author end as x from {U}": {"x": "u.author u.score"},
    f"select score + 1 as id, id as z from {U}": {"id": "u.score", "z": "u.id"},
    f"select author as a, a || 'x' as b from {U}": {"a": "u.author", "b": "u.author"},
    f"with recursive r as (select id, a from {T} union all select id, a + 1 from r where a < 9) select a from r": {
        "a": "t.a t.id"  # a recursive CTE's column may come of any of its first part's
    },
}


@pytest.mark.parametrize("sql", LINEAGE, ids=range(len(LINEAGE)))
def test_lineage_says_what_a_value_is_made_of(sql: str) -> None:
    found = _understood(sql)
    shown = {
        name: " ".join(f"{relation.rpartition('.')[2]}.{column}" for relation, column in pairs)
        for name, pairs in found.lineage.items()
    }
    assert shown == LINEAGE[sql]


INFLUENCE = {
    # query, column of the result, (relation, column) that must (True) or must not (False) count
    "a filter chooses rows, it does not change their values": (
        f"select text from {T} where a > 0",
        "text",
        "t.a",
        False,
    ),
    "a filter changes what an aggregate counts": (f"select count(*) as n from {T} where a > 0", "n", "t.a", True),
    "a group changes what an aggregate counts": (f"select count(*) as n from {T} group by a", "n", "t.a", True),
    "grouping by place counts too": (f"select a, count(*) as n from {T} group by 1", "n", "t.a", True),
    "grouping by all counts too": (f"select a, count(*) as n from {T} group by all", "n", "t.a", True),
    "a window sees the rows of its partition": (f"select sum(b) over (partition by a) as n from {T}", "n", "t.a", True),
    "a named window too": (f"select sum(b) over w as n from {T} window w as (order by a)", "n", "t.a", True),
    "the condition of a join chooses what is joined": (
        f"select u.author from {T} t join {U} u on t.a = u.score",
        "author",
        "t.a",
        True,
    ),
    "but not what it is joined to": (f"select t.text from {T} t join {U} u on t.a = u.score", "text", "t.a", False),
    "a join may be written in WHERE": (f"select u.author from {T} t, {U} u where t.a = u.score", "author", "t.a", True),
    "while a filter of the first relation stays one": (
        f"select u.author from {T} t, {U} u where t.a > 1 and t.id = u.id",
        "author",
        "t.a",
        False,
    ),
    "in a right join it chooses either": (
        f"select t.text from {T} t right join {U} u on t.a = u.score",
        "text",
        "t.a",
        True,
    ),
    "the rows of a joined query count": (
        f"select v.author from {T} t join (select id, author from {U} where score > 1) v using (id)",
        "author",
        "u.score",
        True,
    ),
    "a scalar subquery counts whole": (
        f"select (select max(author) from {U} where score > 1) as m from {T}",
        "m",
        "u.score",
        True,
    ),
    "so does EXISTS": (f"select exists (select 1 from {U} where score > 1) as m from {T}", "m", "u.score", True),
    "a union tells its branches apart by constants": (
        f"select id, 'x' as k from {T} where a = 1 union all select id, 'y' from {T} where a = 0",
        "k",
        "t.a",
        True,
    ),
    "or by columns": (f'select text as k from {T} where a = 1 union all select "order" from {T}', "k", "t.a", True),
    "but not where its branches are alike": (
        f"select text from {T} where a = 1 union all select text from {T} where a = 0",
        "text",
        "t.a",
        False,
    ),
    "choosing one of several pairs counts": (
        f"select u.author from {T} t join {U} u on true qualify row_number() over (partition by t.id order by t.a) = 1",
        "author",
        "t.a",
        True,
    ),
    "a pivoted column may come of all": (f"select k from {U} unpivot (v for k in (score))", "k", "u.*", True),
}


@pytest.mark.parametrize("name", INFLUENCE)
def test_influence_counts_what_chooses_rows(name: str) -> None:
    sql, column, pair, counts = INFLUENCE[name]
    relation, _, read = pair.partition(".")
    assert ((NAMES[relation], read) in _understood(sql).influences[column]) is counts


ORDERED = [
    f"select id, lower(text) as x from {T} where length(text) > 0",
    f"select * exclude (l) from {T}",
    f"from {T} select id where a in (1)",
    f"select id, list_transform(l, lambda x: x + 1) as y from {T}",
]
NOT_ORDERED = [
    f"select id from {T} order by id",
    f"select id from {T} limit 3",
    f"select distinct id from {T}",
    f"select id, count(*) as n from {T} group by id",
    f"select count(*) as n from {T}",
    f"select histogram(a) as n from {T}",
    f"select a.sum() as n from {T}",
    f"select id, row_number() over () as n from {T}",
    f"select id from {T} qualify row_number() over () = 1",
    f"select t.id from {T} t join {U} u on t.id = u.id",
    f"select t.id from {T} t, {U} u",
    f"select t.id from {T} t positional join {U} u",
    f"select id from {T} where id in (select id from {U})",
    f"select id from {T} where a in (1, 2, 3, 4)",
    f"select id from {T} where exists (from {U})",
    f"select id from {T} union all select id from {U}",
    f"with c as (select id from {T}) select id from c",
    f"select id from (select id from {T})",
    f"select unnest(l) as x from {T}",
    f"select generate_subscripts(l, 1) as x from {T}",
    f"select id, x from {T}, unnest(l) u(x)",
    f"select k from {U} unpivot (v for k in (score))",
    "select i from range(3) r(i)",
    "select 1 as one",
]


@pytest.mark.parametrize("sql", ORDERED + NOT_ORDERED)
def test_only_a_plain_projection_keeps_the_order(sql: str) -> None:
    assert _understood(sql).keeps_order is (sql in ORDERED)


def test_a_plain_projection_really_keeps_the_order_with_many_threads() -> None:
    with duckdb.connect(config={"threads": "4"}) as connection:
        connection.execute(
            f"create table {T} as select i as id, 'x' || i as text, i % 7 as a, [i] as l from range(400000) r(i)"
        )
        for sql in ORDERED:
            ids = connection.execute(f"select id from (\n{sql}\n)").fetchnumpy()["id"]
            assert (ids[1:] > ids[:-1]).all(), sql


SEVERAL_WAYS = [
    f"select sum(f) as x from {T}",
    f"select mad(f) as x from {T}",
    f"select f.fsum() as x from {T}",
    f"select id, row_number() over (order by a) as n from {T}",
    f"select id from {T} limit 3",
    f"select distinct on (a) id from {T}",
    f"select t.id from {T} t positional join {U} u",
    f"select id from {T} where f > (select avg(f) from {T})",
]


@pytest.mark.parametrize("sql", SEVERAL_WAYS)
def test_what_may_depend_on_threads_runs_in_one(sql: str) -> None:
    assert _understood(sql).aggregates


def test_a_projection_and_a_join_may_run_in_several_threads() -> None:
    assert not _understood(f"select t.id from {T} t join {U} u using (id) where a > 1").aggregates


SAME = {
    "layout": (f"select id,text from {T} where a>1", f"\nSELECT id,\n  text\nFROM {T}\nWHERE a > 1\n"),
    "comments": (f"select id from {T}", f"/* a */ select id -- b\nfrom {T} -- c"),
    "a semicolon at the end": (f"select id from {T}", f"select id from {T};"),
    "case of names": (f"select ID from {T} AS X where x.A > 1", f"select id from {T} as x where X.a > 1"),
    "quotes around names": (f'select "id" as "x" from {T}', f"select id as x from {T}"),
    "AS": (f"select id x from {T} t", f"select id as x from {T} as t"),
    "two ways to say unequal": (f"select id from {T} where a != 1", f"select id from {T} where a <> 1"),
    "case of functions": (f"select LOWER(text) as x from {T}", f"select lower(text) as x from {T}"),
}
DIFFERENT = {
    "a constant": (f"select id from {T} where a > 1", f"select id from {T} where a > 2"),
    "case of a text": (f"select 'x' as c from {T}", f"select 'X' as c from {T}"),
    "space in a text": (f"select 'a b' as c from {T}", f"select 'a  b' as c from {T}"),
    "an operator": (f"select a / b as c from {T}", f"select a // b as c from {T}"),
    "like and ilike": (f"select text like 'a' as c from {T}", f"select text ilike 'a' as c from {T}"),
    "cast and try_cast": (f"select text::int as c from {T}", f"select try_cast(text as int) as c from {T}"),
    "union and union all": (
        f"select a from {T} union select b from {T}",
        f"select a from {T} union all select b from {T}",
    ),
    "by name": (
        f"select a, b from {T} union all select b, a from {T}",
        f"select a, b from {T} union all by name select b, a from {T}",
    ),
    "kind of join": (
        f"select t.a from {T} t join {U} u using (id)",
        f"select t.a from {T} t left join {U} u using (id)",
    ),
    "order of columns": (f"select a, b from {T}", f"select b, a from {T}"),
    "nulls first": (f"select a from {T} order by a limit 1", f"select a from {T} order by a nulls first limit 1"),
    "parentheses that matter": (f"select a - (b - 1) as c from {T}", f"select a - b - 1 as c from {T}"),
    "a regular expression's options": (
        f"select regexp_matches(text, 'a', 'i') as c from {T}",
        f"select regexp_matches(text, 'a') as c from {T}",
    ),
    "escape": (f"select text like 'a$%' escape '$' as c from {T}", f"select text like 'a$%' as c from {T}"),
    "precision": (f"select f::decimal(10, 2) as c from {T}", f"select f::decimal(10, 3) as c from {T}"),
    "an interval's unit": (f"select d + interval 1 day as c from {T}", f"select d + interval 1 month as c from {T}"),
    "collation": (f"select text collate nocase = 'a' as c from {T}", f"select text = 'a' as c from {T}"),
    "case of a non-ASCII name": (f'select id as "öl" from {T}', f'select id as "Öl" from {T}'),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_what_does_not_matter_leaves_the_canonical_text_alone(pair: tuple[str, str]) -> None:
    assert _understood(pair[0]).canonical == _understood(pair[1]).canonical


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_what_matters_changes_the_canonical_text(pair: tuple[str, str]) -> None:
    assert _understood(pair[0]).canonical != _understood(pair[1]).canonical


def test_a_star_means_the_columns_that_there_are_in_their_order() -> None:
    sql = f"select * from {U}"
    one = understand_select(sql, {"transform.u": ("id", "author")}, WHERE)
    more = understand_select(sql, {"transform.u": ("id", "author", "score")}, WHERE)
    turned = understand_select(sql, {"transform.u": ("author", "id")}, WHERE)
    assert len({one.canonical, more.canonical, turned.canonical}) == 3
    named = [
        understand_select(f"select id, count(*) as n from {U} group by id", {"transform.u": c}, WHERE)
        for c in (("id",), ("id", "x"))
    ]
    assert named[0] == named[1]


REFUSED = {
    # not one SELECT
    f"insert into {U} values (1)": "a SELECT belongs here, not INSERT",
    "create table x as select 1": "not CREATE",
    f"delete from {U}": "not DELETE",
    f"update {U} set id = 1": "not UPDATE",
    f"drop table {U}": "not DROP",
    f"truncate {U}": "not TRUNCATE",
    f"copy {U} to 'x'": "not COPY",
    "attach 'x.db'": "not ATTACH",
    "detach x": "not DETACH",
    "pragma version": "not PRAGMA",
    "set threads = 1": "not SET",
    "call pragma_version()": "not CALL",
    "install json": "not INSTALL",
    "load json": "not LOAD",
    "vacuum": "not VACUUM",
    "begin": "a SELECT belongs here",
    "checkpoint": "a SELECT belongs here",
    "use memory": "not USE",
    "explain select 1": "not EXPLAIN",
    f"describe {U}": "not DESCRIBE",
    f"summarize {U}": "not SUMMARIZE",
    "show tables": "not SHOW",
    f"merge into {U} using {T} on true when matched then delete": "not MERGE",
    f"pivot {U} on author using sum(score)": "not a PIVOT",
    "lower('x')": "not an expression",
    "": "there is no SQL here",
    "-- nothing": "there is no SQL here",
    ";;": "there is no SQL here",
    f"select id from {U}; select 1": "2 statements stand here",
    f"select id from {U}; drop table {U}": "2 statements stand here",
    f"with d as (delete from {U} returning *) select * from d": "DELETE changes something",
    f"select id from {U} for update": "does more than read",
    f"select id into x from {U}": "does more than read",
    f"select id fro {U}": "cannot be parsed",
    "select 'x": "cannot be parsed",
    # reads from outside
    "select * from 'x.csv'": "'x.csv' is no relation of this project",
    "select * from read_csv('x.csv')": "read_csv() reads from outside",
    "select * from read_parquet('x')": "read_parquet() reads from outside",
    "select * from read_text('/etc/passwd')": "reads from outside",
    "select * from glob('*')": "glob() reads from outside",
    "select * from duckdb_tables()": "reads from outside",
    "select * from sqlite_scan('x', 'y')": "reads from outside",
    "select * from query('select 1')": "reads from outside",
    "select * from query_table('t')": "reads from outside",
    "select * from json_execute_serialized_sql('x')": "reads from outside",
    "select * from arrow_scan(1, 2, 3)": "reads from outside",
    "select * from enable_logging()": "reads from outside",
    "select * from test_all_types()": "reads from outside",
    "select * from information_schema.tables": "no relation of this project",
    "select * from sqlite_master": "no relation of this project",
    f"select * from {U} at (version => 1)": "no relation of this project",
    'select * from other."transform.u"': "no relation of this project",
    f"select id from {U} where id in (select id from nope)": "'nope' is no relation of this project",
    f"with c as (select * from nope) select id from {U}": "'nope' is no relation of this project",
    f"select * from c, (with c as (select id from {U}) from c)": "'c' is no relation of this project",
    "select * from (unpivot nope on b into name k value v)": "'nope' is no relation of this project",
    # not the same again
    f"select id from {U} using sample 2": "a sample is another one each time",
    f"select id from {U} tablesample 50 percent": "a sample is another one each time",
    f"select id from {U} tablesample reservoir(2) repeatable (1)": "a sample is another one each time",
    f"select id from {U} order by random()": "RANDOM() gives another result each time",
    f"select now() as x from {U}": "gives another result each time",
    f"select current_date as x from {U}": "gives another result each time",
    f"select CURRENT_TIMESTAMP as x from {U}": "gives another result each time",
    f"select age(d) as x from {T}": "looks at the clock",
    f"select getenv('HOME') as x from {U}": "gives another result each time",
    f"select id.now() as x from {U}": "gives another result each time",
    f"select ago(interval 1 day) as x from {U}": "gives another result each time",
    f"select * from (select uuid() as x from {U})": "gives another result each time",
    f"with c as (select * from {U} where random() < 0.5) from c": "gives another result each time",
    f"select reservoir_quantile(id, 0.5) as x from {U}": "gives another result each time",
    # parameters, places
    f"select $x as v from {U}": "is a parameter",
    f"select ? as v from {U}": "is a parameter",
    f"select #1 from {U}": "names a column by its place",
    f"select * from (pivot {U} on author using sum(score))": "the columns of this PIVOT depend on the data",
    f"select x.id from {U} u": "neither a relation nor a column is called 'x' here",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_one_select_over_the_project_is_refused(sql: str) -> None:
    with pytest.raises(BadSql) as caught:
        _understood(sql)
    assert REFUSED[sql] in caught.value.message


UNKNOWN = {
    # query with ^ before the name
    "select ^nope from {U}": "'u' has no column 'nope'",
    "select u.^nope from {U} u": "'u' has no column 'nope'",
    "select id from {U} where ^nope > 1": "'u' has no column 'nope'",
    "select id from {U} order by ^nope": "'u' has no column 'nope'",
    "select id from {U} group by id having ^nope > 1": "'u' has no column 'nope'",
    "select id from {U} qualify row_number() over (order by ^nope) = 1": "'u' has no column 'nope'",
    "select id\nfrom {U}\nwhere author = 'x'\n  and ^skore > 1": "'u' has no column 'skore'",
    "with c as (select id from {U}) select ^author from c": "'c' has no column 'author'",
    "select id from (select id from {U}) where ^author = 'x'": "'the subquery' has no column 'author'",
    "select id from (select id from {U}) v where v.^author = 'x'": "'v' has no column 'author'",
    "select t.id from {T} t join {U} u on t.^nope = u.id": "'t' has no column 'nope'",
    "select t.id from {T} t join {U} u on ^nope = u.id": "'t' and 'u' has no column 'nope'",
    "select * exclude (^nope) from {U}": "'u' has no column 'nope'",
    "select * replace (1 as ^nope) from {U}": "'u' has no column 'nope'",
    "select id, lower(^txet) as x from {T}": "'t' has no column 'txet'",
    "select 'größe 日本' as x, ^nope from {U}": "'u' has no column 'nope'",
    "select ^nope.a from {T}": None,
    "select id from {T} where exists (select 1 from {U} where ^nope = 1)": "'u' has no column 'nope'",
    "select id from {T} union all select ^nope from {U}": "'u' has no column 'nope'",
    "select list_transform(l, lambda x: x + ^nope) as y from {T}": "'t' has no column 'nope'",
    "select ^nope.upper() as y from {T}": "'t' has no column 'nope'",
    'select "^No Pe" from {U}': "'u' has no column 'No Pe'",
    "select ^rowid from {U}": "'u' has no column 'rowid'",
    "select id from {U} group by ^nope": "'u' has no column 'nope'",
    "select ^öl from {U}": "'u' has no column 'öl'",
}


@pytest.mark.parametrize("marked", UNKNOWN)
def test_an_unknown_column_is_reported_at_its_place(marked: str) -> None:
    written = marked.format(T=T, U=U)
    before = written.partition("^")[0]
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    if '"^' in marked:
        column -= 1
    with pytest.raises(TeachkitError) as caught:
        understand_select(written.replace("^", ""), SCHEMAS, Where("x.sql", 3))
    error = caught.value
    assert error.where is not None
    assert (error.where.path, error.where.line, error.where.column) == ("x.sql", line + 2, column)
    if UNKNOWN[marked] is not None:
        assert isinstance(error, UnknownColumn)
        assert error.message == UNKNOWN[marked]


def test_an_unknown_column_comes_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownColumn, match=r"its columns: id, author, score\. Did you mean 'author'\?"):
        _understood(f"select auther from {U}")


def test_all_unknown_columns_of_a_query_are_reported_at_once() -> None:
    with pytest.raises(ProjectErrors) as caught:
        _understood(f"select nope, id from {U} where nix > 1 and nope > 2")
    assert [e.where.column for e in caught.value.errors if e.where] == [8, 42, 54]


def test_where_columns_are_unknown_nothing_is_an_error_and_all_is_read() -> None:
    found = understand_select(f"select nope, u.nix from {U} u", {"transform.u": None}, WHERE)
    assert (found.columns, found.reads) == (("nope", "nix"), {"transform.u": None})
    star = understand_select(f"select * from {U}", {"transform.u": None}, WHERE)
    assert (star.columns, star.reads) == (None, {"transform.u": None})


def test_a_column_without_a_name_of_its_own_has_none() -> None:
    assert _understood(f"select id, count(*), id::int, s['a'] from {T} group by all").columns == ("id", "", "", "")


DEEP = {
    "parentheses": "(" * 3000 + "1" + ")" * 3000,
    "calls": "abs(" * 3000 + "1" + ")" * 3000,
    "cases": "case when a = 1 then 2 else " * 3000 + "1" + " end" * 3000,
    "not": "not " * 3000 + "true",
}


@pytest.mark.parametrize(
    ("sql", "word", "hint"),
    [
        (f"selct * from {U}", "selct", "Did you mean 'select'?"),
        (f"\n  selct id, score\nfrom {U}", "selct", "Did you mean 'select'?"),
        ("wiht a as (select 1 as x) select x from a", "wiht", "Did you mean 'with'?"),
        (f"fro {U}", "fro", "Did you mean 'from'?"),
        (f"id, score from {U}", "id", ""),
    ],
)
def test_a_misspelt_first_word_is_what_is_told(sql: str, word: str, hint: str) -> None:
    with pytest.raises(BadSql) as caught:
        _understood(sql)
    error = caught.value
    assert error.message == f"a query starts with SELECT, WITH or FROM, not '{word}'"
    assert error.advice == f"write one SELECT statement. {hint}".strip()
    line = sql[: sql.index(word)].count("\n") + 1
    assert str(error.where) == f"transforms/x.sql:{line}:{3 if line > 1 else 1}"


@pytest.mark.parametrize("sql", [f"select id * from {U}", f"select id from {U} where", "select case when then 1 end"])
def test_a_parser_speaks_of_sql_and_not_of_its_classes(sql: str) -> None:
    with pytest.raises(BadSql, match=r"cannot be parsed: something is missing near '\w+'"):
        _understood(sql)


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting_is_an_error_and_no_crash(name: str) -> None:
    with pytest.raises(BadSql, match="nested too deeply"):
        _understood(f"select {DEEP[name]} as x from {T}")


@pytest.mark.parametrize(
    "form", [("(", "1", ")"), ("abs(", "1", ")"), ("case when a = 1 then 2 else ", "1", " end"), ("not ", "true", "")]
)
def test_nesting_has_one_limit_on_every_version_of_python(form: tuple[str, str, str]) -> None:
    start, inside, end = form
    assert _understood(f"select {start * 99}{inside}{end * 99} as x from {T}").columns == ("x",)
    with pytest.raises(BadSql, match="nested too deeply"):
        _understood(f"select {start * 101}{inside}{end * 101} as x from {T}")


WIDE = {
    "a long IN list": "a in (" + ", ".join(map(str, range(20_000))) + ")",
    "many ORs": " or ".join(f"a = {i}" for i in range(1500)),
    "many ANDs": " and ".join(f"a <> {i}" for i in range(1500)),
    "a long sum": " + ".join(["a"] * 800) + " > 0",
    "a long text": "text = '" + "x" * 1_000_000 + "'",
    "many branches": "case " + " ".join(f"when a = {i} then {i}" for i in range(3000)) + " end > 1",
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_conditions_are_fine(name: str) -> None:
    found = _understood(f"select id from {T} where {WIDE[name]}")
    assert found.reads["transform.t"] is not None
    assert set(found.reads["transform.t"]) <= {"id", "a", "text"}


def test_a_long_union_is_fine() -> None:
    found = _understood(" union all ".join(f"select id + {i} as id from {U}" for i in range(600)))
    assert (found.columns, found.reads) == (("id",), {"transform.u": ("id",)})
