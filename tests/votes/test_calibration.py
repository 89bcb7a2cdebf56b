"""Scores become probabilities; how good these are is measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes.calibration import (
    Temperature,
    auroc,
    brier,
    cross_fitted,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    reliability,
)

SCORED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@given(SCORED)
def test_isotonic_never_falls_and_keeps_away_from_the_ends(items: list[tuple[float, bool]]) -> None:
    score, right = np.array([s for s, _ in items]), np.array([r for _, r in items])
    fitted = fit_isotonic(score, right)
    found = fitted.apply(np.linspace(-1, 2, 301))
    assert (np.diff(found) >= -1e-12).all()
    edge = 1 / (len(items) + 2)
    assert found.min() >= edge - 1e-12
    assert found.max() <= 1 - edge + 1e-12


@given(SCORED)
def test_isotonic_is_the_best_of_non_decreasing_curves(items: list[tuple[float, bool]]) -> None:
    """Against the definition: max over starts of min over ends of the mean (Robertson et al. 1988), before clipping."""
    score, right = np.array([s for s, _ in items]), np.array([float(r) for _, r in items])
    values = np.unique(score)
    edge = 1 / (len(items) + 2)
    for index, value in enumerate(values):
        best = max(
            min(right[(score >= values[a]) & (score <= values[b])].mean() for b in range(index, len(values)))
            for a in range(index + 1)
        )
        found = float(fit_isotonic(score, right).apply(np.array([value]))[0])
        assert found == pytest.approx(min(max(best, edge), 1 - edge))


def test_isotonic_of_nothing_is_an_error_and_nan_stays() -> None:
    with pytest.raises(ValueError, match="nothing to calibrate on"):
        fit_isotonic(np.zeros(0), np.zeros(0))
    assert np.isnan(fit_isotonic(np.array([0.5]), np.array([True])).apply(np.array([np.nan]))[0])


def test_a_temperature_is_found_again() -> None:
    random = np.random.default_rng(3)
    honest = random.dirichlet([0.6, 0.6, 0.6], size=20_000)
    truth = np.array([random.choice(3, p=row) for row in honest])
    bold = Temperature(0.5).apply(honest)  # too sure of itself by a factor of two
    fitted = fit_temperature(bold, truth)
    assert fitted.temperature == pytest.approx(2, rel=0.05)
    assert np.allclose(fitted.apply(bold).sum(axis=1), 1)
    assert not fitted.apply(np.zeros((1, 3))).any()
    with pytest.raises(ValueError, match="nothing to calibrate on"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int))


def test_calibration_mends_scores_that_are_too_bold() -> None:
    random = np.random.default_rng(5)
    score = random.uniform(0.5, 1, 2000)
    right = random.uniform(size=2000) < 0.5 + (score - 0.5) / 2
    before = expected_calibration_error(score, right)
    after = expected_calibration_error(cross_fitted(score, right), right)
    assert before is not None
    assert after is not None
    assert before > 0.1
    assert after < 0.05


def test_a_curve_that_has_seen_an_item_does_not_measure_it() -> None:
    """Pure noise: the fitted curve believes what it saw, the held-out one does not."""
    right = np.random.default_rng(1).uniform(size=100) < 0.5
    score = np.random.default_rng(2).uniform(size=100)
    seen = brier(fit_isotonic(score, right).apply(score), right)
    held = brier(cross_fitted(score, right), right)
    assert seen is not None
    assert held is not None
    assert seen + 0.01 < held


def test_the_measures_on_an_example_by_hand() -> None:
    probability, right = np.array([0.95, 0.95, 0.95, 0.95, 0.15]), np.array([True, True, True, False, False])
    bins = reliability(probability, right)
    assert [(b.low, b.high, b.count, round(b.share, 2)) for b in bins] == [(0.1, 0.2, 1, 0), (0.9, 1.0, 4, 0.75)]
    assert expected_calibration_error(probability, right) == pytest.approx(4 / 5 * 0.2 + 1 / 5 * 0.15)
    assert brier(probability, right) == pytest.approx((3 * 0.05**2 + 0.95**2 + 0.15**2) / 5)
    assert auroc(probability, right) == pytest.approx((3 * 0.5 + 3) / 6)
    assert auroc(probability, np.ones(5, dtype=bool)) is None
    assert expected_calibration_error(np.zeros(0), np.zeros(0)) is None
    assert brier(np.zeros(0), np.zeros(0)) is None


@given(SCORED)
def test_auroc_counts_pairs(items: list[tuple[float, bool]]) -> None:
    hits, misses = [s for s, r in items if r], [s for s, r in items if not r]
    found = auroc(np.array([s for s, _ in items]), np.array([r for _, r in items]))
    if not hits or not misses:
        assert found is None
        return
    won = sum((a > b) + 0.5 * (a == b) for a in hits for b in misses)
    assert found == pytest.approx(won / (len(hits) * len(misses)))
