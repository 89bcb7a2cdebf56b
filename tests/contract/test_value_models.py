"""What every label model of answers that are values promises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit import registry
from teachkit.label_models import ALGORITHMS
from teachkit.votes.values import VALUED, value_kind
from tests.contract.models import new
from tests.votes.answer_tables import VALUES, answers, close, plain, tables
from tests.votes.matrices import repeatable

if TYPE_CHECKING:
    from teachkit.votes import Answers

PAIRS = [
    (name, kind)
    for name in registry.names("label_model")
    for kind in ALGORITHMS[name].kinds
    if kind in VALUED and kind in VALUES
]
pytestmark = pytest.mark.parametrize(("name", "kind"), PAIRS)


def degenerate(kind: str) -> dict[str, Answers]:
    spans = (((0, 4, "a"),), ((2, 6, "ü"), (7, 9, "a")))
    orders = (("a", "ç"), ("ç", "a", "b"))
    one, other = {"number": (2.5, -1.0), "text": ("Köln", "Bonn"), "span": spans, "ranking": orders}[kind]
    return {
        "no items": answers(kind, [[], []]),
        "no voters": answers(kind, [], n_items=3),
        "neither": answers(kind, [], n_items=0),
        "all abstain": answers(kind, [[None] * 3, [None] * 3]),
        "one answer": answers(kind, [[one]]),
        "one item": answers(kind, [[one], [other], [one]]),
        "one voter": answers(kind, [[one, other, None, one]]),
        "always the same": answers(kind, [[one] * 4, [one] * 4]),
        "never twice on an item": answers(kind, [[one, None], [None, other]]),
    }


def test_it_is_found_by_its_name_and_version(name: str, kind: str) -> None:
    model = registry.load("label_model", name)
    assert (model.name, model.version) == (name, ALGORITHMS[name].version)
    assert kind in model.kinds


@pytest.mark.parametrize("case", sorted(degenerate("number")))
def test_there_is_a_defined_result_for_odd_answers(name: str, kind: str, case: str) -> None:
    given_ = degenerate(kind)[case]
    model = new(name).fit(given_)
    found = model.predict(given_, tie_policy="first")
    voted = given_.votes_per_item > 0
    assert (~value_kind(kind).missing(found.label) == voted).all()
    assert len(found.confidence) == given_.n_items
    assert value_kind(kind).posterior_array(found.posterior).type == value_kind(kind).posterior_type
    assert json.loads(json.dumps(model.parameters(), allow_nan=False)) == model.parameters()


@repeatable
@given(data=st.data())
def test_an_item_has_a_label_exactly_if_it_has_an_answer(name: str, kind: str, data: Any) -> None:
    given_ = answers(kind, data.draw(tables(kind)))
    found = new(name).fit(given_).predict(given_, tie_policy="first")
    assert (~value_kind(kind).missing(found.label) == (given_.votes_per_item > 0)).all()
    known = found.confidence[~np.isnan(found.confidence)]
    assert ((known >= 0) & (known <= 1 + 1e-12)).all()


@repeatable
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_the_order_of_items_and_voters_is_irrelevant(name: str, kind: str, data: Any, random: Any) -> None:
    table = data.draw(tables(kind))
    n, v = len(table[0]) if table else 0, len(table)
    items, voters = list(range(n)), list(range(v))
    random.shuffle(items)
    random.shuffle(voters)
    names = [f"v{i}" for i in range(v)]
    straight = answers(kind, table, names)
    shuffled = answers(kind, [[table[j][i] for i in items] for j in voters], [names[j] for j in voters])
    one, other = (new(name).fit(a).predict(a) for a in (straight, shuffled))
    if kind == "number":
        assert close(one.label[items], other.label)
        assert close(one.posterior["sd"][items], other.posterior["sd"])
    else:
        assert [plain(one.label, kind)[i] for i in items] == plain(other.label, kind)
        assert close(one.confidence[items], other.confidence)


@repeatable
@given(data=st.data())
def test_the_same_answers_give_the_same_bits(name: str, kind: str, data: Any) -> None:
    given_ = answers(kind, data.draw(tables(kind)))
    first, again = (registry.load("label_model", name)(threads=t).fit(given_) for t in (1, 3))
    assert first.parameters() == again.parameters()


@repeatable
@given(data=st.data())
def test_the_model_comes_back_from_its_parameters_bit_for_bit(name: str, kind: str, data: Any) -> None:
    given_ = answers(kind, data.draw(tables(kind)))
    model = new(name).fit(given_)
    kept = json.loads(json.dumps(model.parameters()))
    again = type(model).from_parameters(kept)
    about = value_kind(kind)
    one, other = model.predict(given_), again.predict(given_)
    assert about.array(one.label).equals(about.array(other.label))
    assert np.asarray(one.confidence).tobytes() == np.asarray(other.confidence).tobytes()
    assert about.posterior_array(one.posterior).equals(about.posterior_array(other.posterior))
    assert again.parameters() == model.parameters()


@repeatable
@given(data=st.data())
def test_contributions_are_of_those_who_answered_and_add_up_to_one(name: str, kind: str, data: Any) -> None:
    given_ = answers(kind, data.draw(tables(kind)))
    model = new(name).fit(given_)
    for item in range(given_.n_items):
        parts = model.contributions(given_, item)
        here = given_.item == item
        assert set(parts) == {given_.voters[v] for v in given_.voter[here]}
        if parts:
            whole = sum(parts.values()) + (model.prior_weight(given_, item) or 0.0)
            assert whole == pytest.approx(1.0)
            assert all(part >= -1e-12 for part in parts.values())


@repeatable
@given(data=st.data())
def test_every_voter_is_reported_on(name: str, kind: str, data: Any) -> None:
    given_ = answers(kind, data.draw(tables(kind)))
    report = new(name).fit(given_).voter_report()
    assert [one["voter"] for one in report] == list(given_.voters)
    assert sum(one["answers"] for one in report) == len(given_.item)


def test_gold_is_of_the_same_items(name: str, kind: str) -> None:
    given_ = degenerate(kind)["one item"]
    gold = value_kind(kind).empty(1)
    assert new(name).fit(given_, gold=gold).parameters() == new(name).fit(given_).parameters()
    with pytest.raises(ValueError, match="gold has 2 answers for 1 items"):
        new(name).fit(given_, gold=value_kind(kind).empty(2))


def test_what_was_not_fitted_is_refused(name: str, kind: str) -> None:
    model = new(name).fit(degenerate(kind)["one item"])
    with pytest.raises(ValueError, match="fitted on the voters"):
        model.predict(degenerate(kind)["one voter"])
    other = "text" if kind == "number" else "number"
    with pytest.raises(ValueError, match=f"decides answers of the kind {kind}, not {other}"):
        new(name).fit(degenerate(other)["one item"])


def test_it_is_made_again_from_its_parameters(name: str, kind: str) -> None:
    model = new(name)
    found = model.get_params()
    assert found
    again = type(model)(**found)
    assert again.get_params() == found
    assert model.set_params(threads=2).get_params()["threads"] == 2
    with pytest.raises(ValueError, match="has no parameter 'nothing'"):
        model.set_params(nothing=1)
    sklearn = pytest.importorskip("sklearn.base")
    assert sklearn.clone(again).get_params() == found
