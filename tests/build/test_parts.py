"""A dataset in several parts: the unit of work is a part, and nothing that is read back shows the seams."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox import REVIEWS, Sandbox, reviews_csv

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 2500
LFS = ("praise", "blame", "stars", "refund", "short_praise")


def assert_close(one: Any, other: Any) -> None:
    """Equal, but for the last bits of fractions: rows that are summed in another order."""
    assert type(one) is type(other)
    match one:
        case float():
            assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
        case dict():
            assert one.keys() == other.keys()
            for key in one:
                assert_close(one[key], other[key])
        case list():
            assert len(one) == len(other)
            for a, b in zip(one, other, strict=True):
                assert_close(a, b)
        case _:
            assert one == other


def table(project: Sandbox) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in project.rows("moods")}


def objects(project: Sandbox, node: str) -> list[str]:
    return list(project.json_file(".teachkit/refs/dev.json")["nodes"][node]["objects"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The project with many rows in one part."""
    project = Sandbox(tmp_path_factory.mktemp("parts") / "whole", {**REVIEWS, "data/reviews.csv": reviews_csv(ROWS)})
    project.replace("label_models/mood.yml", "type: majority", "type: dawid_skene")
    project.write(
        {
            "labeling_functions/mood/copied.sql": (
                "select id, 'good' as label from (select id, count(*) over (partition by text, stars, "
                "split) as n from {{ ref('reviews') }}) where n < 50"
            )
        }
    )
    project("build")
    return project


@pytest.fixture(scope="module")
def split(whole: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The same in four parts."""
    project = whole.copy(tmp_path_factory.mktemp("parts") / "split")
    project.replace("teachkit.yml", "name: reviews", "name: reviews\npart_rows: 1000")
    project("build")
    return project


@pytest.fixture
def parts(split: Sandbox, tmp_path: Path) -> Sandbox:
    return split.copy(tmp_path / "parts")


def test_parts_give_the_same_labels(whole: Sandbox, split: Sandbox) -> None:
    assert len(objects(whole, "lf.mood.stars")) == 1
    for node in ("transform.reviews", "lf.mood.stars", "lf.mood.copied", "lf.mood.short_praise", "label_set.moods"):
        assert len(objects(split, node)) == 4, node
    assert_close(table(split), table(whole))
    assert len(table(split)) == ROWS
    for column in ("rows", "labeled", "good", "bad", "accuracy", "macro_f1", "n"):
        assert lock_lines(split, column) == lock_lines(whole, column) != []


def lock_lines(project: Sandbox, key: str) -> list[str]:
    return [line for line in project.read("teachkit.lock").splitlines() if line.strip().startswith(f"{key}: ")]


def test_parts_read_back_as_one(whole: Sandbox, split: Sandbox) -> None:
    for node in ("praise", "copied", "ann", "transform.reviews"):
        by_key = [sorted(json.dumps(row, sort_keys=True) for row in p.rows(node)) for p in (whole, split)]
        assert by_key[0] == by_key[1], node
    analyses = [p("analyze", "mood", "--format", "json").json for p in (whole, split)]
    assert_close(analyses[0], analyses[1])
    votes = [
        p("sql", "select * from votes.mood order by id", "--limit", "-1", "--format", "json").json
        for p in (whole, split)
    ]
    assert votes[0] == votes[1]
    assert len(votes[0]["rows"]) == ROWS
    exported = [p.read("output/train.csv") for p in (whole, split)]
    assert exported[0] == exported[1]
    assert len(list(csv.reader(exported[0].splitlines()))) > 1000


@pytest.mark.parametrize("item", ["r001", "r002", "r777", f"r{ROWS}"])
def test_lineage_finds_an_item_in_its_part(item: str, whole: Sandbox, split: Sandbox) -> None:
    found = [p("lineage", "moods", item, "--format", "json").json for p in (whole, split)]
    for one in found:
        one["run"] = one["label_model"] = None
    assert_close(found[0], found[1])
    assert found[0]["item"] == item
    assert found[0]["sources"][0]["record"] == int(item[1:])


def test_a_changed_row_runs_its_part_alone(parts: Sandbox) -> None:
    before = {lf: objects(parts, f"lf.mood.{lf}") for lf in LFS}
    transform = objects(parts, "transform.reviews")
    parts.replace("data/reviews.csv", 'r777,"', 'r777,"love ')
    assert parts.build()["lf.mood.praise"] == "built"
    assert sum(a != b for a, b in zip(transform, objects(parts, "transform.reviews"), strict=True)) == 4  # stored anew
    for lf in LFS:
        moved = [a != b for a, b in zip(before[lf], objects(parts, f"lf.mood.{lf}"), strict=True)]
        assert sum(moved) == (0 if lf == "stars" else 1), lf


def test_a_new_row_goes_to_its_part(parts: Sandbox) -> None:
    before = objects(parts, "lf.mood.stars")
    parts.write({"data/reviews.csv": parts.read("data/reviews.csv") + "x1,love,5,,train\n"})
    parts("build")
    assert sum(a != b for a, b in zip(before, objects(parts, "lf.mood.stars"), strict=True)) == 1
    assert table(parts)["x1"]["label"] == "good"


def test_threads_do_not_move_a_label_of_any_part(parts: Sandbox) -> None:
    before = parts.published()
    for threads in ("1", "4"):
        parts("build", "--full-refresh", "--threads", threads)
        assert parts.published() == before


def test_people_and_dropped_items_over_parts(parts: Sandbox) -> None:
    lines = [json.dumps({"item": f"r{i:03d}", "label": "bad" if i % 2 else "good"}) for i in range(100, 200)]
    parts.write(
        {
            "annotations/mood/bob.jsonl": "\n".join(lines) + "\n",
            "annotations/mood/_meta.yml": "files:\n  bob.jsonl: {role: curator}\n",
        }
    )
    parts.replace(
        "label_models/mood.yml",
        "type: dawid_skene",
        "type: dawid_skene\n    unlabeled: drop\n    voters: [refund, short_praise]",
    )
    parts("build", "--exclude", "type:test")
    labels = table(parts)
    assert {i: labels[i]["label"] for i in ("r100", "r101", "r199")} == {"r100": "good", "r101": "bad", "r199": "bad"}
    assert {row["decided_by"] for row in labels.values()} >= {"curator", "model"}
    assert len(labels) < ROWS
    assert len(parts.rows("bob")) == 100
    assert parts("analyze", "mood", "--format", "json").json["items"] == ROWS


def test_a_key_in_two_rows_is_found_over_parts(parts: Sandbox) -> None:
    parts.write({"data/reviews.csv": parts.read("data/reviews.csv") + 'r777,"x",5,,train\n'})
    before = parts.state()
    found = parts("build", code=1)
    assert "'r777'" in found.all
    assert parts.state() == before
