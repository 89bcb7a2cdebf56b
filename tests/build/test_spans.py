"""Whole projects whose answers are spans."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tests.build.spans import NOTES
from tests.build.test_prompts import profiles
from tests.llm.server import Server
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("notes"), NOTES)
    sandbox.build()
    return sandbox


def span(start: int, end: int, label: str) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def votes(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    found = sandbox("sql", "select * from votes.found", "--format", "json").json["rows"]
    return {row.pop("code"): row for row in found}


def test_voters_of_every_kind_mark_places(built: Sandbox) -> None:
    found = votes(built)
    assert found["n2"] == {
        "known": [span(13, 22, "drug")],
        "simple": [span(13, 20, "drug")],
        "after": [span(26, 28, "place")],
        "rows": [span(13, 22, "drug")],
        "as_text": [span(26, 28, "place")],
        "listed": None,
        "words": None,
    }
    assert found["n3"]["listed"] == found["n3"]["words"] == [span(19, 23, "place")]
    assert found["n5"] == {**dict.fromkeys(found["n5"]), "known": [span(13, 22, "drug")]}
    people = {r["code"]: r["label"] for r in built.rows("annotations.found.ann")}
    assert people == {"n0": [], "n1": [span(9, 18, "drug"), span(22, 28, "place")], "n2": None}


def test_gold_may_be_lists_of_json(built: Sandbox, tmp_path: Path) -> None:
    """A span in the short form is a list of numbers and a text: to DuckDB a list of JSON."""
    sandbox = built.copy(tmp_path / "notes")
    rows = [
        {**row, "truth": json.loads(row["truth"] or "null")}
        for row in csv.DictReader(NOTES["data/notes.csv"].splitlines())
    ]
    sandbox.write({"data/notes.jsonl": "".join(json.dumps(row) + "\n" for row in rows)})
    sandbox.replace(
        "sources/s.yml", "data/notes.csv, key: code, columns: {truth: {type: varchar}}", "data/notes.jsonl, key: code"
    )
    before = built.read("teachkit.lock")
    sandbox("build")
    assert sandbox.read("teachkit.lock").split("quality")[1] == before.split("quality")[1]


def test_labels_hold_what_was_marked_with_its_probability(built: Sandbox) -> None:
    rows = {row["code"]: row for row in built.rows("spans")}
    assert rows["n2"]["label"] == rows["n2"]["model_label"] == [span(13, 22, "drug"), span(26, 28, "place")]
    sure = {(one["start"], one["end"]): one["probability"] for one in rows["n2"]["posterior"]}
    assert sure[13, 22] > 0.9 > 0.1 > sure[13, 20]
    assert 0.5 < rows["n2"]["confidence"] <= 1
    assert all(row["label"] is not None for row in rows.values())


def test_lineage_shows_who_proposed_a_span(built: Sandbox) -> None:
    why = built("lineage", "spans", "n1", "--format", "json").json
    said = {v["voter"]: v for v in why["votes"]}
    assert set(said) == {"known", "rows", "after", "words", "ann"}
    assert sum(v["contribution"] for v in why["votes"]) == pytest.approx(1.0)
    assert all(v["contribution"] > 0 for v in why["votes"])
    assert why["label"] == [span(9, 18, "drug"), span(22, 28, "place")]
    assert why["measure"] == "share"
    shown = built("lineage", "spans", "n1").out
    assert "9-18 drug, 22-28 place" in shown
    assert "posterior: 9-18 drug " in shown
    prov = json.dumps(built("lineage", "spans", "n1", "--format", "prov").json)
    assert "place" in prov


def test_analyze_shows_precision_and_recall(built: Sandbox) -> None:
    found = built("analyze", "found", "--format", "json").json
    rows = {row["voter"]: row["figures"] for row in found["voters"]}
    assert rows["known"]["precision"] == 1.0
    assert rows["known"]["precision_low"] < 0.9
    assert rows["simple"]["precision"] == pytest.approx(1 / 3)
    assert rows["simple"]["learned_yes_to_right"] < rows["known"]["learned_yes_to_right"]
    shown = built("analyze").out
    assert all(word in shown for word in ("precision", "recall", "f1", "learned precision"))


def test_tests_say_what_was_found(built: Sandbox) -> None:
    shown = built("test").all
    assert (
        "span f1 1.000 on 9 items of gold.test, 9 of them labeled; precision 1.000, recall 1.000, drug: 1.000" in shown
    )


def test_exports_and_pages_hold_them(built: Sandbox) -> None:
    labels = built.labels("spans", "code")
    with (built.root / "output/rows.csv").open(encoding="utf-8", newline="") as file:
        assert {row["code"]: json.loads(row["label"]) for row in csv.DictReader(file)} == labels
    lines = [json.loads(line) for line in built.read("output/lines.jsonl").splitlines()]
    assert {line["code"]: line["label"] for line in lines} == {c: s for c, s in labels.items() if len(s) > 1}
    table = pq.read_table(built.root / "output/table.parquet")
    assert dict(zip(table["code"].to_pylist(), table["label"].to_pylist(), strict=True)) == labels
    for code, note in zip(table["code"].to_pylist(), table["note"].to_pylist(), strict=True):
        for one in labels[code]:
            assert note[one["start"] : one["end"]].lower() in (
                "aspirin", "ibuprofen", "vitamin c", "zinc oxide", "köln", "zürich", "東京",
            )  # fmt: skip
    built("docs", "generate")
    shown = [p for p in built.root.rglob("*.html") if "items" in p.parts or "label_set" in p.name]
    pages = [p.read_text(encoding="utf-8") for p in shown]
    assert any("13-22 drug, 26-28 place" in page for page in pages)
    assert any("F1 on tune" in page for page in pages)
    assert not any("{&#39;start" in page or "{'start" in page for page in pages)


def test_the_lock_holds_and_audit_derives_the_same(built: Sandbox) -> None:
    assert "        f1: 1.0" in built.read("teachkit.lock")
    built("build", "--locked")
    built("build", "--full-refresh", "--locked")
    assert "everything that was checked holds" in built("audit", "verify").out


def test_a_second_build_does_nothing_and_a_changed_word_votes_anew(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    sandbox.build()
    assert {n for n in sandbox.fresh_nodes() if not n.startswith("export.")} == set()
    sandbox.write({"labeling_functions/found/drugs.txt": sandbox.read("labeling_functions/found/drugs.txt") + "Köln\n"})
    assert {n for n in sandbox.fresh_nodes() if n.startswith(("lf.", "label_set."))} == {
        "lf.found.known",
        "label_set.spans",
    }


def test_policies_of_silence_may_be_said_and_change_labels(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    sandbox.replace("annotations/found/ann.jsonl", '"n0", "label": []', '"n5", "label": []')

    def sure() -> float:
        sandbox("build", code=None)
        (one,) = [row["posterior"] for row in sandbox.rows("spans") if row["code"] == "n5"]
        return float(one[0]["probability"])

    says_no = sure()
    config = "- name: spans\n    task: found\n    abstain: {ann: at_random}"
    sandbox.replace("label_models/spans.yml", "- name: spans\n    task: found", config)
    assert sure() > says_no + 0.001
    sandbox.replace("label_models/spans.yml", "{ann: at_random}", "{nobody: at_random}")
    assert "nobody" in sandbox("compile", code=2).all


def test_curators_gold_and_the_other_model_decide(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    sandbox.write(
        {
            "label_models/spans.yml": """
                label_models:
                  - {name: spans, task: found, gold: tune, prefer_gold: true}
                  - {name: chain, task: found, type: hmm, parameters: {decode: probability}}
                """,
            "annotations/found/_meta.yml": "files: {boss.csv: {role: curator}, truth.jsonl: {role: gold}}\n",
            "annotations/found/boss.csv": 'item,label\nn3,"[[0, 4, ""drug""]]"\nn4,[]\n',
            "annotations/found/truth.jsonl": '{"item": "n6", "label": [[0, 2, "place"]]}\n',
        }
    )
    sandbox.build()
    rows = {row["code"]: row for row in sandbox.rows("spans")}
    assert (rows["n3"]["label"], rows["n3"]["decided_by"]) == ([span(0, 4, "drug")], "curator")
    assert (rows["n4"]["label"], rows["n4"]["decided_by"]) == ([], "curator")
    assert (rows["n6"]["label"], rows["n6"]["decided_by"]) == ([span(0, 2, "place")], "gold")
    assert rows["n2"]["decided_by"] == "model"
    assert sandbox.labels("chain", "code")["n2"] == [span(13, 22, "drug"), span(26, 28, "place")]
    assert "everything that was checked holds" in sandbox("audit", "verify").out


def test_a_project_without_rows_and_with_one(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    model = "label_models: [{name: spans, task: found}, {name: chain, task: found, type: hmm}]\n"
    header = "code,note,truth,split\n"
    gone = {
        "annotations/found/ann.jsonl": None,
        "labeling_functions/found/style.py": None,
        "label_models/spans.yml": model,
        "exports/all.yml": None,
    }
    for lines, wanted in (
        ("", {}),
        ("a,,,train\n", {"a": None}),
        ("a,ZINC OXIDE,[],test\n", {"a": [span(0, 10, "drug")]}),
    ):
        sandbox.write({**gone, "data/notes.csv": header + lines})
        sandbox.build()
        assert sandbox.labels("spans", "code") == sandbox.labels("chain", "code") == wanted


# ---------------------------------------------------------------------------- mistakes

RULE = "labeling_functions:\n  - {{name: odd, {}}}\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"tasks/found.yml": ("labels: [drug, place]", "labels: []")}, "write 1 or more"),
        ({"tasks/found.yml": ("text: note", "text: notes")}, "notes"),
        (
            {"tasks/found.yml": ("gold: {column: truth}", "gold: {column: truth, values: {a: drug}}")},
            "it has no 'values'",
        ),
        ({"tasks/found.yml": ("kind: span", "kind: choice")}, "'text' is for tasks of the kind 'span'"),
        ({"label_models/spans.yml": ("task: found", "task: found\n    type: majority")}, "majority"),
        ({"label_models/spans.yml": ("span_f1: {min: 0.9}", "accuracy: {min: 0.9}")}, "accuracy"),
        ({"label_models/spans.yml": ("span_f1: {min: 0.9}", "span_f1: {}")}, "min"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    for name, (old, new) in files.items():
        sandbox.replace(name, old, new)
    assert said in sandbox("build", code=2).all


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("any_of: [a]", "it says no 'label' for what it marks"),
        ("any_of: [a], label: drugs", "did you mean 'drug'"),
        ("any_of: [a], label: drug, value: [[0, 1, drug]]", "a constant answer marks none"),
        ("any_of: [a], label: drug, column: code", "it looks into 'code', and the spans of task 'found' are of 'note'"),
        ("none_of: [a], all_of: [b], label: drug", "it says when to mark, not what"),
        ("any_of: [a], label: drug, group: 1", "'group' is one of a regular expression"),
        ("regex: 'a*', label: drug", "the regular expression matches the empty text"),
        ("regex: 'a(b)', label: drug, group: 2", "there is no group 2"),
        ("regex: 'a(b)|c', label: drug, group: 1", "group 1 is not a part of every match, once"),
        ("regex: 'a(b', label: drug", "missing )"),
        ("sql: \"[{'start': 1, 'end': 2}]\", label: drug", "a vote is a list of spans"),
    ],
)
def test_a_rule_that_marks_nothing_is_refused(tmp_path: Path, rule: str, said: str) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    sandbox.write({"labeling_functions/found/odd.yml": RULE.format(rule)})
    failed = sandbox("build", code=2).all
    assert said.lower() in failed.lower()
    assert "labeling_functions/found/odd.yml:2" in failed


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("3", "it results in INTEGER, and an answer of task 'found' is a list of spans"),
        ("'no json'", "gives an answer that is 'no json', which is not JSON, at the item with key 'n0'"),
        ("'[null]'", "gives an answer that holds null, which is not a span, at the item with key 'n0'"),
        ("'[[0, 2]]'", "has a span without a label"),
        ("select code, 'no json' as spans from {{ source('s', 'notes') }}", "is 'no json', which is not JSON"),
        ("[{'start': 0, 'end': 2, 'label': 'drugs'}]", "has a span with 'drugs', which is not a label of the task"),
        ("[{'start': 0, 'end': 2}]", "has a span without a label"),
        ("[{'begin': 0, 'end': 2, 'label': 'drug'}]", "has a span without 'start'"),
        ("[{'start': 0, 'end': length(note) + 1, 'label': 'drug'}]", "0-23 drug, and the text has 22 characters"),
        ("[{'start': 4, 'end': 2, 'label': 'drug'}]", "which holds nothing"),
        ("[{'start': 0, 'end': 4, 'label': 'drug'}, {'start': 3, 'end': 5, 'label': 'drug'}]", "spans that overlap"),
        (
            "select code, 0 as start, 99 as \"end\", 'drug' as label from {{ source('s', 'notes') }}",
            "99 drug, and the text",
        ),
        ("select code, 0 as start, 2 as \"end\" from {{ source('s', 'notes') }}", "has a span without a label"),
        ("select code, 0 as start from {{ source('s', 'notes') }}", "it results in INTEGER"),
        ("select code, 0 as start, 2 as stop from {{ source('s', 'notes') }}", "gives two columns: the key 'code'"),
    ],
)
def test_sql_that_gives_no_spans_fails(tmp_path: Path, sql: str, said: str) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    sandbox.write({"labeling_functions/found/odd.sql": sql, "tests/rules.yml": None})
    failed = sandbox("build", code=None)
    assert failed.code in (1, 2)
    assert said in failed.all


@pytest.mark.parametrize(
    "text",
    [
        """ '[[0, 4, "drug"], {"start": 5, "end": 6, "label": "place"}]' """,
        """ json('[[0, 4, "drug"], [5, 6, "place"]]') """,
        """ json_array(json_array(0, 4, 'drug'), json_array(5, 6, 'place')) """,
    ],
)
def test_sql_gives_spans_as_json_in_every_form_that_gold_has(tmp_path: Path, text: str) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    select = f"select code, {text} as spans from {{{{ source('s', 'notes') }}}} where code = 'n1'"
    sandbox.write(
        {
            "labeling_functions/found/one.sql": f"case when code = 'n1' then {text} when code = 'n2' then 'null' end",
            "labeling_functions/found/other.sql": select,
        }
    )
    sandbox("build", "--select", "+one +other")
    wanted = [{"start": 0, "end": 4, "label": "drug"}, {"start": 5, "end": 6, "label": "place"}]
    for node in ("one", "other"):
        assert sandbox.rows(f"lf.found.{node}") == [{"code": "n1", "label": wanted}]


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("[(0, 99, 'drug')]", "99 drug, and the text has"),
        ("[(0, 3)]", "returned an answer that has a span without a label"),
        ("'word'", "is a text, which is not a list of spans"),
        ("{'start': 0}", "is an object, which is not a list of spans"),
    ],
)
def test_python_that_gives_no_spans_fails_at_the_row(tmp_path: Path, returned: str, said: str) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    body = (
        f"from teachkit import labeling_function\n\n\n@labeling_function\ndef odd(code: str):\n    return {returned}\n"
    )
    sandbox.write({"labeling_functions/found/odd.py": body})
    failed = sandbox("build", code=1).all
    assert said in failed
    assert "'n0'" in failed


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ('[[0, 99, "drug"]]', "99 drug, and the text has 29 characters"),
        ("[[0, 9]]", "the label has a span without a label"),
        ('"drug"', "the label is 'drug', which is not JSON"),
        ('[[0, 3, "drug"], [2, 4, "drug"]]', "the label has spans that overlap"),
    ],
)
def test_judgments_that_are_no_spans_are_refused_by_line(tmp_path: Path, label: str, said: str) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    sandbox.write(
        {"annotations/found/bob.jsonl": f'{{"item": "n3", "label": []}}\n{{"item": "n1", "label": {label}}}\n'}
    )
    failed = sandbox("build", code=1).all
    assert said in failed
    assert "annotations/found/bob.jsonl:2" in failed


def test_gold_that_is_no_span_is_refused_by_key(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    text = sandbox.read("data/notes.csv")
    sandbox.write({"data/notes.csv": text.replace('[[9, 18, ""drug""]', '[[9, 99, ""drug""]', 1)})
    failed = sandbox("build", code=1).all
    assert (
        "gold of task 'found' (column 'truth') of the item 'n1' has the span 22-28 place" in failed
        or "spans that overlap" in failed
    )


def test_a_text_that_shrinks_makes_old_offsets_an_error(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    sandbox.write(
        {
            "labeling_functions/found/odd.sql": """
                case when code = 'n5' then [{'start': 13, 'end': 22, 'label': 'drug'}] end
                """
        }
    )
    sandbox.build()
    sandbox.write({"data/notes.csv": sandbox.read("data/notes.csv").replace("n5,", "n5,x", 1)})
    sandbox("build", code=None)
    text = sandbox.read("data/notes.csv")
    line = next(line for line in text.splitlines() if line.startswith("n5,"))
    sandbox.write({"data/notes.csv": text.replace(line, "n5,short,,test")})
    failed = sandbox("build", code=1).all
    assert (
        "labeling function 'odd' gives an answer that has the span 13-22 drug, and the text has 5 characters" in failed
    )
    assert "'n5'" in failed


# ---------------------------------------------------------------------------- prompts

ASK = """
---
temperature: 0
unvalidated: allow
examples: {select: random, k: 1}
output: {labels: task}
---
# system
Quote drugs. {% for e in examples %}Such as {{ e.label }} in {{ e.note }}. {% endfor %}

# user
{{ item.note }}
"""


def quoting(body: dict[str, Any]) -> Any:
    text = body["messages"][-1]["content"]
    drugs = [{"text": word, "label": "drug"} for word in re.findall("(?i)aspirin|ibuprofen|zinc oxide", text)]
    return {"label": drugs if "vitamin" not in text.lower() else None}


def test_a_prompt_quotes_what_it_marks(tmp_path: Path) -> None:
    with Server(answer=quoting) as server:
        sandbox = Sandbox(tmp_path, NOTES)
        sandbox.write({"profiles.yml": profiles(server.url), "prompts/found/ask.md": ASK})
        sandbox.build()
        schema = server.seen[0].body["response_format"]["json_schema"]["schema"]
        (quotes, null) = schema["properties"]["label"]["anyOf"]
        assert null == {"type": "null"}
        assert quotes["items"]["properties"]["label"] == {"type": "string", "enum": ["drug", "place"]}
        shown = server.seen[0].body["messages"][0]["content"]
        assert re.search('Such as \\[{"text": "[^"]+", "label": "drug"}', shown)
        found = votes(sandbox)
        assert found["n1"]["ask"] == [span(9, 18, "drug")]
        assert found["n2"]["ask"] is None
        why = sandbox("lineage", "spans", "n1", "--format", "json").json
        assert {v["voter"]: v["label"] for v in why["votes"]}["ask"] == [span(9, 18, "drug")]
        tried = sandbox("try", "--prompt", "ask", "--limit", "4", "--format", "json").json["trials"][0]
        assert tried["figures"]["precision"] == 1.0


def test_a_quotation_that_does_not_stand_there_is_no_vote(tmp_path: Path) -> None:
    with Server(answer=lambda body: {"label": [{"text": "paracetamol", "label": "drug"}]}) as server:
        sandbox = Sandbox(tmp_path, NOTES)
        sandbox.write({"profiles.yml": profiles(server.url), "prompts/found/ask.md": ASK})
        failed = sandbox("build", code=1).all
        assert "quotes 'paracetamol', which does not stand in the text" in failed


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{{ item.note }}", "{{ item.code }}", "spans of task 'found' are of 'note', which the prompt does not show"),
        ("temperature: 0", "redact: [email]", "places in a text that was redacted are other places"),
        ("{select: random, k: 1}", "[{note: 'a b', label: [[0, 1, drug]]}]", "is no list of quotations"),
        (
            "{select: random, k: 1}",
            "[{note: 'a b', label: [{text: c, label: drug}]}]",
            "quotes 'c', which does not stand",
        ),
        ("{select: random, k: 1}", "[{note: 'a b', label: [{text: b, label: drugs}]}]", "did you mean 'drug'"),
    ],
)
def test_prompts_that_cannot_mark_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    sandbox = Sandbox(tmp_path, NOTES)
    sandbox.write({"profiles.yml": profiles("http://127.0.0.1:9"), "prompts/found/ask.md": ASK.replace(old, new)})
    assert said.lower() in sandbox("compile", code=2).all.lower()
