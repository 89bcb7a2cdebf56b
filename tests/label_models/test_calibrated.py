"""Posteriors that are calibrated on gold."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import Calibrated, DawidSkene, Majority, check_label_model
from teachkit.label_models.calibrated import METHODS, _applied
from teachkit.votes import Votes
from teachkit.votes.calibration import Isotonic, Temperature, expected_calibration_error
from tests.label_models.examples import crowd
from tests.votes.matrices import repeatable


def copied(n: int = 1500, labels: int = 2, seed: int = 0) -> tuple[Votes, Any]:
    """Votes that a model is too sure of: each of three voters has three copies."""
    votes, truth = crowd(n, [0.75, 0.7, 0.65], labels, seed=seed)
    return Votes.from_matrix(np.repeat(votes.to_dense(), 3, axis=1), labels), truth


def miscalibration(model: Any, votes: Votes, truth: Any) -> float:
    found = model.predict_proba(votes)
    error = expected_calibration_error(found.max(axis=1), found.argmax(axis=1) == truth)
    assert error is not None
    return error


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("clamp", [False, True])
def test_it_keeps_its_word_on_items_whose_gold_it_did_not_see(method: Any, labels: int, clamp: bool) -> None:
    votes, truth = copied(labels=labels)
    tune = np.where(np.arange(len(truth)) < 400, truth, -1)
    test = Votes.from_matrix(votes.to_dense()[400:], labels)
    plain = DawidSkene().fit(votes, abstain="at_random")
    model = Calibrated(DawidSkene(), method=method, clamp=clamp).fit(votes, tune, abstain="at_random")
    assert model.diagnostics_["calibration"] == {"method": method, "items": 400, "problem": None}
    before, after = miscalibration(plain, test, truth[400:]), miscalibration(model, test, truth[400:])
    assert before > 0.2
    assert after < before / 2


@pytest.mark.parametrize("method", METHODS)
def test_labels_ties_and_silence_stay_what_they_are(method: Any) -> None:
    votes, truth = copied(300)
    dense = np.vstack([votes.to_dense(), np.full((1, 9), -1), [[0, 1] * 4 + [-1]]])
    truth = np.append(truth, [0, 1])
    votes = Votes.from_matrix(dense, 2)
    for base in (DawidSkene(), Majority()):
        model = Calibrated(base, method=method).fit(votes, truth)
        raw = type(base)().fit(votes)
        for policy in ("abstain", "prior", "first"):
            assert model.predict(votes, tie_policy=policy).tolist() == raw.predict(votes, tie_policy=policy).tolist()
        found = model.predict_proba(votes)
        assert found[-2].tolist() == model.prior_.tolist() == raw.prior_.tolist()
        assert found.argmax(axis=1)[:-2].tolist() == raw.predict_proba(votes).argmax(axis=1)[:-2].tolist()
        assert found != pytest.approx(raw.predict_proba(votes))
    assert Calibrated(Majority(), method=method).fit(votes, truth).predict_proba(votes)[-1].tolist() == [0.5, 0.5]


shares = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda row: sum(row) > 1e-3)
isotonics = st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.99)), min_size=1, max_size=5).map(
    lambda points: Isotonic(
        tuple(sorted({x for x, _ in points})), tuple(sorted(y for _, y in points)[: len({x for x, _ in points})])
    )
)


@repeatable
@given(st.lists(shares, min_size=1, max_size=4), isotonics, st.floats(0.05, 20))
def test_any_posterior_stays_one_with_its_labels_in_order(rows: Any, isotonic: Isotonic, temperature: float) -> None:
    raw = np.array(rows) / np.array(rows).sum(axis=1, keepdims=True)
    for calibration in (isotonic, Temperature(temperature)):
        found = _applied(calibration, raw)
        assert (found >= 0).all()
        assert found.sum(axis=1) == pytest.approx(np.ones(len(raw)))
        for before, after in zip(raw, found, strict=True):
            top = int(before.argmax())
            assert after[top] >= after.max() * (1 - 1e-9)
            if sorted(before)[-2] < before.max() * (1 - 1e-8):
                assert int(after.argmax()) == top


def test_one_label_is_certain_whatever_calibration_says() -> None:
    assert _applied(Isotonic((0.0,), (0.5,)), np.ones((2, 1))).tolist() == [[1.0], [1.0]]


def test_what_is_taken_from_a_certain_label_goes_to_the_others_alike() -> None:
    found = _applied(Isotonic((0.0, 1.0), (0.5, 0.7)), np.array([[0.0, 1.0, 0.0]]))
    assert found.tolist() == [[pytest.approx(0.15), pytest.approx(0.7), pytest.approx(0.15)]]


@pytest.mark.parametrize("method", METHODS)
def test_it_is_kept_exactly(method: Any) -> None:
    votes, truth = copied(200)
    model = Calibrated(DawidSkene(), method=method).fit(votes, truth, abstain="at_random")
    kept = json.loads(json.dumps(model.parameters(), allow_nan=False))
    again = Calibrated.from_parameters(kept)
    assert again.predict_proba(votes).tobytes() == model.predict_proba(votes).tobytes()
    assert again.parameters() == kept
    assert again.voter_report() == model.voter_report()


def test_too_little_gold_leaves_posteriors_as_they_are_and_says_so() -> None:
    votes, truth = copied(200)
    few = np.where(np.arange(200) < 30, truth, -1)
    for gold, items in ((few, 30), (None, 0)):
        model = Calibrated(DawidSkene()).fit(votes, gold)
        assert (
            model.diagnostics_["calibration"]["problem"] == f"{items} items have gold and a vote; calibration takes 50"
        )
        assert model.predict_proba(votes).tobytes() == DawidSkene().fit(votes).predict_proba(votes).tobytes()
    assert Calibrated(DawidSkene(), least=30).fit(votes, few).calibration_ is not None
    tied = Votes.from_matrix([[0, 1]] * 60, 2)
    assert Calibrated(Majority()).fit(tied, np.ones(60, int)).diagnostics_["calibration"]["problem"] == (
        "every item of gold is a tie"
    )


def test_gold_without_a_vote_does_not_count() -> None:
    votes = Votes.from_matrix(np.vstack([np.ones((40, 2), int), np.full((40, 2), -1)]), 2)
    assert Calibrated(Majority()).fit(votes, np.ones(80, int)).diagnostics_["calibration"]["items"] == 40


def test_a_model_that_saw_gold_is_calibrated_on_what_it_did_not_see() -> None:
    """With a voter for each item, a clamped fit believes whatever gold says: in its own words it is always right."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 300)
    matrix = np.full((300, 60), -1)
    for item in range(300):
        for worker in random.choice(60, 3, replace=False):
            matrix[item, worker] = truth[item] if random.random() < 0.6 else 1 - truth[item]
    votes = Votes.from_matrix(matrix, 2)
    seen = DawidSkene().fit(votes, truth, abstain="at_random")
    model = Calibrated(DawidSkene(), method="temperature", clamp=True).fit(votes, truth, abstain="at_random")
    assert isinstance(model.calibration_, Temperature)
    own = Temperature.from_dict({"temperature": 1.0}).value
    from teachkit.votes.calibration import fit_temperature

    naive = fit_temperature(seen.predict_proba(votes), truth)
    assert naive is not None
    assert model.calibration_.value > max(own, naive.value)


def test_contributions_are_the_models_and_calibration_the_rest() -> None:
    votes, truth = copied(300)
    model = Calibrated(DawidSkene(), method="temperature").fit(votes, truth, abstain="at_random")
    assert isinstance(model.calibration_, Temperature)
    logs = sum(model.contributions(votes, 3).values(), model.log_prior)
    raw, found = model.raw_pattern_proba(votes)[3], model.pattern_proba(votes)[3]
    assert logs[1] - logs[0] == pytest.approx(math.log(raw[1] / raw[0]), abs=1e-12)
    assert math.log(found[1] / found[0]) == pytest.approx((logs[1] - logs[0]) / model.calibration_.value, abs=1e-12)


def test_intervals_are_drawn_for_the_model_within() -> None:
    votes, truth = copied(120)
    truth = np.where(np.arange(120) % 2 == 0, truth, -1)
    for clamp in (False, True):
        model = Calibrated(DawidSkene(), clamp=clamp).fit(votes, truth, abstain="at_random")
        before = model.voter_report()[0].low
        assert model.bootstrap(votes, truth).voter_report()[0].low != before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("clamp", [False, True])
def test_it_is_a_label_model_like_any_other(method: Any, clamp: bool) -> None:
    check_label_model(lambda: Calibrated(DawidSkene(), method=method, clamp=clamp, least=10))


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"method": "platt"}, "method is one of isotonic, temperature, not 'platt'"), ({"folds": 1}, "at least 2 folds")],
)
def test_what_it_cannot_do_is_refused(options: dict[str, Any], problem: str) -> None:
    votes, truth = copied(80)
    with pytest.raises(ValueError, match=problem):
        Calibrated(Majority(), **options).fit(votes, truth)


@pytest.mark.parametrize("clamp", [False, True])
def test_gold_that_is_no_label_is_refused(clamp: bool) -> None:
    votes, truth = copied(80)
    with pytest.raises(ValueError, match=r"gold is not within -1\.\.1"):
        Calibrated(Majority(), clamp=clamp).fit(votes, truth + 7)


def test_what_its_model_lacks_it_lacks() -> None:
    model = Calibrated(Majority()).fit([[0, 1]])
    assert not hasattr(model, "log_prior")
    assert not hasattr(Calibrated(DawidSkene()), "log_prior")


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_items_decides_nothing(method: Any) -> None:
    votes, truth = crowd(400, [0.9, 0.7, 0.6, 0.8, 0.65], 2, coverage=0.7)
    matrix, gold = votes.to_dense(), np.where(np.arange(400) % 2 == 0, truth, -1)
    order = np.random.default_rng(1).permutation(400)
    found, other = (
        Calibrated(DawidSkene(), method=method, clamp=True).fit(m, g, abstain="at_random").predict_proba(m)
        for m, g in ((matrix, gold), (matrix[order], gold[order]))
    )
    assert np.abs(found[order] - other).max() < 1e-7
