"""What data outside is called, against the naming that OpenLineage's client has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openlineage.client.naming.dataset import GCS, S3, LocalFileSystem, Postgres

from teachkit.graph.node import SourceSpec
from teachkit.lineage.forms.places import Place, source_places, url_place
from teachkit.project.models import SourceTable

ROOT = Path("/projects/größe")


def spec(**about: Any) -> SourceSpec:
    table = SourceTable(name="t", **about)
    paths = (table.path,) if isinstance(table.path, str) else tuple(table.path or ())
    return SourceSpec(table=table, paths=paths, format="csv", types={})


def places(files: dict[str, str] | None = None, **about: Any) -> list[tuple[str, str]]:
    return [(p.namespace, p.name) for p in source_places(spec(**about), files or {}, ROOT)]


def as_client(naming: Any) -> tuple[str, str]:
    return naming.get_namespace(), naming.get_name()


def test_files_have_their_full_path_and_digest() -> None:
    found = source_places(spec(path="data/*.csv"), {"data/b.csv": "22", "/other/a.csv": "11"}, ROOT)
    assert found == [Place("file", "/other/a.csv", "11"), Place("file", "/projects/größe/data/b.csv", "22")]
    assert (found[1].namespace, found[1].name) == as_client(LocalFileSystem("/projects/größe/data/b.csv"))


@pytest.mark.parametrize(
    ("url", "namespace", "name"),
    [
        ("s3://bucket/a b/x.csv", *as_client(S3("bucket", "a b/x.csv"))),
        ("s3://bucket/x.csv?s3_access_key_id=secret&s3_secret_access_key=secret", *as_client(S3("bucket", "x.csv"))),
        ("gcs://bucket/x/*.parquet", *as_client(GCS("bucket", "x/*.parquet"))),
        ("gs://bucket/x.csv", *as_client(GCS("bucket", "x.csv"))),
        ("https://anna:secret@example.org:8443/x.csv?token=secret#secret", "https://example.org:8443", "x.csv"),
        ("hf://datasets/a/b/c.parquet", "hf://datasets", "a/b/c.parquet"),
        ("https://example.org", "https://example.org", "/"),
    ],
)
def test_urls(url: str, namespace: str, name: str) -> None:
    assert url_place(url) == Place(namespace, name)
    assert places(path=url) == [(namespace, name)]


@pytest.mark.parametrize(
    "connection",
    [
        "host=db.example.org port=5433 dbname=shop user=anna password='se cret'",
        "postgres://anna:secret@db.example.org:5433/shop?sslmode=require",
        "postgresql://anna@db.example.org:5433/shop",
    ],
)
def test_tables_of_postgres(connection: str) -> None:
    expected = as_client(Postgres("db.example.org", "5433", "shop", "public", "reviews"))
    assert places(database=connection, type="postgres", table="reviews") == [expected]
    other = as_client(Postgres("db.example.org", "5433", "shop", "archive", "reviews"))
    assert places(database=connection, type="postgres", table="archive.reviews") == [other]


def test_postgres_where_it_is_looked_for_by_default() -> None:
    assert places(database="dbname=shop", type="postgres", table="x") == [
        ("postgres://localhost:5432", "shop.public.x")
    ]
    assert places(database="", type="postgres", table="x") == [("postgres://localhost:5432", "public.x")]


def test_a_query_reads_its_tables_and_not_those_that_it_makes() -> None:
    query = "with recent as (select * from orders) select * from recent join shop.items using (id)"
    found = places(database="host=h dbname=d", type="postgres", query=query)
    assert found == [("postgres://h:5432", "d.public.orders"), ("postgres://h:5432", "d.shop.items")]
    for query in ("select 1", "select from where ("):
        assert places(database="host=h dbname=d", type="postgres", query=query) == [("postgres://h:5432", "d.public.t")]


def test_files_of_databases() -> None:
    assert places(database="data/shop.duckdb", table="reviews") == [
        ("duckdb:///projects/größe/data/shop.duckdb", "shop.main.reviews")
    ]
    [place] = source_places(
        spec(database="shop.db", query="select * from a"), {"shop.db": "11", "shop.db-wal": "22"}, ROOT
    )
    assert place == Place("sqlite:///projects/größe/shop.db", "shop.main.a", "11")
