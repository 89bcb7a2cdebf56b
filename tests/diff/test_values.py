"""Two revisions of labels that are values: what changed, by which cause, and whether gold says that it is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.build.test_git import git
from tests.build.values import HOUSES, TOWNS, houses
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

AREA = "labeling_functions/price/area.sql"
RULES = "labeling_functions/price/rules.yml"


def repository(folder: Path, files: Any) -> Sandbox:
    sandbox = Sandbox(folder, {**files, ".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(folder, "init", "-q")
    sandbox.build()
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return sandbox


def label_set(sandbox: Sandbox, name: str) -> Any:
    found = sandbox("diff", "--base", "HEAD", "--format", "json").json
    return next(s for s in found["label_sets"] if s["name"] == name)


def test_nothing_changed(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, HOUSES)
    assert sandbox("diff", "--base", "HEAD", "--format", "json").json["unchanged"] is True


def test_numbers_that_moved_are_counted_explained_and_measured(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, HOUSES)
    before = sandbox.labels("prices", "code")
    sandbox.replace(AREA, "2.1", "2.3")
    found = label_set(sandbox, "prices")
    assert (found["status"], found["compared"], found["matrix"], found["balance"]) == ("changed", 30, {}, {})
    assert found["flips"] > 10
    assert [c["node"] for c in found["causes"]] == ["lf.price.area"]
    assert found["causes"][0]["flips"] == found["flips"]
    (note,) = found["notes"]
    assert note.startswith("labels count as changed where they moved by more than ")
    first = found["examples"][0]
    sandbox.build()
    after = sandbox.labels("prices", "code")
    assert (first["before"], first["after"]) == (before[first["item"]], after[first["item"]])
    assert first["shift"] == pytest.approx(max(abs(after[k] - before[k]) for k in before))
    assert found["summary"]["mean"]["after"] == pytest.approx(sum(after.values()) / 30)
    gold = {code: 100 + int(code[1:]) * 6.5 for code in before if int(code[1:]) % 5 and int(code[1:]) % 3 == 2}
    test = next(q for q in found["quality"] if q["split"] == "test")
    assert (test["metric"], test["n"]) == ("mae", len(gold))
    assert test["before"] == pytest.approx(sum(abs(before[c] - g) for c, g in gold.items()) / len(gold))
    assert test["after"] == pytest.approx(sum(abs(after[c] - g) for c, g in gold.items()) / len(gold))
    assert test["better"] == sum(abs(after[c] - g) < abs(before[c] - g) for c, g in gold.items())


def test_the_comment_says_nearer_and_farther(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, HOUSES)
    sandbox.replace(AREA, "2.1", "9")
    text = sandbox("diff", "--base", "HEAD").out
    assert "nearer, of 8" in text
    assert "mean error on test" in text
    assert "mean of the labels" in text
    assert "accuracy" not in text
    for form in ("markdown", "html"):
        assert "mean error" in sandbox("diff", "--base", "HEAD", "--format", form).out


def test_of_two_changes_each_has_its_items(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, HOUSES)
    sandbox.replace(AREA, "2.1 + 20", "2.1 + 20.05")
    sandbox.replace(RULES, "value: 120.5", "value: 160")
    sandbox.replace("annotations/price/people.csv", "h2,99.5", "h2,101")
    found = label_set(sandbox, "prices")
    causes = {c["node"]: c["flips"] for c in found["causes"]}
    assert sum(causes.values()) == found["flips"] > 0
    assert causes["lf.price.small"] == max(causes.values())
    assert {"lf.price.area", "annotations.price.people"} < set(causes)
    voters = {v["node"]: v for v in sandbox("diff", "--base", "HEAD", "--format", "json").json["voters"]}
    assert (voters["lf.price.small"]["changed"], voters["lf.price.small"]["votes_after"]) == (7, 7)
    assert voters["lf.price.area"]["precision_after"] is None
    assert voters["annotations.price.people"]["changed"] == 1


def test_a_change_that_moves_labels_a_little_flips_none(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, HOUSES)
    sandbox.replace(AREA, "2.1 + 20", "2.1 + 20.001")
    found = label_set(sandbox, "prices")
    assert (found["status"], found["flips"]) == ("moved", 0)
    assert found["moved"] > 20
    assert "no label flips; posteriors of " in sandbox("diff", "--base", "HEAD").out


def test_rows_that_come_and_go(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, HOUSES)
    sandbox.write({"data/houses.csv": houses(32).replace("h7,", "h77,").encode()})
    found = label_set(sandbox, "prices")
    assert (found["added"], found["removed"], found["compared"]) == (3, 1, 29)
    assert {c["node"] for c in found["causes"]} <= {"source.s.houses", "interaction"}


def test_labels_gained_and_lost(tmp_path: Path) -> None:
    files = {
        **HOUSES,
        "label_models/prices.yml": "label_models: [{name: prices, task: price, voters: [total, small]}]\n",
    }
    sandbox = repository(tmp_path, {**files, "exports/all.yml": "exports: []\n"})
    sandbox.replace(RULES, "'total: (\\d+)'", "'total: (1\\d+)'")
    sandbox.replace(RULES, "area < 60", "area < 70")
    found = label_set(sandbox, "prices")
    assert (found["gained"], found["lost"] > 0) == (1, True)
    assert sum(c["gained"] for c in found["causes"]) == 1


def test_texts_flip_where_their_normalised_form_does(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, TOWNS)
    rules = "labeling_functions/ort/rules.yml"
    sandbox.replace("labeling_functions/ort/style.py", '.strip(" .")', '.strip(" .").upper()')
    found = label_set(sandbox, "orte")
    assert (found["flips"], found["gained"], found["lost"]) == (0, 0, 0)
    sandbox.replace(rules, "'Ort: ([^.]+)'", "'Bild (\\d)'")
    sandbox.replace(
        "labeling_functions/ort/style.py", "return satz.split", "return 'Bonn' if 'ü' in satz else satz.split"
    )
    found = label_set(sandbox, "orte")
    assert found["flips"] > 0
    assert sum(c["flips"] for c in found["causes"]) == found["flips"]
    names = {q["metric"] for q in found["quality"]}
    assert names == {"exact_match", "closeness"}
    assert "became wrong" in sandbox("diff", "--base", "HEAD").out


def test_another_kind_of_task_is_not_compared(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, HOUSES)
    sandbox.replace("tasks/price.yml", "kind: number", "kind: text")
    sandbox.write({"label_models/prices.yml": "label_models: [{name: prices, task: price}]\n", "exports/all.yml": None})
    sandbox.write({"tests/rules.yml": None})
    found = label_set(sandbox, "prices")
    assert found["status"] == "unknown"
    assert "the task is of another kind: before a label is a number, after a text" in found["notes"]


def test_gold_that_changed_is_said(tmp_path: Path) -> None:
    sandbox = repository(tmp_path, HOUSES)
    sandbox.replace("data/houses.csv", "43,2,106.5", "43,2,900")
    found = sandbox("diff", "--base", "HEAD").out
    assert "gold changed: mean error on test 10" in found or "mean error on tune" in found
