from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teachkit.label_models import PlackettLuce
from teachkit.votes import Answers
from teachkit.votes.values import NotAnAnswer, value_kind
from teachkit.votes.values.ranking import tau
from tests.votes.answer_tables import answers

RANKING = value_kind("ranking")


def orders(
    n_items: int, size: int, reliabilities: list[float], *, seed: int = 0, keep: float = 1.0
) -> tuple[Answers, list[tuple[str, ...]]]:
    """Orders as the model takes them to be; the true ones."""
    random = np.random.default_rng(seed)
    item, voter, said, truth = [], [], [], []
    for i in range(n_items):
        utility = random.normal(0, 1, size)
        truth.append(tuple(f"c{c}" for c in np.argsort(-utility)))
        for v, reliability in enumerate(reliabilities):
            order = np.argsort(-(reliability * utility + random.gumbel(size=size)))
            named = tuple(f"c{c}" for c in order if random.random() < keep)
            if named:
                item.append(i)
                voter.append(v)
                said.append(named)
    names = [f"v{v}" for v in range(len(reliabilities))]
    return Answers.from_long("ranking", item, voter, RANKING.made(said), voters=names, n_items=n_items), truth


def mean_tau(label: Any, truth: list[tuple[str, ...]]) -> float:
    found = [tau(a, b) for a, b in zip(label, truth, strict=True) if a is not None]
    return float(np.mean([one for one in found if one is not None]))


@pytest.mark.parametrize("keep", [1.0, 0.7])
def test_reliabilities_are_found_again_and_no_voter_becomes_a_dictator(keep: float) -> None:
    given, _ = orders(600, 5, [2.0, 1.0, 1.0, 0.3, 0.0], keep=keep)
    model = PlackettLuce().fit(given)
    assert model.reliability_ == pytest.approx([2.0, 1.0, 1.0, 0.3, 0.0], abs=0.45)
    assert [row["reliability"] for row in model.learned_] == model.reliability_.tolist()
    assert model.diagnostics_["converged"]


def _only(given: Answers, voter: int) -> Answers:
    mine = given.voter == voter
    item, value = given.item[mine], given.value[mine]
    return Answers.from_long("ranking", item, [0] * len(item), value, voters=["v"], n_items=given.n_items)


def test_it_is_better_than_every_voter_alone() -> None:
    given, truth = orders(400, 4, [1.0] * 6)
    found = mean_tau(PlackettLuce().fit(given).predict(given, tie_policy="first").label, truth)
    for voter in range(6):
        single = _only(given, voter)
        assert found > mean_tau(PlackettLuce().fit(single).predict(single, tie_policy="first").label, truth) + 0.1


def test_confidence_is_the_share_of_pairs_that_are_right() -> None:
    given, truth = orders(600, 4, [1.5, 1.0, 0.5])
    found = PlackettLuce().fit(given).predict(given, tie_policy="first")
    assert np.nanmean(found.confidence) == pytest.approx((1 + mean_tau(found.label, truth)) / 2, abs=0.04)


def test_two_orders_against_each_other_are_a_tie() -> None:
    given = answers("ranking", [[("a", "b")], [("b", "a")]])
    model = PlackettLuce().fit(given)
    assert model.predict(given).label.tolist() == [None]
    assert model.predict(given, tie_policy="prior").label.tolist() == [None]
    assert model.predict(given, tie_policy="first").label.tolist() == [("a", "b")]
    with pytest.raises(ValueError, match="tie_policy is one of"):
        model.predict(given, tie_policy="coin")


def test_gold_makes_known_who_is_right() -> None:
    given = answers("ranking", [[("a", "b", "c")] * 30, [("c", "b", "a")] * 30])
    gold = RANKING.made([("c", "b", "a")] * 20 + [None] * 10)
    model = PlackettLuce().fit(given, gold=gold)
    assert model.reliability_[1] > 0.5 > model.reliability_[0]
    assert model.predict(given).label[29] == ("c", "b", "a")
    assert [row["tau"] for row in model.learned_] == [-1.0, 1.0]


def test_names_that_an_answer_leaves_out_are_not_judged_by_it() -> None:
    given = answers("ranking", [[("a", "b")], [("b", "c")], [("c", "d")]])
    found = PlackettLuce().fit(given).predict(given)
    assert found.label[0] == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("parameter", "value"), [("reliability_spread", 0), ("n_iter", 0), ("reliability_spread", "x")]
)
def test_parameters_that_are_none_are_refused(parameter: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{parameter} is a number from"):
        PlackettLuce(**{parameter: value}).fit(answers("ranking", [[("a", "b")]]))


def test_tau_is_of_what_both_orders_hold() -> None:
    assert tau(("a", "b", "c"), ("a", "b", "c")) == 1.0
    assert tau(("a", "b", "c"), ("c", "b", "a")) == -1.0
    assert tau(("a", "b", "c", "d"), ("x", "c", "a")) == -1.0
    assert tau(("a", "b", "c"), ("a", "c", "b")) == pytest.approx(1 / 3)
    assert tau(("a",), ("a",)) is None
    assert tau(("a", "b"), ("b", "c")) is None


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (None, None),
        ("", None),
        ([], None),
        ("a|b", ("a", "b")),
        (" a | b c ", ("a", "b c")),
        (["x", 2], ("x", "2")),
        (("東京",), ("東京",)),
    ],
)
def test_an_answer_is_read_as_it_stands(value: Any, answer: Any) -> None:
    assert RANKING.read(value) == answer


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (3, "is 3, which is no list"),
        (["a", None], "holds None, which is no name"),
        (["a", True], "holds True, which is no name"),
        ("a||b", "holds '', which is no name"),
        (["a", "a "], "names 'a' twice"),
    ],
)
def test_what_is_no_order_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(NotAnAnswer) as caught:
        RANKING.read(value)
    assert caught.value.problem == problem


def test_quality_says_how_many_and_how_near() -> None:
    decided = RANKING.made([("a", "b", "c"), ("b", "a"), None, ("x",)])
    gold = RANKING.made([("a", "c", "b"), ("b", "a"), ("a", "b"), None])
    found = RANKING.quality(decided, gold)
    assert (found["n"], found["labeled"]) == (3, 2)
    assert found["tau"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["first_match"] == pytest.approx(2 / 3)
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert RANKING.quality(decided, RANKING.empty(4)) == {"n": 0, "labeled": 0, **dict.fromkeys(RANKING.metrics)}
    assert RANKING.distance(decided[:2], gold[:2]).tolist() == pytest.approx([1 / 3, 0.0])
    assert RANKING.show(("a", "b")) == "a > b"
