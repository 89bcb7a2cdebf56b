"""What is wrong with tasks whose answers are values: each mistake, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.build.values import HOUSES, TOWNS
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

RULES = "labeling_functions/price/rules.yml"
MODELS = "label_models/prices.yml"


def rule(text: str) -> dict[str, str]:
    return {RULES: f"labeling_functions:\n  - {{name: total, {text}}}\n"}


def model(text: str) -> dict[str, str]:
    return {MODELS: f"label_models:\n  - {{name: prices, task: price, {text}}}\n"}


def task(text: str) -> dict[str, str]:
    said = "name: price, dataset: \"source('s', 'houses')\", key: code"
    return {"tasks/price.yml": f"tasks:\n  - {{{said}, {text}}}\n"}


COMPILE: dict[str, tuple[dict[str, str], str]] = {
    "labels of a number": (task("kind: number, labels: [a, b]"), "is a value: it has no labels"),
    "no labels of a choice": (task("kind: choice"), "it needs 'labels'"),
    "values of gold": (
        task("kind: number, gold: {column: price, values: {a: b}}"),
        "is read as it stands: it has no 'values'",
    ),
    "a label in SQL": (
        {"labeling_functions/price/area.sql": "{{ config(label='dear') }}\narea > 3\n"},
        "a vote is a number, not 'dear'",
    ),
    "a label in YAML": (rule("label: dear, any_of: [a]"), "a vote is a number, not 'dear'"),
    "a label in Python": (
        {
            "labeling_functions/price/style.py": "from teachkit import labeling_function\n\n"
            "@labeling_function(label='dear')\ndef half(area: int):\n    return True\n"
        },
        "a vote is a number, not 'dear'",
    ),
    "a value that is none": (rule("any_of: [a], value: much"), "is 'much', which is not a number"),
    "an empty value": (rule("any_of: [a], value: ''"), "an empty answer would never be a vote"),
    "value and group": (rule("regex: '(a)', group: 1, value: 2"), "both 'value' and 'group' say what it answers"),
    "a group of nothing": (rule("any_of: [a], group: 1"), "a vote of task 'price' is a number"),
    "a number for a condition": (rule("sql: length(text), value: 2"), "a number, not true or false"),
    "no answer": (rule("any_of: [a]"), "it does not say what it answers"),
    "a group that is not there": (
        rule("regex: 'total: (\\d+)', group: 2"),
        "there is no group 2 in this regular expression",
    ),
    "a group out of bounds": (rule("regex: '(a)', group: 10"), "group"),
    "a SELECT of three columns": (
        {"labeling_functions/price/joined.sql": "select code, area, rooms from {{ source('s', 'houses') }}\n"},
        "gives two columns: the key 'code' and the answer",
    ),
    "an algorithm for labels": (model("type: majority"), "'majority' does not decide tasks of the kind 'number'"),
    "an algorithm for texts": (model("type: medoid"), "write auto, or one of: gaussian, mean, median"),
    "a parameter of none": (model("type: mean, parameters: {n_iter: 3}"), "'mean' has no parameters"),
    "a parameter of another algorithm": (
        model("type: gaussian, parameters: {decode: log_odds}"),
        "write one of: strength, n_iter.",
    ),
    "a prior of classes": (model("class_prior: uniform"), "there are no classes"),
    "silence": (model("abstain: {total: informative}"), "silence says nothing of it"),
    "accuracy": (model("tests: [{accuracy: {min: 0.5}}]"), "for this kind there are: mean_error, within"),
    "macro F1": (model("tests: [{macro_f1: {min: 0.5}}]"), "'price' is of the kind number"),
    "class balance": (model("tests: [{class_balance: {a: [0, 1]}}]"), "'price' is of the kind number"),
    "agreement": (model("tests: [{agreement: {min: 0.5}}]"), "'price' is of the kind number"),
    "accuracy delta": (model("tests: [{min_accuracy_delta: {min: 0}}]"), "'price' is of the kind number"),
    "exact match": (model("tests: [{exact_match: {min: 0.5}}]"), "this test is for tasks of the kind text"),
    "no bound": (model("tests: [{mean_error: {against: gold}}]"), "this test can never fail"),
    "no tolerance": (model("tests: [{within: {min: 0.5}}]"), "tolerance"),
    "an unknown unit test": (
        {"tests/rules.yml": "unit_tests: [{name: t, voter: total, rows: [{text: a}], expect: [much]}]\n"},
        "is 'much', which is not a number",
    ),
}

RUN: dict[str, tuple[dict[str, str], str]] = {
    "a boolean": (
        {"labeling_functions/price/area.sql": "area > 3\n"},
        "it results in BOOLEAN, and an answer of task 'price' is a number",
    ),
    "a text": ({"labeling_functions/price/area.sql": "text\n"}, "gives an answer that is not a number"),
    "a condition that is a number": (rule("sql: area, value: 2"), "not true or false"),
    "infinity": (
        {"labeling_functions/price/area.sql": "case when code = 'h7' then cast('inf' as double) end\n"},
        "is inf, which is not a finite number, at the item with key 'h7'",
    ),
    "a SQL error": ({"labeling_functions/price/area.sql": "cast(text as integer)\n"}, "use try_cast()"),
    "two answers": (
        {
            "labeling_functions/price/joined.sql": "select code, rooms as x from {{ source('s', 'houses') }}\n"
            "union all select 'h3', 99\n"
        },
        "gives two answers at the item with key 'h3'",
    ),
    "a SELECT of texts": (
        {"labeling_functions/price/joined.sql": "select code, text as x from {{ source('s', 'houses') }}\n"},
        "gives an answer that is not a number",
    ),
    "a SELECT of booleans": (
        {"labeling_functions/price/joined.sql": "select code, rooms > 1 as x from {{ source('s', 'houses') }}\n"},
        "it results in BOOLEAN",
    ),
    "a SELECT of infinity": (
        {
            "labeling_functions/price/joined.sql": "select code, cast('inf' as double) as x "
            "from {{ source('s', 'houses') }} where code = 'h8'\n"
        },
        "is inf, which is not a finite number, at the item with key 'h8'",
    ),
}

PYTHON: dict[str, tuple[str, str]] = {
    "a bool": ("area > 50", "returned an answer that is false, which is not a number, at the item with key 'h0'"),
    "a text": ("text", "returned an answer that is a text, which is not a number, at the item with key 'h0'"),
    "NaN": ("float('nan') if area == 43 else 1", "is nan, which is not a finite number, at the item with key 'h1'"),
    "a list": ("[1]", "is a list, which is not a number"),
    "an object": ("object()", "returned an object, which is no answer"),
    "an exception": ("1 / (area - 43)", "raised ZeroDivisionError"),
}

PEOPLE: dict[str, tuple[dict[str, str], str]] = {
    "a word": ({"people.csv": "item,label\nh1,many\n"}, "people.csv:2: the label is 'many', which is not a number"),
    "a comma": ({"people.csv": 'item,label\nh1,"1,5"\n'}, "a decimal point, not a comma"),
    "a list": ({"zoe.jsonl": '{"item": "h1", "label": [1]}\n'}, "the label is a list, which is not a number"),
    "a truth": ({"zoe.jsonl": '{"item": "h1", "label": true}\n'}, "the label is true, which is not a number"),
    "NaN": ({"zoe.jsonl": '{"item": "h1", "label": NaN}\n'}, "is nan, which is not a finite number"),
    "two answers": (
        {"zoe.jsonl": '{"item": "h1", "label": 1}\n{"item": "h1", "label": 2}\n'},
        "judged item 'h1' otherwise on line 1",
    ),
    "an unknown item": ({"zoe.jsonl": '{"item": "x1", "label": 1}\n'}, "there is no item 'x1'"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("houses"), HOUSES)
    sandbox.build()
    return sandbox


@pytest.mark.parametrize("case", sorted(COMPILE))
def test_what_does_not_fit_is_refused_before_anything_runs(template: Sandbox, case: str) -> None:
    files, says = COMPILE[case]
    with template.changed(files):
        assert says in template("parse" if case != "" else "build", code=2).all


@pytest.mark.parametrize("case", sorted(RUN))
def test_sql_that_gives_no_answer_fails_alone(template: Sandbox, case: str) -> None:
    files, says = RUN[case]
    before = template.state()
    with template.changed(files):
        found = template("build", code=1)
        assert says in found.all
        assert "lf.price.total" in found.all
    assert template.state() == before


@pytest.mark.parametrize("case", sorted(PYTHON))
def test_python_that_gives_no_answer_names_the_item(template: Sandbox, case: str) -> None:
    returned, says = PYTHON[case]
    code = "from teachkit import labeling_function\n\n@labeling_function\ndef half(area: int, text: str):\n    return "
    with template.changed({"labeling_functions/price/style.py": f"{code}{returned}\n"}):
        found = template("build", code=1).all
        assert says in found
        assert "Größe" not in found


def test_a_batch_function_gives_an_answer_for_each_row(template: Sandbox) -> None:
    code = (
        "from teachkit import labeling_function\n\n@labeling_function(batch=True)\ndef half(area):\n    return [1.0]\n"
    )
    with template.changed({"labeling_functions/price/style.py": code}):
        assert "returned 1 values for 30 rows" in template("build", code=1).all


@pytest.mark.parametrize("case", sorted(PEOPLE))
def test_judgments_that_are_no_answers_are_named_with_their_line(template: Sandbox, case: str) -> None:
    files, says = PEOPLE[case]
    with template.changed({f"annotations/price/{name}": text for name, text in files.items()}):
        assert says in template("build", code=1).all


def test_gold_that_is_no_answer_names_the_item(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.replace("data/houses.csv", "43,2,106.5", "43,2,cheap")
    found = sandbox("build", code=None).all
    assert "gold of task 'price' (column 'price') of the item 'h1' is 'cheap', which is not a number" in found


def test_a_test_on_gold_needs_gold(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.replace("tasks/price.yml", "    gold: {column: price}\n", "")
    assert "task 'price' has no gold" in sandbox("parse", code=2).all


def test_a_tolerance_is_for_numbers(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, TOWNS)
    text = "label_models: [{name: orte, task: ort, tests: [{max_flips: {max: 1%, tolerance: 1}}]}]\n"
    sandbox.write({"label_models/orte.yml": text})
    assert "a tolerance is for numbers, and task 'ort' is of the kind 'text'" in sandbox("parse", code=2).all


def test_flips_of_values_are_counted_beyond_a_tolerance(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.write(model("tests: [{max_flips: {max: 10%, tolerance: 1}}]"))
    sandbox.build()
    sandbox.replace("labeling_functions/price/area.sql", "2.1", "2.1000001")
    sandbox.build()
    sandbox.replace("labeling_functions/price/area.sql", "2.1000001", "3")
    failed = sandbox("build", code=1).all
    assert "of 30 labels" in failed
    assert "others than in teachkit.lock by more than 1; at most 10.00% wanted" in failed
    sandbox("test", "--store-failures", code=1)
    rows = sandbox.rows("test.prices.max_flips")
    assert set(rows[0]) == {"code", "before", "now"}
    assert all(abs(row["before"] - row["now"]) > 1 for row in rows)


@pytest.mark.parametrize(
    ("front", "says"),
    [
        ("output: {labels: task, questions: {big: {ask: big?, if_yes: x}}}", "its answers are values"),
        ("confidence: {by: repeats, repeats: 3}", "which have no one score"),
        ("examples: [{text: a, label: much}]", "is 'much', which is not a number"),
    ],
)
def test_prompts_ask_for_the_value_itself(tmp_path: Path, front: str, says: str) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    profile = "targets: {dev: {llm: {providers: {here: {base_url: 'http://127.0.0.1:9/v1', model: tiny}}}}}\n"
    text = f"---\nunvalidated: allow\n{front}\n---\n{{{{ item.text }}}}\n"
    sandbox.write({"profiles.yml": profile, "prompts/price/ask.md": text})
    assert says in sandbox("parse", code=2).all


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("any_of: [love]", "it says no 'label' to vote for"),
        ("any_of: [love], label: good, value: 3", "'value' is for tasks whose answers are values"),
        ("regex: '(love)', label: good, group: 1", "'group' is for tasks whose answers are values"),
    ],
)
def test_rules_of_labels_have_labels(tmp_path: Path, text: str, says: str) -> None:
    sandbox = Sandbox(tmp_path, REVIEWS)
    sandbox.write({"labeling_functions/mood/more.yml": f"labeling_functions: [{{name: more, {text}}}]\n"})
    assert says in sandbox("parse", code=2).all


def test_a_number_is_no_label_that_a_unit_test_may_expect(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, REVIEWS)
    sandbox.replace("tests/rules.yml", "[bad, null]", "[1, null]")
    assert "1 is no text, as labels are" in sandbox("parse", code=2).all


def test_a_unit_test_shows_what_was_expected(template: Sandbox) -> None:
    tests = "unit_tests: [{name: t, voter: total, rows: [{text: 'total: 12'}, {text: a}], expect: ['13', 1.5]}]\n"
    with template.changed({"tests/rules.yml": tests}):
        found = template("build", code=1).all
        assert "row 1: expected 13.0, got 12.0" in found
        assert "row 2: expected 1.5, got no vote" in found


def test_texts_refuse_what_is_no_text(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, TOWNS)
    sandbox.write({"labeling_functions/ort/some.sql": "[satz]\n"})
    assert "it results in VARCHAR[], and an answer of task 'ort' is a text" in sandbox("build", code=1).all
    sandbox.write({"labeling_functions/ort/some.sql": "length(satz)\n"})
    sandbox.build()
    assert all(row["label"].isdigit() for row in sandbox.rows("some"))


def test_a_kind_that_is_none_is_refused_with_the_kinds_there_are(tmp_path: Path) -> None:
    sandbox: Any = Sandbox(tmp_path, HOUSES)
    sandbox.write(task("kind: numbr"))
    found = sandbox("parse", code=2).all
    assert "number" in found
    assert "text" in found
