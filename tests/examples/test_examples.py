"""The examples, built on the real data of the folder that ``TEACHKIT_DATA`` names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

DATA = os.environ.get("TEACHKIT_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="TEACHKIT_DATA names no folder")


def teachkit(project: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", "teachkit", *arguments]
    environment = {**os.environ, "TEACHKIT_PROJECT_DIR": str(project), "TEACHKIT_VARS": json.dumps({"data": DATA})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if "json" in arguments else done.stdout


@pytest.fixture(scope="module", params=["youtube_spam", "trec_questions"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Any]:
    """An example as a user gets it, built once."""
    folder: Path = tmp_path_factory.mktemp("examples") / request.param
    teachkit(folder, "init", str(folder), "--example", request.param)
    return request.param, folder, teachkit(folder, "build", "--format", "json")


def test_all_nodes_and_tests_pass(built: tuple[str, Path, Any]) -> None:
    _, _, run = built
    assert run["passed"]
    assert run["published"]
    assert {r["status"] for r in run["results"]} == {"built", "passed"}


def test_a_second_build_runs_nothing(built: tuple[str, Path, Any]) -> None:
    _, folder, _ = built
    before = (folder / "teachkit.lock").read_bytes()
    run = teachkit(folder, "build", "--locked", "--format", "json")
    assert {r["status"] for r in run["results"]} == {"reused", "passed"}
    assert (folder / "teachkit.lock").read_bytes() == before


@dataclass(frozen=True)
class Promise:
    """What an example's README says of its test split."""

    labels: str
    dataset: str
    key: str
    items: int
    accuracy: float
    coverage: float


PROMISES = {
    "youtube_spam": Promise("spam_labels", "comments", "comment_id", 250, 0.92, 0.98),
    "trec_questions": Promise("answer_types", "questions", "question_id", 500, 0.92, 0.98),
}


def test_the_test_split_is_as_good_as_the_readme_says(built: tuple[str, Path, Any]) -> None:
    name, folder, _ = built
    promise = PROMISES[name]
    locked = yaml.safe_load((folder / "teachkit.lock").read_text(encoding="utf-8"))
    quality = locked["label_sets"][promise.labels]["quality"]["test"]
    assert quality["n"] == promise.items
    assert quality["accuracy"] >= promise.accuracy
    query = f"""select count(l.label) / count(*) as coverage from labels.{promise.labels} l
                join data.{promise.dataset} d using ({promise.key}) where d.split = 'test'"""
    (found,) = teachkit(folder, "sql", query, "--format", "json")["rows"]
    assert found["coverage"] >= promise.coverage
