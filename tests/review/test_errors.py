"""``teachkit errors``: cells, faults and voters against figures counted by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from teachkit import Project
from teachkit.errors import BadOption
from teachkit.review.tried import check_kind
from tests.cli.test_commands import ERRORS
from tests.review.test_try import LABELS, unicode_project
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

ROWS = {
    "a": ("cat", "cat", "tune"),
    "b": ("silence", "cat", "tune"),  # nobody votes
    "c": ("dog", "cat", "tune"),  # woof alone: wrong
    "d": ("dog dog2 cat", "cat", "tune"),  # woof and woof2 outvote meow
    "e": ("dog cat", "dog", "tune"),  # a tie
    "f": ("dog", "dog", "train"),
    "g": ("cat dog", "cat", "test"),
    "h": ("dog dog2", "", "train"),
    "i": ("dog", "cat", "test"),
}
ZOO = {
    "teachkit.yml": "name: zoo\n",
    "profiles.yml": "default: dev\ntargets: {dev: {memory: 500MB, threads: 1}}\n",
    "animals.csv": "id,text,kind,split\n" + "".join(f"{k},{','.join(v)}\n" for k, v in ROWS.items()),
    "sources/zoo.yml": "sources:\n  - {name: zoo, tables: [{name: animals, path: animals.csv, key: id}]}\n",
    "transforms/animals.sql": "select * from {{ source('zoo', 'animals') }}\n",
    "tasks/kind.yml": "tasks:\n  - {name: kind, kind: choice, labels: [cat, dog], dataset: ref('animals'), key: id, "
    "gold: {column: kind}, splits: {column: split}}\n",
    "labeling_functions/kind/words.yml": "labeling_functions:\n"
    "  - {name: meow, label: cat, any_of: [cat]}\n"
    "  - {name: woof, label: dog, any_of: [dog]}\n"
    "  - {name: woof2, label: dog, any_of: [dog2]}\n",
    "label_models/kind.yml": "label_models:\n"
    "  - {name: kinds, task: kind, type: majority}\n"
    "  - {name: learned, task: kind, type: dawid_skene}\n"
    "  - {name: learned_prior, task: kind, type: dawid_skene, class_prior: {cat: 0.001, dog: 0.999}}\n",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("zoo"), ZOO)
    sandbox("build")
    return sandbox


def report(sandbox: Sandbox, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = sandbox("errors", "--format", "json", *options).json
    return found


def faults(found: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {c["cell"]: {f["fault"]: f["items"] for f in c["faults"]} for c in found["cells"]}


# ---------------------------------------------------------------------------- cells and faults


def test_each_error_is_in_one_cell_and_has_one_fault(zoo: Sandbox) -> None:
    found = report(zoo, "kind")
    assert (found["task"], found["label_set"], found["gold_splits"]) == ("kind", "kinds", "train, tune")
    assert (found["gold_items"], found["right"], found["wrong"], found["unlabeled"]) == (6, 2, 4, 2)
    assert faults(found) == {
        "cat:dog": {"wrong": 1, "outvoted": 1},
        "cat:none": {"uncovered": 1},
        "dog:none": {"outvoted": 1},
    }
    assert found["faults"] == {"uncovered": 1, "wrong": 1, "outvoted": 2, "gold": 0}
    assert [c["items"] for c in found["cells"]] == [2, 1, 1]


def test_who_is_to_blame_is_named(zoo: Sandbox) -> None:
    cells = {c["cell"]: {f["fault"]: f for f in c["faults"]} for c in report(zoo, "kind")["cells"]}
    wrong = cells["cat:dog"]["wrong"]
    assert wrong["voters"] == [{"voter": "woof", "kind": "lf", "items": 1, "votes": 4, "wrong": 2}]
    assert "mend woof (wrong here on 1; of its 4 votes on gold 2 are wrong)" in wrong["advice"]
    outvoted = cells["cat:dog"]["outvoted"]
    assert [(s["voter"], s["items"]) for s in outvoted["outvoted"]] == [("meow", 1)]
    assert outvoted["voters"][0]["voter"] == "woof"
    assert outvoted["advice"].startswith("meow said 'cat', outvoted by woof (1; wrong in 2 of 4 votes on gold)")
    assert "--label cat" in cells["cat:none"]["uncovered"]["advice"]


def test_voters_are_ranked_by_their_wrong_votes_in_errors(zoo: Sandbox) -> None:
    found = report(zoo, "kind")
    ranking = [(v["voter"], v["kind"], v["errors"], v["wrong"], v["votes"]) for v in found["voters"]]
    assert ranking == [("woof", "lf", 2, 2, 4), ("meow", "lf", 1, 1, 3), ("woof2", "lf", 1, 1, 1)]
    assert found["measure"] == "share"
    assert report(zoo, "learned")["measure"] == "log_odds"


@pytest.mark.parametrize("name", ["learned", "learned_prior"])
def test_contributions_are_those_of_lineage(name: str, zoo: Sandbox) -> None:
    """The sum of what votes and silences moved an item from gold is the log-odds of its posterior."""
    import math

    found = report(zoo, name, "--cell", report(zoo, name)["cells"][0]["cell"])
    items = [i for i in found["items"] if i["wrong"] and not i["right"]]
    assert items
    assert name != "learned_prior" or "the class prior" in {item["strongest"] for item in items}
    for item in items:
        explained = zoo("lineage", name, item["item"], "--format", "json").json
        toward = {v["voter"]: v["contribution"] for v in explained["votes"]}
        silence = {f"the silence of {v}": c for v, c in explained["silence"].items()}
        weights = {**toward, **silence, "the class prior": explained["prior"]}
        assert explained["toward"] == item["label"]
        assert item["strongest"] == max(weights, key=lambda v: weights[v])
        assert math.log(item["p_label"] / item["p_gold"]) == pytest.approx(sum(weights.values()))


def test_items_of_a_cell_are_listed_with_their_votes(zoo: Sandbox) -> None:
    found = report(zoo, "kind", "--cell", "cat:dog")
    items = {i["item"]: i for i in found["items"]}
    assert (set(items), found["listed_of"]) == ({"c", "d"}, 2)
    d = items["d"]
    assert (d["gold"], d["label"], d["fault"], d["right"]) == ("cat", "dog", "outvoted", ["meow"])
    assert d["wrong"] == {"woof": "dog", "woof2": "dog"}
    assert d["p_label"] == pytest.approx(2 / 3)
    assert d["texts"]["text"]["text"] == "dog dog2 cat"
    everything = report(zoo, "kind", "--cell", "cat:dog", "--gold", "all")["items"]
    assert [i["item"] for i in everything][2] == "d"  # the surest first: c and i, where nobody says cat
    assert (len(report(zoo, "kind", "--cell", "cat:dog", "--limit", "1")["items"])) == 1
    assert [i["item"] for i in report(zoo, "kind", "--cell", "cat:none")["items"]] == ["b"]
    tied = report(zoo, "kind", "--fault", "outvoted")["items"]
    assert {i["item"]: i["p_label"] for i in tied} == {"d": pytest.approx(2 / 3), "e": None}
    assert report(zoo, "kind", "--fault", "gold")["items"] == []
    both = report(zoo, "kind", "--fault", "wrong", "--cell", "cat:dog")["items"]
    assert [i["item"] for i in both] == ["c"]


def test_the_screen(zoo: Sandbox) -> None:
    shown = zoo("errors", "kind").out
    assert shown.startswith(
        "task kind, kinds: 6 items with gold (train, tune): 2 right (33.3%), 4 wrong, 2 of these without a label\n"
    )
    assert (
        "gold  label  errors  uncovered  voters wrong  outvoted\ncat   dog         2                        1" in shown
    )
    assert "all               4          1             1         2" in shown
    assert "what to do, most errors first" in shown
    listed = zoo("errors", "kind", "--cell", "cat:dog").out
    assert (
        "d  cat:dog  outvoted  p(cat) 0.33  p(dog) 0.67\n    dog dog2 cat\n    right: meow; wrong: woof*, woof2"
        in listed
    )
    assert "nobody voted" in zoo("errors", "kind", "--cell", "cat:none").out


def test_gold_of_the_test_split_on_request_and_counted(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    assert report(sandbox, "kind")["test_looks"] is None
    found = report(sandbox, "kind", "--gold", "test")
    assert (found["gold_items"], found["wrong"]) == (2, 2)
    assert f"look no. {found['test_looks'] + 1} at the test split" in sandbox("errors", "kind", "--gold", "test").out
    everything = report(sandbox, "kind", "--gold", "all")
    assert everything["gold_items"] == 8


def test_suspicious_gold(tmp_path: Path) -> None:
    """Three voters that know better than one gold label, each right elsewhere; the threshold is said."""
    rows = [f"g{i},w{i % 3} x{i // 3},cat,tune" for i in range(30)] + ["odd,w0 w1 w2,dog,tune", "k,v,dog,tune"]
    words = "".join(f"  - {{name: w{i}, label: cat, any_of: [w{i}]}}\n" for i in range(3))
    sandbox = Sandbox(
        tmp_path,
        {
            **ZOO,
            "animals.csv": "id,text,kind,split\n" + "".join(f"{r}\n" for r in rows),
            "labeling_functions/kind/words.yml": "labeling_functions:\n" + words,
        },
    )
    sandbox("build")
    found = report(sandbox, "kind", "--fault", "gold")
    assert faults(found)["dog:cat"] == {"gold": 1}
    assert [i["item"] for i in found["items"]] == ["odd"]
    assert found["thresholds"] == {"posterior": 0.95, "voters": 3, "precision": 0.8}
    assert found["voters"] == []  # where gold is suspicious voters are not blamed
    shown = sandbox("errors", "kind").out
    assert "look at the gold of these again" in shown
    assert "gold is suspicious where 3 independent voters, right on 80% of their votes, agree against it" in shown


# ---------------------------------------------------------------------------- what else there may be


def test_a_label_set_that_was_built_before_a_change_is_looked_at_as_it_was_made(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    before = report(sandbox, "kind")
    assert before["notes"] == []
    sandbox.replace("labeling_functions/kind/words.yml", "any_of: [dog]", "any_of: [dog, silence]")
    for _ in range(2):
        after = report(sandbox, "kind")
        assert after["notes"] == ["kinds is as it was last built, and not up to date: files have changed since"]
        assert {**after, "notes": []} == before
        sandbox("build", "--select", "lf.kind.woof")
    sandbox("build")
    assert faults(report(sandbox, "kind"))["cat:dog"] == {"wrong": 2, "outvoted": 1}


def test_a_voter_that_is_gone_asks_for_a_build(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    sandbox.replace("labeling_functions/kind/words.yml", "name: woof2", "name: other")
    refused = sandbox("errors", "kind", code=2)
    assert "it was made with 'lf.kind.woof2', which is not there any more" in refused.err
    assert "teachkit build" in refused.err


def test_dropped_items_are_without_a_label_and_curators_decide_beside(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    expected = faults(report(sandbox, "kind"))
    sandbox.replace("label_models/kind.yml", "type: majority", "type: majority, unlabeled: drop, curators: true")
    sandbox.write(
        {
            "annotations/kind/_meta.yml": "files: {boss.csv: {role: curator}}\n",
            "annotations/kind/boss.csv": "item,label\nc,cat\n",
        }
    )
    sandbox("build")
    found = report(sandbox, "kind", "--cell", "cat:dog")
    assert faults(found) == expected
    assert {i["item"]: i["decided"] for i in found["items"]} == {"c": "cat", "d": None}
    assert "decided: cat" in sandbox("errors", "kind", "--cell", "cat:dog").out


def test_people_are_voters_too(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    sandbox.write({"annotations/kind/kim.csv": "item,label\nb,dog\na,cat\n"})
    sandbox("build")
    found = report(sandbox, "kind", "--cell", "cat:dog")
    assert {i["item"]: list(i["wrong"]) for i in found["items"]}["b"] == ["kim"]
    assert ("kim", "annotations") in {(v["voter"], v["kind"]) for v in found["voters"]}
    sandbox.write({"annotations/kind/kim.csv": "item,label\nb,dog\nc,dog\n", "labeling_functions/kind/words.yml": None})
    sandbox("build")
    (fault,) = next(c["faults"] for c in report(sandbox, "kind")["cells"] if c["cell"] == "cat:dog")
    assert (fault["fault"], [v["kind"] for v in fault["voters"]]) == ("wrong", ["annotations"])
    assert fault["advice"].startswith("ask others about these, or let a curator decide; those who judged: kim (")


def test_a_label_model_of_ones_own_weighs_nothing(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    sandbox.write(
        {
            "label_models/own.py": "import numpy as np\n\n\nclass Own:\n"
            "    def fit(self, votes, *, gold=None, abstain=None):\n        return self\n\n"
            "    def predict_proba(self, votes):\n        return np.tile([0.4, 0.6], (votes.n_items, 1))\n",
            "label_models/kind.yml": "label_models:\n  - {name: kinds, task: kind, type: 'label_models/own.py:Own'}\n",
        }
    )
    sandbox("build")
    found = report(sandbox, "kind")
    assert (found["measure"], found["notes"]) == (
        "votes",
        ["kinds does not say what a vote weighs: each counts the same here"],
    )
    assert faults(found) == {"cat:dog": {"wrong": 1, "outvoted": 2}, "cat:none": {"uncovered": 1}}
    assert {v["weight"] for v in found["voters"]} == {None}
    assert "weight" not in sandbox("errors", "kind").out


def test_gold_in_the_fit_is_said(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    sandbox.replace("label_models/kind.yml", "type: dawid_skene}", "type: dawid_skene, gold: tune}")
    sandbox("build")
    seen = "with gold (train, tune; that of tune is in the fit)"
    assert seen in sandbox("analyze", "kind", "--label-set", "learned").out
    assert seen not in sandbox("analyze", "kind", "--label-set", "kinds").out
    for asked, expected in (("learned", True), ("kinds", False)):
        for split, has in (("tune", expected), ("test", False), ("all", expected)):
            options = ("--label-set", asked, "--gold", split, "--format", "json")
            assert sandbox("analyze", "kind", *options).json["gold_in_fit"] is has


def test_without_gold_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, {**ZOO, "animals.csv": "id,text,kind,split\na,cat,,tune\nb,dog,,train\n"})
    sandbox("build")
    found = report(sandbox, "kind")
    assert (found["gold_items"], found["wrong"], found["cells"], found["voters"]) == (0, 0, [], [])
    shown = sandbox("errors", "kind").out
    assert "no item has gold (train, tune), so there is nothing to compare kinds with" in shown


def test_no_errors_at_all(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, {**ZOO, "animals.csv": "id,text,kind,split\na,cat,cat,tune\n"})
    sandbox("build")
    assert sandbox("errors", "kind").out == (
        "task kind, kinds: 1 item with gold (train, tune): 1 right (100.0%), 0 wrong\n"
    )
    assert "0 of 0 items" in sandbox("errors", "kind", "--fault", "wrong").out


def test_seven_labels_and_unicode(tmp_path: Path) -> None:
    rows = ["ключ1,東京 groß,日本,tune", "🔑2,das ist groß,ok,tune", "k3,nichts,五,train", "k4,it's,it's,train"]
    sandbox = Sandbox(tmp_path, unicode_project(rows))
    sandbox("build")
    found = report(sandbox, "sort", "--cell", "ok:größe")
    assert faults(found) == {"ok:größe": {"wrong": 1}, "五:none": {"uncovered": 1}, "日本:none": {"outvoted": 1}}
    (item,) = found["items"]
    assert (item["item"], item["wrong"]) == ("🔑2", {"size": "größe"})
    assert "🔑2  ok:größe  voters wrong" in sandbox("errors", "sorted", "--cell", "ok:größe").out


def test_a_label_called_none_is_no_cell_without_a_label(tmp_path: Path) -> None:
    files = {
        k: v.replace("[cat, dog]", "[cat, none]").replace("label: dog", "label: none").replace("dog: 0.9", "none: 0.9")
        for k, v in ZOO.items()
    }
    files["animals.csv"] = "id,text,kind,split\na,dog,cat,tune\nb,silence,cat,tune\n"
    sandbox = Sandbox(tmp_path, files)
    sandbox("build")
    assert faults(report(sandbox, "kind")) == {"cat:none": {"wrong": 1}, "cat:(none)": {"uncovered": 1}}
    assert [i["item"] for i in report(sandbox, "kind", "--cell", "cat:(none)")["items"]] == ["b"]


@pytest.mark.parametrize("rows", [[], ["k,東京,日本,tune"]], ids=["no row", "one row"])
@pytest.mark.parametrize("kind", ["choice", "multichoice"])
def test_hardly_any_items(rows: list[str], kind: str, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, unicode_project(rows, kind))
    sandbox("build")
    found = report(sandbox, "sort")
    assert (found["gold_items"], found["wrong"]) == (len(rows), 0)
    assert sandbox("errors", "sort").out.startswith("task sort, sorted: ")


def test_multichoice_counts_what_was_missed_and_what_was_wrongly_given(tmp_path: Path) -> None:
    rows = ["a,東京 groß,日本|größe,tune", "b,groß,ok,tune", "c,it's,ok|it's,train", "d,nichts,ok,train"]
    sandbox = Sandbox(tmp_path, unicode_project(rows, "multichoice"))
    sandbox("build")
    found = report(sandbox, "sort", "--cell", "größe:given")
    cells = faults(found)
    assert cells["ok:missed"] == {"uncovered": 3}
    assert cells["größe:given"]["wrong"] == 1
    assert found["right"] + found["wrong"] + found["undecided"] == 4 * len(LABELS)
    nobody = [row["schlüssel"] for row in sandbox.rows("sorted") if row["model_label"] is None]
    assert (nobody, found["undecided"]) == (["d"], len(LABELS) - 1)  # the one that holds is missed
    assert f", {len(LABELS) - 1} undecided" in sandbox("errors", "sort").out
    marginal = sandbox("analyze", "sort", "--marginal", "--format", "json").json["marginal"]
    assert marginal["accuracy"] == pytest.approx(found["right"] / (4 * len(LABELS)))
    assert marginal["coverage"] == 3 / 4
    given = {row["schlüssel"]: row["label"] or () for row in sandbox.rows("sorted")}
    gold = {"a": "日本|größe", "b": "ok", "c": "ok|it's", "d": "ok"}
    wrongly = [k for k, labels in given.items() if "größe" in labels and "größe" not in gold[k]]
    items = {i["item"]: i for i in found["items"]}
    assert sorted(items) == wrongly  # a voter gives it to b; to others its prior, since nobody ever says no
    item = items["b"]
    assert (item["gold"], item["label"], item["wrong"]) == ("not größe", "given", {"size": "größe"})
    assert {i["fault"] for k, i in items.items() if k != "b"} <= {"uncovered"}
    missed = report(sandbox, "sort", "--cell", "ok:missed")["items"]
    assert {i["item"] for i in missed} == {"b", "c", "d"}
    shown = sandbox("errors", "sort").out
    assert "ok         missed" in shown
    assert "write a labeling function that says 'ok'" in shown


def test_the_reviews(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, REVIEWS)
    sandbox("build")
    assert "task mood, moods: " in sandbox("errors", "mood").out


@pytest.mark.parametrize("kind", ["choice", "multichoice"])
def test_a_voter_whose_vote_speaks_against_its_label_is_not_outvoted_by_itself(tmp_path: Path, kind: str) -> None:
    from teachkit.review.advice import advice_on
    from teachkit.review.error_report import Share

    sandbox = Sandbox(tmp_path, unicode_project([], kind))
    with Project.load(sandbox.root).workspace() as work:
        task = work.graph.tasks["sort"]
    turned, other = Share("size", "lf", 552, 3381, 2617), Share("eastern", "lf", 7, 10, 1)
    label = "ok" if kind == "choice" else "missed"
    said = advice_on(task, "outvoted", "größe:ok", "größe", label, [turned, other], [turned])
    taken = "rather for 'ok'" if kind == "choice" else "not for that"
    assert said == (
        f"size said 'größe' (552), and the label model takes that {taken} (wrong in 2,617 of 3,381 votes on gold): "
        "narrow it, or add a voter that says 'größe' here"
    )
    assert "outvoted by eastern" in advice_on(task, "outvoted", "größe:ok", "größe", label, [other], [turned])


# ---------------------------------------------------------------------------- mistakes


MISTAKES: dict[tuple[str, ...], str] = {
    ("kid",): "Did you mean 'kind'?",
    ("kind", "--gold", "tset"): "'tset' is no split",
    ("kind", "--fault", "us"): "--fault: 'us' is no fault",
    ("kind", "--cell", "cat:dgo"): "Did you mean 'cat:dog'?",
    ("kind", "--limit", "0"): "--limit",
    (): "TASK",
}


@pytest.mark.parametrize("options", MISTAKES, ids=" ".join)
def test_a_mistake_is_explained(options: tuple[str, ...], zoo: Sandbox) -> None:
    found = zoo("errors", *options, code=2)
    assert MISTAKES[options] in found.err
    assert found.out == ""


def test_a_task_without_a_label_model_and_one_that_was_never_built(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, ZOO)
    assert "'label_set.kinds' has not been built" in sandbox("errors", "kind", code=2).err
    sandbox.write({"label_models/kind.yml": None})
    assert "task 'kind' has no label model" in sandbox("errors", "kind", code=2).err


def test_from_python(zoo: Sandbox) -> None:
    found = Project.load(zoo.root).errors("kinds", cell="cat:dog")
    assert (found.wrong, len(found.items)) == (4, 2)
    assert json.loads(json.dumps(found.as_dict()))["label_set"] == "kinds"


@pytest.mark.parametrize("name", ["kinds", "learned"])
def test_json_follows_its_schema(name: str, zoo: Sandbox) -> None:
    found = report(zoo, name, "--cell", "cat:dog")
    Draft202012Validator(ERRORS).validate(found)
    assert found["items"]
    assert found["voters"]


def test_other_kinds_of_tasks_are_refused_with_those_that_work() -> None:
    with pytest.raises(BadOption) as refused:
        check_kind("number", "price", "errors")
    assert refused.value.message == "TASK: task 'price' is of the kind 'number'"
    assert refused.value.advice == "'errors' takes tasks of the kinds choice, multichoice, ordinal, pairwise"
    for kind in ("choice", "multichoice", "ordinal", "pairwise"):
        check_kind(kind, "t", "errors")


def test_advice_quotes_what_a_shell_would_split(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, unicode_project(["a,nichts,x y,tune", "b,nichts,it's,tune"]))
    sandbox("build")
    advice = {c["cell"]: c["faults"][0]["advice"] for c in report(sandbox, "sort")["cells"]}
    assert advice["x y:none"].endswith("see: teachkit errors sort --cell 'x y:none'")
    assert "(teachkit try --task sort --label 'x y' …)" in advice["x y:none"]
    assert "--cell 'it'\"'\"'s:none'" in advice["it's:none"]
