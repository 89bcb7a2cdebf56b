"""``retry``: what it runs, what it publishes, which options count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.api import Project
from teachkit.build.run import Note
from tests.build.test_git import STARS
from tests.build.test_selection import ALL, ANN, EXPORT, LABEL_TESTS, LABELS, LFS, SOURCE, TRANSFORM, UNIT, ls
from tests.sandbox import REVIEWS, Sandbox, reviews_csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BROKEN = "case when cast(text as integer) = 1 then 'good' end"
OTHER = "case when stars = 5 then 'good' when stars <= 2 then 'bad' end"
STYLE = "labeling_functions/mood/style.py"
BROKEN_STYLE = REVIEWS[STYLE].replace("len(words(text)) < 4", "1 / 0 > 4")
HANGS = {"lf.mood.stars", LABELS, EXPORT} | LABEL_TESTS


def retry(project: Sandbox, *words: str, code: int | None = 0, env: dict[str, str] | None = None) -> dict[str, str]:
    found = project("retry", "--format", "json", *words, code=code, env=env)
    return {r["id"]: r["status"] for r in found.json["results"]}


def args(project: Sandbox) -> Any:
    return project.json_file("target/run_results.json")["args"]


def visible(project: Sandbox) -> dict[str, Any]:
    """What a build has published, but for the id of the run that did."""
    refs = {p.name: json.loads(p.read_bytes())["nodes"] for p in project.root.glob(".teachkit/refs/*.json")}
    return {"refs": refs, "lock": project.read("teachkit.lock"), "train": project.read("output/train.csv")}


@pytest.fixture
def failed(built: Sandbox) -> Sandbox:
    """A project whose last build broke at ``stars``; another labeling function was changed before, and is built."""
    built.replace("labeling_functions/mood/words.yml", "[love, great, excellent]", "[excellent]")
    built.write({STARS: BROKEN})
    statuses = built.build(code=1)
    assert {i for i, s in statuses.items() if s in ("error", "skipped")} == HANGS
    assert statuses["lf.mood.praise"] == "built"
    return built


# ---------------------------------------------------------------------------- what it runs


def test_it_runs_what_failed_and_what_was_skipped_and_publishes_everything(failed: Sandbox, tmp_path: Path) -> None:
    failed.write({STARS: OTHER})
    control = failed.copy(tmp_path / "control")
    assert retry(failed) == {
        **dict.fromkeys(["lf.mood.stars", LABELS, EXPORT], "built"),
        **dict.fromkeys(LABEL_TESTS, "passed"),
    }
    control("build")
    assert visible(failed) == visible(control)
    assert failed.build("--locked") == {i: "passed" if "test." in i else "reused" for i in ALL}
    assert ls(failed, "--select", "state:modified state:new") == set()


def test_a_first_build_too_and_nodes_that_went_are_forgotten(fresh: Sandbox, tmp_path: Path) -> None:
    fresh.write({STARS: BROKEN, STYLE: BROKEN_STYLE})
    fresh.build(code=1)
    assert not (fresh.root / "teachkit.lock").exists()
    fresh.write({STARS: REVIEWS[STARS], STYLE: None})
    found = fresh("retry")
    assert "      lf.mood.short_praise is no longer in the project\n" in found.out
    assert "published to target 'dev'; teachkit.lock changed: commit it" in found.out
    control = Sandbox(tmp_path / "control", {**REVIEWS, STYLE: None})
    control("build")
    assert visible(fresh) == visible(control)
    assert "lf.mood.short_praise" not in fresh.published()


def test_retry_upon_retry(failed: Sandbox, tmp_path: Path) -> None:
    failed.write({STYLE: BROKEN_STYLE})
    assert failed.build(code=1)["lf.mood.short_praise"] == "error"
    before = failed.state()
    failed.write({STARS: OTHER})
    first = retry(failed, code=1)
    assert (first["lf.mood.stars"], first["lf.mood.short_praise"], first[LABELS]) == ("built", "error", "skipped")
    assert set(first) == HANGS | {"lf.mood.short_praise"}
    assert failed.state() == before
    second = retry(failed, code=1)
    assert set(second) == (HANGS | {"lf.mood.short_praise"}) - {"lf.mood.stars"}
    failed.write({STYLE: REVIEWS[STYLE]})
    control = failed.copy(tmp_path / "control")
    third = retry(failed)
    assert set(third) == set(second)
    assert third[LABELS] == "built"
    control("build")
    assert visible(failed) == visible(control)
    runs = failed("sql", "select record ->> 'retry_of' as r from audit.runs order by number", "--format", "json").json
    ids = failed("sql", "select run from audit.runs order by number", "--format", "json", code=None)
    assert [row["r"] is None for row in runs["rows"]][-5:] == [True, True, False, False, False], ids.out
    assert retry(failed) == {}


def test_a_test_that_failed_and_what_it_held_up(built: Sandbox) -> None:
    built.replace("label_models/mood.yml", "coverage: {min: 0.5}", "coverage: {min: 0.999}")
    built.replace("label_models/mood.yml", "tests:\n", "tests:\n      - max_flips: {against: lock, max: 100%}\n")
    built.write({STARS: OTHER})
    statuses = built.build(code=1)
    assert {i for i, s in statuses.items() if s in ("failed", "skipped")} == {"test.moods.coverage", EXPORT}
    assert retry(built, code=1) == {"test.moods.coverage": "failed", EXPORT: "skipped"}
    built.replace("label_models/mood.yml", "coverage: {min: 0.999}", "coverage: {min: 0.4}")
    assert retry(built) == {"test.moods.coverage": "passed", EXPORT: "built"}
    assert {i for i, s in built.build("--locked").items() if s not in ("reused", "passed")} == set()


def test_a_database_client_sees_what_a_retry_publishes(built: Sandbox) -> None:
    import duckdb

    def labels() -> list[tuple[Any, ...]]:
        with duckdb.connect(str(built.root / ".teachkit/teachkit.duckdb"), read_only=True) as connection:
            return connection.execute("select label, count(*) from labels.moods group by 1 order by 1").fetchall()

    before = labels()
    never = "select * from {{ ref('moods') }} limit 1"
    built.write({"tests/never.sql": never, STARS: "case when stars < 5 then 'bad' end", "exports/train.yml": None})
    built("build", code=1)
    assert labels() == before
    built.write({"tests/never.sql": "select * from {{ ref('moods') }} where false"})
    assert retry(built) == {"test.never": "passed"}
    assert labels() != before


def test_what_was_edited_since_runs_too_and_nothing_stale_is_published(failed: Sandbox, tmp_path: Path) -> None:
    failed.write(
        {
            STARS: OTHER,
            "labeling_functions/mood/refund.sql": "{{ config(label='bad') }} text like '%money%'",
            "labeling_functions/mood/lamp.sql": "{{ config(label='good') }} text like '%lamp%'",
            "tests/rules.yml": REVIEWS["tests/rules.yml"].replace("a lamp", "a chair"),
        }
    )
    control = failed.copy(tmp_path / "control")
    assert set(retry(failed)) == HANGS | {"lf.mood.refund", "lf.mood.lamp", UNIT}
    control("build")
    assert visible(failed) == visible(control)


def test_a_test_that_passed_counts_for_what_it_looked_at(built: Sandbox) -> None:
    built.write({"tests/few.sql": "select * from {{ source('shop', 'reviews') }} where stars = 4"})
    assert built.build("--select", "few", code=1) == {"test.few": "failed"}
    built.write({"data/reviews.csv": reviews_csv().replace(",4,", ",5,"), STARS: BROKEN})
    assert built.build(code=1)["test.few"] == "passed"
    built.write({"data/reviews.csv": reviews_csv(), STARS: OTHER})
    found = retry(built, code=1)
    assert found["test.few"] == "failed"
    assert found[EXPORT] == "skipped"


def test_new_data_is_seen_as_a_build_would(failed: Sandbox, tmp_path: Path) -> None:
    failed.write({STARS: OTHER, "data/reviews.csv": reviews_csv(50)})
    control = failed.copy(tmp_path / "control")
    assert set(retry(failed)) == ALL - {SOURCE}
    control("build")
    assert visible(failed) == visible(control)


def test_a_retry_after_the_store_was_lost(failed: Sandbox) -> None:
    import shutil

    failed.write({STARS: OTHER})
    shutil.rmtree(failed.root / ".teachkit")
    assert set(retry(failed)) == ALL - {SOURCE}
    assert failed.rows("moods")


# ---------------------------------------------------------------------------- which run it takes up


def test_a_part_of_the_project(failed: Sandbox) -> None:
    failed("build", "--select", "stars+", "--exclude", "train", code=1)
    failed.write({STARS: OTHER})
    lock = failed.read("teachkit.lock")
    assert set(retry(failed)) == HANGS - {EXPORT}
    assert (args(failed)["select"], args(failed)["exclude"]) == (["stars+"], ["train"])
    assert failed.read("teachkit.lock") != lock
    assert "lf.mood.praise" in failed.published()  # a part: the rest stays
    assert EXPORT in failed.json_file(".teachkit/refs/dev.json")["nodes"]


def test_a_selection_by_results_is_not_read_again(failed: Sandbox) -> None:
    failed("build", "--select", "result:error+ state:new", code=1)
    failed.write({STARS: OTHER})
    assert set(retry(failed)) == HANGS


def test_run_keeps_the_lock_and_runs_no_tests(failed: Sandbox) -> None:
    failed("run", code=1)
    before = failed.read("teachkit.lock")
    failed.write({STARS: OTHER})
    found = failed("retry", "--format", "json").json
    assert {r["id"] for r in found["results"]} == HANGS - LABEL_TESTS
    assert (found["command"], found["published"]) == ("run", True)
    assert failed.read("teachkit.lock") == before
    assert failed.build()[LABELS] == "reused"


def test_test_runs_tests_alone_and_publishes_nothing(built: Sandbox) -> None:
    built.write(
        {
            "tests/fails.sql": "select * from {{ ref('moods') }}",
            "tests/warns.sql": "{{ config(severity='warn') }} select 1",
        }
    )
    before = built.state()
    built("test", code=1)
    assert retry(built, code=1) == {"test.fails": "failed"}
    built.write({"tests/fails.sql": "select * from {{ ref('moods') }} where false"})
    found = built("retry")
    assert "1/1 passed  test.fails" in found.out
    assert "published" not in found.out
    assert built.state() == before
    assert built("retry").out.startswith("nothing to retry: run 000")


def test_the_options_of_the_run_count(failed: Sandbox) -> None:
    failed.write({"tests/fails.sql": "select * from {{ source('shop', 'reviews') }} where stars = 3"})
    words = ["--full-refresh", "--fail-fast", "--store-failures", "--target", "ci", "--vars", "{low: 1, a: [2, x]}"]
    failed("build", *words, "--threads", "1", "--exclude", "train", code=1)
    assert args(failed) == {
        "command": "build",
        "select": [],
        "exclude": ["train"],
        "full_refresh": True,
        "fail_fast": True,
        "locked": False,
        "store_failures": True,
        "sample": None,
        "threads": 1,
        "llm": None,
        "state": None,
        "target": "ci",
        "profiles_dir": None,
        "vars": {"low": 1, "a": [2, "x"]},
        "retry_of": None,
        "kept": [],
        "not_reached": [],
    }
    done = {
        r["id"] for r in failed.json_file("target/run_results.json")["results"] if r["status"] in ("built", "passed")
    }
    assert done
    failed.write({"tests/fails.sql": "select * from {{ source('shop', 'reviews') }} where stars = 9"})
    first = retry(failed, code=1)  # stars is broken: the first failure ends it
    assert first["lf.mood.stars"] == "error"
    assert first[LABELS] == "skipped"
    failed.write({STARS: REVIEWS[STARS]})
    second = retry(failed)
    assert second["lf.mood.stars"] == "built"
    assert not done & (first.keys() | second.keys())
    again = args(failed)
    assert again["retry_of"].startswith("000")
    assert (again["target"], again["vars"], again["full_refresh"]) == ("ci", {"low": 1, "a": [2, "x"]}, True)
    assert set(again["kept"]) | second.keys() == (ALL | {"test.fails"}) - {EXPORT}
    assert set(failed.published("ci")) == {SOURCE, TRANSFORM, ANN, LABELS} | LFS
    manifest = failed.json_file("target/manifest.json")["nodes"]["lf.mood.stars"]["compiled"]
    assert "<= 1" in manifest


def test_options_that_are_given_count_above_them(failed: Sandbox) -> None:
    failed.write({STYLE: BROKEN_STYLE, "profiles/profiles.yml": "default: x\ntargets:\n  x: {memory: 400MB}\n"})
    failed("build", "--fail-fast", "--full-refresh", "--vars", "{low: 1}", code=1)
    found = retry(failed, "--no-fail-fast", "--no-full-refresh", "--vars", "{low: 2}", "--threads", "1", code=1)
    assert {i for i, s in found.items() if s == "error"} == {"lf.mood.stars", "lf.mood.short_praise"}
    now = args(failed)
    assert (now["fail_fast"], now["full_refresh"], now["vars"], now["threads"]) == (False, False, {"low": 2}, 1)
    failed.write({STYLE: REVIEWS[STYLE], STARS: REVIEWS[STARS]})
    found = retry(failed, "-x", "-f", "--target", "x", "--profiles-dir", "profiles", env={"TEACHKIT_THREADS": "2"})
    assert found["lf.mood.stars"] == "built"  # it is in the store, and was to be run anew
    now = args(failed)
    assert (now["fail_fast"], now["full_refresh"], now["target"], now["threads"]) == (True, True, "x", 2)
    assert now["profiles_dir"] == str(failed.root / "profiles")
    assert set(failed.published("x")) == {SOURCE, TRANSFORM, ANN, LABELS} | LFS


@pytest.mark.parametrize("words", [("--store-failures", "--no-store-failures"), ("--quiet", "--store-failures")])
def test_to_keep_failing_rows_or_not_is_no_reason_to_test_again(fresh: Sandbox, words: tuple[str, str]) -> None:
    fresh.write({STARS: BROKEN})
    fresh("build", words[0], code=1)
    fresh.write({STARS: OTHER})
    assert set(retry(fresh, words[1])) == HANGS
    assert args(fresh)["store_failures"] is (words[1] == "--store-failures")


def test_a_sample_stays_a_sample(failed: Sandbox) -> None:
    failed("build", "--sample", "7", code=1)
    before = failed.state()
    failed.write({STARS: OTHER})
    assert set(retry(failed)) == HANGS
    assert failed.result(LABELS)["rows"] == 7
    assert {n: t for n, t in failed.state().items() if not n.startswith("output/")} == {
        n: t for n, t in before.items() if not n.startswith("output/")
    }


def test_labels_that_differ_from_the_lock_are_compared_again(built: Sandbox) -> None:
    built.write({STARS: OTHER, "exports/train.yml": None})
    lock = built.read("teachkit.lock")
    found = built("build", "--locked", code=1)
    assert "[locked-differs]" in found.err
    assert {r["status"] for r in built.json_file("target/run_results.json")["results"]} <= {"built", "reused", "passed"}
    found = built("retry", code=1)
    assert "[locked-differs]" in found.err
    assert "not published" in found.out
    found = built("retry", "--no-locked")
    assert "0 nodes in" in found.out
    assert "published to target 'dev'; teachkit.lock changed" in found.out
    assert built.read("teachkit.lock") != lock
    built("build", "--locked")


def test_a_run_that_broke_off_is_taken_up_where_it_stopped(fresh: Sandbox) -> None:
    found = fresh("build", "--select", "blame praise moods", code=2)
    assert "[not-built]" in found.err
    assert len(args(fresh)["not_reached"]) > 0
    results = fresh.json_file("target/run_results.json")
    fresh("retry", code=2)
    assert fresh.json_file("target/run_results.json")["args"]["retry_of"] == results["run_id"]
    kept = fresh.read("target/run_results.json")
    fresh("build", "--select", "+stars refund short_praise ann", "--exclude", "moods+")
    fresh.write({"target/run_results.json": kept})
    assert set(retry(fresh)) == {"lf.mood.blame", "lf.mood.praise", LABELS, UNIT} | LABEL_TESTS


def test_a_retry_that_broke_off_keeps_what_was_done_before(built: Sandbox) -> None:
    built.write({STARS: BROKEN})
    built("build", "--select", "stars praise moods", code=1)
    built.write({STARS: OTHER, "labeling_functions/mood/lamp.sql": "{{ config(label='good') }} text like '%lamp%'"})
    assert "[not-built]" in built("retry", code=2).err
    left = {"lf.mood.stars", LABELS} | LABEL_TESTS
    assert (args(built)["kept"], set(args(built)["not_reached"])) == (["lf.mood.praise"], left)
    kept = built.read("target/run_results.json")
    built("build", "--select", "lamp")
    built.write({"target/run_results.json": kept})
    assert set(retry(built)) == left


# ---------------------------------------------------------------------------- nothing to do, nothing to go on with


def test_nothing_to_retry(built: Sandbox) -> None:
    before = built.read("target/run_results.json"), built.state()
    run_id = built.json_file("target/run_results.json")["run_id"]
    found = built("retry")
    assert (found.out, found.err) == (f"nothing to retry: run {run_id} finished all that it was asked for\n", "")
    found = built("retry", "--format", "json", "--full-refresh")
    assert (found.json["run_id"], found.json["results"], found.json["passed"]) == (None, [], True)
    assert found.json["args"]["retry_of"] == run_id
    assert found.err == f"nothing to retry: run {run_id} finished all that it was asked for\n"
    assert (built.read("target/run_results.json"), built.state()) == before


def test_nothing_has_run(fresh: Sandbox) -> None:
    found = fresh("retry", code=2)
    assert found.err == (
        "error: there is no run to retry: there is no run_results.json in target/  [no-last-run]\n"
        "  run 'teachkit build', 'run' or 'test'\n"
    )
    fresh("compile")
    fresh("retry", code=2)
    fresh.write({"teachkit.yml": "name: reviews\nvars: {low: 2}\npaths: {target: made/it}\n", STARS: BROKEN})
    fresh("build", code=1)
    assert retry(fresh, code=1)["lf.mood.stars"] == "error"
    fresh("clean")
    assert "no run_results.json in it/" in fresh("retry", code=2).err


WITHOUT: dict[str, Callable[[Any], Any]] = {
    "another version": lambda found: {**found, "schema_version": 2},
    "no version": lambda found: {k: v for k, v in found.items() if k != "schema_version"},
    "no args": lambda found: {k: v for k, v in found.items() if k != "args"},
    "fewer args": lambda found: {**found, "args": {k: v for k, v in found["args"].items() if k != "select"}},
    "args of another kind": lambda found: {**found, "args": {**found["args"], "vars": 3}},
    "results of another kind": lambda found: {**found, "results": ["x"]},
    "a list": lambda found: [found],
}


@pytest.mark.parametrize("what", WITHOUT)
def test_a_record_that_cannot_be_used(failed: Sandbox, what: str) -> None:
    text = json.dumps(WITHOUT[what](failed.json_file("target/run_results.json")))
    for damaged in (text, text[:-5], "", b"\xff"):
        failed.write({"target/run_results.json": damaged})
        found = failed("retry", code=2)
        assert "run_results.json is not that of a run of this teachkit  [no-last-run]" in found.err


def test_what_does_not_compile_leaves_the_last_run_as_it_is(failed: Sandbox) -> None:
    before = failed.read("target/run_results.json")
    failed.write({STARS: "case when strs = 1 then 'good' end"})
    failed("build", code=2)
    failed("retry", code=2)
    failed("build", "--select", "nobody", code=2)
    failed("retry", "--target", "nowhere", code=2)
    failed("retry", "--sample", "3", code=2)
    failed.write({STARS: OTHER, "teachkit.lock": "<<<<<<< ours\n"})
    failed("retry", code=2)
    assert failed.read("target/run_results.json") == before
    failed.write({"teachkit.lock": None})
    assert set(retry(failed)) == HANGS


def test_nodes_that_are_gone_are_named_also_for_programs(failed: Sandbox) -> None:
    failed.write({STARS: None, "exports/train.yml": None})
    found = failed("--log-format", "json", "retry")
    notes = [line["text"] for line in found.lines if line["event"] == "note"]
    assert notes == ["export.train is no longer in the project", "lf.mood.stars is no longer in the project"]
    assert {"lf.mood.stars", EXPORT}.isdisjoint(failed.json_file(".teachkit/refs/dev.json")["nodes"])


def test_all_that_was_left_is_gone(built: Sandbox) -> None:
    built.write({"labeling_functions/mood/odd.sql": "{{ config(label='bad') }} cast(text as integer) = 1"})
    built("build", "--select", "odd", code=1)
    built.write({"labeling_functions/mood/odd.sql": None})
    found = built("retry")
    assert "lf.mood.odd is no longer in the project" in found.out
    assert "0 nodes in" in found.out
    assert built.published().keys() >= LFS


def test_from_python(failed: Sandbox) -> None:
    failed.write({STARS: OTHER})
    heard: list[Any] = []
    run = Project.load(failed.root, target="ci", vars={"low": 1}).retry(report=heard.append, fail_fast=True)
    assert (run.passed, run.target, run.published) == (True, "ci", True)
    assert run.args["fail_fast"] is True
    assert run.args["vars"] == {"low": 1}
    assert not [event for event in heard if isinstance(event, Note)]
    again = Project.load(failed.root).retry()
    assert (again.run_id, again.results, again.passed) == (None, (), True)


# ---------------------------------------------------------------------------- another project

WEEK = ["måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "söndag"]


@pytest.mark.parametrize("kind", ["choice", "multichoice"])
@pytest.mark.parametrize("rows", [0, 1, 9])
def test_another_project(tmp_path: Path, kind: str, rows: int) -> None:
    lines = "".join(f"nyckel ä{i},möte på {WEEK[i % 7]} {i}\n" for i in range(rows))
    rules = "".join(f"  - {{name: d{i}, label: {d}, column: ämne, any_of: [{d}]}}\n" for i, d in enumerate(WEEK))
    task = f"{{name: dag, kind: {kind}, labels: [{', '.join(WEEK)}], dataset: ref('moten'), key: nyckel}}"
    project = Sandbox(
        tmp_path / "veckodagar",
        {
            "teachkit.yml": "name: veckodagar\n",
            "data/möten.csv": "nyckel,ämne\n" + lines,
            "sources/s.yml": """
                sources:
                  - name: kalender
                    tables: [{name: moten, path: data/möten.csv, key: nyckel, columns: {ämne: {type: varchar}}}]
                """,
            "transforms/moten.sql": "select nyckel, ämne from {{ source('kalender', 'moten') }}",
            "tasks/dag.yml": f"tasks:\n  - {task}\n",
            "labeling_functions/dag/dagar.yml": "labeling_functions:\n" + rules,
            "label_models/m.yml": "label_models: [{name: dagar, task: dag, type: majority}]\n",
            "tests/tom.sql": "select 1 as fel",
        },
    )
    control = project.copy(tmp_path / "control")
    control.write({"tests/tom.sql": "select 1 as fel where false"})
    project("build", code=1)
    project.write({"tests/tom.sql": "select 1 as fel where false"})
    found = retry(project)
    assert found["test.tom"] == "passed"
    control("build")
    refs = [json.loads((p.root / ".teachkit/refs/dev.json").read_bytes())["nodes"] for p in (project, control)]
    assert refs[0] == refs[1]
    assert project.read("teachkit.lock") == control.read("teachkit.lock")
    assert len(project.rows("dagar")) == rows
