"""``state:`` against a revision or saved artefacts, and ``result:`` of a saved run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.build.test_git import STARS, git
from tests.build.test_revision import commit, in_git
from tests.build.test_selection import ALL, EXPORT, LABEL_TESTS, LABELS, LFS, UNIT, ls
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

SHARED = """
    default: dev
    targets:
      dev: {memory: 500MB, store: ../shared}
      ci: {memory: 500MB, store: ../shared}
    """
NEW = "{{ config(label='good') }} text like '%lamp%'"
CHANGED = {"lf.mood.stars", LABELS, EXPORT} | LABEL_TESTS


@pytest.fixture
def branch(fresh: Sandbox) -> Sandbox:
    """A branch that adds one labeling function and changes another; nothing was ever built."""
    in_git(fresh)
    git(fresh.root, "checkout", "-qb", "topic")
    fresh.write({"labeling_functions/mood/lamp.sql": NEW})
    fresh.replace(STARS, "4", "5")
    commit(fresh.root, "topic")
    return fresh


def selected(project: Sandbox, selector: str, state: str = "main") -> set[str]:
    return ls(project, "--select", selector, "--state", state)


# ---------------------------------------------------------------------------- revisions


def test_a_revision_instead_of_what_is_published(branch: Sandbox) -> None:
    assert ls(branch, "--select", "state:modified") == ALL | {"lf.mood.lamp"}  # nothing is published
    assert selected(branch, "state:new") == {"lf.mood.lamp"}
    assert selected(branch, "state:modified") == CHANGED | {"lf.mood.lamp"}
    assert selected(branch, "state:modified+") == CHANGED | {"lf.mood.lamp"}
    assert selected(branch, "state:modified.definition") == {"lf.mood.lamp", "lf.mood.stars", LABELS} | LABEL_TESTS
    assert selected(branch, "state:old") == ALL
    assert selected(branch, "state:unmodified") == ALL - CHANGED
    assert selected(branch, "state:modified,type:lf", "HEAD~1") == {"lf.mood.lamp", "lf.mood.stars"}
    assert selected(branch, "state:modified state:new", "HEAD") == set()


@pytest.mark.parametrize("part", ["body", "configs", "macros"])
def test_parts_of_a_definition_as_dbt_names_them(branch: Sandbox, part: str) -> None:
    assert selected(branch, f"state:modified.{part}") == selected(branch, "state:modified.definition")


def test_a_base_whose_files_were_renamed_or_commented_is_the_same(branch: Sandbox) -> None:
    git(branch.root, "checkout", "-q", "main")
    git(branch.root, "mv", "transforms/reviews.sql", "transforms/größe 1.sql")
    branch.replace("transforms/größe 1.sql", "select id", "-- a comment\nselect  id")
    branch.write({"labeling_functions/mood/größe 1.sql": None})
    git(branch.root, "mv", "transforms/größe 1.sql", "transforms/reviews.sql")
    git(branch.root, "mv", "sources/shop.yml", "sources/läden.yml")
    commit(branch.root, "moved")
    assert selected(branch, "state:modified state:new", "HEAD~1") == set()


def test_tests_are_modified_by_what_they_mean_themselves(branch: Sandbox) -> None:
    branch.replace("tests/rules.yml", "a lamp", "a chair")
    branch.write({"tests/labeled_once.sql": "select id from {{ ref('moods') }} group by id having count(*) > 2"})
    branch.replace("sources/shop.yml", "tests: [not_null]", "tests: [not_null: {severity: warn}]")
    assert selected(branch, "state:modified.definition", "topic") == {
        *[UNIT, "test.labeled_once", "test.shop.reviews.not_null.text"]
    }
    assert ls(branch, "--select", "state:unmodified,type:data_test", "--state", "topic") >= {"test.mood_key"}


def test_the_variable_and_every_command_that_selects(branch: Sandbox) -> None:
    words = ["--select", "state:modified,type:lf", "--exclude", "state:new"]
    env = {"TEACHKIT_STATE": "main"}
    assert branch("ls", *words, env=env).out == "lf.mood.stars\n"
    assert branch("ls", *words, "--state", "HEAD", env=env).out == ""  # the option counts above it
    assert branch("compile", *words, env=env).out.startswith("-- lf.mood.stars\n")
    assert set(branch.build("--select", "+state:modified", "--state", "main", "--exclude", "export.train")) == (
        (ALL | {"lf.mood.lamp"}) - {EXPORT}
    )
    ran = branch("run", *words, "--format", "json", env=env).json
    assert [r["id"] for r in ran["results"]] == ["lf.mood.stars"]
    tested = branch("test", "--select", "state:modified", "--format", "json", env=env).json
    assert {r["id"] for r in tested["results"]} == LABEL_TESTS
    plan = branch("build", "--dry-run", *words, "--format", "json", env=env).json
    assert [s["id"] for s in plan["steps"]] == ["lf.mood.stars"]


def test_prompts_too(branch: Sandbox) -> None:
    provider = "500MB, llm: {providers: {local: {base_url: 'http://127.0.0.1:9', model: m}}}}"
    branch.replace("profiles.yml", "dev: {threads: 2, memory: 500MB}", f"dev: {{threads: 2, memory: {provider}")
    branch.write({f"prompts/mood/{n}.md": "---\n{}\n---\nGood?\n{{ item.text }}\n" for n in ("one", "two")})
    commit(branch.root, "prompts")
    branch("build", "--select", "+reviews")
    branch.replace("prompts/mood/one.md", "Good?", "Is it good?")
    words = ["state:modified", "--state", "HEAD", "--format", "json"]
    planned = branch("llm", "plan", *words).json["prompts"]
    assert [p["id"] for p in planned] == ["prompt.mood.one"]
    assert branch("llm", "plan", "state:modified", "--format", "json", env={"TEACHKIT_STATE": "HEAD"}).json == {
        "prompts": planned
    }
    shown = branch("compile", "--item", "r001", "--select", *words).json["requests"]
    assert [one["nodes"] for one in shown] == [["prompt.mood.one"]]
    found = branch("llm", "compare", *words, code=2)
    assert "prompt.mood.one" in found.err
    assert "prompt.mood.two" not in found.err


def test_the_base_is_compiled_only_where_a_selector_asks_for_it(branch: Sandbox) -> None:
    branch.write(
        {"selectors.yml": "selectors:\n- {name: a, definition: 'selector:b+'}\n- {name: b, definition: stars}\n"}
    )
    words = ["--state", "nowhere"]
    for selector in ("stars", "selector:a", "tag:words,result:error"):
        branch("ls", "--select", selector, *words)
    branch.write(
        {"selectors.yml": "selectors:\n- {name: a, definition: 'selector:b'}\n- {name: b, definition: '1+state:new'}\n"}
    )
    for selector in ("@state:new", "stars,selector:a", "2+selector:a+1"):
        branch("ls", "--select", selector, *words, code=2)
    branch("ls", "--exclude", "stars state:new", *words, code=2)
    assert selected(branch, "selector:a") == {"transform.reviews", "lf.mood.lamp", "test.mood_key"}


def test_a_base_that_does_not_compile_is_named_as_such(branch: Sandbox) -> None:
    branch.replace(STARS, "stars >= 5", "strs >= 5")
    branch.replace("labeling_functions/mood/refund.sql", "says(", "say(")
    commit(branch.root, "broken")
    branch.write({STARS: REVIEWS[STARS], "labeling_functions/mood/refund.sql": None})
    found = branch("build", "--select", "state:modified", "--state", "topic", code=2)
    assert found.err.startswith("error: the base does not compile: the project has errors as it was at 'topic', not as")
    assert "[base-does-not-compile]\n  labeling_functions/mood/refund.sql:2" in found.err
    assert "\n  labeling_functions/mood/stars.sql:1:" in found.err
    assert found.err.count("[unknown-") == 2
    assert found.err.endswith("compare with a revision that compiles\n")
    (line,) = branch("--log-format", "json", "ls", "-s", "state:new", "--state", "topic", code=2).lines
    assert line["slug"] == "base-does-not-compile"
    assert "stars.sql" in line["advice"]
    assert not (branch.root / "target").exists()


def test_in_a_commit_from_before_the_project_all_is_new(fresh: Sandbox) -> None:
    git(fresh.root, "init", "-q", "-b", "main")
    git(fresh.root, "commit", "-q", "--allow-empty", "-m", "empty")
    commit(fresh.root, "the project")
    assert selected(fresh, "state:new", "HEAD~1") == ALL
    assert selected(fresh, "state:old", "HEAD~1") == set()


def test_what_is_neither_a_path_nor_a_revision(
    branch: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = branch("ls", "--select", "state:new", "--state", "origin/nowhere", code=2)
    assert "git has no revision 'origin/nowhere', and there is no file or folder of this name" in found.err
    assert "git fetch origin nowhere" in found.err
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    plain = Sandbox(tmp_path / "plain", REVIEWS)
    found = plain("ls", "--select", "state:new", "--state", "main", code=2)
    assert "nothing can be compared with 'main': there is no such file or folder, and no revision" in found.err
    assert "[bad-state]" in found.err
    git(tmp_path, "clone", "-q", "--depth=1", branch.root.as_uri(), "clone")
    found = Sandbox(tmp_path / "clone")("ls", "--select", "state:new", "--state", "main", code=2)
    assert "[shallow-clone]" in found.err


# ---------------------------------------------------------------------------- saved artefacts


def test_a_folder_or_a_manifest_that_was_saved(built: Sandbox, tmp_path: Path) -> None:
    shutil.copytree(built.root / "target", tmp_path / "saved")
    built.write({"labeling_functions/mood/lamp.sql": NEW})
    built.replace(STARS, "4", "5")
    built("build")
    assert ls(built, "--select", "state:modified") == set()
    for state in ("../saved", str(tmp_path / "saved/manifest.json"), "../saved/"):
        assert selected(built, "state:new", state) == {"lf.mood.lamp"}
        assert selected(built, "state:modified", state) == CHANGED | {"lf.mood.lamp"}
    below = Sandbox(built.root / "labeling_functions")
    assert below("ls", "--select", "state:new", "--state", "../../saved").out == "lf.mood.lamp\n"  # as the shell has it


def test_a_path_counts_before_a_revision_of_the_same_name(branch: Sandbox) -> None:
    branch("parse")
    shutil.copytree(branch.root / "target", branch.root / "main")
    assert selected(branch, "state:new") == set()
    assert selected(branch, "state:new", "heads/main") == {"lf.mood.lamp"}
    shutil.rmtree(branch.root / "main")
    (branch.root / "main").mkdir()
    found = branch("ls", "--select", "state:new", "--state", "main", code=2)
    assert "nothing can be compared with 'main': there is no manifest.json" in found.err
    assert "a branch of the same name as a folder is meant by heads/NAME" in found.err


BROKEN = {
    "": "manifest.json is no artefact of teachkit",
    "[1]": "manifest.json is no artefact of teachkit",
    '{"metadata": {}, "nodes": {}}': "manifest.json is no artefact of teachkit",
    '{"schema_version": 1}': "manifest.json is no artefact of teachkit",
    '{"schema_version": 2, "nodes": {}}': "manifest.json has schema_version 2; this teachkit reads 1",
    '{"schema_version": 1, "nodes": []}': "manifest.json is no manifest of teachkit",
    '{"schema_version": 1, "nodes": {"lf.a": {"definition": "x"}}}': "manifest.json is no manifest of teachkit",
    '{"schema_version": 1, "nodes": {"lf.a": 1}}': "manifest.json is no manifest of teachkit",
}


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_manifest_says_so(once: Sandbox, tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    for state in (tmp_path, tmp_path / "manifest.json"):
        found = once("ls", "--select", "state:new", "--state", str(state), code=2)
        assert f"nothing can be compared with '{state}': {BROKEN[text]}  [bad-state]" in found.err
        assert "name a git revision, or a folder with the manifest.json" in found.err


def test_files_that_cannot_be_read(once: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    found = once("ls", "--select", "state:new", "--state", str(tmp_path), code=2)
    assert "Is a directory: manifest.json  [bad-state]" in found.err
    found = once("ls", "--select", "result:error", "--state", str(tmp_path), code=2)
    assert "there is no run_results.json  [bad-state]" in found.err
    for text in ('{"schema_version": 1, "results": [1]}', '{"schema_version": 1, "results": 7}'):
        (tmp_path / "run_results.json").write_text(text)
        found = once("ls", "--select", "result:error", "--state", str(tmp_path), code=2)
        assert "run_results.json is not that of a run of teachkit  [bad-state]" in found.err


# ---------------------------------------------------------------------------- results


@pytest.fixture
def failed(built: Sandbox, tmp_path: Path) -> Sandbox:
    """The project after a build in which ``stars`` broke, and a test warned; its artefacts are saved."""
    broken = {
        STARS: "case when cast(text as integer) = 1 then 'good' end",
        "tests/warns.sql": "{{ config(severity='warn') }} select * from {{ source('shop', 'reviews') }}",
        "tests/fails.sql": "select * from {{ source('shop', 'reviews') }}, (select 1) where stars = 3",
    }
    with built.changed(broken):
        built.write({"tests/warns.sql": broken["tests/warns.sql"]})
        built("build", code=1)
        shutil.copytree(built.root / "target", tmp_path / "saved")
        built.write({"tests/fails.sql": None})
        built("build", code=1)
    built.write({"tests/warns.sql": broken["tests/warns.sql"]})
    return built


def test_the_grammar_with_results(failed: Sandbox) -> None:
    down = {"lf.mood.stars", LABELS, EXPORT} | LABEL_TESTS
    cases = {
        "result:error": {"lf.mood.stars"},
        "result:error+": down,
        "1+result:error": {"lf.mood.stars", "transform.reviews", "test.mood_key"},
        "result:error+1": down - {EXPORT},
        "result:warned": {"test.warns"},
        "result:warn": {"test.warns"},
        "result:failed": set(),
        "result:skipped,type:export": {EXPORT},
        "result:skip,+train": {LABELS, EXPORT} | LABEL_TESTS,
        "result:error+,type:test": LABEL_TESTS,
        "result:error result:warn": {"lf.mood.stars", "test.warns"},
        "result:success,type:lf": set(),
        "result:reused,type:lf": (LFS | {UNIT}) - {"lf.mood.stars"},
        "result:error+ state:modified+": down | {"test.warns"},
        "result:error+,state:modified": set(),
        "@result:error,type:annotations": {"annotations.mood.ann"},
    }
    for selector, expected in cases.items():
        assert ls(failed, "--select", selector) == expected, selector
    assert ls(failed, "--select", "result:error+", "--exclude", "result:error type:test") == {LABELS, EXPORT}
    assert ls(failed, "--exclude", "state:unmodified") == set()  # test.warns tests what is not modified
    assert ls(failed, "--select", "state:modified") == {"test.warns"}


def test_results_of_a_saved_run(failed: Sandbox) -> None:
    assert selected(failed, "result:fail", "../saved") == set()  # its test is no more
    failed.write({"tests/fails.sql": "select * from {{ source('shop', 'reviews') }} where stars = 3"})
    assert ls(failed, "--select", "result:fail") == set()
    for state in ("../saved", "../saved/manifest.json"):
        assert selected(failed, "result:fail", state) == {"test.fails"}
    assert selected(failed, "result:fail+ state:modified+", "../saved") == {"test.fails", *CHANGED}
    failed.write({"../saved/manifest.json": None})
    assert selected(failed, "result:fail", "../saved") == {"test.fails"}  # it alone is looked at


def test_with_a_revision_results_are_those_of_the_last_run(failed: Sandbox) -> None:
    failed.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(failed.root, "init", "-q", "-b", "main")
    commit(failed.root, "all")
    failed.write({"labeling_functions/mood/lamp.sql": NEW})
    assert selected(failed, "result:error state:new") == {"lf.mood.stars", "lf.mood.lamp"}


# ---------------------------------------------------------------------------- what dbt defers


def test_a_fresh_clone_takes_all_else_from_a_store_that_it_shares(branch: Sandbox, tmp_path: Path) -> None:
    git(branch.root, "checkout", "-q", "main")
    branch.write({"profiles.yml": SHARED})
    commit(branch.root, "shared store")
    branch("build")
    git(branch.root, "checkout", "-q", "topic")
    git(branch.root, "rebase", "-q", "main")
    for name in ("clone", "whole"):
        git(tmp_path, "clone", "-q", "-b", "topic", str(branch.root), name)
    clone, whole = Sandbox(tmp_path / "clone"), Sandbox(tmp_path / "whole")
    assert clone.build("--select", "state:modified+", "--state", "origin/main", "--target", "ci") == {
        **dict.fromkeys(["lf.mood.lamp", "lf.mood.stars", LABELS, EXPORT], "built"),
        **dict.fromkeys(LABEL_TESTS, "passed"),
    }
    assert not (clone.root / ".teachkit").exists()
    whole.replace("profiles.yml", "store: ../shared", "store: own")
    whole("build", "--target", "ci")
    query = ["sql", "--target", "ci", "select id, label, confidence from labels.moods order by id"]
    assert clone(*query).out == whole(*query).out
    assert clone.read("output/train.csv") == whole.read("output/train.csv")
    assert clone.read("teachkit.lock") == whole.read("teachkit.lock")
    assert {i for i, status in clone.build("--target", "ci").items() if status == "built"} == {"source.shop.reviews"}
