"""Why a label is what it is: everything that an explanation says is checked against the files it speaks of."""

from __future__ import annotations

import csv
import json
import math
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from teachkit import Project
from teachkit.build.execute import looking_at
from teachkit.lineage import explain_items
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

SHOP = """id,text,stars
r001,"wonderful, wonderful",5
r002,awful,1
r003,"two
lines",3
r004,good and bad,3
r005,nothing,
r006,bad bad bad,2
"""

FILES = {
    "teachkit.yml": "name: shop\n",
    "data/a.csv": SHOP,
    "data/b.csv": "id,text,stars\nr100,good,4\nr101,größe schlecht bad,1\n",
    "sources/shop.yml": "sources:\n  - {name: shop, tables: [{name: reviews, path: data/*.csv, key: id}]}\n",
    "transforms/reviews.sql": "select id as review, text, stars from {{ source('shop', 'reviews') }}\n",
    "tasks/mood.yml": "tasks:\n"
    "  - {name: mood, kind: choice, labels: [good, bad, mixed], dataset: ref('reviews'), key: review}\n"
    "  - {name: about, kind: multichoice, labels: [size, taste], dataset: ref('reviews'), key: review}\n",
    "labeling_functions/mood/words.yml": "labeling_functions:\n"
    "  - {name: praise, label: good, any_of: [good, wonderful]}\n"
    "  - {name: blame, label: bad, any_of: [bad, awful]}\n",
    "labeling_functions/mood/stars.sql": "case when stars >= 4 then 'good' when stars <= 2 then 'bad' "
    "when stars = 3 then 'mixed' end\n",
    "labeling_functions/about/size.sql": "{{ config(label='size') }}\ntext like '%größe%'\n",
    "labeling_functions/about/taste.sql": "{{ config(label='taste') }}\ntext like '%good%'\n",
    "annotations/mood/ann.csv": "item,label\nr004,mixed\nr100,bad\n",
    "annotations/mood/eva.jsonl": '{"item": "r002", "label": "mixed", "annotator": "eva", '
    '"at": "2026-01-02T03:04:05Z"}\n',
    "annotations/mood/_meta.yml": "files: {eva.jsonl: {role: curator}}\n",
    "annotations/about/ann.jsonl": '{"item": "r100", "label": ["size"], "annotator": "ann"}\n',
    "label_models/all.yml": "label_models:\n"
    "  - {name: moods, task: mood, type: dawid_skene}\n"
    "  - {name: coins, task: mood, type: one_coin}\n"
    "  - {name: shares, task: mood, type: majority}\n"
    "  - {name: topics, task: about, type: dawid_skene}\n",
}
ITEMS = ("r001", "r002", "r003", "r004", "r005", "r006", "r100", "r101")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A project in git, with one rule changed by a second commit, built from a clean checkout."""
    sandbox = Sandbox(tmp_path_factory.mktemp("lineage") / "shop", FILES)
    sandbox.write({".gitignore": ".teachkit/\ntarget/\n"})
    git(sandbox.root, "init")
    git(sandbox.root, "add", ".")
    git(sandbox.root, "commit", "-m", "first")
    sandbox.write({"labeling_functions/mood/stars.sql": FILES["labeling_functions/mood/stars.sql"] + "-- a comment\n"})
    git(sandbox.root, "commit", "-am", "second")
    sandbox("build")
    return sandbox


def explain(built: Sandbox, labels: str, item: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(built("lineage", labels, item, "--format", "json").out)
    return found


@pytest.mark.parametrize("labels", ["moods", "coins"])
def test_prior_and_contributions_add_up_to_the_posterior(built: Sandbox, labels: str) -> None:
    for item in ITEMS:
        found = explain(built, labels, item)
        moved = [v["contribution"] for v in found["votes"] if v["contribution"] is not None]
        total = found["prior"] + math.fsum(moved) + math.fsum(found["silence"].values())
        posterior = found["posterior"]
        assert total == pytest.approx(math.log(posterior[found["toward"]] / posterior[found["against"]]), abs=1e-9)


def test_the_votes_are_those_of_the_files(built: Sandbox) -> None:
    said = {(v["voter"], v["kind"], v["label"]): v for v in explain(built, "moods", "r004")["votes"]}
    assert set(said) == {
        ("praise", "lf", "good"),
        ("blame", "lf", "bad"),
        ("stars", "lf", "mixed"),
        ("ann", "annotator", "mixed"),
    }
    lines = {v["voter"]: (v["path"], v["line"]) for v in said.values()}
    assert lines["blame"] == ("labeling_functions/mood/words.yml", 3)
    assert lines["ann"] == ("annotations/mood/ann.csv", 2)


def test_each_vote_names_the_commit_that_last_changed_its_file(built: Sandbox) -> None:
    first, second = git(built.root, "rev-list", "--reverse", "HEAD").split()
    found = explain(built, "moods", "r001")
    commits = {v["voter"]: v["commit"] for v in found["votes"]}
    assert commits == {"praise": first, "stars": second}
    assert (found["run"]["commit"], found["run"]["dirty"], found["run"]["git"]) == (second, False, True)


def test_a_curator_decides_and_the_model_is_shown_beside(built: Sandbox) -> None:
    found = explain(built, "moods", "r002")
    assert (found["label"], found["model_label"], found["decided_by"]) == ("mixed", "bad", "curator")
    (ruling,) = [v for v in found["votes"] if v["kind"] == "curator"]
    assert (ruling["voter"], ruling["label"], ruling["at"]) == ("eva", "mixed", "2026-01-02T03:04:05Z")
    assert ruling["contribution"] is None


def test_the_source_record_is_where_the_item_stands(built: Sandbox) -> None:
    for item in ITEMS:
        (source,) = explain(built, "moods", item)["sources"]
        with (built.root / source["path"]).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert rows[source["record"] - 1]["id"] == item


def test_an_item_on_which_nobody_votes_has_the_prior(built: Sandbox) -> None:
    found = explain(built, "shares", "r005")
    assert (found["label"], found["decided_by"], found["votes"]) == (None, "none", [])


def test_a_multichoice_item_shows_what_was_said_of_each_label(built: Sandbox) -> None:
    found = explain(built, "topics", "r100")
    said = {(v["voter"], v["label"]): v["polarity"] for v in found["votes"]}
    assert said == {("taste", "taste"): 1, ("ann", "size"): 1, ("ann", "taste"): -1}
    assert all(isinstance(v["contribution"], float) for v in found["votes"])
    assert "not taste" in built("lineage", "topics", "r100").out


def test_labels_of_a_changed_project_are_said_not_to_be_published(built: Sandbox) -> None:
    with built.changed({"label_models/all.yml": FILES["label_models/all.yml"].replace("dawid_skene", "weighted")}):
        shown = built("lineage", "moods", "r001").out
    assert "not the published ones" not in shown  # nothing else was built: the published labels are explained
    assert "label model dawid_skene" in shown


def test_stored_parameters_give_the_stored_posteriors_bit_for_bit(built: Sandbox) -> None:
    """A label is derived again from the votes and the parameters, without a fit."""
    from teachkit.build.execute import Executor
    from teachkit.build.fitting import load_fitted
    from teachkit.build.run import BuildOptions, quiet
    from teachkit.build.stored_votes import votes_of

    with Project.load(built.root).workspace() as work:
        run = Executor(work.files, work.graph, work.store, BuildOptions(), quiet)
        for node in work.graph.of("label_set"):
            for parent in work.graph:
                if parent.id in work.graph.upstream(node.id):
                    run.resolve(parent)
            (part,) = run.resolve(node).parts
            parameters = work.store.meta(part.extra["parameters"])
            assert parameters is not None
            models = load_fitted(parameters.extra["algorithm"], work.store.read(parameters.key)).models
            votes = votes_of(run, node).votes
            posterior = work.store.read(part.key, ["posterior"]).column(0).to_pylist()
            labels = work.graph.tasks[node.task or ""].labels
            for number, (model, cast) in enumerate(zip(models, votes, strict=True)):
                again = model.predict_proba(cast).tolist()
                if len(votes) == 1:
                    assert [[row[name] for name in labels] for row in posterior] == again
                else:
                    assert [row[labels[number]] for row in posterior] == [row[1] for row in again]
        run.close()


OWN = """
class Counting:
    def fit(self, votes, *, gold=None, abstain=None):
        self.classes = votes.n_labels
        return self

    def predict_proba(self, votes):
        import numpy as np

        counts = np.ones((votes.n_patterns, self.classes))
        np.add.at(counts, (votes.entry_pattern, votes.code), 1.0)
        return (counts / counts.sum(axis=1, keepdims=True))[votes.pattern_of]
"""


def test_a_class_of_ones_own_is_asked_again_without_each_vote(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "shop", FILES)
    model = "label_models:\n  - {name: counts, task: mood, type: 'label_models/counting.py:Counting'}\n"
    sandbox.write({"label_models/all.yml": model, "label_models/counting.py": OWN})
    sandbox("build")
    found = explain(sandbox, "counts", "r006")  # blame and stars say bad
    assert found["posterior"] == {"good": 0.2, "bad": 0.6, "mixed": 0.2}
    assert found["measure"] == "left_out"
    assert {v["voter"]: v["contribution"] for v in found["votes"]} == pytest.approx({"blame": 0.1, "stars": 0.1})


def test_a_project_outside_git_says_so(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "shop", FILES)
    sandbox("build")
    found = explain(sandbox, "moods", "r001")
    assert (found["run"]["commit"], found["run"]["dirty"], found["run"]["git"]) == (None, None, False)
    assert {v["commit"] for v in found["votes"]} == {None}
    assert "not in git" in sandbox("lineage", "moods", "r001").out


def test_uncommitted_changes_are_seen(built: Sandbox, tmp_path: Path) -> None:
    copy = built.copy(tmp_path / "shop")
    copy.replace("labeling_functions/mood/words.yml", "wonderful", "lovely")
    copy("build")
    found = explain(copy, "moods", "r100")
    commits = {v["voter"]: v["commit"] for v in found["votes"]}
    assert commits["praise"] is None
    assert commits["stars"] is not None
    assert found["run"]["dirty"] is True
    assert "with uncommitted changes" in copy("lineage", "moods", "r100").out


def test_a_file_that_is_committed_with_the_lock_has_its_commit_from_the_next_run_on(
    built: Sandbox, tmp_path: Path
) -> None:
    copy = built.copy(tmp_path / "shop")
    copy.replace("labeling_functions/mood/words.yml", "wonderful", "lovely")
    copy("build")
    git(copy.root, "add", "-A")
    git(copy.root, "commit", "-q", "-m", "Lovely, not wonderful")
    commit = git(copy.root, "rev-parse", "HEAD")
    assert {v["voter"]: v["commit"] for v in explain(copy, "moods", "r100")["votes"]}["praise"] is None
    copy("build", "--locked")
    found = explain(copy, "moods", "r100")
    commits = {v["voter"]: v["commit"] for v in found["votes"]}
    assert commits["praise"] == commit
    assert commits["stars"] not in (None, commit)
    assert found["run"]["dirty"] is True  # the run that made them is the first one
    words = copy.read("labeling_functions/mood/words.yml")
    copy.write({"labeling_functions/mood/words.yml": words + "# no rule is another\n"})
    copy("build")
    assert explain(copy, "moods", "r100")["votes"] == found["votes"]


def test_upstream_lists_all_that_a_node_is_made_of(built: Sandbox) -> None:
    found = json.loads(built("lineage", "moods", "--format", "json").out)
    ids = [entry["id"] for entry in found["upstream"]]
    assert ids[0] == "label_set.moods"
    assert set(ids) == {
        "label_set.moods",
        "lf.mood.praise",
        "lf.mood.blame",
        "lf.mood.stars",
        "annotations.mood.ann",
        "annotations.mood.eva",
        "transform.reviews",
        "source.shop.reviews",
    }
    columns = {e["id"]: e["columns"] for e in found["upstream"]}
    assert columns["transform.reviews"]["review"] == ["source.shop.reviews.id"]


def test_many_items_at_once_are_explained_as_each_alone(built: Sandbox) -> None:
    project = Project.load(built.root)
    with project.workspace() as work:
        for name in ("moods", "coins", "shares", "topics"):
            with looking_at(work) as run:
                together = explain_items(run, work.graph[f"label_set.{name}"], [*ITEMS, ITEMS[0]])
            assert [one.item for one in together] == [*ITEMS, ITEMS[0]]
            assert [one.as_dict() for one in together[:-1]] == [project.lineage(name, i).as_dict() for i in ITEMS]
            assert together[-1] == together[0]


def test_of_one_annotators_judgments_in_several_files_the_latest_is_a_vote(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, FILES)
    lines = [
        ("r001", "good", "2026-01-03"),  # later than in the other file, whose name is later
        ("r002", "bad", "2026-01-01"),
        ("r003", "good", "2026-01-01"),
    ]
    others = [("r001", "bad", "2026-01-02"), ("r002", "mixed", "2026-01-02"), ("r003", None, "2026-01-02")]
    for name, file in (("a", lines), ("b", others)):
        text = "".join(json.dumps(dict(zip(("item", "label", "at"), x, strict=True))) + "\n" for x in file)
        sandbox.write({f"annotations/mood/{name}.jsonl": text})
    sandbox.write(
        {"annotations/mood/_meta.yml": "files: {'[ab].jsonl': {annotator: kim}, eva.jsonl: {role: curator}}\n"}
    )
    sandbox("build")

    def kim(item: str) -> list[tuple[str, str]]:
        votes = explain(sandbox, "shares", item)["votes"]
        return [(v["label"], v["path"]) for v in votes if v["voter"] == "kim"]

    assert kim("r001") == [("good", "annotations/mood/a.jsonl")]
    assert kim("r002") == [("mixed", "annotations/mood/b.jsonl")]
    assert kim("r003") == []  # declined later
    shares = {row["review"]: row["posterior"] for row in sandbox.rows("label_set.shares")}
    assert shares["r001"] == {"good": 1.0, "bad": 0.0, "mixed": 0.0}
    assert shares["r002"]["mixed"] == 1 / 3  # two rules say bad
    assert shares["r003"]["mixed"] == 1.0

    sandbox.write({"annotations/mood/_meta.yml": "files: {'[ab].jsonl': {annotator: kim, role: gold}}\n"})
    sandbox("build")
    found = sandbox("issues", "mood", "--format", "json").json
    assert found["given"] == 2  # r003 was declined later


def test_who_declines_says_nothing_of_any_label_and_an_empty_list_that_none_holds(tmp_path: Path) -> None:
    said = [("r001", None), ("r002", []), ("r003", ["size"]), ("r100", None)]
    lines = "".join(json.dumps({"item": item, "label": label}) + "\n" for item, label in said)
    files = {
        "annotations/about/ann.jsonl": lines,
        "annotations/about/ben.csv": "item,label\nr001,\nr003,size|taste\n",
        "annotations/about/eva.jsonl": '{"item": "r100", "label": null}\n{"item": "r101", "label": []}\n',
        "annotations/about/_meta.yml": "files: {eva.jsonl: {role: curator}}\n",
        "label_models/all.yml": "label_models:\n  - {name: topics, task: about, type: majority}\n",
        "annotations/mood/_meta.yml": None,
        "annotations/mood/eva.jsonl": None,
    }
    sandbox = Sandbox(tmp_path, {**FILES, **files})
    sandbox("build")

    def votes(item: str, voter: str) -> dict[str, int]:
        return {v["label"]: v["polarity"] for v in explain(sandbox, "topics", item)["votes"] if v["voter"] == voter}

    assert votes("r001", "ann") == votes("r001", "ben") == votes("r100", "ann") == {}
    assert votes("r002", "ann") == {"size": -1, "taste": -1}
    assert votes("r003", "ann") == {"size": 1, "taste": -1}
    assert votes("r003", "ben") == {"size": 1, "taste": 1}
    found = {row["review"]: (row["label"], row["decided_by"]) for row in sandbox.rows("label_set.topics")}
    assert found["r100"][1] == "model"
    assert found["r101"] == ([], "curator")
    voters = sandbox("analyze", "about", "--agreement", "--annotators", "--format", "json").json
    counts = {(v["voter"], v["label"]): v["votes"] for v in voters["voters"]}
    assert counts["ann", "size"] == 2
    assert counts["ben", "taste"] == 1
    sandbox.write({"annotations/about/_meta.yml": "files: {'*': {role: gold}}\n"})
    sandbox("build")
    assert sandbox("issues", "about", "--format", "json").json["given"] == 2 * 3  # labels of r002, r003, r101


def test_of_a_multichoice_item_no_label_may_hold(built: Sandbox, tmp_path: Path) -> None:
    sandbox = built.copy(tmp_path / "shop")
    sandbox.write({"annotations/about/ann.jsonl": '{"item": "r100", "label": [], "annotator": "ann"}\n'})
    sandbox.write(
        {"label_models/all.yml": "label_models: [{name: topics, task: about, voters: ['kind:annotations']}]\n"}
    )
    sandbox("build", code=None)
    assert "topics  r100:  none of the labels, confidence" in sandbox("lineage", "topics", "r100").out
