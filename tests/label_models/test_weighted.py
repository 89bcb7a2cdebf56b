from __future__ import annotations

import math

import numpy as np
import pytest

from teachkit.label_models import Weighted
from teachkit.votes import Votes

VOTES = Votes.from_matrix([[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]], 2, ["ann", "bob", "cy"])


def test_weights_are_smoothed_agreement_with_the_majority() -> None:
    model = Weighted().fit(VOTES)
    agreed = {"ann": (2 / 3 + 1 + 1 + 2 / 3), "cy": (1 / 3 + 1 + 1 + 1 / 3)}
    assert model.likelihood_[0, 0, 0] == pytest.approx((agreed["ann"] + 1) / 6)
    assert model.likelihood_[2, 0, 0] == pytest.approx((agreed["cy"] + 1) / 6)


def test_declared_weights_decide() -> None:
    model = Weighted(weights={"cy": 0.99, "ann": 0.6, "bob": 0.6}, class_prior="uniform").fit(VOTES)
    assert model.predict(VOTES).tolist() == [1, 1, 0, 0]
    odds = math.log(0.99 / 0.01) - 2 * math.log(0.6 / 0.4)
    posterior = model.predict_proba(VOTES)[0]
    assert math.log(posterior[1] / posterior[0]) == pytest.approx(odds)


def test_silence_says_nothing_whatever_is_declared() -> None:
    silent = Votes.from_matrix([[0, -1], [1, 1], [0, 0]], 2)
    first, second = (Weighted().fit(silent, abstain=a).predict_proba(silent) for a in ("informative", "at_random"))
    assert first.tolist() == second.tolist()


def test_weights_that_are_no_accuracies_are_refused() -> None:
    with pytest.raises(ValueError, match="weight of voter 'ann' is an accuracy between 0 and 1, not 3"):
        Weighted(weights={"ann": 3}).fit(VOTES)
    with pytest.raises(ValueError, match="do not vote here: dan"):
        Weighted(weights={"dan": 0.5}).fit(VOTES)


def test_errors_are_even_over_the_other_labels() -> None:
    model = Weighted(weights={"voter_0": 0.7}).fit(Votes.from_matrix([[0], [2]], 3))
    assert np.allclose(model.likelihood_[0, :3], np.full((3, 3), 0.15) + np.eye(3) * 0.55)
    assert model.diagnostics_["converged"]
