"""Tests of label sets whose labels are values: each passes, and each fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from teachkit import registry
from tests.build.values import HOUSES, TOWNS
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

CASES: dict[str, tuple[Any, str, dict[str, Any], int, str]] = {
    "mean_error good": (HOUSES, "mean_error", {"max": 20}, 0, "on 8 items of gold.test, 8 of them labeled"),
    "mean_error bad": (HOUSES, "mean_error", {"max": 0.01, "against": "gold.tune"}, 1, "at most 0.01 wanted"),
    "mean_error too good": (HOUSES, "mean_error", {"min": 100}, 1, "at least 100 wanted"),
    "within good": (HOUSES, "within", {"tolerance": 1000, "min": "100%"}, 0, "within 1.000"),
    "within bad": (HOUSES, "within", {"tolerance": 0, "min": 0.1, "over": "labeled"}, 1, "within 0.000"),
    "exact_match good": (TOWNS, "exact_match", {"min": 0.9}, 0, "exact match 1.000"),
    "exact_match bad": (TOWNS, "exact_match", {"max": 0.5}, 1, "at most 0.5 wanted"),
    "token_f1 good": (TOWNS, "token_f1", {"min": "90%", "against": "gold"}, 0, "token f1 1.000"),
    "token_f1 bad": (TOWNS, "token_f1", {"max": 0.5}, 1, "token f1 1.000"),
    "conflict_rate good": (HOUSES, "conflict_rate", {"min": 0.9}, 0, "conflict rate 1.000"),
    "conflict_rate bad": (TOWNS, "conflict_rate", {"max": 0.5}, 1, "conflict rate 0.750"),
    "coverage bad": (TOWNS, "coverage", {"max": 0.5}, 1, "24 of 24 items have a label"),
}


def declared(files: Any) -> str:
    node = "prices" if files is HOUSES else "orte"
    mine = {case: found for case, found in CASES.items() if found[0] is files}
    tests = [{check: {"name": case.replace(" ", "_"), **how}} for case, (_, check, how, _, _) in mine.items()]
    return yaml.safe_dump({"tests": [{"node": node, "tests": tests}]})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for files in (HOUSES, TOWNS):
        sandbox = Sandbox(tmp_path_factory.mktemp("values"), files)
        sandbox.write({"tests/more.yml": declared(files)})
        sandbox.build(code=1)
        found |= {r["id"]: r for r in sandbox.json_file("target/run_results.json")["results"]}
    return found


@pytest.mark.parametrize("case", CASES)
def test_checks(results: dict[str, dict[str, Any]], case: str) -> None:
    *_, failures, message = CASES[case]
    found = results[f"test.{case.replace(' ', '_')}"]
    assert found["status"] == ("failed" if failures else "passed")
    assert (found["failures"], message in found["message"]) == (failures, True), found["message"]


def test_every_check_of_values_passes_and_fails_here() -> None:
    seen = {(check, failures > 0) for _, check, _, failures, _ in CASES.values()}
    for name in registry.names("check"):
        tasks = registry.load("check", name).tasks
        if tasks is not None and {"number", "text"} & set(tasks):
            assert {(name, True), (name, False)} <= seen


def test_without_gold_in_the_split_nothing_passes(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, HOUSES)
    sandbox.replace("tasks/price.yml", "splits: {column: split}", "splits: {hash: {tune: 0%}}")
    assert "mean error: no item of gold.test has gold" in sandbox("build", code=1).all
