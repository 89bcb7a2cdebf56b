from __future__ import annotations

import json
from typing import Any, Self

import numpy as np
import pytest

from teachkit.label_models import DawidSkene, LabelModel, Majority
from teachkit.label_models.base import Learned, class_prior, decide, leave_one_out, with_gold
from teachkit.votes import Votes
from teachkit.votes.intervals import wilson

TIES = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])


@pytest.mark.parametrize(
    ("policy", "codes"), [("abstain", [-1, -1, 2, -1]), ("first", [0, 1, 2, 0]), ("prior", [1, -1, 2, 1])]
)
def test_ties_go_by_the_declared_policy(policy: str, codes: list[int]) -> None:
    votes = Votes.from_matrix([[0, 1], [1, 2], [2, 2], [0, 0]], 3)
    assert decide(TIES, votes.votes_per_pattern, [0.2, 0.4, 0.4], policy).tolist() == codes


def test_a_tie_is_one_up_to_rounding() -> None:
    votes = Votes.from_matrix([[0, 1]], 2)
    assert decide(np.array([[0.5 + 1e-13, 0.5 - 1e-13]]), votes.votes_per_pattern, [0.5, 0.5], "abstain").tolist() == [
        -1
    ]
    assert decide(np.array([[0.5 + 1e-6, 0.5 - 1e-6]]), votes.votes_per_pattern, [0.5, 0.5], "abstain").tolist() == [0]


def test_without_votes_there_is_no_label() -> None:
    assert decide(np.array([[0.9, 0.1], [0.1, 0.9]]), [0, 1], [0.9, 0.1], "first").tolist() == [-1, 1]
    assert decide(np.zeros((0, 2)), [], [0.5, 0.5], "first").tolist() == []


def test_an_unknown_tie_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="tie_policy is one of abstain, prior, first, not 'random'"):
        decide(TIES, [1], [1, 1, 1], "random")


def test_gold_splits_patterns_and_is_held() -> None:
    votes = Votes.from_matrix([[0, 1], [0, 1], [0, 1], [1, 1]], 2)
    split, clamp = with_gold(votes, np.array([-1, 0, 0, 1], dtype=np.int8))
    assert split.to_dense().tolist() == votes.to_dense().tolist()
    assert sorted(zip(clamp.tolist(), split.counts.tolist(), strict=True)) == [(-1, 1), (0, 2), (1, 1)]


@pytest.mark.parametrize(
    ("gold", "problem"), [([0, 1], "gold has 2 codes for 1 items"), ([2], "gold is not within -1..1")]
)
def test_gold_that_does_not_fit_is_refused(gold: list[int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        with_gold(Votes.from_matrix([[0]], 2), np.array(gold))


def test_a_class_prior_is_learned_uniform_or_given() -> None:
    mass = np.array([6.0, 2.0])
    assert class_prior("learned", mass, 0.0).tolist() == [0.75, 0.25]
    assert class_prior("learned", mass, 1.0).tolist() == [0.7, 0.3]
    assert class_prior("learned", np.zeros(2), 0.0).tolist() == [0.5, 0.5]
    assert class_prior("uniform", mass, 1.0).tolist() == [0.5, 0.5]
    assert class_prior([3, 1], mass, 1.0).tolist() == [0.75, 0.25]
    assert class_prior([1, 0], mass, 1.0).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("prior", "problem"),
    [
        ("learnt", "class_prior is 'learned', 'uniform' or 2 numbers, not 'learnt'"),
        ([1, 1, 1], "class_prior has 3 numbers for 2 labels"),
        ([0, 0], "not all 0"),
        ([1, -1], "numbers from 0 up"),
        ([1, float("nan")], "numbers from 0 up"),
        (0.5, "class_prior has 1 numbers for 2 labels"),
        (None, "class_prior has 1 numbers for 2 labels"),
    ],
)
def test_a_class_prior_that_is_none_is_refused(prior: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        class_prior(prior, np.ones(2), 1.0)
    with pytest.raises(ValueError, match=problem):
        DawidSkene(class_prior=prior).fit(Votes.from_matrix([[0, 1]], 2))


def test_votes_of_other_voters_or_labels_are_refused() -> None:
    model = DawidSkene().fit(Votes.from_matrix([[0, 1], [1, 1]], 2, ["ann", "bob"]))
    with pytest.raises(ValueError, match=r"fitted on the voters \['ann', 'bob'\], not on \['bob', 'ann'\]"):
        model.predict_proba(Votes.from_matrix([[0, 1]], 2, ["bob", "ann"]))
    with pytest.raises(ValueError, match="a matrix of 3 columns, but fitted on 2 voters"):
        model.predict([[0, 1, 1]])
    with pytest.raises(ValueError, match="fitted on 2 labels, not on 3"):
        model.predict_proba(Votes.from_matrix([[0, 1]], 3, ["ann", "bob"]))


def test_a_matrix_with_fewer_labels_can_be_predicted() -> None:
    model = DawidSkene().fit([[0, 2], [1, 1], [2, 2], [0, 0]])
    assert model.predict_proba([[0, 0], [-1, 1]]).shape == (2, 3)


def test_labels_that_only_gold_or_the_prior_know_are_counted() -> None:
    assert Majority().fit([[0, 1], [1, 1]], gold=[3, -1]).predict_proba([[0, 0]]).shape == (1, 4)
    assert Majority(class_prior=[1, 1, 1]).fit([[0, 1]]).predict_proba([[0, 0]]).shape == (1, 3)


class ShareOfOnes(LabelModel):
    """A label model of a user's own, with what is asked of one and no more."""

    def fit(self, votes: Any, gold: Any = None, *, abstain: Any = None) -> Self:
        return self

    def predict_proba(self, votes: Any) -> Any:
        dense = votes.to_dense()
        ones = (dense == 1).sum(axis=1) / np.maximum((dense >= 0).sum(axis=1), 1)
        return np.stack([1 - ones, ones], axis=1)


def test_leaving_a_vote_out_tells_what_it_did() -> None:
    votes = Votes.from_matrix([[-1, 0, 0], [1, 1, 0]], 2, ["a", "b", "c"])
    moved = leave_one_out(ShareOfOnes(), votes, int(votes.pattern_of[1]))
    assert {voter: round(float(change[1]), 6) for voter, change in moved.items()} == {
        "a": round(2 / 3 - 1 / 2, 6),
        "b": round(2 / 3 - 1 / 2, 6),
        "c": round(2 / 3 - 1, 6),
    }


def test_what_a_model_does_not_define_it_says() -> None:
    votes = Votes.from_matrix([[0]], 2)
    for call in (
        lambda: LabelModel().fit(votes),
        lambda: LabelModel().pattern_proba(votes),
        lambda: LabelModel().contributions(votes, 0),
        lambda: LabelModel().voter_report(),
        lambda: LabelModel().parameters(),
        lambda: LabelModel.from_parameters({}),
    ):
        with pytest.raises(TypeError, match="LabelModel does not define"):
            call()


def test_a_confusion_has_intervals_where_items_support_it() -> None:
    found = Learned("a", 0.8, 0.7, 0.9, [[0.75, 0.25], [0.5, 0.5]], [8.0, 0.0])
    assert found.confusion_intervals() == [[wilson(6, 8), wilson(2, 8)], [None, None]]
    assert Learned("a", None, None, None, None).confusion_intervals() is None


def test_a_model_that_is_restored_reads_tables_as_the_fitted_one_does() -> None:
    table = {
        "item": [1, 1, 2, 2, 3],
        "voter": ["a", "b", "a", "b", "a"],
        "label": ["spam", "ham", "ham", "ham", "spam"],
    }
    model = DawidSkene().fit(Votes.from_table(table, labels=["spam", "ham"]), abstain="at_random")
    again = DawidSkene.from_parameters(json.loads(json.dumps(model.parameters())))
    assert again.labels_ == ("spam", "ham")
    assert again.label_table(table).equals(model.label_table(table))
    with pytest.raises(ValueError, match="not a known label"):
        again.label_table({**table, "label": ["spam", "eggs", "ham", "ham", "spam"]})
    dated = Votes.from_table({**table, "label": [(1, 2), "ham", "ham", "ham", (1, 2)]})
    assert "labels" not in DawidSkene().fit(dated).parameters()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64])
def test_codes_may_be_of_any_integer_type(dtype: Any) -> None:
    votes = np.array([[0, 1], [1, 1], [2, 2]], dtype=dtype)
    gold = np.array([0, 1, 2], dtype=dtype)
    found = DawidSkene().fit(votes, gold).predict_proba(votes)
    expected = DawidSkene().fit(votes.astype(np.int8), gold.astype(np.int8)).predict_proba(votes.astype(np.int8))
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("prior", [0.5, None])
def test_what_is_no_list_of_shares_is_refused_for_a_matrix_too(prior: Any) -> None:
    with pytest.raises(ValueError, match="class_prior has 1 numbers for 2 labels"):
        Majority(class_prior=prior).fit([[0, 1], [1, 1]])


def test_a_class_prior_by_name_is_refused() -> None:
    model = DawidSkene(class_prior={0: 0.3, 1: 0.7})
    with pytest.raises(ValueError, match="2 numbers in the order of the codes, not a mapping"):
        model.fit([[0, 1], [1, 1]])


@pytest.mark.parametrize("model", [DawidSkene, Majority])
def test_a_matrix_has_no_patterns_to_explain(model: Any) -> None:
    fitted = model().fit([[0, 1], [1, 1]])
    with pytest.raises(ValueError, match=r"the pattern of an item is votes\.pattern_of\[item\]"):
        fitted.contributions(np.array([[0, 1]]), 0)
