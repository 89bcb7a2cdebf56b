"""Exported files: what is in them, that they appear whole, that they are written only when they would differ."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from teachkit.exports.files import write_csv, write_jsonl, write_parquet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox import Sandbox


def declare(project: Sandbox, kind: str, more: str = "") -> Path:
    path = f"output/all.{kind}"
    project.write(
        {
            "exports/train.yml": (
                f"exports:\n  - {{name: train, label_set: ref('moods'), format: {kind}, path: {path}{more}}}\n"
            )
        }
    )
    return project.root / path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_every_label_leaves_in_the_order_of_the_key(kind: str, built: Sandbox) -> None:
    path = declare(built, kind)
    built("build")
    found, rows = read(path), built.rows("moods")
    assert [row["id"] for row in found] == sorted(row["id"] for row in rows)
    assert [*found[0]] == [*rows[0]]
    assert {row["id"]: row["label"] for row in found} == {row["id"]: row["label"] for row in rows}
    posterior = found[0]["posterior"]
    assert (json.loads(posterior) if kind == "csv" else posterior) == {"good": 0.0, "bad": 1.0}


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_columns_and_condition_reach_into_the_dataset(kind: str, built: Sandbox) -> None:
    path = declare(
        built, kind, ", columns: [text, label, stars, id], where: \"split = 'test' and label = 'good' and stars > 3\""
    )
    built("build")
    found = read(path)
    assert [*found[0]] == ["text", "label", "stars", "id"]
    assert 0 < len(found) < 8
    assert {row["label"] for row in found} == {"good"}
    assert {int(row["stars"]) for row in found} <= {4, 5}


def test_an_export_is_written_when_it_would_differ_and_not_else(built: Sandbox) -> None:
    path = built.root / "output/train.csv"
    built("build")
    written = path.stat().st_mtime_ns
    assert built.build()["export.train"] == "reused"
    assert path.stat().st_mtime_ns == written
    path.write_text("by hand")
    assert built.build()["export.train"] == "built"
    assert path.read_text().startswith("id,text,label")
    path.unlink()
    assert built.build()["export.train"] == "built"
    assert built.build("--full-refresh")["export.train"] == "built"


def test_a_column_that_is_not_exported_does_not_matter(built: Sandbox) -> None:
    labels, digest = built.labels("moods"), built.published()["label_set.moods"]
    built.replace("labeling_functions/mood/words.yml", "[love, great, excellent]", "[love, great, lamp]")
    fresh = built.fresh_nodes()
    assert built.published()["label_set.moods"] != digest
    assert ("export.train" in fresh) is (built.labels("moods") != labels)


def test_the_old_file_stays_until_the_new_one_is_whole(built: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    path = built.root / "output/train.csv"
    before = path.read_bytes()
    built.replace("exports/train.yml", "[id, text, label]", "[id, label]")

    def torn(table: pa.Table, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("teachkit.exports.files.write_csv", torn)
    found = built("build", code=1)
    assert "No space left on device" in found.all
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["train.csv"]
    monkeypatch.undo()
    built("build")
    assert path.read_bytes() != before


def test_a_folder_in_the_way_is_named(built: Sandbox) -> None:
    path = declare(built, "csv")
    path.mkdir(parents=True)
    found = built("build", code=1)
    assert "output/all.csv" in found.all
    assert "[store-unwritable]" in found.all


def test_without_a_format_the_ending_of_the_path_says_it(built: Sandbox) -> None:
    names = {"a.csv": "csv", "b.jsonl": "jsonl", "c.parquet": "parquet", "d.data": "parquet"}
    entries = "".join(f"  - {{name: {n[0]}, label_set: ref('moods'), path: output/{n}}}\n" for n in names)
    built.write({"exports/train.yml": "exports:\n" + entries})
    built("build")
    output = built.root / "output"
    assert len(read(output / "a.csv")) == len(read(output / "b.jsonl")) == len(built.rows("moods"))
    assert pq.read_table(output / "c.parquet") == pq.read_table(output / "d.data")


def test_formulas_are_escaped_and_all_else_is_as_it_was(tmp_path: Path) -> None:
    texts = ["=1+1", "+1 2", "-x", "@x", "\tx", "\rx", "plain", "a=1", "", "'quoted", 'say "hi"', "a,b", "a\nb", "ü 🎉"]
    path = tmp_path / "x.csv"
    write_csv(pa.table({"=id": texts, "n": [-1.5] * len(texts), "list": [["=1"]] * len(texts)}), path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["'=id", "n", "list"]
    assert [row[0] for row in rows[1:]] == [f"'{t}" if t[:1] in "=+-@\t\r" and t else t for t in texts]
    assert {row[1] for row in rows[1:]} == {"-1.5"}
    assert {row[2] for row in rows[1:]} == {'["=1"]'}
    assert path.read_bytes().endswith(b"\r\n")


def test_a_label_that_is_a_number_is_no_formula(tmp_path: Path) -> None:
    texts = ["-1", "0", "+1", "-0.5"]
    write_csv(pa.table({"label": [*texts, "-1+2", "+1|x"]}), tmp_path / "x.csv")
    assert [row["label"] for row in read(tmp_path / "x.csv")] == [*texts, "'-1+2", "'+1|x"]


def test_what_is_missing_or_no_number(tmp_path: Path) -> None:
    table = pa.table(
        {
            "a": pa.array([None, "x"]),
            "f": pa.array([float("nan"), float("inf")]),
            "b": pa.array([True, None]),
            "nested": pa.array([{"x": float("nan")}, None]),
        }
    )
    write_jsonl(table, tmp_path / "x.jsonl")
    assert read(tmp_path / "x.jsonl") == [
        {"a": None, "f": None, "b": True, "nested": {"x": None}},
        {"a": "x", "f": None, "b": None, "nested": None},
    ]
    write_csv(table, tmp_path / "x.csv")
    assert read(tmp_path / "x.csv") == [
        {"a": "", "f": "nan", "b": "true", "nested": '{"x": null}'},
        {"a": "x", "f": "inf", "b": "", "nested": ""},
    ]
    write_parquet(table, tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").schema == table.schema


def test_times_and_decimals_in_jsonl(tmp_path: Path) -> None:
    from datetime import UTC, date, datetime
    from decimal import Decimal

    table = pa.table(
        {
            "at": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)],
            "day": [date(2026, 1, 2)],
            "d": [Decimal("1.50")],
            "raw": [b"\x00\xff"],
        }
    )
    write_jsonl(table, tmp_path / "x.jsonl")
    assert read(tmp_path / "x.jsonl") == [
        {"at": "2026-01-02T03:04:05+00:00", "day": "2026-01-02", "d": "1.50", "raw": "00ff"}
    ]
    write_csv(table, tmp_path / "x.csv")
    assert read(tmp_path / "x.csv")[0]["at"] == "2026-01-02 03:04:05+00:00"
    assert read(tmp_path / "x.csv")[0]["raw"] == "00ff"


def test_whole_numbers_of_128_bits_are_numbers(built: Sandbox) -> None:
    """DuckDB's type of sums, and of JSON's numbers where some are negative."""
    built.replace("transforms/reviews.sql", "split\n", "split, -stars::hugeint as wide, [stars::hugeint] as many\n")
    path = declare(built, "jsonl", ", columns: [id, stars, wide, many]")
    built("build")
    assert [(r["wide"], r["many"]) for r in read(path)] == [(-r["stars"], [r["stars"]]) for r in read(path)]
    shown = built("show", "reviews", "--limit", "1", "--format", "json").json["rows"][0]
    assert shown["wide"] == -shown["stars"]


def test_a_type_that_a_format_cannot_hold_is_named(built: Sandbox) -> None:
    built.replace("transforms/reviews.sql", "split\n", "split, interval 1 day as span\n")
    for kind, code in (("csv", 0), ("jsonl", 0), ("parquet", 1)):
        declare(built, kind, ", columns: [id, span]")
        found = built("build", code=code)
    assert "parquet cannot hold this" in found.all
    assert "interval" in found.all


def test_a_table_without_rows(tmp_path: Path) -> None:
    table = pa.table({"id": pa.array([], pa.string()), "label": pa.array([], pa.string())})
    for write, name, size in (
        (write_csv, "x.csv", 10),
        (write_jsonl, "x.jsonl", 0),
        (write_parquet, "x.parquet", None),
    ):
        write(table, tmp_path / name)
        assert size is None or (tmp_path / name).stat().st_size == size
        assert read(tmp_path / name) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", columns: [txt]", "Did you mean 'text'?"),
        (", where: txt is null", "Did you mean 'text'?"),
        (", where: 'select 1'", "expression"),
        (", colums: [id]", "Did you mean 'columns'?"),
    ],
)
def test_mistakes_are_found_before_anything_runs(more: str, said: str, built: Sandbox) -> None:
    declare(built, "csv", more)
    found = built("parse", code=2)
    assert said in found.err
    assert "exports/train.yml:2:" in found.err


@pytest.mark.parametrize(
    "path", ["teachkit.yml", "data/reviews.csv", "teachkit.lock", ".teachkit/format", "./tests/../tasks/mood.yml"]
)
def test_an_export_overwrites_nothing_that_it_did_not_make(path: str, built: Sandbox) -> None:
    built.write(
        {"exports/train.yml": f"exports:\n  - {{name: train, label_set: ref('moods'), format: csv, path: {path}}}\n"}
    )
    before = (built.root / path).read_bytes()
    found = built("build", code=1)
    assert (built.root / path).read_bytes() == before
    assert "exports/train.yml:2:" in found.all
    assert f"path: '{path}'" in found.all


def test_two_exports_of_one_path_are_refused(built: Sandbox) -> None:
    one = "{{name: {}, label_set: ref('moods'), format: csv, path: output/x.csv}}"
    built.write({"exports/train.yml": f"exports:\n  - {one.format('a')}\n  - {one.format('b')}\n"})
    assert "export 'a' writes 'output/x.csv' too" in built("build", code=2).err
    assert not (built.root / "output/x.csv").exists()
