"""Each data test, passing and failing, as a build runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from teachkit import registry

if TYPE_CHECKING:
    from tests.sandbox import Sandbox

GENERIC = """
{% test shorter_than(model, column_name, length, unit='characters') %}
select {{ column_name }} from {{ model }} where length({{ column_name }}) >= {{ length }}
{% endtest %}

{% test more_rows_than(model, number) %}
select 'too few' as problem from (select count(*) as n from {{ model }}) where n <= {{ number }}
{% endtest %}
"""
TABLE = "transform.reviews"
LABELS = "label_set.moods"

# (node, test, arguments) -> passes, or what the message says and how many failures there are
CASES: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "not_null good": (TABLE, "not_null", {"column": "text"}, 0, ""),
    "not_null bad": (TABLE, "not_null", {"column": "mood"}, 24, "24 rows have no mood"),
    "unique good": (TABLE, "unique", {"column": "id"}, 0, ""),
    "unique bad": (TABLE, "unique", {"column": "stars"}, 5, "5 values of stars stand in more than one row"),
    "not_null one bad": (TABLE, "not_null", {"column": "mood", "where": "id = 'r001'"}, 1, "1 row has no mood"),
    "unique one bad": (
        TABLE,
        "unique",
        {"column": "split", "where": "split = 'test'"},
        1,
        "1 value of split stands in more than one row",
    ),
    "unique where good": (TABLE, "unique", {"column": "stars", "where": "id in ('r002', 'r003')"}, 0, ""),
    "accepted_values good": (TABLE, "accepted_values", {"column": "mood", "values": ["+", "-"]}, 0, ""),
    "accepted_values bad": (
        TABLE,
        "accepted_values",
        {"column": "stars", "values": [1, 2, 4, 5]},
        1,
        "1 other value of stars: 3",
    ),
    "accepted_values several bad": (
        TABLE,
        "accepted_values",
        {"column": "stars", "values": [3]},
        4,
        "4 other values of stars: 1, 5, 2 and 1 more",
    ),
    "accepted_values text bad": (
        TABLE,
        "accepted_values",
        {"column": "split", "values": ["train"]},
        2,
        "2 other values of split: 'test', 'tune'",
    ),
    "accepted_values unquoted good": (
        TABLE,
        "accepted_values",
        {"column": "stars", "values": [1, 2, 3, 4, 5], "quote": False},
        0,
        "",
    ),
    "relationships good": (
        TABLE,
        "relationships",
        {"column": "id", "to": "source('shop', 'reviews')", "field": "id"},
        0,
        "",
    ),
    "relationships bad": (
        TABLE,
        "relationships",
        {"column": "text", "to": "source('shop', 'reviews')", "field": "id"},
        9,
        "are not in",
    ),
    "relationships to itself bad": (
        TABLE,
        "relationships",
        {"column": "text", "to": "ref('reviews')", "field": "id"},
        9,
        "are not in",
    ),
    "key good": (TABLE, "key", {"columns": ["id", "text"]}, 0, ""),
    "key bad": (TABLE, "key", {"columns": ["split", "stars"]}, 11, "stand in more than one row"),
    "key null bad": (TABLE, "key", {"columns": ["mood"]}, 24, "24 rows have no key 'mood' (NULL)"),
    "row_count good": (TABLE, "row_count", {"min": 40, "max": 40}, 0, "40 rows"),
    "row_count bad": (TABLE, "row_count", {"min": 41}, 1, "40 rows; at least 41 wanted"),
    "key one bad": (
        TABLE,
        "key",
        {"columns": ["split"], "where": "split = 'test'"},
        1,
        "1 value of key 'split' stands in more than one row: 'test'",
    ),
    "row_count one bad": (TABLE, "row_count", {"min": 2, "where": "id = 'r001'"}, 1, "1 row; at least 2 wanted"),
    "row_count where good": (TABLE, "row_count", {"max": 8, "where": "split = 'test'"}, 0, "8 rows"),
    "expression good": (TABLE, "expression", {"expression": "stars between 1 and 5"}, 0, ""),
    "expression bad": (TABLE, "expression", {"expression": "stars <> 3"}, 6, "rows for which not: stars <> 3"),
    "expression null bad": (TABLE, "expression", {"expression": "mood = mood"}, 24, "24 rows"),
    "freshness good": (TABLE, "freshness", {"column": "posted", "error_after": "2 hours"}, 0, "the newest row is"),
    "freshness bad": (TABLE, "freshness", {"column": "old", "warn_after": "7 days"}, 1, "at most 7 days wanted"),
    "freshness none bad": (TABLE, "freshness", {"column": "never", "warn_after": "7 days"}, 1, "no row has a time"),
    "generic column good": (TABLE, "shorter_than", {"column_name": "text", "length": 100}, 0, ""),
    "generic table good": (TABLE, "more_rows_than", {"number": 39}, 0, ""),
    "generic where bad": (TABLE, "more_rows_than", {"number": 39, "where": "split = 'test'"}, 1, "1 row at fault"),
    "generic table bad": (TABLE, "more_rows_than", {"number": 40}, 1, "1 row at fault"),
    "coverage good": (LABELS, "coverage", {"min": "90%"}, 0, "40 of 40 items have a label"),
    "coverage bad": (LABELS, "coverage", {"max": 0.5}, 1, "coverage 1.000"),
    "accuracy good": (LABELS, "accuracy", {"min": 0.9}, 0, "accuracy 1.000 on 8 items of gold.test"),
    "accuracy bad": (LABELS, "accuracy", {"max": 0.9, "against": "gold.tune"}, 1, "of gold.tune"),
    "accuracy everywhere good": (LABELS, "accuracy", {"min": 0.9, "against": "gold", "over": "labeled"}, 0, "16 items"),
    "accuracy without gold bad": (
        LABELS,
        "accuracy",
        {"min": 0.1, "against": "gold.train"},
        1,
        "accuracy: no item of gold.train has gold",
    ),
    "macro_f1 good": (LABELS, "macro_f1", {"min": 0.9}, 0, "macro_f1 1.000"),
    "macro_f1 bad": (LABELS, "macro_f1", {"max": 0.9}, 1, "at most 0.9 wanted"),
    "calibration good": (
        LABELS,
        "calibration",
        {"max_ece": 0.3, "max_brier": 0.5, "max_log_loss": 1},
        0,
        "expected calibration error 0.",
    ),
    "calibration without gold bad": (
        LABELS,
        "calibration",
        {"max_ece": 0.5, "against": "gold.train"},
        1,
        "calibration: no item of gold.train has gold",
    ),
    "conflict_rate good": (LABELS, "conflict_rate", {"max": 0.2}, 0, "conflict rate"),
    "conflict_rate bad": (LABELS, "conflict_rate", {"min": 0.5}, 1, "conflict rate"),
    "class_balance good": (
        LABELS,
        "class_balance",
        {"good": [0.4, 0.6], "bad": ["40%", "60%"]},
        0,
        "shares of the labels",
    ),
    "class_balance bad": (
        LABELS,
        "class_balance",
        {"good": [0, 0.1], "bad": [0.9, 1]},
        2,
        "good 0.475 is not within 0 to 0.1",
    ),
    "agreement good": (LABELS, "agreement", {"min": 0.99, "coefficient": "percent"}, 0, "judged by two or more"),
    "agreement bad": (LABELS, "agreement", {"max": 0.5}, 1, "agreement 1.000 (krippendorff) on 3 items"),
    "agreement cohen good": (LABELS, "agreement", {"min": 0.9, "coefficient": "cohen"}, 0, "(cohen) on 3 items judged"),
    "agreement of voters bad": (LABELS, "agreement", {"min": 1, "of": "voters"}, 1, "items voted on by two or more"),
    "agreement fleiss good": (LABELS, "agreement", {"min": 0.9, "coefficient": "fleiss"}, 0, "fleiss"),
    "max_flips good": (LABELS, "max_flips", {"max": "1%"}, 0, "0 of 40 labels (0.00%)"),
    "min_accuracy_delta good": (LABELS, "min_accuracy_delta", {"min": "-0.5%"}, 0, "+0.00% on the same 8 items"),
    "min_accuracy_delta bad": (
        LABELS,
        "min_accuracy_delta",
        {"min": "1%", "split": "tune"},
        1,
        "accuracy on gold.tune 1.000, in teachkit.lock 1.000: +0.00% on the same 8 items "
        "(0 right only now, 0 only then, McNemar's p 1); at least +1.00% wanted",
    ),
    "min_accuracy_delta without gold bad": (
        LABELS,
        "min_accuracy_delta",
        {"min": "-1%", "split": "train"},
        1,
        "no item of gold.train has gold",
    ),
    "protected_labels good": (LABELS, "protected_labels", {}, 0, "0 of 9 protected answers are contradicted"),
    "protected_labels bad": (LABELS, "protected_labels", {"from": ["curator"], "node": "opposite"}, 1, "1 of 1 "),
    "protected_labels without gold bad": (
        LABELS,
        "protected_labels",
        {"from": ["gold"], "splits": ["train"]},
        1,
        "there is no answer of gold to protect (gold: train)",
    ),
    "expression on labels good": (LABELS, "expression", {"expression": "confidence >= 0.5"}, 0, ""),
    "not_null on labels good": (LABELS, "not_null", {"column": "label"}, 0, ""),
    "not_null on a source good": ("source.shop.reviews", "not_null", {"column": "text"}, 0, ""),
}


CURATED = {
    "annotations/mood/rosa.jsonl": '{"item": "r002", "label": "bad"}\n',
    "annotations/mood/_meta.yml": "files: {rosa.jsonl: {role: curator}}\n",
    "labeling_functions/mood/against.sql": "case when id = 'r002' then 'good' end",
    "label_models/opposite.yml": """
        label_models:
          - {name: opposite, task: mood, type: majority, voters: [against], curators: false, unlabeled: keep}
        """,
}
"""A curator whom one of two label sets does not heed."""


def prepared(project: Sandbox) -> Sandbox:
    project.replace(
        "transforms/reviews.sql", "split\n", "split, timestamp '2001-02-03' as old, posted, null::timestamp as never\n"
    )
    head, *lines = project.read("data/reviews.csv").splitlines()
    from datetime import UTC, datetime

    now = datetime.now(UTC).isoformat()
    project.write({"data/reviews.csv": "\n".join([head + ",posted", *(f"{line},{now}" for line in lines)]) + "\n"})
    people = '{"item": "r001", "label": "bad"}\n{"item": "r002", "label": "bad"}\n{"item": "r003", "label": "good"}\n'
    project.write({"annotations/mood/bob.jsonl": people, "macros/tests.sql": GENERIC, **CURATED})
    return project


def name_of(case: str) -> str:
    return case.replace(" ", "_")


def declared(cases: dict[str, tuple[str, str, dict[str, Any], int, str]], **common: Any) -> str:
    nodes: list[dict[str, Any]] = []
    for case, (node, check, arguments, _, _) in cases.items():
        arguments = dict(arguments)
        node = arguments.pop("node", node)
        spec = {check: {"name": name_of(case), **arguments, **common}}
        column = arguments.get("column_name")
        if column:
            continue
        nodes.append({"node": node, "tests": [spec]})
    return yaml.safe_dump({"tests": nodes}, allow_unicode=True)


COLUMN_TESTS = """
transforms:
  - name: reviews
    columns:
      text:
        tests:
          - shorter_than: {name: generic_column_good, length: 100}
          - shorter_than: {name: generic_column_bad, length: 12, severity: warn}
"""


@pytest.fixture(scope="module")
def statuses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The results of all the tests above, of one build."""
    from tests.sandbox import REVIEWS, Sandbox

    project = prepared(Sandbox(tmp_path_factory.mktemp("checks"), REVIEWS))
    project("build")
    project.write({"tests/all.yml": declared(CASES, severity="warn"), "transforms/notes.yml": COLUMN_TESTS})
    project("build")
    return {r["id"].removeprefix("test."): r for r in project.json_file("target/run_results.json")["results"]}


@pytest.mark.parametrize("case", CASES)
def test_finds_what_is_wrong_and_only_that(case: str, statuses: dict[str, dict[str, Any]]) -> None:
    *_, failures, message = CASES[case]
    found = statuses[name_of(case)]
    assert case.endswith("good") is (failures == 0)
    assert found["failures"] == failures, found
    assert found["status"] == ("passed" if failures == 0 else "warned"), found
    assert message in found["message"]


def test_a_generic_test_of_a_column_fails_too(statuses: dict[str, dict[str, Any]]) -> None:
    found = statuses["generic_column_bad"]
    assert (found["status"], found["failures"]) == ("warned", 24)


def test_every_check_passes_and_fails_here() -> None:
    seen = {(check, failures > 0) for _, check, _, failures, _ in CASES.values()}
    for name in registry.names("check"):
        tasks = registry.load("check", name).tasks
        if tasks is not None and "choice" not in tasks:
            continue  # in test_value_checks.py
        assert (name, False) in seen, name
        assert (name, True) in seen or name == "max_flips", name


def declare(project: Sandbox, check: str, **arguments: Any) -> None:
    project.write(
        {
            "tests/one.yml": yaml.safe_dump(
                {"tests": [{"node": TABLE, "tests": [{check: {"name": "one", **arguments}}]}]}
            )
        }
    )


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({}, "failed"),
        ({"severity": "warn"}, "warned"),
        ({"warn_if": "> 10"}, "failed"),
        ({"error_if": "> 5", "warn_if": ">= 1"}, "failed"),
        ({"error_if": "> 6", "warn_if": ">= 1"}, "warned"),
        ({"error_if": "> 6", "warn_if": "> 6"}, "passed"),
        ({"error_if": "<= 6"}, "failed"),
        ({"error_if": "= 6"}, "failed"),
        ({"error_if": "!= 6", "warn_if": "!= 6"}, "passed"),
        ({"severity": "warn", "error_if": "> 1", "warn_if": "> 100"}, "passed"),
        ({"where": "stars <> 3"}, "passed"),
        ({"where": "id in ('r001', 'r008')"}, "failed"),
        ({"limit": 2}, "failed"),
    ],
    ids=str,
)
def test_severity_and_conditions(arguments: dict[str, Any], status: str, built: Sandbox) -> None:
    declare(built, "expression", expression="stars <> 3", **arguments)
    found = built.build("--select", "reviews", code=1 if status == "failed" else 0)
    assert found["test.one"] == status
    result = built.result("test.one")
    assert result["failures"] == (
        0 if "stars <> 3" in str(arguments.get("where")) else 2 if "where" in arguments else 6
    )


def test_freshness_knows_how_bad_it_is(built: Sandbox) -> None:
    prepared(built)
    for limits, status in (
        ({"warn_after": "7 days"}, "warned"),
        ({"warn_after": "7 days", "error_after": "9 weeks"}, "failed"),
        ({"error_after": "9 weeks"}, "failed"),
        ({"warn_after": "7 days", "error_after": "9999 weeks"}, "warned"),
    ):
        declare(built, "freshness", column="old", **limits)
        assert built.build("--select", "+reviews", code=None)["test.one"] == status


def test_freshness_of_a_source(built: Sandbox) -> None:
    prepared(built)
    built.replace("sources/shop.yml", "key: id", "key: id\n        freshness: {column: posted, error_after: 1 hour}")
    assert built.build()["test.shop.reviews.freshness.posted"] == "passed"
    old = built.read("data/reviews.csv").replace(
        built.read("data/reviews.csv").splitlines()[1].split(",")[-1], "2001-01-01T00:00:00"
    )
    built.write({"data/reviews.csv": old})
    assert built.build(code=1)["test.shop.reviews.freshness.posted"] == "failed"


def test_max_flips_compares_with_the_lock(built: Sandbox) -> None:
    model = "label_models/mood.yml"
    built.replace(model, "- coverage", "- max_flips: {against: lock, max: 5%}\n      - coverage")
    assert built.build()["test.moods.max_flips"] == "passed"
    assert "0 of 40 labels" in built.result("test.moods.max_flips")["message"]
    built.write(
        {"labeling_functions/mood/stars.sql": "case when stars >= 4 then 'bad' when stars <= 2 then 'good' end"}
    )
    before = built.state()
    assert built.build("--store-failures", code=1)["test.moods.max_flips"] == "failed"
    result = built.result("test.moods.max_flips")
    assert result["failures"] > 2
    assert "are others than in teachkit.lock; at most 5.00% wanted" in result["message"]
    assert built.state() == before
    built.replace(model, "max: 5%", "max: 100%")
    built.replace(model, "accuracy: {min: 0.5}", "accuracy: {min: 0}")
    assert built.build()["test.moods.max_flips"] == "passed"


def test_max_flips_of_a_task_that_became_another_kind_fails(built: Sandbox) -> None:
    model = "label_models/mood.yml"
    built.replace(model, "- coverage", "- max_flips: {against: lock, max: 5%}\n      - coverage")
    built.build()
    built.replace("tasks/mood.yml", "- name: mood\n", "- name: mood\n    kind: multichoice\n")
    built.write({"labeling_functions/mood/copied.sql": None, "tests/rules.yml": None})
    built.build("--select", "+moods", code=1)
    message = built.result("test.moods.max_flips")["message"]
    assert message == "in teachkit.lock the task was of another kind (labels are VARCHAR, now VARCHAR[])"


def test_max_flips_without_the_labels_of_the_lock_warns(built: Sandbox) -> None:
    import re

    built.replace("label_models/mood.yml", "- coverage", "- max_flips: {max: 5%}\n      - coverage")
    lock = built.read("teachkit.lock")
    built.write({"teachkit.lock": re.sub("digest: .*", "digest: " + "0" * 64, lock)})
    assert built.build()["test.moods.max_flips"] == "warned"
    assert "are not in this store" in built.result("test.moods.max_flips")["message"]
    (built.root / "teachkit.lock").unlink()
    assert built.build()["test.moods.max_flips"] == "passed"


def test_store_failures_keeps_rows_to_be_shown(built: Sandbox) -> None:
    declare(built, "expression", expression="stars <> 3", severity="warn", limit=4)
    built("build")
    assert "no rows of this test were kept" in built("show", "test.one", code=2).err
    built("test", "--store-failures", "--select", "test.one")
    rows = built("show", "test.one", "--format", "json").json["rows"]
    assert len(rows) == 4
    assert {row["stars"] for row in rows} == {3}
    assert built.build()["test.one"] == "warned"
    assert len(built("show", "test.one", "--format", "json").json["rows"]) == 4
    declare(built, "expression", expression="stars <> 3", severity="warn", store_failures=True)
    built("build")
    assert len(built("show", "test.one", "--format", "json").json["rows"]) == 6
    declare(built, "freshness", column="stars", warn_after="7 days")
    built("build", "--store-failures", code=None)
    assert "it looks at the clock or at the lock" in built("show", "test.one", code=2).err


def test_singular_tests_take_config(built: Sandbox) -> None:
    built.write(
        {
            "tests/three.sql": (
                "{{ config(severity='warn', store_failures=true, tags=['odd'], limit=2) }}\n"
                "select id from {{ ref('reviews') }} where stars = 3"
            )
        }
    )
    assert built.build()["test.three"] == "warned"
    assert built.result("test.three")["failures"] == 6
    assert built.build("--select", "tag:odd") == {"test.three": "warned"}
    assert len(built("show", "test.three", "--format", "json").json["rows"]) == 2
    built.write(
        {
            "tests/three.sql": (
                "{{ config(error_if='> 100', warn_if='> 5') }}\nselect id from {{ ref('reviews') }} where stars = 3"
            )
        }
    )
    assert built.build()["test.three"] == "warned"


def test_a_test_without_any_node_runs(built: Sandbox) -> None:
    built.write({"tests/alone.sql": "select 1 as x where false"})
    assert built.build()["test.alone"] == "passed"
    built.write({"tests/alone.sql": "select 1 as x"})
    assert built.build(code=1)["test.alone"] == "failed"


def test_unit_tests_say_which_row_came_out_otherwise(built: Sandbox) -> None:
    rule = """
        unit_tests:
          - name: all_kinds
            voter: {voter}
            rows: [{{text: "Love it", stars: 5}}, {{text: "nothing", stars: 3}}]
            expect: {expect}
        """
    for voter in ("praise", "short_praise", "stars"):
        built.write({"tests/rules.yml": rule.format(voter=voter, expect="[good, null]")})
        assert built.build()["unit_test.all_kinds"] == "passed"
        built.write({"tests/rules.yml": rule.format(voter=voter, expect="[null, bad]")})
        statuses = built.build(code=1)
        assert statuses["unit_test.all_kinds"] == "failed"
        assert statuses["label_set.moods"] == "skipped"
        message = built.result("unit_test.all_kinds")["message"]
        assert "row 1: expected no vote, got good" in message
        assert "row 2: expected bad, got no vote" in message


def test_a_unit_test_of_a_select_sees_the_given_rows(built: Sandbox) -> None:
    built.write(
        {
            "labeling_functions/mood/copied.sql": (
                "select id, 'bad' as label from (select id, count(*) over (partition by text) as n from {{ "
                "ref('reviews') }}) where n > 1"
            ),
            "tests/rules.yml": """
            unit_tests:
              - {name: copies, voter: copied, rows: [{text: a}, {text: b}, {text: a}], expect: [bad, null, bad]}
            """,
        }
    )
    assert built.build()["unit_test.copies"] == "passed"


def test_unit_tests_work_beside_columns_of_any_type(built: Sandbox) -> None:
    columns = "[1] as l, {'a': 1} as st, map {'k': 1} as m, interval 1 day as iv, '1'::bit as bt, 'x'::blob as b"
    more = f"{columns}, 1::hugeint as h, 1.5::decimal(9, 2) as d, time '10:00' as ti, 'nan'::double as f"
    built.replace("transforms/reviews.sql", "split\n", f"split, {more}\n")
    assert built.build()["unit_test.blame_is_bad"] == "passed"
    assert built("show", "transform.reviews", "--format", "json").json["rows"][0]["st"] == {"a": 1}


def test_a_unit_test_whose_voter_raises_fails(built: Sandbox) -> None:
    built.replace(
        "labeling_functions/mood/style.py",
        'return "love"',
        'if "odd" in text:\n        raise KeyError(text)\n    return "love"',
    )
    built.write(
        {"tests/rules.yml": "unit_tests:\n  - {name: odd, voter: short_praise, rows: [{text: odd}], expect: [null]}\n"}
    )
    assert built.build(code=1)["unit_test.odd"] == "failed"
    assert "KeyError" in built.result("unit_test.odd")["message"]


def test_outcomes_are_kept_until_what_is_read_changes(built: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(built, "expression", expression="stars <> 3", severity="warn")
    built("build")
    keys = {p.name for p in built.root.glob(".teachkit/objects/*/*.json")}
    for name in ("_data_test", "_unit_test"):
        monkeypatch.setattr(f"teachkit.build.testing.{name}", None)  # not to be called
    for _ in range(2):
        assert built.build()["test.one"] == "warned"
        assert built.result("test.one")["failures"] == 6
    assert {p.name for p in built.root.glob(".teachkit/objects/*/*.json")} == keys


@pytest.mark.parametrize(
    ("check", "arguments", "said"),
    [
        ("row_count", {}, "can never fail"),
        ("row_count", {"min": 5, "max": 3}, "can never pass: min 5 is above max 3"),
        ("row_count", {"minimum": 3}, "Did you mean 'min'?"),
        ("not_null", {"column": "txt"}, "Did you mean 'text'?"),
        ("not_null", {}, "this test is for a column"),
        ("expression", {"expression": "starz > 3"}, "Did you mean 'stars'?"),
        ("expression", {}, "expression"),
        ("freshness", {"column": "stars", "warn_after": "7 dayz"}, "7 dayz"),
        ("freshness", {"column": "stars"}, "can never fail"),
        ("coverage", {"min": 1}, "is of the kind transform"),
        ("relationships", {"column": "id", "to": "ref('nothing')", "field": "id"}, "nothing"),
        ("relationships", {"column": "id", "to": "ref('reviews')", "field": "idd"}, "Did you mean 'id'?"),
        ("expression", {"expression": "true", "severity": "fatal"}, "severity"),
        ("expression", {"expression": "true", "error_if": "many"}, "is no condition"),
        ("expression", {"expression": "true", "where": "starz > 1"}, "Did you mean 'stars'?"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_refused(
    check: str, arguments: dict[str, Any], said: str, once: Sandbox
) -> None:
    text = yaml.safe_dump({"tests": [{"node": TABLE, "tests": [{check: arguments}]}]})
    with once.changed({"tests/one.yml": text}):
        found = once("parse", code=2)
    assert said in found.err
    assert "tests/one.yml:" in found.err


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("coverage: {}", "can never fail"),
        ("coverage: {min: 0.9, max: 10%}", "can never pass: min 0.9 is above max 0.1"),
        ("coverage: {min: 2}", "min: 2 is too large"),
        ("accuracy: {against: gold.tset, min: 1}", "gold.tset"),
        ("class_balance: {}", "no label is named"),
        ("class_balance: {goood: [0, 1]}", "Did you mean 'good'?"),
        ("class_balance: {good: 0.5}", "no bounds"),
        ("class_balance: {good: [0.9, 0.1]}", "no bounds"),
        ("agreement: {min: 0.5, metric: fleiss}", "metric"),
        ("agreement: {min: 0.5, coefficient: cohn}", "coefficient"),
        ("agreement: {min: 0.5, coefficient: cohen, metric: nominal}", "cohen has no metric"),
        ("agreement: {min: 0.5, metric: masi}", "of a multichoice task"),
        ("agreement: {min: 0.5, metric: ordinal}", "have no order"),
        ("max_flips: {against: '', max: 1%}", "against"),
        ("max_flips: {against: --all, max: 1%}", "against"),
        ("max_flips: {against: a b, max: 1%}", "against"),
        ("min_accuracy_delta: {against: lock}", "min"),
        ("min_accuracy_delta: {min: -2}", "min: -2 is too small"),
        ("min_accuracy_delta: {min: 1%, split: all}", "split"),
        ("protected_labels: {from: []}", "from"),
        ("protected_labels: {from: [golf]}", "from"),
        ("protected_labels: {form: [gold]}", "Did you mean 'from'?"),
        ("protected_labels: {from: [curator]}", "nothing to protect"),
        ("max_flips: {}", "max"),
        ("freshness: {column: label, warn_after: 1 day}", "is of the kind label_set"),
    ],
)
def test_arguments_of_tests_of_labels_are_checked(test: str, said: str, once: Sandbox) -> None:
    with once.changed({"tests/one.yml": f"tests:\n  - node: moods\n    tests:\n      - {test}\n"}):
        found = once("parse", code=2)
    assert said in found.err
    assert "tests/one.yml:4" in found.err
