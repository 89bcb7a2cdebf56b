"""What is wrong with a project is said once, with its place and advice; nothing that was good is lost by it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sandbox import Outcome, Sandbox


@dataclass(frozen=True)
class Bad:
    """Files that are wrong, and what a build says of them."""

    files: Mapping[str, str | bytes | None]
    slug: str
    place: str = ""
    says: str = ""
    code: int | None = 2
    arguments: tuple[str, ...] = field(default=())
    env: Mapping[str, str] = field(default_factory=dict)


def transform(sql: str) -> dict[str, str | bytes | None]:
    return {"transforms/reviews.sql": sql}


SHOP = "data/reviews.csv"
TRANSFORM = "transforms/reviews.sql"
WORDS = "labeling_functions/mood/words.yml"
STYLE = "labeling_functions/mood/style.py"
GOOD_COLUMNS = "select id, text, stars, mood, split from {{ source('shop', 'reviews') }}"


def python(body: str, decorator: str = "@labeling_function(label='good')") -> dict[str, str | bytes | None]:
    text = f"from teachkit import labeling_function\n\n\n{decorator}\ndef short_praise(text: str):\n    {body}\n"
    return {STYLE: text}


COMPILE = {
    "an unknown column in a transform": Bad(
        transform("select id, txet as text, stars, mood, split\nfrom {{ source('shop', 'reviews') }}"),
        "unknown-column",
        f"{TRANSFORM}:1:",
        "Did you mean 'text'?",
    ),
    "an unknown column in a labeling function": Bad(
        {"labeling_functions/mood/refund.sql": "{{ config(label='bad') }}\nlength(texts) > 3"},
        "unknown-column",
        "labeling_functions/mood/refund.sql:2:",
        "Did you mean 'text'?",
    ),
    "an unknown column in a rule": Bad(
        {WORDS: "labeling_functions:\n  - {name: blame, label: bad, any_of: [x], column: txt}\n"},
        "unknown-column",
        f"{WORDS}:2:",
        "Did you mean 'text'?",
    ),
    "an unknown column in an export": Bad(
        {"exports/train.yml": "exports:\n  - {name: a, label_set: ref('moods'), path: a.csv, columns: [txt]}\n"},
        "unknown-column",
        "exports/train.yml:2:",
        "Did you mean 'text'?",
    ),
    "an unknown column in a singular test": Bad(
        {"tests/labeled_once.sql": "select idd from {{ ref('moods') }}"},
        "unknown-column",
        "tests/labeled_once.sql:1:",
        "Did you mean 'id'?",
    ),
    "an unknown table of a source": Bad(
        transform("select *\nfrom {{ source('shop', 'review') }}"),
        "unknown-source",
        f"{TRANSFORM}:2",
        "Did you mean 'shop.reviews'?",
    ),
    "an unknown ref": Bad(transform("select * from {{ ref('review') }}"), "unknown-ref", f"{TRANSFORM}:1", "review"),
    "an unknown task": Bad(
        {"label_models/mood.yml": "label_models:\n  - {name: moods, task: moood}\n"},
        "unknown-task",
        "label_models/mood.yml:2:",
        "Did you mean 'mood'?",
    ),
    "a folder of labeling functions without a task": Bad(
        {"labeling_functions/moood/a.sql": "{{ config(label='good') }} true"},
        "unknown-task",
        "labeling_functions/moood/a.sql",
        "Did you mean 'mood'?",
    ),
    "an unknown label in a rule": Bad(
        {WORDS: "labeling_functions:\n  - {name: blame, label: bda, any_of: [x]}\n"},
        "unknown-label",
        f"{WORDS}:2:26",
        "Did you mean 'bad'?",
    ),
    "an unknown label in config()": Bad(
        {"labeling_functions/mood/refund.sql": "{{ config(label='bda') }}\ntrue"},
        "unknown-label",
        "labeling_functions/mood/refund.sql:1",
        "Did you mean 'bad'?",
    ),
    "an unknown label in a Python decorator": Bad(
        python("return True", "@labeling_function(label='goood')"), "unknown-label", f"{STYLE}:4", "Did you mean 'good'"
    ),
    "an unknown label in a gold mapping": Bad(
        {
            "tasks/mood.yml": """
            tasks:
              - name: mood
                labels: [good, bad]
                dataset: ref('reviews')
                key: id
                gold: {column: mood, values: {"+": good, "-": bda}}
            """
        },
        "unknown-label",
        "tasks/mood.yml:6:",
        "Did you mean 'bad'?",
    ),
    "an unknown macro": Bad(
        {"labeling_functions/mood/refund.sql": "{{ config(label='bad') }}\n{{ sayss('refund') }}"},
        "unknown-macro",
        "labeling_functions/mood/refund.sql:2",
        "Did you mean 'says'?",
    ),
    "an unknown variable": Bad(
        {"labeling_functions/mood/refund.sql": "{{ config(label='bad') }}\nlength(text) > {{ var('lowest') }}"},
        "unknown-var",
        "labeling_functions/mood/refund.sql:2",
        "vars",
    ),
    "an unknown algorithm": Bad(
        {"label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, type: majorty}\n"},
        "unknown-type",
        "label_models/mood.yml:2:",
        "Did you mean 'majority'?",
    ),
    "an unknown parameter of an algorithm": Bad(
        {
            "label_models/mood.yml": (
                "label_models:\n  - {name: moods, task: mood, type: one_coin, parameters: {n_itr: 3}}\n"
            )
        },
        "unknown-key",
        "label_models/mood.yml:2:60",
        "n_iter, tolerance. Did you mean 'n_iter'?",
    ),
    "an unknown test": Bad(
        {"label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, tests: [{coverag: {min: 1}}]}\n"},
        "unknown-type",
        "label_models/mood.yml:2:",
        "Did you mean 'coverage'?",
    ),
    "a voter pattern without a voter": Bad(
        {"label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, voters: [prais]}\n"},
        "unknown-voter",
        "label_models/mood.yml:2:",
        "Did you mean 'praise'?",
    ),
    "a cycle": Bad(
        {"transforms/a.sql": "select * from {{ ref('b') }}", "transforms/b.sql": "select * from {{ ref('a') }}"},
        "cycle",
        "transforms/a.sql",
        "a -> ",
    ),
    "two nodes of one name": Bad(
        {WORDS: "labeling_functions:\n  - &a {name: blame, label: bad, any_of: [x]}\n  - *a\n"},
        "duplicate-name",
        f"{WORDS}:",
        "blame",
    ),
    "two transforms of one name": Bad(
        {"transforms/more/reviews.sql": GOOD_COLUMNS}, "duplicate-name", "transforms/", "reviews"
    ),
    "two statements": Bad(transform("select 1 as id; select 2 as id"), "bad-sql", f"{TRANSFORM}:1", "2 statements"),
    "no statement": Bad(transform("-- nothing\n"), "bad-sql", TRANSFORM, "SELECT"),
    "a drop table": Bad(transform("drop table reviews"), "bad-sql", f"{TRANSFORM}:1", "SELECT"),
    "an insert in a labeling function": Bad(
        {"labeling_functions/mood/refund.sql": "{{ config(label='bad') }}\ninsert into x values (1)"},
        "bad-sql",
        "labeling_functions/mood/refund.sql:1",
        "not INSERT",
    ),
    "a number for a condition": Bad(
        {"labeling_functions/mood/refund.sql": "{{ config(label='bad') }}\nlength(text)"},
        "bad-sql",
        "labeling_functions/mood/refund.sql:1",
        "a number, not true or false",
    ),
    "a number for a condition in YAML": Bad(
        {WORDS: "labeling_functions:\n  - {name: blame, label: bad, sql: case when stars < 3 then 1 else 0 end}\n"},
        "bad-sql",
        f"{WORDS}:2:36",
        "a number, not true or false",
    ),
    "a decorator of another package": Bad(
        {STYLE: "from snorkel.labeling import labeling_function\n\n\n@labeling_function()\ndef f(x):\n    return 1\n"},
        "bad-python",
        f"{STYLE}:4:2",
        "write 'from teachkit import labeling_function'",
    ),
    "SQL that cannot be parsed": Bad(
        transform("select id,\n  text fro m {{ source('shop', 'reviews') }}"), "bad-sql", f"{TRANSFORM}:2"
    ),
    "a file that a transform reads past the sources": Bad(
        transform("select * from read_csv('/etc/passwd')"), "bad-sql", f"{TRANSFORM}:1"
    ),
    "Jinja that is not closed": Bad(
        transform("select id\nfrom {{ source('shop', 'reviews'"), "bad-template", f"{TRANSFORM}:2"
    ),
    "Jinja that reaches for Python's insides": Bad(
        transform("select {{ ''.__class__.__mro__ }} as id"), "unsafe-template", f"{TRANSFORM}:1", "__class__"
    ),
    "YAML that is not closed": Bad(
        {"tasks/mood.yml": "tasks:\n  - name: mood\n    labels: [good, bad\n    key: id\n"},
        "bad-yaml",
        "tasks/mood.yml:",
    ),
    "tabs in YAML": Bad({"tasks/mood.yml": b"tasks:\n\t- name: mood\n"}, "bad-yaml", "tasks/mood.yml:2", "spaces"),
    "a list where a mapping belongs": Bad({"tasks/mood.yml": "- name: mood\n"}, "bad-value", "tasks/mood.yml:1"),
    "a key twice": Bad({"tasks/mood.yml": "tasks: []\ntasks: []\n"}, "bad-yaml", "tasks/mood.yml:2", "twice"),
    "a value of the wrong type": Bad(
        {"profiles.yml": "targets:\n  dev: {threads: many}\n"}, "bad-value", "profiles.yml:2:", "threads"
    ),
    "an unknown key": Bad(
        {"teachkit.yml": "name: reviews\nvarz: {low: 2}\n"}, "unknown-key", "teachkit.yml:2:1", "Did you mean 'vars'?"
    ),
    "a missing key": Bad({"tasks/mood.yml": "tasks:\n  - {name: mood, labels: [a, b]}\n"}, "missing-key", "tasks/mood"),
    "an empty teachkit.yml": Bad({"teachkit.yml": ""}, "missing-key", "teachkit.yml", "name"),
    "a missing dictionary": Bad(
        {"labeling_functions/mood/blame.txt": None}, "bad-dictionary", f"{WORDS}:3", "blame.txt"
    ),
    "an expression that is no regex": Bad(
        {WORDS: "labeling_functions:\n  - {name: blame, label: bad, regex: '(a'}\n"}, "bad-regex", f"{WORDS}:2:"
    ),
    "Python that cannot be parsed": Bad({STYLE: "def a(:\n"}, "bad-python", f"{STYLE}:1"),
    "a voter that reads gold": Bad(
        {"labeling_functions/mood/refund.sql": "{{ config(label='bad') }}\nmood = '-'"},
        "reads-gold",
        "labeling_functions/mood/refund.sql:1",
        "mood",
    ),
    "bytes that are not UTF-8 in YAML": Bad({WORDS: b"# caf\xe9\n"}, "not-utf8", f"{WORDS}:1", "0xe9"),
    "bytes that are not UTF-8 in SQL": Bad({TRANSFORM: b"select 1\n-- caf\xe9\n"}, "not-utf8", f"{TRANSFORM}:2"),
    "bytes that are not UTF-8 in Python": Bad({STYLE: b"# caf\xe9\n"}, "not-utf8", f"{STYLE}:1"),
    "a source without a file": Bad({SHOP: None}, "source-not-found", "sources/shop.yml:5:", "data/reviews.csv"),
    "a source that is empty to the last byte": Bad({SHOP: ""}, "", "sources/shop.yml"),
    "a source whose column is gone": Bad(
        {SHOP: "id,text,stars,mood,part\nr001,x,3,,train\n"}, "unknown-column", f"{TRANSFORM}:1:", "'split'"
    ),
    "an unknown target": Bad({}, "unknown-target", "", "Did you mean 'ci'?", arguments=("--target", "cii")),
    "an environment variable that is not set": Bad(
        {
            "profiles.yml": (
                "targets:\n  dev: {store: \"{{ env_var('SHOP_STORE') }}\", memory: \"{{ env_var('SHOP_MEMORY') }}\"}\n"
            )
        },
        "missing-env-var",
        "profiles.yml:2:",
        "SHOP_STORE",
        env={"SHOP_MEMORY": "s3cr3t-value"},
    ),
    "a value of the environment that is wrong": Bad(
        {"profiles.yml": "targets:\n  dev: {memory: \"{{ env_var('SHOP_MEMORY') }}\"}\n"},
        "bad-value",
        "profiles.yml:2:",
        "memory",
        env={"SHOP_MEMORY": "s3cr3t-value"},
    ),
    "a lock of a newer version": Bad(
        {"teachkit.lock": "version: 99\n\nlabel_sets: {}\n"}, "lock-too-new", "teachkit.lock"
    ),
    "a lock with a merge conflict": Bad(
        {"teachkit.lock": "<<<<<<< HEAD\nversion: 1\n=======\nversion: 1\n>>>>>>> other\n"},
        "merge-conflict",
        "teachkit.lock:1",
        "--resolve",
    ),
    "a store of a newer version": Bad({".teachkit/format": "99\n"}, "store-too-new", "", "upgrade"),
}

RUN = {
    "gold that is no label": Bad(
        {SHOP: "id,text,stars,mood,split\nr001,x,3,?,test\n", "annotations/mood/ann.jsonl": None},
        "node-failed",
        "tasks/mood.yml:2:",
        "'?'",
        1,
    ),
    "an annotation that is no label": Bad(
        {"annotations/mood/ann.jsonl": '{"item": "r001", "label": "good"}\n{"item": "r002", "label": "bda"}\n'},
        "bad-annotation",
        "annotations/mood/ann.jsonl:2",
        "Did you mean 'bad'?",
        1,
    ),
    "an annotation of an unknown item": Bad(
        {"annotations/mood/ann.jsonl": '{"item": "r999", "label": "good"}\n'},
        "bad-annotation",
        "annotations/mood/ann.jsonl:1",
        "'r999'",
        1,
    ),
    "an annotation whose item a program for tables wrote otherwise": Bad(
        {
            "transforms/reviews.sql": """
                select '00' || substr(id, 2) as id, text, stars, mood, split
                from {{ source('shop', 'reviews') }}
                where length(text) > 0
                """,
            "annotations/mood/ann.jsonl": '{"item": " 1.0", "label": "good"}\n',
        },
        "bad-annotation",
        "annotations/mood/ann.jsonl:1",
        "Did you mean '00001'?",
        1,
    ),
    "an annotations file of Excel in UTF-16": Bad(
        {"annotations/mood/eve.csv": "item,label\nr001,good\n".encode("utf-16")},
        "not-utf8",
        "annotations/mood/eve.csv:1",
        "iconv -f UTF-16",
        1,
    ),
    "an annotation that is not JSON": Bad(
        {"annotations/mood/ann.jsonl": '{"item": "r001"\n'}, "bad-annotation", "annotations/mood/ann.jsonl:1", code=1
    ),
    "bytes that are not UTF-8 in annotations": Bad(
        {"annotations/mood/ann.jsonl": b'{"item": "r001", "label": "good"}\n{"item": "caf\xe9"}\n'},
        "not-utf8",
        "annotations/mood/ann.jsonl:2",
        "iconv -f CP1252 -t UTF-8 annotations/mood/ann.jsonl",
        1,
    ),
    "Python that returns an unknown label": Bad(
        python("return 'goood'", "@labeling_function()"), "labeling-function-failed", STYLE, "'r001'", 1
    ),
    "Python that raises": Bad(
        python("raise ValueError('not today')"), "labeling-function-failed", f"{STYLE}:6", "ValueError", 1
    ),
    "Python that returns a number": Bad(python("return 7"), "labeling-function-failed", STYLE, "7", 1),
    "Python that exits": Bad(python("import os; os._exit(3)"), "labeling-function-failed", STYLE, "r001", 1),
    "Python that crashes": Bad(
        python("import ctypes; ctypes.string_at(0)"), "labeling-function-failed", STYLE, "r001", 1
    ),
    "Python that hangs": Bad(
        {
            **python("import threading; threading.Event().wait()"),
            "teachkit.yml": "name: reviews\nvars: {low: 2}\npython_timeout: 0.3\n",
        },
        "labeling-function-failed",
        STYLE,
        "0.3 s",
        1,
    ),
    "Python whose import fails": Bad(
        {
            STYLE: (
                "import no_such_module_of_ours\n"
                "from teachkit import labeling_function\n"
                "\n"
                "\n"
                "@labeling_function(label='good')\n"
                "def short_praise(text):\n"
                "    return True\n"
            )
        },
        "labeling-function-not-loaded",
        STYLE,
        "no_such_module_of_ours",
        1,
    ),
    "a labeling function in SQL that gives no label": Bad(
        {"labeling_functions/mood/stars.sql": "case when stars > 3 then 'good' || text end"},
        "labeling-function-failed",
        "labeling_functions/mood/stars.sql",
        "'r003'",
        1,
    ),
    "a condition that is a column of numbers": Bad(
        {"labeling_functions/mood/refund.sql": "{{ config(label='bad') }}\nstars"},
        "bad-sql",
        "labeling_functions/mood/refund.sql:1",
        "it results in INTEGER, not true or false",
        1,
    ),
    "a condition that is a column of texts": Bad(
        {WORDS: "labeling_functions:\n  - {name: blame, label: bad, sql: text}\n"},
        "bad-sql",
        f"{WORDS}:2:",
        "it results in VARCHAR, not true or false",
        1,
    ),
    "a condition without its label": Bad(
        {"labeling_functions/mood/stars.sql": "stars > 3"},
        "labeling-function-failed",
        "labeling_functions/mood/stars.sql",
        "{{ config(label='…') }}",
        1,
    ),
    "a duplicate key": Bad(
        {SHOP: "id,text,stars,mood,split\nr001,x,3,,train\nr002,y,3,,train\nr003,z,3,,train\nr001,zz,3,,train\n"},
        "duplicate-key",
        "sources/shop.yml",
        "'r001'",
        1,
    ),
    "a key that is null": Bad(
        {SHOP: "id,text,stars,mood,split\nr001,x,3,,train\nr002,y,3,,train\nr003,z,3,,train\n,zz,3,,train\n"},
        "null-key",
        "sources/shop.yml",
        "id",
        1,
    ),
    "a value that does not convert": Bad(
        {SHOP: "id,text,stars,mood,split\nr001,x,3,,train\nr002,y,3,,train\nr003,zebra,three,,train\n"},
        "",
        "",
        "stars",
        None,
    ),
    "a row too long at the end of a CSV": Bad(
        {SHOP: b"id,text,stars,mood,split\n" + b"".join(b"r%05d,x,3,,train\n" % i for i in range(30_000)) + b"a,b,3\n"},
        "source-unreadable",
        "sources/shop.yml",
        "a row has another number of columns than the header (line 30002 of reviews.csv)",
        None,
    ),
    "a value at the end of a CSV that is of another type": Bad(
        {
            SHOP: b"id,text,stars,mood,split\n"
            + b"".join(b"r%05d,x,3,,train\n" % i for i in range(30_000))
            + b"r9,b,many,,train\n"
        },
        "source-unreadable",
        "sources/shop.yml",
        "a value does not convert to its column's type (line 30002 of reviews.csv)",
        None,
    ),
    "bytes that are not UTF-8 in a CSV": Bad(
        {SHOP: b"id,text,stars,mood,split\nr001,caf\xe9,3,,train\n"},
        "source-unreadable",
        "sources/shop.yml",
        "UTF-8",
        None,
    ),
    "an export whose condition fails": Bad(
        {
            "exports/train.yml": (
                "exports:\n"
                "  - {name: train, label_set: ref('moods'), path: output/train.csv, where: 'cast(text as "
                "integer) > 1'}\n"
            )
        },
        "node-failed",
        "exports/train.yml:2:",
        "try_cast",
        1,
    ),
    "a unit test with a value of another type": Bad(
        {
            "tests/rules.yml": (
                "unit_tests:\n  - {name: blame_is_bad, voter: blame, rows: [{text: x, stars: many}], expect: [null]}\n"
            )
        },
        "",
        "tests/rules.yml:2:",
        "stars",
        1,
    ),
    "a unit test with values of two types": Bad(
        {
            "tests/rules.yml": (
                "unit_tests:\n"
                "  - {name: blame_is_bad, voter: blame, rows: [{text: x}, {text: [1]}], expect: [null, null]}\n"
            )
        },
        "",
        "tests/rules.yml:2:",
        "text",
        1,
    ),
    "a unit test of a column that is not there": Bad(
        {"tests/rules.yml": "unit_tests:\n  - {name: blame_is_bad, voter: blame, rows: [{txt: x}], expect: [null]}\n"},
        "unknown-column",
        "tests/rules.yml:2:",
        "Did you mean 'text'?",
        2,
    ),
    "a label model whose class raises": Bad(
        {
            "label_models/own.py": "class Own:\n    def fit(self, votes, **_):\n        raise RuntimeError('no')\n",
            "label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, type: 'label_models/own.py:Own'}\n",
        },
        "node-failed",
        "label_models/mood.yml:2:",
        "RuntimeError: no",
        1,
    ),
    "a label model whose file has no such class": Bad(
        {
            "label_models/own.py": "class Own:\n    pass\n",
            "label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, type: 'label_models/own.py:Owm'}\n",
        },
        "",
        "label_models/mood.yml:2:",
        "Owm",
        None,
    ),
    "a label model with a value that it refuses": Bad(
        {
            "label_models/mood.yml": (
                "label_models:\n  - {name: moods, task: mood, type: one_coin, parameters: {n_iter: -1}}\n"
            )
        },
        "node-failed",
        "label_models/mood.yml:2:",
        "label model 'one_coin' cannot be fitted: n_iter is 0 or more, not -1",
        1,
    ),
    "a label model with a text for a number": Bad(
        {
            "label_models/mood.yml": (
                "label_models:\n  - {name: moods, task: mood, type: one_coin, parameters: {n_iter: many}}\n"
            )
        },
        "bad-value",
        "label_models/mood.yml:2:",
        "parameters.n_iter: found 'many', not a number",
        1,
    ),
    "a test that fails": Bad(
        {"tests/labeled_once.sql": "select id from {{ ref('moods') }} where id = 'r001'"},
        "",
        "tests/labeled_once.sql",
        "1 row",
        1,
    ),
    "a failing SQL at run time": Bad(
        transform(
            "select id, text, stars, mood, split, cast(text as integer) as n\nfrom {{ source('shop', 'reviews') }}"
        ),
        "node-failed",
        TRANSFORM,
        "try_cast",
        1,
    ),
}


@pytest.mark.parametrize("name", COMPILE)
def test_what_cannot_be_compiled_is_one_message_and_changes_nothing(name: str, once: Sandbox) -> None:
    bad = COMPILE[name]
    before = once.state()
    with once.changed(bad.files):
        found = once("build", *bad.arguments, code=2, env=bad.env)
        check(found, bad)
        assert found.out == ""  # no node was run
        assert once.state() == {**before, **{n: once.read(n).encode() for n in bad.files if n in before}}
    assert once.state() == before


@pytest.mark.parametrize("name", RUN)
def test_what_fails_as_it_runs_is_one_message_and_publishes_nothing(name: str, built: Sandbox) -> None:
    bad = RUN[name]
    before = built.state()
    with built.changed(bad.files):
        check(built("build", *bad.arguments, code=bad.code, env=bad.env), bad)
        assert built.state() == before
    assert built.fresh_nodes() == set()
    assert built.state() == before


def test_the_good_build_after_a_bad_one_reuses_everything(built: Sandbox) -> None:
    for bad in COMPILE.values():
        with built.changed(bad.files):
            built("build", *bad.arguments, code=2, env=bad.env)
    before = built.state()
    assert built.fresh_nodes() == set()
    assert built.state() == before


def check(found: Outcome, bad: Bad) -> None:
    errors = re.findall(r"^error: .*$", found.err, re.MULTILINE) or re.findall(
        r"^(?:error|failed)[: ].*$", found.all, re.M
    )
    assert errors, found.all
    assert bad.slug in found.all
    assert bad.place in found.all
    assert bad.says in found.all
    assert "s3cr3t" not in found.all
    if bad.slug:
        assert found.all.count(f"[{bad.slug}]") >= 1


def test_data_that_may_not_be_read_is_not_called_unwritable(fresh: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The administrator, who runs tests in containers, may read everything: so the refusal is made up."""
    path = fresh.root / "data/reviews.csv"

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("teachkit.store.files.digest_file", refuse)
    monkeypatch.setattr("os.access", lambda *_: False)
    found = fresh("build", code=2)
    assert "data/reviews.csv: this file cannot be read: Permission denied  [unreadable-file]" in found.err
