"""Votes from the field, in the folder that ``TEACHKIT_DATA`` names. Floors lie a little under what is measured."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from teachkit.label_models import Auto, DawidSkene, LabelModel, Majority, OneCoin, Weighted
from teachkit.votes import Votes

DATA = Path(os.environ.get("TEACHKIT_DATA", ""))
pytestmark = pytest.mark.skipif(not os.environ.get("TEACHKIT_DATA"), reason="TEACHKIT_DATA names no folder")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rules(folder: str) -> tuple[Votes, Any, Any]:
    """The votes of labeling functions on all three splits; gold; which items are in the test split."""
    splits = {split: rows(DATA / folder / f"{split}.csv") for split in ("train", "valid", "test")}
    items = [row for split in splits.values() for row in split]
    names = [name for name in items[0] if name not in ("id", "text", "gold")]
    labels = sorted({row["gold"] for row in items})
    code = {"": -1} | {label: i for i, label in enumerate(labels)}
    matrix = np.array([[code[row[name]] for name in names] for row in items])
    test = np.arange(len(items)) >= len(items) - len(splits["test"])
    return Votes.from_matrix(matrix, len(labels), names), np.array([code[row["gold"]] for row in items]), test


def people(folder: str) -> tuple[Votes, Any]:
    """The votes of a crowd, and the truth."""
    answers, truths = rows(DATA / folder / "answer.csv"), rows(DATA / folder / "truth.csv")
    index: dict[str, dict[str, int]] = {}
    for key, values in (
        ("question", {row["question"] for row in truths}),
        ("worker", {row["worker"] for row in answers}),
        ("answer", {row["answer"] for row in answers} | {row["truth"] for row in truths}),
    ):
        index[key] = {value: i for i, value in enumerate(sorted(values))}
    kept = [row for row in answers if row["question"] in index["question"]]
    long = ([index[key][row[key]] for row in kept] for key in ("question", "worker", "answer"))
    truth = np.zeros(len(truths), dtype=np.int64)
    for row in truths:
        truth[index["question"][row["question"]]] = index["answer"][row["truth"]]
    voters = list(index["worker"])
    return Votes.from_long(*long, voters=voters, n_items=len(truth), n_labels=len(index["answer"])), truth


def accuracy(model: LabelModel, votes: Votes, truth: Any, chosen: Any = slice(None)) -> float:
    """The share of right labels; items without votes count, with the likeliest label."""
    return float((model.predict_proba(votes).argmax(axis=1) == truth)[chosen].mean())


@pytest.mark.parametrize(
    ("folder", "test_floor", "floor"),
    [("youtube_spam/wrench", 0.84, 0.76), ("yoruba_topics", 0.53, 0.57), ("trec_questions", 0.61, 0.53)],
)
def test_labeling_functions_are_weighed_without_collapse(folder: str, test_floor: float, floor: float) -> None:
    votes, gold, test = rules(folder)
    model = DawidSkene().fit(votes, abstain="informative")
    assert accuracy(model, votes, gold, test) >= test_floor
    assert accuracy(model, votes, gold) >= floor


@pytest.mark.parametrize("folder", ["youtube_spam/wrench", "yoruba_topics", "trec_questions"])
def test_items_with_votes_fare_no_worse_than_by_majority(folder: str) -> None:
    votes, gold, _ = rules(folder)
    covered = votes.votes_per_pattern[votes.pattern_of] > 0
    majority, mine = (accuracy(m.fit(votes), votes, gold, covered) for m in (Majority(), DawidSkene()))
    assert mine >= majority - 0.01


@pytest.mark.parametrize(
    ("folder", "floor"), [("crowd_bluebird", 0.88), ("crowd_dog", 0.835), ("crowd_rte", 0.92), ("crowd_sp", 0.91)]
)
def test_crowds_are_weighed(folder: str, floor: float) -> None:
    votes, truth = people(folder)
    model = DawidSkene().fit(votes, abstain="at_random")
    assert accuracy(model, votes, truth) >= floor
    assert model.diagnostics_["iterations"] <= 100


@pytest.mark.parametrize(
    ("folder", "floor"), [("crowd_bluebird", 0.88), ("crowd_dog", 0.83), ("crowd_rte", 0.90), ("crowd_sp", 0.91)]
)
def test_crowds_lose_little_where_nothing_is_said_of_silence(folder: str, floor: float) -> None:
    votes, truth = people(folder)
    assert accuracy(DawidSkene().fit(votes), votes, truth) >= floor


FUNCTIONS = ("youtube_spam/wrench", "yoruba_topics", "trec_questions")
CROWDS = ("crowd_bluebird", "crowd_dog", "crowd_rte", "crowd_sp")


def of_test(folder: str) -> tuple[Votes, Any, Any]:
    """A set of votes, its truth, what silence says; of labeling functions the test split alone."""
    if folder in CROWDS:
        return *people(folder), "at_random"
    votes, gold, test = rules(folder)
    return Votes.from_matrix(votes.to_dense()[test], votes.n_labels, votes.voters), gold[test], "informative"


@pytest.mark.parametrize(
    ("folder", "floor"), [*zip((*FUNCTIONS, *CROWDS), (0.855, 0.535, 0.645, 0.885, 0.84, 0.925, 0.914), strict=True)]
)
@pytest.mark.parametrize("told", [True, False])
def test_auto_is_good_on_functions_and_on_crowds(folder: str, floor: float, told: bool) -> None:
    votes, truth, silence = of_test(folder)
    model = Auto().fit(votes, abstain=silence if told else None)
    assert model.diagnostics_["fallback"] is None
    assert accuracy(model, votes, truth) >= floor


@pytest.mark.parametrize("folder", [*FUNCTIONS, *CROWDS])
def test_auto_gains_by_fifty_items_with_gold(folder: str) -> None:
    """Over draws of the fifty: on what is left, so that knowing them is not all that is gained."""
    votes, truth, silence = of_test(folder)
    plain = Auto().fit(votes, abstain=silence).predict_proba(votes).argmax(axis=1) == truth
    gains, whole = [], []
    for seed in range(10):
        known = np.random.default_rng(seed).choice(len(truth), 50, replace=False)
        gold = np.full(len(truth), -1)
        gold[known] = truth[known]
        found = Auto().fit(votes, gold=gold, abstain=silence).predict_proba(votes).argmax(axis=1) == truth
        gains.append(np.delete(found, known).mean() - np.delete(plain, known).mean())
        found[known] = True
        whole.append(found.mean() - plain.mean())
    assert np.mean(gains) >= -0.006  # the fifty are not in it, and of small sets they were the easier ones
    assert np.mean(whole) > 0


@pytest.mark.parametrize("folder", [*FUNCTIONS, *CROWDS])
def test_auto_counts_copies_once(folder: str) -> None:
    votes, truth, silence = of_test(folder)
    dense = votes.to_dense()
    busiest = np.argsort(-(dense >= 0).sum(axis=0), kind="stable")[:8]
    moved = []
    for voter in busiest:
        more = Votes.from_matrix(np.column_stack([dense, *[dense[:, voter]] * 5]), votes.n_labels)
        moved.append(accuracy(Auto().fit(more, abstain=silence), more, truth))
    assert abs(np.mean(moved) - accuracy(Auto().fit(votes, abstain=silence), votes, truth)) < 0.01


def test_weighted_votes_beat_the_majority_of_a_crowd() -> None:
    votes, truth = people("crowd_sp")
    scores = [accuracy(m.fit(votes, abstain="at_random"), votes, truth) for m in (Majority(), Weighted(), OneCoin())]
    assert scores == sorted(scores)
    assert scores[-1] >= 0.91
