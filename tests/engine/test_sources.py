"""Sources as real files: what is read, and what is said of files that cannot be."""

from __future__ import annotations

import datetime
import gzip
import multiprocessing
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from teachkit.engine.source_content import content_of
from teachkit.engine.sources import SourceReader, check_there, find_records, names_file, open_source, unreadable
from teachkit.errors import MissingExtension, SourceNotFound, SourceUnreadable, TeachkitError, UnknownColumn, Where
from teachkit.graph import compile_graph
from teachkit.graph.node import SourceSpec
from teachkit.project.models import SourceTable
from teachkit.store import Store
from tests.graph.projects import BASE, read
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

WHERE = Where("sources/raw.yml", 4, 9)
CSV = b"id,text\n1,a\n2,b\n"


def source(path: str | list[str] | None = None, *, form: str | None = None, **table: Any) -> SourceSpec:
    """How a source is read, as the compiler makes it of what a file says."""
    found = SourceTable.model_validate({"name": "t", "path": path, **table})
    paths = (found.path,) if isinstance(found.path, str) else tuple(found.path or ())
    types = {name: column.type for name, column in found.columns.items() if column and column.type}
    return SourceSpec(found, paths, form or ("csv" if paths else "database"), types)


def rows(root: Path, spec: SourceSpec) -> list[tuple[Any, ...]]:
    """The source's rows, with the names of its columns first."""
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        check_there(spec, root, "raw.t", WHERE)
        relation = open_source(connection, spec, root, "raw.t", WHERE)
        try:
            found = connection.execute(f"select * from {relation}")
            return [tuple(d[0] for d in found.description or ()), *found.fetchall()]
        except duckdb.Error as error:
            raise unreadable(error, "raw.t", WHERE) from error


def refused(root: Path, spec: SourceSpec, kind: type[TeachkitError] = SourceUnreadable) -> TeachkitError:
    """The error that reading the source ends in: it has a place, and holds neither rows nor folders of the machine."""
    with pytest.raises(kind) as caught:
        rows(root, spec)
    error = caught.value
    assert error.where == WHERE
    assert str(root) not in str(error)
    assert "\n" not in error.message
    assert error.advice
    return error


# ---------------------------------------------------------------------------- files


def test_files_of_a_glob_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"id,text\n3,c\n")
    (tmp_path / "a.csv").write_bytes(CSV)
    assert rows(tmp_path, source("*.csv"))[1:] == [(1, "a"), (2, "b"), (3, "c")]
    assert rows(tmp_path, source(["b.csv", "a.csv"]))[1:] == [(3, "c"), (1, "a"), (2, "b")]


def test_a_path_without_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for path in ("none.csv", "none-*.csv", "**/x.csv", "folder.csv"):
        assert f"'{path}'" in refused(tmp_path, source(path), SourceNotFound).message
    (tmp_path / "a.csv").write_bytes(CSV)
    assert "'none.csv'" in refused(tmp_path, source(["a.csv", "none.csv"]), SourceNotFound).message
    gone = source(database="none.sqlite", table="t")
    assert "'none.sqlite'" in refused(tmp_path, gone, SourceNotFound).message


@pytest.mark.parametrize("before", [0, 30_000])
def test_a_csv_that_is_not_utf8_names_file_and_line(tmp_path: Path, before: int) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n" + b"1,x\n" * before + "2,café secret\n".encode("latin-1"))
    error = refused(tmp_path, source("a.csv"))
    assert "not UTF-8" in error.message
    assert f"line {before + 2} of a.csv" in error.message
    assert "secret" not in str(error)
    assert "encoding: latin-1" in error.advice
    assert rows(tmp_path, source("a.csv", options={"encoding": "latin-1"}))[-1] == (2, "café secret")


def test_a_header_alone_is_a_source_without_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n")
    assert rows(tmp_path, source("a.csv")) == [("id", "text")]


def test_an_empty_file_is_an_error_unless_another_tells_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert "header" in refused(tmp_path, source("a.csv")).advice
    assert "columns:" in refused(tmp_path, source("a.jsonl", form="jsonl")).advice
    declared = source("a.jsonl", form="jsonl", columns={"id": {"type": "bigint"}, "text": {"type": "varchar"}})
    assert rows(tmp_path, declared) == [("id", "text")]
    (tmp_path / "b.csv").write_bytes(CSV)
    assert rows(tmp_path, source("*.csv")) == [("id", "text"), (1, "a"), (2, "b")]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1, "text": "a"}\n'))
    assert rows(tmp_path, source("a.csv.gz"))[1:] == [(1, "a"), (2, "b")]
    assert rows(tmp_path, source("a.jsonl.gz", form="jsonl"))[1:] == [(1, "a")]
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(CSV)[:12])
    assert "b.csv.gz" in refused(tmp_path, source("b.csv.gz")).message


def test_lines_at_the_top_are_never_passed_over_in_silence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,a\n2,b,c\n")
    found = rows(tmp_path, source("a.csv"))
    assert len(found) == 3
    assert "id" not in found[0]  # so a key or a transform that names it is an error at compile time


def test_broken_files_are_told_without_their_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n" + b"1,x\n" * 30_000 + b"secret,y\n")
    error = refused(tmp_path, source("a.csv"))
    assert "line 30002 of a.csv" in error.message
    assert error.advice == "declare the column as text: columns: {id: {type: varchar}}"
    (tmp_path / "a.jsonl").write_bytes(b'{"id": 1}\n{"id": secret\n')
    (tmp_path / "a.parquet").write_bytes(b"secret")
    for path, form in (("a.jsonl", "jsonl"), ("a.parquet", "parquet")):
        error = refused(tmp_path, source(path, form=form))
        assert path in error.message
        assert "secret" not in str(error)


def described(root: Path, spec: SourceSpec) -> Mapping[str, str]:
    with Store.open(root / "store") as store:
        return SourceReader(root, store).describe(spec, "source.raw.t", WHERE)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"id,text,n\n1,a,2\n2,b,3,9\n3,c,4\n", 3),
        (b"id,text,n\n1,a,2\n2,b\n3,c,4\n", 3),
        (b"id;text;n\n1;a, b;2\n2;b;3\n3;c;4;5\n", 4),
        (b"id\ttext\tn\n1\ta\t2\n2\tb\t3\t4\n", 3),
        (b"id|text\n1|a\n2|b|secret\n", 3),
        (b'"id","text","n"\n1,a,2\n2,"b, secret",3,9\n3,c,4\n', 3),
    ],
)
def test_a_row_of_another_width_is_told_by_its_line(data: bytes, line: int, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    (tmp_path / "good.csv").write_bytes(b"id,text,n\n1,a,2\n")
    for path in ("a.csv", "*.csv"):
        with pytest.raises(SourceUnreadable) as caught:
            described(tmp_path, source(path))
        said = f"a row has another number of columns than the header (line {line} of a.csv)"
        assert said in caught.value.message
        assert "options: {delim: ';'}" in caught.value.advice
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("header", ["Kommentar (kurz|lang)", "Frage, was denkst du?", "a;b"])
def test_one_column_may_have_a_delimiter_in_its_name(header: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\ngut\nsehr gut\nnichts\n")
    assert list(described(tmp_path, source("a.csv"))) == [header]


def test_a_delimiter_that_is_declared_is_the_one_that_is_tried(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id~text\n1~a\n2~b~c\n")
    with pytest.raises(SourceUnreadable, match=r"line 3 of a.csv"):
        described(tmp_path, source("a.csv", options={"delim": "~"}))


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        (b"text\nhello\nyou, there; all\n", ["text"]),
        (b'"a,b"\n1\n2\n', ["a,b"]),
        (b'id,"a;b;c"\n1,x\n2,y\n', ["id", "a;b;c"]),
        (b"id,text\n", ["id", "text"]),
    ],
)
def test_columns_may_be_called_anything(data: bytes, columns: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    assert list(described(tmp_path, source("a.csv"))) == columns


KEYED = """
    sources:
      - name: raw
        tables:
          - {name: t, path: 'data/*', format: %s, key: id%s}
    """
TWO_FORMS = {
    "csv": {"a.csv": "id,text\n1,x\n", "b.csv": "", "rules.csv": "rule,text\n7,y\n8,z\n"},
    "jsonl": {"a.jsonl": '{"ID": 1, "text": "x"}\n', "rules.jsonl": '{"rule": 7, "text": "y"}\n{"rule": 8}\n'},
}


@pytest.mark.parametrize("form", TWO_FORMS)
def test_a_file_of_a_glob_without_the_key_is_named(tmp_path: Path, form: str) -> None:
    files = {f"data/{name}": text for name, text in TWO_FORMS[form].items()}
    sandbox = Sandbox(tmp_path, {"teachkit.yml": "name: x", "sources/raw.yml": KEYED % (form, ""), **files})
    said = sandbox("build", code=1).all
    assert "2 rows have no key 'id' (NULL)  [null-key]" in said
    assert f"  data/rules.{form} has no column 'id': name it so there, or leave what holds other rows out of" in said
    null = files[f"data/a.{form}"].replace("1,", "," if form == "csv" else "null,")
    sandbox.write({f"data/rules.{form}": None, f"data/c.{form}": null})
    said = sandbox("build", code=1).all
    assert "1 row has no key 'id' (NULL)  [null-key]" in said
    assert "choose a key that is never NULL" in said


def test_a_parquet_file_of_a_glob_without_the_key_is_named(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, {"teachkit.yml": "name: x", "sources/raw.yml": KEYED % ("parquet", "")})
    (tmp_path / "data").mkdir()
    for name, key in (("a", "id"), ("b", "ID"), ("c", "no"), ("d", "no")):
        duckdb.execute(f"copy (select '{name}' as {key}) to '{tmp_path}/data/{name}.parquet'")
    said = sandbox("parse", code=2).err
    assert "sources/raw.yml:4:25: source 'raw.t' cannot be read: data/c.parquet, data/d.parquet have no column" in said
    sandbox.write({"sources/raw.yml": KEYED % ("parquet", ", options: {union_by_name: true}")})
    said = sandbox("build", code=1).all
    assert "2 rows have no key 'id' (NULL)  [null-key]\n  data/c.parquet, data/d.parquet have no column 'id'" in said


def test_a_csv_of_no_one_form_has_no_problem_of_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\r\n1,a\r\n2,b\n3,c\r\n")
    with pytest.raises(SourceUnreadable) as caught:
        described(tmp_path, source("a.csv"))
    assert r"its lines end in two ways, \n and \r\n (line 3 of a.csv)" in caught.value.message
    assert list(described(tmp_path, source("a.csv", options={"strict_mode": False}))) == ["id", "text"]
    (tmp_path / "b.csv").write_bytes(b"id,text\n1,a\n2,b\n")
    error = refused(tmp_path, source("b.csv", options={"delim": ",", "columns": {"a": "varchar"}}))
    assert "b.csv" in error.message
    assert "UTF-8" not in error.advice


def test_a_value_of_another_type_in_json_is_told_without_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": 1}\n' * 30_000 + b'{"id": "secret"}\n')
    error = refused(tmp_path, source("a.jsonl", form="jsonl"))
    assert "line 30001" in error.message
    assert "secret" not in str(error)
    assert error.__cause__ is not None
    assert names_file(error.__cause__) == str(tmp_path / "a.jsonl")


def test_a_record_is_found_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    assert find_records(source("a.csv"), tmp_path / "a.csv", "id", ["3", "2", "2"]) == {"2": 2}
    assert find_records(source("a.csv"), tmp_path / "a.csv", "id", []) == {}


# ---------------------------------------------------------------------------- databases


def test_a_duckdb_file_is_read_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table t as select 7 as id, 'a' as text; create schema s")
        connection.execute("create table s.u as select 8 as id")
    before = file.read_bytes()
    queries = {
        "select id // 2 as half, text[1] as first from t;": (3, "a"),
        "with t2 as (select * from t) select t2.id from t2 join s.u on u.id > t2.id -- a comment": (7,),
        "select id from (select id, text from t) as q where text ilike 'A' and exists (from s.u)": (7,),
        "select E'\\x41' as a, $$;$$ as b, [x + 1 for x in [id]] as c from t": ("A", ";", [8]),
    }
    assert rows(tmp_path, source(database="x.duckdb", table="t"))[1:] == [(7, "a")]
    assert rows(tmp_path, source(database="x.duckdb", table="s.u"))[1:] == [(8,)]
    for query, wanted in queries.items():
        assert rows(tmp_path, source(database="x.duckdb", query=query))[1:] == [wanted]
    assert file.read_bytes() == before
    assert "nope" in refused(tmp_path, source(database="x.duckdb", table="nope")).message
    (tmp_path / "y.duckdb").write_bytes(b"nonsense" * 100)
    assert "not a valid DuckDB" in refused(tmp_path, source(database="y.duckdb", table="t")).message


VIEWS = """
    create table t as select 1 as id, 'a' as text;
    create macro twice(a) as a * 2;
    create macro chance() as random();
    create macro lines() as table select * from read_csv('{root}/ext.csv');
    create view fine as select twice(id) as id, text from t;
    create view "finer still" as select * from fine where id in (from range(9));
    create view reads as select * from read_csv('{root}/ext.csv');
    create view reads_by_name as select * from '{root}/ext.csv';
    create view reads_by_macro as select * from lines();
    create view reads_within as select * from t where text in (select content from read_text('{root}/ext.csv'));
    create view lists as select file as text from glob('{root}/*.csv');
    create view guesses as select *, random() as x from t;
    create view guesses_by_macro as select *, chance() as x from t;
    create view moves as select * from t where now() > timestamp '2020-01-01';
    create schema s;
    create view s.over as select * from main.{inner}
    """
OUTSIDE = ("reads", "reads_by_name", "reads_by_macro", "reads_within", "lists")
LOOSE = {"guesses": "RANDOM()", "guesses_by_macro": "RANDOM()", "moves": "NOW()"}


def _views(root: Path, inner: str = "fine") -> Callable[..., list[str]]:
    """A DuckDB file with views; what describes a source in it. ``s.over`` is a view of the view ``inner``."""
    (root / "ext.csv").write_bytes(CSV)
    with duckdb.connect(str(root / "x.duckdb")) as connection:
        connection.execute(VIEWS.format(root=root, inner=inner))

    def described(**table: Any) -> list[str]:
        with Store.open(root / ".teachkit") as store:
            return list(SourceReader(root, store).describe(source(database="x.duckdb", **table), "source.raw.t", WHERE))

    return described


def test_views_of_a_duckdb_file_are_read(tmp_path: Path) -> None:
    described = _views(tmp_path)
    for table in ("fine", "finer still", "s.over"):
        assert described(table=table) == ["id", "text"]
    assert described(query='select text from fine join "finer still" using (text)') == ["text"]


@pytest.mark.parametrize("view", [*OUTSIDE, *LOOSE])
def test_a_view_that_may_change_while_its_file_stays_is_refused(tmp_path: Path, view: str) -> None:
    described = _views(tmp_path, view)
    ways = ({"table": view}, {"query": f"select * from {view.upper()}"}, {"table": "s.over"})
    for way in (*ways, *ways):  # what was refused is not remembered as fine
        with pytest.raises(SourceUnreadable) as caught:
            described(**way)
        if view in LOOSE:
            assert f"{LOOSE[view]} gives another result each time" in caught.value.message
        else:
            assert "a view of the database reads '" in caught.value.message
            assert "outside of it" in caught.value.message
        assert str(tmp_path) not in str(caught.value)
        assert "'version:'" in caught.value.advice
    for way in ways:
        assert "text" in described(**way, version="select max(id) from t")


@pytest.mark.parametrize(
    ("query", "word", "problem"),
    [
        ("select * from read_csv('data/ext.csv')", "read_csv", "read_csv() reads from outside the project"),
        ("select id, random() as x from t", "random", "RANDOM() gives another result each time"),
        ("select * from t where seen > now()", "now", "NOW() gives another result each time"),
        ("select * from t using sample 3", "using", "a sample is another one each time"),
    ],
)
def test_a_query_of_a_duckdb_file_is_refused_what_a_transform_is(
    tmp_path: Path, query: str, word: str, problem: str
) -> None:
    sandbox = Sandbox(tmp_path, {"teachkit.yml": "name: shop", "data/ext.csv": CSV})
    with duckdb.connect(str(tmp_path / "data/x.duckdb")) as connection:
        connection.execute("create table t as select 1 as id, now() as seen")
    head = "sources:\n  - name: raw\n    tables:\n      - name: t\n        database: data/x.duckdb\n"
    sandbox.write({"sources/raw.yml": f"{head}        query: >-\n          {query}\n"})
    assert f"sources/raw.yml:7:{query.index(word) + 11}: {problem}  [bad-sql]" in sandbox("parse", code=2).err
    sandbox.write({"sources/raw.yml": f"{head}        query: {query}\n        version: select max(id) from t\n"})
    sandbox("parse")


def _sqlite(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


TABLE = """
    create table t (id integer primary key, text text, f real, n decimal(8, 2), day date, at datetime, flag boolean,
                    b blob, x)"""
FIRST = """
    insert into t values (1, 'größe', 1.5, 2, '2024-01-31', '2024-01-31 10:20:30', 1, x'00ff', 5),
                         (2, NULL, 2, NULL, NULL, NULL, 0, NULL, NULL)"""


def test_an_sqlite_file_is_read_with_its_types(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    _sqlite(file, TABLE, FIRST)
    before = file.read_bytes()
    day, at = datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 10, 20, 30)
    assert rows(tmp_path, source(database="x.sqlite", table="t")) == [
        ("id", "text", "f", "n", "day", "at", "flag", "b", "x"),
        (1, "größe", 1.5, 2.0, day, at, True, b"\x00\xff", 5),
        (2, None, 2.0, None, None, None, False, None, None),
    ]
    assert file.read_bytes() == before


def test_an_sqlite_file_is_described_as_it_is_read(tmp_path: Path) -> None:
    _sqlite(tmp_path / "x.sqlite", TABLE, FIRST)
    spec = source(database="x.sqlite", table="t", columns={"n": {"type": "decimal(8, 2)"}})
    with Store.open(tmp_path / ".teachkit") as store, duckdb.connect() as connection:
        described = SourceReader(tmp_path, store).describe(spec, "source.raw.t", WHERE)
        relation = open_source(connection, spec, tmp_path, "raw.t", WHERE)
        read_as = {row[0]: row[1] for row in connection.execute(f"describe {relation}").fetchall()}
    assert {c: t.replace(" ", "").upper() for c, t in described.items()} == read_as | {"n": "DECIMAL(8,2)"}
    assert read_as["n"] == "DECIMAL(8,2)"


def test_a_query_of_an_sqlite_file_is_in_its_dialect(tmp_path: Path) -> None:
    _sqlite(tmp_path / "x.db", TABLE, FIRST)
    query = "select id, id || '-' || text as k, iif(id > 1, 1, 2.5) as v, substr(text, 1, 2) as \"Te xt\" from t;"
    assert rows(tmp_path, source(database="x.db", query=query)) == [
        ("id", "k", "v", "Te xt"),
        (1, "1-größe", 2.5, "gr"),
        (2, None, 1.0, None),
    ]


def test_many_rows_of_an_sqlite_file_stream(tmp_path: Path) -> None:
    numbers = "with recursive r(i) as (select 1 union all select i + 1 from r where i < 50001)"
    _sqlite(tmp_path / "x.sqlite", f"create table t as {numbers} select i as id, 'text ' || i as text from r")
    found = rows(tmp_path, source(database="x.sqlite", table="t"))
    assert len(found) == 50_002
    assert found[-1] == (50_001, "text 50001")


def test_an_sqlite_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    _sqlite(tmp_path / "x.sqlite", TABLE)
    assert rows(tmp_path, source(database="x.sqlite", query="select id, text from t")) == [("id", "text")]


def test_a_value_that_its_column_cannot_hold_is_an_error_and_text_is_the_way_out(tmp_path: Path) -> None:
    _sqlite(tmp_path / "x.sqlite", "create table t (n int, day date)", "insert into t values ('secret', 'secret')")
    for column in ("n", "day"):
        query = f"select {column} from t"
        error = refused(tmp_path, source(database="x.sqlite", query=query))
        assert f"column '{column}' is declared as" in error.message
        assert "secret" not in str(error)
        as_text = source(database="x.sqlite", query=query, columns={column: {"type": "varchar"}})
        assert rows(tmp_path, as_text)[1:] == [("secret",)]


def test_what_is_wrong_with_an_sqlite_source_is_told(tmp_path: Path) -> None:
    _sqlite(tmp_path / "x.sqlite", TABLE)
    (tmp_path / "y.sqlite").write_bytes(b"nonsense" * 100)
    assert "no such table" in refused(tmp_path, source(database="x.sqlite", table="nope")).message
    assert "syntax error" in refused(tmp_path, source(database="x.sqlite", query="selct 1")).message
    assert "syntax error" in refused(tmp_path, source(database="x.sqlite", query="delete from t")).message
    assert "not a database" in refused(tmp_path, source(database="y.sqlite", table="t")).message


# ---------------------------------------------------------------------------- extensions


@pytest.mark.parametrize(
    ("extension", "make"),
    [
        ("postgres", lambda: source(database="postgresql://me:hunter2@h/db", type="postgres", table="t")),
        ("httpfs", lambda: source("https://me:hunter2@127.0.0.1:1/x.csv")),
        ("httpfs", lambda: source("s3://bucket/x.csv")),
        ("excel", lambda: source("a.xlsx", form="xlsx")),
    ],
)
def test_a_missing_extension_is_named_with_the_way_to_install_it(
    tmp_path: Path, extension: str, make: Callable[[], SourceSpec]
) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"")
    with duckdb.connect() as connection:
        connection.execute(f"set extension_directory = '{tmp_path / 'none'}'")
        connection.execute("set custom_extension_repository = '/nowhere'")
        with pytest.raises(MissingExtension) as caught:
            open_source(connection, make(), tmp_path, "raw.t", WHERE)
    assert f"extension '{extension}'" in caught.value.message
    assert f"INSTALL {extension}" in caught.value.advice
    assert "hunter2" not in str(caught.value)


def test_no_password_is_shown() -> None:
    for text in ("cannot connect to postgresql://me:hunter2@h/db", "cannot connect: host=h password=hunter2 user=me"):
        shown = str(unreadable(duckdb.IOException(text), "raw.t", WHERE))
        assert "hunter2" not in shown
        assert "cannot connect" in shown


# ---------------------------------------------------------------------------- what the compiler and the store see


def test_a_column_that_vanished_is_an_error_when_the_file_changes(tmp_path: Path) -> None:
    files = read(tmp_path, BASE)
    (tmp_path / "authors.csv").write_bytes(b"author,fame\nann,1\n")
    (tmp_path / "comments.csv").write_bytes(b"id,author,content,class,split\n1,ann,hello,0,tune\n")
    with Store.open(tmp_path / ".teachkit") as store:
        describe = SourceReader(tmp_path, store).describe
        assert "content" in describe(compile_graph(files, describe)["source.raw.comments"].spec, "source.raw.x", WHERE)
        (tmp_path / "comments.csv").write_bytes(b"id,author,contents,class,split\n1,ann,hello,0,tune\n")
        with pytest.raises(TeachkitError) as caught:
            compile_graph(files, describe)
    (error,) = getattr(caught.value, "errors", [caught.value])
    assert isinstance(error, UnknownColumn)
    assert error.where == Where("transforms/items.sql", 1, 20, 27)
    assert "Did you mean 'contents'?" in error.advice


def test_a_content_is_known_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    with Store.open(tmp_path / ".teachkit") as store:

        def key(spec: SourceSpec) -> str | None:
            found = content_of(spec, tmp_path, store, "raw.t", WHERE)
            return None if found is None else found.key

        first = key(source("a.csv"))
        (tmp_path / "b.csv").write_bytes(CSV)
        assert key(source("b.csv")) == first
        assert key(source("*.csv")) != first
        (tmp_path / "b.csv").write_bytes(CSV + b"3,c\n")
        assert key(source("b.csv")) != first
        assert key(source("s3://x/a.csv")) is None


def _commit_and_die(path: str, statement: str) -> None:
    """A writer that is killed after its commit: what it wrote is in the write-ahead log alone."""
    connection: Any = duckdb.connect(path) if path.endswith(".duckdb") else sqlite3.connect(path)
    connection.execute(statement)
    if path.endswith(".sqlite"):
        connection.commit()
    os._exit(0)


def left_in_a_log(path: Path, statement: str) -> None:
    writer = multiprocessing.get_context("spawn").Process(target=_commit_and_die, args=(str(path), statement))
    writer.start()
    writer.join()


@pytest.mark.parametrize("name", ["x.duckdb", "x.sqlite", "link.duckdb", "link.sqlite"])
def test_what_a_dead_writer_left_in_a_log_is_content(tmp_path: Path, name: str) -> None:
    end = name.partition(".")[2]
    file = tmp_path / "there" / f"x.{end}"
    file.parent.mkdir()
    statements = ("create table t (id integer, text varchar)", "insert into t values (1, 'a')")
    if end == "duckdb":
        with duckdb.connect(str(file)) as connection:
            connection.execute(";".join(statements))
    else:
        _sqlite(file, "pragma journal_mode = wal", *statements)
    (tmp_path / name).symlink_to(file) if name.startswith("link") else file.rename(tmp_path / name)
    spec = source(database=name, table="t")
    with Store.open(tmp_path / ".teachkit") as store:
        first = content_of(spec, tmp_path, store, "raw.t", WHERE)
        assert rows(tmp_path, spec)[1:] == [(1, "a")]
        assert content_of(spec, tmp_path, store, "raw.t", WHERE) == first  # reading changes nothing
        left_in_a_log(tmp_path / name, "insert into t values (2, 'b')")
        assert rows(tmp_path, spec)[1:] == [(1, "a"), (2, "b")]
        assert content_of(spec, tmp_path, store, "raw.t", WHERE) != first


def test_columns_that_are_only_in_a_log_are_described(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("create table t as select 1 as id")
    spec = source(database="x.duckdb", table="t")
    with Store.open(tmp_path / ".teachkit") as store:
        describe = SourceReader(tmp_path, store).describe
        assert list(describe(spec, "source.raw.t", WHERE)) == ["id"]
        left_in_a_log(tmp_path / "x.duckdb", "alter table t add column text varchar")
        assert list(describe(spec, "source.raw.t", WHERE)) == ["id", "text"]
