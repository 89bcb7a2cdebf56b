"""``kill -9`` at every point of a batch's life: nothing is bought twice, and nothing that was bought is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.llm import ResponseStore, batch_api, batch_input
from teachkit.llm.batch_api import Patience
from teachkit.llm.batch_state import load_batches
from tests.build.test_batching import batch, left, prepared
from tests.build.test_prompts import texts
from tests.dying import run_and_die
from tests.llm.batch_server import BatchServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.sandbox import Sandbox

FIRST = ["submit", "status", "collect"]
"""What is run first after a crash."""


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer(page=1) as running:
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(batch_api, "PATIENT", Patience(tries=3, sleep=slept.append))
    monkeypatch.setattr(batch_input, "MOST_REQUESTS", 5)  # so that there are two batches after the crash
    return slept


SMALL = "from teachkit.llm import batch_input; batch_input.MOST_REQUESTS = 5"


def batch_and_die(sandbox: Sandbox, action: str, number: int, moment: str = "after") -> CompletedProcess[str]:
    """Run ``llm batch`` until the ``number``-th file of a batch gets its name, then die."""
    how: Any = {"number": number, "moment": moment, "within": "batches", "first": SMALL}
    return run_and_die(sandbox, "llm", "batch", action, **how)


def die_at_call(sandbox: Sandbox, server: BatchServer, action: str, kind: str, moment: str, nth: int = 0) -> None:
    """Run ``llm batch`` until a call reaches the server, or was done there; then kill it, before it hears of it."""
    pids: list[int] = []
    known = threading.Event()

    def kill(now: str, number: int, when: str) -> None:
        if (now, number, when) == (kind, before + nth, moment):
            known.wait(60)
            os.kill(pids[0], signal.SIGKILL)

    before = server.calls[kind]
    server.on_call = kill
    code = f"{SMALL}\n"
    code += f"from teachkit.cli.app import main; main(['llm', 'batch', '{action}'])"
    child = subprocess.Popen(
        [sys.executable, "-c", code], cwd=sandbox.root, env=sandbox.environ(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pids.append(child.pid)
    known.set()
    assert child.wait(120) == -signal.SIGKILL
    server.on_call = lambda kind, nth, moment: None


def assert_bought_once(sandbox: Sandbox, server: BatchServer, first: str) -> None:
    """Whatever is run first now: in the end every request was bought once, and its answer is there once."""
    count = texts(sandbox)
    if first != "submit":
        batch(sandbox, first)
        assert set(server.bought.values()) <= {1}
    batch(sandbox, "submit")
    assert len(server.bought) == count
    assert set(server.bought.values()) == {1}
    assert batch(sandbox, "submit")["batches"] == []
    assert "is not collected" in sandbox("build", code=1).out
    server.finish()
    batch(sandbox, "collect")
    assert_kept_once(sandbox, server)


def assert_kept_once(sandbox: Sandbox, server: BatchServer) -> None:
    with ResponseStore(sandbox.root / ".teachkit/llm/responses.sqlite") as store:
        answers = list(store.all())
    assert sorted(answer.key for answer in answers) == sorted(server.bought)
    sandbox("build")
    assert server.total == 0
    assert batch(sandbox, "submit")["batches"] == []  # which also tidies up
    assert set(left(sandbox)) == {".json"}
    folder = sandbox.root / ".teachkit/llm/batches"
    assert {each.phase for each in load_batches(folder)} == {"collected"}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("number", "first"), [(n, FIRST[n % 3]) for n in range(1, 9)])
def test_killed_as_a_state_is_written(
    tmp_path: Path, server: BatchServer, number: int, first: str, moment: str
) -> None:
    """Two batches: 1, 2: prepared; 3: uploaded, 4: asked for, 5: bought; 6, 7, 8: the other one the same."""
    sandbox = prepared(tmp_path, server)
    assert batch_and_die(sandbox, "submit", number, moment).returncode == -signal.SIGKILL
    bought = 0 if number < 5 else 5 if number < 8 else 9
    assert server.bought.total() == bought
    assert_bought_once(sandbox, server, first)


def test_these_are_all_states_that_a_submission_writes(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    done = batch_and_die(sandbox, "submit", -1)
    assert (done.returncode, done.stdout.split()[-1]) == (0, "8")


@pytest.mark.parametrize(
    ("kind", "moment", "nth", "first"),
    [
        ("upload", "before", 0, "submit"),
        ("upload", "after", 0, "collect"),
        ("create", "before", 0, "status"),
        ("create", "before", 0, "submit"),
        ("create", "after", 0, "submit"),
        ("create", "after", 0, "collect"),
        ("upload", "after", 1, "submit"),
        ("create", "after", 1, "status"),
    ],
)
def test_killed_as_a_call_is_under_way(
    tmp_path: Path, server: BatchServer, kind: str, moment: str, nth: int, first: str
) -> None:
    sandbox = prepared(tmp_path, server)
    die_at_call(sandbox, server, "submit", kind, moment, nth)
    assert_bought_once(sandbox, server, first)


def test_killed_again_while_it_looks_for_what_was_bought(
    tmp_path: Path, server: BatchServer, waits: list[float]
) -> None:
    sandbox = prepared(tmp_path, server)
    die_at_call(sandbox, server, "submit", "create", "after")
    for moment in ("before", "after"):
        die_at_call(sandbox, server, "submit", "list", moment)
    for number in (1, 2):  # as it writes what it found, as it prepares the rest
        assert batch_and_die(sandbox, "submit", number).returncode == -signal.SIGKILL
    assert waits == []
    assert_bought_once(sandbox, server, "submit")


def test_a_batch_that_a_list_shows_late_is_waited_for(
    tmp_path: Path, server: BatchServer, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = prepared(tmp_path, server)
    die_at_call(sandbox, server, "submit", "create", "after")
    server.hidden = {"batch_0"}
    for action in ("status", "collect"):
        (one, _) = sorted(batch(sandbox, action)["batches"], key=lambda each: each["status"] != "unclear")
        assert (one["status"], one["batch"]) == ("unclear", one["id"])

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        server.hidden = set()

    monkeypatch.setattr(batch_api, "PATIENT", Patience(tries=3, sleep=sleep))
    shown = sandbox("llm", "batch", "submit")
    assert "it is not known whether the provider took batch " in shown.err
    assert len(waits) == 1
    assert 0 < waits[0] <= 60
    assert_bought_once(sandbox, server, "submit")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_killed_while_it_collects(tmp_path: Path, server: BatchServer, number: int, moment: str) -> None:
    """1: what the provider says, 2: the answers are here, 3: collected; 4, 5, 6: the other one the same."""
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    server.finish()
    assert batch_and_die(sandbox, "collect", number, moment).returncode == -signal.SIGKILL
    assert batch(sandbox, "submit")["batches"] == []
    shown = sandbox("llm", "batch", "collect")
    # of a batch that is not marked as collected, all answers are counted; those that had come through were there
    done = {(3, "after"): 5, (4, "before"): 5, (4, "after"): 5, (5, "before"): 5, (5, "after"): 5, (6, "before"): 5}
    left_over = 9 - (9 if (number, moment) == (6, "after") else done.get((number, moment), 0))
    assert (f"\n{left_over} answers kept" in shown.out) == (left_over > 0)
    before = {(3, "before"): 5, (6, "before"): 4}.get((number, moment), 0)
    assert (f"({before} of them before)" in shown.out) == (before > 0)
    assert_kept_once(sandbox, server)


@pytest.mark.parametrize("kind", ["retrieve", "content"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_as_answers_are_fetched(tmp_path: Path, server: BatchServer, kind: str, moment: str) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    server.finish()
    die_at_call(sandbox, server, "collect", kind, moment)
    assert "9 answers kept" in sandbox("llm", "batch", "collect").out
    assert_kept_once(sandbox, server)
