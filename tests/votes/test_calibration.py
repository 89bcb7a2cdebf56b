from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes.calibration import (
    FLOOR,
    Isotonic,
    Temperature,
    auroc,
    brier,
    brier_score,
    cross_fitted,
    equal_mass_edges,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    log_loss,
    posterior_calibration,
    reliability,
)
from teachkit.votes.intervals import wilson

JUDGED = st.lists(st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.booleans()), min_size=1)


def split(items: Any) -> tuple[Any, Any]:
    return np.array([s for s, _ in items]), np.array([r for _, r in items], dtype=bool)


def slow_isotonic(score: Any, right: Any) -> list[float]:
    """Least squares under order, by the formula of minima of maxima of means (Barlow et al. 1972), for each item."""
    levels = np.unique(score)
    means = {(a, b): right[(score >= a) & (score <= b)].mean() for a in levels for b in levels if a <= b}
    return [
        max(min(means[a, b] for b in levels if b >= s) for a in levels if a <= s) for s in score
    ]  # fmt: skip


def test_blocks_get_the_mean_of_jeffreys_posterior() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    right = np.array([0, 0, 1, 0, 1, 1, 1], dtype=bool)
    found = fit_isotonic(score, right)
    assert found is not None
    assert found.scores == (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
    assert found.probabilities == (0.5 / 3, 0.5 / 3, 1.5 / 3, 1.5 / 3, 3.5 / 4, 3.5 / 4)
    assert found.apply([0.0, 0.25, 0.6, 2.0]) == pytest.approx([0.5 / 3, 1 / 3, 3.5 / 4, 3.5 / 4])


def test_blocks_that_the_prior_puts_out_of_order_are_pooled_again() -> None:
    score = np.array([0.5] * 100 + [0.9])
    right = np.array([True] * 98 + [False] * 2 + [True])
    found = fit_isotonic(score, right)
    assert found == Isotonic((0.5, 0.9), (100 / 103, 100 / 103))


@given(JUDGED.filter(lambda items: len(items) <= 12))
def test_with_many_copies_of_the_items_it_is_the_maximum_of_the_likelihood(items: Any) -> None:
    score, right = split(items)
    found = fit_isotonic(np.tile(score, 20_000), np.tile(right, 20_000))
    assert found is not None
    assert found.apply(score) == pytest.approx(slow_isotonic(score, right), abs=1e-4)


@given(JUDGED, st.randoms())
def test_isotonic_rises_and_is_never_certain(items: Any, random: Any) -> None:
    score, right = split(items)
    found = fit_isotonic(score, right)
    assert found is not None
    at = np.sort(np.concatenate([score, np.linspace(-0.5, 1.5, 101), np.nextafter(score, 2), np.nextafter(score, -2)]))
    values = found.apply(at)
    assert (np.diff(values) >= 0).all()
    assert values.min() >= 0.5 / (len(items) + 1)
    assert values.max() <= 1 - 0.5 / (len(items) + 1)
    shuffled = random.sample(items, len(items))
    assert fit_isotonic(*split(shuffled)) == found
    assert Isotonic.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_scores_may_be_as_near_as_numbers_can_be() -> None:
    found = fit_isotonic([0.0, 5e-324, 1.0, np.nextafter(1, 2)], [False, True, True, True])
    assert found is not None
    assert found.apply([-0.5, 0.0, 5e-324, 0.5, 1.0, 1.5]).tolist() == [0.25, 0.25, 0.875, 0.875, 0.875, 0.875]


def test_one_item_says_little_and_none_says_nothing() -> None:
    assert fit_isotonic([0.8], [True]) == Isotonic((0.8,), (0.75,))
    assert fit_isotonic([], []) is None
    assert fit_temperature(np.empty((0, 3)), []) is None
    assert fit_temperature([[0.5, 0.5]], [-1]) is None


def drawn(temperature: float, n: int, k: int = 4) -> tuple[Any, Any]:
    """Probabilities, and truths drawn from them; the model is ``temperature`` times too sure."""
    random = np.random.default_rng(7)
    logits = random.normal(0, 1.5, (n, k))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (random.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1)
    said = np.exp(logits * temperature)
    return said / said.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    probabilities, truth = drawn(temperature, 20_000)
    found = fit_temperature(probabilities, truth)
    assert found is not None
    assert found.value == pytest.approx(temperature, rel=0.03)
    calibrated = found.apply(probabilities)
    assert calibrated.sum(axis=1) == pytest.approx(np.ones(len(truth)))
    assert (calibrated.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    right = calibrated.argmax(axis=1) == truth
    error = expected_calibration_error(calibrated.max(axis=1), right)
    assert error is not None and error < 0.015


def test_the_temperature_is_where_the_likelihood_with_its_prior_is_highest() -> None:
    probabilities, truth = drawn(2.0, 40)
    found = fit_temperature(probabilities, truth)
    assert found is not None

    def loss(value: float) -> float:
        likely = Temperature(value).apply(probabilities)[np.arange(len(truth)), truth]
        return float(-np.log(likely).sum() + math.log(value) ** 2 / 2)

    assert all(loss(found.value) < loss(found.value * factor) for factor in (0.5, 0.9, 0.999, 1.001, 1.1, 2.0))


def test_few_answers_that_are_all_right_are_not_certain() -> None:
    found = fit_temperature([[0.9, 0.1]] * 5, [0] * 5)
    assert found is not None and 0.3 < found.value < 1
    assert found.apply([[0.9, 0.1]])[0, 0] < 0.999
    wrong = fit_temperature([[1.0, 0.0]] * 1000, [1] * 1000)
    assert wrong is not None and 19.9 < wrong.value < 20.1


def test_a_zero_is_not_impossible() -> None:
    assert Temperature(1.0).apply([[1.0, 0.0]])[0, 1] == pytest.approx(FLOOR, rel=1e-5)
    unknown = fit_temperature([[0.7, 0.3], [0.2, 0.8]], [0, -1])
    assert unknown == fit_temperature([[0.7, 0.3]], [0])
    assert Temperature.from_dict(json.loads(json.dumps(Temperature(1.25).as_dict()))) == Temperature(1.25)


def test_reliability_bin_by_bin() -> None:
    found = reliability([0.05, 0.1, 0.15, 1.0, 0.95], [False, True, False, True, True], bins=10)
    assert [b.count for b in found] == [1, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (found[1].low, found[1].high, found[1].mean, found[1].share) == (0.1, 0.2, 0.125, 0.5)
    assert (found[1].share_low, found[1].share_high) == wilson(1, 2)
    assert found[2].as_dict() == {
        "low": 0.2, "high": 0.3, "count": 0, "mean": None, "share": None, "share_low": None, "share_high": None,
    }  # fmt: skip


def test_bins_may_be_bands() -> None:
    found = reliability([0.69, 0.7, 0.9, 0.99, 1.0], [False, True, True, True, False], bins=[0.7, 0.9, 0.99])
    assert [(b.low, b.high, b.count) for b in found] == [(0.0, 0.7, 1), (0.7, 0.9, 1), (0.9, 0.99, 1), (0.99, 1.0, 2)]


def test_errors_by_hand() -> None:
    probability, right = [0.95, 0.95, 0.95, 0.65], [True, True, False, True]
    assert expected_calibration_error(probability, right) == pytest.approx((3 * (0.95 - 2 / 3) + 0.35) / 4)
    assert brier(probability, right) == pytest.approx((2 * 0.05**2 + 0.95**2 + 0.35**2) / 4)
    assert auroc(probability, right) == (0.5 + 0.5 + 0) / 3
    assert expected_calibration_error([], []) is brier([], []) is auroc([], []) is None
    assert auroc([0.1, 0.2], [True, True]) is auroc([0.1], [False]) is None
    assert [b.count for b in reliability([], [])] == [0] * 10


@given(JUDGED)
def test_auroc_is_the_share_of_pairs_in_order(items: Any) -> None:
    good, bad = [s for s, r in items if r], [s for s, r in items if not r]
    pairs = [(g > b) + (g == b) / 2 for g in good for b in bad]
    assert auroc(*split(items)) == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


@given(JUDGED, st.integers(1, 20))
def test_what_is_measured_does_not_depend_on_order(items: Any, bins: int) -> None:
    for measure in (brier, auroc, lambda s, r: expected_calibration_error(s, r, bins)):
        assert measure(*split(items)) == measure(*split(items[::-1]))
    assert sum(b.count for b in reliability(*split(items), bins)) == len(items)


def test_cross_fitted_scores_do_not_praise_themselves() -> None:
    random = np.random.default_rng(3)
    praise: dict[str, list[tuple[float, float]]] = {"fitted": [], "cross": []}
    for _ in range(20):
        score, right = random.random(100), random.random(100) < 0.5  # the score says nothing
        fitted = fit_isotonic(score, right)
        assert fitted is not None
        for name, values in (("fitted", fitted.apply(score)), ("cross", cross_fitted(score, right))):
            praise[name].append((auroc(values, right) or 0.0, expected_calibration_error(values, right) or 0.0))
    area, error = np.mean(praise["fitted"], axis=0)
    assert area > 0.57
    honest_area, honest_error = np.mean(praise["cross"], axis=0)
    assert honest_area < 0.52
    assert honest_error > 2 * error


def test_an_item_is_calibrated_by_the_others() -> None:
    score, right = np.linspace(0, 1, 23), np.arange(23) > 8
    found = cross_fitted(score, right, folds=5, seed=1)
    assert (found == cross_fitted(score, right, folds=5, seed=1)).all()
    assert not (found == cross_fitted(score, right, folds=5, seed=2)).all()
    for item in range(23):
        changed = right.copy()
        changed[item] = not right[item]
        assert cross_fitted(score, changed, folds=5, seed=1)[item] == found[item]
    assert np.isfinite(found).all()


def test_cross_fitting_uses_most_of_the_items() -> None:
    sizes = []

    def fit(score: Any, right: Any) -> Isotonic | None:
        sizes.append(len(score))
        return fit_isotonic(score, right)

    cross_fitted(np.arange(103.0), np.arange(103) > 50, fit=fit, folds=5)
    assert sorted(sizes) == [82, 82, 82, 83, 83]
    sizes.clear()
    assert np.isfinite(cross_fitted([0.2, 0.4], [True, False], fit=fit)).all()
    assert sizes == [1, 1]


def test_probabilities_of_labels_are_cross_fitted_too() -> None:
    probabilities, truth = drawn(3.0, 500)
    found = cross_fitted(probabilities, truth, fit=fit_temperature)
    assert found.shape == probabilities.shape
    before = expected_calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth)
    after = expected_calibration_error(found.max(axis=1), found.argmax(axis=1) == truth)
    assert before is not None and after is not None and after < before / 2


def test_one_item_has_no_others() -> None:
    assert np.isnan(cross_fitted([0.5], [True])).all()
    assert len(cross_fitted([], [])) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: fit_isotonic([math.nan], [True]),
        lambda: fit_isotonic([0.1, 0.2], [True]),
        lambda: reliability([1.1], [True]),
        lambda: brier([-0.1], [True]),
        lambda: reliability([0.5], [True], bins=[0.5, 0.5]),
        lambda: reliability([0.5], [True], bins=[0.0, 0.5]),
        lambda: fit_temperature([0.5, 0.5], [0]),
        lambda: fit_temperature([[0.5, 0.5]], [2]),
        lambda: fit_temperature([[0.5, -0.5]], [0]),
        lambda: fit_temperature([[0.5, 0.5]], [0, 1]),
        lambda: cross_fitted([0.5], [True], folds=1),
    ],
)
def test_what_is_no_score_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"score|probabilit|bins|truth|folds"):
        wrong()


def test_scores_of_posteriors_are_what_their_definitions_say() -> None:
    posterior, truth = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [0, 1]
    assert log_loss(posterior, truth) == pytest.approx(-(math.log(0.7) + math.log(0.1)) / 2)
    assert brier_score(posterior, truth) == pytest.approx((0.3**2 + 0.2**2 + 0.1**2 + 0.1**2 + 0.9**2 + 0.8**2) / 2)
    assert brier_score([[0.7, 0.3]], [0]) == pytest.approx(2 * (brier([0.7], [True]) or 0))
    assert log_loss([[0.0, 1.0]], [0]) == pytest.approx(-math.log(1e-15))
    assert log_loss(np.zeros((0, 2)), []) is brier_score(np.zeros((0, 2)), []) is None
    with pytest.raises(ValueError, match="one row of probabilities and one code"):
        log_loss([[0.5, 0.5]], [0, 1])


def test_scores_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    posterior, truth = random.dirichlet(np.ones(4), 200), random.integers(0, 4, 200)
    assert log_loss(posterior, truth) == pytest.approx(metrics.log_loss(truth, posterior))


def test_bins_of_equal_mass_hold_as_many_items_each() -> None:
    probability = np.linspace(0.9, 1.0, 100)
    counts = [b.count for b in reliability(probability, np.ones(100, bool), equal_mass_edges(probability, 5))]
    assert counts == [20] * 5
    assert equal_mass_edges([0.5] * 50 + [0.9] * 50, 4) == [0.5, 0.9]
    assert equal_mass_edges([1.0] * 9) == equal_mass_edges([]) == []


def test_posteriors_are_held_against_gold_where_it_is_known() -> None:
    posterior = [[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.3, 0.7], [0.6, 0.4]]
    found = posterior_calibration(posterior, [0, 1, 1, 1, -1], [0, 0, -1, 1, 0])
    assert (found.items, found.labeled) == (4, 3)
    assert found.expected_error == pytest.approx((abs(0.9 - 1) + abs(0.8 - 0) + abs(0.7 - 1)) / 3)
    assert found.brier == pytest.approx((0.02 + 1.28 + 0.5 + 0.18) / 4)
    assert sum(b.count for b in found.bins) == sum(b.count for b in found.equal_mass_bins) == 3
    assert len(found.equal_mass_bins) == 1  # ten items each, if there are so many
    empty = posterior_calibration(np.zeros((0, 2)), [], [])
    assert (empty.items, empty.expected_error, empty.brier, empty.log_loss) == (0, None, None, None)


def test_honest_posteriors_have_a_small_error_and_boasting_ones_a_large_one() -> None:
    random = np.random.default_rng(1)
    honest = random.uniform(0.5, 1, 5000)
    truth = (random.random(5000) < honest).astype(int)
    boasting = np.clip(honest + 0.2, 0, 0.999)
    errors = []
    for shares in (honest, boasting):
        found = posterior_calibration(np.stack([1 - shares, shares], axis=1), truth, np.ones(5000, int))
        assert found.expected_error is not None
        assert found.expected_error_equal_mass is not None
        errors += [found.expected_error, found.expected_error_equal_mass]
    assert max(errors[:2]) < 0.03
    assert min(errors[2:]) > 0.1
