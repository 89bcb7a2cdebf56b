from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from teachkit.label_models import BradleyTerry, DawidSkene, Majority
from teachkit.label_models.base import leave_one_out
from teachkit.votes import Comparisons, Votes
from tests.votes.duels import duels, sides, tournament
from tests.votes.matrices import repeatable

SCORES = [1.2, 0.6, 0.0, -0.6, -1.2]
MIRROR = np.array([1, 0, 2, -1])


def scores_of(model: BradleyTerry) -> dict[str, float]:
    return {one.contestant: one.score for one in model.scores_}


def mirrored(votes: Comparisons) -> Comparisons:
    left, right = sides(votes)
    return Comparisons.of(Votes.from_matrix(MIRROR[votes.to_dense()], votes.n_labels, votes.voters), right, left)


def with_voter(votes: Comparisons, column: Any) -> Comparisons:
    matrix = np.column_stack([votes.to_dense(), column])
    return Comparisons.of(Votes.from_matrix(matrix, votes.n_labels), *sides(votes))


@repeatable
@given(votes=duels())
def test_swapping_the_sides_mirrors_the_posterior_and_nothing_else(votes: Comparisons) -> None:
    straight, turned = BradleyTerry().fit(votes), BradleyTerry().fit(mirrored(votes))
    order = [1, 0, 2][: votes.n_labels]
    assert turned.predict_proba(mirrored(votes))[:, order] == pytest.approx(straight.predict_proba(votes), abs=1e-6)
    assert scores_of(turned) == pytest.approx(scores_of(straight), abs=1e-5)
    assert [-s.left_bias for s in turned.sides_] == pytest.approx([s.left_bias for s in straight.sides_], abs=1e-5)


@pytest.mark.parametrize("silence", ["informative", "at_random"])
@pytest.mark.parametrize("tie", [None, -0.5])
def test_scores_reliability_bias_and_ties_are_found_again(silence: Any, tie: float | None) -> None:
    biases = [0.0, 0.0, 0.0, 1.5, -1.0, 3.0]
    votes, truth = tournament(3000, SCORES, [3.0, 2.0, 1.0, 2.0, 2.0, 0.5], biases, tie=tie)
    model = BradleyTerry().fit(votes, abstain=silence)
    found = scores_of(model)
    assert [found[f"m{i}"] for i in range(5)] == pytest.approx(SCORES, abs=0.25)
    assert [one.contestant for one in model.scores_] == ["m0", "m1", "m2", "m3", "m4"]
    assert [side.left_bias for side in model.sides_] == pytest.approx(biases, abs=0.3)
    assert [side.reliability for side in model.sides_] == pytest.approx([3.0, 2.0, 1.0, 2.0, 2.0, 0.5], abs=0.5)
    assert model.tie_ == pytest.approx(tie or 0.0, abs=0.2)
    right = [(m.predict(votes, tie_policy="first") == truth).mean() for m in (model, Majority().fit(votes))]
    assert right[0] > right[1] + 0.01
    assert model.diagnostics_["converged"]


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    inside, sides = [], []
    for seed in range(40):
        votes, _ = tournament(300, SCORES, [1.0, 1.5, 2.0], [0.5, 0.0, -0.5], tie=-0.5, coverage=0.7, seed=seed)
        model = BradleyTerry().fit(votes, abstain="at_random")
        inside += [one.low <= SCORES[int(one.contestant[1:])] <= one.high for one in model.scores_]
        sides += [side.low <= bias <= side.high for side, bias in zip(model.sides_, (0.5, 0.0, -0.5), strict=True)]
    assert 0.88 < np.mean(inside) <= 0.99
    assert 0.88 < np.mean(sides) <= 0.99


def test_a_voter_who_always_says_left_is_biased_and_hardly_moves_the_scores() -> None:
    votes, _ = tournament(1000, SCORES, [2.0, 1.5, 1.5], [0.0, 0.0, 0.0])
    before = BradleyTerry().fit(votes, abstain="at_random")
    more = with_voter(votes, np.zeros(1000, int))
    after = BradleyTerry().fit(more, abstain="at_random")
    assert after.sides_[3].left_bias > 3
    assert after.sides_[3].low > 2
    assert [s.left_bias for s in after.sides_[:3]] == pytest.approx([s.left_bias for s in before.sides_], abs=0.05)
    assert scores_of(after) == pytest.approx(scores_of(before), abs=0.05)
    assert abs(after.predict_proba(more) - before.predict_proba(votes)).max() < 0.1


def test_a_labeling_function_of_one_side_speaks_by_when_it_speaks() -> None:
    """It says left or nothing: its silence is worth something, so a vote for the left moves the odds to the left."""
    votes, truth = tournament(2000, SCORES, [2.0, 1.5], [0.0, 0.0])
    random = np.random.default_rng(1)
    speaks = random.random(2000) < np.where(truth == 0, 0.5, 0.05)
    more = with_voter(votes, np.where(speaks, 0, -1))
    model = BradleyTerry().fit(more, abstain={"voter_2": "informative", "voter_0": "at_random", "voter_1": "at_random"})
    pattern = next(p for p in range(more.n_patterns) if 2 in more.voter[more.indptr[p] : more.indptr[p + 1]])
    moved = model.contributions(more, pattern)["voter_2"]
    assert moved[0] - moved[1] > 1.0
    alone = (BradleyTerry().fit(votes, abstain="at_random").predict(votes) == truth).mean()
    assert (model.predict(more) == truth).mean() > alone + 0.01


def test_few_comparisons_give_no_certainty() -> None:
    votes = Comparisons.of(Votes.from_matrix([[0]], 2), ["a"], ["b"])
    model = BradleyTerry().fit(votes, abstain="at_random")
    (a, b) = model.scores_
    assert (a.contestant, a.comparisons) == ("a", 1)
    assert a.low < 0 < a.high
    assert b.low < 0 < b.high
    assert 0.5 < model.predict_proba(votes)[0, 0] < 0.9
    assert (a.wins, a.losses) == pytest.approx((b.losses, b.wins))
    assert a.wins + a.losses + a.ties == pytest.approx(1.0)


def test_nothing_is_said_of_groups_that_nobody_compares() -> None:
    rows = [[0, 0]] * 20 + [[1, 1]] * 20
    votes = Comparisons.of(Votes.from_matrix(rows, 2), ["a"] * 20 + ["c"] * 20, ["b"] * 20 + ["d"] * 20)
    model = BradleyTerry().fit(votes, abstain="at_random")
    found = scores_of(model)
    assert model.diagnostics_["contestant_groups"] == 2
    assert found["a"] == pytest.approx(found["d"], abs=1e-6)
    assert found["b"] == pytest.approx(found["c"], abs=1e-6)
    assert found["a"] > 0 > found["b"]
    assert all(one.high - one.low > 2 for one in model.scores_)  # whatever the votes, only the prior joins the two
    joined = Comparisons.of(Votes.from_matrix([*rows, *[[0, 1]] * 20], 2), *_with(votes, "a", "d", 20))
    assert BradleyTerry().fit(joined, abstain="at_random").diagnostics_["contestant_groups"] == 1


def _with(votes: Comparisons, left: str, right: str, times: int) -> tuple[list[str], list[str]]:
    a, b = sides(votes)
    return a + [left] * times, b + [right] * times


def test_a_contestant_that_the_fit_did_not_see_is_as_good_as_the_mean() -> None:
    votes, _ = tournament(400, SCORES, [2.0, 2.0], [0.0, 0.0])
    model = BradleyTerry().fit(votes)
    new = Comparisons.of(Votes.from_matrix([[-1, -1], [-1, -1]], 2, votes.voters), ["new", "m0"], ["newer", "new"])
    found = model.predict_proba(new)
    assert found[0].tolist() == [0.5, 0.5]
    assert found[1, 0] == pytest.approx(1 / (1 + np.exp(-scores_of(model)["m0"])))


def test_it_is_better_than_models_that_do_not_know_who_plays() -> None:
    votes, truth = tournament(4000, [3.0, 1.0, -1.0, -3.0], [1.0, 1.0], [1.0, 1.0], seed=3)
    found = {
        type(m).__name__: (m.predict(votes) == truth).mean()
        for m in (_fit(BradleyTerry(), votes), _fit(DawidSkene(), votes))
    }
    assert found["BradleyTerry"] > found["DawidSkene"] + 0.05


def _fit(model: Any, votes: Comparisons) -> Any:
    return model.fit(votes, abstain="at_random")


def test_more_reliable_voters_move_more() -> None:
    votes, _ = tournament(1500, SCORES, [3.0, 0.5, 2.0], [0.0, 0.0, 0.0])
    model = BradleyTerry().fit(votes, abstain="at_random")
    one = Comparisons.of(Votes.from_matrix([[0, 1, -1]], 2, votes.voters), ["m0"], ["m0"])
    moved = model.contributions(one, 0)
    assert moved["voter_0"][0] - moved["voter_0"][1] > moved["voter_1"][1] - moved["voter_1"][0] > 0
    left_out = leave_one_out(model, one, 0)
    assert left_out["voter_0"][0] > 0 > left_out["voter_1"][0]


@pytest.mark.parametrize("name", ["score_spread", "reliability_spread", "bias_spread"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_spread_that_is_none_is_refused(name: str, value: float) -> None:
    votes = Comparisons.of(Votes.from_matrix([[0]], 2), ["a"], ["b"])
    with pytest.raises(ValueError, match=f"{name} is (more than 0|a number)"):
        given: dict[str, Any] = {name: value}
        BradleyTerry(**given).fit(votes)


def test_a_narrow_prior_holds_scores_and_biases_back() -> None:
    votes, _ = tournament(500, SCORES, [2.0, 2.0], [1.5, 0.0])
    wide, narrow = BradleyTerry().fit(votes), BradleyTerry(score_spread=0.1, bias_spread=0.05).fit(votes)
    assert max(scores_of(narrow).values()) < 0.5 * max(scores_of(wide).values())
    assert abs(narrow.sides_[0].left_bias) < 0.5 * abs(wide.sides_[0].left_bias)


def test_the_prior_of_one_comparison_is_no_prior_of_all() -> None:
    model = BradleyTerry().fit(Comparisons.of(Votes.from_matrix([[0]], 2), ["a"], ["b"]))
    assert not hasattr(model, "log_prior")


def test_few_steps_where_voters_are_mostly_silent() -> None:
    votes, _ = tournament(300, SCORES, [2.0, 2.0, 1.0], [0.0, 0.0, 0.0], coverage=0.3)
    assert BradleyTerry().fit(votes).diagnostics_["iterations"] == 3
    assert BradleyTerry().fit(votes, abstain="at_random").diagnostics_["iterations"] > 3
    assert BradleyTerry(n_iter=7, tolerance=0).fit(votes).diagnostics_["iterations"] == 7
