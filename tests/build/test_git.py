"""What a run and a label say about git: which commit, and whether the files were those of the commit."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox import Sandbox

STARS = "labeling_functions/mood/stars.sql"


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    who = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "init.defaultBranch=main",
    ]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=check)
    return done.stdout.strip()


@pytest.fixture
def repository(fresh: Sandbox) -> Sandbox:
    """The project in a repository of its own, everything committed, then built."""
    fresh.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(fresh.root, "init", "-q")
    git(fresh.root, "add", ".")
    git(fresh.root, "commit", "-qm", "first")
    fresh("build")
    return fresh


def why(project: Sandbox, item: str = "r002") -> Any:
    return project("lineage", "moods", item, "--format", "json").json


def vote(project: Sandbox, voter: str) -> Any:
    return next(v for v in why(project)["votes"] if v["voter"] == voter)


def results(project: Sandbox) -> tuple[str | None, bool | None]:
    found = project.json_file("target/run_results.json")
    return found["commit"], found["dirty"]


def test_outside_of_git_there_is_no_commit(built: Sandbox) -> None:
    built("build")
    assert results(built) == (None, None)
    assert vote(built, "stars")["commit"] is None
    assert why(built)["run"]["commit"] is None
    assert "not in git" in built("lineage", "moods", "r002").out


def test_a_repository_without_a_commit(fresh: Sandbox) -> None:
    git(fresh.root, "init", "-q")
    fresh("build")
    assert results(fresh) == (None, True)
    assert vote(fresh, "stars")["commit"] is None
    assert "nothing committed yet" in fresh("debug").out


def test_a_clean_checkout_names_its_commit(repository: Sandbox) -> None:
    head = git(repository.root, "rev-parse", "HEAD")
    assert results(repository) == (head, False)
    assert vote(repository, "stars")["commit"] == head
    run = why(repository)["run"]
    assert (run["commit"], run["dirty"]) == (head, False)
    assert f"git commit {head[:10]}\n" in repository("lineage", "moods", "r002").out
    assert git(repository.root, "status", "--porcelain") == "?? teachkit.lock"


def test_the_lock_alone_makes_no_checkout_dirty(repository: Sandbox) -> None:
    repository("build")
    assert results(repository)[1] is False
    git(repository.root, "add", "teachkit.lock")
    git(repository.root, "commit", "-qm", "lock")
    repository.write({STARS: "case when stars = 5 then 'good' when stars = 2 then 'bad' end"})
    git(repository.root, "commit", "-qam", "stars")
    repository("build")
    assert results(repository)[1] is False
    assert git(repository.root, "status", "--porcelain") == "M teachkit.lock"


def test_a_changed_file_is_dirty_and_its_votes_carry_no_commit(repository: Sandbox) -> None:
    head = git(repository.root, "rev-parse", "HEAD")
    repository.write({STARS: "case when stars = 5 then 'good' when stars <= 2 then 'bad' end"})
    repository("build")
    assert results(repository) == (head, True)
    assert vote(repository, "stars")["commit"] is None
    assert vote(repository, "blame")["commit"] == head
    run = why(repository)["run"]
    assert (run["commit"], run["dirty"]) == (head, True)
    assert "with uncommitted changes" in repository("lineage", "moods", "r002").out


def test_a_vote_names_the_commit_that_last_changed_its_file(repository: Sandbox) -> None:
    first = git(repository.root, "rev-parse", "HEAD")
    repository.write({STARS: "case when stars = 5 then 'good' when stars <= 2 then 'bad' end"})
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-qm", "second")
    second = git(repository.root, "rev-parse", "HEAD")
    repository("build")
    assert vote(repository, "stars")["commit"] == second
    assert vote(repository, "blame")["commit"] == first
    repository.write({"README.md": "x"})
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-qm", "third")
    repository("build")
    assert vote(repository, "stars")["commit"] == second


def test_a_project_below_the_root_of_a_repository(built: Sandbox) -> None:
    top = built.root.parent
    git(top, "init", "-q")
    (top / "other.txt").write_text("x")
    git(top, "add", "reviews/labeling_functions", "reviews/tasks", "reviews/teachkit.yml")
    git(top, "commit", "-qm", "some")
    head = git(top, "rev-parse", "HEAD")
    built.write({STARS: "case when stars = 5 then 'good' when stars <= 2 then 'bad' end"})
    built("build")
    assert results(built) == (head, True)
    changed = built(
        "sql", "select record ->> 'changed' as c from audit.runs order by number desc limit 1", "--format", "json"
    )
    assert "labeling_functions/mood/stars.sql" in changed.json["rows"][0]["c"]
    assert "other.txt" not in changed.json["rows"][0]["c"]
    assert "reviews/" not in changed.json["rows"][0]["c"]


def test_a_branch_costs_what_it_changed(repository: Sandbox) -> None:
    git(repository.root, "add", "teachkit.lock")
    git(repository.root, "commit", "-qm", "lock")
    main = repository.state()
    git(repository.root, "checkout", "-qb", "stars")
    repository.write({STARS: "case when stars = 5 then 'good' when stars <= 2 then 'bad' end"})
    assert repository.fresh_nodes() >= {"lf.mood.stars", "label_set.moods"}
    git(repository.root, "commit", "-qam", "stars")
    assert "digest:" in git(repository.root, "diff", "main", "--", "teachkit.lock")
    git(repository.root, "checkout", "-q", "main")
    assert repository.fresh_nodes() <= {"export.train"}
    assert repository.state()["teachkit.lock"] == main["teachkit.lock"]
    repository("build", "--locked")
    git(repository.root, "checkout", "-q", "stars")
    repository("build", "--locked")
    assert repository.fresh_nodes() == set()


def test_two_branches_merge_their_locks_line_by_line(repository: Sandbox) -> None:
    for name in ("a", "z"):
        repository.write(
            {f"label_models/{name}.yml": f"label_models:\n  - {{name: {name}, task: mood, voters: [stars]}}\n"}
        )
    repository("build")
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-qm", "two more")
    for branch, name in (("left", "a"), ("right", "z")):
        git(repository.root, "checkout", "-qb", branch, "main")
        repository.replace(f"label_models/{name}.yml", "[stars]", "[stars, refund]")
        repository("build")
        git(repository.root, "commit", "-qam", branch)
    git(repository.root, "merge", "-q", "--no-edit", "left")
    assert "<<<<" not in repository.read("teachkit.lock")
    repository("build", "--locked")
    assert git(repository.root, "status", "--porcelain") == ""
