"""Two branches in a real repository: their locks and their judgments become one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.build.test_git import git
from tests.sandbox import REPOSITORY

if TYPE_CHECKING:
    from tests.sandbox import Sandbox

DRIVER = f'"{sys.executable}" -m teachkit lock --merge-driver %O %A %B'
ANN = "annotations/mood/ann.jsonl"
BEN = "annotations/mood/ben.csv"


@pytest.fixture
def repository(built: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The project with two more label sets and its lock, everything committed on ``main``."""
    monkeypatch.setenv("PYTHONPATH", REPOSITORY)
    models = "label_models:\n" + "".join(
        f"  - {{name: {name}, task: mood, type: majority, voters: [{voter}]}}\n"
        for name, voter in (("early", "stars"), ("zulu", "refund"))
    )
    attributes = Path(REPOSITORY, "template_project", ".gitattributes").read_bytes()
    ignored = ".teachkit/\ntarget/\noutput/\n"
    built.write({".gitattributes": attributes, ".gitignore": ignored, "label_models/more.yml": models})
    built("build")
    git(built.root, "init", "-q", "-b", "main")
    for name, value in (("user.name", "t"), ("user.email", "t@example.org"), ("merge.conflictStyle", "merge")):
        git(built.root, "config", name, value)
    commit(built, "first")
    return built


def commit(project: Sandbox, message: str) -> None:
    git(project.root, "add", ".")
    git(project.root, "commit", "-qm", message)


def branch(project: Sandbox, name: str, changes: dict[str, tuple[str, str]]) -> None:
    """A branch off main on which files are edited and the labels built."""
    git(project.root, "checkout", "-qb", name, "main")
    for file, (old, new) in changes.items():
        project.replace(file, old, new)
    project("build")
    commit(project, name)


def two_branches(project: Sandbox) -> None:
    """Both change moods; ``left`` early as well, ``right`` zulu."""
    words = "labeling_functions/mood/words.yml"
    branch(project, "left", {"label_models/more.yml": ("[stars]", "[stars, blame]"), words: ("[love, great", "[great")})
    branch(project, "right", {"label_models/more.yml": ("[refund]", "[refund, stars]"), words: ("excellent]", "lamp]")})
    project.write({words: project.read(words)})


def driver(project: Sandbox) -> None:
    git(project.root, "config", "merge.teachkit.driver", DRIVER)


def names(project: Sandbox) -> list[str]:
    return [entry["name"] for entry in project("lock", "--format", "json").json["label_sets"]]


def resolve_words(project: Sandbox) -> None:
    """Settle the one file that people must settle."""
    git(project.root, "checkout", "--ours", "labeling_functions/mood/words.yml")
    git(project.root, "checkout", "--ours", "label_models/more.yml")


@pytest.mark.parametrize("into", ["left", "right"])
def test_the_driver_keeps_what_is_true_and_leaves_out_the_rest(repository: Sandbox, into: str) -> None:
    driver(repository)
    two_branches(repository)
    git(repository.root, "checkout", "-q", into)
    ours = repository.read("teachkit.lock")
    said = git(repository.root, "merge", {"left": "right", "right": "left"}[into], check=False)
    assert "label_models/more.yml" in said
    assert "teachkit.lock" not in git(repository.root, "diff", "--name-only", "--diff-filter=U").splitlines()
    assert names(repository) == ["early", "zulu"]
    assert repository.read("teachkit.lock").count("digest") == ours.count("digest") - 1
    resolve_words(repository)
    commit(repository, "merged")
    assert "label set moods: is not in teachkit.lock" in repository("build", "--locked", code=1).err
    repository("build")
    repository("build", "--locked")
    assert names(repository) == ["early", "moods", "zulu"]


def test_a_rebase_runs_the_driver_as_well(repository: Sandbox) -> None:
    driver(repository)
    branch(repository, "left", {"label_models/more.yml": ("[stars]", "[stars, blame]")})
    git(repository.root, "checkout", "-q", "main")
    repository.replace("label_models/mood.yml", "type: majority", "type: weighted")
    repository("build")
    commit(repository, "weighted")
    main = repository("lock", "--format", "json").json["label_sets"]
    git(repository.root, "checkout", "-q", "left")
    left = repository("lock", "--format", "json").json["label_sets"]
    git(repository.root, "rebase", "-q", "main")
    assert repository("lock", "--format", "json").json["label_sets"] == [left[0], main[1], main[2]]
    repository("build", "--locked")


def test_a_driver_that_cannot_read_a_side_leaves_the_conflict_to_people(repository: Sandbox) -> None:
    driver(repository)
    git(repository.root, "checkout", "-qb", "newer")
    repository.replace("teachkit.lock", "version: 1", "version: 2")
    repository.replace("teachkit.lock", "rows: 40", "rows: 41")
    commit(repository, "newer")
    git(repository.root, "checkout", "-q", "main")
    repository.replace("teachkit.lock", "rows: 40", "rows: 39")
    commit(repository, "rows")
    git(repository.root, "merge", "newer", check=False)
    assert git(repository.root, "status", "--porcelain", "teachkit.lock") == "UU teachkit.lock"
    before = repository.read("teachkit.lock")
    assert "<<<<<<< ours\n    rows: 39\n=======\n    rows: 41\n>>>>>>> theirs\n" in before
    assert "has version 2" in repository("lock", "--resolve", code=2).err
    assert repository.read("teachkit.lock") == before


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_without_the_driver_the_command_resolves_what_git_kept(repository: Sandbox, style: str) -> None:
    git(repository.root, "config", "merge.conflictStyle", style)
    two_branches(repository)
    git(repository.root, "merge", "left", check=False)
    assert "not resolved" in repository("lock", code=2).err
    found = repository("lock", "--resolve")
    assert found.err == "label set moods was changed on both sides: run 'teachkit build' and commit\n"
    assert found.out.splitlines()[-2:] == [
        "1 label set left out: 'build --locked' fails until it is built",
        "resolved: run 'git add teachkit.lock'",
    ]
    assert git(repository.root, "status", "--porcelain", "teachkit.lock") == "UU teachkit.lock"
    again = repository("lock", "--resolve", "--format", "json").json
    assert (again["resolved"], again["left_out"]) == (False, {})
    resolve_words(repository)
    repository("build")
    assert repository("lock", "--resolve").out.splitlines()[-1] == "there is no conflict to resolve"
    commit(repository, "merged")
    repository("build", "--locked")


def test_marks_that_were_added_to_git_are_read_from_the_text(repository: Sandbox) -> None:
    git(repository.root, "config", "merge.conflictStyle", "diff3")
    two_branches(repository)
    git(repository.root, "merge", "left", check=False)
    git(repository.root, "add", "teachkit.lock")
    found = repository("lock", "--resolve", "--format", "json").json
    assert found["resolved"] is True
    assert "moods" in found["left_out"]
    assert "<<<<" not in repository.read("teachkit.lock")


def test_one_side_deleted_the_lock(repository: Sandbox) -> None:
    git(repository.root, "checkout", "-qb", "gone")
    git(repository.root, "rm", "-q", "teachkit.lock")
    git(repository.root, "commit", "-qm", "gone")
    branch(repository, "left", {"label_models/more.yml": ("[stars]", "[stars, blame]")})
    for into, other in (("left", "gone"), ("gone", "left")):
        git(repository.root, "checkout", "-qf", into)
        git(repository.root, "merge", other, check=False)
        found = repository("lock", "--resolve", "--format", "json").json
        assert found["left_out"] == {"early": "was deleted on one side and changed on the other"}
        assert found["label_sets"] == []
        git(repository.root, "merge", "--abort")


def test_both_sides_wrote_the_first_lock(repository: Sandbox) -> None:
    git(repository.root, "rm", "-q", "teachkit.lock")
    git(repository.root, "commit", "-qm", "no lock yet")
    two_branches(repository)
    git(repository.root, "merge", "left", check=False)
    assert git(repository.root, "status", "--porcelain", "teachkit.lock") == "AA teachkit.lock"
    found = repository("lock", "--resolve", "--format", "json").json
    assert set(found["left_out"].values()) == {"was changed on both sides"}
    assert set(found["left_out"]) == {"early", "moods", "zulu"}


def test_the_command_without_options(repository: Sandbox) -> None:
    entries = repository("lock", "--format", "json").json
    assert (entries["left_out"], entries["resolved"]) == ({}, None)
    early = entries["label_sets"][0]
    assert {"name", "task", "fingerprint", "digest", "rows", "labeled", "classes", "quality", "cost"} <= set(early)
    lines = repository("lock").out.splitlines()
    assert lines[0].split() == ["label", "set", "digest", "rows", "labeled", "accuracy"]
    assert lines[1].split()[:3] == ["early", early["digest"][:12], "40"]
    repository.write({"teachkit.lock": "version: 1\n\nlabel_sets: {}\n"})
    assert repository("lock").out == "teachkit.lock holds no label set\n"
    repository.write({"teachkit.lock": None})
    assert repository("lock").out == "there is no teachkit.lock: 'teachkit build' writes it\n"
    assert repository("lock", "--resolve").out.endswith("there is no conflict to resolve\n")
    assert repository("lock", "--format", "json").json["label_sets"] == []
    repository.write({"teachkit.lock": b"\xff"})
    assert "[bad-lock]" in repository("lock", code=2).err
    assert "[bad-lock]" in repository("lock", "--resolve", code=2).err


def test_the_driver_goes_without_resolve(repository: Sandbox) -> None:
    found = repository("lock", "--resolve", "--merge-driver", "a", "b", "c", code=2)
    assert "it goes without --resolve" in found.err


def test_the_driver_needs_no_project(repository: Sandbox) -> None:
    text = repository.read("teachkit.lock")
    folder = repository.root.parent
    (folder / "o").write_text("")
    (folder / "a").write_text(text)
    (folder / "b").write_text(text.replace("rows: 40", "rows: 41"))
    found = repository("lock", "--merge-driver", *(str(folder / name) for name in "oab"))
    assert found.err.count("was changed on both sides") == 3
    assert "label_sets: {}" in (folder / "a").read_text()


# ---------------------------------------------------------------------------- judgments


def say(project: Sandbox, file: str, *lines: str) -> None:
    (project.root / file).write_text(project.read(file) + "".join(f"{line}\n" for line in lines))


def judgment(item: str, label: str | None, at: str, op: str = "set") -> str:
    return json.dumps({"item": item, "label": label, "at": f"2026-05-{at}", "op": op})


def people(project: Sandbox) -> dict[tuple[str, str], str]:
    rows = [row for name in ("ann", "ben") for row in project.rows(f"annotations.mood.{name}")]
    return {(row["annotator"], row["id"]): row["label"] for row in rows}


@pytest.mark.parametrize(("into", "other"), [("left", "right"), ("right", "left")])
def test_judgments_of_two_branches_are_the_same_whoever_merges_whom(repository: Sandbox, into: str, other: str) -> None:
    repository.write({
        ANN: judgment("r001", "bad", "01") + "\n" + judgment("r002", "bad", "01") + "\n",
        "annotations/mood/_meta.yml": "files: {ann.jsonl: {role: curator}}\n",
    })  # fmt: skip
    commit(repository, "judgments")
    for name, first, second in (
        ("left", (judgment("r001", None, "03", "undo"), judgment("r004", "good", "03")), "r005,good\nr006,bad\n"),
        ("right", (judgment("r002", "good", "02"), judgment("r004", "bad", "02")), "r006,bad\nr007,good\n"),
    ):
        git(repository.root, "checkout", "-qb", name, "main")
        say(repository, ANN, judgment("r008", "bad", "02"), *first)
        repository.write({BEN: "item,label\r\n" + second.replace("\n", "\r\n" if name == "left" else "\n")})
        commit(repository, name)
    git(repository.root, "checkout", "-q", into)
    git(repository.root, "merge", "-q", "--no-edit", other)
    assert repository.read(ANN).count("r008") in (1, 2)
    repository("build")
    assert people(repository) == {
        ("ann", "r002"): "good",
        ("ann", "r004"): "good",
        ("ann", "r008"): "bad",
        ("ben", "r005"): "good",
        ("ben", "r006"): "bad",
        ("ben", "r007"): "good",
    }
    rows = {row["id"]: row for row in repository.rows("moods")}
    assert {i: (rows[i]["label"], rows[i]["decided_by"]) for i in ("r002", "r004", "r008")} == {
        "r002": ("good", "curator"),
        "r004": ("good", "curator"),
        "r008": ("bad", "curator"),
    }
    assert (rows["r001"]["label"], rows["r001"]["decided_by"]) == (None, "none")
    repository("build", "--locked")
