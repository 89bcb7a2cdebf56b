"""What runs again after a change: exactly what the change can alter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox import Sandbox

TRANSFORM = "transforms/reviews.sql"
WORDS = "labeling_functions/mood/words.yml"
STYLE = "labeling_functions/mood/style.py"
STARS = "labeling_functions/mood/stars.sql"
MODEL = "label_models/mood.yml"
LFS = {"lf.mood.praise", "lf.mood.blame", "lf.mood.stars", "lf.mood.refund", "lf.mood.short_praise"}


def edit(name: str, old: str, new: str) -> Callable[[Sandbox], None]:
    return lambda project: project.replace(name, old, new)


def write(name: str, text: str) -> Callable[[Sandbox], None]:
    return lambda project: project.write({name: text})


def rows(change: Callable[[str], str]) -> Callable[[Sandbox], None]:
    return lambda project: project.write({"data/reviews.csv": change(project.read("data/reviews.csv"))})


def windows_lines(project: Sandbox) -> None:
    project.write({STARS: project.read(STARS).replace("\n", "\r\n").encode()})


NOTHING: dict[str, Callable[[Sandbox], None]] = {
    "a comment in SQL": edit(STARS, "case when", "-- rated\ncase /* stars */ when"),
    "the layout and case of SQL": edit(
        STARS, "case when stars >= 4 then 'good'", "CASE\n  WHEN stars>=4\n  THEN 'good'"
    ),
    "a comment in a transform": edit(TRANSFORM, "select id", "-- all of them\nselect id"),
    "the order of YAML entries": write(
        WORDS,
        """
        labeling_functions:
          - {name: blame, dictionary: blame.txt, tags: [words], label: bad}
          # praise comes last
          - name: praise
            label: good
            any_of: [love, great, excellent]
            tags: [words]
        """,
    ),
    "defaults that are written out": edit(WORDS, "label: good", "label: good, column: text, case_sensitive: false"),
    "a description and tags": edit(WORDS, "tags: [words]}", "tags: [more], description: as said}"),
    "comments, docstrings and layout of Python": edit(STYLE, '    return "love"', "    # praise\n    return  'love'"),
    "a function that nothing reaches": edit(STYLE, "def words", "def other():\n    return 1\n\n\ndef words"),
    "a variable that nothing reads": edit("teachkit.yml", "{low: 2}", "{low: 2, high: 4}"),
    "threads and memory": edit("profiles.yml", "{threads: 2, memory: 500MB}", "{threads: 1, memory: 400MB}"),
    "a macro that nothing calls": edit(
        "macros/words.sql", "{% macro says", "{% macro no() %}1{% endmacro %}\n{% macro says"
    ),
    "a macro rewritten with the same result": edit(
        "macros/words.sql", "contains(lower(text)", "contains(lower( text )"
    ),
    "the guideline": write("tasks/mood.md", "Good or bad?"),
    "an unused file": write("README.md", "# Reviews"),
    "a dictionary's comments and blank lines": edit("labeling_functions/mood/blame.txt", "broken\n", "broken\n\n"),
    "line ends of Windows": windows_lines,
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_change_without_meaning_runs_nothing(name: str, built: Sandbox) -> None:
    before = built.state()
    NOTHING[name](built)
    statuses = built.build()
    assert {i for i, s in statuses.items() if s not in ("reused", "passed")} == set()
    assert built.state() == before


CUT = {
    "a transform rewritten with the same result": (
        edit(TRANSFORM, "where length(text) > 0", "where text <> '' and length(text) >= 1"),
        {"transform.reviews"},
    ),
    "a transform that gains a column": (
        edit(TRANSFORM, "select id,", "select id, upper(text) as loud,"),
        {"transform.reviews"},
    ),
    "columns of a transform in another order": (
        edit(TRANSFORM, "id, text, stars, mood, split", "split, mood, stars, text, id"),
        {"transform.reviews"},
    ),
    "one labeling function, with other votes": (
        edit(WORDS, "[love, great, excellent]", "[excellent]"),
        {"lf.mood.praise", "label_set.moods", "export.train"},
    ),
    "one labeling function, with the same votes": (edit(STARS, "stars >= 4", "stars > 3"), {"lf.mood.stars"}),
    "a macro": (edit("macros/words.sql", "contains(lower(text)", "starts_with(lower(text)"), {"lf.mood.refund"}),
    "a dictionary": (
        edit("labeling_functions/mood/blame.txt", "waste\n", "arrival\n"),
        {"lf.mood.blame", "label_set.moods", "export.train"},
    ),
    "a Python helper": (
        edit(STYLE, "text.lower().split()", "text.lower().replace('lamp', '').split()"),
        {"lf.mood.short_praise"},
    ),
    "a variable": (edit("teachkit.yml", "low: 2", "low: 1"), {"lf.mood.stars", "label_set.moods", "export.train"}),
    "a new labeling function": (
        write("labeling_functions/mood/lamp.sql", "{{ config(label='good') }} text like '%lamp%'"),
        {"lf.mood.lamp", "label_set.moods", "export.train"},
    ),
    "the label model": (edit(MODEL, "type: majority", "type: one_coin"), {"label_set.moods", "export.train"}),
    "an annotation": (
        edit("annotations/mood/ann.jsonl", '"r001", "label": "bad"', '"r001", "label": "good"'),
        {"annotations.mood.ann", "label_set.moods", "export.train"},
    ),
    "an export's columns": (edit("exports/train.yml", "[id, text, label]", "[id, label]"), {"export.train"}),
    "gold": (rows(lambda t: t.replace(",+,tune", ",-,tune")), {"source.shop.reviews", "transform.reviews"}),
    "one text": (
        rows(lambda t: t.replace('r004,"', 'r004,"love ')),
        {"source.shop.reviews", "transform.reviews", "export.train", "label_set.moods"} | (LFS - {"lf.mood.stars"}),
    ),
    "one rating": (
        rows(lambda t: t.replace('money",1', 'money",2')),
        {"source.shop.reviews", "transform.reviews", "lf.mood.stars"},
    ),
    "rows in another order": (
        rows(lambda t: "\n".join([t.splitlines()[0], *reversed(t.splitlines()[1:])]) + "\n"),
        {"source.shop.reviews", "transform.reviews", "annotations.mood.ann", "label_set.moods", "export.train", *LFS},
    ),
    "one new row": (
        rows(lambda t: t + "r999,great,5,,train\n"),
        {"source.shop.reviews", "transform.reviews", "annotations.mood.ann", "label_set.moods", "export.train", *LFS},
    ),
}


@pytest.mark.parametrize("name", CUT)
def test_a_change_runs_what_it_can_alter_and_nothing_else(name: str, built: Sandbox) -> None:
    change, expected = CUT[name]
    change(built)
    plan = {s["id"]: s["action"] for s in built("build", "--dry-run", "--format", "json").json["steps"]}
    fresh = built.fresh_nodes()
    assert fresh == expected
    assert {i for i in fresh if plan[i] == "reuse"} == set()  # the plan is an upper bound
    assert built.fresh_nodes() == set()


def test_back_and_forth_costs_nothing(built: Sandbox) -> None:
    before = built.state()
    with built.changed({STARS: "case when stars = 5 then 'good' end"}):
        assert "lf.mood.stars" in built.fresh_nodes()
        assert built.state() != before
    assert built.fresh_nodes() <= {"export.train"}
    assert {n: d for n, d in built.state().items() if "refs" not in n} == {
        n: d for n, d in before.items() if "refs" not in n
    }


def test_the_lock_shows_what_a_change_does(built: Sandbox) -> None:
    before = built.read("teachkit.lock")
    built.replace(TRANSFORM, "select id,", "select id, 1 as one,")
    built("build")
    assert built.read("teachkit.lock").replace(
        lock_value(built.read("teachkit.lock"), "fingerprint"), ""
    ) == before.replace(lock_value(before, "fingerprint"), "")
    built.replace("labeling_functions/mood/blame.txt", "waste\n", "arrival\n")
    built.write({STARS: "case when stars = 5 then 'good' end"})
    built("build")
    assert lock_value(built.read("teachkit.lock"), "digest") != lock_value(before, "digest")


def lock_value(text: str, key: str) -> str:
    return next(line.split(": ")[1] for line in text.splitlines() if line.strip().startswith(f"{key}: "))


def test_full_refresh_runs_everything_and_changes_nothing(built: Sandbox) -> None:
    before = built.state()
    statuses = built.build("--full-refresh")
    assert {i for i, s in statuses.items() if s == "reused"} == set()
    assert sum(s == "built" for s in statuses.values()) == 10
    assert built.state() == before


def test_judgments_checked_out_on_windows_are_the_same(built: Sandbox) -> None:
    path = "annotations/mood/ann.jsonl"
    built.write({path: built.read(path).replace("\n", "\r\n").encode()})
    assert "annotations.mood.ann" not in built.fresh_nodes("--locked")
    assert "annotations.mood.ann" in built.fresh_nodes("--locked", "--full-refresh")
    built("audit", "verify", "--from-sources")


def test_locked_passes_if_nothing_moved(built: Sandbox) -> None:
    before = built.state()
    built("build", "--locked")
    built("build", "--locked", "--full-refresh")
    built("build", "--locked", "--select", "+moods")
    assert built.state() == before
    (built.root / "teachkit.lock").unlink()
    assert "label set moods: is not in teachkit.lock" in built("build", "--locked", code=1).all


@pytest.mark.parametrize("more", [(), ("--full-refresh",)])
def test_locked_says_which_labels_moved(more: tuple[str, ...], built: Sandbox) -> None:
    built.write({STARS: "case when stars = 5 then 'good' end"})
    before = built.state()
    found = built("build", "--locked", *more, code=1)
    assert "the labels differ from teachkit.lock" in found.err
    assert "label set moods: " in found.err
    assert "[locked-differs]" in found.err
    assert "run 'teachkit build' and commit teachkit.lock" in found.err
    assert built.state() == before
    results = built.json_file("target/run_results.json")
    assert (results["passed"], results["published"]) == (False, False)
    assert {r["id"]: r["status"] for r in results["results"]}["export.train"] == "skipped"
    built("build")
    built("build", "--locked")


def test_locked_sees_a_label_set_that_is_gone(built: Sandbox) -> None:
    built.write({MODEL: None, "exports/train.yml": None, "tests/labeled_once.sql": None})
    assert "and the project does not make it" in built("build", "--locked", code=1).all
    built("build")
    assert "label_sets: {}" in built.read("teachkit.lock")
    assert "label_set.moods" not in built.published()


def test_the_lock_of_another_checkout_is_held(built: Sandbox, fresh_again: Sandbox) -> None:
    fresh_again.write({"teachkit.lock": built.read("teachkit.lock")})
    fresh_again("build", "--locked")
    assert fresh_again.read("teachkit.lock") == built.read("teachkit.lock")
    assert fresh_again.published() == built.published()


@pytest.fixture
def fresh_again(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    from tests.sandbox import REVIEWS, Sandbox

    return Sandbox(tmp_path_factory.mktemp("other") / "checkout", REVIEWS)


def test_threads_do_not_move_a_label(built: Sandbox) -> None:
    for threads in ("1", "4"):
        assert built.fresh_nodes("--threads", threads) == set()
    built.replace(MODEL, "type: majority", "type: dawid_skene")
    seen = []
    for threads in ("1", "2", "4"):
        built("build", "--full-refresh", "--threads", threads)
        seen.append(built.published())
    assert seen[0] == seen[1] == seen[2]


def test_dry_run_runs_nothing(built: Sandbox) -> None:
    def everything() -> set[str]:
        return {str(p) for p in built.root.rglob("*") if "cache" not in p.parts}

    built.write({STARS: "case when stars = 5 then 'good' end"})
    before, files = built.state(), everything()
    plan = {s["id"]: (s["action"], s["reason"]) for s in built("build", "--dry-run", "--format", "json").json["steps"]}
    assert plan["lf.mood.stars"] == ("run", "its definition changed")
    assert plan["lf.mood.praise"][0] == "reuse"
    assert plan["label_set.moods"][0] == "maybe"
    assert plan["source.shop.reviews"][0] == "reuse"
    assert (built.state(), everything()) == (before, files)
    refresh = built("build", "--dry-run", "--full-refresh", "--format", "json").json["steps"]
    assert {s["action"] for s in refresh if s["id"].startswith(("source", "lf"))} <= {"run", "maybe"}


def test_a_sample_runs_on_some_rows_and_publishes_nothing(built: Sandbox) -> None:
    before = built.state()
    found = built("build", "--sample", "7")
    assert "not published: a sample" in found.out
    assert built.result("transform.reviews")["rows"] == 7
    assert built.result("label_set.moods")["rows"] == 7
    assert built.state() == before
    assert (built.root / "target/sample/train.csv").read_text().startswith("id,text,label")
    assert built.fresh_nodes() <= {"export.train"}
    assert built.state() == before


def test_empty_runs_on_no_row_and_publishes_nothing(built: Sandbox) -> None:
    built.write({MODEL: "label_models:\n  - {name: moods, task: mood}\n"})
    before = built.state()
    found = built("build", "--empty")
    assert "not published" in found.out
    assert built.result("label_set.moods")["rows"] == 0
    assert built.state() == before


def test_run_publishes_and_leaves_the_lock(built: Sandbox) -> None:
    lock = built.read("teachkit.lock")
    built.write({STARS: "case when stars = 5 then 'good' end"})
    before = built.published()
    built("run")
    assert built.read("teachkit.lock") == lock
    assert built.published()["lf.mood.stars"] != before["lf.mood.stars"]


def test_test_runs_tests_alone(built: Sandbox) -> None:
    before = built.state()
    statuses = {r["id"]: r["status"] for r in built("test", "--format", "json").json["results"]}
    assert len(statuses) == 8
    assert set(statuses.values()) == {"passed"}
    assert built.state() == before


def test_other_targets_have_environments_of_their_own_and_share_the_store(built: Sandbox) -> None:
    before = built.state()
    assert built.fresh_nodes("--target", "ci") <= {"source.shop.reviews"}
    assert built.published("ci") == built.published()
    assert {n: d for n, d in built.state().items() if "ci" not in n} == before


def test_full_refresh_mends_what_is_damaged(built: Sandbox) -> None:
    key = built.json_file(".teachkit/refs/dev.json")["nodes"]["lf.mood.stars"]["objects"][0]
    path = built.root / f".teachkit/objects/{key[:2]}/{key}.parquet"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    assert "DOES NOT HOLD" in built("audit", "verify", code=1).out
    built("build", "--full-refresh")
    built("audit", "verify")
