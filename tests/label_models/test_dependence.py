"""Voters that say the same for another reason than the label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teachkit.label_models import Auto, dependence
from teachkit.label_models.dependence import excess_of_graded, excess_of_kin, excess_of_one_sided, pairs_of, say_of
from teachkit.votes import Votes
from tests.label_models.examples import crowd, one_sided


def doubled(votes: Votes, voter: int, times: int) -> Votes:
    """The same votes with copies of one voter at the end."""
    dense = votes.to_dense()
    return Votes.from_matrix(np.column_stack([dense, *[dense[:, voter]] * times]), votes.n_labels)


def graded(votes: Votes) -> Any:
    return excess_of_graded(pairs_of(votes, votes.said()[0]), np.zeros(len(votes.voters), dtype=bool))


def test_pairs_are_counted() -> None:
    matrix = np.array([[0, 0, -1], [1, 0, 1], [1, 1, -1], [-1, -1, -1], [1, 1, -1]])
    votes = Votes.from_matrix(matrix, 2)
    found = pairs_of(votes, votes.said()[0])
    assert votes.said()[0].tolist() == [[1, 3], [2, 2], [0, 1]]
    assert found.shared.tolist() == [[0, 4, 1], [4, 0, 1], [1, 1, 0]]
    assert found.agreed.tolist() == [[0, 3, 1], [3, 0, 0], [1, 0, 0]]
    assert found.items == 5


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_no_count(threads: int) -> None:
    votes, _ = crowd(500, [0.9, 0.8, 0.7, 0.6], 3, coverage=0.5)
    said = votes.said()[0]
    one, several = pairs_of(votes, said), pairs_of(votes, said, threads)
    assert (one.agreed == several.agreed).all() and (one.shared == several.shared).all()
    assert one.items == several.items == 500


def test_independent_voters_of_any_reliability_are_independent() -> None:
    votes, _ = crowd(3000, [0.95, 0.95, 0.9, 0.8, 0.7, 0.6, 0.55], 3, coverage=0.7)
    assert graded(votes).max() < 0.1


def test_copies_are_found_and_count_as_one() -> None:
    votes, _ = crowd(400, [0.85, 0.8, 0.75, 0.7, 0.65, 0.6], 2)
    found = graded(doubled(votes, 5, 4))
    copies = [5, 6, 7, 8, 9]
    assert found[np.ix_(copies, copies)][~np.eye(5, dtype=bool)].min() > 0.8
    assert found[:5, :5].max() < 0.15
    say = say_of(pairs_of(votes, votes.said()[0]), 10, np.zeros((6, 6)), np.zeros((6, 6)), np.zeros((6, 6)), 3.0)
    assert say.tolist() == [1.0] * 10


def test_one_prompt_in_three_wordings_is_not_three_prompts() -> None:
    random = np.random.default_rng(4)
    votes, truth = crowd(1500, [0.85, 0.83, 0.8, 0.82, 0.84, 0.81], 3, coverage=0.6, seed=4)
    slip = np.where(random.random(1500) < 0.62, truth, (truth + random.integers(1, 3, 1500)) % 3)
    wordings = [np.where(random.random(1500) < 0.93, slip, random.integers(0, 3, 1500)) for _ in range(4)]
    together = Votes.from_matrix(np.column_stack([votes.to_dense(), *wordings]), 3)
    model = Auto().fit(together, abstain="at_random")
    fooled = Auto(discount=False).fit(together, abstain="at_random")
    right, wrong = ((m.predict_proba(together).argmax(axis=1) == truth).mean() for m in (model, fooled))
    assert right > wrong + 0.1
    assert {pair[0] for pair in model.diagnostics_["dependent"]} <= {"voter_6", "voter_7", "voter_8", "voter_9"}
    assert set(model.diagnostics_["voter_weights"]) == {"voter_6", "voter_7", "voter_8", "voter_9"}


def wordings_beside_rules() -> tuple[Votes, Any]:
    """Ten good rules for one label each, and four wordings of a question that a model answers by chance."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 400)
    matrix = np.full((400, 14), -1)
    for rule in range(10):
        fires = random.random(400) < np.where(truth == rule % 2, 0.3, 0.02)
        matrix[fires, rule] = rule % 2
    answer = random.integers(0, 2, 400)
    for wording in range(10, 14):
        matrix[:, wording] = np.where(random.random(400) < 0.88, answer, random.integers(0, 2, 400))
    return Votes.from_matrix(matrix, 2, [*(f"rule_{n}" for n in range(10)), "ask", "beg", "say[low]", "tell"]), truth


def test_voters_of_one_source_are_not_believed_because_they_agree() -> None:
    votes, truth = wordings_beside_rules()
    silence = dict.fromkeys(votes.voters[:10], "informative") | dict.fromkeys(votes.voters[10:], "at_random")
    kin = dict.fromkeys(["ask", "beg", "say", "tell"], "a model")
    fooled, told = (Auto(kin=k).fit(votes, abstain=silence) for k in (None, kin))
    wrong, right = ((m.predict(votes, tie_policy="first") == truth).mean() for m in (fooled, told))
    assert wrong < 0.7 < 0.85 < right
    learned = {one.voter: one.accuracy for one in told.voter_report()}
    assert all((learned[name] or 0.0) < 0.65 for name in votes.voters[10:])
    assert set(told.diagnostics_["voter_weights"]) >= set(votes.voters[10:])
    for nobody in ({}, {"ask": "a", "beg": "b"}, {"other": "a", "another": "a"}):
        same = Auto(kin=nobody).fit(votes, abstain=silence)
        assert same.predict_proba(votes).tobytes() == fooled.predict_proba(votes).tobytes()


def test_any_number_of_one_source_weigh_as_two_at_most_where_they_share_items() -> None:
    matrix = np.random.default_rng(1).integers(0, 2, (200, 30))
    matrix[100:, 0] = -1  # of its items all are shared; of the others' half are
    matrix[:, 29] = -1
    pairs = pairs_of(votes := Votes.from_matrix(matrix, 2), votes.said()[0])
    kin, none = np.array([0] * 20 + [1, 1] + [-1] * 8), np.zeros((29, 29))
    say = say_of(pairs, 30, none, none, excess_of_kin(pairs, kin), 3.0)
    assert say[0] == pytest.approx(1 / (1 + 19 * 0.49))
    assert say[1] == say[19] == pytest.approx(1 / (1 + 18.5 * 0.49))
    assert say[:20].sum() < 1 / 0.49
    assert say[20] == say[21] == 1 / 1.49
    assert (say[22:] == 1.0).all()


@pytest.mark.parametrize("kin", [3, ["ask"], {"ask": 1}, {1: "a"}, {"ask": ["a"]}])
def test_kin_that_is_no_mapping_of_names_is_refused(kin: Any) -> None:
    with pytest.raises(ValueError, match="kin is a mapping from voters to the name of what they have in common, not"):
        Auto(kin=kin).fit([[0, 1], [1, 1]])


def test_one_sided_voters_that_fire_together_depend_on_each_other() -> None:
    votes, _ = one_sided()
    said = doubled(votes, 0, 2).said()[0]
    pairs, sides = pairs_of(doubled(votes, 0, 2), said), np.ones(10, dtype=bool)
    found = excess_of_one_sided(pairs, sides, None, None)
    assert found[0, 8] > 0.9 and found[8, 9] > 0.9
    assert found[:8, :8].max() < 0.3
    assert excess_of_one_sided(pairs, np.zeros(10, dtype=bool), None, None).max() == 0.0


def test_votes_that_the_labels_explain_are_no_dependence() -> None:
    """Two voters that both fire on every item of a label: seen without labels they look like one."""
    truth = np.random.default_rng(0).random(2000) < 0.3
    matrix = np.where(truth[:, None], 1, -1).repeat(2, axis=1)
    votes = Votes.from_matrix(matrix, 2)
    pairs, sides = pairs_of(votes, votes.said()[0]), np.ones(2, dtype=bool)
    assert excess_of_one_sided(pairs, sides, None, None)[0, 1] > 0.9
    chance, mass = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([2000.0 - truth.sum(), float(truth.sum())])
    assert excess_of_one_sided(pairs, sides, chance, mass)[0, 1] == 0.0


def test_among_many_voters_those_with_most_votes_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependence, "MOST_VOTERS", 3)
    votes, _ = crowd(300, [0.9, 0.8, 0.7, 0.6, 0.6], 2)
    matrix = votes.to_dense()
    matrix[:200, 1] = -1
    matrix[:100, 3] = -1
    sparse = Votes.from_matrix(matrix, 2)
    assert pairs_of(sparse, sparse.said()[0]).chosen.tolist() == [0, 2, 4]
    assert len(Auto().fit(sparse).say_) == 5


def test_of_very_many_pairs_a_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    votes, _ = crowd(4000, [0.9, 0.8, 0.7, 0.6, 0.6, 0.7, 0.8, 0.6, 0.7], 4)
    whole = pairs_of(votes, votes.said()[0])
    monkeypatch.setattr(dependence, "MOST_PAIRS", 20_000)
    some = pairs_of(votes, votes.said()[0])
    assert 0 < some.items < 0.5 * whole.items
    share = some.agreed[0, 1] / some.shared[0, 1]
    assert share == pytest.approx(whole.agreed[0, 1] / whole.shared[0, 1], abs=0.06)
    assert excess_of_graded(some, np.zeros(9, dtype=bool)).max() < 0.15


def test_which_items_are_looked_at_does_not_depend_on_the_order_of_voters(monkeypatch: pytest.MonkeyPatch) -> None:
    votes, _ = crowd(4000, [0.9, 0.8, 0.7, 0.6, 0.6, 0.7, 0.8, 0.6, 0.7], 4)
    monkeypatch.setattr(dependence, "MOST_PAIRS", 20_000)
    order = [3, 1, 8, 0, 2, 7, 5, 6, 4]
    other = Votes.from_matrix(votes.to_dense()[:, order], 4, [votes.voters[v] for v in order])
    found, turned = (pairs_of(v, v.said()[0]) for v in (votes, other))
    assert 0 < found.items < 2000
    assert found.items == turned.items
    assert (found.shared[np.ix_(order, order)] == turned.shared).all()
    assert (found.agreed[np.ix_(order, order)] == turned.agreed).all()
