"""Gold of the tune split in the fit: who is told it, and that no item is judged by what was told its own."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("ja", "nein", "vielleicht")
OWN = """
    import numpy as np

    class Told:
        \"\"\"Shares of the votes, weighed by how often each voter is right on gold.\"\"\"

        def fit(self, votes, *, gold=None, abstain=None):
            dense = votes.to_dense()
            known = np.full(votes.n_items, -1) if gold is None else np.asarray(gold)
            said = (dense >= 0) & (known >= 0)[:, None]
            right = ((dense == known[:, None]) & said).sum(axis=0)
            self.weight = (right + 1) / (said.sum(axis=0) + 2)
            return self

        def predict_proba(self, votes):
            dense = votes.to_dense()
            found = np.full((votes.n_items, votes.n_labels), 1e-3)
            for voter, weight in enumerate(self.weight):
                rows = np.flatnonzero(dense[:, voter] >= 0)
                found[rows, dense[rows, voter]] += weight
            return found / found.sum(axis=1, keepdims=True)
    """
MODELS = """
    label_models:
      - {name: told, task: answer}
      - {name: not_told, task: answer, gold: ignore}
      - {name: classic, task: answer, type: dawid_skene}
      - {name: classic_told, task: answer, type: dawid_skene, gold: tune}
      - {name: metal_told, task: answer, type: metal, gold: tune, unlabeled: drop}
      - {name: calibrated, task: answer, calibrate: temperature}
      - {name: own, task: answer, type: "label_models/own.py:Told", gold: tune}
    """
TOLD = ("told", "classic_told", "metal_told", "own")
N = 1300
ITEMS = {
    "sources/s.yml": "sources: [{name: s, tables: [{name: items, path: data/items.csv, key: id}]}]\n",
    "transforms/items.sql": "select * from {{ source('s', 'items') }}\n",
}


def items() -> list[list[str]]:
    """id, text, five answers, truth, split: more than one part, gold in all splits, some items nobody speaks of."""
    draw = random.Random(7)
    found = []
    for number in range(N):
        truth = draw.choice(LABELS)
        said = []
        for voter in range(5):
            right = draw.random() < 0.5 + 0.08 * voter
            word = truth if right else draw.choice(LABELS)
            said.append(word if draw.random() < 0.7 else "")
        split = ("tune", "test", "train", "train")[number % 4] if number % 3 else ""
        found.append([f"#{number} ä", f"Satz {number}", *said, truth if split else "", split])
    return found


def csv(rows: list[list[str]]) -> str:
    return "id,text,v0,v1,v2,v3,v4,truth,split\n" + "".join(",".join(row) + "\n" for row in rows)


def project(rows: list[list[str]]) -> dict[str, str | bytes | None]:
    return {
        "teachkit.yml": "name: gold\npart_rows: 1000\n",
        "data/items.csv": csv(rows),
        **ITEMS,
        "tasks/answer.yml": """
            tasks:
              - name: answer
                labels: [ja, nein, vielleicht]
                dataset: ref('items')
                key: id
                gold: {column: truth}
                splits: {column: split}
            """,
        **{f"labeling_functions/answer/v{n}.sql": f"nullif(v{n}, '')\n" for n in range(5)},
        "label_models/own.py": OWN,
        "label_models/models.yml": MODELS,
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("gold") / "gold", project(items()))
    sandbox("build")
    return sandbox


def labels_of(sandbox: Sandbox, name: str) -> dict[str, tuple[Any, ...]]:
    """Item -> label, posterior, model's own label."""
    sql = f"select id, label, posterior, model_label from labels.{name}"
    found = sandbox("sql", sql, "--limit", str(2 * N), "--format", "json").json
    return {row["id"]: (row["label"], row["posterior"], row["model_label"]) for row in found["rows"]}


def test_auto_is_told_gold_of_itself_and_the_others_on_request(built: Sandbox) -> None:
    told, not_told = labels_of(built, "told"), labels_of(built, "not_told")
    assert told != not_told
    assert labels_of(built, "classic_told") != labels_of(built, "classic")
    assert len(labels_of(built, "metal_told")) < N == len(told)  # items without a vote were left out


def test_an_items_own_gold_does_not_move_what_is_said_of_it(built: Sandbox, tmp_path: Path) -> None:
    """Another truth for one item of tune changes labels of others, and not a bit of its own."""
    before = {name: labels_of(built, name) for name in (*TOLD, "not_told", "classic")}
    rows = items()
    place = next(n for n in range(1100, N) if rows[n][8] == "tune" and any(rows[n][2:7]))  # in the second part
    rows[place][7] = next(label for label in LABELS if label not in (rows[place][7], ""))
    other = built.copy(tmp_path / "gold")
    other.write({"data/items.csv": csv(rows)})
    other("build")
    after = {name: labels_of(other, name) for name in before}
    key = rows[place][0]
    for name in TOLD:
        assert after[name][key] == before[name][key], name
        assert after[name] != before[name], name
    for name in ("not_told", "classic"):
        assert after[name] == before[name], name


def test_gold_of_other_splits_is_told_to_nobody(built: Sandbox, tmp_path: Path) -> None:
    before = {name: labels_of(built, name) for name in TOLD}
    rows = items()
    for row in rows:
        if row[8] in ("test", "train"):
            row[7] = LABELS[(LABELS.index(row[7]) + 1) % 3]
    other = built.copy(tmp_path / "gold")
    other.write({"data/items.csv": csv(rows)})
    other("build")
    assert {name: labels_of(other, name) for name in TOLD} == before


def test_the_order_of_items_decides_nothing(built: Sandbox, tmp_path: Path) -> None:
    rows = items()
    random.Random(1).shuffle(rows)
    other = Sandbox(tmp_path / "gold", project(rows))
    other("build", "--select", "+told +classic_told")
    for name in ("told", "classic_told"):
        ours, theirs = labels_of(built, name), labels_of(other, name)
        assert {k: v[0] for k, v in ours.items()} == {k: v[0] for k, v in theirs.items()}
        for key, (_, posterior, _) in ours.items():
            assert posterior == pytest.approx(theirs[key][1], abs=1e-6)


@pytest.mark.parametrize("name", ["told", "classic_told", "metal_told", "calibrated", "own"])
def test_lineage_is_of_the_fit_that_judged_the_item(built: Sandbox, name: str) -> None:
    rows = items()
    asked = {split: [r[0] for r in rows if r[8] == split and any(r[2:7])] for split in ("tune", "test")}
    stored = labels_of(built, name)
    for split, keys in asked.items():
        for key in (keys[0], keys[-1]):  # of the first part, and of the last
            why = built("lineage", name, key, "--format", "json").json
            assert why["held_out"] is (split == "tune")
            assert why["posterior"] == stored[key][1]
            shown = built("lineage", name, key).out
            assert ("a fit that was not told it judges the item" in shown) is (split == "tune")
            if why["measure"] != "log_odds":
                assert name == "own"
                continue
            moved = [vote["contribution"] for vote in why["votes"]]
            total = why["prior"] + sum(moved) + sum(why["silence"].values()) + (why["calibration"] or 0)
            ratio = math.log(why["posterior"][why["toward"]] / why["posterior"][why["against"]])
            assert total == pytest.approx(ratio, abs=1e-9)


def test_what_moved_an_error_is_of_the_fit_that_made_it(built: Sandbox) -> None:
    found = built("errors", "told", "--fault", "outvoted", "--limit", "500", "--format", "json").json
    assert len(found["items"]) > 5
    for item in found["items"][:6]:
        why = built("lineage", "told", item["item"], "--format", "json").json
        assert why["posterior"][item["gold"]] == pytest.approx(item["p_gold"])
        if item["label"] == why["toward"] and item["gold"] == why["against"]:
            voters = {vote["voter"]: vote["contribution"] for vote in why["votes"]}
            moved = {**voters, **{f"the silence of {v}": by for v, by in why["silence"].items()}}
            strongest = max(moved, key=lambda voter: moved[voter])
            assert item["strongest"] in (strongest, "the class prior")


def test_an_audit_derives_all_of_it_again(built: Sandbox) -> None:
    assert built("audit", "verify", "--format", "json").json["holds"]


def test_marginal_value_and_a_tried_voter_are_of_items_that_nobody_told(built: Sandbox) -> None:
    found = built("analyze", "answer", "--label-set", "told", "--marginal", "--gold", "tune", "--format", "json").json
    (task,) = found if isinstance(found, list) else (found,)
    report = built("errors", "told", "--gold", "tune", "--format", "json").json
    marginal = task["marginal"]
    assert marginal["accuracy"] == pytest.approx(report["right"] / report["gold_items"])
    assert len(marginal["voters"]) == 5
    assert task["gold_in_fit"] is True


def test_without_splits_or_gold_nobody_is_told(tmp_path: Path) -> None:
    files = project(items()[:60])
    files["label_models/models.yml"] = "label_models: [{name: told, task: answer}]\n"
    files["tasks/answer.yml"] = str(files["tasks/answer.yml"]).replace("splits: {column: split}", "")
    sandbox = Sandbox(tmp_path / "one", files)
    sandbox("build")
    before = labels_of(sandbox, "told")
    sandbox.replace("tasks/answer.yml", "gold: {column: truth}", "")
    sandbox("build")
    assert labels_of(sandbox, "told") == before


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_hardly_any_gold(tmp_path: Path, kept: int) -> None:
    """No item, one item, fewer than folds."""
    rows = items()[:80]
    left = kept
    for row in rows:
        if row[8] == "tune" and left > 0 and any(row[2:7]):
            left -= 1
        elif row[8] == "tune":
            row[7] = ""
    files = project(rows)
    sandbox = Sandbox(tmp_path / "few", files)
    sandbox("build")
    held = [sandbox("lineage", "told", row[0], "--format", "json").json["held_out"] for row in rows if row[8] == "tune"]
    assert sum(held) == kept
    assert sandbox("audit", "verify", "--format", "json").json["holds"]
    if not kept:
        assert labels_of(sandbox, "told") == labels_of(sandbox, "not_told")


MULTI = {
    "tasks/answer.yml": """
        tasks:
          - name: answer
            kind: multichoice
            labels: [ja, nein, vielleicht]
            dataset: ref('items')
            key: id
            gold: {column: truth}
            splits: {column: split}
        """,
    "label_models/models.yml": """
        label_models:
          - {name: told, task: answer}
          - {name: not_told, task: answer, gold: ignore}
        """,
}


def test_multichoice(tmp_path: Path) -> None:
    rows = items()[:400]
    sandbox = Sandbox(tmp_path / "multi", {**project(rows), **MULTI})
    sandbox("build")
    before = labels_of(sandbox, "told")
    assert before != labels_of(sandbox, "not_told")
    place = next(n for n in range(200, 400) if rows[n][8] == "tune" and any(rows[n][2:7]))
    rows[place][7] = "|".join(label for label in LABELS if label != rows[place][7])
    sandbox.write({"data/items.csv": csv(rows)})
    sandbox("build")
    after = labels_of(sandbox, "told")
    assert after[rows[place][0]] == before[rows[place][0]]
    assert after != before
    assert sandbox("lineage", "told", rows[place][0], "--format", "json").json["held_out"]
    assert sandbox("audit", "verify", "--format", "json").json["holds"]


def test_numbers(tmp_path: Path) -> None:
    """Answers that are values, by a label model that is told gold on request."""
    draw = random.Random(3)
    rows = []
    for number in range(200):
        truth = draw.gauss(50, 10)
        said = [f"{truth + bias + draw.gauss(0, 3):.3f}" for bias in (0, 5, -2)]
        rows.append([f"i{number}", *said, f"{truth:.3f}", "tune" if number % 2 else "test"])

    def data() -> str:
        return "id,a,b,c,truth,split\n" + "".join(",".join(row) + "\n" for row in rows)

    sandbox = Sandbox(
        tmp_path / "numbers",
        {
            "teachkit.yml": "name: numbers\n",
            "data/items.csv": data(),
            **ITEMS,
            "tasks/size.yml": """
                tasks:
                  - name: size
                    kind: number
                    dataset: ref('items')
                    key: id
                    gold: {column: truth}
                    splits: {column: split}
                """,
            **{f"labeling_functions/size/{name}.sql": f"{name}\n" for name in "abc"},
            "label_models/models.yml": """
                label_models:
                  - {name: told, task: size, gold: tune}
                  - {name: not_told, task: size}
                """,
        },
    )
    sandbox("build")
    before = labels_of(sandbox, "told")
    assert before != labels_of(sandbox, "not_told")
    rows[7][4] = "500"
    sandbox.write({"data/items.csv": data()})
    sandbox("build")
    after = labels_of(sandbox, "told")
    assert after["i7"] == before["i7"]
    assert after["i9"] != before["i9"]
    assert sandbox("lineage", "told", "i7", "--format", "json").json["held_out"]
    assert sandbox("audit", "verify", "--format", "json").json["holds"]


DOUBTER = """
    class Doubter(Told):
        def fit(self, votes, *, gold=None, abstain=None):
            super().fit(votes, gold=gold, abstain=abstain)
            few = gold is None or (gold >= 0).sum() < NEEDED
            self.diagnostics_ = {"fallback": "too little gold" if few else None}
            return self
    """


@pytest.mark.parametrize("kept", [20, 21])
def test_of_little_gold_each_item_is_a_fold_and_folds_that_are_not_believed_are_said(tmp_path: Path, kept: int) -> None:
    rows = items()[:200]
    left = kept
    for row in rows:
        if row[8] == "tune":
            row[7], left = (row[7], left - 1) if left > 0 else ("", 0)
    files = project(rows)
    files["label_models/doubter.py"] = OWN + DOUBTER.replace("NEEDED", str(kept))
    files["label_models/models.yml"] = """
        label_models:
          - {name: told, task: answer}
          - {name: doubted, task: answer, type: "label_models/doubter.py:Doubter", gold: tune}
        """
    sandbox = Sandbox(tmp_path / "few", files)
    shown = sandbox("build").out
    folds = kept if kept <= 20 else 5
    why = "fits that judge gold of tune were not believed, and figures on tune are of other labels: too little gold"
    assert f"label_set.doubted: {folds} of {folds} {why}" in shown
    assert f'doubt: "{why}"' in sandbox.read("teachkit.lock")
    assert sandbox("audit", "verify", "--format", "json").json["holds"]


def test_labels_of_an_earlier_release_that_told_all_gold_are_not_called_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from teachkit.build.recipe import recipe_of

    def old(*of: Any) -> dict[str, Any]:
        return {name: said for name, said in recipe_of(*of).items() if name != "taught"}

    model = "label_models: [{name: classic_told, task: answer, type: dawid_skene, gold: tune}]\n"
    sandbox = Sandbox(tmp_path / "old", {**project(items()[:60]), "label_models/models.yml": model})
    with monkeypatch.context() as patch:
        patch.setattr("teachkit.build.label_sets.recipe_of", old)
        sandbox("build")
    found = sandbox("audit", "verify", "--format", "json").json
    assert found["holds"]
    assert any(
        "classic_told: not derived again, as an earlier release told its fit all gold" in n for n in found["notes"]
    )
