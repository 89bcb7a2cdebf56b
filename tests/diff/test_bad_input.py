"""What cannot be compared: a clear error, or a clear partial answer, and never a wrong figure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.diff.conftest import Repo, repository
from tests.llm.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox import Sandbox

STARS = "labeling_functions/mood/stars.sql"
TASK = "tasks/mood.yml"
MODEL = "label_models/mood.yml"
LESS = "case when stars >= 2 then 'good' end\n"


def plain(repo: Repo) -> dict[str, str | None]:
    """Files without what names the task's labels in other places."""
    return {"exports/train.yml": None, "tests/rules.yml": None}


def forms(repo: Sandbox) -> str:
    """The comment; every other form is written, too."""
    for form in ("text", "html", "json"):
        repo("diff", "--base", "main", "--format", form, "-q")
    return repo("diff", "--base", "main", "--format", "markdown", "-q").out


# ---------------------------------------------------------------------------- git


def test_without_git(built: Sandbox) -> None:
    found = built("diff", "--base", "main", code=2)
    assert "[no-git]" in found.err
    assert "[no-git]" in built("diff", code=2).err


def test_an_unknown_revision(repo: Repo) -> None:
    found = repo("diff", "--base", "mian", code=2)
    assert "git has no revision 'mian'" in found.err
    assert "[unknown-revision]" in repo("diff", "--base", "main", "--head", "--help", code=2).err


def test_a_shallow_clone(repo: Repo, tmp_path: Path) -> None:
    repo.write({STARS: LESS})
    repo.commit()
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.root}", str(tmp_path / "clone"))
    found = Repo(tmp_path / "clone")("diff", "--base", "main", code=2)
    assert "[shallow-clone]" in found.err
    assert "git fetch --unshallow" in found.err


def test_the_base_is_found_where_head_left_the_main_branch(repo: Repo) -> None:
    repo.git("switch", "-q", "main")
    repo.write({"labeling_functions/mood/refund.sql": "{{ config(label='good') }}\ntrue\n"})
    repo.commit("main goes on")
    repo.git("switch", "-q", "work")
    repo.write({STARS: LESS})
    found = repo("diff", "--format", "json", "-q").json
    assert [c["node"] for c in found["changes"]] == ["lf.mood.stars"]


def test_an_unknown_label_set(repo: Repo) -> None:
    found = repo("diff", "--base", "main", "--label-set", "mods", code=2)
    assert "neither side has a label set 'mods'" in found.err
    assert "Did you mean 'moods'?" in found.err


# ---------------------------------------------------------------------------- base


def test_a_base_without_a_lock(repo: Repo) -> None:
    repo.git("switch", "-q", "main")
    repo.git("rm", "-q", "teachkit.lock")
    repo.commit("no lock")
    repo.git("switch", "-q", "work")
    repo.write({STARS: LESS})
    found = repo.diff()
    assert "the base has no teachkit.lock" in found["notes"]
    assert found["label_sets"][0]["lost"] > 0


def test_a_base_that_does_not_compile(repo: Repo) -> None:
    expected = repo.labels("moods")
    repo.git("switch", "-q", "main")
    repo.replace(STARS, "stars >= 4", "starz >= 4")
    repo.commit("broken")
    repo.write({STARS: LESS})
    found = repo.diff()
    assert "has no column 'starz'" in found["base"]["problem"]
    labels = found["label_sets"][0]
    assert labels["compared"] == len(expected)
    assert labels["lost"] > 0
    assert labels["causes"] == []
    assert any("causes cannot be told" in note for note in labels["notes"])
    assert "**The base does not compile:**" in forms(repo)


def test_a_base_that_does_not_compile_and_labels_that_are_nowhere(repo: Repo) -> None:
    import shutil

    repo.git("switch", "-q", "main")
    repo.replace(STARS, "stars >= 4", "starz >= 4")
    repo.commit("broken")
    repo.write({STARS: LESS})
    shutil.rmtree(repo.root / ".teachkit")
    labels = repo.labels_diff()
    assert labels["status"] == "unknown"
    assert labels["flips"] is None
    assert labels["notes"] == ["the labels that teachkit.lock of the base names are not in this store"]
    assert "cannot be compared" in forms(repo)


def test_a_base_from_before_the_project(repo: Repo) -> None:
    repo.git("switch", "-q", "--orphan", "empty")
    repo.write({"README.md": "nothing yet"})
    repo.git("add", "README.md")
    repo.git("commit", "-qm", "empty")
    repo.git("switch", "-q", "work")
    found = repo("diff", "--base", "empty", "--format", "json", "-q").json
    assert "no teachkit.yml" in found["base"]["problem"]
    assert "teachkit-" not in found["base"]["problem"]
    assert [(s["name"], s["status"]) for s in found["label_sets"]] == [("moods", "added")]


def test_a_head_that_does_not_compile_is_an_error(repo: Repo) -> None:
    repo.replace(STARS, "stars >= 4", "starz >= 4")
    found = repo("diff", "--base", "main", code=2)
    assert f"{STARS}:1" in found.err
    assert "starz" in found.err
    repo.commit()
    again = repo("diff", "--base", "main", "--head", "work", code=2)
    assert f"{STARS}:1" in again.err
    assert "teachkit-" not in again.err


@pytest.mark.parametrize("where", ["base", "head"])
@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ("version: 1\n<<<<<<< HEAD\nlabel_sets: {}\n=======\nlabel_sets:\n>>>>>>> other\n", "merge conflict"),
        ("version: 999\n\nlabel_sets: {}\n", "version 999"),
        ("nonsense\n", "line 1"),
    ],
)
def test_a_lock_that_cannot_be_read(repo: Repo, where: str, lock: str, said: str) -> None:
    if where == "base":
        repo.git("switch", "-q", "main")
    before = repo.labels("moods")
    repo.write({"teachkit.lock": lock})
    if where == "base":
        repo.commit("a bad lock")
    repo.write({STARS: LESS})
    found = repo.diff()
    assert any(note.startswith(f"{where}: ") and said in note for note in found["notes"]), found["notes"]
    assert found["label_sets"][0]["compared"] == len(before)
    assert found["label_sets"][0]["lost"] > 0


def test_a_lock_that_names_other_labels_than_its_files_give(repo: Repo) -> None:
    repo.git("switch", "-q", "main")
    repo.write({STARS: LESS})
    repo.commit("the lock was forgotten")
    repo.git("switch", "-qc", "next")
    notes = repo.diff()["notes"]
    assert len(notes) == 2
    assert "teachkit.lock of the base names other labels of moods" in notes[0]


# ---------------------------------------------------------------------------- tasks


def test_renamed_labels(repo: Repo) -> None:
    repo.write({**plain(repo), STARS: "case when stars >= 4 then 'fine' when stars <= 2 then 'bad' end\n"})
    repo.write({TASK: repo.read(TASK).replace("good", "fine")})
    for name in ("words.yml", "style.py"):
        path = f"labeling_functions/mood/{name}"
        repo.write({path: repo.read(path).replace("good", "fine")})
    repo.write({"annotations/mood/ann.jsonl": repo.read("annotations/mood/ann.jsonl").replace("good", "fine")})
    before = {i: v for i, v in repo.labels("moods").items() if v == "good"}
    labels = repo.labels_diff()
    assert any("gone: good; new: fine" in note for note in labels["notes"])
    assert labels["matrix"] == {"good": {"fine": len(before)}}
    assert "the labels of the task changed, so no change can be tried alone" in " ".join(labels["notes"])
    assert sum(c["flips"] for c in labels["causes"]) == labels["flips"]
    accuracy = {q["split"]: q for q in labels["quality"] if q["metric"] == "accuracy"}
    assert accuracy["test"]["after"] == 1.0
    assert labels["labels_gone"] == ["good"]
    forms(repo)
    comment = repo("diff", "--format", "markdown", "-q").out
    assert "Labels of the task are gone (good), so gold cannot tell whether that is better" in comment
    assert "etter on gold" not in comment
    assert "🟢" not in comment


def test_labels_in_another_order_are_the_same_labels(repo: Repo) -> None:
    repo.replace(TASK, "[good, bad]", "[bad, good]")
    labels = repo.labels_diff()
    assert (labels["flips"], labels["gained"], labels["lost"]) == (0, 0, 0)
    assert labels["status"] == "moved"
    assert labels["largest_shift"] < 1e-9


def test_a_label_more(repo: Repo) -> None:
    before = repo.labels("moods")
    repo.replace(TASK, "[good, bad]", "[good, bad, mixed]")
    repo.write({"labeling_functions/mood/mixed.sql": "{{ config(label='mixed') }}\ntext like '%lamp%'\n"})
    labels = repo.labels_diff()
    repo("build", "-q", code=None)
    after = repo.labels("moods")
    assert labels["flips"] == sum(None not in (before[i], after[i]) and before[i] != after[i] for i in before)
    assert any("new: mixed" in note for note in labels["notes"])
    assert labels["labels_gone"] == []


def test_a_renamed_task(repo: Repo) -> None:
    """The label set keeps its name, and its voters theirs: nothing has changed but a word."""
    repo.write(plain(repo))
    for folder in ("labeling_functions", "annotations"):
        (repo.root / folder / "mood").rename(repo.root / folder / "humour")
    repo.replace(TASK, "name: mood", "name: humour")
    repo.replace(MODEL, "task: mood", "task: humour")
    labels = repo.labels_diff()
    assert labels["task"] == "humour"
    assert (labels["flips"], labels["gained"], labels["lost"]) == (0, 0, 0)
    forms(repo)


def test_another_key_with_other_values(repo: Repo) -> None:
    repo.replace("transforms/reviews.sql", "select id,", "select 'x' || id as item, id,")
    repo.replace(TASK, "key: id", "key: item")
    repo.write({**plain(repo), "annotations/mood/ann.jsonl": None, "tests/labeled_once.sql": None})
    labels = repo.labels_diff()
    assert labels["status"] == "unknown"
    assert labels["flips"] is None
    assert "no item is in both: keys are 'id' before and 'item' after. Was the key changed?" in labels["notes"]
    assert "cannot be compared" in forms(repo)


def test_another_key_with_the_same_values(repo: Repo) -> None:
    repo.replace("transforms/reviews.sql", "select id,", "select id as item, id,")
    repo.replace(TASK, "key: id", "key: item")
    repo.write({**plain(repo), "tests/labeled_once.sql": None})
    labels = repo.labels_diff()
    assert labels["compared"] == labels["items_after"]
    assert (labels["flips"], labels["gained"], labels["lost"]) == (0, 0, 0)
    assert any("the key was 'id' and is 'item'" in note for note in labels["notes"])


def test_another_kind_of_task(repo: Repo) -> None:
    repo.write({**plain(repo), STARS: "{{ config(label='good') }}\nstars >= 4\n", "annotations/mood/ann.jsonl": None})
    repo.replace(TASK, "- name: mood", "- name: mood\n    kind: multichoice")
    labels = repo.labels_diff()
    assert labels["status"] == "unknown"
    assert any("the task is of another kind" in note for note in labels["notes"])
    forms(repo)


# ---------------------------------------------------------------------------- store


def test_objects_that_are_missing_are_made_again(repo: Repo) -> None:
    repo.write({STARS: LESS})
    repo("build", "-q", code=None)
    expected = repo.labels_diff()
    objects = sorted(repo.root.glob(".teachkit/objects/??/*"))
    for path in objects[::3]:
        path.unlink()
    found = repo.labels_diff()
    assert {k: found[k] for k in ("flips", "lost", "matrix", "causes")} == {
        k: expected[k] for k in ("flips", "lost", "matrix", "causes")
    }


# ---------------------------------------------------------------------------- prompts


PROMPT = "---\nmodel: tiny\nunvalidated: allow\n---\n# system\nGood or bad?\n\n# user\n{{ item.text }}\n"


def with_prompt(folder: Path, server: Server) -> Repo:
    profiles = (
        f"default: dev\ntargets:\n  dev:\n    memory: 500MB\n    llm:\n      providers:\n"
        f'        here: {{base_url: "{server.url}", model: tiny, concurrency: 4}}\n'
    )
    prices = "as_of: '2026-11-01'\nmodels:\n  tiny: {input: 1000, output: 1000}\n"
    return repository(folder, {"profiles.yml": profiles, "prompts/mood/ask.md": PROMPT, "prices.yml": prices})


def test_a_prompt_is_never_asked_for_a_diff(tmp_path: Path) -> None:
    with Server() as server:
        repo = with_prompt(tmp_path / "repo", server)
        asked = len(server.seen)
        assert asked
        repo.replace("prompts/mood/ask.md", "Good or bad?", "Is that good, or bad?")
        labels = repo.labels_diff()
        assert len(server.seen) == asked
        assert f"the head could not be built (prompt.mood.ask: {asked} of {asked} requests" in labels["notes"][0]
        assert "run 'teachkit build --select ask' first" in labels["notes"][0]
        assert (labels["cost_before"] > 0, labels["cost_after"]) == (True, None)
        shown = repo("diff").out
        assert "record" not in shown
        assert labels["notes"][0].endswith("its labels are not known")
        assert labels["status"] == "unknown"
        assert labels["flips"] is None
        assert "⚪" in forms(repo)


def test_a_prompt_that_was_asked_is_compared_with_what_it_cost(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Any:
        other = "Is that" in json.dumps(body)
        return {"label": "good" if other or "love" in json.dumps(body) else "bad"}

    with Server(answer=answer) as server:
        repo = with_prompt(tmp_path / "repo", server)
        before = repo.labels("moods")
        repo.replace("prompts/mood/ask.md", "Good or bad?", "Is that good, or bad?")
        repo("build", "-q", code=None)
        asked = len(server.seen)
        found = repo.diff()
        assert len(server.seen) == asked
        voter = next(v for v in found["voters"] if v["node"] == "prompt.mood.ask")
        assert voter["change"] == "modified"
        assert voter["changed"] > 0
        assert voter["kappa"] is not None
        assert voter["cost_after"] > 0
        assert voter["cost_before"] > 0
        assert voter["tokens_after"] > 0
        labels = found["label_sets"][0]
        assert labels["cost_after"] == pytest.approx(voter["cost_after"])
        assert labels["compared"] == len(before)


def test_a_base_whose_answers_are_gone_is_known_by_its_lock(tmp_path: Path) -> None:
    with Server() as server:
        repo = with_prompt(tmp_path / "repo", server)
        for path in (repo.root / ".teachkit/llm").glob("responses.sqlite*"):
            path.unlink()
        asked = len(server.seen)
        repo.write({STARS: LESS})
        labels = repo.labels_diff()
        assert len(server.seen) == asked
        assert labels["lost"] + labels["flips"] + labels["gained"] > 0
        assert list({c["node"] for c in labels["causes"]}) == ["lf.mood.stars"]


def test_on_main_a_change_is_compared_with_head_and_a_commit_with_the_one_before(repo: Repo) -> None:
    repo.git("switch", "-q", "main")
    assert "this is the first commit" in repo("diff", code=2).err
    repo.write({STARS: LESS})
    changed = repo("diff", "--format", "json", "-q").json
    assert [c["node"] for c in changed["changes"]] == ["lf.mood.stars"]
    repo.commit()
    again = repo("diff", "--format", "json", "-q").json
    assert again["changes"] == changed["changes"]


@pytest.mark.parametrize("what", ["added", "modified", "removed"])
def test_a_prompt_that_cannot_answer_about_the_other_data_stays_with_the_data(tmp_path: Path, what: str) -> None:
    with Server() as server:
        repo = with_prompt(tmp_path / "repo", server)
        if what == "added":
            repo.write({"prompts/mood/ask.md": None})
            repo("build", "-q")
            repo.commit()
            repo.git("branch", "-qf", "main", "work")
        before = repo.labels("moods")
        repo.write({"data/reviews.csv": repo.read("data/reviews.csv").replace("it is a lamp", "it is broken")})
        words = {"added": PROMPT.replace("Good", "Fine"), "modified": PROMPT.replace("Good", "Nice"), "removed": None}
        repo.write({"prompts/mood/ask.md": words[what]})
        repo("build", "-q", code=None)
        asked = len(server.seen)
        labels = repo.labels_diff()
        assert len(server.seen) == asked
        assert labels["compared"] == len(before)
        cause = next(c for c in labels["causes"] if c["change"] == "data")
        assert cause["nodes"] == ["source.shop.reviews", "prompt.mood.ask"]
        assert cause["node"] == "data"
        assert not any("cannot be told apart" in note for note in labels["notes"])
        for kind in ("flips", "gained", "lost"):
            assert sum(c[kind] for c in labels["causes"]) == labels[kind]
