"""Tasks whose labels are ordered: from the task's file to positions, tests, lineage, diff, exports."""

from __future__ import annotations

import csv
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.build.test_prompts import profiles
from tests.diff.conftest import Repo
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.llm.server import Server

STEPS = ["very bad", "bad", "so-so", "gut", "très bon", "super", "最高"]


def talks_csv(n: int = 70) -> str:
    """Talks whose applause tells how good they were, give or take one step."""
    chance = random.Random(5)
    lines = ["talk,text,applause,truth,split"]
    for i in range(n):
        step = i % 7
        applause = max(0, min(13, 2 * step + chance.randint(-1, 1)))
        lines.append(f"{i},talk{step} {'clap ' * applause},{applause},{STEPS[step] if i % 2 else ''},{i % 4 == 1}")
    return "\n".join(lines).replace("True", "test").replace("False", "tune") + "\n"


def judgments_csv(seed: int, n: int = 70) -> str:
    chance = random.Random(seed)
    return "item,label\n" + "".join(
        f"{i},{STEPS[max(0, min(6, i % 7 + chance.choice([-1, 0, 0, 1])))]}\n" for i in range(n)
    )


TALKS: Mapping[str, str] = {
    "teachkit.yml": "name: talks\n",
    "data/talks.csv": talks_csv(),
    "sources/hall.yml": """
        sources:
          - name: hall
            tables: [{name: talks, path: data/talks.csv, key: talk}]
        """,
    "tasks/quality.yml": """
        tasks:
          - name: quality
            kind: ordinal
            labels: [very bad, bad, {name: so-so, description: neither}, gut, très bon, super, 最高]
            dataset: source('hall', 'talks')
            key: talk
            show: [text]
            gold: {column: truth}
            splits: {column: split}
        """,
    "labeling_functions/quality/applause.sql": """
        case when applause > 11 then '最高' when applause > 9 then 'super' when applause > 7 then 'très bon'
             when applause > 5 then 'gut' when applause > 3 then 'so-so' when applause > 1 then 'bad'
             else 'very bad' end
        """,
    "labeling_functions/quality/words.yml": """
        labeling_functions:
          - {name: worst, label: very bad, any_of: [talk0]}
          - {name: best, label: 最高, any_of: [talk6]}
        """,
    "labeling_functions/quality/loud.py": """
        from teachkit import labeling_function


        @labeling_function()
        def loud(text: str) -> str | None:
            return "super" if text.count("clap") > 9 else None
        """,
    "annotations/quality/ann.csv": judgments_csv(1),
    "annotations/quality/bob.csv": judgments_csv(2),
    "label_models/q.yml": """
        label_models:
          - name: ratings
            task: quality
            type: auto
            tests:
              - coverage: {min: 0.9}
              - accuracy: {min: 0.4}
              - mean_error: {against: gold.test, max: 0.6}
              - agreement: {min: 0.5}
              - class_balance: {最高: [0, 0.5]}
        """,
    "exports/out.yml": """
        exports:
          - name: good
            label_set: ref('ratings')
            path: output/good.csv
            format: csv
            columns: [talk, label, position]
            where: position >= 4
        """,
}


@pytest.fixture(scope="session")
def shared_talks(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("talks") / "project", TALKS)
    sandbox("build", "-q")
    return sandbox


@pytest.fixture
def talks(shared_talks: Sandbox, tmp_path: Path) -> Sandbox:
    return shared_talks.copy(tmp_path / "project")


def test_labels_come_of_every_kind_of_voter_with_their_expected_position(talks: Sandbox) -> None:
    assert set(talks.build().values()) <= {"reused", "passed"}
    rows = talks.rows("ratings")
    for row in rows:
        mean = sum(STEPS.index(label) * share for label, share in row["posterior"].items())
        assert row["position"] == pytest.approx(mean, abs=1e-12)
    off = [abs(row["position"] - int(row["talk"]) % 7) for row in rows]
    assert sum(off) / len(off) < 0.6
    order = sorted(rows, key=lambda row: row["position"])
    assert (order[0]["label"], order[-1]["label"]) == ("very bad", "最高")


def test_what_nobody_spoke_about_has_no_position_and_what_a_curator_decides_has_its_own(talks: Sandbox) -> None:
    talks.write(
        {
            "annotations/quality/_meta.yml": "files: {boss.csv: {role: curator}}\n",
            "annotations/quality/boss.csv": "item,label\n0,gut\n",
            "label_models/q.yml": """
                label_models: [{name: ratings, task: quality, voters: [best]}]
                """,
        }
    )
    talks("build", "-q")
    rows = {row["talk"]: row for row in talks.rows("ratings")}
    assert (rows[0]["label"], rows[0]["position"]) == ("gut", 3.0)
    assert (rows[1]["label"], rows[1]["position"]) == (None, None)
    assert rows[6]["label"] == "最高"


def test_the_mean_error_is_in_steps(talks: Sandbox) -> None:
    labels = talks.labels("ratings", key="talk")
    known = [
        r for r in csv.DictReader(talks.read("data/talks.csv").splitlines()) if r["truth"] and r["split"] == "test"
    ]
    steps = [abs(STEPS.index(labels[int(r["talk"])]) - STEPS.index(r["truth"])) for r in known]
    said = talks.json_file("target/run_results.json")["results"]
    (found,) = [r for r in said if r["id"] == "test.ratings.mean_error"]
    figure = (
        f"mean error {sum(steps) / len(steps):.3f} on {len(known)} items of gold.test, {len(known)} of them labeled"
    )
    assert figure in found["message"]
    talks.replace("label_models/q.yml", "max: 0.6", "max: 0.001")
    failed = talks("build", "-q", code=1)
    assert "at most 0.001 wanted" in failed.all


def test_a_mean_error_of_a_split_without_gold_fails(talks: Sandbox) -> None:
    talks.replace("label_models/q.yml", "against: gold.test, max: 0.6", "against: gold.train, max: 0.6")
    assert "mean error: no item of gold.train has gold" in talks("build", "-q", code=1).all


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max: 0.6", "over: all", "'over'"),
        (", max: 0.6", "", "this test can never fail"),
        ("max: 0.6", "max: -1", "max: -1 is too small"),
    ],
)
def test_a_mean_error_that_says_nothing_is_refused(talks: Sandbox, old: str, new: str, said: str) -> None:
    talks.replace("label_models/q.yml", old, new)
    assert said.strip("'") in talks("parse", code=2).err


def test_labels_without_an_order_have_no_mean_error(talks: Sandbox) -> None:
    talks.replace("tasks/quality.yml", "kind: ordinal", "kind: choice")
    found = talks("parse", code=2)
    assert "mean_error" in found.err
    assert "choice" in found.err
    assert "position" in found.err  # nor a position to export


def test_an_order_needs_two_labels(talks: Sandbox) -> None:
    labels = "labels: [very bad, bad, {name: so-so, description: neither}, gut, très bon, super, 最高]"
    for instead, said in (("", "it needs 'labels'"), ("labels: [bad]", "an order needs two labels or more")):
        talks.write({"tasks/quality.yml": TALKS["tasks/quality.yml"].replace(labels, instead)})
        assert said in talks("parse", code=2).err


def test_agreement_weighs_how_far_apart_two_are(talks: Sandbox) -> None:
    from teachkit.votes import Votes
    from teachkit.votes.agreement import krippendorff_alpha

    columns = [[STEPS.index(row["label"]) for row in csv.DictReader(judgments_csv(s).splitlines())] for s in (1, 2)]
    votes = Votes.from_matrix([list(pair) for pair in zip(*columns, strict=True)], 7)
    ordinal, nominal = (krippendorff_alpha(votes, metric=m).value for m in ("ordinal", "nominal"))
    assert ordinal is not None
    assert nominal is not None
    assert ordinal > nominal + 0.3
    (found,) = [r for r in talks.json_file("target/run_results.json")["results"] if r["id"] == "test.ratings.agreement"]
    assert f"agreement {ordinal:.3f} (krippendorff, ordinal)" in found["message"]
    talks.replace("label_models/q.yml", "agreement: {min: 0.5}", "agreement: {min: 0.1, coefficient: fleiss}")
    talks("build", "-q")
    assert "(fleiss)" in talks.result("test.ratings.agreement")["message"]


def test_lineage_audit_exports_and_the_site_know_the_order(talks: Sandbox) -> None:
    why = talks("lineage", "ratings", "13", "--format", "json").json
    assert why["label"] in STEPS
    assert {vote["voter"] for vote in why["votes"]} >= {"applause", "ann", "bob"}
    assert "the same bits" in talks("audit", "verify").out
    good = list(csv.DictReader(talks.read("output/good.csv").splitlines()))
    assert good
    assert all(float(row["position"]) >= 4 for row in good)
    talks("docs", "generate", "-q")
    assert "ordinal" in talks.read("target/docs/index.html")


def test_a_prompt_chooses_among_the_steps(tmp_path: Path, server: Server) -> None:
    sandbox = Sandbox(tmp_path, TALKS)
    prompt = "\n---\nunvalidated: allow\n---\nHow good is this talk? {{ item.text }}\n"
    sandbox.write({"profiles.yml": profiles(server.url), "prompts/quality/judge.md": prompt})
    sandbox.write({"label_models/q.yml": "label_models: [{name: ratings, task: quality}]\n"})
    sandbox("build", "-q")
    schema = server.seen[0].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"][:7] == STEPS
    row = next(r for r in sandbox("analyze", "quality", "--format", "json").json["voters"] if r["voter"] == "judge")
    assert row["votes"] > 30


def test_a_diff_counts_flips_and_weighs_agreement(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo", TALKS).start()
    repo.write({"annotations/quality/bob.csv": judgments_csv(2).replace("gut", "bad")})
    found: Any = repo.labels_diff(name="ratings")
    assert found["flips"] > 0
    before, after = found["agreement"]["before"], found["agreement"]["after"]
    assert before > after + 0.02
    assert after > 0.8  # where the nominal alpha is below one half


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows(tmp_path: Path, rows: int) -> None:
    sandbox = Sandbox(tmp_path, TALKS)
    sandbox.write(
        {
            "data/talks.csv": "\n".join(talks_csv().splitlines()[: rows + 1]) + "\n",
            "sources/hall.yml": """
                sources:
                  - name: hall
                    tables:
                      - name: talks
                        path: data/talks.csv
                        key: talk
                        columns: {applause: {type: integer}, text: {type: varchar}}
                """,
            "annotations/quality/ann.csv": None,
            "annotations/quality/bob.csv": None,
            "label_models/q.yml": "label_models: [{name: ratings, task: quality}]\n",
        }
    )
    sandbox("build", "-q")
    assert [row["talk"] for row in sandbox.rows("ratings")] == list(range(rows))
