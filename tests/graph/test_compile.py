"""From files to a graph: references, edges, columns, and every mistake at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from teachkit.errors import ProjectErrors, Where
from teachkit.graph import compile_graph
from tests.graph.projects import BASE, compiled, read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Files = dict[str, str | bytes | None]
LF = "labeling_functions/spam/x.sql"
RULES = "labeling_functions/spam/r.yml"
PYTHON = "labeling_functions/spam/p.py"
MORE: Files = {
    RULES: "labeling_functions: [{name: buy, label: spam, any_of: [buy]}]",
    PYTHON: "from teachkit import labeling_function\n\n@labeling_function(label='spam')\ndef "
    "loud(text): return text.isupper()\n",
    "annotations/spam/maria.csv": "item,label\n1,spam\n",
    "annotations/spam/judge.csv": "item,label\n1,spam\n",
    "annotations/spam/_meta.yml": "files: {judge.csv: {role: gold}}",
    "exports/out.yml": "exports: [{name: out, label_set: ref('spam_labels'), path: out.csv, columns: [id, label]}]",
    "tests/none.sql": "select * from {{ ref('items') }} where text is null",
    "tests/unit.yml": "unit_tests: [{name: u, voter: buy, rows: [{text: buy}], expect: [spam]}]",
    "transforms/_schema.yml": "transforms: [{name: items, columns: {id: {tests: [unique]}}}]",
}


def lf(sql: str) -> Files:
    return {LF: sql}


def rule(text: str) -> Files:
    return {RULES: "labeling_functions: [{name: r, label: spam, " + text + "}]"}


def model(text: str) -> Files:
    return {"label_models/spam.yml": "label_models: [{name: spam_labels, task: spam, " + text + "}]"}


def task(**changes: str) -> Files:
    values = {"name": "spam", "labels": "[ham, spam]", "dataset": "ref('items')", "key": "id"} | changes
    return {"tasks/spam.yml": "tasks: [{" + ", ".join(f"{k}: {v}" for k, v in values.items()) + "}]"}


def notes(text: str) -> Files:
    return {"transforms/_schema.yml": "transforms: [{name: items, " + text + "}]"}


ERRORS: dict[str, tuple[Files, str, str, str, str]] = {
    # name: (files, slug, place, words of the message, words of the advice)
    "an unknown ref": (
        {"transforms/a.sql": "select 1 as one,\n  x from {{ ref('itmes') }}"},
        "unknown-ref",
        "transforms/a.sql:2",
        "ref('itmes') names no transform or label set",
        "write one of: a, items, spam_labels. Did you mean 'items'?",
    ),
    "an unknown source": (
        {"transforms/a.sql": "select 1 as one from {{ source('raw', 'coments') }}"},
        "unknown-source",
        "transforms/a.sql:1",
        "source('raw', 'coments') is not declared",
        "write one of: source('raw', 'authors'), source('raw', 'comments'). Did you mean 'raw.comments'?",
    ),
    "an unknown column in a transform": (
        {"transforms/a.sql": "select id,\n  txt\nfrom {{ ref('items') }}"},
        "unknown-column",
        "transforms/a.sql:2:3",
        "'items' has no column 'txt'",
        "Did you mean 'text'?",
    ),
    "an unknown column below a call of config over lines": (
        {
            "transforms/a.sql": "{{ config(\n  tags=['a'],\n  description='b'\n) }}\nselect id, "
            "txt from {{ ref('items') }}"
        },
        "unknown-column",
        "transforms/a.sql:5:12",
        "'items' has no column 'txt'",
        "",
    ),
    "an unknown column from a macro": (
        {
            "transforms/a.sql": "\nselect id,\n {{ m() }} as x\nfrom {{ ref('items') }}",
            "macros/m.sql": "{% macro m() %}txt{% endmacro %}",
        },
        "unknown-column",
        "transforms/a.sql:2",
        "'items' has no column 'txt'",
        "",
    ),
    "a bad SELECT": (
        {"transforms/a.sql": "select id\nfrm {{ ref('items') }}"},
        "bad-sql",
        "transforms/a.sql:2",
        "this SQL cannot be parsed",
        "check the syntax",
    ),
    "a transform that changes something": (
        {"transforms/a.sql": "delete from {{ ref('items') }}"},
        "bad-sql",
        "transforms/a.sql:1",
        "a SELECT belongs here, not DELETE",
        "teachkit only reads",
    ),
    "a relation named directly": (
        {"transforms/a.sql": "select id from items"},
        "bad-sql",
        "transforms/a.sql:1:16",
        "'items' is no relation of this project",
        "write ref('items') for a transform, or source('…', 'items') for a table of a source, in {{ }}",
    ),
    "a column without name": (
        {"transforms/a.sql": "select id, count(*) from {{ ref('items') }} group by id"},
        "bad-sql",
        "transforms/a.sql:1",
        "column 2 of this SELECT has no name",
        "give it one: … as name",
    ),
    "two columns of one name": (
        {"transforms/a.sql": "select id, text as ID from {{ ref('items') }}"},
        "bad-sql",
        "transforms/a.sql:1",
        "two columns of this SELECT are called 'id'",
        "* exclude (id)",
    ),
    "an unknown key in config": (
        {"transforms/a.sql": "\n{{ config(tags=['a'],\n  sevrity='warn') }} select 1 as one"},
        "unknown-key",
        "transforms/a.sql:2:3",
        "'sevrity' is not a key of config()",
        "Did you mean 'severity'?",
    ),
    "a bad value in config": (
        {"transforms/a.sql": "{{ config(enabled='no') }} select 1 as one"},
        "bad-value",
        "transforms/a.sql:1:11",
        "enabled: found text, not true or false",
        "",
    ),
    "a function in config": (
        {"transforms/a.sql": "{{ config(description=ref) }} select 1 as one"},
        "bad-template",
        "transforms/a.sql:1",
        "config(description=…) takes a plain value",
        "",
    ),
    "a circle": (
        {"transforms/a.sql": "select * from {{ ref('b') }}", "transforms/b.sql": "select * from {{ ref('a') }}"},
        "cycle",
        "transforms/a.sql:1",
        "transform.a -> transform.b -> transform.a",
        "remove one of the references",
    ),
    "a circle through a label set": (
        {LF: "{{ config(label='spam') }} select id from {{ ref('spam_labels') }} where label = 'spam'"},
        "cycle",
        "labeling_functions/spam/x.sql:1",
        "label_set.spam_labels",
        "",
    ),
    "a name twice": (
        {"transforms/deep/items.sql": "select 1 as one"},
        "duplicate-name",
        "transforms/deep/items.sql:1",
        "transform 'items' is defined twice; the other is at transforms/items.sql:1",
        "rename one of the two",
    ),
    "a transform called as a label model": (
        {"transforms/spam_labels.sql": "select 1 as one"},
        "duplicate-name",
        "label_models/spam.yml:2:5",
        "'spam_labels' is defined twice; the other is at transforms/spam_labels.sql:1",
        "",
    ),
    "a source table twice": (
        {"sources/b.yml": "sources: [{name: raw, tables: [{name: comments, path: x.csv}]}]"},
        "duplicate-name",
        "sources/raw.yml:4:9",
        "source table 'raw.comments' is defined twice; the other is at sources/b.yml:1:32",
        "",
    ),
    "a task twice": (
        {"tasks/a.yml": "tasks: [{name: spam, labels: [a, b], dataset: ref('items'), key: id}]"},
        "duplicate-name",
        "tasks/spam.yml:2:5",
        "task 'spam' is defined twice; the other is at tasks/a.yml:1:9",
        "",
    ),
    "a labeling function twice": (
        {"labeling_functions/spam/a.yml": "labeling_functions: [{name: link, label: spam, any_of: [x]}]"},
        "duplicate-name",
        "labeling_functions/spam/a.yml:1:22",
        "labeling function 'link' is defined twice; the other is at labeling_functions/spam/link.sql:1",
        "",
    ),
    "a transform described twice": (
        {"transforms/a.yml": "transforms: [{name: items}]", "transforms/b.yml": "transforms: [{name: items}]"},
        "duplicate-name",
        "transforms/b.yml:1:14",
        "description of transform 'items' is defined twice; the other is at transforms/a.yml:1:14",
        "",
    ),
    "notes on a transform that is not there": (
        {"transforms/a.yml": "transforms: [{name: itmes}]"},
        "unknown-node",
        "transforms/a.yml:1:14",
        "there is no transform 'itmes' in this project",
        "Did you mean 'items'?",
    ),
    "notes on a column that is not there": (
        notes("columns: {txt: {}}"),
        "unknown-column",
        "transforms/_schema.yml:1:38",
        "transform 'items' has no column 'txt'",
        "Did you mean 'text'?",
    ),
    "a source's column that is not there": (
        {
            "sources/raw.yml": "sources: [{name: raw, tables: [{name: comments, path: a.csv, "
            "columns: {conten: {type: int}}}]}]"
        },
        "unknown-column",
        "sources/raw.yml:1:72",
        "source 'raw.comments' has no column 'conten'",
        "Did you mean 'content'?",
    ),
    "a source's key that is not there": (
        {"sources/raw.yml": "sources: [{name: raw, tables: [{name: comments, path: a.csv, key: [id, idd]}]}]"},
        "unknown-column",
        "sources/raw.yml:1:72",
        "source 'raw.comments' has no column 'idd'",
        "Did you mean 'id'?",
    ),
    "a source's format that its name does not tell": (
        {"sources/raw.yml": "sources: [{name: raw, tables: [{name: comments, path: a.txt}]}]"},
        "bad-value",
        "sources/raw.yml:1:55",
        "the ending of 'a.txt' does not tell its format",
        "add 'format: csv' (or jsonl, parquet)",
    ),
    "a source's path without its variable": (
        {"sources/raw.yml": "sources: [{name: raw, tables: [{name: comments, path: \"{{ var('where') }}.csv\"}]}]"},
        "unknown-var",
        "sources/raw.yml:1:55",
        "var('where') has no value",
        "pass --vars '{where: ...}'",
    ),
    # tasks
    "a dataset that is no reference": (
        task(dataset="items"),
        "bad-value",
        "tasks/spam.yml:1:52",
        "'items' is not a reference",
        "write ref('name') or source('group', 'table')",
    ),
    "a dataset that is not there": (
        task(dataset="ref('itmes')"),
        "unknown-ref",
        "tasks/spam.yml:1:52",
        "ref('itmes')",
        "Did you mean 'items'?",
    ),
    "a key that is not there": (
        task(key="idd"),
        "unknown-column",
        "tasks/spam.yml:1:71",
        "the dataset 'items' has no column 'idd'",
        "Did you mean 'id'?",
    ),
    "a column to show that is not there": (
        task(show="[text, nope]"),
        "unknown-column",
        "tasks/spam.yml:1:88",
        "no column 'nope'",
        "",
    ),
    "a gold column that is not there": (
        task(gold="{column: klass}"),
        "unknown-column",
        "tasks/spam.yml:1:90",
        "no column 'klass'",
        "Did you mean 'class'?",
    ),
    "a split column that is not there": (
        task(splits="{column: splt}"),
        "unknown-column",
        "tasks/spam.yml:1:92",
        "no column 'splt'",
        "Did you mean 'split'?",
    ),
    "a gold value that is no label": (
        task(gold="{column: class, values: {0: ham, 1: spma}}"),
        "unknown-label",
        "tasks/spam.yml:1:117",
        "'spma' is not a label of task 'spam'",
        "write one of: ham, spam. Did you mean 'spam'?",
    ),
    # labeling functions
    "a folder without task": (
        {"labeling_functions/spma/a.sql": "true"},
        "unknown-task",
        "labeling_functions/spma/a.sql:1",
        "there is no task 'spma'",
        "write one of: spam. Did you mean 'spam'?",
    ),
    "a label that is not there": (
        lf("\n\n{{ config(tags=['a'],\n   label='spma') }} true"),
        "unknown-label",
        "labeling_functions/spam/x.sql:3:4",
        "'spma' is not a label of task 'spam'",
        "Did you mean 'spam'?",
    ),
    "a label in an expression that is not there": (
        lf("case when text = 'spma' then 'spam'\n  else 'hma' end"),
        "unknown-label",
        "labeling_functions/spam/x.sql:2:8",
        "'hma' is not a label of task 'spam'",
        "Did you mean 'ham'?",
    ),
    "a label in a SELECT that is not there": (
        lf("select id, case when text = 'x' then 'spma' end as l from {{ ref('items') }}"),
        "unknown-label",
        "labeling_functions/spam/x.sql:1:38",
        "'spma' is not a label",
        "",
    ),
    "a label in the second part of a union": (
        lf("select id, 'spam' as l from {{ ref('items') }} union all\nselect id, 'hma' from {{ ref('items') }}"),
        "unknown-label",
        "labeling_functions/spam/x.sql:2:12",
        "'hma' is not a label",
        "",
    ),
    "a column of an expression that is not there": (
        lf("{{ config(label='spam') }}\ntext like 'x'\n  and lenght > 3"),
        "unknown-column",
        "labeling_functions/spam/x.sql:3:7",
        "'items' has no column 'lenght'",
        "",
    ),
    "a column of a SELECT that is not there": (
        lf("{{ config(label='spam') }}\nselect id from {{ ref('items') }}\nwhere txt = 'x'"),
        "unknown-column",
        "labeling_functions/spam/x.sql:3:7",
        "'items' has no column 'txt'",
        "Did you mean 'text'?",
    ),
    "a labeling function that reads what it is itself": (
        lf("{{ config(label='spam') }}\nselect id from {{ this }}"),
        "unknown-macro",
        "labeling_functions/spam/x.sql:2",
        "'this' is not defined",
        "known here: config",
    ),
    "an aggregate in an expression": (
        lf("{{ config(label='spam') }} count(*) > 1"),
        "bad-sql",
        "labeling_functions/spam/x.sql:1:28",
        "an expression sees one row: no window, aggregate or subquery",
        "write a SELECT of (key, label) instead",
    ),
    "a SELECT without key": (
        lf("{{ config(label='spam') }} select text from {{ ref('items') }}"),
        "bad-sql",
        "labeling_functions/spam/x.sql:1",
        "this SELECT has no column 'id', the key of task 'spam'",
        "select id; every row selected votes 'spam'",
    ),
    "a SELECT without label": (
        lf("select id, text, author from {{ ref('items') }}"),
        "bad-sql",
        "labeling_functions/spam/x.sql:1",
        "gives two columns: the key 'id' and the label",
        "(here: id, text, author)",
    ),
    "a SELECT whose label has no name": (
        lf("select id, upper(text) from {{ ref('items') }}"),
        "bad-sql",
        "labeling_functions/spam/x.sql:1",
        "the label of this SELECT has no name",
        "… as label",
    ),
    "a rule over a column that is not there": (
        rule("any_of: [x], column: txt"),
        "unknown-column",
        "labeling_functions/spam/r.yml:1:66",
        "the dataset of task 'spam' has no column 'txt'",
        "Did you mean 'text'?",
    ),
    "a rule with an unknown label": (
        {RULES: "labeling_functions: [{name: r, label: spma, any_of: [x]}]"},
        "unknown-label",
        "labeling_functions/spam/r.yml:1:39",
        "'spma' is not a label",
        "Did you mean 'spam'?",
    ),
    "a rule that says nothing": (
        rule("none_of: [x]"),
        "bad-rule",
        "labeling_functions/spam/r.yml:1:22",
        "labeling function 'r': it says nothing about when to vote",
        "give one of: any_of, all_of, regex, dictionary, sql",
    ),
    "SQL beside words": (
        rule("sql: 'true', none_of: [x]"),
        "bad-rule",
        "labeling_functions/spam/r.yml:1:58",
        "'sql' stands beside 'none_of'",
        "write one of them, or two labeling functions",
    ),
    "SQL beside a column": (
        rule("sql: 'true', column: text"),
        "bad-rule",
        "labeling_functions/spam/r.yml:1:58",
        "'sql' stands beside 'column'",
        "",
    ),
    "more hits than words": (
        rule("any_of: [a, b, A], min_hits: 3"),
        "bad-rule",
        "labeling_functions/spam/r.yml:1:74",
        "min_hits is 3, but there are only 2 different words",
        "",
    ),
    "hits without words": (
        rule("regex: x, min_hits: 2"),
        "bad-rule",
        "labeling_functions/spam/r.yml:1:65",
        "min_hits counts words of any_of and dictionary",
        "",
    ),
    "a bad regular expression": (
        rule("regex: '(?<=a)b'"),
        "bad-regex",
        "labeling_functions/spam/r.yml:1:52",
        "'(?<=a)b' is not a regular expression that DuckDB (RE2) understands",
        "RE2 has no look-around and no back references",
    ),
    "an empty dictionary": (
        {**rule("dictionary: d.txt"), "labeling_functions/spam/d.txt": "# nothing\n\n"},
        "bad-dictionary",
        "labeling_functions/spam/r.yml:1:57",
        "dictionary 'd.txt': it holds no word",
        "write one word or phrase a line",
    ),
    "an unknown column in SQL of YAML": (
        {RULES: 'labeling_functions:\n  - name: r\n    label: spam\n    sql: "length(txt) < 20"'},
        "unknown-column",
        "labeling_functions/spam/r.yml:4:18",
        "'items' has no column 'txt'",
        "",
    ),
    "an unknown column in a block of SQL in YAML": (
        {
            RULES: "labeling_functions:\n  - name: r\n    label: spam\n    sql: |\n      text "
            "is null\n        or length(txt) < 20"
        },
        "unknown-column",
        "labeling_functions/spam/r.yml:6:19",
        "'items' has no column 'txt'",
        "",
    ),
    "a Python parameter that is no column": (
        {
            PYTHON: "from teachkit import "
            "labeling_function\n\n@labeling_function(label='spam')\ndef f(txt): return True\n"
        },
        "unknown-column",
        "labeling_functions/spam/p.py:4:7",
        "no column 'txt'",
        "Did you mean 'text'?",
    ),
    "a Python helper that is not UTF-8": (
        {
            PYTHON: "import helper\nfrom teachkit import "
            "labeling_function\n@labeling_function(label='spam')\ndef f(text): return helper.f(text)\n",
            "helper.py": b"x = 1\ny = '\xe9'\n",
        },
        "not-utf8",
        "helper.py:2",
        "byte 0xe9",
        "iconv",
    ),
    "a Python label that is not there": (
        {
            PYTHON: "from teachkit import "
            "labeling_function\n@labeling_function(label='spma')\ndef f(text): return True\n"
        },
        "unknown-label",
        "labeling_functions/spam/p.py:2:26",
        "'spma' is not a label",
        "",
    ),
    # label models
    "a label model of no task": (
        {"label_models/spam.yml": "label_models: [{name: spam_labels, task: spma, type: majority}]"},
        "unknown-task",
        "label_models/spam.yml:1:42",
        "there is no task 'spma'",
        "Did you mean 'spam'?",
    ),
    "an unknown algorithm": (
        model("type: dawid_sken"),
        "unknown-type",
        "label_models/spam.yml:1:54",
        "there is no label model 'dawid_sken'",
        "Did you mean 'dawid_skene'?",
    ),
    "an algorithm's file that is not there": (
        model("type: label_models/mine.py:Mine"),
        "bad-value",
        "label_models/spam.yml:1:54",
        "there is no file 'label_models/mine.py'",
        "",
    ),
    "an algorithm's class that is not there": (
        {**model("type: label_models/mine.py:Mine"), "label_models/mine.py": "class Other: ..."},
        "bad-value",
        "label_models/spam.yml:1:54",
        "'label_models/mine.py' has no class 'Mine'",
        "",
    ),
    "an algorithm that is not Python": (
        {**model("type: label_models/mine.py:Mine"), "label_models/mine.py": "class Mine:\n  def"},
        "bad-python",
        "label_models/mine.py:2:6",
        "this is not valid Python",
        "",
    ),
    "a voter that is not there": (
        model("voters: [link, lnik]"),
        "unknown-voter",
        "label_models/spam.yml:1:63",
        "'lnik' selects no voter of task 'spam'",
        "voters of the task: link. Did you mean 'link'?",
    ),
    "no voter left": (
        model("voters: ['*', '-link']"),
        "unknown-voter",
        "label_models/spam.yml:1:56",
        "'*, -link' selects no voter",
        "",
    ),
    "a prior for a label that is not there": (
        model("class_prior: {ham: 0.5, spma: 0.5}"),
        "unknown-label",
        "label_models/spam.yml:1:72",
        "'spma' is not a label",
        "",
    ),
    "a prior that does not sum to one": (
        model("class_prior: {ham: 0.5, spam: 0.4}"),
        "bad-value",
        "label_models/spam.yml:1:61",
        "it must name every label and sum to 1",
        "labels: ham, spam",
    ),
    "silence of a voter that is not there": (
        model("abstain: {lnik: at_random}"),
        "unknown-voter",
        "label_models/spam.yml:1:58",
        "'lnik' selects no voter",
        "Did you mean 'link'?",
    ),
    "a parameter that has no plain form": (
        model("parameters: {since: .nan}"),
        "bad-value",
        "label_models/spam.yml:1:68",
        "since: nan is no finite number",
        "",
    ),
    # exports, tests
    "an export of a transform": (
        {"exports/out.yml": "exports: [{name: out, label_set: ref('items'), path: o.csv}]"},
        "bad-value",
        "exports/out.yml:1:34",
        "\"ref('items')\" is no label set".replace('"', "'"),
        "name a label model",
    ),
    "an export's column that is not there": (
        {"exports/out.yml": "exports: [{name: out, label_set: ref('spam_labels'), path: o.csv, columns: [id, lable]}]"},
        "unknown-column",
        "exports/out.yml:1:81",
        "no column 'lable'",
        "Did you mean 'label'?",
    ),
    "an export's condition over a column that is not there": (
        {
            "exports/out.yml": "exports: [{name: out, label_set: ref('spam_labels'), path: "
            "o.csv, where: 'confidnce > 1'}]"
        },
        "unknown-column",
        "exports/out.yml:1:75",
        "'spam_labels' has no column 'confidnce'",
        "Did you mean 'confidence'?",
    ),
    "two exports to one file": (
        {
            "exports/out.yml": "exports: [{name: a, label_set: ref('spam_labels'), path: "
            "o.csv}, {name: b, label_set: ref('spam_labels'), path: ./o.csv}]"
        },
        "bad-value",
        "exports/out.yml:1:113",
        "export 'a' writes 'o.csv' too",
        "give each a path of its own",
    ),
    "a unit test of a voter that is not there": (
        {"tests/unit.yml": "unit_tests: [{name: u, voter: lnk, rows: [{text: x}], expect: [spam]}]"},
        "unknown-node",
        "tests/unit.yml:1:31",
        "there is no voter 'lnk'",
        "known: lf.spam.link.",
    ),
    "a unit test that expects a label that is not there": (
        {"tests/unit.yml": "unit_tests: [{name: u, voter: link, rows: [{text: x}], expect: [spma]}]"},
        "unknown-label",
        "tests/unit.yml:1:65",
        "'spma' is not a label",
        "",
    ),
    "a unit test with a column that the dataset does not have": (
        {"tests/unit.yml": "unit_tests: [{name: u, voter: link, rows: [{txt: x}], expect: [spam]}]"},
        "unknown-column",
        "tests/unit.yml:1:45",
        "the dataset 'items' has no column 'txt'",
        "Did you mean 'text'?",
    ),
    "an unknown test": (
        notes("tests: [uniqe: {column: id}]"),
        "unknown-type",
        "transforms/_schema.yml:1:36",
        "there is no test 'uniqe'",
        "Did you mean 'unique'?",
    ),
    "an unknown argument of a test": (
        notes("columns: {id: {tests: [accepted_values: {valus: [1]}]}}"),
        "unknown-key",
        "transforms/_schema.yml:1:69",
        "'valus' is not a key of test 'accepted_values'",
        "Did you mean 'values'?",
    ),
    "a bad argument of a test": (
        notes("columns: {id: {tests: [accepted_values: {values: 1}]}}"),
        "bad-value",
        "transforms/_schema.yml:1:77",
        "values: found a number, not a list",
        "",
    ),
    "a bad severity": (
        notes("tests: [unique: {column: id, severity: eror}]"),
        "bad-value",
        "transforms/_schema.yml:1:67",
        "severity: 'eror' is not allowed",
        "Did you mean 'error'?",
    ),
    "a test of a column that is not there": (
        notes("tests: [unique: {column: idd}]"),
        "unknown-column",
        "transforms/_schema.yml:1:53",
        "'items' has no column 'idd'",
        "Did you mean 'id'?",
    ),
    "a test that needs a column": (
        notes("tests: [unique]"),
        "bad-value",
        "transforms/_schema.yml:1:36",
        "unique: this test is for a column",
        "declare it under columns",
    ),
    "a test of another kind of node": (
        notes("tests: [coverage: {min: 0.5}]"),
        "bad-value",
        "transforms/_schema.yml:1:36",
        "this test is for nodes of the kind label set",
        "",
    ),
    "two tests in one entry": (
        notes("tests: [{unique: {column: id}, not_null: {column: id}}]"),
        "bad-value",
        "transforms/_schema.yml:1:36",
        "one test has one name; here stand unique, not_null",
        "",
    ),
    "arguments that are no keys": (
        notes("tests: [row_count: 3]"),
        "bad-value",
        "transforms/_schema.yml:1:36",
        "arguments of a test are keys with values, not 3",
        "write 'row_count: {argument: value}'",
    ),
    "a condition that is none": (
        notes("tests: [row_count: {min: 1, error_if: many}]"),
        "bad-value",
        "transforms/_schema.yml:1:66",
        "'many' is no condition",
        "'> 10' or '!= 0'",
    ),
    "a test's where over a column that is not there": (
        notes("tests: [unique: {column: id, where: 'lenght > 3'}]"),
        "unknown-column",
        "transforms/_schema.yml:1:65",
        "'items' has no column 'lenght'",
        "",
    ),
    "a test of a node that is not there": (
        {"tests/a.yml": "tests: [{node: itmes, tests: [unique: {column: id}]}]"},
        "unknown-node",
        "tests/a.yml:1:16",
        "there is no node 'itmes'",
        "",
    ),
    "a singular test over a column that is not there": (
        {"tests/a.sql": "select *\nfrom {{ ref('items') }} where txt = 1"},
        "unknown-column",
        "tests/a.sql:2:31",
        "'items' has no column 'txt'",
        "",
    ),
    "a test of the project with an unknown argument": (
        {
            "macros/t.sql": "{% test positive(model, column_name, least=0) %}select * from {{ "
            "model }} where {{ column_name }} <= {{ least }}{% endtest %}",
            **notes("columns: {id: {tests: [positive: {lest: 1}]}}"),
        },
        "unknown-key",
        "transforms/_schema.yml:1:62",
        "'lest' is not a key of test 'positive'",
        "write one of: least. Did you mean 'least'?",
    ),
    "a test of the project over a column that is not there": (
        {
            "macros/t.sql": "\n\n{% test odd(model) %}\nselect * from {{ model }}\nwhere nope = 1{% endtest %}",
            **notes("tests: [odd]"),
        },
        "unknown-column",
        "macros/t.sql:4:7",
        "'items' has no column 'nope'",
        "",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_mistake_is_reported_at_its_place(tmp_path: Path, name: str) -> None:
    files, slug, place, message, advice = ERRORS[name]
    with pytest.raises(ProjectErrors) as caught:
        compiled(tmp_path, files)
    error = caught.value.errors[0]
    assert error.slug == slug
    assert message in error.message
    assert advice in error.advice
    assert str(error.where) == place


def test_the_mistakes_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    files: Files = {
        LF: "txt = 1",
        RULES: "labeling_functions: [{name: r, label: spma, any_of: [x]}]",
        "label_models/other.yml": "label_models: [{name: x, task: nope}]",
        "tests/unit.yml": "unit_tests: [{name: u, voter: nope, rows: [{text: x}], expect: [spam]}]",
    }
    with pytest.raises(ProjectErrors) as caught:
        compiled(tmp_path, files)
    assert [e.slug for e in caught.value.errors] == ["unknown-task", "unknown-label", "unknown-column", "unknown-node"]


def test_what_follows_from_a_mistake_is_no_mistake_of_its_own(tmp_path: Path) -> None:
    unit = "{name: %s, voter: %s, rows: [{text: x}], expect: [spam]}"
    python = "from teachkit import labeling_function\n@labeling_function(label='spma')\ndef loud(text): return True\n"
    files: Files = {
        RULES: "labeling_functions: [{name: subscribe, label: spma, any_of: [x]}]",
        "labeling_functions/spam/loud.py": python,
        "label_models/spam.yml": "label_models:\n  - {name: spam_labels, task: spam, voters: [subscribe, loud, link]}\n"
        "  - {name: other, task: spam, type: majorty}\n",
        "exports/out.yml": "exports: [{name: out, label_set: ref('other'), path: a.csv}]",
        "tests/unit.yml": f"unit_tests: [{unit % ('a', 'subscribe')}, {unit % ('b', 'lf.spam.loud')}]\n"
        "tests: [{node: label_set.other, tests: [{coverage: {min: 1}}]}]\n",
        "tests/typo.yml": f"unit_tests: [{unit % ('c', 'lod')}]\n",
    }
    with pytest.raises(ProjectErrors) as caught:
        compiled(tmp_path, files)
    said = [(e.where.path if e.where else "", e.slug) for e in caught.value.errors]
    assert said == [
        ("label_models/spam.yml", "unknown-type"),
        ("labeling_functions/spam/loud.py", "unknown-label"),
        (RULES, "unknown-label"),
        ("tests/typo.yml", "unknown-node"),
    ]


def test_nodes_and_edges_are_what_the_files_say(tmp_path: Path) -> None:
    graph = compiled(tmp_path, MORE)
    edges = {n.id: n.inputs for n in graph}
    assert edges == {
        "source.raw.comments": (),
        "source.raw.authors": (),
        "transform.items": ("source.raw.comments",),
        "lf.spam.link": ("transform.items",),
        "lf.spam.buy": ("transform.items",),
        "lf.spam.loud": ("transform.items",),
        "annotations.spam.judge": ("transform.items",),
        "annotations.spam.maria": ("transform.items",),
        "label_set.spam_labels": (
            "transform.items",
            "annotations.spam.maria",
            "lf.spam.buy",
            "lf.spam.link",
            "lf.spam.loud",
        ),
        "export.out": ("label_set.spam_labels", "transform.items"),
        "unit_test.u": ("lf.spam.buy",),
        "test.raw.comments.key": ("source.raw.comments",),
        "test.spam_key": ("transform.items",),
        "test.items.unique.id": ("transform.items",),
        "test.none": ("transform.items",),
    }
    order = list(graph.nodes)
    assert all(order.index(parent) < order.index(node) for node, parents in edges.items() for parent in parents)


def test_reads_are_just_the_columns_that_are_read(tmp_path: Path) -> None:
    graph = compiled(tmp_path, MORE)
    reads = {n.id: dict(n.reads) for n in graph}
    assert reads["transform.items"] == {"source.raw.comments": ("author", "class", "content", "id", "split")}
    assert reads["lf.spam.buy"] == {"transform.items": ("text",)}
    assert reads["lf.spam.loud"] == {"transform.items": ("text",)}
    assert reads["annotations.spam.maria"] == {"transform.items": ("id",)}
    assert reads["label_set.spam_labels"]["transform.items"] == ("id",)
    assert reads["test.items.unique.id"] == {"transform.items": ("id",)}
    assert reads["test.none"]["transform.items"] == ("author", "class", "id", "split", "text")


def test_a_test_s_where_is_read_too(tmp_path: Path) -> None:
    graph = compiled(tmp_path, notes("columns: {id: {tests: [unique: {where: \"TEXT <> '' -- not empty\"}]}}"))
    node = graph["test.items.unique.id"]
    assert node.reads == {"transform.items": ("id", "text")}
    assert node.spec.where == "(\nTEXT <> ''\n)"


def test_a_test_of_the_project_is_compiled_with_its_arguments(tmp_path: Path) -> None:
    macros = (
        "{% test below(model, column_name, most=9) %}select * from {{ model }} where {{ "
        "column_name }} > {{ most }};{% endtest %}"
    )
    graph = compiled(
        tmp_path,
        {
            "macros/t.sql": macros,
            **notes("columns: {id: {tests: [below, below: {most: 3, name: mine, severity: warn}]}}"),
        },
    )
    assert graph["test.items.below.id"].spec.sql == 'select * from "transform.items" where "id" > 9'
    mine = graph["test.mine"].spec
    assert (mine.sql, mine.severity) == ('select * from "transform.items" where "id" > 3', "warn")


COLUMNS_IN_ANY_SCRIPT = {"source.raw.comments": ("ID", "Автор", "Текст", "ÖL", "class", "split")}


def test_columns_are_compared_as_duckdb_compares_them(tmp_path: Path) -> None:
    """A-Z in any case, all other letters as they are written."""
    files: Files = {
        "sources/raw.yml": "sources: [{name: raw, tables: [{name: comments, path: a.csv, key: iD}]}]",
        "transforms/items.sql": "select Id, \"Автор\", Текст as text, ÖL, CLASS from {{ source('raw', 'comments') }}",
        RULES: "labeling_functions: [{name: r, label: spam, column: ÖL, any_of: [x]}]",
    }
    graph = compiled(tmp_path, files, columns=COLUMNS_IN_ANY_SCRIPT)
    assert graph["source.raw.comments"].columns == ("id", "Автор", "Текст", "Öl", "class", "split")
    assert graph["transform.items"].columns == ("id", "Автор", "text", "Öl", "class")
    assert graph["lf.spam.r"].reads == {"transform.items": ("Öl",)}
    assert '"Öl"' in graph["lf.spam.r"].spec.sql
    with pytest.raises(ProjectErrors, match=r"'raw\.comments' has no column 'текст'"):
        compiled(
            tmp_path,
            {**files, "transforms/items.sql": "select id, текст as text, class from {{ source('raw', 'comments') }}"},
            columns=COLUMNS_IN_ANY_SCRIPT,
        )


def test_what_runs_has_no_comment_and_no_semicolon_around_it(tmp_path: Path) -> None:
    graph = compiled(
        tmp_path,
        {
            "transforms/a.sql": "-- one\nselect id /* in */ from {{ ref('items') }}; -- end",
            LF: "{{ config(label='spam') }} text like 'x' or\n text is null; -- end",
            "labeling_functions/spam/y.sql": "{{ config(label='spam') }} select id from {{ ref('items') }} ;",
            "labeling_functions/spam/z.sql": "case when text = ';' then 'spam' end -- x",
            "tests/a.sql": "select * from {{ ref('items') }};\n",
        },
    )
    assert graph["transform.a"].spec.sql == 'select id /* in */ from "transform.items"'
    assert graph["lf.spam.x"].spec.sql == "case when (\ntext like 'x' or\n text is null\n) then 1 else -1 end"
    assert graph["lf.spam.y"].spec.sql == 'select "id", \'spam\' as label from (\nselect id from "transform.items"\n)'
    assert "(\ncase when text = ';' then 'spam' end\n)" in graph["lf.spam.z"].spec.sql
    assert graph["test.a"].spec.sql == 'select * from "transform.items"'


def test_defaults_of_a_folder_hold_for_what_lies_in_it(tmp_path: Path) -> None:
    project = """
        name: demo
        labeling_functions: {spam: {tags: [mine], abstain: at_random}}
        annotations: {spam: {enabled: false}}
        """
    graph = compiled(tmp_path, {**MORE, "teachkit.yml": project})
    assert graph["lf.spam.link"].tags == ("mine",)
    assert graph["lf.spam.link"].spec.abstain == "at_random"
    assert not list(graph.of("annotations"))


def test_a_path_may_come_of_a_variable_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHKIT_TEST", "deep")
    source = (
        "sources: [{name: raw, tables: [{name: comments, path: [\"{{ var('d') }}/{{ "
        "env_var('TEACHKIT_TEST') }}/a.csv\", b.csv]}]}]"
    )
    files = read(tmp_path, {**BASE, "sources/raw.yml": source}, variables={"d": "data"})
    seen: list[Any] = []

    def describe(spec: Any, node_id: str, where: Where) -> Mapping[str, str]:
        seen.append(spec.paths)
        return dict.fromkeys(("id", "author", "content", "class", "split"), "VARCHAR")

    compile_graph(files, describe)
    assert seen == [("data/deep/a.csv", "b.csv")]


SELECTIONS: dict[str, tuple[str, set[str]]] = {
    "all": ("['*']", {"link", "buy", "loud", "maria"}),
    "a glob": ("['l*']", {"link", "loud"}),
    "without": ("['*', '-l*']", {"buy", "maria"}),
    "without, then with": ("['*', '-l*', loud]", {"buy", "maria", "loud"}),
    "a kind": ("['kind:lf']", {"link", "buy", "loud"}),
    "an id": ("[lf.spam.buy]", {"buy"}),
    "a tag": ("['tag:t', buy]", {"link", "buy"}),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_label_model_chooses_its_voters(tmp_path: Path, name: str) -> None:
    voters, wanted = SELECTIONS[name]
    files = {
        **MORE,
        **model(f"voters: {voters}"),
        "labeling_functions/spam/link.sql": "{{ config(label='spam', tags=['t']) }} true",
    }
    spec = compiled(tmp_path, files)["label_set.spam_labels"].spec
    assert {i.rpartition(".")[2] for i in (*spec.voters, *spec.annotations)} == wanted
