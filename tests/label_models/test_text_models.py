"""Texts: the most frequent answer, and the one that is nearest to all others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import Medoid, NormalisedMajority
from teachkit.votes.values.text import text_distance
from tests.votes.answer_tables import answers
from tests.votes.matrices import repeatable


def labels(model: Any, table: Any, **how: Any) -> list[Any]:
    given_ = answers("text", table)
    return list(model.fit(given_).predict(given_, **how).label)


def test_case_spaces_and_punctuation_make_no_other_answer() -> None:
    table = [["New York"], ["new  york."], ["Boston"]]
    assert labels(NormalisedMajority(), table) == ["New York"]
    assert labels(Medoid(), table) == ["New York"]


def test_the_form_given_back_is_the_one_written_most_often() -> None:
    table = [["USA", "usa"], ["usa", "USA"], ["usa", "USA"], ["U.K.", "USA"]]
    assert labels(NormalisedMajority(), table) == ["usa", "USA"]


def test_a_tie_is_decided_by_the_policy_never_by_the_order_of_voters() -> None:
    for table in ([["b", "a"], ["a", "a"], ["c", "c"]], [["c", "c"], ["a", "a"], ["b", "a"]]):
        assert labels(NormalisedMajority(), table) == [None, "a"]
        assert labels(NormalisedMajority(), table, tie_policy="first") == ["a", "a"]
        assert labels(NormalisedMajority(), table, tie_policy="prior") == ["a", "a"]
    with pytest.raises(ValueError, match="tie_policy is one of"):
        labels(NormalisedMajority(), [["a"]], tie_policy="random")


def test_the_medoid_is_the_most_typical_where_no_two_are_the_same() -> None:
    table = [["a red car on a road"], ["a red car on the road"], ["red car on a road"], ["two dogs"]]
    assert labels(Medoid(), table) == ["a red car on a road"]
    assert labels(NormalisedMajority(), table) == [None]


def test_a_voter_that_is_near_to_the_others_has_more_weight() -> None:
    towns = ["Aachen", "Bremen", "Chemnitz", "Dresden", "Erfurt", "Freiburg", "Gera", "Hamm"]
    noise = ["xyz", "???", "q", "none", "-", "zzz", "no idea", "x"]
    given_ = answers("text", [towns, towns, noise])
    model = Medoid().fit(given_)
    good, also_good, bad = (one["weight"] for one in model.voter_report())
    assert good == also_good > 2 * bad
    pair = answers("text", [["Jena"], [None], ["Kiel"]])
    assert model.predict(pair).label[0] == "Jena"
    parts = model.contributions(given_, 0)
    assert parts["v0"] == parts["v1"] > parts["v2"]


def test_gold_tells_who_is_right() -> None:
    one, other = ["Aachen"] * 8, ["Zwickau"] * 8
    given_ = answers("text", [one, other])
    gold = given_.of.made(["Zwickau"] * 6 + [None] * 2)
    model = Medoid().fit(given_, gold=gold)
    assert list(model.predict(given_).label) == ["Zwickau"] * 8
    assert [v["accuracy"] for v in NormalisedMajority().fit(given_, gold=gold).learned_] == [0.25, 0.75]


def test_shares_of_the_posterior_sum_to_one_and_come_greatest_first() -> None:
    given_ = answers("text", [["a"], ["b"], ["B "], ["c"]])
    (found,) = NormalisedMajority().fit(given_).predict(given_).posterior
    assert [one["share"] for one in found] == [0.5, 0.25, 0.25]
    assert found[0]["label"] == "B "


def test_a_strength_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="strength is a number from"):
        Medoid(strength=0).fit(answers("text", [["a"]]))


@repeatable
@given(st.lists(st.lists(st.sampled_from(["a", "ab", "abc", "b", "x y", None]), min_size=3, max_size=3), max_size=8))
def test_weights_are_those_that_distances_by_them_lead_to(rows: list[list[Any]]) -> None:
    table = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    given_ = answers("text", table)
    model = Medoid(n_iter=1000).fit(given_)
    found = model.voter_report()
    far, count = dict.fromkeys(given_.voters, 0.0), dict.fromkeys(given_.voters, 0)
    weight = {one["voter"]: one["weight"] for one in found}
    for row in rows:
        said = {v: text for v, text in zip(given_.voters, row, strict=True) if text}
        for voter, text in said.items():
            others = [(weight[v], text_distance(text, other)) for v, other in said.items() if v != voter]
            if others:
                far[voter] += sum(w * d for w, d in others) / sum(w for w, _ in others)
                count[voter] += 1
    assert [one["compared"] for one in found] == list(count.values())
    whole = sum(count.values())
    mean = sum(far.values()) / whole if whole else 0.0
    for voter in weight if mean else ():
        expected = mean * (count[voter] + 4.0) / (far[voter] + 4.0 * mean)
        assert weight[voter] == pytest.approx(expected, abs=1e-5)
    assert model.diagnostics_["converged"]


def test_a_fit_that_ends_early_says_so() -> None:
    table = [["Aachen", "Bremen", "Gera"], ["Aachen", "Bremer", "Gera"], ["x", "y", "z"]]
    model = Medoid(n_iter=1).fit(answers("text", table))
    assert not model.diagnostics_["converged"]
    assert model.diagnostics_["iterations"] == 1
    assert {one["weight"] for one in Medoid(n_iter=0).fit(answers("text", table)).voter_report()} == {1.0}
