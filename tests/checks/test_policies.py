"""Label sets compared with those of another revision, and with answers that they may not contradict."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.checks.labels import share_of
from tests.build.test_git import git
from tests.build.test_looks import looks
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

STARS = "labeling_functions/mood/stars.sql"
UPSIDE_DOWN = "case when stars >= 4 then 'bad' when stars <= 2 then 'good' end"
MODEL = "label_models/mood.yml"


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TEACHKIT_BASE", "GITHUB_BASE_REF", "CI_MERGE_REQUEST_DIFF_BASE_SHA"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def branch(built: Sandbox) -> Sandbox:
    """The project on a branch off ``main``, where its lock is committed."""
    built.write({MODEL: "label_models:\n  - name: moods\n    task: mood\n    type: majority\n    voters: [stars]\n"})
    built("build")
    built.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(built.root, "init", "-q", "-b", "main")
    git(built.root, "add", ".")
    git(built.root, "commit", "-qm", "first")
    git(built.root, "checkout", "-qb", "topic")
    return built


def declare(project: Sandbox, test: str, **common: str) -> None:
    project.write({"tests/policy.yml": f"tests:\n  - node: moods\n    tests:\n      - {test}\n"})


def said_by(project: Sandbox, test: str, *arguments: str, status: str, env: dict[str, str] | None = None) -> str:
    """Declare a test of ``moods`` and build: what it says."""
    declare(project, test)
    name = f"test.moods.{test.partition(':')[0]}"
    found = project.build(*arguments, code=1 if status == "failed" else 0, env=env)
    assert found[name] == status, project.result(name)
    return str(project.result(name)["message"])


def publish(project: Sandbox) -> None:
    """Build without the policy, and commit."""
    project.write({"tests/policy.yml": None})
    project("build")
    git(project.root, "add", ".")
    git(project.root, "commit", "-qm", "more")


def test_flips_against_the_base_of_a_pull_request(branch: Sandbox) -> None:
    main = git(branch.root, "rev-parse", "--short=10", "main")
    branch.write({STARS: UPSIDE_DOWN})
    publish(branch)
    assert "0 of 34 labels" in said_by(branch, "max_flips: {against: lock, max: 0}", status="passed")
    said = said_by(branch, "max_flips: {against: base, max: 5%}", status="failed")
    assert f"are others than in teachkit.lock of {main}; at most 5.00% wanted" in said
    flips = int(said.split()[0])
    assert flips > 2
    said = said_by(branch, "max_flips: {against: main, max: 5%}", status="failed")
    assert said.startswith(f"{flips} of 34 labels")
    assert f"in teachkit.lock of main ({main})" in said
    said = said_by(branch, "max_flips: {against: base, max: 0}", status="passed", env={"TEACHKIT_BASE": "HEAD"})
    assert said.startswith("0 of 34 labels")
    declare(branch, "max_flips: {against: main, max: 5%, store_failures: true, severity: warn}")
    branch("build")
    rows = branch("show", "test.moods.max_flips", "--limit", "-1", "--format", "json").json["rows"]
    assert len(rows) == flips
    assert {row["before"] for row in rows} == {"good", "bad"}


def test_an_outcome_is_kept_for_as_long_as_the_base_is_the_same(branch: Sandbox) -> None:
    branch.write({STARS: UPSIDE_DOWN})
    publish(branch)
    test = "max_flips: {against: base, max: 5%}"
    first = said_by(branch, test, status="failed")
    assert said_by(branch, test, status="passed", env={"TEACHKIT_BASE": "HEAD"}).startswith("0 of 34 labels")
    assert said_by(branch, test, status="failed") == first


def test_the_lock_as_of_the_revision_counts_not_the_one_on_disk(branch: Sandbox) -> None:
    branch.write({"teachkit.lock": None})
    assert "0 of 34 labels" in said_by(branch, "max_flips: {against: main, max: 0}", status="passed")


PROBLEMS: dict[str, tuple[str, str]] = {
    "release": ("git has no revision 'release'", "git fetch origin"),
    "origin/release": ("git has no revision 'origin/release'", "git fetch origin release"),
    "empty": ("there is no teachkit.lock of empty (", "run 'teachkit build' there, and commit teachkit.lock"),
    "broken": ("a merge conflict is not resolved", "--resolve"),
    "latin": ("teachkit.lock cannot be read: teachkit.lock of latin (", "UTF-8"),
    "elsewhere": ("are not in this store", "run 'teachkit diff --base elsewhere', which builds them"),
}
TESTS = ("max_flips: {against: %s, max: 100%%}", "min_accuracy_delta: {against: %s, min: -1}",
         "protected_labels: {from: [gold], against: %s}")  # fmt: skip


@pytest.fixture
def revisions(branch: Sandbox) -> Sandbox:
    """Branches whose locks nobody can compare with."""
    lock = branch.read("teachkit.lock")
    changed: dict[str, bytes | None] = {
        "empty": None,
        "broken": (lock + "=======\n").encode(),
        "latin": b"\xe4",
        "elsewhere": re.sub("digest: .*", f"digest: {'0' * 64}", lock).encode(),
    }
    for name, text in changed.items():
        git(branch.root, "checkout", "-qb", name, "main")
        branch.write({"teachkit.lock": text})
        git(branch.root, "commit", "-qam", name)
    git(branch.root, "checkout", "-q", "topic")
    return branch


@pytest.mark.parametrize("test", TESTS)
def test_a_revision_without_labels_to_compare_with_fails(test: str, revisions: Sandbox) -> None:
    for revision, (problem, advice) in PROBLEMS.items():
        said = said_by(revisions, test % revision, status="failed")
        assert problem in said
        assert advice in said


def test_a_failure_is_a_warning_where_that_is_asked_for(revisions: Sandbox) -> None:
    said_by(revisions, "max_flips: {against: release, max: 1, severity: warn}", status="warned")


def test_outside_of_git(built: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(built.root.parent))
    said = said_by(built, "max_flips: {against: base, max: 1}", status="failed")
    assert "not a git repository" in said
    assert "run this in a clone" in said


def test_a_shallow_clone(branch: Sandbox, tmp_path: Path) -> None:
    branch.write({STARS: UPSIDE_DOWN})
    publish(branch)
    git(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", branch.root.as_uri(), "clone")
    clone = Sandbox(tmp_path / "clone")
    git(clone.root, "remote", "set-head", "origin", "main")
    said = said_by(clone, "max_flips: {against: base, max: 1}", status="failed")
    assert "this clone is shallow" in said
    assert "fetch-depth: 0" in said
    said = said_by(clone, "max_flips: {against: origin/main, max: 1}", status="failed")
    assert "not in this store" in said


def test_the_store_of_another_branch_is_enough(branch: Sandbox) -> None:
    """What was built once stays: switching branches is how the base comes into the store."""
    shutil.rmtree(branch.root / ".teachkit")
    branch.write({STARS: UPSIDE_DOWN})
    assert "not in this store" in said_by(branch, "max_flips: {against: main, max: 1}", status="failed")
    git(branch.root, "stash", "-q", "-u")
    branch("build")
    git(branch.root, "stash", "pop", "-q")
    assert "others than in teachkit.lock of main" in said_by(
        branch, "max_flips: {against: main, max: 1}", status="passed"
    )


def test_a_new_label_set_has_nothing_to_be_compared_with(branch: Sandbox) -> None:
    branch.replace(MODEL, "name: moods", "name: feelings")
    for name in ("exports/train.yml", "tests/labeled_once.sql"):
        branch.replace(name, "moods", "feelings")
    for test in TESTS:
        branch.write({"tests/policy.yml": f"tests:\n  - node: feelings\n    tests:\n      - {test % 'main'}\n"})
        branch("build")
    said = branch.result("test.feelings.protected_labels")["message"]
    assert said == "0 of 8 protected answers are contradicted"


# ---------------------------------------------------------------------------- what changed between


def renamed(project: Sandbox) -> None:
    project.replace("tasks/mood.yml", "labels: [good, bad]", "labels: [fine, bad]")
    project.replace("tasks/mood.yml", '"+": good', '"+": fine')
    project.replace("labeling_functions/mood/words.yml", "label: good", "label: fine")
    project.replace("labeling_functions/mood/style.py", 'label="good"', 'label="fine"')
    project.replace("annotations/mood/ann.jsonl", '"good"', '"fine"')
    project.replace(STARS, "'good'", "'fine'")


def other_key(project: Sandbox) -> None:
    project.replace("transforms/reviews.sql", "select id,", "select id, 'x' || id as code,")
    project.replace("tasks/mood.yml", "key: id", "key: code")
    project.write({"annotations/mood/ann.jsonl": None, "tests/labeled_once.sql": None, "exports/train.yml": None})


def other_task(project: Sandbox) -> None:
    project.replace("tasks/mood.yml", "name: mood", "name: tone")
    project.replace(MODEL, "task: mood", "task: tone")
    for folder in ("labeling_functions", "annotations"):
        (project.root / folder / "mood").rename(project.root / folder / "tone")


def multichoice(project: Sandbox) -> None:
    project.replace("tasks/mood.yml", "- name: mood\n", "- name: mood\n    kind: multichoice\n")
    project.write({"tests/rules.yml": None, "exports/train.yml": None})


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            renamed,
            "labels of teachkit.lock of main ({}) are no labels of task 'mood' now (good): no comparison is true",
        ),
        (other_key, "in teachkit.lock of main ({}) items have no key 'code': no item of then can be found again"),
        (
            other_task,
            "in teachkit.lock of main ({}) this label set answers task 'mood', now 'tone': no comparison is true",
        ),
        (multichoice, "in teachkit.lock of main ({}) the task was of another kind (labels are VARCHAR, now VARCHAR[])"),
    ],
)
def test_what_cannot_be_compared_is_said(branch: Sandbox, change: Any, said: str, test: str) -> None:
    change(branch)
    main = git(branch.root, "rev-parse", "--short=10", "main")
    assert said_by(branch, test % "main", status="failed") == said.format(main)


def test_items_that_all_have_new_keys_are_no_agreement(branch: Sandbox) -> None:
    branch.replace("transforms/reviews.sql", "select id,", "select 'x' || id as id,")
    branch.write({"annotations/mood/ann.jsonl": None})
    assert "flips cannot be counted" in said_by(branch, TESTS[0] % "main", status="warned")
    assert "there is nothing to compare" in said_by(branch, TESTS[1] % "main", status="warned")


def test_keys_of_another_type_are_found_again(branch: Sandbox) -> None:
    branch.replace("transforms/reviews.sql", "select id,", "select cast(substr(id, 2) as integer) as id,")
    branch.write({"annotations/mood/ann.jsonl": None, "tests/labeled_once.sql": None})
    publish(branch)
    git(branch.root, "branch", "-q", "numbers")
    branch.replace("transforms/reviews.sql", "as integer)", "as bigint)::varchar")
    assert "of 34 labels" in said_by(branch, "max_flips: {against: numbers, max: 100%}", status="passed")


# ---------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize("tenths", range(0, 1001, 7))
def test_a_share_in_percent_is_the_number_that_it_writes(tenths: int) -> None:
    share = float(f"{tenths / 1000:.3f}")
    assert share_of(f"{tenths / 10}%") == share
    assert share_of(f"-{tenths / 10} %") == -share
    assert share_of(share) == share


def test_accuracy_may_not_fall_by_more(branch: Sandbox) -> None:
    main = git(branch.root, "rev-parse", "--short=10", "main")
    branch.write({STARS: "case when id in ('r004', 'r014') then 'good' when id = 'r009' then 'bad' end"})
    said = said_by(branch, "min_accuracy_delta: {against: main, min: -0.5%}", status="failed")
    assert said == (
        f"accuracy on gold.test 0.000, in teachkit.lock of main ({main}) 0.875: -87.50% on the same 8 items "
        "(0 right only now, 7 only then, McNemar's p 0.0156); at least -0.50% wanted"
    )
    said_by(branch, "min_accuracy_delta: {against: main, min: -100%}", status="passed")


def test_a_difference_that_is_just_allowed_is_allowed(branch: Sandbox) -> None:
    """One of eight: no rounding of the percentage makes it less."""
    branch.write({
        "labeling_functions/mood/wrong.sql": "select id, 'bad' as label from {{ ref('reviews') }} where id = 'r009'",
        "label_models/mood.yml": branch.read(MODEL) .replace("[stars]", "[stars, wrong]"),
    })  # fmt: skip
    said = said_by(branch, "min_accuracy_delta: {against: main, min: -12.5%, split: test}", status="passed")
    assert "-12.50% on the same 8 items" in said
    said_by(branch, "min_accuracy_delta: {against: main, min: -12.4%, split: test}", status="failed")


def test_a_look_at_the_test_split_is_counted_once_for_what_is_new(branch: Sandbox) -> None:
    branch.write({STARS: UPSIDE_DOWN})
    branch("build")
    seen = looks(branch)
    said_by(branch, "min_accuracy_delta: {against: main, min: -1, split: tune}", status="passed")
    assert looks(branch) == seen
    said_by(branch, "min_accuracy_delta: {against: main, min: -1, split: test}", status="passed")
    assert looks(branch) == seen + 1
    branch("build")
    branch("test")
    assert looks(branch) == seen + 1


# ---------------------------------------------------------------------------- protected labels


@pytest.fixture
def curated(branch: Sandbox) -> Sandbox:
    """A curator and a gold file beside the gold column; the label set heeds neither."""
    branch.write({
        "annotations/mood/rosa.jsonl": '{"item": "r002", "label": "good"}\n{"item": "r005", "label": "bad", "at": '
        '"2026-01-01T10:00:00Z"}\n{"item": "r006", "label": null}\n',
        "annotations/mood/uwe.jsonl": '{"item": "r005", "label": "good", "at": "2026-01-01T11:30:00+02:00"}\n',
        "annotations/mood/truth.csv": "item,label\nr003,good\nr007,bad\nr008,good\nr011,good\n",
        "annotations/mood/_meta.yml": "files: {rosa.jsonl: {role: curator}, uwe.*: {role: curator}, truth.csv: "
        "{role: gold}}\n",
    })  # fmt: skip
    branch.write({MODEL: branch.read(MODEL) + "    curators: false\n"})
    return branch


def protected(project: Sandbox, arguments: str = "{store_failures: true, severity: warn}") -> dict[str, Any]:
    declare(project, f"protected_labels: {arguments}")
    project("build")
    rows = project("show", "test.moods.protected_labels", "--limit", "-1", "--format", "json").json["rows"]
    return {row["id"]: row for row in rows}


def test_every_contradiction_names_whose_answer_it_is(curated: Sandbox) -> None:
    rows = protected(curated)
    assert rows["r002"] == {
        "id": "r002",
        "label": "bad",
        "protected": "good",
        "by": "curator rosa (annotations/mood/rosa.jsonl:1)",
        "before": None,
    }
    assert rows["r005"]["by"] == "curator rosa (annotations/mood/rosa.jsonl:2)"  # the later of two, in UTC
    assert rows["r007"]["by"] == "gold truth (annotations/mood/truth.csv:3)"
    assert set(rows) == {"r002", "r005", "r007"}
    said = curated.result("test.moods.protected_labels")
    assert (said["failures"], said["status"]) == (3, "warned")
    assert said["message"].startswith("3 of ")
    curated.write({STARS: UPSIDE_DOWN})
    rows = protected(curated)
    assert rows["r008"]["by"] == "gold column 'mood'" if "r008" in rows else True
    column = {row["by"] for row in rows.values()}
    assert "gold column 'mood'" in column


def test_gold_of_the_test_split_is_left_alone_unless_named(curated: Sandbox) -> None:
    curated.write({STARS: UPSIDE_DOWN})
    seen = looks(curated)
    of = {row["id"]: row["split"] for row in curated.rows("reviews")}
    rows = protected(curated, "{from: [gold], store_failures: true, severity: warn}")
    assert {of[item] for item in rows} == {"train", "tune"}
    protected_now = looks(curated)
    rows = protected(curated, "{from: [gold], splits: [test], store_failures: true, severity: warn}")
    assert {of[item] for item in rows} == {"test"}
    assert looks(curated) == protected_now + 1 >= seen + 1


def test_a_protected_label_that_is_lost_shows_against_the_base(curated: Sandbox) -> None:
    publish(curated)
    git(curated.root, "branch", "-q", "before")
    curated.write({STARS: "case when id = 'r003' then 'bad' when stars >= 4 and id <> 'r008' then 'good' end"})
    plain = protected(curated, "{from: [gold], store_failures: true, severity: warn}")
    rows = protected(curated, "{from: [gold], store_failures: true, severity: warn, against: before}")
    lost = {item for item, row in rows.items() if row["label"] is None}
    assert lost
    assert all(rows[item]["before"] == rows[item]["protected"] for item in lost)
    assert set(rows) == set(plain) | lost
    assert rows["r003"]["label"] == "bad"
    said = curated.result("test.moods.protected_labels")["message"]
    assert said.startswith(f"{len(rows)} of ")
    assert "contradicted or lost" in said
    assert " of them since teachkit.lock of before (" in said


def test_an_outcome_without_against_is_kept(curated: Sandbox) -> None:
    declare(curated, "protected_labels: {severity: warn}")
    curated("build")
    assert curated.build()["test.moods.protected_labels"] == "warned"
    assert "test.moods.protected_labels" not in curated.fresh_nodes()


MULTI = {
    "teachkit.yml": "name: genres\n",
    "profiles.yml": "default: dev\ntargets: {dev: {threads: 1, memory: 500MB}}\n",
    "data/films.csv": "nummer,titel\nä 1,Krieg der Herzen\n2,Lachen\n3,Weltall\n",
    "sources/kino.yml": "sources: [{name: kino, tables: [{name: filme, path: data/films.csv, key: nummer}]}]\n",
    "transforms/filme.sql": "select nummer, titel from {{ source('kino', 'filme') }}\n",
    "tasks/genre.yml": """
        tasks:
          - name: genre
            kind: multichoice
            labels: [krieg, liebe, komödie, horror, sci-fi, doku, sonst]
            dataset: ref('filme')
            key: nummer
        """,
    "labeling_functions/genre/wörter.yml": """
        labeling_functions:
          - {name: krieg, label: krieg, any_of: [Krieg], column: titel}
          - {name: all, label: sci-fi, any_of: [Weltall], column: titel}
        """,
    "annotations/genre/kurator.csv": "item,label\nä 1,liebe|krieg\n3,sci-fi\n",
    "annotations/genre/gold.jsonl": '{"item": 2, "label": ["komödie"]}\n',
    "annotations/genre/_meta.yml": "files: {kurator.csv: {role: curator}, gold.jsonl: {role: gold}}\n",
    "label_models/genre.yml": """
        label_models:
          - name: genres
            task: genre
            type: majority
            curators: false
            tests:
              - protected_labels: {splits: [test], severity: warn, store_failures: true}
              - max_flips: {max: 0}
              - min_accuracy_delta: {min: 0, severity: warn}
        """,
}


def test_several_labels_for_an_item(tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "kino", MULTI)
    project("build")
    project("build")
    rows = project("show", "test.genres.protected_labels", "--format", "json").json["rows"]
    found = {row["nummer"]: (row["label"], row["protected"], row["by"]) for row in rows}
    assert found == {
        "ä 1": ("krieg|sci-fi", "krieg|liebe", "curator kurator (annotations/genre/kurator.csv:2)"),
        "3": ("krieg|sci-fi", "sci-fi", "curator kurator (annotations/genre/kurator.csv:3)"),
    }
    assert "0 of 2 labels" in project.result("test.genres.max_flips")["message"]
    said = project.result("test.genres.min_accuracy_delta")["message"]
    assert said.startswith("accuracy on gold.test 0.000, in teachkit.lock 0.000: +0.00% on the same 1 item")


@pytest.mark.parametrize("lines", [0, 1])
def test_few_rows(lines: int, tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "kino", MULTI)
    head, first, *_ = project.read("data/films.csv").splitlines()
    project.write({
        "data/films.csv": "\n".join([head, first][: lines + 1]) + "\n",
        "annotations/genre/kurator.csv": "item,label\n" + "ä 1,krieg\n" * lines,
        "annotations/genre/gold.jsonl": '{"item": "ä 1", "label": ["krieg"]}\n' * lines,
    })  # fmt: skip
    for _ in range(2):
        project("build", code=None)
    results = {r["id"]: r for r in project.json_file("target/run_results.json")["results"]}
    assert results["test.genres.max_flips"]["status"] == "passed"
    expected = (
        "0 of 2 protected answers are contradicted" if lines else "there is no answer of curator or gold to protect"
    )
    assert results["test.genres.protected_labels"]["message"].startswith(expected)
    expected = "+0.00% on the same 1 item" if lines else "no item of gold.test has gold"
    assert expected in results["test.genres.min_accuracy_delta"]["message"]


def test_nothing_to_protect_or_to_measure_is_an_error_of_the_project(tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "kino", MULTI)
    project.write({"annotations/genre/_meta.yml": "files: {}\n"})
    found = project("parse", code=2).err
    assert "protected_labels: task 'genre' has nothing to protect" in found
    assert "min_accuracy_delta: task 'genre' has no gold" in found
    project.replace("label_models/genre.yml", "{splits: [test]", "{from: [gold], splits: [test]")
    assert "protected_labels: task 'genre' has no gold" in project("parse", code=2).err
