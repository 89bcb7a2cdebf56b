"""What every label model promises that is told what is compared."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit import registry
from teachkit.label_models import ALGORITHMS
from teachkit.label_models import sweep as sweep_module
from teachkit.votes import Comparisons, Votes
from tests.contract.models import assert_probabilities, new
from tests.votes.duels import duels, sides, tournament
from tests.votes.matrices import repeatable

pytestmark = pytest.mark.parametrize("name", [n for n, about in ALGORITHMS.items() if about.sides])
silences = st.sampled_from(["informative", "at_random"])


def degenerate() -> dict[str, Comparisons]:
    random = np.random.default_rng(0)

    def of(matrix: Any, k: int, left: list[str], right: list[str]) -> Comparisons:
        return Comparisons.of(Votes.from_matrix(np.asarray(matrix), k), left, right)

    return {
        "no items": of(np.zeros((0, 3), int), 2, [], []),
        "one item": of([[0, 1, -1]], 2, ["a"], ["b"]),
        "no voters": of(np.zeros((5, 0), int), 3, ["a"] * 5, ["b"] * 5),
        "neither": of(np.zeros((0, 0), int), 2, [], []),
        "one voter": of(random.integers(-1, 2, (20, 1)), 2, ["a", "b"] * 10, ["b", "c"] * 10),
        "all abstain": of(np.full((7, 3), -1), 3, ["a"] * 7, ["b"] * 7),
        "one side only": of(np.zeros((9, 3), int), 2, ["a"] * 9, list("bcdefghij")),
        "ties only": of(np.full((9, 3), 2), 3, ["a"] * 9, ["b"] * 9),
        "one contestant": of(random.integers(-1, 3, (30, 4)), 3, ["a"] * 30, ["a"] * 30),
        "nothing connects": of([[0, 0], [1, 0], [0, -1]], 2, ["a", "c", "e"], ["b", "d", "f"]),
        "Unicode": of(random.integers(-1, 3, (9, 2)), 3, ["ä", "名", ""] * 3, ["名", "ä", "b c"] * 3),
    }


def test_it_is_found_by_its_name_and_version(name: str) -> None:
    model = registry.load("label_model", name)
    assert (model.name, model.version, model.kinds) == (name, ALGORITHMS[name].version, ALGORITHMS[name].kinds)


@repeatable
@given(votes=duels(), silence=silences)
def test_posteriors_are_probabilities(name: str, votes: Comparisons, silence: str) -> None:
    assert_probabilities(new(name).fit(votes, abstain=silence).predict_proba(votes), votes)


@repeatable
@given(votes=duels(), silence=silences, random=st.randoms(use_true_random=False))
def test_the_order_of_items_and_voters_is_irrelevant(name: str, votes: Comparisons, silence: str, random: Any) -> None:
    matrix, (left, right) = votes.to_dense(), sides(votes)
    items, voters = list(range(matrix.shape[0])), list(range(matrix.shape[1]))
    random.shuffle(items)
    random.shuffle(voters)
    plain = Votes.from_matrix(matrix[items][:, voters], votes.n_labels, [votes.voters[v] for v in voters])
    shuffled = Comparisons.of(plain, [left[i] for i in items], [right[i] for i in items])
    first, second = (new(name).fit(v, abstain=silence).predict_proba(v) for v in (votes, shuffled))
    assert second == pytest.approx(first[items], abs=1e-7)


def test_any_number_of_threads_gives_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "CHUNK", 50)
    scores = [i / 50 for i in range(150)]
    votes, _ = tournament(800, scores, [2, 1, 1, 0.5], [0, 1, 0, -1], tie=-0.5, coverage=0.7)
    assert votes.n_patterns > 500
    found = []
    for threads in (1, 2, 4):
        model = new(name, threads=threads).fit(votes, abstain="at_random")
        found.append((model.predict_proba(votes).tobytes(), json.dumps(model.parameters())))
    assert found[0] == found[1] == found[2]


@repeatable
@given(votes=duels(), silence=silences)
def test_parameters_give_the_same_model_again(name: str, votes: Comparisons, silence: str) -> None:
    model = new(name).fit(votes, abstain=silence)
    kept = json.loads(json.dumps(model.parameters(), allow_nan=False))
    again = type(model).from_parameters(kept)
    assert again.predict_proba(votes).tobytes() == model.predict_proba(votes).tobytes()
    assert again.voter_report() == model.voter_report()
    assert again.parameters() == model.parameters()


@repeatable
@given(votes=duels(), silence=silences)
def test_prior_and_contributions_add_up_to_the_posterior(name: str, votes: Comparisons, silence: str) -> None:
    model = new(name).fit(votes, abstain=silence)
    posterior = model.pattern_proba(votes)
    for pattern in range(votes.n_patterns):
        moved = model.contributions(votes, pattern)
        part = slice(votes.indptr[pattern], votes.indptr[pattern + 1])
        assert {votes.voters[v] for v in votes.voter[part]} <= set(moved)
        logs = sum(moved.values(), model.log_prior_of(votes, pattern))
        shift = np.log(posterior[pattern]) - logs
        assert shift == pytest.approx(np.full(votes.n_labels, shift[0]), abs=1e-9)


@pytest.mark.parametrize("case", list(degenerate()))
@pytest.mark.parametrize("silence", ["informative", "at_random"])
def test_degenerate_votes_give_probabilities(name: str, case: str, silence: str) -> None:
    votes = degenerate()[case]
    gold = np.random.default_rng(1).integers(0, votes.n_labels, votes.n_items)
    for known in (None, np.full(votes.n_items, -1), gold):
        model = new(name).fit(votes, gold=known, abstain=silence)
        assert_probabilities(model.predict_proba(votes), votes)
        for found in model.voter_report():
            assert found.accuracy is None or found.low <= found.accuracy + 1e-12 <= found.high + 2e-12
        json.dumps(model.parameters(), allow_nan=False)


@pytest.mark.parametrize("policy", ["abstain", "prior", "first"])
def test_silent_items_have_no_label_and_what_the_scores_say(name: str, policy: str) -> None:
    votes = Comparisons.of(Votes.from_matrix([[0, 0], [-1, -1], [0, 0], [1, 1]], 2), list("aaac"), list("bbbb"))
    model = new(name).fit(votes)
    assert model.predict(votes, tie_policy=policy).tolist() == [0, -1, 0, 1]
    silent = model.predict_proba(votes)[1]
    assert np.log(silent) == pytest.approx(model.log_prior_of(votes, int(votes.pattern_of[1])), abs=1e-12)
    assert silent[0] > 0.55


def test_known_labels_all_around_give_the_share_of_right_votes(name: str) -> None:
    votes, truth = tournament(80, [1.0, 0.0, -1.0], [2.0, 0.5], [0.0, 0.0])
    found = new(name).fit(votes, gold=truth, abstain="at_random").voter_report()
    right = (votes.to_dense() == truth[:, None]).mean(axis=0)
    assert [f.accuracy for f in found] == pytest.approx(right.tolist())


def test_votes_that_do_not_say_what_is_compared_are_refused(name: str) -> None:
    votes = Votes.from_matrix([[0, 1]], 2)
    with pytest.raises(ValueError, match="needs to know what is compared"):
        new(name).fit(votes)
    model = new(name).fit(Comparisons.of(votes, ["a"], ["b"]))
    for ask in (model.predict_proba, model.predict, model.pattern_proba):
        with pytest.raises(ValueError, match="needs to know what is compared"):
            ask(votes)
