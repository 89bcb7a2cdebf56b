"""Tasks whose answers are orders: from the task's file to labels with scores, tests, lineage, diff, exports."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.build.test_prompts import profiles
from tests.diff.conftest import Repo
from tests.llm.server import Server
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


CITIES = ["Bonn", "Köln", "Rom", "Ulm", "東京"]


def trips(n: int = 40) -> list[dict[str, Any]]:
    """Some cities for each trip; in truth they are liked in the order of the alphabet."""
    chance, found = random.Random(3), []
    for i in range(n):
        cities = chance.sample(CITIES, chance.randint(2, 5))
        truth = "|".join(sorted(cities)) if i % 2 else None
        split = "test" if i % 4 == 1 else "tune"
        found.append({"trip": f"t{i:02d}", "cities": cities, "known": truth, "split": split})
    return found


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def about(seed: int) -> dict[str, list[str]]:
    """Somebody's orders, with two neighbours swapped here and there."""
    chance, found = random.Random(seed), {}
    for row in trips():
        order = sorted(row["cities"])
        if chance.random() < 0.4:
            k = chance.randrange(len(order) - 1)
            order[k], order[k + 1] = order[k + 1], order[k]
        found[row["trip"]] = order
    return found


CITIES_PROJECT: Mapping[str, str] = {
    "teachkit.yml": "name: trips\n",
    "data/trips.jsonl": jsonl(trips()),
    "sources/office.yml": """
        sources:
          - name: office
            tables: [{name: trips, path: data/trips.jsonl, key: trip}]
        """,
    "tasks/nicest.yml": """
        tasks:
          - name: nicest
            kind: ranking
            candidates: Cities
            dataset: source('office', 'trips')
            key: trip
            gold: {column: known}
            splits: {column: split}
        """,
    "labeling_functions/nicest/alphabet.sql": "list_sort(cities)\n",
    "labeling_functions/nicest/first_two.sql": "cities[1:2]\n",
    "labeling_functions/nicest/rules.yml": """
        labeling_functions:
          - {name: bonn_first, value: [Bonn, 東京], sql: "list_has_all(cities, ['Bonn', '東京'])"}
        """,
    "labeling_functions/nicest/backwards.py": """
        from teachkit import labeling_function


        @labeling_function()
        def backwards(cities: list) -> list | None:
            return sorted(cities, reverse=True)[:3] if len(cities) > 2 else None
        """,
    "annotations/nicest/ann.csv": "item,label\n" + "".join(f"{t},{'|'.join(o)}\n" for t, o in about(1).items()),
    "annotations/nicest/bob.jsonl": jsonl([{"item": t, "label": o, "annotator": "bob"} for t, o in about(2).items()]),
    "label_models/orders.yml": """
        label_models:
          - name: orders
            task: nicest
            tests:
              - coverage: {min: 0.9}
              - tau: {against: gold.test, min: 0.5}
              - first_match: {min: 0.5}
        """,
    "exports/out.yml": """
        exports:
          - {name: orders_out, label_set: ref('orders'), path: output/orders.jsonl, format: jsonl}
        """,
}


@pytest.fixture(scope="session")
def shared_cities(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("cities") / "project", CITIES_PROJECT)
    sandbox("build", "-q")
    return sandbox


@pytest.fixture
def cities(shared_cities: Sandbox, tmp_path: Path) -> Sandbox:
    return shared_cities.copy(tmp_path / "project")


def test_labels_are_orders_with_scores(cities: Sandbox) -> None:
    assert set(cities.build().values()) <= {"reused", "passed"}
    for row in cities.rows("orders"):
        assert [one["candidate"] for one in row["posterior"]] == row["label"]
        scores = [one["score"] for one in row["posterior"]]
        assert scores == sorted(scores, reverse=True)
        assert all(one["low"] < one["score"] < one["high"] for one in row["posterior"])
        assert 0.5 <= row["confidence"] <= 1
    right = [row["label"] == sorted(row["label"]) for row in cities.rows("orders")]
    assert sum(right) > 0.7 * len(right)


def test_every_voter_says_orders_and_whoever_is_wrong_is_known_to_be(cities: Sandbox) -> None:
    found = {v["voter"]: v for v in cities("analyze", "nicest", "--format", "json").json["voters"]}
    assert set(found) == {"alphabet", "first_two", "bonn_first", "backwards", "ann", "bob"}
    learned = {voter: row["figures"]["learned_reliability"] for voter, row in found.items()}
    assert learned["backwards"] < 0 < learned["ann"]
    assert abs(learned["first_two"]) < 1
    assert found["alphabet"]["figures"]["tau"] == 1.0


def test_lineage_shows_each_order_and_its_part_in_the_label(cities: Sandbox) -> None:
    why = cities("lineage", "orders", "t02", "--format", "json").json
    assert sum(vote["contribution"] for vote in why["votes"]) == pytest.approx(1.0)
    assert [one["candidate"] for one in why["posterior"]] == why["label"]
    text = cities("lineage", "orders", "t02").out
    assert f"posterior: {why['label'][0]} +" in text


def test_figures_against_gold_are_tau_and_the_first(cities: Sandbox) -> None:
    said = {r["id"]: r["message"] for r in cities.json_file("target/run_results.json")["results"]}
    assert said["test.orders.tau"].startswith("tau 1.000 on 10 items of gold.test")
    assert "on 10 items of gold.test, 10 of them labeled" in said["test.orders.first_match"]
    cities.replace("label_models/orders.yml", "gold.test, min: 0.5", "gold.test, max: -0.5")
    assert "at most -0.5 wanted" in cities("build", "-q", code=1).all
    cities.replace("label_models/orders.yml", "tau: {against: gold.test, max: -0.5}", "accuracy: {min: 0.5}")
    assert "accuracy" in cities("parse", code=2).err


def test_labels_come_out_again_are_exported_and_shown(cities: Sandbox) -> None:
    assert "the same bits" in cities("audit", "verify").out
    before = cities.published()
    cities("build", "--full-refresh", "--locked", "-q")
    assert cities.published() == before
    first = json.loads(cities.read("output/orders.jsonl").splitlines()[0])
    assert first["label"] == cities.rows("orders")[0]["label"]
    cities("docs", "generate", "-q")
    assert "ranking" in cities.read("target/docs/index.html")


def test_a_diff_counts_orders_that_are_others(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo", CITIES_PROJECT).start()
    repo.write(
        {"labeling_functions/nicest/alphabet.sql": "list_reverse_sort(cities)\n", "annotations/nicest/ann.csv": None}
    )
    found = repo.labels_diff(name="orders")
    assert found["flips"] > 0


def test_gold_and_curators_stand_above_the_model(cities: Sandbox) -> None:
    cities.replace("label_models/orders.yml", "task: nicest", "task: nicest\n    prefer_gold: true\n    gold: tune")
    cities.write(
        {
            "annotations/nicest/_meta.yml": "files: {boss.csv: {role: curator}}\n",
            "annotations/nicest/boss.csv": "item,label\nt00,Ulm|Bonn\n",
        }
    )
    cities("build", "-q")
    rows = {row["trip"]: row for row in cities.rows("orders")}
    assert (rows["t00"]["label"], rows["t00"]["decided_by"]) == (["Ulm", "Bonn"], "curator")
    assert rows["t03"]["decided_by"] == "gold"
    assert rows["t03"]["label"] == sorted(rows["t03"]["label"])


def ordering(body: dict[str, Any]) -> dict[str, Any]:
    """What a model answers that likes cities backwards, and on some trips one that nobody asked about."""
    asked = body["messages"][-1]["content"]
    names = sorted((city for city in CITIES if city in asked), reverse=True)
    return {"label": ["Atlantis", *names] if re.search(r"\bt0\d", asked) else names}


def test_a_prompt_orders_and_what_it_makes_up_does_not_count(tmp_path: Path) -> None:
    prompt = "\n---\nunvalidated: allow\n---\nOrder {{ item.cities }} of trip {{ item.trip }}, the nicest first.\n"
    with Server(answer=ordering) as server:
        sandbox = Sandbox(tmp_path, CITIES_PROJECT)
        sandbox.write({"profiles.yml": profiles(server.url), "prompts/nicest/judge.md": prompt})
        found = sandbox("build")
        schema = server.seen[0].body["response_format"]["json_schema"]["schema"]
    assert '"type": "array", "items": {"type": "string"}' in json.dumps(schema)
    said = {row["trip"]: row for row in sandbox.rows("judge")}
    made_up = sum("Atlantis" in row["label"] for row in said.values())
    assert 0 < made_up <= 10
    note = f"prompt 'judge' names what is no candidate on {made_up} items: these answers do not count"
    assert note in found.all
    for trip, counts in (("t02", False), ("t12", True)):
        why = sandbox("lineage", "orders", trip, "--format", "json").json
        (vote,) = [v for v in why["votes"] if v["voter"] == "judge"]
        assert ("Atlantis" in vote["label"]) is not counts
        assert (vote["contribution"] is None) is not counts
        assert sum(v["contribution"] or 0 for v in why["votes"]) == pytest.approx(1.0)
        assert "Atlantis" not in why["label"]
    learned = {v["voter"]: v for v in sandbox("analyze", "nicest", "--format", "json").json["voters"]}
    assert learned["judge"]["votes"] == 40 - made_up
    assert learned["judge"]["figures"]["learned_reliability"] < 0


def test_hardly_any_rows(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, CITIES_PROJECT)
    sandbox.write(
        {
            "data/trips.jsonl": jsonl(trips()[:1]),
            "annotations/nicest/ann.csv": None,
            "annotations/nicest/bob.jsonl": None,
            "label_models/orders.yml": "label_models: [{name: orders, task: nicest}]\n",
            "tasks/nicest.yml": CITIES_PROJECT["tasks/nicest.yml"].replace("gold: {column: known}", "tags: [x]"),
        }
    )
    sandbox("build", "-q")
    assert [row["trip"] for row in sandbox.rows("orders")] == ["t00"]


# ---------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("old", "new", "slug", "said"),
    [
        ("    candidates: Cities\n", "", "bad-value", "a ranking needs 'candidates'"),
        ("candidates: Cities", "candidates: towns", "unknown-column", "'towns'"),
        ("candidates: Cities", "candidates: Cities\n    labels: [a, b]", "bad-value", "it has no labels"),
        ("kind: ranking", "kind: text", "bad-value", "only tasks of the kind 'ranking' have 'candidates'"),
    ],
)
def test_a_task_that_orders_nothing_is_refused(tmp_path: Path, old: str, new: str, slug: str, said: str) -> None:
    sandbox = Sandbox(tmp_path, CITIES_PROJECT)
    sandbox.replace("tasks/nicest.yml", old, new)
    found = sandbox("parse", code=2)
    assert f"[{slug}]" in found.err
    assert said.strip("'") in found.err


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("['Bonn', 'Bonn']", "names 'Bonn' twice"),
        ("'Bonn'", "an order (a list of different names)"),
        ("['Atlantis']", "voter 'alphabet' names 'Atlantis' on item 't00' of task 'nicest'"),
        ("['']", "is no name"),
    ],
)
def test_an_answer_that_is_no_order_of_candidates_is_refused(cities: Sandbox, sql: str, said: str) -> None:
    before = cities.state()
    cities.write({"labeling_functions/nicest/alphabet.sql": sql + "\n"})
    assert said in cities("build", "-q", code=None).all
    assert cities.state() == before


def test_a_judgment_of_what_is_no_candidate_is_refused(cities: Sandbox) -> None:
    cities.write({"annotations/nicest/ann.csv": "item,label\nt00,Atlantis|Bonn\n"})
    found = cities("build", "-q", code=1)
    assert "[not-a-candidate]" in found.all
    assert "name some of: " in found.all
