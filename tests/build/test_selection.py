"""The selection grammar on the command line, and what a build does with a part of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox import Sandbox

SOURCE = "source.shop.reviews"
TRANSFORM = "transform.reviews"
LABELS = "label_set.moods"
ANN = "annotations.mood.ann"
EXPORT = "export.train"
WORDS = {"lf.mood.praise", "lf.mood.blame", "lf.mood.refund"}
LFS = WORDS | {"lf.mood.stars", "lf.mood.short_praise"}
SOURCE_TESTS = {"test.shop.reviews.key", "test.shop.reviews.not_null.text", "test.shop.reviews.accepted_values.stars"}
LABEL_TESTS = {"test.moods.coverage", "test.moods.accuracy", "test.labeled_once"}
KEY, UNIT = "test.mood_key", "unit_test.blame_is_bad"
ALL = {SOURCE, TRANSFORM, LABELS, ANN, EXPORT, KEY, UNIT} | LFS | SOURCE_TESTS | LABEL_TESTS

SELECTED = {
    "moods": {LABELS} | LABEL_TESTS,
    "label_set.moods": {LABELS} | LABEL_TESTS,
    "+moods": ALL - {EXPORT},
    "1+moods": {LABELS, ANN, UNIT, TRANSFORM, KEY} | LFS | LABEL_TESTS,
    "stars+": {"lf.mood.stars", LABELS, EXPORT} | LABEL_TESTS,
    "stars+1": {"lf.mood.stars", LABELS} | LABEL_TESTS,
    "@stars": ALL,
    "+stars": {SOURCE, TRANSFORM, "lf.mood.stars", KEY} | SOURCE_TESTS,
    "tag:words": WORDS | {UNIT},
    "tag:wor*": WORDS | {UNIT},
    "path:labeling_functions": LFS | {UNIT},
    "path:labeling_functions/mood/stars.sql": {"lf.mood.stars"},
    "source:shop": {SOURCE} | SOURCE_TESTS,
    "source:shop.reviews": {SOURCE} | SOURCE_TESTS,
    "source:shop+": ALL,
    "type:transform": {TRANSFORM, KEY},
    "type:lf": LFS | {UNIT},
    "type:voter": LFS | {ANN, UNIT},
    "type:export": {EXPORT},
    "type:test": {KEY, UNIT} | SOURCE_TESTS | LABEL_TESTS,
    "type:unit_test": {UNIT},
    "voter:praise": {"lf.mood.praise"},
    "voter:*praise": {"lf.mood.praise", "lf.mood.short_praise"},
    "praise blame": {"lf.mood.praise", "lf.mood.blame", UNIT},
    "tag:words,path:labeling_functions/mood/words.yml": {"lf.mood.praise", "lf.mood.blame", UNIT},
    "type:lf,+moods,tag:words": WORDS | {UNIT},
    "*praise": {"lf.mood.praise", "lf.mood.short_praise"},
    "selector:wordy": WORDS | {UNIT},
    "selector:wordy,voter:refund": {"lf.mood.refund"},
    "state:new": set(),
    "state:modified": set(),
    "result:error": set(),
    "result:built": {SOURCE, TRANSFORM, LABELS, ANN, EXPORT, UNIT, KEY} | LFS | SOURCE_TESTS | LABEL_TESTS,
}
SELECTORS = "selectors:\n  - {name: wordy, definition: 'tag:words'}\n"


def ls(project: Sandbox, *words: str) -> set[str]:
    return set(project("ls", *words).out.split())


@pytest.mark.parametrize("selector", SELECTED)
def test_selector(selector: str, once: Sandbox) -> None:
    with once.changed({"selectors.yml": SELECTORS}):
        assert ls(once, "--select", selector) == SELECTED[selector]


def test_task_selects_all_that_belongs_to_it(once: Sandbox) -> None:
    found = ls(once, "--select", "task:mood")
    assert {LABELS, ANN} | LFS <= found
    assert SOURCE not in found


def test_exclude_and_several_options(once: Sandbox) -> None:
    assert ls(once, "--select", "type:lf", "--exclude", "tag:words type:unit_test") == {
        "lf.mood.stars",
        "lf.mood.short_praise",
    }
    assert ls(once, "--select", "praise", "--select", "stars") == {"lf.mood.praise", "lf.mood.stars"}
    assert ls(once, "-s", "type:lf", "--exclude", "praise", "--exclude", "stars") == LFS - {
        "lf.mood.praise",
        "lf.mood.stars",
    } | {UNIT}
    assert ls(once, "--exclude", "type:test") == ALL - {KEY, UNIT} - SOURCE_TESTS - LABEL_TESTS
    nothing = once("ls", "--select", "tag:nobody")
    assert (nothing.out, nothing.err) == ("", "the selection holds no node\n")


def test_state_and_result_follow_what_is_done(built: Sandbox) -> None:
    built.write({"labeling_functions/mood/lamp.sql": "{{ config(label='good') }} text like '%lamp%'"})
    built.replace("labeling_functions/mood/stars.sql", "4", "5")
    new, changed = "lf.mood.lamp", "lf.mood.stars"
    assert ls(built, "--select", "state:new") == {new}
    assert ls(built, "--select", "state:modified") == {new, changed, LABELS, EXPORT} | LABEL_TESTS
    assert ls(built, "--select", "state:modified.definition") >= {new, changed}
    assert EXPORT in ls(built, "--select", "state:modified.inputs")
    assert changed not in ls(built, "--select", "state:unmodified")
    built.write({"labeling_functions/mood/stars.sql": "case when cast(text as integer) = 1 then 'good' end"})
    built("build", code=1)
    assert ls(built, "--select", "result:error") == {changed}
    assert ls(built, "--select", "result:skipped") >= {LABELS, EXPORT}
    assert ls(built, "--select", "result:error+ state:new") >= {changed, LABELS, EXPORT, new}
    built.write({"labeling_functions/mood/stars.sql": "case when stars = 5 then 'good' end"})
    statuses = built.build("--select", "result:error+", "--exclude", "export.train")
    assert statuses[LABELS] == "built"
    assert EXPORT not in statuses
    built("build")
    assert ls(built, "--select", "state:new state:modified") == set()


def test_a_part_of_the_project_is_built_and_the_rest_stays_published(built: Sandbox) -> None:
    before = built.published()
    built.replace("labeling_functions/mood/stars.sql", "4", "5")
    built.replace("labeling_functions/mood/words.yml", "[love, great, excellent]", "[excellent]")
    assert built.build("--select", "stars") == {"lf.mood.stars": "built"}
    after = built.published()
    assert {i for i in before if before[i] != after[i]} == {"lf.mood.stars"}
    assert built.read("teachkit.lock")
    statuses = built.build("--select", "moods")
    assert statuses[LABELS] == "built"
    # what was not asked for is as it was published: the old praise, the new stars
    assert built.published()["lf.mood.praise"] == before["lf.mood.praise"]
    assert "lf.mood.praise" in built.fresh_nodes()


def test_a_part_that_needs_what_was_never_built_says_so(fresh: Sandbox) -> None:
    found = fresh("build", "--select", "moods", code=2)
    assert "has not been built in target 'dev'" in found.err
    assert "teachkit build --select +" in found.err
    assert set(fresh.build("--select", "+moods").values()) == {"built", "passed"}


def test_fail_fast_stops_at_the_first_failure(built: Sandbox) -> None:
    built.write(
        {
            "labeling_functions/mood/stars.sql": "case when cast(text as integer) = 1 then 'good' end",
            "labeling_functions/mood/style.py": (
                "from teachkit import labeling_function\n"
                "\n"
                "\n"
                "@labeling_function(label='good')\n"
                "def short_praise(text):\n"
                "    raise ValueError\n"
            ),
        }
    )
    slow = built.build(code=1)
    assert {i for i, s in slow.items() if s == "error"} == {"lf.mood.stars", "lf.mood.short_praise"}
    assert slow[UNIT] == "passed"
    fast = built.build("--fail-fast", "--full-refresh", code=1)
    assert "lf.mood.stars" in {i for i, s in fast.items() if s == "error"}
    assert fast[ANN] == fast[UNIT] == "skipped"
    assert "stopped at the first failure" in built.result(ANN)["message"]
    assert set(fast) == set(slow) == ALL


def test_fail_fast_stops_at_a_failing_test_too(built: Sandbox) -> None:
    built.write(
        {
            "transforms/other.sql": "select id from {{ source('shop', 'reviews') }}",
            "tests/other.sql": "select * from {{ ref('other') }}",
            "tests/warns.sql": "{{ config(severity='warn') }} select * from {{ source('shop', 'reviews') }}",
        }
    )
    slow = built.build(code=1)
    assert (slow["test.other"], slow["test.warns"], slow["lf.mood.stars"]) == ("failed", "warned", "reused")
    fast = built.build("--fail-fast", code=1)
    assert (fast["test.other"], fast["test.warns"]) == ("failed", "warned")
    assert "skipped" in {fast["lf.mood.stars"], fast["transform.reviews"]}


def test_what_hangs_on_a_failure_is_skipped_and_the_rest_goes_on(built: Sandbox) -> None:
    built.write(
        {
            "tests/full.sql": "select * from {{ ref('reviews') }} where stars = 3",
            "transforms/other.sql": "select id from {{ source('shop', 'reviews') }}",
        }
    )
    statuses = built.build(code=1)
    assert statuses["test.full"] == "failed"
    assert {i for i, s in statuses.items() if s == "skipped"} == LFS | {ANN, LABELS, EXPORT, UNIT} | LABEL_TESTS
    assert statuses["transform.other"] == "built"
    built.write({"tests/full.sql": "{{ config(severity='warn') }} select * from {{ ref('reviews') }} where stars = 3"})
    statuses = built.build()
    assert statuses["test.full"] == "warned"
    assert "skipped" not in statuses.values()


def test_nothing_is_made_of_what_a_test_could_not_look_at(built: Sandbox) -> None:
    built.write({"tests/breaks.sql": "select * from {{ ref('reviews') }} where cast(text as integer) = 1"})
    statuses = built.build(code=1)
    assert statuses["test.breaks"] == "error"
    assert {statuses[i] for i in LFS | {LABELS, EXPORT}} == {"skipped"}


def test_names_that_are_nearly_right_are_suggested(once: Sandbox) -> None:
    for words, said in {
        "mods": "Did you mean 'moods'?",
        "tga:words": "Did you mean 'tag'?",
        "type:lfs": "Did you mean 'lf'?",
        "task:moood": "Did you mean 'mood'?",
        "selector:worldy": "is unknown",
        "+": "a name is missing",
        "moods,,stars": "a name is missing",
    }.items():
        found = once("ls", "--select", words, code=2)
        assert said in found.err, words
        assert "[bad-selector]" in found.err


DATA = "data/reviews.csv"


@pytest.mark.parametrize("change", ["order", "window", "fewer"])
def test_old_votes_are_never_put_beside_other_items(change: str, built: Sandbox) -> None:
    head, *rows = built.read(DATA).splitlines()
    rows = {"order": [*rows[7:], *rows[:7]], "window": [*rows[1:], rows[0].replace("r", "s", 1)], "fewer": rows[5:]}[
        change
    ]
    labels, lock = built.labels("moods"), built.read("teachkit.lock")
    built.write({DATA: "\n".join([head, *rows, ""])})
    built("build", "--select", "+reviews")
    for command in (("build", "--select", "moods"), ("test", "--select", "moods"), ("show", "lf.mood.praise")):
        found = built(*command, code=2)
        assert "are of other items than 'transform.reviews' has now  [of-other-items]" in found.err
        assert "teachkit build --select +" in found.err
    assert built.labels("moods") == labels
    assert built.read("teachkit.lock") == lock
    assert "Table with name mood does not exist" in built("sql", "select * from votes.mood", code=2).err
    # judgments, too: the functions are built for these rows, the annotations are not
    built("build", "--select", "type:lf")
    assert "the votes of 'annotations.mood.ann' are of other items" in built("build", "--select", "moods", code=2).err
    if change == "order":
        built("build")
        assert built.labels("moods") == labels
        votes = built("sql", "select * from votes.mood", "--format", "json").json["rows"]
        assert [row["id"] for row in votes] == [row.split(",")[0] for row in rows]
