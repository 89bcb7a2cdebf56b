"""``teachkit sql`` and the SQL of a project read what they are meant to read, and write nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox import Sandbox

WRITES = [
    "drop table labels.moods",
    "drop view labels.moods",
    "create table x as select 1",
    "insert into labels.moods values (1)",
    "update data.reviews set text = ''",
    "delete from data.reviews",
    "alter table data.reviews rename to x",
    "copy (select 1) to '{there}'",
    "copy labels.moods to '{there}'",
    "export database '{there}'",
    "attach '{there}' as x",
    "install httpfs",
    "load httpfs",
    "set threads = 1",
    "pragma database_list",
    "call pragma_version()",
    "select 1; copy (select 1) to '{there}'",
    "with x as (select 1) insert into labels.moods select * from x",
    "explain analyze copy (select 1) to '{there}'",
    "checkpoint",
    "vacuum",
    "use data",
    "begin",
    "",
    "-- nothing",
    "not sql at all (",
]


@pytest.mark.parametrize("query", WRITES)
def test_only_reading_is_possible(query: str, once: Sandbox, tmp_path: Path) -> None:
    there, before = tmp_path / "there", once.state()
    found = once("sql", "--", query.format(there=there), code=2)
    assert found.err.startswith("error: ")
    assert found.out == ""
    assert not there.exists()
    assert once.state() == before


READS = {
    "select count(*) as n from labels.moods": 40,
    "from labels.moods select count(*) as n": 40,
    "with x as (select 1 as a union all select 2) select count(*) as n from x": 2,
    "select count(*) as n from {{ ref('moods') }}": 40,
    "select count(*) as n from {{ ref('reviews') }} where stars = {{ var('low') }}": 8,
    "select count(*) as n from {{ source('shop', 'reviews') }}": 40,
    "select count(*) as n from data.shop_reviews": 40,
    "select count(praise) as n from votes.mood": 17,
    "select count(*) as n from audit.runs where published": 1,
    "select count(*) as n from votes.mood_ann": 3,
    "select n from (values (7)) t(n)": 7,
}


@pytest.mark.parametrize("query", READS)
def test_the_environment_can_be_asked(query: str, built: Sandbox) -> None:
    assert built("sql", query, "--format", "json").json["rows"] == [{"n": READS[query]}]


def test_describe_show_and_summarize(once: Sandbox) -> None:
    assert "label" in once("sql", "describe labels.moods").out
    assert "moods" in once("sql", "show all tables").out
    assert "stars" in once("sql", "summarize data.reviews").out


def test_a_query_from_standard_input(once: Sandbox) -> None:
    found = once.spawn("sql", "-", "--format", "json", input="select 'ü' as x\n")
    assert found.json == {"columns": ["x"], "rows": [{"x": "ü"}]}


def test_any_duckdb_client_reads_the_generated_file(built: Sandbox) -> None:
    import duckdb

    with duckdb.connect(str(built.root / ".teachkit/teachkit.duckdb"), read_only=True) as connection:
        assert connection.sql("select count(*) from labels.moods").fetchall() == [(40,)]
        assert connection.sql("select label from labels.moods where id = 'r002'").fetchall() == [("bad",)]


TRANSFORMS = [
    "copy (select 1) to '{there}'",
    "create table x as select 1 as id",
    "select * from read_csv('{secret}')",
    "select * from '{secret}'",
    (
        "select id, text, stars, mood, split, (select content from read_text('{secret}')) as x "
        "from {{{{ source('shop', 'reviews') }}}}"
    ),
    "attach '{there}' as x",
    "install httpfs",
    "select * from {{{{ source('shop', 'reviews') }}}}; drop table x",
    "pragma database_list",
    "select getenv('HOME') as id",
]


@pytest.mark.parametrize("sql", TRANSFORMS)
def test_a_transform_reads_sources_and_refs_alone(sql: str, built: Sandbox, tmp_path: Path) -> None:
    there, secret = tmp_path / "there", tmp_path / "secret.csv"
    secret.write_text("id\nhidden-value\n")
    built.write({"transforms/other.sql": sql.format(there=there, secret=secret)})
    before = built.state()
    found = built("build", code=2)
    assert "transforms/other.sql:1" in found.err
    assert "hidden-value" not in found.all
    assert not there.exists()
    assert built.state() == before


def test_a_thousand_voters_stand_side_by_side(fresh: Sandbox) -> None:
    rules = "".join(f"  - {{name: w{i}, label: good, sql: 'stars >= {i % 5 + 1}'}}\n" for i in range(1_050))
    fresh.write({"labeling_functions/mood/many.yml": f"labeling_functions:\n{rules}"})
    fresh("run")
    some = [0, 49, 50, 51, 998, 999, 1_000, 1_049]
    columns = ", ".join(f"w{i}" for i in some)
    query = f"select {columns}, v.stars as vote, d.stars as n from votes.mood v join data.reviews d using (id)"
    rows = fresh("sql", query, "--limit", "-1", "--format", "json").json["rows"]
    assert len(rows) == 40
    for row in rows:
        assert [row[f"w{i}"] for i in some] == ["good" if row["n"] >= i % 5 + 1 else None for i in some]
        assert row["vote"] == ("good" if row["n"] >= 4 else "bad" if row["n"] <= 2 else None)
