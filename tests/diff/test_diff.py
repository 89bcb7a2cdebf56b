"""What a change does to labels, counted by hand beside what ``teachkit diff`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.diff.conftest import Repo, repository

if TYPE_CHECKING:
    from pathlib import Path

STARS = "labeling_functions/mood/stars.sql"
WORDS = "labeling_functions/mood/words.yml"
REFUND = "labeling_functions/mood/refund.sql"
MODEL = "label_models/mood.yml"
DATA = "data/reviews.csv"

HARM = "{{ config(label='good') }}\nstars <= 2"
"""A labeling function that contradicts the stars; with weight enough it flips labels."""


def by_hand(before: dict[Any, Any], after: dict[Any, Any]) -> dict[str, Any]:
    """Flips and their matrix from two label sets."""
    both = before.keys() & after.keys()
    flips = [i for i in both if before[i] and after[i] and before[i] != after[i]]
    matrix: dict[str, dict[str, int]] = {}
    for item in flips:
        row = matrix.setdefault(before[item], {})
        row[after[item]] = row.get(after[item], 0) + 1
    return {
        "added": len(after.keys() - before.keys()),
        "removed": len(before.keys() - after.keys()),
        "compared": len(both),
        "flips": len(flips),
        "gained": sum(before[i] is None and after[i] is not None for i in both),
        "lost": sum(before[i] is not None and after[i] is None for i in both),
        "matrix": matrix,
    }


def check(repo: Repo, found: Any, before: dict[Any, Any], name: str = "moods", key: str = "id") -> None:
    """The counts of a diff are those counted by hand, and its causes add up to them."""
    repo("build", "-q", code=None)
    expected = by_hand(before, repo.labels(name, key))
    assert {k: found[k] for k in expected} == expected
    for kind in ("flips", "gained", "lost"):
        assert sum(c[kind] for c in found["causes"]) == found[kind]


def causes(found: Any) -> dict[str, int]:
    return {c["node"]: c["flips"] + c["gained"] + c["lost"] for c in found["causes"]}


# ---------------------------------------------------------------------------- nothing


def test_nothing_changed_is_said_in_one_line(repo: Repo) -> None:
    out = repo("diff", "--base", "main").out
    assert "No label changes: nothing that labels are made of changed." in out
    assert repo.diff()["unchanged"] is True


def test_a_refactoring_without_effect_says_exactly_that(repo: Repo) -> None:
    repo.write({STARS: "case when not (stars < 4) then 'good' when stars <= {{ var('low') }} then 'bad' end\n"})
    lines = repo("diff", "--base", "main", "-q").out.splitlines()
    said = "No label changes: 1 node changed (lf.mood.stars), and all votes and labels are the same, bit for bit."
    assert said in lines
    found = repo.diff()
    assert found["unchanged"] is True
    assert [(c["node"], c["change"]) for c in found["changes"]] == [("lf.mood.stars", "modified")]


def test_comments_and_layout_are_no_change(repo: Repo) -> None:
    repo.write({STARS: "-- five stars\n" + repo.read(STARS)})
    assert repo.diff()["changes"] == []


# ---------------------------------------------------------------------------- one change


def test_a_changed_labeling_function(repo: Repo) -> None:
    before = repo.labels("moods")
    repo.write({STARS: "case when stars >= 2 then 'good' end\n"})
    found = repo.labels_diff()
    assert found["flips"] + found["lost"] + found["gained"] > 0
    assert list(causes(found)) == ["lf.mood.stars"]
    check(repo, found, before)


def test_a_new_and_a_gone_labeling_function(repo: Repo) -> None:
    before = repo.labels("moods")
    repo.write({"labeling_functions/mood/harm.sql": HARM})
    found = repo.labels_diff()
    assert [(c["node"], c["change"]) for c in found["causes"]] == [("lf.mood.harm", "added")]
    check(repo, found, before)
    repo.git("stash", "-qu")
    repo.write({STARS: None})
    found = repo.labels_diff()
    assert [(c["node"], c["change"]) for c in found["causes"]] == [("lf.mood.stars", "removed")]
    check(repo, found, before)


def test_a_voter_says_what_it_gained_and_lost(repo: Repo) -> None:
    votes = "select id, stars from votes.mood"
    before = {r["id"]: r["stars"] for r in repo("sql", votes, "--limit", "-1", "--format", "json").json["rows"]}
    repo.write({STARS: "case when stars >= 5 then 'good' when stars <= 3 then 'bad' end\n"})
    voter = repo.diff()["voters"][0]
    repo("build", "-q", code=None)
    after = {r["id"]: r["stars"] for r in repo("sql", votes, "--limit", "-1", "--format", "json").json["rows"]}
    assert voter["node"] == "lf.mood.stars"
    assert voter["gained"] == sum(before[i] is None and after[i] is not None for i in before)
    assert voter["lost"] == sum(before[i] is not None and after[i] is None for i in before)
    assert voter["changed"] == sum(None not in (before[i], after[i]) and before[i] != after[i] for i in before)
    assert voter["votes_before"] == sum(v is not None for v in before.values())
    assert voter["gained"] and voter["lost"]
    gold = {
        r["id"]: "good" if r["mood"] == "+" else "bad"
        for r in repo.rows("reviews")
        if r["mood"] and r["split"] != "test"
    }
    said = [(after[i], gold[i]) for i in gold if after[i] is not None]
    assert voter["gold_after"] == len(said)
    assert voter["precision_after"] == pytest.approx(sum(a == b for a, b in said) / len(said))


def test_another_label_model(repo: Repo) -> None:
    before = repo.labels("moods")
    repo.replace(MODEL, "type: majority", "type: dawid_skene")
    found = repo.labels_diff()
    check(repo, found, before)
    assert set(causes(found)) <= {"label_set.moods"}
    assert found["moved"]


def test_a_voter_left_out_by_the_label_model_is_the_label_models_change(repo: Repo) -> None:
    before = repo.labels("moods")
    repo.replace(MODEL, "type: majority", 'type: majority\n    voters: ["*", "-stars"]')
    found = repo.labels_diff()
    assert list(causes(found)) == ["label_set.moods"]
    check(repo, found, before)


def test_judgments_of_a_person(repo: Repo) -> None:
    before = repo.labels("moods")
    repo.write({"annotations/mood/bea.jsonl": "".join(f'{{"item": "{i}", "label": "bad"}}\n' for i in before)})
    found = repo.labels_diff()
    assert list(causes(found)) == ["annotations.mood.bea"]
    assert causes(found)["annotations.mood.bea"]
    check(repo, found, before)
    voter = repo.diff()["voters"][0]
    assert (voter["node"], voter["change"], voter["votes_after"]) == ("annotations.mood.bea", "added", len(before))


def test_a_curator_decides(repo: Repo) -> None:
    before = repo.labels("moods")
    other = {i: "bad" if label == "good" else "good" for i, label in before.items() if label}
    item = next(iter(other))
    repo.write(
        {
            "annotations/mood/_meta.yml": "files:\n  chief.jsonl: {role: curator}\n",
            "annotations/mood/chief.jsonl": f'{{"item": "{item}", "label": "{other[item]}"}}\n',
        }
    )
    found = repo.labels_diff()
    assert causes(found) == {"annotations.mood.chief": 1}
    assert found["examples"][0]["item"] == item
    check(repo, found, before)


# ---------------------------------------------------------------------------- data


def test_rows_that_are_new_gone_and_changed(repo: Repo) -> None:
    before = repo.labels("moods")
    lines = repo.read(DATA).splitlines()
    changed = [*lines[:3], lines[3].replace('"', '"no refund: '[:-1] + " ", 1), *lines[5:], 'r999,"love it",5,,train']
    changed[2] = changed[2].replace(",1,", ",5,").replace(",2,", ",5,")
    repo.write({DATA: "\n".join(changed) + "\n"})
    found = repo.diff()
    data = found["data"][0]
    assert (data["node"], data["new"], data["gone"], data["changed"]) == ("transform.reviews", 1, 1, 2)
    assert data["columns"] == ["text", "stars"]
    labels = found["label_sets"][0]
    assert list(causes(labels)) == ["source.shop.reviews"]
    check(repo, labels, before)


def test_a_transform_that_reads_otherwise_is_named(repo: Repo) -> None:
    before = repo.labels("moods")
    repo.replace("transforms/reviews.sql", "select id, text, stars", "select id, text, 6 - stars as stars")
    found = repo.labels_diff()
    assert list(causes(found)) == ["transform.reviews"]
    assert found["flips"]
    check(repo, found, before)


# ---------------------------------------------------------------------------- several changes


def alone(repo: Repo, name: str, changes: dict[str, str | None]) -> dict[Any, Any]:
    """The labels with some changes applied to main, from a build of its own."""
    other = Repo(repo.copy(repo.root.parent / name).root)
    other.git("stash", "-qu")
    other.git("switch", "-q", "main")
    other.write(changes)
    other("build", "-q", code=None)
    return other.labels("moods")


def test_each_of_several_changes_is_tried_alone(repo: Repo) -> None:
    before = repo.labels("moods")
    changes: dict[str, dict[str, str | None]] = {
        "lf.mood.stars": {STARS: "case when stars >= 2 then 'good' end\n"},
        "lf.mood.refund": {REFUND: "{{ config(label='bad') }}\ntext like '%lamp%'\n"},
        "source.shop.reviews": {DATA: repo.read(DATA).replace("great value", "terrible, broken")},
        "annotations.mood.ann": {"annotations/mood/ann.jsonl": '{"item": "r004", "label": "good"}\n'},
        "label_set.moods": {MODEL: repo.read(MODEL).replace("majority", "dawid_skene")},
    }
    for files in changes.values():
        repo.write(files)
    found = repo.labels_diff()
    check(repo, found, before)
    after = repo.labels("moods")
    tried = {node: alone(repo, f"only-{n}", files) for n, (node, files) in enumerate(changes.items())}
    moved = [i for i in before if i in after and before[i] != after[i]]
    assert moved
    for item in moved:
        makers = {node for node, labels in tried.items() if labels.get(item) == after[item]}
        example = next(e for e in repo.labels_diff("--limit", "100")["examples"] if e["item"] == item)
        assert example["cause"] in (makers or {"interaction"}), (item, makers, example)
    assert set(causes(found)) - {"interaction"} <= set(changes)


def test_what_no_change_does_alone_is_interaction(repo: Repo) -> None:
    """Two new voters outvote one only together."""
    repo.write({REFUND: None, WORDS: None, "labeling_functions/mood/style.py": None, "tests/rules.yml": None})
    repo.write({"labeling_functions/mood/blame.txt": None, "annotations/mood/ann.jsonl": None})
    repo("build", "-q", code=None)
    repo.commit()
    repo.git("branch", "-qf", "main", "work")
    before = repo.labels("moods")
    repo.write({f"labeling_functions/mood/{n}.sql": HARM for n in ("one", "two")})
    found = repo.labels_diff()
    check(repo, found, before)
    assert found["flips"]
    assert causes(found) == {"lf.mood.one": found["lost"], "lf.mood.two": 0, "interaction": found["flips"]} or causes(
        found
    ) == {"lf.mood.one": 0, "lf.mood.two": 0, "interaction": found["flips"] + found["lost"]}


def test_the_same_answer_comes_from_a_store_that_has_nothing(repo: Repo, tmp_path: Path) -> None:
    repo.write({STARS: "case when stars >= 2 then 'good' end\n", REFUND: "{{ config(label='good') }}\ntrue\n"})
    known = repo.diff()
    import shutil

    shutil.rmtree(repo.root / ".teachkit")
    again = repo.diff()
    for each in (known, again):
        for label_set in each["label_sets"]:
            label_set.pop("test_looks")
    assert known == again


# ---------------------------------------------------------------------------- nothing else is touched


def test_nothing_but_the_store_is_touched(repo: Repo) -> None:
    repo.write({STARS: "case when stars >= 2 then 'good' end\n"})
    index = (repo.root / ".git/index").read_bytes()
    before = repo.state()
    repo("diff", "--base", "main")
    assert repo.state() == before
    assert (repo.root / ".git/index").read_bytes() == index
    assert not (repo.root / "target").joinpath("diff").exists()
    assert repo.git("worktree", "list").count("\n") == 0


def test_two_revisions_without_the_working_tree(repo: Repo) -> None:
    repo.write({STARS: "case when stars >= 2 then 'good' end\n"})
    first = repo.commit()
    expected = repo.labels_diff()
    repo.write({STARS: "case when stars >= 5 then 'good' end\n", "tasks/mood.yml": "nonsense"})
    found = repo.labels_diff("--head", first)
    assert {k: found[k] for k in ("flips", "matrix", "causes")} == {
        k: expected[k] for k in ("flips", "matrix", "causes")
    }
    backwards = repo("diff", "--base", "work", "--head", "main", "--format", "json", "-q").json["label_sets"][0]
    assert (backwards["gained"], backwards["lost"]) == (found["lost"], found["gained"])


def test_a_repeated_look_at_the_test_split_is_counted_once(repo: Repo) -> None:
    repo.write({STARS: "case when stars >= 2 then 'good' end\n"})
    first = repo.labels_diff()["test_looks"]
    assert repo.labels_diff()["test_looks"] == first
    repo.write({STARS: "case when stars >= 3 then 'good' end\n"})
    assert repo.labels_diff()["test_looks"] > first


def test_the_project_may_lie_in_a_folder_of_the_repository(tmp_path: Path) -> None:
    from tests.build.test_git import git
    from tests.sandbox import REVIEWS

    inner = Repo(tmp_path / "all" / "labels é", REVIEWS)
    inner.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(tmp_path / "all", "init", "-q")
    inner("build", "-q")
    inner.commit()
    inner.write({STARS: "case when stars >= 2 then 'good' end\n"})
    assert inner.labels_diff()["lost"]


# ---------------------------------------------------------------------------- other projects


MULTI: dict[str, str | None] = {
    "tasks/mood.yml": """
        tasks:
          - name: mood
            kind: multichoice
            labels: [good, bad, "übel", d, e, f, g]
            dataset: ref('reviews')
            key: id
        """,
    "labeling_functions/mood/words.yml": """
        labeling_functions:
          - {name: praise, label: good, any_of: [love, great]}
          - {name: blame, label: "übel", any_of: [broken, terrible]}
        """,
    "labeling_functions/mood/stars.sql": "{{ config(label='bad') }}\nstars <= 2\n",
    "labeling_functions/mood/style.py": None,
    "labeling_functions/mood/blame.txt": None,
    "annotations/mood/ann.jsonl": None,
    "label_models/mood.yml": """
        label_models:
          - name: moods
            task: mood
            type: majority
            class_prior: {good: 0.2, bad: 0.2, "übel": 0.2, d: 0.1, e: 0.1, f: 0.1, g: 0.1}
        """,
    "exports/train.yml": None,
    "tests/rules.yml": None,
}


def test_several_labels_for_an_item(tmp_path: Path) -> None:
    repo = repository(tmp_path / "multi", MULTI)
    before = repo.labels("moods")
    repo.write({"labeling_functions/mood/stars.sql": "{{ config(label='bad') }}\nstars <= 1\n"})
    found = repo.labels_diff()
    repo("build", "-q")
    after = repo.labels("moods")
    flips = [i for i in before if before[i] is not None and after[i] is not None and set(before[i]) != set(after[i])]
    assert found["flips"] == len(flips) > 0
    gone = sum("bad" in before[i] and "bad" not in after[i] for i in flips)
    assert found["matrix"]["bad"] == {"not bad": gone}
    assert causes(found) == {"lf.mood.stars": found["flips"] + found["lost"] + found["gained"]}
    assert "not bad" in repo("diff", "--base", "main", "--format", "markdown", "-q").out


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows(tmp_path: Path, rows: int) -> None:
    data = "id,text,stars,mood,split\n" + 'r1,"love it",5,+,test\n' * rows
    model = "label_models:\n  - {name: moods, task: mood, type: majority}\n"
    files = {DATA: data, MODEL: model, "annotations/mood/ann.jsonl": None}
    repo = repository(tmp_path / "few", files)
    repo.write({STARS: "case when stars >= 2 then 'bad' end\n"})
    found = repo.labels_diff()
    assert found["items_after"] == rows
    for form in ("text", "markdown", "html"):
        repo("diff", "--base", "main", "--format", form)


def test_a_python_function_and_a_class_of_the_projects_own(repo: Repo) -> None:
    own = """
        import numpy as np

        class First:
            def fit(self, votes, **_):
                self.k = votes.n_labels
                return self

            def predict_proba(self, votes):
                shares = np.full((votes.n_items, self.k), 0.0)
                shares[:, SIDE] = 1.0
                return shares
        """
    repo.write({"label_models/own.py": own.replace("SIDE", "0")})
    repo.replace(MODEL, "type: majority", "type: label_models/own.py:First")
    repo("build", "-q", code=None)
    repo.commit()
    repo.git("branch", "-qf", "main", "work")
    repo.write({"label_models/own.py": own.replace("SIDE", "1")})
    repo.replace("labeling_functions/mood/style.py", "< 4", "< 9")
    found = repo.labels_diff()
    assert causes(found)["label_set.moods"] == found["flips"] == found["compared"]


GOLD_MODEL = """
    label_models:
      - {name: moods, task: mood, type: dawid_skene, gold: tune, prefer_gold: true, unlabeled: drop}
    """


def test_gold_that_the_label_model_is_fitted_to_is_a_cause(tmp_path: Path) -> None:
    """Items without votes are left out here, so rows of the label set are not those of the dataset."""
    files = {MODEL: GOLD_MODEL, "exports/train.yml": None, "annotations/mood/ann.jsonl": None}
    repo = repository(tmp_path / "gold", files)
    before = repo.labels("moods")
    tune = [r["id"] for r in repo.rows("reviews") if r["split"] == "tune"]
    repo.write(
        {
            "annotations/mood/_meta.yml": "files:\n  panel.csv: {role: gold}\n",
            "annotations/mood/panel.csv": "item,label\n" + "".join(f"{i},bad\n" for i in tune),
        }
    )
    found = repo.labels_diff()
    assert set(causes(found)) == {"annotations.mood.panel"}
    assert found["flips"] > 0
    assert found["gold_changed"] is True
    check(repo, found, before)
    repo.replace(STARS, "stars >= 4", "stars >= 5")
    repo.write({"labeling_functions/mood/more.sql": "{{ config(label='bad') }}\ntrue\n"})
    found = repo.labels_diff()
    assert found["added"] > 0
    check(repo, found, before)
    assert {"annotations.mood.panel", "lf.mood.more", "lf.mood.stars"} <= set(causes(found)) | {"lf.mood.stars"}


def test_a_changed_role_is_the_change_of_its_file(tmp_path: Path) -> None:
    files = {"annotations/mood/ann.jsonl": "".join(f'{{"item": "r{i:03}", "label": "bad"}}\n' for i in range(1, 30))}
    repo = repository(tmp_path / "role", files)
    before = repo.labels("moods")
    repo.write({"annotations/mood/_meta.yml": "files:\n  ann.jsonl: {role: curator}\n"})
    found = repo.labels_diff()
    assert set(causes(found)) == {"annotations.mood.ann"}
    assert found["flips"] > 0
    check(repo, found, before)


def test_labels_of_a_task_that_reads_another_label_set(tmp_path: Path) -> None:
    """A change upstream of another label set is a change of data here."""
    files = {
        "transforms/second.sql": "select r.id, r.text, m.label as first from {{ ref('reviews') }} r "
        "join {{ ref('moods') }} m on m.id = r.id",
        "tasks/next.yml": "tasks:\n  - {name: next, labels: [yes_, no_], dataset: ref('second'), key: id}\n",
        "labeling_functions/next/first.sql": "case first when 'good' then 'yes_' when 'bad' then 'no_' end\n",
        "label_models/next.yml": "label_models:\n  - {name: nexts, task: next, type: majority}\n",
    }
    repo = repository(tmp_path / "two", files)
    before = repo.labels("nexts")
    repo.write({"labeling_functions/mood/harm.sql": "{{ config(label='bad') }}\nstars >= 4\n"})
    repo.write({STARS: "case when stars >= 5 then 'good' end\n"})
    found = repo.labels_diff(name="nexts")
    check(repo, found, before, name="nexts")
    assert list(causes(found)) == ["label_set.moods"]
    assert found["lost"] + found["flips"] > 0


def test_a_class_of_the_projects_own_that_fails_on_one_change_alone(repo: Repo) -> None:
    """It takes both new voters or none: alone, neither can be tried, and no figure is made up."""
    own = """
        import numpy as np

        class Fussy:
            def fit(self, votes, **_):
                print("fitting")
                if len([v for v in votes.voters if v in ("one", "two")]) == 1:
                    raise ValueError("one of two")
                self.k = votes.n_labels
                return self

            def predict_proba(self, votes):
                shares = np.zeros((votes.n_items, self.k))
                shares[:, int("one" in votes.voters)] = 1.0
                return shares
        """
    repo.write({"label_models/own.py": own})
    repo.replace(MODEL, "type: majority", "type: label_models/own.py:Fussy")
    repo("build", "-q", code=None)
    repo.commit()
    repo.git("branch", "-qf", "main", "work")
    repo.write({f"labeling_functions/mood/{n}.sql": HARM for n in ("one", "two")})
    found = repo.labels_diff()
    assert found["flips"] == found["compared"]
    assert causes(found)["interaction"] == found["flips"]
    assert any("causes cannot be told apart" in note and "one of two" in note for note in found["notes"])


def test_where_no_label_changes_the_posteriors_that_moved_most_are_shown(repo: Repo) -> None:
    repo.write({"labeling_functions/mood/more.sql": "{{ config(label='bad') }}\nstars >= 4 and text like '%l%ve%'\n"})
    found = repo.labels_diff("--limit", "3")
    assert (found["status"], found["flips"], found["gained"], found["lost"]) == ("moved", 0, 0, 0)
    shifts = [e["shift"] for e in found["examples"]]
    assert len(shifts) == 3
    assert shifts == sorted(shifts, reverse=True)
    assert shifts[0] == pytest.approx(found["largest_shift"])
    assert all(e["before"] == e["after"] for e in found["examples"])
    assert "items that moved most" in repo("diff", "--base", "main").out
