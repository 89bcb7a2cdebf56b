"""``teachkit issues``: planted mistakes are found, and nobody speaks in his own cause."""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit import Project
from teachkit.voters.annotations import instant
from teachkit.votes.confident import confident_learning, folds_of
from tests.build.test_looks import looks
from tests.review.test_try import LABELS, unicode_project
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ITEMS = 400
PEOPLE = ("ann", "bob", "cid", "dee")
WORDS = {"cat": ("purr", "meow", "whiskers"), "dog": ("bark", "woof", "leash"), "owl": ("hoot", "night", "feather")}
LFS = [(word, label) for label, words in WORDS.items() for word in words]


def planted(more: str = "") -> tuple[dict[str, str], dict[str, str], set[tuple[str, str]]]:
    """A project, the items whose gold is wrong with what is right, and the judgments (item, annotator) that are."""
    chance = random.Random(7)
    lines, wrong, slips = [], {}, set()
    said: dict[str, list[str]] = {name: [] for name in PEOPLE}
    for number in range(ITEMS):
        key, truth = f"i{number:03}", chance.choice(list(WORDS))
        words = [word for word in WORDS[truth] if chance.random() < 0.8]
        if chance.random() < 0.1:
            words.append(chance.choice(LFS)[0])
        gold = truth
        if chance.random() < 0.05:
            gold = chance.choice([label for label in WORDS if label != truth])
            wrong[key] = truth
        lines.append({"id": key, "text": " ".join(words), "kind": gold, "split": ("tune", "train", "test")[number % 3]})
        for name in chance.sample(PEOPLE, 3):
            label = truth
            if chance.random() < (0.25 if name == "dee" else 0.03):
                label = chance.choice([other for other in WORDS if other != truth])
                slips.add((key, name))
            said[name].append(json.dumps({"item": key, "label": label, "annotator": name}))
    rules = "".join(f"  - {{name: {word}, label: {label}, any_of: [{word}]}}\n" for word, label in LFS)
    files = {
        "teachkit.yml": "name: zoo\n",
        "profiles.yml": "default: dev\ntargets: {dev: {memory: 500MB, threads: 1}}\n",
        "a.jsonl": "".join(f"{json.dumps(line)}\n" for line in lines),
        "sources/s.yml": "sources:\n  - {name: s, tables: [{name: a, path: a.jsonl, key: id}]}\n",
        "transforms/a.sql": "select * from {{ source('s', 'a') }}\n",
        "tasks/t.yml": "tasks:\n  - {name: t, kind: choice, labels: [cat, dog, owl, yak], dataset: ref('a'), key: id, "
        "show: [text], gold: {column: kind}, splits: {column: split}}\n",
        "labeling_functions/t/w.yml": "labeling_functions:\n" + rules,
        "annotations/t/crowd.jsonl": "".join(f"{line}\n" for name in PEOPLE for line in said[name]),
        "label_models/m.yml": "label_models:\n  - {name: m, task: t, type: dawid_skene, voters: 'kind:lf'}\n"
        "  - {name: both, task: t, type: dawid_skene}\n"
        f"  - {{name: fitted, task: t, type: dawid_skene, gold: tune}}\n{more}",
    }
    return files, wrong, slips


FILES, WRONG, SLIPS = planted()


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("zoo"), FILES)
    sandbox("build")
    return sandbox


def issues(sandbox: Sandbox, *options: str, task: str = "t") -> dict[str, Any]:
    found: dict[str, Any] = sandbox("issues", task, "--format", "json", "--limit", "999", *options).json
    return found


def shown(wrong: dict[str, str]) -> dict[str, str]:
    """Those of the train and tune splits."""
    return {key: label for key, label in wrong.items() if int(key[1:]) % 3 != 2}


@pytest.mark.parametrize("label_set", ["both", "fitted"])
def test_planted_wrong_gold_is_found(label_set: str, zoo: Sandbox) -> None:
    found = issues(zoo, "--label-set", label_set)
    there = shown(WRONG)
    first = found["issues"][: len(there)]
    hits = [i for i in first if i["item"] in there]
    assert len(hits) >= 0.8 * len(there), (len(hits), len(there))
    assert sum(i["item"] in there for i in found["issues"]) >= 0.9 * len(there)
    assert all(i["suggested"] == there[i["item"]] for i in hits)
    assert 0.4 * len(there) <= found["expected_wrong"] <= 2.5 * len(there)
    assert {int(i["item"][1:]) % 3 for i in found["issues"]} <= {0, 1}
    assert found["test_looks"] is None
    margins = [i["margin"] for i in found["issues"]]
    assert margins == sorted(margins, reverse=True)


def test_planted_slips_of_annotators_are_found_and_who_makes_them(zoo: Sandbox) -> None:
    found = issues(zoo, "--of", "annotations", "--label-set", "both")
    assert (found["given"], found["judged"]) == (3 * ITEMS, 3 * ITEMS)
    first = [(i["item"], i["by"]) for i in found["issues"][: len(SLIPS)]]
    assert len(set(first) & SLIPS) >= 0.8 * len(SLIPS)
    assert found["annotators"][0]["name"] == "dee"
    issue = found["issues"][0]
    assert issue["by"] not in issue["against"]
    assert issue["by"] not in issue["agreeing"]
    path, line = issue["place"].rsplit(":", 1)
    row = json.loads(zoo.read(path).splitlines()[int(line) - 1])
    assert (row["item"], row["annotator"], row["label"]) == (issue["item"], issue["by"], issue["given"])


def test_gold_has_no_say_in_its_own_cause(zoo: Sandbox, tmp_path: Path) -> None:
    """The probabilities of an item stay the same if its gold is changed, though the label model is fitted to gold."""
    key = next(k for k, t in WRONG.items() if int(k[1:]) % 3 == 0)
    before = next(i for i in issues(zoo, "--label-set", "fitted")["issues"] if i["item"] == key)
    sandbox = zoo.copy(tmp_path / "other")
    line = f'"kind": "{before["given"]}"'
    lines = sandbox.read("a.jsonl").splitlines()
    at = int(key[1:])
    other = next(label for label in WORDS if label not in (before["given"], before["suggested"]))
    assert line in lines[at]
    lines[at] = lines[at].replace(line, f'"kind": "{other}"')
    sandbox.write({"a.jsonl": "\n".join(lines) + "\n"})
    sandbox("build")
    after = next(i for i in issues(sandbox, "--label-set", "fitted")["issues"] if i["item"] == key)
    assert after["given"] == other
    assert after["suggested"] == before["suggested"]
    assert after["p_suggested"] == pytest.approx(before["p_suggested"], abs=0.02)  # its fold may be another one


def test_each_gold_is_hidden_from_the_fit_that_judges_it(zoo: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Recorder:
        def fit(self, _votes: Any, *, gold: Any, abstain: Any) -> Any:
            assert abstain
            seen.append(gold)
            return self

        def predict_proba(self, votes: Any) -> Any:
            return np.full((votes.n_items, votes.n_labels), 1 / votes.n_labels)

    monkeypatch.setattr("teachkit.review.out_of_fold.new_model", lambda *_: Recorder())
    Project.load(zoo.root).issues("t", label_set="fitted")
    hidden = np.array([gold < 0 for gold in seen])
    tune = np.arange(ITEMS) % 3 == 0
    assert len(seen) == 5
    assert (hidden[:, tune].sum(axis=0) == 1).all()
    assert hidden[:, ~tune].all()


def test_a_judgment_has_no_say_in_its_own_cause(tmp_path: Path) -> None:
    """Two who contradict each other: of each the other's vote is all that is heard."""
    files, _, _ = planted()
    files["label_models/m.yml"] = "label_models:\n  - {name: m, task: t, type: majority, voters: 'kind:annotations'}\n"
    lines = [json.dumps({"item": f"i{n:03}", "label": "cat", "annotator": who}) for n in range(9) for who in "xyz"]
    lines += [
        '{"item": "i010", "label": "dog", "annotator": "x"}',
        '{"item": "i010", "label": "cat", "annotator": "y"}',
    ]
    lines += ['{"item": "i011", "label": "dog", "annotator": "x"}']
    files["annotations/t/crowd.jsonl"] = "\n".join(lines) + "\n"
    sandbox = Sandbox(tmp_path, files)
    sandbox("build", code=None)
    found = issues(sandbox, "--of", "annotations")
    assert (found["given"], found["judged"]) == (30, 29)
    assert "1 of 30 could not be judged: no other votes on their items" in found["notes"]
    (x,) = (i for i in found["issues"] if i["by"] == "x")
    assert (x["item"], x["given"], x["suggested"], x["against"]) == ("i010", "dog", "cat", {"y": "cat"})


def test_texts_tell_too(zoo: Sandbox) -> None:
    pytest.importorskip("sklearn")
    found = issues(zoo, "--features", "text")
    there = shown(WRONG)
    first = [i["item"] for i in found["issues"][: len(there)]]
    assert len(set(first) & set(there)) >= 0.6 * len(there)
    assert found["label_set"] is None
    assert issues(zoo, "--features", "text") == found
    assert issues(zoo, "--features", "text", "--of", "annotations", "--label-set", "both")["judged"] == 3 * ITEMS


def test_without_scikit_learn_it_is_said_how_to_install_it(zoo: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    refused = zoo("issues", "t", "--features", "text", code=2)
    assert "--features text needs scikit-learn, which is not installed" in refused.err
    assert "pip install 'teachkit[learn]'" in refused.err


def test_a_correction_that_is_appended_counts_and_no_line_is_edited(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "mended")
    issue = issues(sandbox, "--label-set", "both")["issues"][0]
    assert issue["file"] == "annotations/t/gold_review.jsonl"
    sandbox.write({"annotations/t/_meta.yml": "files: {gold_review.jsonl: {role: gold}}\n"})
    sandbox.write({issue["file"]: issue["line"] + "\n"})
    sandbox("build")
    after = issues(sandbox, "--label-set", "both")
    assert issue["item"] not in {i["item"] for i in after["issues"]}
    # gold of a file that is wrong is outdone by a file that comes after it
    sandbox.write({issue["file"]: json.dumps({"item": issue["item"], "label": issue["given"]}) + "\n"})
    sandbox("build")
    again = next(i for i in issues(sandbox, "--label-set", "both")["issues"] if i["item"] == issue["item"])
    assert again["place"] == "annotations/t/gold_review.jsonl:1"
    assert again["by"] == "gold_review"
    assert again["file"] == "annotations/t/gold_review_review.jsonl"
    sandbox.write({again["file"]: again["line"] + "\n"})
    meta = "files: {gold_review.jsonl: {role: gold}, gold_review_review.jsonl: {role: gold}}\n"
    sandbox.write({"annotations/t/_meta.yml": meta})
    sandbox("build")
    assert issue["item"] not in {i["item"] for i in issues(sandbox, "--label-set", "both")["issues"]}


def test_gold_of_the_test_split_on_request_and_counted(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "looks")
    found = issues(sandbox, "--gold", "test")
    assert {int(i["item"][1:]) % 3 for i in found["issues"]} == {2}
    assert f"look no. {found['test_looks'] + 1} at the test split" in sandbox("issues", "t", "--gold", "test").out


def with_gold(sandbox: Sandbox, gold: str, splits: Sequence[int]) -> None:
    """Give all items of some splits (0: tune, 1: train, 2: test) the same gold, and build."""
    lines = [json.loads(line) for line in sandbox.read("a.jsonl").splitlines()]
    lines = [line | {"kind": gold} if n % 3 in splits else line for n, line in enumerate(lines)]
    sandbox.write({"a.jsonl": "".join(f"{json.dumps(line)}\n" for line in lines)})
    sandbox("build")


@pytest.mark.parametrize("splits", [True, False])
def test_judgments_are_not_judged_by_gold_of_the_test_split(splits: bool, zoo: Sandbox, tmp_path: Path) -> None:
    """Without splits all gold is of the test split, and ``gold: tune`` holds none of it fixed, here as in a build."""
    sandbox = zoo.copy(tmp_path / "zoo")
    if not splits:
        sandbox.replace("tasks/t.yml", ", splits: {column: split}", "")
    asked = ("--of", "annotations", "--label-set", "fitted")
    with_gold(sandbox, "cat", [2] if splits else [0, 1, 2])
    labels, before = sandbox.labels("fitted"), looks(sandbox, "t")
    found = issues(sandbox, *asked)
    assert found["test_looks"] is None
    assert looks(sandbox, "t") == before
    with_gold(sandbox, "dog", [2] if splits else [0, 1, 2])
    assert sandbox.labels("fitted") == labels
    assert issues(sandbox, *asked) == found
    if splits:  # it is fitted to gold of the tune split
        with_gold(sandbox, "owl", [0])
        assert issues(sandbox, *asked) != found


def test_the_screen(zoo: Sandbox) -> None:
    text = zoo("issues", "t", "--label-set", "both", "--limit", "2").out
    assert "gold labels (train, tune) judged by the votes of both: " in text
    assert "given  labels  expected wrong  noise  listed as issues" in text
    assert "the surest first" in text
    assert "; by column kind" in text
    assert 'annotations/t/gold_review.jsonl: {"item": "i' in text
    assert "their role under files: in _meta.yml: gold_review.jsonl: {role: gold}" in text
    assert "yak" not in text  # nobody has it
    assert max(len(line) for line in text.splitlines()) <= 110
    people = zoo("issues", "t", "--label-set", "both", "--of", "annotations", "--limit", "1").out
    assert "annotator  judged  issues  share" in people
    assert " at annotations/t/crowd.jsonl:" in people
    assert "    no line to append: correct it at its place\n\na judgment without 'at' is outdone by no other" in people
    assert "append its line" not in people


def test_a_class_that_nobody_has_stands_with_zeros(zoo: Sandbox) -> None:
    yak = next(c for c in issues(zoo)["classes"] if c["label"] == "yak")
    assert yak == {"label": "yak", "given": 0, "expected_wrong": 0.0, "noise": None, "threshold": None, "issues": 0}


def test_from_python_and_the_same_each_time(zoo: Sandbox) -> None:
    found = Project.load(zoo.root).issues("t", label_set="both", limit=3)
    assert [i.item for i in found.issues] == [i["item"] for i in issues(zoo, "--label-set", "both")["issues"][:3]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("x",), "there is no task 'x'"),
        (("t", "--of", "labels"), "write one of: gold, annotations"),
        (("t", "--features", "luck"), "write one of: votes, text"),
        (("t", "--gold", "tset"), "'tset' is no split"),
        (("t", "--of", "annotations", "--gold", "test"), "it does not go with --of annotations"),
        (("t", "--label-set", "n"), "there is no label model of task 't'"),
    ],
)
def test_a_mistake_is_explained(options: tuple[str, ...], said: str, zoo: Sandbox) -> None:
    assert said in zoo("issues", *options, code=2).err


def test_not_built_and_without_a_label_model(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, FILES)
    assert "has not been built" in sandbox("issues", "t", code=2).err
    sandbox.write({"label_models/m.yml": "label_models: []\n"})
    assert "task 't' has no label model" in sandbox("issues", "t", code=2).err


@pytest.mark.parametrize("kind", ["choice", "multichoice", "ordinal"])
@pytest.mark.parametrize("rows", [[], ["k1,groß,größe,tune"], ["k1,groß,,tune", "k2,東京,,tune"]])
def test_hardly_any_items(rows: list[str], kind: str, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, unicode_project(rows, kind))
    sandbox("build", code=None)
    assert issues(sandbox, task="sort")["issues"] == []
    assert sandbox("issues", "sort").out.startswith("task sort: ")
    assert "no annotators, so there is nothing to judge" in sandbox("issues", "sort", "--of", "annotations").out
    if not any("größe" in row for row in rows):
        assert "no item has gold" in sandbox("issues", "sort").out


def test_one_class_is_nothing_for_a_classifier_of_texts(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    sandbox = Sandbox(tmp_path, unicode_project([f"k{n},groß {n},größe,tune" for n in range(9)]))
    sandbox("build", code=None)
    assert "there are not texts of two classes" in sandbox("issues", "sort", "--features", "text", code=2).err


def test_one_judged_item_alone(tmp_path: Path) -> None:
    files = unicode_project(["🔑1,groß,größe,tune"]) | {"annotations/sort/kim.csv": "item,label\n🔑1,größe\n"}
    sandbox = Sandbox(tmp_path, files)
    sandbox("build", code=None)
    assert issues(sandbox, "--of", "annotations", task="sort")["given"] == 1


def test_multichoice_is_judged_label_by_label_and_corrected_whole(tmp_path: Path) -> None:
    jp, size = "日本", "größe"
    assert {jp, size} <= set(LABELS)
    rows = [f"a{n},東京 groß,{jp}|{size},tune" for n in range(12)] + [f"b{n},groß,{size},tune" for n in range(12)]
    rows.append(f"🔑,東京 groß,{size},tune")
    sandbox = Sandbox(tmp_path, unicode_project(rows, "multichoice"))
    sandbox("build", code=None)
    found = issues(sandbox, task="sort")
    (issue,) = (i for i in found["issues"] if i["item"] == "🔑")
    assert (issue["given"], issue["suggested"]) == (f"not {jp}", jp)
    assert set(json.loads(issue["line"])["label"]) == {jp, size}


def test_two_issues_of_one_answer_have_one_line(tmp_path: Path) -> None:
    jp, size = "日本", "größe"
    other = next(label for label in LABELS if label not in (jp, size))
    rows = [f"a{n},東京 groß,{jp}|{size},tune" for n in range(14)] + [f"b{n},x,{other},tune" for n in range(14)]
    rows.append(f"🔑,東京 groß,{other},tune")
    sandbox = Sandbox(tmp_path, unicode_project(rows, "multichoice"))
    sandbox("build", code=None)
    found = [i for i in issues(sandbox, task="sort")["issues"] if i["item"] == "🔑"]
    assert sorted(i["suggested"] for i in found) == sorted([jp, size])
    assert [set(json.loads(i["line"])["label"]) for i in found] == [{jp, size, other}] * 2
    assert sandbox("issues", "sort", "--of", "gold").out.count('"item": "🔑"') == 1


# ---------------------------------------------------------------------------- a judgment that is corrected

KEY = 'i,"3" größe 東京'


def judged(files: dict[str, str]) -> dict[str, str]:
    """A project in which ben says dog of what is a cat by all others; ``files`` hold his judgments."""
    keys = [KEY, *(f"i{n}" for n in range(9))]
    items = [{"id": key, "text": "purr meow" if n < 5 else "bark"} for n, key in enumerate(keys)]
    ann = [{"item": key, "label": "cat" if n < 5 else "dog", "annotator": "ann"} for n, key in enumerate(keys)]
    return {
        **{name: text for name, text in FILES.items() if not name.startswith(("annotations/", "label_models/"))},
        "a.jsonl": "".join(f"{json.dumps(item)}\n" for item in items),
        "tasks/t.yml": "tasks:\n  - {name: t, labels: [cat, dog], dataset: ref('a'), key: id, show: [text]}\n",
        "labeling_functions/t/w.yml": "labeling_functions:\n  - {name: purr, label: cat, any_of: [purr]}\n"
        "  - {name: bark, label: dog, any_of: [bark]}\n",
        "annotations/t/ann.jsonl": "".join(f"{json.dumps(line)}\n" for line in ann),
        "label_models/m.yml": "label_models:\n  - {name: m, task: t, type: majority}\n",
        **files,
    }


def votes_of_people(sandbox: Sandbox) -> dict[tuple[str, str], str]:
    """Item and annotator -> label, as label models hear them."""
    votes = {}
    found = []
    for file in sorted((sandbox.root / "annotations/t").glob("*.[jc]s*")):
        for row in sandbox.rows(f"annotations.t.{file.stem}"):
            found.append((instant(row["at"] or ""), file.name, row))
    for _, _, row in sorted(found, key=lambda one: one[:2]):
        votes[row["id"], row["annotator"]] = row["label"]
    return votes


BY_BEN = {
    "jsonl": {
        "annotations/t/ben.jsonl": f'{{"item": {json.dumps(KEY)}, "label": "dog", "at": "2026-04-01T09:00:00Z"}}\n'
        '{"item": "i6", "label": "dog", "at": "2026-04-01T09:00:09Z"}\n'
    },
    "csv": {
        "annotations/t/ben.csv": 'item,label,at,seconds\n"i,""3"" größe 東京",dog,2026-04-01T09:00:00Z,3\n'
        "i6,dog,2026-04-01T09:00:09Z,\n"
    },
    "csv of several, with columns and values": {
        "annotations/t/crowd.csv": 'who,when,what,answer\nben,2026-04-01 09:00,"i,""3"" größe 東京",1\n'
        "ben,2026-04-01 09:01,i6,1\ncid,2026-04-01 09:01,i6,1\n",
        "annotations/t/_meta.yml": "files:\n  crowd.csv:\n    values: {0: cat, 1: dog}\n"
        "    columns: {item: what, label: answer, annotator: who, at: when}\n",
    },
    "the later of two files": {
        "annotations/t/ben.csv": 'item,label,at\ni6,dog,2026-04-01\n"i,""3"" größe 東京",cat,2026-04-01\n',
        "annotations/t/more.jsonl": f'{{"item": {json.dumps(KEY)}, "label": "dog", "annotator": "ben", '
        '"at": "2026-04-01T09:00:00+02:00"}\n',
    },
    "the one of two files that is later in time": {
        "annotations/t/ben.csv": 'item,label,at\ni6,dog,2026-04-01\n"i,""3"" größe 東京",dog,2026-04-01T09:00:00Z\n',
        "annotations/t/more.jsonl": f'{{"item": {json.dumps(KEY)}, "label": "cat", "annotator": "ben", '
        '"at": "2026-03-01"}\n',
    },
}


@pytest.mark.parametrize("form", BY_BEN)
def test_the_line_to_append_mends_it(form: str, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, judged(BY_BEN[form]))
    sandbox.spawn("build")
    before = votes_of_people(sandbox)
    found = sandbox.spawn("issues", "t", "--of", "annotations", "--format", "json").json
    (issue,) = found["issues"]
    assert (issue["item"], issue["by"], issue["given"], issue["suggested"]) == (KEY, "ben", "dog", "cat")
    assert issue["file"] == issue["place"].rpartition(":")[0]
    text = sandbox.spawn("issues", "t", "--of", "annotations").out
    assert f"\n    {issue['file']}: {issue['line']}\n" in text
    assert "append its line to the file" in text
    assert "write the time of the correction there" in text

    with (sandbox.root / issue["file"]).open("a", encoding="utf-8") as file:
        file.write(issue["line"] + "\n")
    sandbox.spawn("build")
    after = votes_of_people(sandbox)
    assert (before.pop((KEY, "ben")), after.pop((KEY, "ben"))) == ("dog", "cat")
    assert after == before
    voters = [voter["voter"] for voter in sandbox("analyze", "t", "--format", "json").json["voters"]]
    assert sorted(voters) == sorted({"purr", "bark", *(who for _, who in before)})
    again = sandbox.spawn("issues", "t", "--of", "annotations", "--format", "json").json
    assert (again["given"], again["issues"]) == (found["given"], [])


def test_undated_judgments_have_no_line_to_append(tmp_path: Path) -> None:
    undated = f'{{"item": {json.dumps(KEY)}, "label": "dog"}}\n{{"item": "i6", "label": "dog"}}\n'
    sandbox = Sandbox(tmp_path, judged({"annotations/t/ben.jsonl": undated}))
    sandbox("build")
    (issue,) = issues(sandbox, "--of", "annotations")["issues"]
    assert (issue["place"], issue["file"], issue["line"]) == ("annotations/t/ben.jsonl:1", None, None)
    text = sandbox("issues", "t", "--of", "annotations").out
    assert "by ben at annotations/t/ben.jsonl:1\n" in text
    assert "no line to append: correct it at its place" in text
    assert "a judgment without 'at' is outdone by no other: if it is wrong indeed, correct its own line" in text
    assert "append its line" not in text
    # what is advised works, here and in the documentation
    mended = undated.replace('"dog"', '"cat"', 1)
    undo = [{"item": KEY, "op": "undo", "at": "2026-05-02"}, {"item": KEY, "label": "cat", "at": "2026-05-03"}]
    for text in (mended, undated + "".join(f"{json.dumps(line)}\n" for line in undo)):
        sandbox.write({"annotations/t/ben.jsonl": text})
        sandbox("build")
        assert votes_of_people(sandbox)[KEY, "ben"] == "cat"
        assert issues(sandbox, "--of", "annotations")["issues"] == []


def test_with_and_without_times_each_is_told_what_to_do(tmp_path: Path) -> None:
    files = BY_BEN["jsonl"] | {"annotations/t/cid.csv": "item,label\ni1,dog\ni6,dog\n"}
    sandbox = Sandbox(tmp_path, judged(files))
    sandbox("build")
    assert {i["by"]: i["file"] for i in issues(sandbox, "--of", "annotations")["issues"]} == {
        "ben": "annotations/t/ben.jsonl",
        "cid": None,
    }
    text = sandbox("issues", "t", "--of", "annotations").out
    assert "append its line to the file" in text
    assert "a judgment without 'at' is outdone by no other" in text


def test_of_a_multichoice_answer_the_line_is_that_of_the_file_that_is_heard(tmp_path: Path) -> None:
    jp, size = "日本", "größe"
    rows = [f"a{n},東京 groß,,tune" for n in range(9)] + [f"b{n},groß,,tune" for n in range(9)]
    said = [{"item": f"a{n}", "label": [jp, size], "at": "2026-01-02"} for n in range(9)]
    said += [{"item": f"b{n}", "label": [size], "at": "2026-01-02"} for n in range(9)]
    said[3]["label"] = []
    before = {"item": "a3", "label": ["ok"], "annotator": "kim", "at": "2026-01-01"}
    files = unicode_project(rows, "multichoice") | {
        "annotations/sort/zeta.jsonl": json.dumps(before) + "\n",
        "annotations/sort/kim.jsonl": "".join(json.dumps(line) + "\n" for line in said),
    }
    sandbox = Sandbox(tmp_path, files)
    sandbox("build")
    found = [i for i in issues(sandbox, "--of", "annotations", task="sort")["issues"] if i["item"] == "a3"]
    assert {i["suggested"] for i in found} == {jp, size}
    (line,) = {i["line"] for i in found}
    assert {i["file"] for i in found} == {"annotations/sort/kim.jsonl"}
    assert set(json.loads(line)["label"]) == {jp, size}  # what early.jsonl says is not heard
    assert json.loads(line)["at"] == "2026-01-02T00:00:01"
    assert sandbox("issues", "sort", "--of", "annotations").out.count('"item": "a3"') == 1


# ---------------------------------------------------------------------------- the method


def test_confident_learning_by_hand() -> None:
    given = np.array([0, 0, 0, 1, 1])
    shares = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]])
    found = confident_learning(given, shares)
    assert found.thresholds == pytest.approx([0.6, 0.75])
    assert found.issues.tolist() == [2]
    assert found.suggested.tolist() == [0, 0, 1, -1, 1]
    assert found.joint == pytest.approx(np.array([[2.0, 1.0], [0.0, 2.0]]))
    assert found.noise == pytest.approx([1 / 3, 0.0])


@given(st.integers(2, 5), st.integers(0, 40), st.integers(0, 10_000))
def test_the_joint_sums_to_what_is_given(k: int, size: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    labels, shares = chance.integers(0, k, size), chance.dirichlet(np.ones(k), size).reshape(size, k)
    found = confident_learning(labels, shares)
    assert found.joint.sum(axis=1) == pytest.approx(np.bincount(labels, minlength=k))
    assert (found.suggested[found.issues] != labels[found.issues]).all()
    order = chance.permutation(size)
    again = confident_learning(labels[order], shares[order])
    assert sorted(order[again.issues].tolist()) == sorted(found.issues.tolist())


def test_folds_spread_each_class() -> None:
    labels = np.repeat([0, 1], [10, 5])
    fold = folds_of(labels, np.arange(15)[::-1], 5)
    assert np.bincount(fold[:10]).tolist() == [2] * 5
    assert np.bincount(fold[10:]).tolist() == [1] * 5
