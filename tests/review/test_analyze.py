"""The analysis of voters, against figures counted by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from teachkit import Project
from teachkit.errors import BadOption, NotBuilt, UnknownNode
from teachkit.votes.intervals import wilson
from tests.review.test_try import LABELS, ROWS, unicode_project
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "teachkit.yml": "name: zoo\n",
    "animals.csv": "id,text,kind,split\n"
    "a,furry cat,cat,tune\nb,furry dog,dog,tune\nc,a cat,cat,test\nd,silence,cat,tune\ne,dog cat,,train\n",
    "sources/zoo.yml": "sources:\n  - {name: zoo, tables: [{name: animals, path: animals.csv, key: id}]}\n",
    "transforms/animals.sql": "select * from {{ source('zoo', 'animals') }}\n",
    "tasks/kind.yml": "tasks:\n  - {name: kind, kind: choice, labels: [cat, dog], dataset: ref('animals'), key: id, "
    "gold: {column: kind}, splits: {column: split}}\n",
    "labeling_functions/kind/words.yml": "labeling_functions:\n"
    "  - {name: meow, label: cat, any_of: [cat]}\n"
    "  - {name: woof, label: dog, any_of: [dog]}\n"
    "  - {name: fur, label: cat, any_of: [furry]}\n",
    "annotations/kind/kim.csv": "item,label\ne,dog\n",
    "label_models/kind.yml": "label_models:\n"
    "  - {name: kinds, task: kind, type: dawid_skene}\n"
    "  - {name: few, task: kind, type: majority, voters: [meow, woof]}\n",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("zoo"), FILES)
    sandbox("build")
    return sandbox


def analyze(zoo: Sandbox, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found = json.loads(zoo("analyze", "kind", "--format", "json", *options).out)
    return found, {row["voter"]: row for row in found["voters"]}


def test_counts_are_shares_of_all_items(zoo: Sandbox) -> None:
    found, voters = analyze(zoo)
    assert (found["items"], found["covered"], found["conflicts"]) == (5, 4, 2 / 5)
    fur = voters["fur"]
    assert (fur["votes"], fur["coverage"], fur["overlaps"], fur["conflicts"]) == (2, 2 / 5, 2 / 5, 1 / 5)
    assert fur["polarity"] == ["cat"]
    assert voters["kim"]["kind"] == "annotations"


def test_gold_of_the_test_split_is_left_alone_unless_asked_for(zoo: Sandbox) -> None:
    found, voters = analyze(zoo)
    assert (found["gold_splits"], found["gold_items"]) == ("train, tune", 3)
    assert (voters["meow"]["correct"], voters["meow"]["incorrect"]) == (1, 0)
    found, voters = analyze(zoo, "--gold", "test")
    assert found["gold_items"] == 1
    assert (voters["meow"]["correct"], voters["meow"]["incorrect"]) == (1, 0)
    found, voters = analyze(zoo, "--gold", "all")
    assert found["gold_items"] == 4
    assert (voters["fur"]["correct"], voters["fur"]["incorrect"]) == (1, 1)
    assert voters["fur"]["accuracy"] == 0.5
    assert (voters["fur"]["low"], voters["fur"]["high"]) == wilson(1, 2)
    assert voters["kim"]["accuracy"] is None


def test_a_label_set_chooses_its_voters(zoo: Sandbox) -> None:
    _, voters = analyze(zoo, "--label-set", "few")
    assert set(voters) == {"meow", "woof"}


def test_learned_accuracies_are_the_label_models(zoo: Sandbox) -> None:
    _, voters = analyze(zoo)
    for row in voters.values():
        assert row["learned_low"] <= row["learned"] <= row["learned_high"]


def test_without_a_task_all_are_analyzed(zoo: Sandbox) -> None:
    found = json.loads(zoo("analyze", "--format", "json").out)
    assert [one["task"] for one in found["tasks"]] == ["kind"]
    assert "task kind, as in kinds: 5 items, 80.0% with a vote" in zoo("analyze").out


def test_a_voter_that_was_never_built_is_named(zoo: Sandbox) -> None:
    with zoo.changed({"labeling_functions/kind/late.sql": "{{ config(label='dog') }}\ntext = 'late'\n"}):
        found, voters = analyze(zoo)
    assert found["missing"] == ["lf.kind.late"]
    assert "late" not in voters


def test_what_cannot_be_analyzed_is_said(zoo: Sandbox, tmp_path: Path) -> None:
    project = Project.load(zoo.root)
    with pytest.raises(UnknownNode, match="Did you mean 'kind'"):
        project.analyze("kinds")
    with pytest.raises(UnknownNode, match="no label model of task 'kind' 'fewer'"):
        project.analyze("kind", label_set="fewer")
    with pytest.raises(BadOption, match="'dev' is no split"):
        project.analyze("kind", gold="dev")
    fresh = Sandbox(tmp_path / "fresh", FILES)
    with pytest.raises(NotBuilt):
        Project.load(fresh.root).analyze("kind")
    assert not (fresh.root / ".teachkit/objects").exists()


def test_votes_on_rows_that_are_no_more_are_left_out(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "zoo", FILES)
    sandbox("build", "-q")
    sandbox.replace("animals.csv", "d,silence,cat,tune\n", "")
    sandbox("build", "-q", "--select", "+transform.animals")
    found = sandbox("analyze", "kind").out
    assert "not built, so left out: lf.kind.meow, lf.kind.woof, lf.kind.fur, annotations.kind.kim" in found
    assert "posteriors on" not in found


def test_a_label_set_that_is_not_up_to_date_is_no_witness_against_its_voters(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "zoo", FILES)
    sandbox("build", "-q")
    old = "kinds is as it was last built, and not up to date: what it believes is of earlier votes."
    assert old not in sandbox("analyze", "kind", "--format", "json").json["doubts"]
    sandbox.replace("labeling_functions/kind/words.yml", "any_of: [dog]", "any_of: [cat]")
    sandbox("build", "-q", "--select", "woof")
    found = sandbox("analyze", "kind", "--format", "json").json
    assert old in found["doubts"]
    assert found["gaps"] == []
    assert f"doubt: {old}" in sandbox("analyze", "kind").out


def test_a_voter_of_one_label_is_no_doubt_about_the_others(tmp_path: Path) -> None:
    files = unicode_project(ROWS, "multichoice")
    files["labeling_functions/sort/never.sql"] = "{{ config(label='ok') }}\nkörper = 'never'\n"
    sandbox = Sandbox(tmp_path, files | {"label_models/m.yml": "label_models:\n  - {name: sorted, task: sort}\n"})
    sandbox("build")
    doubts = sandbox("analyze", "sort", "--format", "json").json["doubts"]
    silent = [doubt.partition(": ")[2] for doubt in doubts if doubt.endswith("no votes.")]
    assert silent == ["Votes cannot judge 'never': no votes."] * len(LABELS)
