"""Scores beside votes: log-probabilities, repeats, calibration, bands in label models, cascades."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.store import Store
from tests.build.test_prompts import profiles, project
from tests.llm.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox import Sandbox

FEW = ["train"] * 6 + ["tune"] * 3 + ["test"]


def data(rows: int, splits: list[str]) -> str:
    """Reviews numbered from 0, every second one good."""
    lines = ["id,text,stars,mood,split"]
    for i in range(rows):
        lines.append(
            f'n{i},"review number {i} of many",{1 + i % 5},{"+" if i % 2 == 0 else "-"},{splits[i % len(splits)]}'
        )
    return "\n".join(lines) + "\n"


def number(body: dict[str, Any]) -> int:
    return int(body["messages"][-1]["content"].split("number ")[1].split()[0])


def chance(body: dict[str, Any], salt: str = "") -> float:
    return int(hashlib.sha256(f"{salt}{number(body)}".encode()).hexdigest()[:8], 16) / 2**32


def shares(body: dict[str, Any]) -> dict[str, float]:
    """A model whose probability is honest: of answers with 0.8, eight in ten are right. The strong one errs never."""
    truth, other = ("good", "bad") if number(body) % 2 == 0 else ("bad", "good")
    if body["model"] == "strong":
        return {truth: 0.999, other: 0.001}
    sure = 0.55 + 0.44 * chance(body, "how sure")
    said, unsaid = (truth, other) if chance(body, "fortune") < sure else (other, truth)
    return {said: sure, unsaid: 1 - sure}


def made(folder: Path, server: Server, front: str, *, rows: int = 400, splits: list[str] | None = None) -> Sandbox:
    sandbox = project(folder, server)
    sandbox.write(
        {
            "data/reviews.csv": data(rows, splits or ["tune", "tune", "test", "test", "train"]).encode(),
            "prompts/mood/ask.md": f"---\ntemperature: 0\n{front}---\nReview: {{{{ item.text }}}}\n",
        }
    )
    return sandbox


def votes(sandbox: Sandbox) -> list[dict[str, Any]]:
    query = "select a.*, d.mood, d.split from votes.mood_ask a join data.reviews d using (id)"
    found: list[dict[str, Any]] = sandbox("sql", query, "--format", "json", "--limit", "-1").json["rows"]
    return found


# ---------------------------------------------------------------------------- log-probabilities


def test_scores_come_from_log_probabilities_and_are_calibrated(tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, "confidence: {by: logprobs}\n")
        sandbox("build", "--select", "+ask")
        assert server.seen[0].body["logprobs"] is True
        assert server.seen[0].body["top_logprobs"] == 20
        found = votes(sandbox)
        expected = {f"n{number(s.body)}": max(shares(s.body).values()) for s in server.seen}
        assert {row["id"]: row["raw_score"] for row in found} == pytest.approx(expected, abs=1e-6)
        assert all(0 < row["probability"] < 1 for row in found)
        low = [row["probability"] for row in found if row["raw_score"] < 0.65]
        high = [row["probability"] for row in found if row["raw_score"] > 0.9]
        assert max(low) <= min(high)
        before = server.total
        sandbox("build", "--select", "+ask")
        assert server.total == before


def test_calibration_learns_from_tune_alone(tmp_path: Path) -> None:
    """Gold of the test split is turned round: nothing changes but what is measured on it."""
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, "confidence: {by: logprobs}\n")
        sandbox("build", "--select", "+ask")
        before = {row["id"]: row["probability"] for row in votes(sandbox)}
        flipped = [
            line.replace(",+,test", ",X,test").replace(",-,test", ",+,test").replace(",X,test", ",-,test")
            for line in sandbox.read("data/reviews.csv").splitlines()
        ]
        sandbox.write({"data/reviews.csv": ("\n".join(flipped) + "\n").encode()})
        sandbox("build", "--select", "+ask")
        assert {row["id"]: row["probability"] for row in votes(sandbox)} == before
        turned = [line.replace(",-,tune", ",+,tune") for line in flipped]
        sandbox.write({"data/reviews.csv": ("\n".join(turned) + "\n").encode()})
        sandbox("build", "--select", "+ask")
        assert {row["id"]: row["probability"] for row in votes(sandbox)} != before


def test_a_temperature_calibrates_too(tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, "confidence: {by: logprobs, calibrate: temperature}\n")
        sandbox("build", "--select", "+ask")
        found = sorted(votes(sandbox), key=lambda row: row["raw_score"])
        assert [row["probability"] for row in found] == sorted(row["probability"] for row in found)


def test_with_little_gold_scores_stay_raw_and_that_is_said(tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, "confidence: {by: logprobs}\nunvalidated: allow\n", rows=60, splits=FEW)
        shown = sandbox("build", "--select", "+ask")
        assert (
            "18 of the 50 items that calibration takes have gold in tune and a vote; its scores stay raw" in shown.all
        )
        assert "probability" not in votes(sandbox)[0]
        assert "raw_score" in votes(sandbox)[0]


def test_scores_enter_the_label_model(tmp_path: Path) -> None:
    """Votes of a high band are trusted more than those of a low one, and lineage shows of which band a vote is."""
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, "confidence: {by: logprobs, bands: [0.7, 0.9]}\n", rows=1500)
        sandbox.write(
            {
                "label_models/mood.yml": """
            label_models:
              - {name: moods, task: mood, type: weighted, voters: [ask, stars]}
            """
            }
        )
        sandbox("build", "--select", "+moods", "--exclude", "test_type:data")
        found = sandbox("analyze", "mood", "--format", "json").json
        learned = {row["voter"]: row["accuracy"] for row in found["voters"] if row["voter"].startswith("ask")}
        assert set(learned) == {"ask[low]", "ask[0.7]", "ask[0.9]"}
        assert learned["ask[low]"] < learned["ask[0.7]"] < learned["ask[0.9]"]
        why = sandbox("lineage", "moods", "n4", "--format", "json").json
        (vote,) = [v for v in why["votes"] if v["kind"] == "prompt"]
        row = next(row for row in votes(sandbox) if row["id"] == "n4")
        assert vote["probability"] == pytest.approx(row["probability"])
        assert vote["raw_score"] == pytest.approx(row["raw_score"])
        assert vote["voter"].startswith("ask[")
        assert vote["contribution"] is not None
        assert f"probability {row['probability']:.3f}" in sandbox("lineage", "moods", "n4").out
        sandbox.replace("label_models/mood.yml", "type: weighted", "type: weighted, parameters: {weights: {ask: 0.99}}")
        sandbox("build", "--select", "moods", "--exclude", "test_type:data")


def test_a_provider_that_gives_no_log_probabilities_leaves_scores_of_one(tmp_path: Path) -> None:
    with Server() as server:
        sandbox = made(tmp_path, server, "confidence: {by: logprobs}\n", rows=150)
        sandbox("build", "--select", "+ask")
        assert {row["raw_score"] for row in votes(sandbox) if row["label"]} == {1.0}


# ---------------------------------------------------------------------------- repeats


def test_items_whose_answers_differ_are_asked_again(tmp_path: Path) -> None:
    """The second answer about every tenth item differs from the first; its further ones side with the second."""
    asked: dict[int, int] = {}

    def answer(body: dict[str, Any]) -> Any:
        n = number(body)
        nth = asked[n] = asked.get(n, -1) + 1
        return {"label": "bad" if n % 10 == 0 and nth > 0 else "good"}

    with Server(answer=answer) as server:
        sandbox = made(tmp_path, server, "confidence: {by: repeats, repeats: 4}\n", rows=100, splits=["tune", "test"])
        sandbox("build", "--select", "+ask")
        assert asked == {n: 3 if n % 10 == 0 else 1 for n in range(100)}
        found = {row["id"]: row for row in votes(sandbox)}
        assert {found[f"n{n}"]["raw_score"] for n in range(100) if n % 10} == {1.0}
        assert {found[f"n{n}"]["raw_score"] for n in range(0, 100, 10)} == {0.75}
        assert {found[f"n{n}"]["label"] for n in range(0, 100, 10)} == {"bad"}
        total = server.total
        sandbox("build", "--full-refresh", "--select", "+ask")
        assert server.total == total


def test_uncertain_items_are_repeated_by_their_log_probability(tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        front = "confidence: {by: logprobs, repeats: 3, below: 0.7}\n"
        sandbox = made(tmp_path, server, front, rows=200)
        sandbox.write({"prices.yml": PRICES})
        sandbox("build", "--select", "+reviews")
        before = sandbox("llm", "plan", "--format", "json").json["prompts"][0]
        assert before["more"] == 400
        sandbox("build", "--select", "+ask")
        times: dict[int, int] = {}
        for seen in server.seen:
            times[number(seen.body)] = times.get(number(seen.body), 0) + 1
        unsure = {number(s.body) for s in server.seen if max(shares(s.body).values()) < 0.7}
        assert 0 < len(unsure) < 200
        assert times == {n: 3 if n in unsure else 1 for n in range(200)}
        plan = sandbox("llm", "plan", "--format", "json").json["prompts"][0]
        assert (plan["more"], plan["high"]) == (0, 0)
        sandbox.replace("data/reviews.csv", "review number 5 ", "review number 205 ")
        sandbox("build", "--select", "+reviews")
        plan = sandbox("llm", "plan", "--format", "json").json["prompts"][0]
        assert (plan["missing"], plan["more"]) == (1, 400 - 2 * len(unsure - {5}))
        assert 0 < plan["high"] < before["high"]


def test_an_item_without_all_its_answers_has_no_vote(tmp_path: Path) -> None:
    def script(body: dict[str, Any], nth: int, total: int) -> str:
        return "refusal" if number(body) == 3 and nth == 1 else "ok"

    with Server(script=script, answer=lambda body: {"label": "good"}) as server:
        front = "max_error_rate: 0.1\nconfidence: {by: repeats, repeats: 3}\n"
        sandbox = made(tmp_path, server, front, rows=100, splits=["tune", "test"])
        sandbox("build", "--select", "+ask")
        row = next(row for row in votes(sandbox) if row["id"] == "n3")
        assert (row["label"], row["status"], row["raw_score"]) == (None, "refusal", None)


# ---------------------------------------------------------------------------- cascades

CASCADE = "confidence: {by: logprobs}\ncascade: {to: strong, target: 0.9, of: accuracy, delta: 0.05}\n"
PRICES = 'as_of: "2026-11-25"\nmodels: {tiny: {input: 1, output: 1}, strong: {input: 100, output: 100}}\n'


@pytest.mark.parametrize(("of", "target"), [("accuracy", 0.9), ("precision", 0.8)])
def test_a_cascade_keeps_what_it_is_sure_of(of: str, target: float, tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        front = CASCADE.replace("accuracy", of).replace("0.9,", f"{target},")
        sandbox = made(tmp_path, server, front, rows=1500)
        sandbox.write({"prices.yml": PRICES})
        shown = sandbox("build", "--select", "+ask")
        paid = sandbox.result("prompt.mood.ask")["cost"]
        found = votes(sandbox)
        by = {"tiny-2026-01-01": 0, "strong-2026-01-01": 0}
        for row in found:
            by[row["model"]] += 1
        assert min(by.values()) > 100
        kept = [row for row in found if row["model"].startswith("tiny")]
        judged = kept if of == "precision" else found
        right = sum(row["label"] == ("good" if row["mood"] == "+" else "bad") for row in judged)
        assert right / len(judged) >= target
        assert all(row["raw_score"] is None for row in found if row["model"].startswith("strong"))
        assert f"tiny keeps {len(kept):,} of 1,500 answers" in shown.all
        assert f"{of} {target} holds with confidence 0.95 if the 600 items of tune are a fair sample" in shown.all
        assert "by strong alone" in shown.all
        assert ("for answers that only chose the score" in shown.all) == (of == "accuracy")
        total = server.total
        sandbox("build", "--select", "+ask", "--full-refresh")
        assert server.total == total
        sandbox.write(
            {
                "label_models/mood.yml": """
            label_models:
              - {name: moods, task: mood, type: weighted, voters: [ask, stars]}
            """
            }
        )
        sandbox("build", "--select", "moods", "stars", "--exclude", "test_type:data")
        voters = {row["voter"] for row in sandbox("analyze", "mood", "--format", "json").json["voters"]}
        assert {"ask[tiny]", "ask[strong]"} <= voters
        report = sandbox("llm", "compare", "--format", "json").json["prompts"][0]["scores"]
        assert report["cascade"]["kept"] == len(kept)
        assert report["cascade"]["bound"] >= target
        assert paid == pytest.approx(report["cascade"]["cost"])  # strong answers that only chose the threshold, too
        assert (report["cascade"]["cost_fit"] > 0) == (of == "accuracy")
        assert report["cascade"]["cost"] < report["cascade"]["cost_strong_alone"]
        assert f"cost: {round(paid, 4)}" in sandbox.read("teachkit.lock")


@pytest.mark.parametrize("of", ["accuracy", "precision"])
def test_a_strong_model_may_have_nothing_to_do(of: str, tmp_path: Path) -> None:
    def sure(body: dict[str, Any]) -> dict[str, float]:
        truth, other = ("good", "bad") if number(body) % 2 == 0 else ("bad", "good")
        return {truth: 0.99, other: 0.01}

    with Server(shares=sure) as server:
        sandbox = made(tmp_path, server, CASCADE.replace("accuracy", of), rows=400)
        shown = sandbox("build", "--select", "+ask").all
        assert "tiny keeps 400 of 400 answers" in shown
        assert {row["model"] for row in votes(sandbox)} == {"tiny-2026-01-01"}
        asked_strong = sum(seen.body["model"] == "strong" for seen in server.seen)
        assert asked_strong == (160 if of == "accuracy" else 0)


def test_a_part_of_the_items_may_be_without_gold(tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, CASCADE + "unvalidated: allow\n", rows=1500, splits=["train"])
        sandbox.replace("teachkit.yml", "name: reviews", "name: reviews\npart_rows: 1000")
        sandbox("build", "--select", "+reviews")
        first, *rest = sandbox.json_file(".teachkit/refs/dev.json")["nodes"]["transform.reviews"]["objects"]
        assert rest
        with Store.open(sandbox.root / ".teachkit", create=False) as store:
            ids = set(store.read(first, ["id"]).column(0).to_pylist())
        lines = data(1500, ["train"]).splitlines()
        tune = [line.replace(",train", ",tune") if line.split(",")[0] in ids else line for line in lines]
        sandbox.write({"data/reviews.csv": ("\n".join(tune) + "\n").encode()})
        sandbox("build", "--select", "+ask")
        assert {row["model"] for row in votes(sandbox)} == {"tiny-2026-01-01", "strong-2026-01-01"}


def test_a_cascade_is_refused_where_gold_cannot_tell(tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, CASCADE.replace("0.9,", "0.99,"), rows=400)
        shown = sandbox("build", "--select", "+ask", code=1)
        assert "the cascade of prompt 'ask' cannot promise accuracy 0.99: it takes 299 items at least" in shown.out
        assert "label more items of the tune split, or lower 'target'" in shown.out
        assert server.total == 0
        sandbox.write({"prompts/mood/ask.md": sandbox.read("prompts/mood/ask.md").replace("0.99,", "0.9,")})
        sandbox("build", "--select", "+ask")
        assert server.total > 400


def test_the_plan_counts_the_strong_model(tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, CASCADE, rows=100)
        sandbox.write({"prices.yml": PRICES})
        sandbox("build", "--select", "+reviews")
        plan = sandbox("llm", "plan", "--format", "json").json["prompts"][0]
        assert plan["more"] == 100
        assert plan["high"] > 50 * plan["low"]
        assert "up to 100 requests more, of items that it is not sure of" in sandbox("llm", "plan").out
        assert server.total == 0
        sandbox.write({"data/reviews.csv": data(400, ["tune"]).encode()})
        sandbox.replace("prompts/mood/ask.md", "temperature: 0", "temperature: 0\nunvalidated: allow")
        sandbox("build", "--select", "+ask")
        plan = sandbox("llm", "plan", "--format", "json").json["prompts"][0]
        assert (plan["answered"], plan["more"], plan["high"]) == (400, 0, 0)


def test_scores_replay(tmp_path: Path) -> None:
    with Server(shares=shares) as server:
        sandbox = made(tmp_path, server, CASCADE, rows=400)
        sandbox.replace("sources/shop.yml", "key: id", "key: id\n        record: true")
        sandbox("build", "--select", "+ask", "--llm", "record")
        before = votes(sandbox)
        lines = [json.loads(line) for line in sandbox.read("recordings/mood/ask.jsonl").splitlines()]
        assert len(lines) == server.total
    fresh = sandbox.copy(tmp_path.with_name("again"))
    shutil.rmtree(fresh.root / ".teachkit")
    fresh("build", "--select", "+ask", "--llm", "replay")
    assert votes(fresh) == before


# ---------------------------------------------------------------------------- decisions


def test_decisions_are_votes_with_probabilities(tmp_path: Path) -> None:
    def decide(body: dict[str, Any], question: dict[str, Any]) -> dict[str, float] | None:
        text = body["input"][-1]["content"]
        if "number 7 " in text:
            return None
        good = 0.9 if int(text.split("number ")[1].split()[0]) % 2 == 0 else 0.2
        return {"good": good, "bad": 0.95 - good, "ABSTAIN": 0.05}

    with Server(decide=decide) as server:
        front = "max_error_rate: 0.1\nconfidence: {by: decisions, calibrate: none}\n"
        sandbox = made(tmp_path, server, front, rows=120, splits=["tune", "test"])
        assert "provider 'here' is not known to have decisions" in sandbox("parse", code=2).err
        sandbox.write({"profiles.yml": profiles(server.url, more=", decisions: true")})
        sandbox("build", "--select", "+ask")
        assert {seen.path for seen in server.seen} == {"/v1/decisions"}
        (question,) = server.seen[0].body["questions"]
        assert [choice["value"] for choice in question["choices"]] == ["good", "bad", "ABSTAIN"]
        found = {row["id"]: row for row in votes(sandbox)}
        assert (found["n7"]["label"], found["n7"]["status"]) == (None, "refusal")
        assert (found["n2"]["label"], found["n2"]["raw_score"]) == ("good", pytest.approx(0.9))
        assert (found["n3"]["label"], found["n3"]["raw_score"]) == ("bad", pytest.approx(0.75))
        total = server.total
        sandbox("build", "--select", "+ask", "--full-refresh")
        assert server.total == total


def test_a_provider_that_is_said_to_have_no_log_probabilities_is_not_asked_for_them(tmp_path: Path) -> None:
    with Server() as server:
        sandbox = made(tmp_path, server, "confidence: {by: logprobs}\n", rows=20)
        sandbox.write({"profiles.yml": profiles(server.url, more=", logprobs: false")})
        assert "provider 'here' is not known to have logprobs" in sandbox("parse", code=2).err


def test_decisions_give_no_reasons(tmp_path: Path) -> None:
    with Server() as server:
        sandbox = made(tmp_path, server, "confidence: {by: decisions}\noutput: {reason: true}\n", rows=20)
        assert "decisions are labels alone" in sandbox("parse", code=2).err
