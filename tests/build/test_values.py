"""Whole projects whose answers are values: from voters of every kind to labels, tests, lineage, exports and pages."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tests.build.test_prompts import profiles
from tests.build.values import HOUSES, TOWNS, captions, houses
from tests.llm.server import Server
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def houses_built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("houses"), HOUSES)
    sandbox.build()
    return sandbox


@pytest.fixture(scope="module")
def towns_built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("towns"), TOWNS)
    sandbox.build()
    return sandbox


def votes(sandbox: Sandbox, task: str, key: str) -> dict[Any, dict[str, Any]]:
    found = sandbox("sql", f"select * from votes.{task}", "--format", "json").json["rows"]
    return {row.pop(key): row for row in found}


# ---------------------------------------------------------------------------- votes


def test_voters_of_every_kind_answer_with_numbers(houses_built: Sandbox) -> None:
    found = votes(houses_built, "price", "code")
    assert found["h1"] == {
        "area": pytest.approx(43 * 2.1 + 20),
        "joined": pytest.approx(170.0),
        "total": 107.0,
        "big": None,
        "rough": 200.0,
        "small": 120.5,
        "half": 86.0,
        "batch": pytest.approx(104.6),
        "memo": 140.0,
    }
    assert (found["h0"]["area"], found["h0"]["total"], found["h2"]["half"]) == (None, None, None)
    assert found["h29"]["big"] == 250.0
    assert sum(v["joined"] is not None for v in found.values()) == 23


def test_people_answer_with_numbers_and_take_them_back(houses_built: Sandbox) -> None:
    shown = {(r["code"], r["annotator"]): r["label"] for r in houses_built.rows("annotations.price.people")}
    assert shown == {("h1", "ann"): 110.0, ("h2", "ann"): 99.5, ("h1", "bob"): 120.0, ("h3", "bob"): None}
    assert {r["code"]: r["label"] for r in houses_built.rows("annotations.price.zoe")} == {"h5": 133.25}
    assert {r["code"]: r["label"] for r in houses_built.rows("total")}["h1"] == 107.0


def test_voters_of_every_kind_answer_with_texts(towns_built: Sandbox) -> None:
    found = votes(towns_built, "ort", "schlüssel")
    assert found["b/0 ä"] == {"some": "köln", "joined": "ZÜRICH", "named": "Köln", "tokio": None, "last": "Köln"}
    assert found["b/3 ä"]["tokio"] == "Tokio"


def test_a_second_build_does_nothing_and_a_changed_constant_votes_anew(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.build()
    assert {n for n in sandbox.fresh_nodes() if not n.startswith("export.")} == set()
    sandbox.replace("labeling_functions/price/rules.yml", "value: 250", "value: 251")
    assert {n for n in sandbox.fresh_nodes() if not n.startswith("export.")} == {
        "lf.price.big",
        "label_set.prices",
        "label_set.middles",
    }
    sandbox.replace("labeling_functions/price/rules.yml", "group: 1", "group: 0")
    failed = sandbox("build", code=1).all
    assert "labeling function 'total' gives an answer that is not a number, at the item with key 'h1'" in failed
    assert "total: 107" not in failed


# ---------------------------------------------------------------------------- label sets


def test_labels_are_numbers_with_their_spread(houses_built: Sandbox) -> None:
    rows = {row["code"]: row for row in houses_built.rows("prices")}
    assert set(rows["h1"]) == {"code", "label", "confidence", "posterior", "decided_by", "votes", "model_label"}
    assert set(rows["h1"]["posterior"]) == {"mean", "sd", "low", "high"}
    assert rows["h1"]["label"] == rows["h1"]["model_label"] == rows["h1"]["posterior"]["mean"]
    assert rows["h1"]["confidence"] is None
    assert rows["h1"]["votes"] == 10
    assert rows["h3"]["votes"] == rows["h4"]["votes"] == 6  # one declined, one took the answer back
    for row in rows.values():
        assert 0 < row["posterior"]["sd"] < 60
        assert row["posterior"]["low"] < row["label"] < row["posterior"]["high"]
    middle = houses_built.labels("middles", "code")
    assert middle["h1"] == pytest.approx((110.3 + 120) / 2)


def test_labels_are_texts_with_their_shares(towns_built: Sandbox) -> None:
    rows = {row["schlüssel"]: row for row in towns_built.rows("orte")}
    assert [rows[f"b/{i} ä"]["label"] for i in range(4)] == ["Köln", "München", "Zürich", "東京"]
    first = rows["b/0 ä"]
    assert first["posterior"][0]["label"] == "Köln"
    assert sum(one["share"] for one in first["posterior"]) == pytest.approx(1.0)
    assert 0.5 < first["confidence"] <= 1.0
    assert towns_built.labels("most", "schlüssel")["b/1 ä"] == "München"


def test_the_lock_holds_counts_and_figures_and_audit_verifies_them(houses_built: Sandbox, towns_built: Sandbox) -> None:
    lock = houses_built.read("teachkit.lock")
    assert "classes: {}" in lock
    assert all(f"        {name}: " in lock for name in ("n", "mae", "rmse", "bias", "r2", "labeled"))
    assert "        exact_match: 1.0" in towns_built.read("teachkit.lock")
    for sandbox in (houses_built, towns_built):
        sandbox("build", "--locked")
        assert "everything that was checked holds" in sandbox("audit", "verify").out
    houses_built("build", "--full-refresh", "--locked")


def test_a_lock_with_other_figures_does_not_hold(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.build()
    text = sandbox.read("teachkit.lock")
    line = next(line for line in text.splitlines() if "mae:" in line)
    sandbox.replace("teachkit.lock", line, "        mae: 0.0001")
    assert "mae" in sandbox("build", "--locked", code=1).all
    assert "everything that was checked holds" not in sandbox("audit", "verify", code=1).out


def test_curators_and_gold_decide_above_the_model(tmp_path: Path) -> None:
    model = """
        label_models:
          - name: prices
            task: price
            prefer_gold: true
            gold: tune
            parameters: {strength: 2}
            tests: [{protected_labels: {from: [curator, gold]}}]
        """
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.write(
        {
            "label_models/prices.yml": model,
            "annotations/price/_meta.yml": "files: {boss.jsonl: {role: curator}, truth.csv: {role: gold}}\n",
            "annotations/price/boss.jsonl": '{"item": "h10", "label": 1.5}\n{"item": "h11", "label": null}\n',
            "annotations/price/truth.csv": "item,label\nh0,99\n",
        }
    )
    sandbox.build()
    rows = {row["code"]: row for row in sandbox.rows("prices")}
    assert (rows["h10"]["label"], rows["h10"]["decided_by"]) == (1.5, "curator")
    assert (rows["h0"]["label"], rows["h0"]["decided_by"]) == (99.0, "gold")
    assert (rows["h1"]["label"], rows["h1"]["decided_by"]) == (106.5, "gold")
    assert rows["h2"]["decided_by"] == rows["h11"]["decided_by"] == "model"
    assert rows["h10"]["model_label"] != 1.5
    assert "everything that was checked holds" in sandbox("audit", "verify").out
    sandbox.replace("annotations/price/boss.jsonl", "1.5", "2.5")
    sandbox.replace("label_models/prices.yml", "prefer_gold: true", "prefer_gold: true\n    curators: false")
    assert "1 of 18 protected answers are contradicted" in sandbox("build", code=1).all


def test_gold_of_the_test_split_is_never_fitted(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.write({"label_models/prices.yml": "label_models: [{name: prices, task: price, gold: tune}]\n"})
    sandbox.build()
    before = sandbox.labels("prices", "code")
    sandbox.replace("data/houses.csv", "46,3,113.0,test", "46,3,9000,test")
    sandbox.build()
    assert sandbox.labels("prices", "code") == before
    sandbox.replace("data/houses.csv", "43,2,106.5,tune", "43,2,9000,tune")
    sandbox.build()
    assert sandbox.labels("prices", "code") != before


def test_exports_hold_values_and_what_is_known_of_them(houses_built: Sandbox, towns_built: Sandbox) -> None:
    labels = houses_built.labels("prices", "code")
    with (houses_built.root / "output/rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["code"]: float(row["label"]) for row in rows} == labels
    assert (rows[0]["confidence"], set(json.loads(rows[0]["posterior"]))) == ("", {"mean", "sd", "low", "high"})
    lines = [json.loads(line) for line in houses_built.read("output/lines.jsonl").splitlines()]
    assert {line["code"] for line in lines} == {code for code, label in labels.items() if label > 150}
    table = pq.read_table(houses_built.root / "output/table.parquet")
    assert dict(zip(table["code"].to_pylist(), table["label"].to_pylist(), strict=True)) == labels
    with (towns_built.root / "output/rows.csv").open(encoding="utf-8", newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)][:4] == ["Köln", "München", "Zürich", "東京"]


# ---------------------------------------------------------------------------- reading about them


def test_lineage_shows_what_each_answer_weighs(houses_built: Sandbox) -> None:
    why = houses_built("lineage", "prices", "h1", "--format", "json").json
    said = {v["voter"]: v for v in why["votes"]}
    assert (said["total"]["label"], said["ann"]["label"], said["ann"]["kind"]) == (107.0, 110.0, "annotator")
    assert why["measure"] == "weight"
    assert why["prior"] + sum(v["contribution"] for v in why["votes"]) == pytest.approx(1.0)
    assert why["label_model"]["type"] == "gaussian"
    assert why["diagnostics"]["identified"] is True
    assert why["sources"][0]["path"] == "data/houses.csv"
    shown = houses_built("lineage", "prices", "h1").out
    assert "posterior: mean" in shown
    assert "votes, by the weight of each in the label" in shown
    assert "+1.000" in shown


def test_lineage_of_a_text_shows_who_is_near_to_it(towns_built: Sandbox) -> None:
    why = towns_built("lineage", "orte", "b/1 ä", "--format", "json").json
    said = {v["voter"]: v["contribution"] for v in why["votes"]}
    assert sum(said.values()) == pytest.approx(1.0)
    assert said["named"] > said["joined"] > 0
    assert "posterior: München" in towns_built("lineage", "orte", "b/1 ä").out
    prov = towns_built("lineage", "orte", "b/1 ä", "--format", "prov").json
    assert "München" in json.dumps(prov, ensure_ascii=False)


def test_analyze_shows_errors_and_what_was_learned(houses_built: Sandbox, towns_built: Sandbox) -> None:
    found = houses_built("analyze", "price", "--format", "json").json
    rows = {row["voter"]: row for row in found["voters"]}
    assert found["gold_splits"] == "train, tune"
    assert rows["batch"]["figures"]["mae"] == pytest.approx(0.8375)
    assert rows["batch"]["figures"]["n"] == found["gold_items"]
    assert rows["big"]["coverage"] == pytest.approx(1 / 3)
    assert rows["memo"]["figures"]["learned_sd"] > rows["area"]["figures"]["learned_sd"]
    assert (rows["batch"]["accuracy"], rows["batch"]["correct"]) == (None, 0)
    shown = houses_built("analyze").out
    assert "learned bias" in shown
    assert "accuracy" not in shown
    texts = {row["voter"]: row for row in towns_built("analyze", "ort", "--format", "json").json["voters"]}
    assert texts["named"]["figures"]["exact_match"] == 1.0
    assert texts["tokio"]["accuracy"] == 0.0
    assert texts["named"]["figures"]["learned_weight"] > texts["joined"]["figures"]["learned_weight"]


def test_pages_show_them(houses_built: Sandbox, towns_built: Sandbox) -> None:
    houses_built("docs", "generate")
    pages = {p.relative_to(houses_built.root / "target/docs").as_posix(): p for p in houses_built.root.rglob("*.html")}
    page = next(p for name, p in pages.items() if "label_set" in name and "prices" in name).read_text(encoding="utf-8")
    assert "mean error on tune" in page
    assert "learned" in page
    assert "106.5" in page  # gold outside the test split, beside a label that differs
    item = next(p for name, p in pages.items() if name.startswith("items/prices")).read_text(encoding="utf-8")
    assert "The weight of each in the label" in item
    assert "all weights" in item
    towns_built("docs", "generate")
    assert any("exact match" in p.read_text(encoding="utf-8") for p in towns_built.root.rglob("*.html"))


def test_a_look_at_test_gold_is_counted(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.build()
    found = sandbox("analyze", "price", "--gold", "test", "--format", "json").json
    assert found["test_looks"] == 2  # the build was the first


# ---------------------------------------------------------------------------- prompts

ASK = """
---
temperature: 0
unvalidated: allow
examples: {select: random, k: 1}
output: {labels: task, reason: true}
---
# system
What does it cost? {% for e in examples %}Such as {{ e.label }}. {% endfor %}

# user
{{ item.text }}
"""


def answer(body: dict[str, Any]) -> Any:
    text = body["messages"][-1]["content"]
    said = text.partition("total: ")[2].strip('"')
    return {"reason": "it says so", "label": float(said) if said else None}


def test_a_prompt_answers_with_a_number_or_null(tmp_path: Path) -> None:
    with Server(answer=answer) as server:
        sandbox = Sandbox(tmp_path, HOUSES)
        sandbox.write({"profiles.yml": profiles(server.url), "prompts/price/ask.md": ASK})
        sandbox.build()
        schema = server.seen[0].body["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["label"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
        assert "Such as 1" in server.seen[0].body["messages"][0]["content"]
        found = votes(sandbox, "price", "code")
        assert (found["h1"]["ask"], found["h0"]["ask"]) == (107.0, None)
        why = sandbox("lineage", "prices", "h1", "--format", "json").json
        (said,) = [v for v in why["votes"] if v["voter"] == "ask"]
        assert (said["label"], said["reason"]) == (107.0, "it says so")
        assert said["contribution"] > 0
        tried = sandbox("try", "--prompt", "ask", "--limit", "4")
        assert "against gold: n" in tried.out
        assert (
            sandbox("try", "--prompt", "ask", "--limit", "4", "--format", "json").json["trials"][0]["figures"]["mae"]
            > 0
        )
        answers = sandbox("sql", "select * from votes.price_ask where code = 'h1'", "--format", "json").json["rows"]
        assert (answers[0]["label"], answers[0]["status"]) == (107.0, "ok")
        assert "it counts right labels" in sandbox("llm", "compare", code=2).all
        assert "it learns from wrong labels" in sandbox("llm", "improve", "ask", code=2).all


def test_an_answer_that_is_no_number_is_no_vote(tmp_path: Path) -> None:
    with Server(answer=lambda body: {"reason": "", "label": "many"}) as server:
        sandbox = Sandbox(tmp_path, HOUSES)
        sandbox.write({"profiles.yml": profiles(server.url), "prompts/price/ask.md": ASK})
        found = sandbox("build", code=1).all
        assert "30 of 30 items have no answer" in found, found


@pytest.mark.parametrize("where", ["label", "reason"])
def test_half_of_a_surrogate_pair_is_asked_again(tmp_path: Path, where: str) -> None:
    """JSON can say it, and no table can hold it."""
    halves = iter([True, True])

    def answer(body: dict[str, Any]) -> Any:
        return {"reason": "", "label": "Köln"} | ({where: "a\ud83d"} if next(halves, False) else {})

    with Server(answer=answer) as server:
        sandbox = Sandbox(tmp_path, TOWNS)
        ask = ASK.replace("item.text", "item.satz").replace("examples: {select: random, k: 1}\n", "")
        sandbox.write({"profiles.yml": profiles(server.url), "prompts/ort/ask.md": ask})
        sandbox("build", "--select", "+ask")
        assert server.total == len(server.nth) + 2
        halves = iter([True] * 1000)
        sandbox.replace("prompts/ort/ask.md", "What does it cost?", "Which town?")
        found = sandbox("build", "--select", "+ask", code=1).all
        assert "24 invalid_output" in found
        assert "the answer has half of a surrogate pair" in found


# ---------------------------------------------------------------------------- odd data


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize(("files", "data", "table"), [(HOUSES, houses, "houses"), (TOWNS, captions, "bilder")])
def test_no_rows_and_one_row_are_no_trouble(tmp_path: Path, files: Any, data: Any, table: str, rows: int) -> None:
    sandbox = Sandbox(tmp_path, files)
    people = {name: None for name in files if name.startswith("annotations/")}
    plain = {
        "label_models/prices.yml": "label_models: [{name: prices, task: price}]\n",
        "label_models/orte.yml": "label_models: [{name: orte, task: ort}]\n",
    }
    plain = {name: text for name, text in plain.items() if name in files}
    sandbox.write({f"data/{table}.csv": data(rows).encode(), **people, **plain})
    sandbox.build()
    label_set = "prices" if table == "houses" else "orte"
    assert len(sandbox.rows(label_set)) == rows
    sandbox("analyze")
    sandbox("docs", "generate")
    assert "everything that was checked holds" in sandbox("audit", "verify").out


def test_items_that_nobody_speaks_of_have_no_label(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.write(
        {
            "label_models/prices.yml": "label_models: [{name: prices, task: price, voters: [total, people]}]\n",
            "exports/all.yml": None,
        }
    )
    sandbox.build()
    rows = {row["code"]: row for row in sandbox.rows("prices")}
    assert (rows["h0"]["label"], rows["h0"]["decided_by"], rows["h0"]["votes"]) == (None, "none", 0)
    assert rows["h0"]["posterior"]["sd"] > rows["h1"]["posterior"]["sd"]
    sandbox.write(
        {"label_models/prices.yml": "label_models: [{name: prices, task: price, voters: [total], unlabeled: drop}]\n"}
    )
    sandbox.build()
    assert len(sandbox.rows("prices")) == 20
    why = sandbox("lineage", "prices", "h1", "--format", "json").json
    assert why["votes"][0]["contribution"] == 1.0


def test_what_if_is_for_label_models_of_labels(houses_built: Sandbox) -> None:
    found = houses_built("lineage", "prices", "h1", "--what-if", "people", code=2)
    assert "does not say what would be without a vote" in found.err
    assert "'moved' says how much of the answer each vote is" in found.err


def test_a_label_model_of_ones_own_decides_values(tmp_path: Path) -> None:
    code = """
        from teachkit.label_models import Predicted


        class Least:
            def fit(self, answers, *, gold=None, abstain=None):
                return self

            def predict(self, answers, *, tie_policy="abstain"):
                import numpy as np

                label = np.full(answers.n_items, np.nan)
                for item, value in zip(answers.item, answers.value):
                    label[item] = np.nanmin([label[item], value])
                none = np.full(answers.n_items, np.nan)
                return Predicted(label, none, {"mean": label, "sd": none, "low": none, "high": none})
        """
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.write(
        {
            "label_models/own.py": code,
            "label_models/prices.yml": "label_models: [{name: prices, task: price, type: 'label_models/own.py:Least'}]",
        }
    )
    sandbox.build()
    assert sandbox.labels("prices", "code")["h1"] == 86.0
    assert sandbox("lineage", "prices", "h1", "--format", "json").json["measure"] == "none"
    sandbox("docs", "generate")
    sandbox.replace("label_models/own.py", "return Predicted(label,", "return (label,")
    assert "predict must give a Predicted" in sandbox("build", code=1).all


@pytest.mark.parametrize("number", ["1e160", "-1.7976931348623157e308"])
def test_a_number_that_has_no_square_is_no_answer(tmp_path: Path, number: str) -> None:
    files = {**HOUSES, "labeling_functions/price/far.sql": f"case when code = 'h1' then {number} end\n"}
    found = Sandbox(tmp_path / "far", files)("build", code=1).out
    assert "which is beyond 1e+150" in found
    assert "key 'h1'" in found
    assert "give a number, or NULL to abstain" in found


def test_protected_numbers_have_a_tolerance(houses_built: Sandbox, tmp_path: Path) -> None:
    sandbox = houses_built.copy(tmp_path / "houses")
    config = """
        tests:
          - node: prices
            tests:
              - protected_labels: {from: [gold], name: exact, severity: warn}
              - protected_labels: {from: [gold], tolerance: 1000, name: near}
        """
    sandbox.write({"tests/protected.yml": config})
    shown = sandbox("build", "--select", "exact near").out
    assert "warned test.exact" in shown
    assert "passed  test.near" in shown


def test_a_tolerance_is_for_numbers(towns_built: Sandbox, tmp_path: Path) -> None:
    sandbox = towns_built.copy(tmp_path / "towns")
    name = next(n for n in sandbox("ls", "--select", "type:label_set", "--output", "name").out.split())
    sandbox.write(
        {"tests/p.yml": f"tests: [{{node: {name}, tests: [{{protected_labels: {{from: [gold], tolerance: 1}}}}]}}]\n"}
    )
    assert "a tolerance is for numbers" in sandbox("parse", code=2).err


def test_whole_numbers_are_ints_for_python(tmp_path: Path) -> None:
    """DuckDB reads whole numbers below 0 from JSON with 128 bits, and sums with as many."""
    sandbox = Sandbox(
        tmp_path / "ints",
        {
            "teachkit.yml": "name: ints\n",
            "data/i.jsonl": '{"id": 1, "score": -2}\n{"id": -2, "score": 3}\n{"id": 3, "score": null}\n',
            "sources/s.yml": "sources: [{name: s, tables: [{name: i, path: data/i.jsonl, key: id}]}]\n",
            "transforms/items.sql": "select id, sum(score) as score from {{ source('s', 'i') }} group by id\n",
            "tasks/t.yml": "tasks: [{name: t, labels: [neg, pos], dataset: ref('items'), key: id}]\n",
            "labeling_functions/t/f.py": """
                from teachkit import labeling_function


                @labeling_function
                def half(score: int):
                    return None if score is None else "neg" if score * 0.5 < 0 else ["pos"][id_of(score)]


                def id_of(score):
                    assert type(score) is int
                    return score % 3


                @labeling_function
                def fails(id: int):
                    return {1: "neg", 3: "pos"}[id]
                """,
            "label_models/m.yml": "label_models: [{name: m, task: t, type: majority}]\n",
        },
    )
    shown = sandbox("build", code=1).out
    assert {str(row["id"]): row["label"] for row in sandbox.rows("half")} == {"1": "neg", "-2": "pos"}
    assert "at the item with key -2" in shown
    sandbox.replace("labeling_functions/t/f.py", "{1:", "{-2: None, 1:")
    sandbox("build")
    assert '"-2"' not in sandbox("lineage", "m", "-2").out
    assert sandbox("lineage", "m", "-2", "--format", "json").json["label"] == "pos"
    assert sandbox("lineage", "--format", "json", "m", "-2", "--what-if", "half").json["what_if"]["voter"] == "half"
    assert "No such option" in sandbox("lineage", "m", "-x", code=2).err
    assert sandbox("show", "m", "--limit", "-1", "--format", "json").json["rows"]
