"""``teachkit ci`` in real repositories, on a laptop and as servers run it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.api import Project
from teachkit.ci import Ci, Finding, Step, github, gitlab
from teachkit.ci.comment import LIMIT, comment
from teachkit.diff import Diff
from teachkit.diff.markdown import MARKER
from teachkit.diff.result import Change, End
from teachkit.errors import Where
from tests.build.test_git import git
from tests.ci.conftest import STARS, Repository, annotated
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.sandbox import Outcome

FAILS = "tests/none_is_bad.sql"
NONE_IS_BAD = "\nselect id from {{ ref('reviews') }} where stars = 1\n"


def stopped(findings: Sequence[Finding], prefix: str = "") -> Ci:
    return Ci([Step("parse", "error", "broken", 2, findings=findings)], None, None, None, prefix)


def steps(outcome: Outcome) -> dict[str, str]:
    return {s["name"]: s["status"] for s in outcome.json["steps"]}


# on GitHub


def test_a_branch_that_flips_labels_is_commented_annotated_and_passes(repository: Repository) -> None:
    repository.flip()
    found = repository.on_github()
    assert repository.comment.startswith(f"{MARKER}\n")
    assert "labels flip" in repository.comment
    assert "failed" not in repository.comment
    assert repository.comment in repository.summary
    assert "| build | passed |" in repository.summary
    assert repository.outputs == {"comment": "target/ci/diff.md", "changed": "true"}
    (notice,) = annotated(found)
    assert notice.startswith(f"::notice file={STARS},line=1,title=lf.mood.stars::lf.mood.stars changes labels. moods: ")
    assert "<html" in repository.project.read("target/ci/diff.html")
    assert repository.project.json_file("target/ci/diff.json")["label_sets"][0]["flips"] > 0


def test_files_that_others_may_see_hold_no_texts_of_items(repository: Repository) -> None:
    repository.project.replace("tasks/mood.yml", "key: id", "key: id\n    show: [text]")
    repository.commit("Show texts")
    repository.flip()
    repository.on_github()
    shown = repository.project("diff", "--base", "HEAD^1", "--format", "json", "--texts").json
    text = shown["label_sets"][0]["examples"][0]["shown"]["text"]
    for name in ("diff.md", "diff.html", "diff.json", "ci.json"):
        assert text not in repository.project.read(f"target/ci/{name}"), name


def test_labels_that_stay_are_said_to_be_unchanged(repository: Repository) -> None:
    repository.git("switch", "-qc", "notes")
    repository.project.write({"NOTES.md": "hello\n"})
    repository.commit("Notes")
    repository.on_github()
    assert repository.outputs["changed"] == "false"


def test_a_stale_lock_fails_and_the_comment_still_says_what_flips(repository: Repository) -> None:
    repository.git("switch", "-qc", "forgotten")
    repository.project.write({STARS: "case when stars >= 5 then 'good' when stars <= 4 then 'bad' end\n"})
    repository.commit("Forgot the lock")
    found = repository.on_github(code=1)
    error = annotated(found)[0]
    assert error.startswith("::error file=teachkit.lock,title=locked-differs::the labels differ from teachkit.lock:%0A")
    assert "**❌ The build failed.**" in repository.comment
    assert "labels flip" in repository.comment
    assert 'name="build: locked-differs"' in repository.project.read("target/junit.xml")


def test_no_locked_builds_what_the_lock_does_not_name(repository: Repository) -> None:
    repository.git("switch", "-qc", "forgotten")
    repository.project.write({STARS: "case when stars >= 5 then 'good' when stars <= 4 then 'bad' end\n"})
    repository.commit("Forgot the lock")
    found = repository.ci("--no-locked")
    assert "teachkit.lock not compared" in found.out


def test_locked_without_a_lock_fails(repository: Repository) -> None:
    (repository.project.root / "teachkit.lock").unlink()
    assert "not compared" in repository.ci().out
    (repository.project.root / "teachkit.lock").unlink()
    repository.ci("--locked", code=1)


def test_a_failing_test_is_annotated_at_its_file_and_the_diff_is_there(repository: Repository) -> None:
    repository.flip()
    repository.project.write({FAILS: NONE_IS_BAD})
    found = repository.on_github(code=1)
    assert annotated(found)[0].startswith(f"::error file={FAILS},line=1,title=test.none_is_bad::")
    assert FAILS in repository.comment
    assert "labels flip" in repository.comment
    case = ElementTree.parse(repository.project.root / "target/junit.xml").find(".//testcase/failure/..")
    assert case is not None
    assert case.get("name") == "test.none_is_bad"


def test_a_test_that_warns_is_a_warning_and_passes(repository: Repository) -> None:
    repository.project.write({FAILS: "{{ config(severity='warn') }}\n" + NONE_IS_BAD})
    found = repository.on_github()
    assert annotated(found)[0].startswith(f"::warning file={FAILS},line=1,")
    assert "Tests warn" in repository.comment


def test_a_node_that_fails_is_annotated_at_the_line_that_raised(repository: Repository) -> None:
    style = "labeling_functions/mood/style.py"
    head = "from teachkit import labeling_function\n\n\n@labeling_function(label='good')\n"
    repository.project.write({style: f"{head}def shouts(text: str) -> bool:\n    raise ValueError('no')\n"})
    found = repository.on_github(code=1)
    assert annotated(found)[0].startswith(f"::error file={style},line=6,title=lf.mood.shouts::lf.mood.shouts: ")
    assert "**❌ The build failed.**" in repository.comment
    assert f"{style}:6: lf.mood.shouts: " in repository.comment
    assert repository.outputs["changed"] == "true"  # as long as nobody knows


def test_a_project_that_does_not_compile_is_annotated_and_the_comment_says_what_is_at_stake(
    repository: Repository,
) -> None:
    repository.flip()
    repository.project.write({STARS: "case when stras >= 4 then 'good' end\n"})
    found = repository.on_github(code=2)
    (error,) = annotated(found)
    assert error.startswith(f"::error file={STARS},line=1,col=11,title=unknown-column::")
    assert repository.comment.startswith(f"{MARKER}\n")
    assert f"{STARS}:1:11" in repository.comment
    assert "`moods` (40)" in repository.comment
    assert repository.outputs["changed"] == "true"
    assert 'name="parse: unknown-column"' in repository.project.read("target/junit.xml")


def test_a_broken_teachkit_yml_is_told_like_any_other_file(repository: Repository) -> None:
    repository.project.write({"teachkit.yml": "name: [\n"})
    found = repository.on_github(code=2)
    assert annotated(found)[0].startswith("::error file=teachkit.yml,line=")


def test_a_comparison_of_an_earlier_run_does_not_stay(repository: Repository) -> None:
    repository.flip()
    repository.ci()
    repository.project.write({STARS: "case when\n"})
    repository.ci(code=2)
    assert not (repository.project.root / "target/ci/diff.html").exists()
    assert not (repository.project.root / "target/ci/diff.json").exists()


def test_paths_count_from_the_top_of_the_repository(tmp_path: Path, repository: Repository) -> None:
    top = tmp_path / "top"
    shutil.copytree(repository.top, top / "labels of ü")
    shutil.rmtree(top / "labels of ü/.git")
    git(top, "init", "-q")
    inner = Repository(Sandbox(top / "labels of ü"), top, repository.scratch)
    inner.commit("All")
    inner.flip()
    found = inner.on_github()
    assert annotated(found)[0].startswith(f"::notice file=labels of ü/{STARS},line=1,")
    assert inner.outputs["comment"] == "labels of ü/target/ci/diff.md"


def test_a_change_is_compared_with_where_it_left_the_target_branch(repository: Repository) -> None:
    """A target branch that has moved on is none of the change's business."""
    repository.git("branch", "side")
    repository.flip()
    repository.git("branch", "-f", "main", "stricter")
    repository.git("switch", "-q", "side")
    repository.project.write({"NOTES.md": "hello\n"})
    repository.commit("Notes")
    clone = cloned(repository, "clone", "side")
    clone.on_github(env={"GITHUB_BASE_REF": "main"})
    assert clone.outputs["changed"] == "false"


def test_a_clone_without_the_base_branch_finds_it_at_origin(repository: Repository) -> None:
    repository.flip()
    clone = cloned(repository, "fork", "stricter")
    clone.git("switch", "-q", "--detach")
    clone.git("branch", "-D", "stricter")
    assert clone.git("branch", "--list", "main") == ""
    clone.on_github(env={"GITHUB_BASE_REF": "main"})
    assert "labels flip" in clone.comment
    assert "origin/main" in clone.comment


@pytest.mark.parametrize("env", [{}, {"GITHUB_BASE_REF": "main"}])
def test_a_shallow_clone_keeps_the_builds_result_and_gives_advice(repository: Repository, env: dict[str, str]) -> None:
    repository.flip()
    clone = cloned(repository, "shallow", "stricter", "--depth=1", "--single-branch")
    clone.git("branch", "-m", "main")
    found = clone.on_github(code=2, env=env)
    assert "build  passed" in found.out
    assert "fetch-depth: 0" in found.out
    assert "Labels cannot be compared" in clone.comment
    assert annotated(found)[0].startswith("::error title=shallow-clone::")


def test_the_worst_step_decides_the_exit_code(repository: Repository) -> None:
    repository.project.write({FAILS: NONE_IS_BAD})
    found = repository.ci("--base", "nowhere", "--format", "json", code=2)
    assert steps(found) == {"parse": "passed", "build": "failed", "diff": "error"}
    assert [s["exit_code"] for s in found.json["steps"]] == [0, 1, 2]


def test_a_push_to_main_is_compared_with_the_commit_before(repository: Repository) -> None:
    repository.flip()
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge", "stricter")
    found = repository.on_github("--format", "json")
    assert found.json["base"] == repository.git("rev-parse", "HEAD^1")
    assert found.json["changed"] is True


def test_a_first_commit_has_nothing_to_be_compared_with(repository: Repository) -> None:
    shutil.rmtree(repository.top / ".git")
    repository.git("init", "-q")
    repository.commit("All")
    found = repository.on_github()
    assert "a first commit" in found.out
    assert "nothing to compare" in repository.comment
    assert repository.outputs["changed"] == "true"


def test_before_the_first_commit_there_is_nothing_to_compare_with(repository: Repository) -> None:
    shutil.rmtree(repository.top / ".git")
    repository.git("init", "-q")
    found = repository.ci("--format", "json")
    assert steps(found) == {"parse": "passed", "build": "passed", "diff": "skipped"}
    shown = repository.project("diff", code=2).err
    assert "git has no revision 'HEAD': nothing is committed yet" in shown
    assert "git add . && git commit" in shown


def test_a_base_without_a_project_is_said_and_the_build_decides(repository: Repository) -> None:
    shutil.rmtree(repository.top / ".git")
    repository.git("init", "-q")
    repository.git("commit", "-qm", "Empty", "--allow-empty")
    repository.git("switch", "-qc", "labels")
    repository.commit("All")
    found = repository.on_github()
    assert "The base has no project: " in found.out
    assert "moods is new" in found.out
    repository.project.write({FAILS: NONE_IS_BAD})
    repository.on_github(code=1)


def test_a_base_without_a_lock_is_compared_by_what_its_files_give(repository: Repository) -> None:
    found = repository.ci("--base", "HEAD^1", "--format", "json")
    assert found.json["changed"] is False
    assert "the base has no teachkit.lock" in repository.comment


def test_json_leaves_stdout_to_the_result(repository: Repository) -> None:
    repository.flip()
    found = repository.on_github("--format", "json")
    assert found.json == repository.project.json_file("target/ci/ci.json")
    assert found.json["schema_version"] == 1
    assert found.json["files"]["markdown"] == "target/ci/diff.md"
    assert "::notice file=" in found.err
    (notice,) = found.json["findings"]
    assert (notice["level"], notice["path"], notice["line"]) == ("notice", STARS, 1)


def test_progress_in_json_is_a_line_for_each_step(repository: Repository) -> None:
    repository.project.write({STARS: "case when stras >= 4 then 'good' end\n"})
    lines = repository.project("ci", "--log-format", "json", code=2).lines
    assert [line["name"] for line in lines if line.get("event") == "step"] == ["parse", "build", "diff"]
    assert "unknown-column" in [line.get("slug") for line in lines]


# on a laptop


def test_on_a_laptop_nothing_is_told_to_a_server(repository: Repository) -> None:
    repository.flip()
    found = repository.ci()
    assert annotated(found) == []
    assert [line.split()[:2] for line in found.out.splitlines()[:3]] == [
        ["parse", "passed"],
        ["build", "passed"],
        ["diff", "passed"],
    ]
    assert found.out.splitlines()[-1] == "passed"
    assert not (repository.project.root / "target/ci/codequality.json").exists()


def test_on_main_edits_are_compared_with_head(repository: Repository) -> None:
    repository.project.write({STARS: "case when stars >= 5 then 'good' when stars <= 4 then 'bad' end\n"})
    found = repository.ci("--no-locked", "--format", "json")
    assert found.json["base"] == "HEAD"
    assert found.json["changed"] is True


def test_outside_of_git_the_build_counts_and_the_comparison_is_refused(fresh: Sandbox) -> None:
    found = fresh("ci", "--format", "json", code=2)
    assert steps(found) == {"parse": "passed", "build": "passed", "diff": "error"}
    assert "no-git" in fresh.read("target/ci/ci.json")


def test_teachkit_base_names_the_base(repository: Repository) -> None:
    repository.flip()
    found = repository.ci("--format", "json", env={"TEACHKIT_BASE": "stricter"})
    assert (found.json["base"], found.json["changed"]) == ("stricter", False)
    repository.ci(code=2, env={"TEACHKIT_BASE": "nowhere"})


def test_from_python(repository: Repository) -> None:
    repository.flip()
    seen: list[object] = []
    done = Project.load(repository.project.root).ci("main", report=seen.append)
    assert isinstance(done, Ci)
    assert (done.passed, done.changed) == (True, True)
    assert [s.name for s in seen if isinstance(s, Step)] == ["parse", "build", "diff"]
    assert Project.load(repository.project.root).ci("main").exit_code == 0


def test_clean_removes_what_it_wrote(repository: Repository) -> None:
    repository.ci()
    repository.project("clean")
    assert not (repository.project.root / "target").exists()


# on GitLab


def test_on_gitlab_a_code_quality_report_is_written(repository: Repository) -> None:
    repository.flip()
    repository.project.write({FAILS: NONE_IS_BAD})
    base = repository.git("rev-parse", "main")
    variables = {"CI": "true", "GITLAB_CI": "true", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
    found = repository.ci(code=1, env=variables)
    assert annotated(found) == []
    report = repository.project.json_file("target/ci/codequality.json")
    assert [(e["severity"], e["location"]["path"], e["location"]["lines"]["begin"]) for e in report] == [
        ("critical", FAILS, 1),
        ("info", STARS, 1),
    ]
    assert set(report[0]) == {"description", "check_name", "fingerprint", "severity", "location"}


def test_on_gitlab_a_merged_result_is_compared_with_the_target_branch(repository: Repository) -> None:
    repository.flip()
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge", "stricter")
    target, old = repository.git("rev-parse", "HEAD^2"), repository.git("rev-parse", "HEAD^1")
    variables = {"CI": "true", "GITLAB_CI": "true", "CI_MERGE_REQUEST_DIFF_BASE_SHA": old}
    merged = {**variables, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": target}
    assert repository.ci("--format", "json", env=merged).json["base"] == target


def test_equal_findings_have_fingerprints_of_their_own() -> None:
    twice = [Finding("error", "x", "same", Where("a.sql", line)) for line in (1, 2)]
    done = Ci(
        [Step("parse", "error", "", 2, findings=[*twice, Finding("warning", "y", "no place")])], None, None, None, "p/"
    )
    report = json.loads(gitlab.code_quality(done))
    assert len({e["fingerprint"] for e in report}) == 3
    assert report[2]["location"] == {"path": "p/teachkit.yml", "lines": {"begin": 1}}


# pure


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_a_workflow_command_is_one_line_that_comes_back_as_it_was(check: str, message: str, path: str) -> None:
    done = Ci(
        [Step("x", "failed", "", 1, findings=[Finding("error", check, message, Where(path, 3, 4))])],
        None,
        None,
        None,
        "",
    )
    (line,) = github.workflow_commands(done)
    assert "\n" not in line
    assert "\r" not in line
    head, _, data = line.removeprefix("::error ").partition("::")
    properties = dict(p.split("=", 1) for p in head.split(","))

    def back(text: str, *codes: tuple[str, str]) -> str:
        for code, character in codes:
            text = text.replace(code, character)
        return text.replace("%25", "%")

    lines = (("%0D", "\r"), ("%0A", "\n"))
    assert back(data, *lines) == message
    assert back(properties["title"], *lines, ("%3A", ":"), ("%2C", ",")) == check
    assert back(properties["file"], *lines, ("%3A", ":"), ("%2C", ",")) == path
    assert (properties["line"], properties["col"]) == ("3", "4")


@given(st.lists(st.text(max_size=2000), max_size=60))
def test_a_comment_is_never_too_long_and_its_messages_stay_in_their_block(messages: list[str]) -> None:
    found = [Finding("error", "x", m, Where("a.sql", 1)) for m in messages]
    made = comment(stopped(found))
    assert made.startswith(f"{MARKER}\n")
    assert len(made.encode("utf-8", "surrogatepass")) <= LIMIT
    fence = next(line for line in made.splitlines() if line.startswith("```")).removesuffix("text")
    assert made.count(f"\n{fence}\n") == 1


@pytest.mark.parametrize("trouble", ["", "broken " * 2000])
def test_a_comment_counts_bytes_where_characters_are_long(trouble: str) -> None:
    """GitHub counts characters, the workflow that posts counts bytes."""
    changes = [Change(f"lf.mood.{'鑰' * 100}{i}", "lf", "modified", "鑰.sql", 1, "a", "b") for i in range(400)]
    end = End("main", "a" * 40)
    failed = Step("build", "failed", "", 1, findings=[Finding("error", "x", trouble)] if trouble else [])
    done = Ci([failed], None, Diff(end, end, [], changes, [], []), "main", "")
    made = comment(done)
    assert "鑰" in made
    assert 10_000 < len(made.encode()) <= LIMIT


def cloned(repository: Repository, name: str, branch: str, *options: str) -> Repository:
    """A clone without a store, on one branch."""
    top = repository.top.parent / name
    git(repository.top.parent, "clone", "-q", "-b", branch, *options, repository.top.as_uri(), name)
    return Repository(Sandbox(top), top, repository.scratch)
