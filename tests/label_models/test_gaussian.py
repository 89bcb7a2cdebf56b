"""Numbers: each voter's bias and spread, and what is made of few votes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from teachkit.label_models import Gaussian, Mean, Median
from tests.votes.answer_tables import answers, close, tables
from tests.votes.matrices import repeatable

BIAS = np.array([1.0, -0.5, 0.0, 2.0, -2.5, 0.0])
SPREAD = np.array([0.3, 0.5, 1.0, 2.0, 3.0, 5.0])


def crowd(seed: int, items: int = 800, share: float = 0.7) -> tuple[Any, Any]:
    """True values [N], and answers of six voters to a share of the items each."""
    random = np.random.default_rng(seed)
    truth = random.normal(10, 3, items)
    said = truth[:, None] + BIAS + random.normal(size=(items, len(BIAS))) * SPREAD
    said[random.random(said.shape) > share] = np.nan
    return truth, answers("number", list(said.T))


def test_bias_and_spread_of_each_voter_are_found() -> None:
    off = []
    for seed in range(4):
        _, given_ = crowd(seed)
        model = Gaussian().fit(given_)
        assert np.sqrt(model.variance_) == pytest.approx(SPREAD, rel=0.4)
        assert model.diagnostics_["converged"]
        off.append(model.bias_ - model.bias_.mean() - BIAS + BIAS.mean())  # a shift of all cannot be told
    assert np.abs(np.mean(off, axis=0)).max() < 0.2


def test_labels_are_nearer_to_the_truth_than_mean_and_median() -> None:
    for seed in range(3):
        truth, given_ = crowd(seed)
        error = {}
        for model in (Gaussian(), Mean(), Median()):
            label = model.fit(given_).predict(given_).label
            off = label - truth
            error[model.name] = float(np.sqrt(np.nanmean((off - np.nanmean(off)) ** 2)))
        assert error["gaussian"] < 0.6 * min(error["mean"], error["median"])


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    inside, total, biases, spreads = 0, 0, [], []
    for seed in range(8):
        truth, given_ = crowd(seed, items=400)
        model = Gaussian().fit(given_, gold=np.where(np.arange(400) < 100, truth, np.nan))
        found = model.predict(given_)
        there = (given_.votes_per_item > 0) & (np.arange(400) >= 100)
        held = (found.posterior["low"] <= truth) & (truth <= found.posterior["high"])
        inside, total = inside + int(held[there].sum()), total + int(there.sum())
        report = model.voter_report()
        biases += [one["bias_low"] <= b <= one["bias_high"] for one, b in zip(report, BIAS, strict=True)]
        spreads += [one["sd_low"] <= s <= one["sd_high"] for one, s in zip(report, SPREAD, strict=True)]
    assert 0.92 < inside / total < 0.98
    assert np.mean(biases) > 0.85
    assert np.mean(spreads) > 0.8


def test_gold_says_where_zero_is() -> None:
    low, given_ = crowd(4)
    truth = low - 5  # so that all voters say about 5 too much
    gold = np.where(np.arange(len(truth)) % 4 == 0, truth, np.nan)
    model = Gaussian().fit(given_, gold=gold)
    assert model.bias_[:3] == pytest.approx(BIAS[:3] + 5, abs=0.15)
    assert np.nanmean(np.abs(model.predict(given_).label - truth)) < 0.5
    assert np.nanmean(Gaussian().fit(given_).predict(given_).label - truth) > 4


def test_without_gold_the_level_is_unsure_as_voters_biases_differ() -> None:
    truth, given_ = crowd(6, items=400)
    gold = np.where(np.arange(len(truth)) % 2 == 0, truth, np.nan)
    free, held = (Gaussian().fit(given_, gold=g).predict(given_).posterior["sd"] for g in (None, gold))
    assert free.min() > 0.4
    assert held[given_.votes_per_item > 2].mean() < 0.75 * free[given_.votes_per_item > 2].mean()


@repeatable
@given(data=st.data(), shift=st.integers(-50, 50), factor=st.sampled_from([0.25, 0.5, 2.0, 16.0]))
def test_another_unit_gives_the_same_labels_in_it(data: Any, shift: int, factor: float) -> None:
    table = data.draw(tables("number"))
    other = [[None if x is None else x * factor + shift for x in column] for column in table]
    one, moved = answers("number", table), answers("number", other)
    before, after = Gaussian().fit(one).predict(one), Gaussian().fit(moved).predict(moved)
    assert close(before.label * factor + shift, after.label)
    assert close(before.posterior["sd"] * factor, after.posterior["sd"])


@repeatable
@given(data=st.data())
def test_few_votes_never_give_certainty(data: Any) -> None:
    given_ = answers("number", data.draw(tables("number")))
    assume(len(np.unique(given_.value)) > 1)
    found = Gaussian().fit(given_).predict(given_)
    spread = found.posterior["sd"][given_.votes_per_item > 0]
    assert (spread > 0).all()
    assert (found.posterior["low"] < found.posterior["high"])[given_.votes_per_item > 0].all()


def test_answers_that_are_all_the_same_say_nothing_of_a_spread() -> None:
    given_ = answers("number", [[3.0, 3.0], [3.0, None]])
    found = Gaussian().fit(given_).predict(given_)
    assert found.label.tolist() == [3.0, 3.0]
    assert np.isnan(found.posterior["sd"]).all()


def test_where_no_item_has_two_answers_labels_are_the_answers() -> None:
    given_ = answers("number", [[3.0, 4.0, 8.0, None]])
    model = Gaussian().fit(given_)
    found = model.predict(given_)
    assert found.label[:3].tolist() == [3.0, 4.0, 8.0]
    assert np.isnan(found.label[3])
    assert found.posterior["sd"][:3] == pytest.approx(np.std([3, 4, 8], ddof=1))
    assert model.diagnostics_["identified"] is False
    assert model.diagnostics_["weak_voters"] == {"v0": "shares items with no other voter"}


def test_one_item_has_the_spread_of_a_mean_of_few_answers() -> None:
    given_ = answers("number", [[3.0], [4.0], [5.0]])
    found = Gaussian().fit(given_).predict(given_)
    assert found.label[0] == pytest.approx(4.0)
    assert 0.4 < found.posterior["sd"][0] < 1.0


def test_a_voter_that_always_says_the_same_has_little_weight() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(0, 5, 300)
    good = [truth + random.normal(0, 0.5, 300) for _ in range(3)]
    given_ = answers("number", [*map(list, good), [0.0] * 300])
    model = Gaussian().fit(given_)
    assert model.contributions(given_, 0)["v3"] < 0.02
    assert np.abs(model.predict(given_).label - truth).mean() < 0.35


def test_rules_that_say_nearly_the_same_everywhere_are_not_taken_for_the_truth() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(0, 100, 1000)
    good = [truth * slope + random.normal(0, 5, 1000) for slope in (0.9, 1.0, 1.1)]
    flat = [random.normal(0, 0.5, 1000) for _ in range(3)]
    given_ = answers("number", [list(column) for column in (*good, *flat)])
    model = Gaussian().fit(given_)
    assert np.corrcoef(model.predict(given_).label, truth)[0, 1] > 0.99
    assert np.sqrt(model.variance_)[:3].max() < 20 < 80 < np.sqrt(model.variance_)[3:].min()


def test_a_voter_that_is_far_off_moves_no_label() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(10, 2, 100)
    given_ = answers("number", [*(list(truth + random.normal(0, 0.3, 100)) for _ in range(5)), list(truth + 990)])
    model = Gaussian().fit(given_)
    assert np.abs(model.predict(given_).label - truth).mean() < 0.2
    assert model.bias_[5] > 900


def test_one_wild_answer_moves_its_item_alone() -> None:
    truth, given_ = crowd(5, items=200)
    wild = given_.value.copy()
    wild[10] = 500.0
    other = type(given_)("number", given_.voters, given_.item, given_.voter, wild, given_.n_items)
    before, after = (Gaussian().fit(a).predict(a).label for a in (given_, other))
    others = np.arange(len(truth)) != given_.item[10]
    assert np.nanmax(np.abs(before - after)[others]) < 2.5


def test_parameters_that_are_none_are_refused() -> None:
    given_ = answers("number", [[1.0], [2.0]])
    for wrong in ({"strength": 0}, {"strength": "a"}, {"n_iter": 0}, {"strength": float("nan")}):
        with pytest.raises(ValueError, match="is a number from"):
            Gaussian(**wrong).fit(given_)


def test_numbers_of_numpy_are_numbers() -> None:
    given_ = answers("number", [[1.0], [2.0]])
    numbers: dict[str, Any] = {"strength": np.int64(2), "n_iter": np.int64(9)}
    found, expected = (m.fit(given_).parameters() for m in (Gaussian(**numbers), Gaussian(strength=2.0, n_iter=9)))
    assert found == expected


@pytest.mark.parametrize("model", [Gaussian, Mean, Median])
def test_gold_may_be_a_plain_list(model: Any) -> None:
    given_ = answers("number", [[1.0, 5.0, 3.0], [2.0, 7.0, 3.0]])
    found, expected = (model().fit(given_, gold=g) for g in ([1.5, None, None], np.array([1.5, np.nan, np.nan])))
    assert found.parameters() == expected.parameters()


@pytest.mark.parametrize("model", [Gaussian, Mean])
def test_a_matrix_is_no_answers(model: Any) -> None:
    for use in (model().fit, model().fit(answers("number", [[1.0], [2.0]])).predict):
        with pytest.raises(ValueError, match=r"teachkit\.votes\.Answers, not ndarray: make them with Answers\.from_c"):
            use(np.ones((3, 2)))


def test_the_median_is_the_middle_and_the_mean_the_mean() -> None:
    given_ = answers("number", [[1.0, 5.0], [2.0, 7.0], [90.0, None]])
    assert Median().fit(given_).predict(given_).label.tolist() == [2.0, 6.0]
    found = Mean().fit(given_).predict(given_)
    assert found.label.tolist() == [31.0, 6.0]
    assert (found.posterior["low"].tolist(), found.posterior["high"].tolist()) == ([1.0, 5.0], [90.0, 7.0])
    assert found.posterior["sd"][1] == pytest.approx(1.0)
