"""The label without a voter: as if it had abstained, with all that was learned as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from teachkit import Project
from tests.lineage.test_explain import FILES
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    project = Sandbox(tmp_path_factory.mktemp("what_if") / "shop", FILES)
    project.write({"data/b.csv": str(FILES["data/b.csv"]) + "r200,nice,5\n"})
    project("build")
    return project


def explained(project: Sandbox, node: str, item: str, *more: str) -> dict[str, Any]:
    return dict(project("lineage", node, item, "--format", "json", *more).json)


def votes_of(why: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {vote["voter"]: vote for vote in why["votes"]}


@pytest.mark.parametrize("node", ["moods", "coins", "shares"])
def test_without_its_vote_an_item_is_like_one_on_which_the_voter_is_silent(shop: Sandbox, node: str) -> None:
    why, twin = explained(shop, node, "r001"), explained(shop, node, "r200")
    assert {name: v["label"] for name, v in votes_of(why).items()} == {"praise": "good", "stars": "good"}
    assert {name: v["label"] for name, v in votes_of(twin).items()} == {"stars": "good"}
    found = votes_of(why)["praise"]["what_if"]
    assert found == {
        "label": twin["label"],
        "confidence": twin["confidence"],
        "posterior": twin["posterior"],
        "changes": False,
    }


def test_a_label_that_hangs_on_one_vote_changes_without_it(shop: Sandbox) -> None:
    found = votes_of(explained(shop, "shares", "r003"))
    assert found["stars"]["what_if"] == {
        "label": None,
        "confidence": None,
        "posterior": pytest.approx(found["stars"]["what_if"]["posterior"]),
        "changes": True,
    }


def test_one_voter_can_be_asked_for(shop: Sandbox) -> None:
    found = explained(shop, "moods", "r001", "--what-if", "praise")
    assert found["what_if"] == {"voter": "praise", **votes_of(found)["praise"]["what_if"]}
    assert "what_if" not in explained(shop, "moods", "r001")
    said = shop("lineage", "moods", "r001", "--what-if", "praise").out
    assert "if praise had abstained, the label model would say: good, confidence 0." in said
    assert "(the same label)" in said
    said = shop("lineage", "shares", "r003", "--what-if", "stars").out
    assert "if stars had abstained, the label model would say: no label (another label)" in said


def test_a_curators_decision_stands_above_it_and_has_no_what_if(shop: Sandbox) -> None:
    why = explained(shop, "moods", "r002")
    assert votes_of(why)["eva"]["what_if"] is None
    assert votes_of(why)["blame"]["what_if"]["label"] in ("good", "bad", "mixed")
    said = shop("lineage", "moods", "r002", "--what-if", "blame").out
    assert "the label itself is decided by the curator" in said


def test_of_a_multichoice_item_the_labels_without_a_voter_are_a_list(shop: Sandbox) -> None:
    found = votes_of(explained(shop, "topics", "r100"))
    assert set(found["taste"]["what_if"]["posterior"]) == {"size", "taste"}
    assert isinstance(found["taste"]["what_if"]["label"], list)
    assert votes_of(explained(shop, "topics", "r101"))["size"]["what_if"]["label"] is None  # nobody is left


def test_a_class_of_the_project_is_asked_again(tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "own", FILES)
    project.write(
        {
            "label_models/own.py": """
                import numpy as np

                class Own:
                    def fit(self, votes, *, gold=None, abstain=None):
                        return self

                    def predict_proba(self, votes):
                        said = votes.to_dense()
                        counts = [(said == k).sum(axis=1) + 1.0 for k in range(votes.n_labels)]
                        counts = np.stack(counts, axis=1)
                        return counts / counts.sum(axis=1, keepdims=True)
                """,
            "label_models/all.yml": "label_models:\n  - {name: own, task: mood, type: 'label_models/own.py:Own'}\n",
        }
    )
    project("build")
    found = votes_of(explained(project, "own", "r001"))
    assert found["stars"]["what_if"]["posterior"] == {
        "good": pytest.approx(0.5),
        "bad": pytest.approx(0.25),
        "mixed": pytest.approx(0.25),
    }


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("moods", "r001", "--what-if", "prase"), "'prase' has no vote on this item that the label model counts"),
        (("moods", "r001", "--what-if", "blame"), "those that do: praise, stars"),
        (("moods", "r005", "--what-if", "stars"), "nobody has"),
        (("moods", "--what-if", "stars"), "it is about the label of one item"),
        (("moods", "r001", "--what-if", "stars", "--format", "prov"), "it is about the label of one item"),
        (("--graph", "--what-if", "stars"), "it is about the label of one item"),
    ],
)
def test_what_cannot_be_answered_is_refused(shop: Sandbox, arguments: tuple[str, ...], problem: str) -> None:
    found = shop("lineage", *arguments, code=2)
    assert problem in found.err
    assert "--what-if" in found.err


def test_the_api_says_the_same(shop: Sandbox) -> None:
    found = Project.load(shop.root).lineage("moods", "r001")
    assert json.loads(json.dumps([v.what_if.label for v in found.votes if v.what_if])) == ["good", "good"]
