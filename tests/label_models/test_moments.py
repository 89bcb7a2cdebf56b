"""Models of pairs of votes: MeTaL, triplets; and KOS, which shares their one-against-the-rest."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from math import exp, lgamma
from typing import Any

import numpy as np
import pytest

from teachkit.label_models import Kos, Majority, Metal, Triplet
from teachkit.label_models import moments as module
from teachkit.label_models.exact import hexed
from teachkit.label_models.kos_kernels import votes_in_messages
from teachkit.label_models.moment_kernels import _solve
from teachkit.label_models.moments import outcome_counts
from teachkit.label_models.triplet import WORTHS, with_right
from teachkit.votes import Votes
from tests.label_models.examples import crowd


def right(model: Any, votes: Votes, truth: Any) -> float:
    return float((model.fit(votes).predict_proba(votes).argmax(axis=1) == truth).mean())


def functions(seed: int = 0, n_items: int = 8000) -> tuple[Votes, Any, Any]:
    """Three labels, seven voters of different confusion and coverage; the truth, and P(vote c | y) [V, K, K]."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, n_items)
    matrix, likelihood = np.full((n_items, 7), -1), np.zeros((7, 3, 3))
    for v in range(7):
        confusion = 0.6 * np.eye(3) + 0.4 * random.dirichlet(np.ones(3), 3)
        fires = random.uniform(0.4, 0.9, 3)
        likelihood[v] = (confusion * fires[:, None]).T
        for y in range(3):
            rows = np.flatnonzero((truth == y) & (random.random(n_items) < fires[truth]))
            matrix[rows, v] = random.choice(3, len(rows), p=confusion[y])
    return Votes.from_matrix(matrix, 3), truth, likelihood


def test_counts_of_outcomes_are_those_of_the_matrix() -> None:
    votes, _ = crowd(200, [0.9, 0.7, 0.6], 3, coverage=0.7)
    dense = votes.to_dense()
    hot = (dense[:, :, None] == np.arange(3)).reshape(200, 9).astype(int)
    assert (outcome_counts(votes) == hot.T @ hot).all()
    assert (outcome_counts(votes, 3) == hot.T @ hot).all()


def test_equations_are_solved() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(5, 5)), random.normal(size=(5, 2))
    x = b.copy()
    _solve(a.copy(), x)
    assert a @ x == pytest.approx(b, abs=1e-10)


def test_metal_finds_likelihoods_from_pairs_alone() -> None:
    votes, truth, likelihood = functions()
    model = Metal(l2=1e-4, n_iter=2000, tolerance=1e-9).fit(votes)
    assert np.abs(model.likelihood_[:, :3] - likelihood).mean() < 0.03
    logs = np.where(votes.to_dense()[:, :, None] >= 0, np.log(likelihood[np.arange(7), votes.to_dense()]), 0.0)
    best = (logs.sum(axis=1).argmax(axis=1) == truth).mean()
    assert right(Metal(), votes, truth) > best - 0.02
    assert right(Metal(), votes, truth) > right(Majority(), votes, truth)


@pytest.mark.parametrize("seed", range(3))
def test_copies_of_a_voter_do_not_vouch_for_each_other(seed: int) -> None:
    """Functions for one label each, the first of which stands there six times."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, 2000)
    columns = [np.where(random.random(2000) < np.where(truth == v % 2, 0.3, 0.1), v % 2, -1) for v in range(9)]
    alone = np.stack(columns, axis=1)
    copied = np.concatenate([alone, np.repeat(alone[:, :1], 5, axis=1)], axis=1)
    one, six = (Metal().fit(Votes.from_matrix(matrix, 2)) for matrix in (alone, copied))
    assert six.likelihood_[:9] == pytest.approx(one.likelihood_, abs=0.05)
    assert np.ptp(six.likelihood_[[0, *range(9, 14)]], axis=0) == pytest.approx(0.0, abs=1e-9)


def test_voters_that_overlap_little_stay_where_they_start() -> None:
    matrix = np.full((300, 3), -1)
    matrix[:100, 0], matrix[100:200, 1], matrix[200:, 2] = 0, 1, 1
    model = Metal(precision=0.8).fit(Votes.from_matrix(matrix, 2))
    posterior = model.predict_proba(matrix)
    assert posterior[0] == pytest.approx([0.8, 0.2], abs=0.01)
    assert posterior[150] == pytest.approx([0.2, 0.8], abs=0.01)


def test_a_given_prior_is_kept() -> None:
    votes, _, _ = functions(n_items=500)
    model = Metal(class_prior=[0.8, 0.1, 0.1]).fit(votes)
    assert model.prior_ == pytest.approx([0.8, 0.1, 0.1])


def test_too_many_voters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OUTCOMES", 5)
    with pytest.raises(ValueError, match=r"3 voters of 2 labels are too many .* 5 at most"):
        Metal().fit(np.array([[0, 1, 1]]))


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Metal(precision=1.0), "precision is between 0 and 1"),
        (Metal(l2=-1), "l2 0 or more"),
        (Metal(strength=0), "strength above 0"),
        (Triplet(strength=-1), "strength is 0 or more"),
    ],
)
def test_bad_parameters_are_refused(model: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        model.fit(np.array([[0, 1, 1]]))


@pytest.mark.parametrize("labels", [2, 3])
def test_triplets_give_the_accuracies(labels: int) -> None:
    accuracies = [0.95, 0.85, 0.75, 0.65]
    votes, truth = crowd(20_000, accuracies, labels, coverage=0.8)
    model = Triplet().fit(votes)
    learned = [found.accuracy or 0.0 for found in model.voter_report()]
    assert learned == sorted(learned, reverse=True)
    if labels == 2:
        odds = 2 * np.log(model.likelihood_[:, 0, 0])
        assert 1 / (1 + np.exp(-odds)) == pytest.approx(accuracies, abs=0.03)
    assert right(Triplet(), votes, truth) > right(Majority(), votes, truth)


def test_without_triplets_voters_are_taken_to_be_as_usual() -> None:
    model = Triplet().fit(np.array([[0, 1], [1, 1], [0, 0], [1, 1]]))
    assert (1 / (1 + np.exp(-2 * np.log(model.likelihood_[:, 0, 0])))) == pytest.approx([0.7, 0.7])


def messages(matrix: Any, rounds: int) -> Any:
    """KOS by hand: messages along each edge of items and voters."""
    signs = {
        (i, v): 1.0 if row[v] == 1 else -1.0 for i, row in enumerate(matrix) for v in range(len(row)) if row[v] >= 0
    }
    to_item = dict.fromkeys(signs, 1.0)
    for _ in range(rounds):
        to_voter = {(i, v): sum(signs[j, u] * to_item[j, u] for j, u in signs if j == i and u != v) for i, v in signs}
        to_item = {(i, v): sum(signs[j, u] * to_voter[j, u] for j, u in signs if u == v and j != i) for i, v in signs}
        most = max(abs(x) for x in to_item.values())
        to_item = {edge: x / most for edge, x in to_item.items()}
    return np.array([sum(signs[j, u] * to_voter[j, u] for j, u in signs if u == v) for v in range(matrix.shape[1])])


@pytest.mark.parametrize("rounds", [1, 3])
def test_messages_are_those_of_each_edge(rounds: int) -> None:
    votes, _ = crowd(25, [0.9, 0.8, 0.7, 0.6], 2, coverage=0.7)
    trust = np.zeros(4)
    nothing, weight = np.full(votes.n_patterns, -1), votes.counts.astype(float)
    votes_in_messages(votes.indptr, votes.voter, votes.code, weight, nothing, 1, rounds, trust)
    by_hand = messages(votes.to_dense(), rounds)
    assert trust / np.abs(trust).max() == pytest.approx(by_hand / np.abs(by_hand).max(), abs=1e-9)


def test_kos_trusts_those_who_are_right() -> None:
    accuracies = list(np.random.default_rng(2).uniform(0.45, 0.95, 60))
    votes, truth = crowd(500, accuracies, 2, coverage=0.1, seed=2)
    spoken = votes.votes_per_pattern[votes.pattern_of] > 0
    mine, majority = (
        (m.fit(votes).predict_proba(votes).argmax(axis=1) == truth)[spoken].mean() for m in (Kos(), Majority())
    )
    assert mine > majority - 0.01
    weights = np.log(Kos().fit(votes).likelihood_[:, 0, 0])
    assert np.corrcoef(weights, accuracies)[0, 1] > 0.6


@pytest.mark.parametrize("model", [Metal(), Triplet()])
def test_gold_teaches_how_far_to_trust_a_voter(model: Any) -> None:
    """Three bad voters that err alike look right to each other; gold of other items shows what they are."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 3000)
    bad = np.where(random.random(3000) < 0.4, truth, 1 - truth)
    good = [np.where(random.random(3000) < 0.8, truth, 1 - truth) for _ in range(3)]
    alike = [np.where(random.random(3000) < 0.02, 1 - bad, bad) for _ in range(3)]
    votes = Votes.from_matrix(np.stack([*alike, *good], axis=1), 2)
    gold = np.full(3000, -1)
    gold[:100] = truth[:100]
    rest = gold < 0
    alone = model.fit(votes).predict_proba(votes).argmax(axis=1)
    told = model.fit(votes, gold).predict_proba(votes).argmax(axis=1)
    assert (told == truth)[rest].mean() > (alone == truth)[rest].mean() + 0.1


@pytest.mark.parametrize("model", [Metal(), Triplet()])
def test_gold_of_no_item_changes_no_bit(model: Any) -> None:
    votes, _, _ = functions(n_items=400)
    before = model.fit(votes).likelihood_.tobytes()
    assert model.fit(votes, np.full(400, -1)).likelihood_.tobytes() == before


def test_much_gold_makes_the_likelihoods_of_metal_those_of_gold() -> None:
    votes, truth, likelihood = functions(1)
    found = Metal(class_prior="uniform").fit(votes, truth).likelihood_
    assert found[:, :3] == pytest.approx(likelihood, abs=0.04)


def test_a_model_says_whether_it_settled() -> None:
    votes, _, _ = functions(n_items=2000)
    assert Metal(n_iter=500).fit(votes).diagnostics_["converged"]
    early = Metal(n_iter=2).fit(votes).diagnostics_
    assert not early["converged"]
    assert early["iterations"] == 2
    assert early["max_change"] > 1e-6
    assert Triplet().fit(votes).diagnostics_["converged"]
    people, _ = crowd(600, [0.9, 0.8, 0.7, 0.6, 0.8], 2, coverage=0.7)
    assert not Kos(n_iter=1).fit(people).diagnostics_["converged"]
    assert Kos(n_iter=60).fit(people).diagnostics_["converged"]


def some_gold(truth: Any, many: int = 50, seed: int = 0) -> Any:
    """Gold of so many items, drawn at random."""
    gold = np.full(len(truth), -1)
    drawn = np.random.default_rng(seed).choice(len(truth), many, replace=False)
    gold[drawn] = truth[drawn]
    return gold


def fixed(labels: int) -> Votes:
    """Votes of twelve voters on 120 items, without chance."""
    item, voter = np.arange(120)[:, None], np.arange(12)
    said = (item + (item * (voter + 2) % 7 == 3) + (item * (voter + 5) % 13 == 1)) % labels
    return Votes.from_matrix(np.where(item * (voter + 3) % 11 < 3, -1, said), labels)


@pytest.mark.parametrize(
    ("name", "labels", "digest"),
    [
        (Metal, 2, "54625dc9bc62ba15"),
        (Metal, 3, "94d8ef210a0fca0e"),
        (Triplet, 2, "08543cf33c9d026f"),
        (Triplet, 3, "5065a70096555c7e"),
    ],
)
def test_without_gold_the_bits_are_those_of_version_1(name: Any, labels: int, digest: str) -> None:
    for gold in (None, np.full(120, -1)):
        model = name().fit(fixed(labels), gold)
        assert hashlib.sha256(" ".join(hexed(model.likelihood_)).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("name", [Metal, Triplet])
@pytest.mark.parametrize("labels", [2, 3])
def test_gold_shows_who_is_worse_than_chance(name: Any, labels: int) -> None:
    votes, truth = crowd(800, [0.85, 0.8, 0.15, 0.1, 0.1], labels, coverage=0.8)
    gold = some_gold(truth)
    without, taught = (
        (name().fit(votes, known).predict_proba(votes).argmax(axis=1) == truth)[gold < 0].mean()
        for known in (None, gold)
    )
    assert without < 0.65
    assert taught > 0.8


@pytest.mark.parametrize("name", [Metal, Triplet])
def test_gold_moves_what_a_voter_says_elsewhere(name: Any) -> None:
    votes, _ = crowd(300, [0.8, 0.8, 0.8, 0.8], 2, coverage=0.5)
    alone = np.array([[0, -1, -1, -1]])
    its = votes.to_dense()[:, 0]
    spoke = np.flatnonzero(its >= 0)[:40]
    right, wrong = np.full(300, -1), np.full(300, -1)
    right[spoke], wrong[spoke] = its[spoke], 1 - its[spoke]
    confirmed, plain, refuted = (name().fit(votes, gold).predict_proba(alone)[0, 0] for gold in (right, None, wrong))
    assert confirmed > plain + 0.02
    assert refuted < plain - 0.1


@pytest.mark.parametrize("name", [Metal, Triplet])
def test_more_gold_tells_more(name: Any) -> None:
    votes, truth = crowd(2000, [0.9, 0.8, 0.3, 0.2, 0.2], 2, coverage=0.5)
    found = []
    for many in (0, 15, 60, 400):
        model = name().fit(votes, some_gold(truth, many))
        found.append(float(model.predict_proba(np.array([[-1, -1, -1, -1, 0]]))[0, 0]))
    assert all(after < before for before, after in pairwise(found))
    assert found[-1] == pytest.approx(0.2, abs=0.06)


def test_gold_of_one_voter_tells_metal_which_others_to_believe() -> None:
    votes, truth = crowd(3000, [0.9, 0.85, 0.1, 0.1, 0.15], 2, coverage=0.5)
    matrix = votes.to_dense()
    only = (matrix[:, 0] >= 0) & (matrix[:, 1:] < 0).all(axis=1)  # gold of items on which nobody else votes
    gold = np.where(only, truth, -1)
    assert only.sum() > 50
    others = np.array([[-1, 0, -1, -1, -1], [-1, -1, 0, -1, -1]])
    before, after = (Metal().fit(votes, known).predict_proba(others)[:, 0] for known in (None, gold))
    assert before[0] < 0.5 < before[1]
    assert after[0] > 0.5 > after[1]


def test_much_gold_does_not_hide_confusions_from_metal() -> None:
    votes, truth, likelihood = functions()
    gold = some_gold(truth, 4000)
    without, taught = Metal().fit(votes), Metal().fit(votes, gold)
    off = [np.abs(model.likelihood_[:, :3] - likelihood).mean() for model in (without, taught)]
    assert off[1] < 0.7 * off[0]
    right = [(m.predict_proba(votes).argmax(axis=1) == truth)[gold < 0].mean() for m in (without, taught)]
    assert right[1] > right[0]


@pytest.mark.parametrize("labels", [2, 3])
def test_gold_of_one_label_shows_a_triplet_nothing(labels: int) -> None:
    votes, truth = crowd(300, [0.9, 0.8, 0.3, 0.7], labels, coverage=0.8)
    only = np.where((truth == 1) & (np.arange(300) < 150), 1, -1)
    assert (Triplet().fit(votes, only).likelihood_ == Triplet().fit(votes).likelihood_).all()


def test_gold_of_one_label_shows_metal_no_precision() -> None:
    gold = np.zeros((3, 2, 2))  # voters, votes, labels
    gold[:, :, 1] = [1.0, 9.0]
    assert Metal()._precisions(gold).tolist() == [0.7] * 3
    gold[:, :, 0] = [6.0, 4.0]
    assert Metal()._precisions(gold) == pytest.approx([(16 * 0.7 + 15) / (16 + 20)] * 3)


@pytest.mark.parametrize("name", [Metal, Triplet])
def test_with_gold_order_and_threads_mean_nothing(name: Any) -> None:
    votes, truth = crowd(400, [0.9, 0.8, 0.3, 0.2, 0.7], 3, coverage=0.6)
    gold, matrix = some_gold(truth), votes.to_dense()
    items, voters = np.random.default_rng(1).permutation(400), [3, 0, 4, 1, 2]
    found = name().fit(matrix, gold).predict_proba(matrix)
    moved = name().fit(matrix[items][:, voters], gold[items]).predict_proba(matrix[items][:, voters])
    assert moved == pytest.approx(found[items], abs=1e-9)
    assert (name(threads=3).fit(matrix, gold).predict_proba(matrix) == found).all()


def test_start_and_gold_are_added_as_items() -> None:
    start = np.array([[[0.3, 0.1], [0.1, 0.3]], [[0.05, 0.05], [0.1, 0.1]]])
    said = np.array([[[6.0, 0.0], [3.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]])
    coverage, before = np.array([[0.4], [0.2]]), np.full((2, 2), 0.5)
    found, ridge = Metal(strength=8.0)._with_gold(start, before, said, coverage)
    items = 11.0 / 0.55  # of label 0: by the start as many bring 11 votes
    for voter, worth in enumerate((8.0 / 0.4, 8.0 / 0.2)):
        assert found[voter, :, 0] == pytest.approx((worth * start[voter, :, 0] + said[voter, :, 0]) / (worth + items))
        assert ridge[voter] == pytest.approx([0.5 * (worth + items) / worth, 0.5])
    assert (found[:, :, 1] == start[:, :, 1]).all()


def by_hand(right: Any, said: Any, before: Any) -> Any:
    """The mean of what gold makes of an accuracy, over how much it may be worth."""

    def likely(worth: float) -> float:
        out = 0.0
        for r, n, p in zip(right, said, before, strict=True):
            a, b = worth * p, worth * (1 - p)
            out += lgamma(r + a) + lgamma(n - r + b) - lgamma(n + worth) + lgamma(worth) - lgamma(a) - lgamma(b)
        return exp(out)

    found = [(worth * before + right) / (worth + said) for worth in WORTHS]
    return np.average(found, axis=0, weights=[likely(worth) for worth in WORTHS])


def test_how_much_gold_outweighs_triplets_gold_shows() -> None:
    before, said = np.array([0.9, 0.8, 0.7, 0.6]), np.array([10.0, 10.0, 10.0, 0.0])
    agreed, refuted = np.array([10.0, 8.0, 7.0, 0.0]), np.array([10.0, 1.0, 1.0, 0.0])
    for right in (agreed, refuted):
        found = with_right(before, right, said)
        assert found[:3] == pytest.approx(by_hand(right, said, before)[:3])
        assert found[3] == 0.6
    moved = [by_hand(right, said, before)[0] - 0.9 for right in (agreed, refuted)]
    assert 0 < moved[0] < moved[1]  # where the others show triplets wrong they are worth less
