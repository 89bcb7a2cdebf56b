"""Tasks that compare two things: from the task's file to scores, lineage, diff, exports and the site."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from teachkit.label_models import BradleyTerry
from teachkit.votes import Comparisons
from tests.build.duel_project import DUELS, duels_csv
from tests.build.test_prompts import profiles
from tests.diff.conftest import Repo
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.llm.server import Server


@pytest.fixture(scope="session")
def shared_duels(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("duels") / "project", DUELS)
    sandbox("build", "-q")
    return sandbox


@pytest.fixture
def duels(shared_duels: Sandbox, tmp_path: Path) -> Sandbox:
    return shared_duels.copy(tmp_path / "project")


def scores(sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(sandbox("sql", "select * from labels.winners_scores", "--format", "json").json["rows"])


def test_labels_scores_and_tests_come_of_every_kind_of_voter(duels: Sandbox) -> None:
    again = duels.build()
    assert set(again.values()) <= {"reused", "passed"}
    rows = duels.rows("winners")
    assert {row["label"] for row in rows} <= {"left", "right", "same"}
    assert list(rows[0]["posterior"]) == ["left", "right", "same"]
    found = scores(duels)
    assert [row["contestant"] for row in found] == ["alpha", "beta", "gamma", "δ"]
    assert all(row["low"] < row["score"] < row["high"] for row in found)
    whole = sum(row["comparisons"] for row in found)
    assert whole == 120
    assert sum(row["wins"] for row in found) == pytest.approx(sum(row["losses"] for row in found))


def test_the_longer_answer_is_said_to_be_better(duels: Sandbox) -> None:
    known = list(csv.DictReader(duels.read("data/duels.csv").splitlines()))
    labels = duels.labels("winners")
    clear = [r for r in known if abs(len(r["answer_a"]) - len(r["answer_b"])) > 2]
    right = [labels[r["id"]] == ("left" if len(r["answer_a"]) > len(r["answer_b"]) else "right") for r in clear]
    assert sum(right) > 0.9 * len(clear)


def test_analyze_shows_scores_and_who_leans_to_one_side(duels: Sandbox) -> None:
    text = duels("analyze", "better").out
    assert "scores, in log-odds to win against the mean" in text
    assert "how often voters say that the left one is better" in text
    found = duels("analyze", "better", "--format", "json").json
    assert found["scores"] == scores(duels)
    sides = {row["voter"]: row for row in found["sides"]}
    maria = sides["maria"]
    assert (maria["decided"], maria["left"], maria["swapped_left"]) == (40, 1.0, 1.0)
    assert maria["low"] > 0.9
    assert maria["left_bias_low"] > 1
    assert sides["by_length"]["left_bias_low"] < 0 < sides["by_length"]["left_bias_high"]
    assert 0.25 < sides["by_length"]["swapped_left"] < 0.75
    assert sides["longer"]["decided"] < 60


def test_what_votes_move_adds_up_with_what_the_scores_say(duels: Sandbox) -> None:
    for item in ("d00", "d01", "d07"):
        why = duels("lineage", "winners", item, "--format", "json").json
        moved = [v["contribution"] for v in why["votes"]] + list(why["silence"].values())
        odds = math.log(why["posterior"][why["toward"]] / why["posterior"][why["against"]])
        assert why["prior"] + sum(moved) == pytest.approx(odds, abs=1e-9)
        assert why["measure"] == "log_odds"
    known = {row["contestant"]: row["score"] for row in scores(duels)}
    ties = set()  # the log-odds of the better side against a tie, less half the difference of scores
    for item in list(duels.labels("winners"))[:20]:
        why = duels("lineage", "winners", item, "--format", "json").json
        ahead = known[why["row"]["model_a"]] - known[why["row"]["model_b"]]
        against_tie = why["prior"] if why["against"] == "same" else -why["prior"]
        side = {"left": 1, "right": -1}
        if "same" in (why["toward"], why["against"]):
            (other,) = {why["toward"], why["against"]} - {"same"}
            ties.add(round(against_tie - side[other] * ahead / 2, 9))
    assert len(ties) == 1


def test_exports_hold_labels_and_the_scores_the_best_first(duels: Sandbox) -> None:
    board = list(csv.DictReader(duels.read("output/board.csv").splitlines()))
    assert [row["contestant"] for row in board] == ["alpha", "beta", "gamma", "δ"]
    assert [float(row["score"]) for row in board] == [row["score"] for row in scores(duels)]
    assert duels.read("output/labels.csv").startswith("id,label\n")
    duels.replace("exports/out.yml", "rows: scores", "rows: scores, columns: [contestant, score], where: score > 0")
    assert duels.build("--select", "board")["export.board"] == "built"
    assert duels.read("output/board.csv").startswith("contestant,score\nalpha,")
    assert len(duels.read("output/board.csv").splitlines()) == 3
    assert duels.build("--select", "board")["export.board"] == "reused"


def test_labels_are_derived_again_from_votes_and_parameters(duels: Sandbox) -> None:
    assert "the same bits" in duels("audit", "verify").out
    before = duels.published()
    duels("build", "--full-refresh", "--locked", "-q")
    assert duels.published() == before
    duels("--threads", "2", "build", "--full-refresh", "--locked", "-q")


def test_the_site_shows_the_task(duels: Sandbox) -> None:
    duels("docs", "generate", "-q")
    assert "pairwise" in duels.read("target/docs/index.html")
    (page,) = [
        p.read_text(encoding="utf-8")
        for p in (duels.root / "target/docs").rglob("*.html")
        if "bias to the left" in p.read_text("utf-8")
    ]
    rows = [page.index(f"<td>{row['contestant']}</td>") for row in scores(duels)]
    assert rows == sorted(rows)
    assert f"{scores(duels)[0]['score']:+.3f}"[:5] in page


def test_whoever_is_compared_counts_in_the_fingerprint_and_no_voter_runs_again(duels: Sandbox) -> None:
    text = duels.read("data/duels.csv").replace("d00,q0,beta", "d00,q0,δ").replace("d00,q0,gamma", "d00,q0,δ")
    duels.write({"data/duels.csv": text.encode()})
    fresh = duels.fresh_nodes()
    assert "label_set.winners" in fresh
    assert not {node for node in fresh if node.startswith(("lf.", "annotations."))}


def test_models_that_do_not_ask_what_is_compared_do_not_depend_on_it(duels: Sandbox) -> None:
    duels.replace("label_models/winners.yml", "task: better", "task: better\n    type: dawid_skene")
    duels.write({"exports/out.yml": None})
    duels("build", "-q")
    text = duels.read("data/duels.csv").replace("d00,q0,beta", "d00,q0,δ").replace("d00,q0,gamma", "d00,q0,δ")
    duels.write({"data/duels.csv": text.encode()})
    assert "label_set.winners" not in duels.fresh_nodes()
    assert duels("analyze", "better", "--format", "json").json["scores"] == []
    sides = duels("analyze", "better", "--format", "json").json["sides"]
    assert {row["left_bias"] for row in sides} == {None}


@pytest.mark.parametrize("kind", ["majority", "weighted", "one_coin", "dawid_skene", "auto", "bradley_terry"])
def test_every_model_of_codes_decides_comparisons(duels: Sandbox, kind: str) -> None:
    duels.write({"exports/out.yml": None})
    duels.replace("label_models/winners.yml", "task: better", f"task: better\n    type: {kind}")
    duels("build", "-q")
    assert len([row for row in duels.rows("winners") if row["label"]]) > 50


def test_a_class_of_the_project_is_told_what_is_compared(duels: Sandbox) -> None:
    duels.write(
        {
            "exports/out.yml": None,
            "label_models/first.py": """
                import numpy as np


                class First:
                    def fit(self, votes, *, gold=None, abstain=None):
                        return self

                    def predict_proba(self, votes):
                        left = np.array([votes.contestants[c] < "b" for c in votes.left[votes.pattern_of]])
                        return np.where(left[:, None], [[0.8, 0.1, 0.1]], [[0.1, 0.8, 0.1]])
                """,
        }
    )
    duels.replace("label_models/winners.yml", "task: better", "task: better\n    type: label_models/first.py:First")
    duels.replace("label_models/winners.yml", "min: 0.5", "min: 0.1")
    duels("build", "-q")
    known = list(csv.DictReader(duels.read("data/duels.csv").splitlines()))
    labels = duels.labels("winners")
    assert all((labels[row["id"]] == "left") == (row["model_a"] == "alpha") for row in known)
    assert duels("lineage", "winners", "d00", "--format", "json").json["measure"] == "left_out"


def test_gold_of_the_tune_split_is_held_fixed(duels: Sandbox) -> None:
    duels.replace("label_models/winners.yml", "task: better", "task: better\n    gold: tune")
    duels("build", "-q")
    known = {r["id"]: r for r in csv.DictReader(duels.read("data/duels.csv").splitlines())}
    labels = duels.labels("winners")
    tune = [i for i, r in known.items() if r["winner"] and r["split"] == "tune"]
    means = {"A": "left", "B": "right", "=": "same"}
    assert sum(labels[i] == means[known[i]["winner"]] for i in tune) >= len(tune) - 1


def test_a_prompt_judges_and_its_bias_is_shown(tmp_path: Path, server: Server) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    prompt = """
        ---
        temperature: 0
        unvalidated: allow
        ---
        Which answer to {{ item.question }} is better?

        Left: {{ item.answer_a }}
        Right: {{ item.answer_b }}
        """
    sandbox.write({"profiles.yml": profiles(server.url), "prompts/better/judge.md": prompt})
    sandbox("build", "-q")
    (schema,) = {json.dumps(s.body["response_format"]["json_schema"]["schema"]) for s in server.seen}
    assert json.loads(schema)["properties"]["label"]["enum"][:3] == ["left", "right", "same"]
    rows = {row["voter"]: row for row in sandbox("analyze", "better", "--format", "json").json["sides"]}
    assert rows["judge"]["decided"] > 20
    why = sandbox("lineage", "winners", "d00", "--format", "json").json
    assert "judge" in {vote["voter"] for vote in why["votes"]}


def test_a_diff_names_flips_and_their_cause(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo", DUELS).start()
    repo.write({"labeling_functions/better/longer.sql": "case when len_a > len_b + 2 then 'right' else 'left' end\n"})
    found = repo.labels_diff(name="winners")
    assert found["flips"] > 0
    assert [cause["node"] for cause in found["causes"]] == ["lf.better.longer"]
    repo.git("checkout", "-q", ".")
    repo.replace("tasks/better.yml", "a: model_a, b: Model_B", "a: Model_B, b: model_a")
    turned = repo.labels_diff(name="winners")
    assert turned["status"] in ("changed", "moved")


def test_labels_may_be_left_out(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    sandbox.replace("tasks/better.yml", "    labels: [left, right, same]\n", "")
    sandbox.replace("tasks/better.yml", "gold: {column: winner, values: {A: left, B: right, '=': same}}", "tags: [x]")
    sandbox.write(
        {
            "labeling_functions/better/longer.sql": "case when len_a > len_b then 'a' else 'b' end\n",
            "labeling_functions/better/one_side.yml": None,
            "labeling_functions/better/style.py": None,
            "annotations/better/maria.csv": "item,label\nd00,b\n",
            "label_models/winners.yml": "label_models:\n  - {name: winners, task: better}\n",
        }
    )
    sandbox("build", "-q")
    assert set(sandbox.labels("winners").values()) <= {"a", "b", None}
    assert all(row["ties"] == 0 for row in scores(sandbox))


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows(tmp_path: Path, rows: int) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    sandbox.write(
        {
            "data/duels.csv": "\n".join(duels_csv().splitlines()[: rows + 1]) + "\n",
            "sources/lab.yml": """
                sources:
                  - name: lab
                    tables:
                      - name: duels
                        path: data/duels.csv
                        key: id
                        columns: {answer_a: {type: varchar}, answer_b: {type: varchar}}
                """,
            "annotations/better/maria.csv": None,
            "label_models/winners.yml": "label_models:\n  - {name: winners, task: better}\n",
        }
    )
    sandbox("build", "-q")
    assert len(sandbox.rows("winners")) == rows
    assert len(scores(sandbox)) == 2 * rows
    assert len(sandbox("analyze", "better", "--format", "json").json["scores"]) == 2 * rows


# ---------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("old", "new", "slug", "said"),
    [
        ("    sides: {a: model_a, b: Model_B}\n", "", "bad-value", "needs 'sides: {a: …, b: …}'"),
        ("b: Model_B", "b: MODEL_A", "bad-value", "both sides are the column 'model_a'"),
        ("b: Model_B", "b: nobody", "unknown-column", "'nobody'"),
        ("{a: model_a, b: Model_B}", "{a: model_a}", "missing-key", "'b'"),
        (
            "[left, right, same]",
            "[left, right, same, both]",
            "bad-value",
            "2 labels (left, right) or 3 (and tie), not 4",
        ),
        ("[left, right, same]", "[left]", "bad-value", "2 labels (left, right) or 3 (and tie), not 1"),
        ("[left, right, same]", "[left, tie]", "bad-value", "'tie' is the third label"),
        ("[left, right, same]", "[tie, left, right]", "bad-value", "'tie' is the third label"),
        ("kind: pairwise", "kind: choice", "bad-value", "only tasks of the kind 'pairwise' have 'sides'"),
    ],
)
def test_a_task_that_is_no_comparison_is_refused(tmp_path: Path, old: str, new: str, slug: str, said: str) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    sandbox.replace("tasks/better.yml", old, new)
    found = sandbox("parse", code=2)
    assert f"[{slug}]" in found.err
    assert said in found.err
    assert "tasks/better.yml:" in found.err


def test_a_side_that_is_missing_stops_the_label_set(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    for model in ("alpha", "beta", "gamma", "δ"):
        sandbox.write({"data/duels.csv": sandbox.read("data/duels.csv").replace(f"d05,q5,{model}", "d05,q5,").encode()})
    before = sandbox.state()
    found = sandbox("build", "-q", code=1)
    assert "[null-side]" in found.all
    assert "the item with id 'd05' has nothing in column 'model_a'" in found.all
    assert sandbox.state() == before


def test_a_vote_outside_of_the_labels_is_refused(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    sandbox.replace("labeling_functions/better/longer.sql", "'same'", "'tie'")
    assert "'tie' is not a label of task 'better'" in sandbox("parse", code=2).err
    sandbox.replace("labeling_functions/better/longer.sql", "'tie'", "'same'")
    sandbox.write({"annotations/better/maria.csv": "item,label\nd00,beta\n"})
    assert "'beta'" in sandbox("build", "-q", code=1).all


@pytest.mark.parametrize(
    ("old", "new", "slug", "said"),
    [
        ("rows: scores", "rows: scores, columns: [id]", "unknown-column", "the scores of 'ref('winners')'"),
        ("rows: scores", "rows: scores, where: votes > 1", "unknown-column", "'votes'"),
        ("rows: scores", "rows: figures", "bad-value", "'rows'"),
    ],
)
def test_an_export_of_what_scores_do_not_have_is_refused(
    tmp_path: Path, old: str, new: str, slug: str, said: str
) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    sandbox.replace("exports/out.yml", old, new)
    found = sandbox("parse", code=2)
    assert f"[{slug}]" in found.err
    assert said.strip("'") in found.err


def test_only_models_with_scores_have_scores_to_export(duels: Sandbox) -> None:
    duels.replace("label_models/winners.yml", "task: better", "task: better\n    type: majority")
    found = duels("parse", code=2)
    assert "'winners' has no scores: its labels are decided by 'majority'" in found.err
    assert "exports/out.yml:" in found.err


def test_bradley_terry_is_for_comparisons_alone(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    sandbox.replace("tasks/better.yml", "kind: pairwise", "kind: choice")
    sandbox.replace("tasks/better.yml", "    sides: {a: model_a, b: Model_B}\n", "")
    sandbox.replace("label_models/winners.yml", "task: better", "task: better\n    type: bradley_terry")
    found = sandbox("parse", code=2)
    assert "'bradley_terry' does not decide tasks of the kind 'choice', as 'better' is" in found.err


def test_parameters_that_it_does_not_take_are_named(duels: Sandbox) -> None:
    more = "task: better\n    parameters: {prior_strength: 2}"
    duels.replace("label_models/winners.yml", "task: better", more)
    found = duels("parse", code=2)
    assert "'prior_strength' is not a key of the parameters of 'bradley_terry'" in found.all
    assert "write one of: score_spread" in found.all
    duels.replace("label_models/winners.yml", "prior_strength: 2", "score_spread: 0")
    assert "score_spread is more than 0" in duels("build", "-q", code=1).all


@pytest.mark.parametrize("of", ["gold", "annotations"])
@pytest.mark.parametrize("gold", ["ignore", "tune"])
def test_issues_are_found_by_the_model_of_pairs(of: str, gold: str, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, DUELS)
    sandbox.write({"label_models/own.yml": f"label_models:\n  - {{name: own, task: better, gold: {gold}}}\n"})
    sandbox("build", code=None)
    found = sandbox.spawn("issues", "better", "--label-set", "own", "--of", of, "--format", "json").json
    assert found["given"] >= 10
    assert all(0 <= issue["p_given"] <= issue["p_suggested"] <= 1 for issue in found["issues"])


def test_votes_without_sides_are_no_comparisons() -> None:
    votes = Comparisons.from_matrix(np.array([[0, 1], [1, 1]]), 3)
    with pytest.raises(ValueError, match="bradley_terry needs to know what is compared"):
        BradleyTerry().fit(votes, abstain="at_random")


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_a_calibrated_label_set_has_lineage_that_adds_up_and_a_site(duels: Sandbox, method: str) -> None:
    rows = duels_csv(n=400)
    duels.write({"data/duels.csv": "\n".join(f"{line}" for line in rows.splitlines()) + "\n"})
    model = "label_models: [{name: sure, task: better, calibrate: METHOD}]\n".replace("METHOD", method)
    duels.write({"label_models/sure.yml": model})
    built = duels("build", "--select", "+sure").out
    assert "not calibrated" not in built
    for row in duels.rows("sure")[:5]:
        why = duels("lineage", "sure", row["id"], "--format", "json").json
        assert why["measure"] == "log_odds"
        assert why["calibration"] is not None
        moved = sum(v["contribution"] for v in why["votes"]) + sum(why["silence"].values())
        ratio = math.log(why["posterior"][why["toward"]] / why["posterior"][why["against"]])
        assert why["prior"] + moved + why["calibration"] == pytest.approx(ratio, abs=1e-9)
    duels("docs", "generate")


def test_errors_weigh_what_the_scores_say_as_lineage_does(duels: Sandbox) -> None:
    duels.write({"data/duels.csv": duels_csv(n=400, seed=5)})
    duels("build", "--select", "+winners")
    found = duels("errors", "winners", "--fault", "outvoted", "--limit", "100", "--format", "json").json
    assert found["measure"] == "log_odds"
    assert "weight (log-odds)" in duels("errors", "winners").out
    checked = 0
    for item in found["items"]:
        why = duels("lineage", "winners", item["item"], "--format", "json").json
        if (why["toward"], why["against"]) != (item["label"], item["gold"]):
            continue
        moved = {vote["voter"]: vote["contribution"] for vote in why["votes"]}
        moved |= {f"the silence of {voter}": by for voter, by in why["silence"].items()}
        moved["the class prior"] = why["prior"]
        best = max(moved.values())
        assert moved[item["strongest"]] == pytest.approx(best)
        checked += 1
    assert checked


def test_errors_of_a_label_set_that_is_another_by_now(duels: Sandbox) -> None:
    before = duels("errors", "winners", "--format", "json").json
    duels.write({"exports/out.yml": None})
    path = next(p for p in duels.root.glob("label_models/*.yml") if "winners" in p.read_text())
    path.write_text(path.read_text().replace("name: winners", "name: winners\n    type: majority"))
    after = duels("errors", "winners", "--format", "json").json
    assert after["cells"] == before["cells"]
    assert "not up to date" in after["notes"][0]
