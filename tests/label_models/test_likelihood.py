from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from teachkit.label_models import Auto, DawidSkene, OneCoin
from teachkit.votes import Votes
from tests.label_models.examples import crowd, one_sided


def test_silence_is_informative_where_nothing_else_is_said() -> None:
    votes = Votes.from_matrix([[0, 1], [1, -1]], 2, ["ann", "rule"])
    for abstain, expected in (
        (None, [True, True]),
        ({}, [True, True]),
        ({"ann": "at_random"}, [False, True]),
        ("at_random", [False, False]),
        ("informative", [True, True]),
    ):
        policies: Any = abstain
        assert OneCoin().fit(votes, abstain=policies).informative_.tolist() == expected


@pytest.mark.parametrize("model", [OneCoin, Auto])
@pytest.mark.parametrize(
    ("abstain", "problem"),
    [
        ({"ann": "random"}, "silence of voter 'ann' is one of informative, at_random, not 'random'"),
        ({"*": "at_random", "ann": "at_random"}, r"abstain is given for voters that do not vote here: \*$"),
        (["at_random"] * 2, "abstain is one of informative, at_random, or a mapping from voters, not"),
    ],
)
def test_what_says_nothing_of_silence_is_refused(model: Any, abstain: Any, problem: str) -> None:
    votes = Votes.from_matrix([[0, 1]], 2, ["ann", "rule"])
    with pytest.raises(ValueError, match=problem):
        model().fit(votes, abstain=abstain)


def test_items_that_nobody_was_asked_about_change_nothing() -> None:
    votes, _ = crowd(50, [0.9, 0.8, 0.7], coverage=0.8)
    matrix = votes.to_dense()
    asked = matrix[(matrix >= 0).any(axis=1)]
    more = np.concatenate([asked, np.full((500, 3), -1)])
    first, second = (DawidSkene().fit(Votes.from_matrix(m, 2), abstain="at_random") for m in (asked, more))
    assert first.prior_.tolist() == second.prior_.tolist()
    assert first.likelihood_.tolist() == second.likelihood_.tolist()


def test_silent_items_get_the_prior() -> None:
    votes = Votes.from_matrix([[0, 0], [1, 0], [-1, -1]], 2)
    model = DawidSkene().fit(votes)
    assert model.predict_proba(votes)[2].tolist() == model.prior_.tolist()
    assert model.contributions(votes, 2) == {}


def test_silence_adds_by_its_weight() -> None:
    votes, _ = one_sided(400)
    model = DawidSkene(silence_weight=0.5).fit(votes)
    pattern = int(np.flatnonzero(votes.votes_per_pattern == 1)[0])
    moved = model.contributions(votes, pattern)
    assert len(moved) == 8
    silent = next(v for v in range(8) if v not in votes.voter[votes.indptr[pattern] : votes.indptr[pattern + 1]])
    assert moved[f"voter_{silent}"][0] == pytest.approx(0.5 * math.log(model.likelihood_[silent, 2, 0]))


def test_weight_zero_and_at_random_leave_silence_out() -> None:
    votes, _ = one_sided(400)
    pattern = int(np.flatnonzero(votes.votes_per_pattern == 2)[0])
    assert len(DawidSkene().fit(votes, abstain="at_random").contributions(votes, pattern)) == 2
    added = DawidSkene(silence_weight=0.0).fit(votes).contributions(votes, pattern)
    assert sum(bool(np.abs(change).max() > 0) for change in added.values()) == 2


def test_few_votes_never_give_certainty() -> None:
    votes = Votes.from_matrix([[0, 0, 0]], 2)
    for abstain in ("informative", "at_random"):
        policy: Any = abstain
        for model in (OneCoin(), DawidSkene()):
            assert 0.7 < model.fit(votes, abstain=policy).predict_proba(votes)[0, 0] < 0.999


def test_gold_is_held_fixed() -> None:
    votes, truth = crowd(300, [0.6, 0.6, 0.1], seed=2)
    gold = np.where(np.arange(300) < 200, truth, -1)
    for model in (OneCoin(), DawidSkene()):
        found = model.fit(votes, gold=gold, abstain="at_random").voter_report()[2]
        assert found.accuracy == pytest.approx(0.1, abs=0.06)
    everything = DawidSkene().fit(votes, gold=truth, abstain="at_random").voter_report()
    right = (votes.to_dense() == truth[:, None]).mean(axis=0)
    assert [f.accuracy for f in everything] == pytest.approx(right.tolist())


def test_the_log_likelihood_rises_with_every_step() -> None:
    votes, _ = crowd(300, [0.8, 0.7, 0.6, 0.6], 3, coverage=0.7)
    found = [
        DawidSkene(prior_strength=0, n_iter=n).fit(votes, abstain="at_random").diagnostics_["log_likelihood"]
        for n in range(1, 12)
    ]
    assert found == sorted(found)


def test_the_log_likelihood_is_that_of_the_votes() -> None:
    votes = Votes.from_matrix([[0, 1], [1, -1], [0, 1], [-1, -1]], 2)
    model = DawidSkene(n_iter=2).fit(votes, abstain="at_random")
    prior, table = model.prior_, model.likelihood_
    expected = sum(
        math.log(sum(prior[y] * math.prod(table[v, c, y] for v, c in enumerate(row) if c >= 0) for y in range(2)))
        for row in votes.to_dense().tolist()[:3]
    )
    assert model.diagnostics_["log_likelihood"] == pytest.approx(expected)


def test_steps_are_few_with_labeling_functions_and_many_with_people() -> None:
    votes, _ = crowd(500, [0.9, 0.85, 0.8, 0.75, 0.7])
    assert DawidSkene().fit(votes).diagnostics_["iterations"] <= 3
    people = DawidSkene().fit(votes, abstain="at_random").diagnostics_
    assert people["iterations"] > 3
    assert people["converged"]
    assert people["max_change"] <= 1e-6


def test_without_a_step_the_majority_start_is_what_is_learned() -> None:
    votes = Votes.from_matrix([[0, 0], [1, 1], [0, 1]], 2)
    model = OneCoin(n_iter=0).fit(votes, abstain="at_random")
    assert model.diagnostics_["iterations"] == 0
    assert model.diagnostics_["max_change"] is None
    assert not model.diagnostics_["converged"]
    assert [f.accuracy for f in model.voter_report()] == pytest.approx([2.5 / 3, 2.5 / 3])


def test_a_label_that_the_prior_rules_out_is_never_given() -> None:
    votes = Votes.from_matrix([[0, 1, 1], [1, 1, 1], [0, 0, 1]], 2)
    model = DawidSkene(class_prior=[1, 0]).fit(votes)
    assert model.predict_proba(votes).tolist() == [[1.0, 0.0]] * 3


def test_what_gold_says_of_a_label_that_the_prior_rules_out_stays_json() -> None:
    model = DawidSkene(class_prior=[1, 0]).fit([[0, 1], [1, 1]], gold=[1, -1])
    assert model.diagnostics_["log_likelihood"] is None
