"""Label sets whose posteriors are calibrated, and whose learned accuracies have intervals by drawing items again."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LABELS = ("größe", "preis", "ton")


def items(n: int = 400, seed: int = 1) -> str:
    """Texts in which three words are about as often right as wrong, each written twice: voters that copy each other."""
    chance = random.Random(seed)
    lines = ["schlüssel,text,wahr,teil"]
    for i in range(n):
        truth = chance.choice(LABELS)
        said = [truth if chance.random() < 0.6 else chance.choice(LABELS) for _ in range(3)]
        words = " ".join(f"{'abc'[k]}_{word}" for k, word in enumerate(said) if chance.random() < 0.8)
        part = ("tune", "test", "train")[i % 3]
        lines.append(f"ü{i:03d},{words},{'' if part == 'train' else truth},{part}")
    return "\n".join(lines) + "\n"


def function(name: str, letter: str) -> str:
    cases = " ".join(f"when text like '%{letter}\\_{label}%' escape '\\' then '{label}'" for label in LABELS)
    return f"case {cases} end\n"


FILES: Mapping[str, str] = {
    "teachkit.yml": "name: klagen\n",
    "data/items.csv": items(),
    "sources/raw.yml": "sources:\n  - {name: raw, tables: [{name: items, path: data/items.csv, key: schlüssel}]}\n",
    "tasks/thema.yml": "tasks:\n  - {name: thema, labels: [größe, preis, ton], dataset: \"source('raw', 'items')\", "
    "key: schlüssel, gold: {column: wahr}, splits: {column: teil}}\n",
    **{f"labeling_functions/thema/{x}{twin}.sql": function(x, x) for x in "abc" for twin in ("", "_again")},
    "label_models/thema.yml": "label_models:\n  - {name: themen, task: thema, type: dawid_skene}\n",
}


def model(**more: Any) -> dict[str, str]:
    said = ", ".join(f"{key}: {value}" for key, value in more.items())
    return {"label_models/thema.yml": f"label_models:\n  - {{name: themen, task: thema, type: dawid_skene, {said}}}\n"}


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "klagen", FILES)


def explained(project: Sandbox, item: str, node: str = "themen") -> dict[str, Any]:
    return dict(project("lineage", node, item, "--format", "json").json)


def assert_adds_up(why: Mapping[str, Any]) -> None:
    odds = math.log(why["posterior"][why["toward"]] / why["posterior"][why["against"]])
    parts = [why["prior"], *(v["contribution"] for v in why["votes"]), *why["silence"].values()]
    assert math.fsum([*parts, why["calibration"] or 0.0]) == pytest.approx(odds, abs=1e-12)


@pytest.mark.parametrize("method", ["isotonic", "temperature"])
@pytest.mark.parametrize("gold", ["ignore", "tune"])
def test_calibration_moves_posteriors_and_no_label(project: Sandbox, method: str, gold: str) -> None:
    project.write(model(gold=gold))
    project("build")
    before = {row["schlüssel"]: row for row in project.rows("themen")}
    project.write(model(gold=gold, calibrate=method))
    assert project.fresh_nodes() == {"label_set.themen"}
    after = {row["schlüssel"]: row for row in project.rows("themen")}
    assert {k: r["label"] for k, r in after.items()} == {k: r["label"] for k, r in before.items()}
    sure = [k for k, r in before.items() if r["confidence"] and r["confidence"] > 0.95]
    assert len(sure) > 100
    assert all(after[k]["confidence"] < before[k]["confidence"] for k in sure)
    for item in [*sure[:3], *[k for k, r in before.items() if not r["votes"]][:1], "ü000", "ü399"]:
        assert_adds_up(explained(project, item))
    assert project("audit", "verify").code == 0
    assert project.fresh_nodes() == set()


def test_the_explanation_shows_what_calibration_does(project: Sandbox) -> None:
    project.write(model(calibrate="temperature"))
    project("build")
    item = next(row["schlüssel"] for row in project.rows("themen") if row["votes"] == 6)
    why = explained(project, item)
    assert why["calibration"] < 0
    assert why["diagnostics"]["calibration"]["problem"] is None
    said = project("lineage", "themen", item).out
    assert f"  calibration                     {why['calibration']:+.3f}".split() == next(
        line.split() for line in said.splitlines() if "calibration" in line
    )
    total = math.log(why["posterior"][why["toward"]] / why["posterior"][why["against"]])
    assert next(line.split() for line in said.splitlines() if line.startswith("  sum")) == ["sum", f"{total:+.3f}"]
    project.write(FILES)
    project("build")
    assert explained(project, item)["calibration"] is None
    assert "calibration" not in project("lineage", "themen", item).out


def test_with_too_little_gold_posteriors_stay_raw_and_the_build_says_so(project: Sandbox) -> None:
    project.write({"data/items.csv": items(100)})
    project("build")
    before = project.rows("themen")
    project.write(model(calibrate="isotonic"))
    said = project("build").all
    assert said.count("label_set.themen: posteriors are not calibrated: in gold.tune") == 1
    assert "label_set.themen:       label_set.themen" not in said
    assert "items have gold and a vote; calibration takes 50" in said
    assert project.rows("themen") == before


def test_gold_of_the_test_split_is_not_calibrated_on(project: Sandbox) -> None:
    project.write(model(calibrate="isotonic"))
    project("build")
    before = project.rows("themen")
    lines = project.read("data/items.csv").splitlines()
    swapped = [line.replace(",größe,test", ",ton,test") if line.endswith(",größe,test") else line for line in lines]
    assert swapped != lines
    project.write({"data/items.csv": "\n".join(swapped).encode() + b"\n"})
    project("build")
    assert project.rows("themen") == before


def test_each_label_of_a_multichoice_task_is_calibrated_on_its_own(project: Sandbox) -> None:
    text = project.read("tasks/thema.yml")
    project.write({"tasks/thema.yml": text.replace("labels: [", "kind: multichoice, labels: [")})
    project("build")
    before = {row["schlüssel"]: row for row in project.rows("themen")}
    project.write(model(calibrate="isotonic"))
    project("build")
    after = {row["schlüssel"]: row for row in project.rows("themen")}
    assert {k: r["label"] for k, r in after.items()} == {k: r["label"] for k, r in before.items()}
    assert sum(after[k]["posterior"] != before[k]["posterior"] for k in before) > 200
    assert project("audit", "verify").code == 0


def test_where_there_is_no_gold_calibration_is_refused(project: Sandbox) -> None:
    text = project.read("tasks/thema.yml")
    project.write({"tasks/thema.yml": text.replace(" gold: {column: wahr},", ""), **model(calibrate="isotonic")})
    said = project("parse", code=2).err
    assert "calibration is fitted to gold of the tune split, and task 'thema' has no gold" in said
    assert "[bad-value]" in said


@pytest.mark.parametrize(("key", "value"), [("calibrate", "isotonic"), ("intervals", "bootstrap")])
def test_a_class_of_the_project_is_left_to_itself(project: Sandbox, key: str, value: str) -> None:
    project.write(
        {
            "label_models/own.py": "class Own:\n    pass\n",
            "label_models/thema.yml": "label_models:\n"
            f"  - {{name: themen, task: thema, type: 'label_models/own.py:Own', {key}: {value}}}\n",
        }
    )
    said = project("parse", code=2).err
    assert f"{key}: 'label_models/own.py:Own' is a class of the project" in said


@pytest.mark.parametrize(("key", "value"), [("calibrate", "platt"), ("intervals", "jackknife")])
def test_an_unknown_method_is_refused(project: Sandbox, key: str, value: str) -> None:
    project.write(model(**{key: value}))
    assert "[bad-value]" in project("parse", code=2).err


def test_intervals_by_drawing_again_are_shown_and_move_no_label(project: Sandbox) -> None:
    project("build")
    labels = project.rows("themen")
    before = {v["voter"]: v for v in project("analyze", "thema", "--format", "json").json["voters"]}
    project.write(model(intervals="bootstrap"))
    assert project.fresh_nodes() == {"label_set.themen"}
    after = {v["voter"]: v for v in project("analyze", "thema", "--format", "json").json["voters"]}
    assert project.rows("themen") == labels
    for voter, found in after.items():
        assert found["learned"] == before[voter]["learned"]
        assert found["learned_low"] <= found["learned"] <= found["learned_high"]
        assert (found["learned_low"], found["learned_high"]) != (
            before[voter]["learned_low"],
            before[voter]["learned_high"],
        )
    assert project("audit", "verify").code == 0


def test_analyze_says_how_far_posteriors_keep_their_word(project: Sandbox) -> None:
    """Six voters of which three are copies: labels are surer than they are right, until they are calibrated."""
    project("build")
    raw = project("analyze", "thema", "--gold", "test", "--format", "json").json
    assert raw["calibration"]["items"] == 133
    rows = {row["schlüssel"]: row for row in project.rows("themen")}
    gold = {}
    for line in project.read("data/items.csv").splitlines()[1:]:
        key, _, truth, part = line.split(",")
        if part == "test":
            gold[key] = truth
    brier = sum(
        sum((share - (label == truth)) ** 2 for label, share in rows[key]["posterior"].items())
        for key, truth in gold.items()
    )
    assert raw["calibration"]["brier"] == pytest.approx(brier / len(gold))
    losses = [-math.log(rows[key]["posterior"][truth]) for key, truth in gold.items()]
    assert raw["calibration"]["log_loss"] == pytest.approx(math.fsum(losses) / len(gold))
    assert sum(b["count"] for b in raw["calibration"]["bins"]) == raw["calibration"]["labeled"]
    assert raw["doubts"][0] == "The same as 'a' says everywhere: 'a_again'."
    project.write(model(calibrate="isotonic"))
    project("build")
    after = project("analyze", "thema", "--gold", "test", "--format", "json").json
    assert after["calibration"]["expected_error"] < raw["calibration"]["expected_error"] / 2
    assert not any("too good" in doubt for doubt in after["doubts"])
    said = project("analyze", "thema").out
    labeled = project("analyze", "thema", "--format", "json").json["calibration"]["labeled"]
    assert labeled < 134
    assert f"posteriors on 134 items with gold, {labeled} of them labeled: expected calibration error 0." in said
    assert "doubt: Posteriors are calibrated on gold of tune, so they look too good on it: see --gold test." in said


def test_calibration_is_a_test(project: Sandbox) -> None:
    project.write(model(tests="[calibration: {max_ece: 0.1}]"))
    said = project("build", code=1).all
    assert "(at most 0.1 wanted), Brier score 0." in said
    assert "on 133 items of gold.test" in said
    project.write(model(calibrate="isotonic", tests="[calibration: {max_ece: 0.1}]"))
    assert project.build()["test.themen.calibration"] == "passed"


def test_without_a_row_an_item_does_not_count(project: Sandbox) -> None:
    """With ``unlabeled: drop`` items without a vote have no row."""
    project.write(model(unlabeled="drop", tests="[calibration: {max_ece: 0.9}]"))
    project("build")
    whole = project("analyze", "thema", "--gold", "all", "--format", "json").json
    silent = whole["items"] - whole["covered"]
    assert silent > 0
    assert whole["calibration"]["items"] < whole["gold_items"]


def test_of_a_multichoice_task_pairs_of_item_and_label_are_held_against_gold(project: Sandbox) -> None:
    text = project.read("tasks/thema.yml")
    project.write({"tasks/thema.yml": text.replace("labels: [", "kind: multichoice, labels: [")})
    project.write(model(tests="[calibration: {max_ece: 0.9}]"))
    said = project("build").all
    assert "pairs of item and label of gold.test" in said
    found = project("analyze", "thema", "--gold", "test", "--format", "json").json
    assert found["calibration"]["items"] == 3 * 133
    assert all(doubt.partition(":")[0] in LABELS for doubt in found["doubts"])
    shown = project("analyze", "thema", "--gold", "test").out
    assert "posteriors on 399 pairs of item and label with gold: expected calibration error" in shown


@pytest.mark.parametrize(
    ("arguments", "gold", "problem"),
    [
        ("{against: gold.test}", True, "max_ece"),
        ("{max_ece: 2}", True, "[bad-value]"),
        ("{max_ece: 0.1}", False, "task 'thema' has no gold"),
    ],
)
def test_a_calibration_test_that_says_nothing_is_refused(
    project: Sandbox, arguments: str, gold: bool, problem: str
) -> None:
    project.write(model(tests=f"[calibration: {arguments}]"))
    if not gold:
        text = project.read("tasks/thema.yml")
        project.write({"tasks/thema.yml": text.replace(" gold: {column: wahr},", "")})
    assert problem in project("parse", code=2).err


def test_a_project_without_gold_has_no_calibration_to_show(project: Sandbox) -> None:
    text = project.read("tasks/thema.yml")
    project.write({"tasks/thema.yml": text.replace(" gold: {column: wahr},", "")})
    project("build")
    assert project("analyze", "thema", "--format", "json").json["calibration"] is None
    assert "posteriors on" not in project("analyze", "thema").out
