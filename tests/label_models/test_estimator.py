"""Label models on the contract of scikit-learn, without scikit-learn."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

from teachkit.label_models import Auto, Calibrated, DawidSkene, Gaussian, LabelModel, Majority, Weighted
from teachkit.label_models.estimator import Estimator
from teachkit.votes import Votes
from teachkit.votes.intervals import wilson

L = np.array([[0, 0, -1], [1, 1, 0], [-1, 1, 1], [0, -1, 0], [1, 1, 1], [-1, -1, -1]])
Y = np.array([0, 1, 0, 0, -1, 1])


def test_parameters_are_what_the_constructor_takes() -> None:
    assert Weighted(weights={"a": 0.9}).get_params() == {
        "weights": {"a": 0.9},
        "class_prior": "learned",
        "prior_strength": 1.0,
        "threads": 1,
    }
    assert LabelModel().get_params() == {}


def test_parameters_can_be_set() -> None:
    model = DawidSkene()
    assert model.set_params(row_strength=7.0, n_iter=2) is model
    assert (model.row_strength, model.n_iter) == (7.0, 2)
    with pytest.raises(
        ValueError, match="Majority has no parameter 'row_strength'; its parameters: class_prior, threads"
    ):
        Majority().set_params(row_strength=1)
    with pytest.raises(ValueError, match="has no parameter 'x'; its parameters: none"):
        LabelModel().set_params(x=1)


class Stacked(Estimator):
    def __init__(self, inner: Any, factor: float = 2.0) -> None:
        self.inner = inner
        self.factor = factor


def test_parameters_of_parameters_have_two_names() -> None:
    model = Stacked(Majority())
    assert model.get_params()["inner__class_prior"] == "learned"
    assert set(model.get_params(deep=False)) == {"inner", "factor"}
    assert model.set_params(inner__class_prior="uniform").inner.class_prior == "uniform"
    assert repr(model) == "Stacked(inner=Majority(class_prior='uniform'))"


def test_it_is_shown_as_the_call_that_makes_it() -> None:
    assert repr(DawidSkene(n_iter=3, class_prior=[0.5, 0.5])) == "DawidSkene(class_prior=[0.5, 0.5], n_iter=3)"


def test_scikit_learn_can_clone_it_and_search_over_it() -> None:
    base = pytest.importorskip("sklearn.base")
    selection = pytest.importorskip("sklearn.model_selection")
    model = DawidSkene(row_strength=5.0).fit(L)
    again = base.clone(model)
    assert again.get_params() == model.get_params()
    assert not hasattr(again, "prior_")
    grid = selection.GridSearchCV(DawidSkene(), {"row_strength": [1.0, 9.0]}, cv=2, error_score="raise")
    assert grid.fit(np.tile(L, (4, 1)), np.tile(Y, 4)).best_params_["row_strength"] in (1.0, 9.0)


def test_what_is_learned_is_not_there_before_the_fit() -> None:
    assert not hasattr(Majority(), "classes_")
    assert not hasattr(Majority(), "n_features_in_")
    model = Majority().fit(L)
    assert model.classes_.tolist() == [0, 1]
    assert model.n_features_in_ == 3
    with pytest.raises(ValueError, match="Majority is not fitted yet: call fit first"):
        Majority().predict(L)
    with pytest.raises(AttributeError, match="Majority has no attribute 'likelihood_'"):
        getattr(model, "likelihood_")  # noqa: B009


@pytest.mark.parametrize("model", [Auto(), DawidSkene(), Majority(), Gaussian(), Calibrated(DawidSkene())])
def test_what_was_not_fitted_has_nothing_to_tell_and_says_so(model: Any) -> None:
    for use in (model.voter_report, model.parameters, lambda: model.voters_, lambda: model.diagnostics_):
        with pytest.raises(AttributeError, match=f"{type(model).__name__} is not fitted yet: call fit first"):
            use()
    assert copy.deepcopy(model).__dict__.keys() == model.__dict__.keys()


def test_fit_and_predict_in_one_call() -> None:
    assert Majority().fit_predict(L).tolist() == Majority().fit(L).predict(L).tolist() == [0, 1, 1, 0, 1, -1]
    assert Majority().fit_predict([[0, 1]], tie_policy="first").tolist() == [0]


def test_gold_may_stand_second_as_y_does() -> None:
    by_place, by_name = DawidSkene().fit(L, Y), DawidSkene().fit(L, gold=Y)
    assert by_place.parameters() == by_name.parameters() != DawidSkene().fit(L).parameters()


def test_a_score_says_its_denominator() -> None:
    model = Majority().fit(L)
    assert model.score(L, Y) == pytest.approx(3 / 5)
    assert model.score(L, Y, over="labeled") == pytest.approx(3 / 4)
    found = model.quality(L, Y)
    assert (found.n, found.labeled, found.correct, found.coverage) == (5, 4, 3, 0.8)
    assert (found.accuracy, found.accuracy_labeled, (found.low, found.high)) == (0.6, 0.75, wilson(3, 5))
    assert math.isnan(model.score(L, np.full(6, -1)))
    with pytest.raises(ValueError, match="over is 'all' or 'labeled', not 'some'"):
        model.score(L, Y, over="some")  # type: ignore[arg-type]


def test_gold_of_a_label_that_nobody_votes_for_counts() -> None:
    assert Majority().fit(L).score(L, np.array([2, 2, 2, 2, 2, 0])) == 0.0


@pytest.mark.parametrize(
    ("gold", "problem"),
    [
        ([0.0, 1.0], "gold has integers, -1 where it is unknown, not float64"),
        ([float("nan"), 1.0], "gold has integers"),
        ([0, 1, 1], "gold has 3 codes for 2 items"),
        ({0: "ham"}, "labels by name are for votes with names"),
    ],
)
def test_gold_that_is_none_is_refused(gold: Any, problem: str) -> None:
    for call in (lambda: Majority().fit([[0], [1]], gold), lambda: Majority().fit([[0], [1]]).score([[0], [1]], gold)):
        with pytest.raises(ValueError, match=problem):
            call()


TABLE = {
    "item": ["p", "p", "q", "q", "r"],
    "voter": ["ann", "bob", "ann", "bob", "bob"],
    "label": ["no", "no", "yes", "yes", "yes"],
}


def test_a_long_table_goes_in_and_comes_out() -> None:
    model = DawidSkene().fit(TABLE, gold={"r": "yes"}, abstain="at_random")
    assert model.voters_ == ("ann", "bob")
    assert model.labels_ == ("no", "yes")
    assert model.label_table(TABLE).select(["item", "label"]).to_pylist() == [
        {"item": "p", "label": "no"},
        {"item": "q", "label": "yes"},
        {"item": "r", "label": "yes"},
    ]
    assert model.score(TABLE, {"p": "no", "q": "no"}) == 0.5


def test_another_table_is_read_with_the_voters_and_labels_of_the_fit() -> None:
    model = DawidSkene().fit(TABLE)
    later = {"item": ["z"], "voter": ["bob"], "label": ["yes"]}
    assert model.label_table(later)["label"].to_pylist() == ["yes"]
    with pytest.raises(ValueError, match="not a known voter: 'carl'"):
        model.predict(later | {"voter": ["carl"]})
    with pytest.raises(ValueError, match="not a known label: 'maybe'"):
        model.predict(later | {"label": ["maybe"]})
    other = Votes.from_table(later, voters=["ann", "bob"], labels=["yes", "no"])
    with pytest.raises(ValueError, match=r"fitted on the labels \['no', 'yes'\], not on \['yes', 'no'\]"):
        model.predict(other)


class Frame:
    """A matrix whose columns have names, as a data frame is."""

    def __init__(self, matrix: Any, columns: list[Any]) -> None:
        self.columns = columns
        self._matrix = matrix

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self._matrix, dtype=dtype)


def test_names_of_columns_are_names_of_voters() -> None:
    model = Majority().fit(Frame(L, ["a", "b", "c"]))
    assert model.voters_ == ("a", "b", "c")
    assert model.predict(L).tolist() == [0, 1, 1, 0, 1, -1]
    with pytest.raises(ValueError, match="fitted on the voters"):
        model.predict(Frame(L, ["a", "c", "b"]))
    assert Majority().fit(Frame(L, [0, 1, 2])).voters_ == ("voter_0", "voter_1", "voter_2")


def test_a_table_without_the_columns_of_votes_is_refused() -> None:
    with pytest.raises(ValueError, match="has the columns 'item', 'voter', 'label'"):
        Majority().fit({"task": ["a"], "worker": ["b"], "label": ["c"]})


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        ([[0, float("nan")]], "item 0 has NaN in column 1"),
        ([[0.0, 1.0]], "integers, -1 for an abstention, not float64"),
        ([[0, -2]], "not within -1"),
        ([["a", "b"]], "integers, -1 for an abstention, not <U1"),
        ([[0, None]], "integers, -1 for an abstention, not object"),
        ([0, 1], "not of 1 dimensions"),
    ],
)
def test_a_matrix_of_anything_else_is_refused(matrix: Any, problem: str) -> None:
    for call in (lambda: Majority().fit(matrix), lambda: Majority().fit([[0, 1]]).predict(matrix)):
        with pytest.raises(ValueError, match=problem):
            call()
