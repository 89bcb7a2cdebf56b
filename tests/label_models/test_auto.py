"""The default model: what it must not break on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import Auto, DawidSkene, Majority, auto
from teachkit.votes import Votes
from tests.label_models.examples import crowd, one_sided
from tests.votes.matrices import matrices, repeatable


def right(model: Any, votes: Votes, truth: Any) -> float:
    return float((model.predict_proba(votes).argmax(axis=1) == truth).mean())


def biased(n_items: int = 400, voters: int = 15, seed: int = 0) -> tuple[Votes, Any]:
    """People with a leaning each, of whom the majority is often wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, n_items)
    lean = random.beta(0.3, 0.3, voters)
    said = random.random((n_items, voters)) < np.where(truth[:, None] == 1, lean + 0.3, lean - 0.1).clip(0.02, 0.98)
    return Votes.from_matrix(said.astype(int), 2), truth


@pytest.mark.parametrize("abstain", ["at_random", "informative", None])
def test_people_are_weighed_as_well_as_by_their_true_accuracies(abstain: Any) -> None:
    accuracies = [0.95, 0.85, 0.7, 0.6, 0.55, 0.55, 0.52]
    votes, truth = crowd(2000, accuracies, 2)
    odds = np.log(np.array(accuracies) / (1 - np.array(accuracies)))
    best = ((2 * votes.to_dense() - 1) @ odds > 0).astype(int)
    assert right(Auto().fit(votes, abstain=abstain), votes, truth) >= (best == truth).mean() - 0.005


def test_biased_people_are_seen_through() -> None:
    votes, truth = biased()
    assert (
        right(Auto().fit(votes, abstain="at_random"), votes, truth) > right(Majority().fit(votes), votes, truth) + 0.03
    )


def test_one_sided_functions_do_not_make_it_collapse() -> None:
    votes, truth = one_sided()
    covered = votes.votes_per_pattern[votes.pattern_of] > 0
    mine, majority = (
        (m.fit(votes).predict_proba(votes).argmax(axis=1) == truth)[covered].mean() for m in (Auto(), Majority())
    )
    assert mine > majority - 0.005


def test_people_with_few_votes_each_are_not_overfitted() -> None:
    votes, truth = crowd(600, list(np.random.default_rng(1).uniform(0.55, 0.9, 200)), 4, coverage=0.015, seed=1)
    covered = votes.votes_per_pattern[votes.pattern_of] > 0
    found = [
        (m.fit(votes, abstain="at_random").predict_proba(votes).argmax(axis=1) == truth)[covered].mean()
        for m in (Auto(), Majority(), DawidSkene(prior_strength=0))
    ]
    assert found[0] >= found[1] - 0.005
    assert found[0] > found[2]


@pytest.mark.parametrize("voter", [0, 3, 6])
@pytest.mark.parametrize("noise", [0.0, 0.04])
def test_a_voter_given_six_times_moves_little(voter: int, noise: float) -> None:
    votes, truth = crowd(800, [0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.55], 2, coverage=0.8)
    random = np.random.default_rng(2)
    dense = votes.to_dense()
    copies = [np.where((random.random(800) < noise) & (dense[:, voter] >= 0), 1 - dense[:, voter], dense[:, voter])]
    copies += [dense[:, voter]] * 4
    more = Votes.from_matrix(np.column_stack([dense, *copies]), 2)
    before, after = (right(Auto().fit(v, abstain="at_random"), v, truth) for v in (votes, more))
    assert abs(after - before) < (0.02 if noise == 0 else 0.04)
    naive = right(DawidSkene().fit(more, abstain="at_random"), more, truth)
    assert after >= naive - 0.005


def test_fifty_items_with_gold_help() -> None:
    votes, truth = crowd(500, [0.7, 0.65, 0.6, 0.6, 0.55], 3)
    gold = np.where(np.arange(500) < 50, truth, -1)
    rest = slice(50, None)
    without, with_gold = (
        (Auto().fit(votes, gold=g, abstain="at_random").predict_proba(votes).argmax(axis=1) == truth)[rest].mean()
        for g in (None, gold)
    )
    assert with_gold >= without
    posterior = Auto().fit(votes, gold=gold).predict_proba(votes)
    assert posterior.shape == (500, 3)


@pytest.mark.parametrize(("own", "turned"), [(9, False), (6, False), (1, True), (0, True)])
def test_a_little_gold_that_happens_to_be_of_another_label_turns_no_voter_around(own: int, turned: bool) -> None:
    """Of 17 items on which a rule alone votes, gold has ``own`` of its label, the others of one that it has most of."""
    random = np.random.default_rng(3)
    matrix = np.full((600, 6), -1)
    matrix[:300, 0] = 0  # one broad rule, alone
    for voter in range(1, 6):
        votes = random.random(300) < 0.4
        matrix[300:, voter] = np.where(votes, voter % 3, -1)
    gold = np.full(600, -1)
    gold[:17] = np.where(np.arange(17) < own, 0, 1)
    gold[np.flatnonzero(matrix[:, 1] == 1)[:20]] = 1
    found = Auto().fit(matrix, gold=gold, abstain="informative").predict_proba(matrix)[20:300].argmax(axis=1)
    assert (found == (1 if turned else 0)).all()


def test_gold_turns_a_voter_around_that_votes_alone_cannot() -> None:
    """A labeling function that is nearly always wrong, and speaks where nobody else does."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 600)
    matrix = np.full((600, 4), -1)
    for v, (label, share) in enumerate([(0, 0.9), (1, 0.9), (0, 0.85)]):
        matrix[:300][random.random(300) < 0.4, v] = label
        wrong = (matrix[:, v] == label) & (truth != label) & (random.random(600) < share)
        matrix[wrong, v] = -1
    matrix[300:, 3] = np.where((truth == 0) & (random.random(600) < 0.6), 1, -1)[300:]
    votes = Votes.from_matrix(matrix, 2)
    lone = np.flatnonzero((matrix[:, 3] == 1) & (np.arange(600) >= 300))
    gold = np.full(600, -1)
    gold[lone[:15]] = truth[lone[:15]]
    without, with_gold = (Auto().fit(votes, gold=g).predict_proba(votes)[lone[20:]] for g in (None, gold))
    assert (without.argmax(axis=1) == 1).all()
    assert (with_gold.argmax(axis=1) == 0).all()


@pytest.mark.parametrize(
    ("matrix", "why"),
    [
        (np.tile([[0, 1], [1, 1], [0, -1]], (20, 1)), "fewer than three voters vote"),
        (np.zeros((30, 1), int), "fewer than three voters vote"),
    ],
)
def test_votes_that_show_nothing_count_the_same(matrix: Any, why: str) -> None:
    votes = Votes.from_matrix(matrix, 2)
    model = Auto().fit(votes)
    assert why in model.diagnostics_["fallback"]
    assert model.predict(votes).tolist() == Majority().fit(votes).predict(votes).tolist()


def test_a_fit_that_turns_the_labels_around_is_not_believed() -> None:
    """Most people are wrong more often than right: nothing but gold can tell which way round the labels are."""
    votes, truth = crowd(300, [0.3, 0.3, 0.35, 0.3, 0.99, 0.99], 2)
    model = Auto().fit(votes, abstain="at_random")
    assert "turns around" in model.diagnostics_["fallback"]
    gold = np.where(np.arange(300) < 40, truth, -1)
    told = Auto().fit(votes, gold=gold, abstain="at_random")
    assert right(told, votes, truth) > 0.95


def test_each_doubt_is_said_and_votes_then_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    votes, _ = crowd(300, [0.9, 0.8, 0.7, 0.65, 0.6], 2)
    for name, why in (("FLIPPED", "turns around"), ("REVERSED", "worse than chance"), ("SWALLOWED", "loses a label")):
        monkeypatch.setattr(auto, name, {"SWALLOWED": 2.0}.get(name, -1.0))
        doubted = Auto().fit(votes, abstain="at_random")
        assert why in doubted.diagnostics_["fallback"]
        assert doubted.predict(votes).tolist() == Majority().fit(votes).predict(votes).tolist()
        monkeypatch.undo()


@repeatable
@given(given_=matrices(), random=st.randoms(use_true_random=False))
def test_the_order_of_labels_changes_nothing_but_their_order(given_: tuple[Any, int], random: Any) -> None:
    matrix, k = given_
    names = list(range(k))
    random.shuffle(names)
    renamed = np.array([*names, -1])[matrix]
    first, second = (
        Auto().fit(Votes.from_matrix(m, k), abstain="at_random").predict_proba(Votes.from_matrix(m, k))
        for m in (matrix, renamed)
    )
    assert second[:, names] == pytest.approx(first, abs=1e-7)


def test_what_silence_says_is_seen_in_the_votes_if_nobody_tells() -> None:
    functions, _ = one_sided()
    people, _ = crowd(300, [0.9, 0.8, 0.7, 0.6], 2, coverage=0.5)
    assert Auto().fit(functions).informative_.all()
    assert not Auto().fit(people).informative_.any()
    named = Auto().fit(people, abstain={"voter_1": "informative"})
    assert named.informative_.tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="silence of voter 'voter_0' is one of informative, at_random, not 'maybe'"):
        Auto().fit(people, abstain="maybe")  # type: ignore[arg-type]


def test_people_and_functions_are_one_model() -> None:
    functions, truth = one_sided(1200)
    random = np.random.default_rng(3)
    said = np.where(random.random((1200, 3)) < 0.9, truth[:, None], 1 - truth[:, None])
    said[random.random((1200, 3)) > 0.3] = -1
    both = Votes.from_matrix(np.column_stack([functions.to_dense(), said]), 2)
    policy = {f"voter_{v}": "informative" if v < 8 else "at_random" for v in range(11)}
    mixed = right(Auto().fit(both, abstain=policy), both, truth)
    assert mixed > right(Auto().fit(functions), functions, truth) + 0.05
    learned = {f.voter: f.accuracy or 0.0 for f in Auto().fit(both, abstain=policy).voter_report()}
    assert min(learned[f"voter_{v}"] for v in (8, 9, 10)) > 0.82


def test_it_converges_and_says_so() -> None:
    votes, _ = crowd(500, [0.9, 0.8, 0.7, 0.6], 3)
    model = Auto().fit(votes, abstain="at_random")
    assert model.diagnostics_["converged"] is True
    assert model.diagnostics_["max_change"] <= 1e-5
    short = Auto(n_iter=2).fit(votes, abstain="at_random")
    assert (short.diagnostics_["iterations"], short.diagnostics_["converged"]) == (2, False)
    exact = Auto(tolerance=1e-10, n_iter=1000).fit(votes, abstain="at_random")
    assert exact.predict_proba(votes) == pytest.approx(model.predict_proba(votes), abs=1e-3)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"n_iter": -1}, "n_iter is 0 or more"),
        ({"anchor": 1.5}, "anchor is between 0 and 1"),
        ({"silence_weight": -0.1}, "silence_weight 0 or more"),
        ({"class_prior": "flat"}, "class_prior is 'learned', 'uniform'"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Auto(**parameters).fit(np.array([[0, 1, 1], [1, 1, 0]]))


def test_a_given_prior_is_kept() -> None:
    votes, _ = crowd(50, [0.8, 0.7, 0.7], 2, coverage=0.7)
    model = Auto(class_prior=[0.9, 0.1]).fit(votes)
    assert model.prior_ == pytest.approx([0.9, 0.1])
    assert Auto(class_prior="uniform").fit(votes).prior_ == pytest.approx([0.5, 0.5])


def test_its_parameters_are_plain_and_whole() -> None:
    votes, _ = one_sided(200)
    model = Auto().fit(votes)
    kept = json.loads(json.dumps(model.parameters(), allow_nan=False))
    again = Auto.from_parameters(kept)
    assert again.log_prior.tolist() == model.log_prior.tolist()
    assert again.say_.tolist() == model.say_.tolist()
    some = [p for p in range(votes.n_patterns) if votes.votes_per_pattern[p]][:5]
    for pattern in some:
        first, second = (m.contributions(votes, pattern) for m in (model, again))
        assert {k: v.tolist() for k, v in first.items()} == {k: v.tolist() for k, v in second.items()}
