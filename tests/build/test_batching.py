"""Prompts in batches, as the command line submits, watches, collects and cancels them."""

from __future__ import annotations

import csv
import fcntl
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.llm import batch_api, batch_input
from teachkit.llm.batch_api import Patience
from tests.build.test_prompts import PROMPT, profiles, project, rows, texts
from tests.llm.batch_server import BatchServer
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRICES = 'as_of: "2026-11-25"\nmodels: {tiny: {input: 100, output: 100, batch: 0.5}}\n'
FRONT = "max_tokens: 30"


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as running:
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is waited for, which takes no time."""
    slept: list[float] = []
    monkeypatch.setattr(batch_api, "PATIENT", Patience(tries=3, sleep=slept.append))
    return slept


def prepared(folder: Path, server: BatchServer, **files: str | None) -> Sandbox:
    """A project with a priced prompt, its items built."""
    sandbox = project(folder, server, **{"prices.yml": PRICES, **files})
    sandbox("build", "--select", "+reviews")
    return sandbox


def batch(sandbox: Sandbox, *words: str, code: int = 0, **how: Any) -> Any:
    """``teachkit llm batch`` in JSON."""
    return sandbox("llm", "batch", *words, "--format", "json", code=code, **how).json


def left(sandbox: Sandbox) -> list[str]:
    folder = sandbox.root / ".teachkit/llm/batches"
    return sorted(p.suffix for p in folder.iterdir() if p.name != "lock") if folder.is_dir() else []


# ---------------------------------------------------------------------------- the whole way


def test_a_prompt_is_answered_by_a_batch_and_the_build_asks_nothing(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    assert sandbox("llm", "batch", "status").out == "no batch is open\n"
    assert sandbox("llm", "batch", "collect").out == "nothing to collect\n"
    submitted = batch(sandbox, "submit")
    (prompt,), (one,) = submitted["prompts"], submitted["batches"]
    count = texts(sandbox)
    assert (prompt["id"], prompt["requests"], prompt["submitted"]) == ("prompt.mood.ask", count, count)
    assert 0 < prompt["low"] < prompt["high"]
    assert prompt["high"] == pytest.approx(one["worst"])
    plan = sandbox("llm", "plan", "--format", "json").json["prompts"][0]
    assert prompt["high"] == pytest.approx(plan["high"] / 2)
    assert prompt["low"] == pytest.approx(plan["low"] / 2, rel=0.01)  # that rounds each request up to a token
    assert (one["batch"], one["status"], one["requests"]) == ("batch_0", "in_progress", count)
    assert one["submitted"] == "2025-10-09T08:53:20+00:00"
    (one,) = batch(sandbox, "status")["batches"]
    assert (one["completed"], one["failed"], one["prompts"]) == (0, 0, {"prompt.mood.ask": count})
    assert batch(sandbox, "collect")["batches"][0]["collected"] is None
    server.finish()
    assert batch(sandbox, "status", "ask")["batches"][0]["status"] == "completed"
    shown = sandbox("llm", "batch", "collect")
    assert "completed, collected" in shown.out
    assert f"\n{count} answers kept, 0." in shown.out
    assert sandbox("llm", "batch", "status").out == "no batch is open\n"
    (one,) = batch(sandbox, "status", "--all")["batches"]
    assert (one["kept"], one["failures"]) == (count, {})
    run = sandbox("build", "--format", "json").json
    assert run["passed"]
    assert run["cost"] == 0
    assert server.total == 0
    assert set(server.bought.values()) == {1}
    assert f"cost: {round(one['cost'], 4)}" in sandbox.read("teachkit.lock")
    assert "nothing to submit: every request has an answer, or is in a batch" in sandbox("llm", "batch", "submit").out
    said = sandbox("show", "ask", "--limit", "-1", "--format", "json").json["rows"]
    alone = project(tmp_path / "alone", server)
    alone("build")
    assert alone("show", "ask", "--limit", "-1", "--format", "json").json["rows"] == said


SEVEN = "Größe,味,χρώμα,цена,ריח,الصوت,🎵"
SPICY = """
id,text
a,"naïve, ""quoted"" 味 🎵"
b,"two
lines"
c,"  "
d,
e,שלום
"""


@pytest.mark.parametrize("lines", [0, 1, 5])
def test_another_task_of_seven_labels_in_any_script(tmp_path: Path, server: BatchServer, lines: int) -> None:
    """An item that shows nothing is not asked about, in a batch or by itself."""
    records = list(csv.reader(SPICY.strip().splitlines(keepends=True)))
    with (tmp_path / "notes.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(records[: lines + 1])
    table = "{name: notes, path: notes.csv, key: id, columns: {text: {type: varchar}}}"
    notes = f"sources:\n  - name: box\n    tables:\n      - {table}\n"
    task = f"tasks:\n  - {{name: about, kind: multichoice, labels: [{SEVEN}], dataset: ref('notes'), key: id}}\n"
    sandbox = Sandbox(tmp_path, {
        "teachkit.yml": "name: notes\n",
        "profiles.yml": profiles(server.url),
        "sources/box.yml": notes,
        "transforms/notes.sql": "select id, text from {{ source('box', 'notes') }}\n",
        "tasks/about.yml": task,
        "prompts/about/what.md": PROMPT,
        "label_models/about.yml": "label_models:\n  - {name: topics, task: about, type: majority}\n",
    })  # fmt: skip
    sandbox("build", "--select", "+notes")
    wanted = {0: 0, 1: 1, 5: 3}[lines]
    submitted = batch(sandbox, "submit")
    assert (submitted["prompts"][0]["submitted"], len(submitted["batches"])) == (wanted, int(wanted > 0))
    server.finish()
    batch(sandbox, "collect")
    sandbox("build")
    assert server.total == 0
    assert len(server.bought) == wanted
    assert len(sandbox.rows("topics")) == lines
    bodies = [body for stored in server.batches.values() for body in stored.asked.values()]
    for body in bodies:
        enum = body["response_format"]["json_schema"]["schema"]["properties"]["labels"]["items"]["enum"]
        assert enum == [*SEVEN.split(","), "ABSTAIN"]


def test_prompts_of_several_models_tables_and_repeats(tmp_path: Path, server: BatchServer) -> None:
    models = "---\nunvalidated: allow\nmodels: [tiny, other]\n---\nReview: {{ item.text }}\n"
    table = "---\noutput: {labels: none, columns: {topic: {type: string}}}\n---\nTopic of {{ item.text }}?\n"
    repeats = "confidence: {by: repeats, repeats: 3, calibrate: none}"
    often = f"---\nunvalidated: allow\n{repeats}\n---\nIs {{{{ item.text }}}} good?\n"
    sandbox = prepared(tmp_path, server)
    sandbox.write(
        {
            "prices.yml": None,
            "prompts/mood/ask.md": models,
            "prompts/mood/facts.md": table,
            "prompts/mood/often.md": often,
        }
    )
    found = batch(sandbox, "submit")
    count = texts(sandbox)
    counts = {p["id"]: p["submitted"] for p in found["prompts"]}
    assert counts == {
        "prompt.mood.ask_tiny": count,
        "prompt.mood.ask_other": count,
        "enrichment.facts": count,
        "prompt.mood.often": 2 * count,
    }
    assert {p["high"] for p in found["prompts"]} == {None}
    assert sorted((b["model"], b["requests"]) for b in found["batches"]) == [("other", count), ("tiny", 4 * count)]
    server.finish()
    batch(sandbox, "collect")
    sandbox("build", "--select", "+ask_tiny", "+ask_other", "+facts")
    assert server.total == 0
    assert {p["missing"] for p in sandbox("llm", "plan", "--format", "json").json["prompts"]} == {0}


def test_two_batches_of_one_prompt(tmp_path: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "MOST_REQUESTS", 4)
    sandbox = prepared(tmp_path, server)
    shown = sandbox("llm", "batch", "submit")
    assert "batch 2 of 3: 4 requests" in shown.err
    assert f"{texts(sandbox)} requests in 3 batches submitted, up to " in shown.out
    server.finish(only="batch_1")
    shown = sandbox("llm", "batch", "collect")
    assert "\n4 answers kept" in shown.out
    assert [b["batch"] for b in batch(sandbox, "status")["batches"]] == ["batch_0", "batch_2"]
    assert "a batch was bought for 5 requests" in sandbox("build", code=1).out


def test_what_failed_is_submitted_again_or_asked_by_a_build(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    keys = sorted(server.bought)
    of = dict(zip(keys, ["expired", "HTTP 429", "HTTP 400"], strict=False))
    server.finish(lambda key, body: of.get(key, "ok"), status="expired")
    assert sandbox("llm", "batch", "status", code=1).out.splitlines()[1].split()[2] == "expired"
    shown = sandbox("llm", "batch", "collect", code=1)
    assert "3 requests without an answer: 2 bad, 1 batch_expired" in shown.out
    assert "  the first: 'r0" in shown.out
    assert "love" not in shown.out  # row text
    assert batch(sandbox, "submit")["prompts"][0]["submitted"] == 3
    batch(sandbox, "cancel", "ask")
    server.finish(lambda key, body: "ok" if key == keys[0] else "none", status="cancelled")
    assert "1 answer kept" in sandbox("llm", "batch", "collect").out
    sandbox("build")
    assert server.total == 2
    assert set(server.bought.values()) == {1, 2}


def test_a_batch_that_is_refused_as_a_whole_is_told_by_status_and_collect(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    sandbox.replace("prompts/mood/ask.md", "Review:", "A forbidden review:")
    batch(sandbox, "submit")
    for action in ("status", "collect"):
        shown = sandbox("llm", "batch", action, code=1)
        assert "batch_0: invalid_request: (its message quotes the request) (line 1)" in shown.out
    assert "9 requests without an answer: 9 failed" in shown.out
    sandbox("build")
    assert not server.bought


def test_odd_lines_and_lost_files_are_told(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    server.finish(lambda key, body: "no-usage", change=lambda lines: [*lines[:-1], lines[-1][:9]])
    shown = sandbox("llm", "batch", "collect", code=1)
    assert "1 lines that cannot be read. It is left in " in shown.out
    assert "batch_0: 8 answers have no price" in shown.out
    assert "1 request without an answer: 1 no answer" in shown.out


# ---------------------------------------------------------------------------- what is refused


def refused(sandbox: Sandbox, server: BatchServer, *words: str, code: int = 2, **how: Any) -> str:
    """``submit`` sends nothing and leaves nothing."""
    before = left(sandbox)
    shown = sandbox("llm", "batch", "submit", *words, code=code, **how)
    assert sum(server.calls.values()) == 0
    assert left(sandbox) == before
    return shown.err


def test_what_may_cost_too_much_is_not_uploaded(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    would = batch(sandbox, "submit", "--dry-run")
    high = would["prompts"][0]["high"]
    assert would["batches"][0]["status"] == "prepared"
    assert left(sandbox) == []
    said = refused(sandbox, server, "--max-cost", "0.01")
    assert f"the 9 requests of all prompts may cost up to {high:.6f} USD, more than the 0.01 USD of --max-cost" in said
    sandbox.replace("prompts/mood/ask.md", FRONT, f"{FRONT}\nbudget: 0.02")
    said = refused(sandbox, server)
    assert f"of 'prompt.mood.ask' may cost up to {high:.6f} USD, more than the 0.02 USD of its budget" in said
    assert "raise 'budget' in prompts/mood/ask.md" in said
    sandbox.replace("prompts/mood/ask.md", "\nbudget: 0.02", "")
    sandbox.write(
        {"profiles.yml": profiles(server.url).replace("mode: live", "mode: live\n              budget: 0.03")}
    )
    assert "more than the 0.03 USD of the budget of target 'dev'" in refused(sandbox, server)
    sandbox.write({"profiles.yml": profiles(server.url)})
    assert batch(sandbox, "submit", "--max-cost", f"{high:.6f}1")["batches"][0]["batch"] == "batch_0"


def test_prices_are_needed_where_money_is_limited(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server, **{"prices.yml": None})
    assert "--max-cost: there is no prices.yml to count with" in refused(sandbox, server, "--max-cost", "1")
    sandbox.replace("prompts/mood/ask.md", FRONT, f"{FRONT}\nbudget: 1")
    assert "has a budget, and there is no prices.yml" in refused(sandbox, server, code=1)
    sandbox.write({"prices.yml": PRICES.replace("tiny", "tinier")})
    assert "has no model 'tiny'" in refused(sandbox, server)
    sandbox.replace("prompts/mood/ask.md", "budget: 1", "unpriced: allow")
    assert batch(sandbox, "submit", "--max-cost", "0")["prompts"][0]["high"] is None


def test_what_must_hold_before_a_build_asks_must_hold_here(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    sandbox.replace("prompts/mood/ask.md", "unvalidated: allow\n", "")
    assert "prompt 'ask' is not validated" in refused(sandbox, server, code=1)
    sandbox.write({"prompts/mood/ask.md": PROMPT, "profiles.yml": profiles(server.url, mode="replay")})
    assert "target 'dev' replays recordings and asks nobody" in refused(sandbox, server)
    url = server.url.replace("127.0.0.1", "evil.example")
    sandbox.write({"profiles.yml": profiles(url, more=", api_key_env: SHOP_KEY")})
    assert "evil.example" in refused(sandbox, server, env={"SHOP_KEY": "sk-canary-0123456789"})
    sandbox.write({"profiles.yml": profiles(server.url, more=", api_key_env: SHOP_KEY")})
    assert "SHOP_KEY is not set" in refused(sandbox, server)
    sandbox.write({"profiles.yml": profiles(server.url)})
    sandbox.replace("prompts/mood/ask.md", FRONT, f"{FRONT}\nenabled: false")
    assert sandbox("llm", "batch", "submit").out == "no prompt is switched on\n"


def test_items_must_be_there(tmp_path: Path, server: BatchServer) -> None:
    sandbox = project(tmp_path, server)
    assert "has not been built" in refused(sandbox, server)


def test_options_and_names_that_do_not_fit_are_refused(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    for words, said in (
        (["status", "--max-cost", "1"], "--max-cost: it is not for 'status'"),
        (["collect", "--dry-run"], "--dry-run: it is not for 'collect'"),
        (["submit", "--all"], "--all: it is not for 'submit'"),
        (["status", "--forget"], "give it to 'llm batch cancel', or leave it out"),
        (["cancel"], "which batches are to be cancelled is not said"),
        (["status", "batch_9"], "no batch is called 'batch_9', nor of it"),
        (["sumbit"], "is not one of"),
        ([], "Missing argument"),
        (["submit", "--max-cost", "-1"], "-1.0 is not in the range"),
        (["submit", "nobody"], "nobody"),
    ):
        assert said in sandbox("llm", "batch", *words, code=2).err
    assert "'batch' comes first" in sandbox("llm", "--format", "json", "batch", "submit", code=2).err
    assert "--max-cost" in sandbox("llm", "batch", "--help").out
    batch(sandbox, "submit")
    shown = sandbox("llm", "batch", "collect", "batch-0", code=2)
    assert "known: batch_0. Did you mean 'batch_0'?" in shown.err


def test_a_refusal_of_a_later_batch_keeps_the_earlier(
    tmp_path: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_input, "MOST_REQUESTS", 4)
    sandbox = prepared(tmp_path, server)
    server.call_faults["create"] = ["ok", "quota"]
    shown = sandbox("llm", "batch", "submit", code=1)
    assert "4 requests in 1 batch submitted, then it failed" in shown.out
    assert "llm-quota-spent" in shown.err
    assert left(sandbox) == [".json", ".jsonl", ".rows"]
    found = batch(sandbox, "submit")
    assert (found["prompts"][0]["waiting"], found["prompts"][0]["submitted"]) == (4, 5)
    assert set(server.bought.values()) == {1}
    server.call_faults["upload"] = ["auth"]
    sandbox.replace("prompts/mood/ask.md", "Review:", "The review:")
    assert batch(sandbox, "submit", code=1)["error"]["slug"] == "llm-auth-refused"


# ---------------------------------------------------------------------------- beside a build


def test_a_build_does_not_ask_what_is_in_an_open_batch(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    for words in (["build"], ["build", "--llm", "record"], ["try", "--prompt", "ask"]):
        if "record" in words:
            sandbox.replace("sources/shop.yml", "key: id", "key: id\n        record: true")
        shown = sandbox(*words, code=1)
        assert "requests of prompt 'ask', and is not collected" in shown.all
        assert "teachkit llm batch collect" in shown.all
    assert server.total == 0
    sandbox("build", "--llm", "replay", code=1)
    other = texts(sandbox)
    sandbox.replace("prompts/mood/ask.md", "Review:", "The review:")  # another question is nobody's
    sandbox("build")
    assert server.total == other


def test_a_submission_does_not_buy_what_a_build_is_asking(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    begun, go_on = threading.Event(), threading.Event()

    def hold(total: int) -> None:
        if total == 1:
            begun.set()
            go_on.wait(60)

    server.on_request = hold
    building = sandbox.start("build", "--select", "+ask")
    assert begun.wait(60)
    submitting = sandbox.start("llm", "batch", "submit")
    assert submitting.stderr
    said = submitting.stderr.readline()
    go_on.set()
    building.communicate(timeout=60)
    out, _ = submitting.communicate(timeout=60)
    assert (building.returncode, submitting.returncode) == (0, 0)
    assert "another build is asking prompt 'ask'; this one waits for it" in said
    assert "nothing to submit" in out
    assert not server.bought


def test_one_process_at_a_time_works_on_batches(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    held = os.open(sandbox.root / ".teachkit/llm/batches/lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    status = sandbox.start("llm", "batch", "status")
    assert status.stderr
    assert "another teachkit is working on batches; this one waits for it" in status.stderr.readline()
    os.close(held)
    out, _ = status.communicate(timeout=60)
    assert "batch_0" in out


# ---------------------------------------------------------------------------- trouble while looking


def test_a_provider_that_cannot_be_asked_is_said_once(
    tmp_path: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr(batch_input, "MOST_REQUESTS", 4)
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    server.finish(only="batch_2")
    server.call_faults["retrieve"] = ["500"] * 3
    found = batch(sandbox, "status", code=1)
    assert [b["status"] for b in found["batches"]] == ["in_progress"] * 3  # as they were
    assert [e["slug"] for e in found["errors"]] == ["llm-batch-outage"]
    assert waits == [1.0, 2.0]
    assert server.calls["retrieve"] == 3
    for fault, slug in (("auth", "llm-auth-refused"), ("redirect", "llm-redirect-refused")):
        server.call_faults["retrieve"] = [fault]
        shown = sandbox("llm", "batch", "collect", code=1)
        assert f"[{slug}]" in shown.err
        assert "answers kept" not in shown.out
    assert "1 answer kept" in sandbox("llm", "batch", "collect").out


def test_a_batch_that_is_not_known_there_can_be_forgotten(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    server.batches.clear()
    assert "127.0.0.1" in sandbox("llm", "batch", "status", code=1).err
    assert "[llm-batch-missing]" in sandbox("llm", "batch", "cancel", "batch_0", code=1).err
    shown = sandbox("llm", "batch", "cancel", "--forget", "batch_0")
    assert "batch batch_0 is dropped" in shown.out
    sandbox("build")
    assert server.total == texts(sandbox)


def test_a_batch_whose_provider_left_the_profile(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    sandbox.write({"profiles.yml": profiles("http://127.0.0.1:9/v1")})
    found = batch(sandbox, "status", code=2)
    assert found["errors"][0]["slug"] == "llm-batch-provider-gone"
    assert found["batches"][0]["batch"] == "batch_0"
    assert f"base_url: {server.url}" in found["errors"][0]["advice"]
    batch(sandbox, "cancel", "ask", code=2)
    sandbox.write({"profiles.yml": profiles(server.url, more=", api_key_env: SHOP_KEY")})
    assert batch(sandbox, "collect", code=2)["errors"][0]["slug"] == "llm-key-missing"
    sandbox.write({"profiles.yml": profiles("http://127.0.0.1:9/v1")})
    assert batch(sandbox, "cancel", "ask", "--forget")["dropped"] == ["batch_0"]


def test_a_batch_is_looked_at_with_the_key_that_bought_it(tmp_path: Path, server: BatchServer) -> None:
    """Two accounts at one address: equal requests are bought once, and each batch is asked after with its own key."""
    sandbox = prepared(tmp_path, server)
    keys = {"FIRST_KEY": "sk-first-012345", "OTHER_KEY": "sk-other-012345"}
    one = f'base_url: "{server.url}", model: tiny, api_key_env:'
    two = "".join(f"\n    {name.lower()}: {{{one} {name}}}" for name in keys)
    target = f"memory: 500MB\n  llm:\n   provider: other_key\n   providers:{two}\n"
    first = PROMPT.replace("max_tokens: 30", "max_tokens: 30\nprovider: first_key")
    sandbox.write({"profiles.yml": f"default: dev\ntargets:\n dev:\n  {target}", "prompts/mood/first.md": first})
    found = batch(sandbox, "submit", env=keys)
    assert sorted(p["waiting"] for p in found["prompts"]) == [0, texts(sandbox)]
    sandbox.replace("prompts/mood/first.md", "Review:", "The review:")
    server.call_faults |= {"create": ["cut-after"], "list": ["bad-request"]}
    assert batch(sandbox, "submit", code=1, env=keys)["error"]["slug"] == "llm-batch-unclear"
    server.headers.clear()
    server.kinds.clear()
    batch(sandbox, "submit", env=keys)
    assert (server.kinds[0], server.headers[0]["authorization"]) == ("list", f"Bearer {keys['FIRST_KEY']}")
    server.headers.clear()
    server.finish()
    batch(sandbox, "collect", env=keys)
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {key}" for key in keys.values()}
    assert set(server.bought.values()) == {1}
    sandbox("build", env=keys)
    assert server.total == 0


def test_a_state_that_cannot_be_read_stops_build_and_batch(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    (state,) = (sandbox.root / ".teachkit/llm/batches").glob("*.json")
    state.write_text("{torn")
    for words, code in ((["build"], 1), (["llm", "batch", "status"], 2), (["llm", "batch", "submit"], 2)):
        shown = sandbox(*words, code=code)
        assert "[llm-bad-batch-state]" in shown.all
    assert server.total == 0


def test_cancelling_stops_it_there(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    batch(sandbox, "submit")
    shown = sandbox("llm", "batch", "cancel", "mood.ask")
    assert "cancelling" in shown.out
    assert server.batches["batch_0"].whole["status"] == "cancelling"
    assert "is not collected" in sandbox("build", code=1).out
    server.finish(lambda key, body: "none", status="cancelled")
    shown = sandbox("llm", "batch", "collect")
    assert "9 requests without an answer: 9 cancelled" in shown.out
    assert sandbox("llm", "batch", "cancel", "ask").out == "nothing to cancel\n"
    sandbox("build")
    assert server.total == texts(sandbox)


def test_python_does_the_same(tmp_path: Path, server: BatchServer) -> None:
    from teachkit import Project

    sandbox = prepared(tmp_path, server)
    found = Project.load(sandbox.root)
    assert found.llm_batch_submit("ask", dry_run=True).batches[0].phase == "prepared"
    assert found.llm_batch_submit("ask", max_cost=1.0).batches[0].phase == "sent"
    assert found.llm_batch_status().batches[0].status == "in_progress"
    assert found.llm_batch_cancel(["ask"]).batches[0].status == "cancelling"
    server.finish(status="cancelled")
    assert found.llm_batch_collect(["ask"]).batches[0].kept == texts(sandbox)


def test_a_price_of_a_batch_is_a_share(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    for value, said in (("1.5", "less than or equal to 1"), ("-1", "greater than or equal to 0"), ("half", "number")):
        sandbox.write({"prices.yml": PRICES.replace("0.5", value)})
        assert "batch" in sandbox("parse", code=2).err, said
    sandbox.write({"prices.yml": PRICES.replace(", batch: 0.5", "")})
    full = batch(sandbox, "submit", "--dry-run")["prompts"][0]["high"]
    sandbox.write({"prices.yml": PRICES})
    assert batch(sandbox, "submit", "--dry-run")["prompts"][0]["high"] == pytest.approx(full / 2)


def test_what_is_bought_is_what_compile_shows(tmp_path: Path, server: BatchServer) -> None:
    sandbox = prepared(tmp_path, server)
    (shown,) = sandbox("compile", "--select", "ask", "--item", "r001", "--format", "json").json["requests"]
    batch(sandbox, "submit")
    assert server.batches["batch_0"].asked[shown["key"]] == shown["body"]
    assert rows(sandbox) > texts(sandbox)


@pytest.mark.parametrize(
    ("front", "what"),
    [
        ("examples: {select: nearest, k: 2, by: embedding, embedding_model: vec}\n", "chooses examples by vectors"),
        ("confidence: {by: decisions}\n", "asks for decisions"),
    ],
)
def test_what_no_batch_takes_is_refused(front: str, what: str, tmp_path: Path) -> None:
    with BatchServer() as server:
        sandbox = project(tmp_path, server)
        body = "{% for e in examples %}{{ e.text }}{% endfor %}{{ item.text }}\n"
        sandbox.write({"prompts/mood/ask.md": f"---\nunvalidated: allow\n{front}---\n{body}"})
        sandbox.write({"profiles.yml": profiles(server.url, more=", decisions: true")})
        sandbox("build", "--select", "+reviews")
        shown = sandbox("llm", "batch", "submit", "ask", code=1)
        assert f"prompt 'ask' {what}: no batch takes that" in shown.err


def test_a_provider_that_is_said_to_take_no_batches_is_sent_none(tmp_path: Path) -> None:
    with BatchServer() as server:
        sandbox = project(tmp_path, server)
        sandbox.write({"profiles.yml": profiles(server.url, more=", batches: false")})
        sandbox("build", "--select", "+reviews")
        shown = sandbox("llm", "batch", "submit", "ask", code=1)
        assert "provider 'here' of prompt 'ask' is said to take no batches" in shown.err
