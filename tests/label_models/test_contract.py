"""The checks that users run on label models of their own find what is wrong with one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
import pytest

from teachkit.label_models import LabelModel, Majority, check_label_model, label_model_checks
from teachkit.label_models.base import LabelModel as Base


class Shares:
    """A sound class with what is asked of one and no more."""

    def fit(self, votes: Any, *, gold: Any = None, abstain: Any = None) -> Self:
        return self

    def predict_proba(self, votes: Any) -> Any:
        said = votes.to_dense()
        counts = np.stack([(said == code).sum(axis=1) + 1.0 for code in range(votes.n_labels)], axis=1)
        return counts / counts.sum(axis=1, keepdims=True)


def test_a_sound_class_passes() -> None:
    check_label_model(Shares)


def test_checks_have_names_for_a_test_to_be_parametrised_with() -> None:
    assert [name for name, _ in label_model_checks(Shares)] == [
        "fit_gives_the_model",
        "rows_are_probabilities",
        "same_votes_give_the_same_bits",
        "order_does_not_matter",
    ]
    assert len(list(label_model_checks(Majority))) == 10


class GivesNothing(Shares):
    def fit(self, votes: Any, *, gold: Any = None, abstain: Any = None) -> Any:
        return None


class OneColumn(Shares):
    def predict_proba(self, votes: Any) -> Any:
        return super().predict_proba(votes)[:, :1]


class Odds(Shares):
    def predict_proba(self, votes: Any) -> Any:
        return super().predict_proba(votes) * 2


class Chance(Shares):
    random = np.random.default_rng(0)

    def predict_proba(self, votes: Any) -> Any:
        found = super().predict_proba(votes) + self.random.random((votes.n_items, 1))
        return found / found.sum(axis=1, keepdims=True)


class FirstVoter(Shares):
    def predict_proba(self, votes: Any) -> Any:
        said = votes.to_dense()[:, 0]
        found = np.where(said[:, None] == np.arange(votes.n_labels), 0.9, 0.1)
        return found / found.sum(axis=1, keepdims=True)


class Breaks(Shares):
    def predict_proba(self, votes: Any) -> Any:
        return super().predict_proba(votes) / (votes.n_items and 1.0 / votes.n_items and int(votes.code[0] >= 0))


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (GivesNothing, "fit_gives_the_model: on votes 'of people', silence informative: fit returned NoneType"),
        (OneColumn, r"gave the shape \(90, 1\), not \(90, 3\)"),
        (Odds, "a row of posteriors sums to 1 up to"),
        (Chance, "two fits to the same votes differ"),
        (FirstVoter, "items or voters in another order move a posterior by"),
        (Breaks, "on votes 'that all abstain', silence informative: IndexError"),
    ],
)
def test_a_broken_promise_is_named(broken: Any, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        check_label_model(broken)


class Forgets(Majority):
    """Has a parameter that it does not store as it is."""

    def __init__(self, *, class_prior: Any = "learned", threads: int = 1, extra: Any = None) -> None:
        super().__init__(class_prior=class_prior, threads=threads)
        self.extra = extra or {}


class Bold(Majority):
    """Labels what nobody voted on."""

    def predict(self, votes: Any, *, tie_policy: str = "abstain") -> Any:
        found = super().predict(votes, tie_policy=tie_policy)
        return np.where((votes.votes_per_pattern == 0)[votes.pattern_of], 0, found)


class Silent(Majority):
    def contributions(self, votes: Any, pattern: int) -> dict[str, Any]:
        return {}


class Loses(Majority):
    def parameters(self) -> dict[str, Any]:
        return super().parameters() | {"prior": [(0.5).hex()] * len(self.prior_)}


class Backwards(Majority):
    def voter_report(self) -> Any:
        return self.learned_[::-1]


class Odd(Majority):
    def voter_report(self) -> Any:
        return [replace(found, confusion=[[0.9, 0.2]]) for found in self.learned_]


class TakesAnything(Majority):
    def predict_proba(self, votes: Any) -> Any:
        return super().predict_proba(np.zeros_like(votes, dtype=int) if isinstance(votes, np.ndarray) else votes)


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (Forgets, "__init__ does not store 'extra' as it is"),
        (Bold, "an item without votes has a label"),
        (Silent, "have no contribution"),
        (Loses, "parameters_give_the_model_again"),
        (Backwards, "the report is not on the voters, in their order"),
        (Odd, r"a row of the confusion has 0.2 at least, and sums to 1.1"),
        (TakesAnything, "arrays_and_tables_are_votes"),
    ],
)
def test_a_broken_label_model_is_named(broken: Any, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        check_label_model(broken)


def test_the_public_name_is_the_class_that_is_checked() -> None:
    assert LabelModel is Base


@pytest.mark.parametrize(
    "name", ["Gaussian", "Mean", "Median", "Medoid", "NormalisedMajority", "CandidateSpans", "Hmm"]
)
def test_value_models_say_that_they_are_not_fitted(name: str) -> None:
    from teachkit import label_models
    from teachkit.votes import Answers

    model = getattr(label_models, name)()
    none = Answers.from_long(model.kinds[0], [], [], [], voters=("a",), n_items=0)
    with pytest.raises(ValueError, match=f"{name} is not fitted yet: call fit first"):
        model.predict(none)
