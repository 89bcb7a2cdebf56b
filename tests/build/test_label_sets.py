"""What labels come out: decisions above the model, ties, silence, kinds of task, sizes and names of all sorts."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SMALL: Mapping[str, str] = {
    "teachkit.yml": "name: small\n",
    "data/items.csv": """
        id,text,truth,split
        a,yes,yes,train
        b,no,no,tune
        c,yes no,yes,test
        d,neither,no,tune
        e,yes yes,,train
        """,
    "sources/raw.yml": """
        sources:
          - name: raw
            tables:
              - {name: items, path: data/items.csv, key: id, columns: {truth: {type: varchar}, text: {type: varchar}}}
        """,
    "tasks/t.yml": """
        tasks:
          - name: t
            labels: ['yes', 'no']
            dataset: source('raw', 'items')
            key: id
            gold: {column: truth}
            splits: {column: split}
        """,
    "labeling_functions/t/words.yml": """
        labeling_functions:
          - {name: y, label: 'yes', any_of: ['yes']}
          - {name: n, label: 'no', any_of: ['no']}
        """,
    "label_models/t.yml": "label_models:\n  - {name: t_labels, task: t, type: majority}\n",
}


@pytest.fixture
def small(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "small", SMALL)


def configure(project: Sandbox, more: str) -> None:
    project.write({"label_models/t.yml": f"label_models:\n  - {{name: t_labels, task: t, type: majority, {more}}}\n"})


def decided(project: Sandbox, node: str = "t_labels") -> dict[str, tuple[str | None, str]]:
    return {row["id"]: (row["label"], row["decided_by"]) for row in project.rows(node)}


def test_the_model_decides_where_it_can(small: Sandbox) -> None:
    small("build")
    assert decided(small) == {
        "a": ("yes", "model"),
        "b": ("no", "model"),
        "c": (None, "none"),
        "d": (None, "none"),
        "e": ("yes", "model"),
    }
    assert {row["id"]: row["votes"] for row in small.rows("t_labels")} == {"a": 1, "b": 1, "c": 2, "d": 0, "e": 1}
    lock = small.read("teachkit.lock")
    assert "rows: 5" in lock
    assert "labeled: 3" in lock


@pytest.mark.parametrize(
    ("policy", "tie"), [("abstain", None), ("first", "yes"), ("prior", "no")], ids=["abstain", "first", "prior"]
)
def test_tie_policies(policy: str, tie: str | None, small: Sandbox) -> None:
    configure(small, f"tie_policy: {policy}, class_prior: {{'yes': 0.2, 'no': 0.8}}")
    small("build")
    assert small.labels("t_labels")["c"] == tie
    assert small.labels("t_labels")["a"] == "yes"


def test_compiling_is_said_once(small: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    said = "compiling the label models' kernels"
    assert said in small("build").out
    configure(small, "unlabeled: drop")
    found = small("build").out
    assert "label_set.t_labels" in found
    assert said not in found


def test_items_without_a_vote_can_be_left_out(small: Sandbox) -> None:
    configure(small, "unlabeled: drop")
    small("build")
    assert set(decided(small)) == {"a", "b", "c", "e"}
    assert "rows: 4" in small.read("teachkit.lock")
    assert small("sql", "select count(*) as n from labels.t_labels", "--format", "json").json["rows"] == [{"n": 4}]
    assert "has no item with id = 'd'" in small("lineage", "t_labels", "d", code=2).err


def test_gold_outside_the_test_split_can_stand_above_the_model(small: Sandbox) -> None:
    configure(small, "prefer_gold: true, unlabeled: drop")
    small("build")
    assert decided(small) == {
        "a": ("yes", "gold"),
        "b": ("no", "gold"),
        "c": (None, "none"),
        "d": ("no", "gold"),
        "e": ("yes", "model"),
    }
    assert {row["id"]: row["model_label"] for row in small.rows("t_labels")}["d"] is None


def test_curators_stand_above_gold_and_their_last_word_counts(small: Sandbox) -> None:
    configure(small, "prefer_gold: true")
    small.write(
        {
            "annotations/t/_meta.yml": "files:\n  boss.jsonl: {role: curator}\n  truth.csv: {role: gold}\n",
            "annotations/t/boss.jsonl": """
                {"item": "a", "label": "yes", "at": "2026-01-02", "annotator": "kim"}
                {"item": "a", "label": "no", "at": "2026-01-03", "annotator": "lee"}
                {"item": "c", "label": "no", "at": "2026-01-02"}
                {"item": "b", "label": "yes", "at": "2026-01-02"}
                {"item": "b", "label": "yes", "at": "2026-01-03", "op": "undo"}
                """,
            "annotations/t/truth.csv": "item,label\ne,no\n",
        }
    )
    small("build")
    assert decided(small) == {
        "a": ("no", "curator"),
        "b": ("no", "gold"),
        "c": ("no", "curator"),
        "d": ("no", "gold"),
        "e": ("no", "gold"),
    }
    why = small("lineage", "t_labels", "a", "--format", "json").json
    assert (why["label"], why["decided_by"], why["model_label"]) == ("no", "curator", "yes")
    assert {(v["voter"], v["kind"], v["label"]) for v in why["votes"]} >= {("lee", "curator", "no"), ("y", "lf", "yes")}
    configure(small, "prefer_gold: true, curators: false")
    small("build")
    assert decided(small)["c"] == (None, "none")
    assert decided(small)["a"] == ("yes", "gold")


def test_gold_of_the_tune_split_can_be_held_in_the_fit(small: Sandbox) -> None:
    small.write({"label_models/t.yml": "label_models:\n  - {name: t_labels, task: t, type: dawid_skene}\n"})
    small("build")
    before = small.published()["label_set.t_labels"]
    small.write({"label_models/t.yml": "label_models:\n  - {name: t_labels, task: t, type: dawid_skene, gold: tune}\n"})
    small("build")
    assert small.published()["label_set.t_labels"] != before
    tuned = small.published()["label_set.t_labels"]
    small.replace("data/items.csv", "c,yes no,yes,test", "c,yes no,no,test")
    small("build")
    assert small.published()["label_set.t_labels"] == tuned  # gold of the test split is never looked at
    small.replace("data/items.csv", "d,neither,no,tune", "d,neither,yes,tune")
    small("build")
    assert small.published()["label_set.t_labels"] != tuned


OWN = """
import numpy as np


class Coin:
    def __init__(self, share=0.5):
        self.share = share

    def fit(self, votes, gold=None, abstain=None):
        self.labels_ = votes.n_labels
        return self

    def predict_proba(self, votes):
        found = np.full((votes.n_items, votes.n_labels), (1 - self.share) / (votes.n_labels - 1))
        found[:, 0] = self.share
        return found
"""


def test_a_label_model_of_the_users_own(small: Sandbox) -> None:
    small.write(
        {
            "label_models/own.py": OWN,
            "label_models/t.yml": (
                "label_models:\n"
                "  - {name: t_labels, task: t, type: 'label_models/own.py:Coin', parameters: {share: 0.75}}\n"
            ),
        }
    )
    small("build")
    rows = small.rows("t_labels")
    assert {row["posterior"]["yes"] for row in rows} == {0.75}
    assert {row["id"]: row["label"] for row in rows} == {"a": "yes", "b": "yes", "c": "yes", "d": None, "e": "yes"}
    assert small.fresh_nodes() == set()
    small.replace("label_models/own.py", "found[:, 0] = self.share", "found[:, 0] = self.share  # said once")
    assert small.fresh_nodes() == set()
    small.replace(
        "label_models/own.py", "found[:, 0] = self.share", "found[:, 0] = 1.0 - found[:, 1]; found[:, 0] += 0.0"
    )
    assert small.fresh_nodes() == {"label_set.t_labels"}
    why = small("lineage", "t_labels", "a", "--format", "json").json
    assert why["label_model"]["type"] == "label_models/own.py:Coin"
    good = small.read("label_models/own.py")
    for bad, said in {
        "return found * 2": "shares that sum to 1",
        "return found * np.nan": "shares that sum to 1",
        "found[:, 0] = -1; found[:, 1] = 2; return found": "shares that sum to 1",
        "return found[:, :1]": "expected the shape (5, 2)",
        "raise SystemExit(0)": "raised SystemExit: 0",
        "raise KeyError('x')": "raised KeyError: 'x'",
    }.items():
        small.write({"label_models/own.py": good.replace("return found", bad)})
        assert said in small("build", code=1).all, bad


def test_what_a_label_model_prints_is_told_apart_from_the_result(small: Sandbox) -> None:
    small.write(
        {
            "label_models/own.py": OWN.replace("self.labels_ =", "print('one\\ntwo')\n        self.labels_ ="),
            "label_models/t.yml": "label_models:\n  - {name: t_labels, task: t, type: 'label_models/own.py:Coin'}\n",
        }
    )
    found = small.spawn("build", "--format", "json", "--log-format", "json")
    assert found.json["passed"] is True
    notes = [line["text"] for line in found.lines if line["event"] == "note"]
    assert notes[-2:] == ["label_set.t_labels: one", "label_set.t_labels: two"]


def test_hash_splits_are_stable_and_of_the_size_that_was_asked_for(small: Sandbox) -> None:
    lines = [f"k{i},yes,{'yes' if i % 2 else 'no'},," for i in range(2000)]
    small.write(
        {
            "data/items.csv": "id,text,truth,split,x\n" + "\n".join(lines) + "\n",
            "tasks/t.yml": SMALL["tasks/t.yml"].replace("{column: split}", "{hash: {tune: 10%, test: 25%}}"),
        }
    )
    small("build")
    lock = small.read("teachkit.lock")
    sizes = [int(line.split()[1]) for line in lock.splitlines() if line.strip().startswith("n: ")]
    assert len(sizes) == 2
    test, tune = sorted(sizes, reverse=True)
    assert 425 < test < 575
    assert 140 < tune < 260
    small.write({"data/items.csv": "id,text,truth,split,x\n" + "\n".join(reversed(lines)) + "\n"})
    small("build")
    assert [int(x.split()[1]) for x in small.read("teachkit.lock").splitlines() if x.strip().startswith("n: ")] == sizes


def test_a_split_that_is_none_is_refused(small: Sandbox) -> None:
    small.replace("data/items.csv", "d,neither,no,tune", "d,neither,no,valid")
    configure(small, "gold: tune")
    assert "has the value 'valid'" in small("build", code=1).all


def test_several_tasks_over_one_dataset_share_it_and_nothing_else(small: Sandbox) -> None:
    small.write(
        {
            "tasks/u.yml": (
                "tasks:\n  - {name: u, labels: [long, short], dataset: \"source('raw', 'items')\", key: id}\n"
            ),
            "labeling_functions/u/length.sql": "case when length(text) > 4 then 'long' else 'short' end",
            "labeling_functions/u/words.yml": "labeling_functions:\n  - {name: y, label: long, any_of: ['yes']}\n",
            "label_models/u.yml": (
                "label_models:\n"
                "  - {name: u_labels, task: u, type: majority}\n"
                "  - {name: u_more, task: u, voters: [length], type: majority}\n"
            ),
        }
    )
    small("build")
    assert small.labels("u_more") == {"a": "short", "b": "short", "c": "long", "d": "long", "e": "long"}
    assert small.labels("t_labels")["a"] == "yes"
    assert "label_sets:" in small.read("teachkit.lock")
    small.replace("labeling_functions/u/words.yml", "['yes']", "['no']")
    assert small.fresh_nodes() == {"lf.u.y", "label_set.u_labels"}
    assert "write the whole id" in small("show", "y", code=2).err.lower()
    assert small.rows("lf.u.y") == [{"id": "b", "label": "long"}, {"id": "c", "label": "long"}]
    tables = small(
        "sql",
        "select table_schema || '.' || table_name as t from information_schema.tables order by 1",
        "--format",
        "json",
    )
    assert {row["t"] for row in tables.json["rows"]} >= {
        "data.raw_items",
        "labels.t_labels",
        "labels.u_labels",
        "labels.u_more",
        "votes.t",
        "votes.u",
    }


MULTI: Mapping[str, str] = {
    **SMALL,
    "data/items.csv": """
        id,text,truth
        a,red and round,red|round
        b,red,red
        c,round,round
        d,neither of both,
        e,red round big,red|round|big
        f,big,big
        """,
    "tasks/t.yml": """
        tasks:
          - name: t
            kind: multichoice
            labels: [red, round, big]
            dataset: source('raw', 'items')
            key: id
            gold: {column: truth}
        """,
    "labeling_functions/t/words.yml": """
        labeling_functions:
          - {name: r, label: red, any_of: [red]}
          - {name: o, label: round, regex: 'round|circular'}
        """,
    "labeling_functions/t/both.sql": "{{ config(label='round') }}\ntext like '%round%'",
    "labeling_functions/t/select.sql": (
        "select id, 'red' as label from {{ source('raw', 'items') }} where text like 'red%' union "
        "all select id, 'big' from {{ source('raw', 'items') }} where contains(text, 'big')"
    ),
    "labeling_functions/t/p.py": """
        from teachkit import labeling_function


        @labeling_function()
        def named(text: str):
            return [word for word in ("red", "round", "big") if word in text.split()] or None
        """,
    "annotations/t/ann.jsonl": """
        {"item": "a", "label": ["red", "round"]}
        {"item": "d", "label": []}
        {"item": "b", "label": ["red"]}
        {"item": "e", "label": null}
        """,
    "annotations/t/bob.csv": "item,label\na,red|round\nb,red|big\n",
    "label_models/t.yml": """
        label_models:
          - name: t_labels
            task: t
            type: majority
            tests:
              - coverage: {min: 0}
              - accuracy: {against: gold, min: 0.1}
              - macro_f1: {against: gold, min: 0.1}
              - conflict_rate: {max: 1}
              - class_balance: {red: [0, 1]}
              - agreement: {min: -1}
              - agreement: {min: -1, metric: masi, name: masi}
              - max_flips: {max: 100%}
        """,
    "exports/all.yml": "exports:\n  - {name: all, label_set: ref('t_labels'), format: jsonl, path: output/all.jsonl}\n",
    "tests/u.yml": """
        unit_tests:
          - {name: several, voter: named, rows: [{text: red big}, {text: none}], expect: [[red, big], null]}
          - {name: rule, voter: r, rows: [{text: red}, {text: blue}], expect: [red, null]}
        """,
}


@pytest.fixture
def multi(tmp_path: Path) -> Sandbox:
    project = Sandbox(tmp_path / "multi", MULTI)
    project("build")
    return project


LISTS = {
    "['red']": ["red"],
    "case when id = 'a' then ['red', 'big'] end": ["red", "big"],
    "truth": ["red"],
    "string_split(other, '|')": ["red", "round"],
    "list_filter(string_split(other, '|'), lambda x: x <> 'red')": ["round"],
    "string_split(other, '|')[1:1]": ["red"],
    "['red'] || ['big', null]": ["red", "big"],
    "try(['round'])": ["round"],
    "case when id = 'a' then 'big' else 'red' end": ["big"],
    "nullif(truth, 'red')": None,
    "null": None,
}


@pytest.mark.parametrize("sql", LISTS)
def test_what_an_expression_of_a_multichoice_task_may_result_in(sql: str, tmp_path: Path) -> None:
    """One label or a list of labels, whatever the expression looks like."""
    files = {
        **MULTI,
        "labeling_functions/t/any.sql": f"{sql}\n",
        "data/items.csv": "id,text,truth,other\na,x,red,red|round\n",
    }
    project = Sandbox(tmp_path / "lists", {**files, "tasks/t.yml": str(MULTI["tasks/t.yml"]).replace("gold", "#")})
    project.write({"label_models/t.yml": "label_models: [{name: t_labels, task: t, type: majority}]\n"})
    project("build", "--select", "+any")
    votes = [row["label"] for row in project.rows("any")]
    assert sorted(votes) == sorted(LISTS[sql] or [])


@pytest.mark.parametrize("sql", ["truth", "['red', truth]", "string_split(truth, '|')", "upper(truth)"])
def test_what_is_no_label_of_a_multichoice_task_is_no_silence(sql: str, tmp_path: Path) -> None:
    files = {**MULTI, "labeling_functions/t/any.sql": f"{sql}\n", "data/items.csv": "id,text,truth\na,x,Red\nb,y,\n"}
    project = Sandbox(tmp_path / "lists", {**files, "tasks/t.yml": str(MULTI["tasks/t.yml"]).replace("gold", "#")})
    project.write({"label_models/t.yml": "label_models: [{name: t_labels, task: t, type: majority}]\n"})
    shown = project("build", "--select", "+any", code=1).out
    assert "results in something that is no label of the task" in shown
    assert "key 'a'" in shown
    assert "let it result in one of: red, round, big, or NULL to abstain" in shown


def test_multichoice_from_end_to_end(multi: Sandbox) -> None:
    rows = {row["id"]: row for row in multi.rows("t_labels")}
    assert set(rows["a"]["label"] or ()) >= {"red", "round"}
    assert set(rows["e"]["posterior"]) == {"red", "round", "big"}
    assert multi.rows("lf.t.named") and {r["label"] for r in multi.rows("lf.t.named")} == {"red", "round", "big"}
    assert multi.rows("lf.t.select")
    statuses = multi.build()
    assert {s for i, s in statuses.items() if i.startswith(("test", "unit"))} == {"passed"}
    assert multi.fresh_nodes() == set()
    lines = [json.loads(line) for line in multi.read("output/all.jsonl").splitlines()]
    assert {line["id"]: line["label"] for line in lines} == {i: r["label"] for i, r in rows.items()}
    analysis = multi("analyze", "t", "--format", "json").json
    assert {(v["voter"], v["label"]) for v in analysis["voters"]} >= {("named", "big"), ("r", "red"), ("both", "round")}
    assert multi("analyze").out.startswith("task t")


@pytest.mark.parametrize("kind", ["majority", "weighted", "one_coin", "dawid_skene"])
def test_multichoice_under_every_label_model(kind: str, multi: Sandbox) -> None:
    multi.replace("label_models/t.yml", "type: majority", f"type: {kind}")
    multi("build", "--exclude", "type:test")
    for item in "abcdef":
        why = multi("lineage", "t_labels", item, "--format", "json").json
        assert set(why["posterior"]) == {"red", "round", "big"}
        assert why["item"] == item
        assert all(v["label"] in ("red", "round", "big") for v in why["votes"])
        assert multi("lineage", "t_labels", item).out
    a = multi("lineage", "t_labels", "a", "--format", "json").json
    assert {v["voter"] for v in a["votes"]} >= {"r", "o", "both", "named", "ann", "bob"}
    assert any(v["polarity"] == -1 for v in a["votes"])


def test_multichoice_curator_and_gold(multi: Sandbox) -> None:
    multi.write(
        {
            "annotations/t/_meta.yml": "files:\n  boss.jsonl: {role: curator}\n",
            "annotations/t/boss.jsonl": '{"item": "d", "label": ["big"]}\n{"item": "a", "label": []}\n',
        }
    )
    multi.replace("label_models/t.yml", "type: majority", "type: majority\n    prefer_gold: true")
    multi.replace("tasks/t.yml", "gold: {column: truth}", "gold: {column: truth}\n    splits: {hash: {tune: 50%}}")
    multi("build", "--exclude", "type:test")
    rows = {row["id"]: (row["label"], row["decided_by"]) for row in multi.rows("t_labels")}
    assert rows["d"] == (["big"], "curator")
    assert rows["b"] == (["red"], "gold")
    assert rows["e"] == (["red", "round", "big"], "gold")


def test_gold_of_an_empty_list_says_that_no_label_holds(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, MULTI)
    sandbox.write(
        {
            "transforms/lists.sql": "select * replace (coalesce(string_split(truth, '|'), [])"
            " as truth) from {{ source('raw', 'items') }}"
        }
    )
    sandbox.replace("tasks/t.yml", "source('raw', 'items')", "ref('lists')")
    sandbox("build", "--exclude", "type:export")
    message = sandbox.result("test.t_labels.accuracy")["message"]
    assert "on 6 items of gold" in message


LABELS = ["öl", "茶", "naïve label", "a'b", 'say "hi"', "x,y;z", "=1+1"]
ODD: Mapping[str, str] = {
    "teachkit.yml": "name: odd\n",
    "data/données été.csv": '''
        Schlüssel,текст,Größe,Line Break
        k'1,öl,1,"a
        b"
        "k""2",茶,2,
        ключ 3,naïve,3,x
        k 4 🎉,quote's,4,x
        k;5,"say ""hi""",5,x
        =6,"x,y;z",6,x
        +7,"=1+1",7,x
        ''',
    "sources/s.yml": "sources:\n  - {name: s, tables: [{name: t, path: data/données été.csv, key: Schlüssel}]}\n",
    "tasks/t.yml": "tasks:\n  - name: t\n    labels: "
    + json.dumps(LABELS, ensure_ascii=False)
    + """
    dataset: source('s', 't')
    key: Schlüssel
""",
    "labeling_functions/t/rules.yml": """
        labeling_functions:
          - {name: oil, label: öl, column: текст, any_of: [ÖL]}
          - {name: tea, label: 茶, column: текст, regex: 茶}
          - {name: naive, label: naïve label, sql: '"Größe" = 3'}
        """,
    "labeling_functions/t/quote.sql": "{{ config(label=\"a'b\") }}\n\"текст\" like '%''%'",
    "labeling_functions/t/said.sql": 'case when "Größe" = 5 then \'say "hi"\' when "Größe" = 6 then \'x,y;z\' end',
    "labeling_functions/t/p.py": """
        from teachkit import labeling_function


        @labeling_function()
        def formula(текст, größe: int):
            return "=1+1" if текст == "=1+1" and größe == 7 else None
        """,
    "annotations/t/ånn.csv": 'item,label\n"k\'1",öl\n"k""2",茶\n+7,=1+1\n',
    "label_models/l.yml": "label_models:\n  - {name: l, task: t, type: majority}\n",
    "exports/e.yml": "exports:\n"
    + "".join(
        (
            f"  - {{name: as_{kind}, label_set: ref('l'), format: {kind}, path: 'output/é t é.{kind}', "
            f"columns: [Schlüssel, текст, label, 'Line Break']}}\n"
        )
        for kind in ("csv", "jsonl", "parquet")
    ),
}
EXPECTED = dict(zip(["k'1", 'k"2', "ключ 3", "k 4 🎉", "k;5", "=6", "+7"], LABELS, strict=True))


def test_names_texts_and_labels_of_all_sorts(tmp_path: Path) -> None:
    odd = Sandbox(tmp_path / "ö d d", ODD)
    said = odd.spawn("build", "--log-format", "json", env={"LC_ALL": "C"})
    assert {e["status"] for e in said.lines if e["event"] == "finished"} <= {"built", "passed"}
    rows = odd.rows("l")
    key = next(c for c in rows[0] if c.lower() == "schlüssel")
    assert {row[key]: row["label"] for row in rows} == EXPECTED
    assert [*rows[0]["posterior"]] == LABELS
    shown = odd("show", "l").out
    assert all(label in shown for label in LABELS)
    assert odd.fresh_nodes() == set()
    for item, label in EXPECTED.items():
        why = odd("lineage", "l", "--format", "json", "--", item).json
        assert (why["item"], why["label"]) == (item, label)
        assert [s["record"] for s in why["sources"]] == [[*EXPECTED].index(item) + 1]
    exported = list(csv.DictReader(io.StringIO(odd.read("output/é t é.csv"), newline="")))
    assert [row["label"] for row in exported if row["label"].startswith("'")] == ["'=1+1"]
    lines = [json.loads(line) for line in odd.read("output/é t é.jsonl").splitlines()]
    assert {next(v for k, v in line.items() if k.lower() == "schlüssel"): line["label"] for line in lines} == EXPECTED
    votes = odd("sql", "select * from votes.t", "--format", "json").json
    assert {"oil", "tea", "naive", "quote", "said", "formula"} <= set(votes["columns"])
    assert odd("analyze", "t").out
    lock = odd.read("teachkit.lock")
    assert odd("build", "--locked", "--full-refresh").code == 0
    assert odd.read("teachkit.lock") == lock


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows(rows: int, tmp_path: Path) -> None:
    project = Sandbox(
        tmp_path / "few",
        {
            **MULTI,
            "data/items.csv": "\n".join(["id,text,truth,stars", *["a,red,red,5"][:rows]]) + "\n",
            "tasks/u.yml": "tasks:\n  - {name: u, labels: [x, y], dataset: \"source('raw', 'items')\", key: id}\n",
            "labeling_functions/u/a.sql": "{{ config(label='x') }} text like 'r%'",
            "labeling_functions/u/p.py": (
                "from teachkit import labeling_function\n"
                "\n"
                "\n"
                "@labeling_function(label='x', batch=True)\n"
                "def q(text):\n"
                "    import pyarrow.compute as pc\n"
                "\n"
                "    return pc.equal(text, 'red')\n"
            ),
            "label_models/u.yml": "label_models:\n"
            + "".join(
                f"  - {{name: u_{k}, task: u, type: {k}}}\n"
                for k in ("majority", "weighted", "one_coin", "dawid_skene")
            ),
            "label_models/t.yml": "label_models:\n"
            + "".join(
                f"  - {{name: t_{k}, task: t, type: {k}, prefer_gold: true}}\n"
                for k in ("majority", "weighted", "one_coin", "dawid_skene")
            ),
            "annotations/t/ann.jsonl": None,
            "annotations/t/bob.csv": None,
            "exports/all.yml": "exports:\n"
            + "".join(
                f"  - {{name: e_{k}, label_set: ref('t_majority'), format: {k}, path: output/e.{k}}}\n"
                for k in ("csv", "jsonl", "parquet")
            ),
        },
    )
    project("build")
    assert project.fresh_nodes() == set()
    for name in ("t_majority", "t_dawid_skene", "u_majority", "u_one_coin"):
        assert len(project.rows(name)) == rows
    assert project("analyze").out.count(" with a vote, ") == 2
    assert f"rows: {rows}\n" in project.read("teachkit.lock")
    assert project("build", "--locked", "--full-refresh", "--threads", "1").code == 0
    assert project.read("output/e.jsonl").count("\n") == rows
    assert project("sql", "select count(*) as n from votes.u", "--format", "json").json["rows"] == [{"n": rows}]
    if rows:
        assert project("lineage", "t_dawid_skene", "a", "--format", "json").json["item"] == "a"


def test_a_task_without_voters_gives_no_label(small: Sandbox) -> None:
    small.write({"labeling_functions/t/words.yml": "labeling_functions: []\n"})
    found = small("build", code=None)
    assert found.code in (0, 2)
    if found.code == 0:
        assert set(small.labels("t_labels").values()) == {None}


def test_whole_numbers_and_dates_as_keys(small: Sandbox) -> None:
    small.write(
        {
            "data/items.csv": "id,text,truth,split\n10,yes,yes,train\n9,no,no,test\n-1,yes,,train\n",
            "annotations/t/ann.csv": "item,label\n10,no\n-1,yes\n",
        }
    )
    small("build")
    assert small.labels("t_labels") == {10: None, 9: "no", -1: "yes"}
    assert small("lineage", "t_labels", "--format", "json", "--", "-1").json["label"] == "yes"
    small.replace("data/items.csv", "10,yes", "2026-01-01,yes")
    small.replace("data/items.csv", "9,no", "2026-01-02,no")
    small.replace("data/items.csv", "-1,yes", "2026-01-03,yes")
    small.write({"annotations/t/ann.csv": "item,label\n2026-01-01,yes\n"})
    small("build")
    assert small.labels("t_labels") == {"2026-01-01": "yes", "2026-01-02": "no", "2026-01-03": "yes"}


@pytest.mark.parametrize("kind", ["metal", "triplet"])
def test_too_many_people_for_pairs_are_an_error_at_the_label_model(small: Sandbox, kind: str) -> None:
    judged = "".join(f"{'abcde'[n % 5]},{('yes', 'no')[n % 2]},w{n:04d}\n" for n in range(2100))
    small.write({"annotations/t/crowd.csv": f"item,label,annotator\n{judged}"})
    small("build")
    before = small.state()
    small.replace("label_models/t.yml", "majority", kind)
    for arguments in (["build"], ["analyze", "t", "--marginal"]):
        said = small(*arguments, code=1 if arguments == ["build"] else 0).all
        assert "label_models/t.yml:2:5: " in said
        assert f"label model '{kind}' cannot be fitted: 2,102 voters of 2 labels are too many" in said
        assert "voters times labels are 4,096 at most  [node-failed]" in said
        assert "write 'type: auto', which takes any number of voters" in said
        assert "ValueError" not in said
    assert small.state() == before
    small.replace("label_models/t.yml", kind, "auto")
    assert small.build()["label_set.t_labels"] == "built"
